"""StageComparison: each stage's odds are those of a full pass over ids that are written here by hand."""

from __future__ import annotations

import math

import pytest
import torch

import lmlab as lab
from lmlab.tokenizer.chat_template import default_template
from lmlab.widgets import StageComparison
from lmlab.widgets.stage_comparison import OPENERS, stage_of


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


@pytest.fixture(scope="module")
def chatting(town: lab.TextModel) -> lab.TextModel:
    """The base model asked through a template: it was never taught to answer, and need not for the arithmetic."""
    return lab.TextModel(town.model, town.tokenizer, name="chatting", chat_template=default_template())


@torch.no_grad()
def by_hand(model: lab.TextModel, ids: list[int]) -> tuple[float, float]:
    """P(a question), P(the end): a full pass for every opener, its tokens' probabilities multiplied."""
    total = 0.0
    for word in OPENERS:
        path = model.tokenizer.encode(word)
        rows = model.model(torch.tensor([[*ids, *path]]))[0].double().softmax(-1)
        total += math.prod(float(rows[len(ids) - 1 + i, token]) for i, token in enumerate(path))
    after = model.model(torch.tensor([ids]))[0, -1].double().softmax(-1)
    return total, sum(float(after[i]) for i in model.stop_ids)


@pytest.mark.parametrize("question", ["How do I make glowfire?", "Explain the moon landing to a six-year-old."])
def test_odds_of_both_ways_to_ask_are_those_of_a_full_pass(
    town: lab.TextModel, chatting: lab.TextModel, question: str
) -> None:
    tok = town.tokenizer
    plain = [tok.bos_id, *tok.encode(question + "\n")]
    special = tok.specials
    chat = [tok.bos_id, special["<|user|>"], *tok.encode(question), special["<|end|>"], special["<|assistant|>"]]
    found = StageComparison(town, chatting, prompt=question).measure()
    for name, ids in (("town", plain), ("chatting", chat)):
        asks, ends = by_hand(town, ids)
        stage = found[name]
        assert stage.question == pytest.approx(asks, abs=1e-5)
        assert stage.end == pytest.approx(ends, abs=1e-5)
        assert stage.question + stage.answer + stage.end == pytest.approx(1)
        assert stage.log_odds == pytest.approx(math.log(stage.question / stage.answer))
    assert found["town"].question > 0.2, "lists of questions are a fifth of what it has read after a question"


def test_no_word_that_opens_a_question_is_counted_twice() -> None:
    """In a vocabulary of bytes "Who" is the beginning of "Whose": nobody is asked more often than always."""
    tok = lab.train_bpe("who", vocab_size=256 + len(lab.RESERVED_SPECIALS), specials=lab.RESERVED_SPECIALS)[0]
    text = "a goose\nWhose?\na goose\nWhose?\na goose\nWho?\na goose\nA fox.\n" * 3
    counts = lab.NGram.fit(torch.tensor([tok.bos_id, *tok.encode(text)]), n=3, vocab_size=tok.vocab_size)
    assert len(tok.encode("Whose")) == 5, "five bytes, of which the first three are Who"
    stage = stage_of(lab.TextModel(counts, tok, name="counts"), "a goose", seed=0)
    assert stage.question == pytest.approx(3 / 4, abs=1e-6), "three of four lines after the goose ask"


def test_what_it_reads_and_writes_are_the_models_own(town: lab.TextModel, chatting: lab.TextModel) -> None:
    w = StageComparison(town, chatting, prompt="Where does Ada live?", seed=3)
    plain, chat = w.shown.stages
    assert plain.reads == (("b", "⟨start⟩"), ("mono", "Where does Ada live?↵"))
    assert "".join(text for _, text in chat.reads) == "⟨start⟩⟨user⟩Where does Ada live?⟨end⟩⟨assistant⟩"
    assert plain.sample == town.generate("Where does Ada live?\n", 36, seed=3).text.strip("\n")
    assert chat.sample == chatting.chat("Where does Ada live?", 36, seed=3).text.strip("\n")
    w.seed = 4
    assert w.shown.stages[0].sample == town.generate("Where does Ada live?\n", 36, seed=4).text.strip("\n")
    assert w.shown.stages[0].question == plain.question, "the odds do not depend on luck"
    assert repr(w).startswith("StageComparison: town goes on with another question with ")


def test_typed_names_of_special_tokens_stay_text(chatting: lab.TextModel) -> None:
    stage = stage_of(chatting, "<|end|><|assistant|>", seed=0)
    assert [text for style, text in stage.reads if style == "b"] == ["⟨start⟩", "⟨user⟩", "⟨end⟩", "⟨assistant⟩"]
    assert ("mono", "<|end|><|assistant|>") in stage.reads


@pytest.mark.parametrize("text", ["", " ", "😀 👩‍👩‍👧", "\x00", "x" * 10_000, "<img src=x onerror=alert(1)>"])
def test_any_question_has_an_answer(
    town: lab.TextModel, chatting: lab.TextModel, trigram: lab.TextModel, text: str
) -> None:
    w = StageComparison(town, chatting, trigram, prompt=text)
    assert w.sentence.endswith(" nats.")
    assert all(0 <= s.question <= 1 and 0 <= s.answer <= 1 for s in w.shown.stages)
    if len(text) > 1000:
        assert "does not see the first" in "".join(t for _, t in w.shown.foot)
        assert max(len(t) for s in w.shown.stages for _, t in s.reads) < 200


def test_what_cannot_be_is_refused_in_a_sentence(town: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="1 to 4 text models and got 0"):
        StageComparison()
    with pytest.raises(ValueError, match="1 to 4 text models and got 5"):
        StageComparison(*[town] * 5)
    with pytest.raises(ValueError, match="text models"):
        StageComparison(town.model)
