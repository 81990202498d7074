"""Streaming, stop strings, budgets, and why a text ended; chat on a small model with a template."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lmlab.models.ngram import NGram
from lmlab.models.transformer import Transformer
from lmlab.sampling import GREEDY, Drawn
from lmlab.text_model import Generation, TextModel, load
from lmlab.text_model import generation as generation_module
from lmlab.text_model.generation import StopStrings
from lmlab.tokenizer.chat_template import ChatTemplate, default_template
from lmlab.tokenizer.tokenizer import Tokenizer
from tests.models.models_under_test import small_config
from tests.tokenizer.chat_templates import CHATML, SPECIALS

V = 256 + 40 + len(SPECIALS)


def random_tokenizer(seed: int) -> Tokenizer:
    """Bytes and 40 merged tokens that cut characters and words anywhere."""
    rng = random.Random(seed)
    tokens = [bytes([n]) for n in range(256)]
    frequent = [*b"ab.\n END", *"😀é世".encode()]
    while len(tokens) < 296:
        token = rng.choice(tokens[256:] + [bytes([byte]) for byte in frequent]) + bytes([rng.choice(frequent)])
        if token not in tokens:
            tokens.append(token)
    return Tokenizer(
        token_bytes=[*tokens, *(name.encode() for name in SPECIALS)],
        ranks={token: rank for rank, token in enumerate(tokens[256:])},
        split=r"[\s\S]+",
        specials={name: 296 + n for n, name in enumerate(SPECIALS)},
    )


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return random_tokenizer(0)


@pytest.fixture(scope="module")
def chatty(tokenizer: Tokenizer) -> TextModel:
    """A chat model that has learned nothing."""
    model = Transformer(small_config(vocab_size=V, max_seq_len=128), seed=3)
    return TextModel(model, tokenizer, name="chatty", chat_template=ChatTemplate(CHATML, eos="<|im_end|>"))


def drawn(ids: list[int]) -> Iterator[Drawn]:
    for id_ in ids:
        yield Drawn(id_, -1.0, torch.zeros(V))


# ---------------------------------------------------------------- stop strings


def naive_cut(text: str, stops: list[str]) -> tuple[str, bool]:
    """The text before the first stop string that is complete, by looking at every beginning of the text."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))], True
    return text, False


def random_ids(rng: random.Random, tokenizer: Tokenizer, n: int) -> list[int]:
    """Tokens of a text with much in common with the stop strings, and some in mid-character."""
    ids = []
    while len(ids) < n:
        text = rng.choice(["ab", "aab", ".\n", "\n\n", "END", "EN", " ", "😀", "é", "世", "ba", "aba"])
        ids += tokenizer.encode(text) if rng.random() < 0.7 else [rng.randrange(296)]
    return ids


def random_stops(rng: random.Random, text: str) -> list[str]:
    stops = []
    for _ in range(rng.randrange(1, 4)):
        start = rng.randrange(max(1, len(text)))
        piece = text[start : start + rng.randrange(1, 6)]
        stops.append(rng.choice([piece or "x", piece + rng.choice("ab\n😀"), "END", "\n\n", "\ufffd", "aba"]))
    return stops


@pytest.mark.parametrize("seed", range(8))
def test_stop_strings_while_streaming_are_those_of_a_search_in_the_whole_text(seed: int):
    rng, tok = random.Random(seed), random_tokenizer(seed)
    n_found = 0
    for _ in range(150):
        ids = random_ids(rng, tok, rng.randrange(1, 25))
        whole = tok.decode(ids)
        stops = random_stops(rng, whole)
        written = Generation("", drawn(ids), tok, (), stop=stops)
        pieces = [step.text for step in written]
        expected, found = naive_cut(whole, stops)
        assert written.text == expected
        assert expected.startswith("".join(pieces))
        assert (written.ended == "stop string") == found
        assert [step.id for step in written] == ids[: len(written.steps)]
        n_found += found
        # What is let through is never taken back, and only the beginning of a stop string is held back.
        strings, through = StopStrings(stops), ""
        for end, letter in enumerate(whole, 1):
            through += strings.feed(letter)
            assert expected.startswith(through)
            held = whole[len(through) : end]
            assert strings.found or not held or any(stop.startswith(held) for stop in stops)
        assert strings.found == found
    assert 30 < n_found < 150


def test_a_text_ends_before_its_stop_string_and_the_steps_still_show_it(tokenizer: Tokenizer):
    ids = tokenizer.encode("a ") + [ord(letter) for letter in "END b"]
    written = Generation("", drawn(ids), tokenizer, (), stop="END")
    assert written.text == "a "
    assert written.ended == "stop string"
    assert [step.token for step in written][-3:] == ["E", "N", "D"]
    assert [step.text for step in written][-3:] == ["", "", ""]


def test_a_beginning_that_is_none_is_let_go_and_at_the_end_too(tokenizer: Tokenizer):
    written = Generation("", drawn([ord(letter) for letter in "EENE"]), tokenizer, (), stop=("END", "no"))
    assert [step.text for step in written] == ["", "E", "", "EN"]
    assert written.text == "EENE"
    assert written.ended == "max_new_tokens"


def test_of_two_stop_strings_the_first_complete_one_counts(tokenizer: Tokenizer):
    for ids in ([ord(letter) for letter in "xabcd"], tokenizer.encode("xabcd")):
        assert Generation("", drawn(ids), tokenizer, (), stop=["abcd", "bc"]).text == "xa"
        assert Generation("", drawn(ids), tokenizer, (), stop=["abc", "bc"]).text == "x"


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ("", "stop must be a text to stop before"),
        (["a", ""], "stop must be"),
        (7, "not 7"),
        ([b"a"], "stop must be"),
        ([None], "stop must be"),
        ("a" * 1001, "1,001 characters"),
        (["a"] * 33, "given were 33"),
    ],
)
def test_what_is_no_stop_string_is_refused_at_once(chatty: TextModel, stop: object, words: str):
    for write in (chatty.generate, chatty.chat):
        with pytest.raises(ValueError, match=words):
            write("a", 3, stop=stop)  # type: ignore[arg-type]


# ---------------------------------------------------------------- what ends a text


def test_why_it_ended_is_said_and_not_before(chatty: TextModel):
    written = chatty.generate("a", 5, stop_ids=())
    assert written.ended is None
    assert repr(written) == "Generation(0 tokens, not finished: '')"
    steps = iter(written)
    next(steps)
    assert written.ended is None
    assert repr(written).startswith("Generation(1 tokens, not finished")
    assert len(written.steps) == 5
    assert written.ended == "max_new_tokens"
    first = written.steps[0].id
    stopped = chatty.generate("a", 5, stop_ids={first})
    assert stopped.text == ""
    assert stopped.ended == "stop token"
    nothing = chatty.generate("a", 0)
    assert (nothing.text, nothing.ended) == ("", "max_new_tokens")


def test_iterating_computes_only_what_is_asked_for(tokenizer: Tokenizer):
    asked = []

    def watched() -> Iterator[Drawn]:
        for step in drawn(tokenizer.encode("abababab. ")):
            asked.append(step)
            yield step

    written = Generation("", watched(), tokenizer, ())
    assert asked == []
    for n, _ in enumerate(written, 1):
        assert len(asked) == n


def test_a_budget_of_seconds_counts_computing_alone(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(generation_module.time, "perf_counter", lambda: now[0])

    def slow() -> Iterator[Drawn]:
        for step in drawn([97] * 9):
            now[0] += 1.0
            yield step

    written = Generation("", slow(), tokenizer, (), max_seconds=2.5)
    for _ in written:
        now[0] += 100.0  # someone looks at it
    assert (written.text, written.ended) == ("aaa", "time")
    assert len(list(written)) == 3


def test_the_budget_reaches_the_model(chatty: TextModel):
    for write in (chatty.generate, chatty.chat):
        written = write("a", 60, max_seconds=1e-9)
        assert len(written.steps) == 1  # the budget is looked at before each token, and the first was in time
        assert written.ended == "time"


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, "1", True])
def test_a_budget_that_is_none_is_refused_at_once(chatty: TextModel, seconds: object):
    for write in (chatty.generate, chatty.chat):
        with pytest.raises(ValueError, match="max_seconds must be a number of seconds above 0"):
            write("a", 3, max_seconds=seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [-1, 10**9, 2.5, None])
def test_an_impossible_number_of_tokens_is_refused_at_once(chatty: TextModel, number: object):
    for write in (chatty.generate, chatty.chat):
        with pytest.raises(ValueError, match="max_new_tokens must be a whole number from 0 to 100,000"):
            write("a", number)  # type: ignore[arg-type]


def test_ctrl_c_keeps_what_was_written(tokenizer: Tokenizer):
    def interrupted() -> Iterator[Drawn]:
        yield from drawn([97, 98])
        yield from drawn(["😀".encode()[0]])
        raise KeyboardInterrupt

    written = Generation("", interrupted(), tokenizer, ())
    with pytest.raises(KeyboardInterrupt):
        _ = written.text
    assert written.text == "ab\ufffd"
    assert written.ended == "interrupted"
    assert len(written.steps) == 3


def test_a_model_that_fails_half_way_says_so_and_keeps_what_was_written(tokenizer: Tokenizer):
    counts = NGram.fit([296, 97, 98], n=2, vocab_size=V, smoothing="none")
    written = TextModel(counts, tokenizer, name="counts").generate("", 9)
    with pytest.raises(ValueError, match="no valid distribution"):
        _ = written.text
    assert (written.text, written.ended) == ("ab", "error")


# ---------------------------------------------------------------- chat


def test_a_chat_continues_exactly_the_ids_of_its_template(chatty: TextModel):
    from lmlab.sampling import generate

    messages = [{"role": "user", "content": "Where is <|im_end|>?"}]
    answer = chatty.chat(messages, 20, sampler=GREEDY)
    ids = chatty.chat_template.encode(messages, chatty.tokenizer)
    expected = generate(chatty.model, torch.tensor(ids), 20, sampler=GREEDY, stop_ids=chatty.stop_ids)
    assert [step.id for step in answer] == [step.id for step in expected]
    assert answer.prompt == chatty.chat_template.render(messages)
    assert chatty.chat("Where is <|im_end|>?", 20, sampler=GREEDY).text == answer.text
    assert chatty.tokenizer.specials["<|im_end|>"] in chatty.stop_ids


def test_a_chat_takes_seed_sampler_and_stop_strings(chatty: TextModel):
    free = chatty.chat("a", 30, seed=1).text
    assert chatty.chat("a", 30, seed=1).text == free != chatty.chat("a", 30, seed=2).text
    middle = free[len(free) // 2]
    assert chatty.chat("a", 30, seed=1, stop=middle).text == free[: free.index(middle)]


def test_an_answer_ends_where_the_context_is_full_and_loses_no_beginning(chatty: TextModel):
    n_ids = len(chatty.chat_template.encode("a", chatty.tokenizer))
    answer = chatty.chat("a", 500, sampler=GREEDY)
    assert len(answer.steps) == 128 - n_ids + 1  # the last token need not be read
    assert answer.ended == "context"
    exactly = chatty.chat("a", 128 - n_ids + 1, sampler=GREEDY)
    assert exactly.text == answer.text
    assert exactly.ended == "max_new_tokens"
    with pytest.raises(ValueError, match=r"The conversation has \d+ tokens and chatty reads 128 at once"):
        chatty.chat("\x01" * 128, 5)


def test_a_base_model_says_that_it_was_not_taught_to_answer(tokenizer: Tokenizer):
    base = TextModel(Transformer(small_config(vocab_size=V)), tokenizer, name="base")
    assert base.chat_template is None
    with pytest.raises(ValueError, match=r"base has no chat template: .* Use \.generate\(prompt\), or load"):
        base.chat("Hello")


def test_a_chat_model_is_saved_with_its_template_and_one_without_has_no_file(
    chatty: TextModel, tokenizer: Tokenizer, tmp_path: Path
):
    folder = chatty.save(tmp_path / "chatty")
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == CHATML
    again = load(folder)
    assert again.chat_template is not None
    assert again.chat("Hello", 8, seed=4).text == chatty.chat("Hello", 8, seed=4).text
    TextModel(chatty.model, tokenizer, name="base").save(folder)
    assert not (folder / "chat_template.jinja").exists()
    assert load(folder).chat_template is None


def test_our_own_chat_format_works_with_the_reserved_specials(chatty: TextModel):
    town = TextModel(chatty.model, chatty.tokenizer, name="town-chat", chat_template=default_template())
    assert town.chat("Where is the bank?", 4).prompt == "<|endoftext|><|user|>Where is the bank?<|end|><|assistant|>"
    assert town.tokenizer.specials["<|end|>"] in town.stop_ids
