"""NextToken: bars are the models' own probabilities, the truth the town's, whatever is typed."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.widgets import NextToken
from tests.widgets.conftest import TEXT

PROMPT = "the stock market crashed and investors"


def probability(model: lab.TextModel, prompt: str, word: str) -> float:
    """p(word | prompt) by another path: a full forward pass over prompt and word, no cache, no state."""
    tokenizer = model.tokenizer
    before = [tokenizer.bos_id, *tokenizer.encode(prompt)]
    ids = before + tokenizer.encode(word)
    log_probs = model.model.log_probs(torch.tensor([ids]))[0]
    return math.exp(sum(float(log_probs[t - 1, ids[t]]) for t in range(len(before), len(ids))))


def test_every_bar_is_the_models_probability_of_that_word(random_model: lab.TextModel, trigram: lab.TextModel) -> None:
    words = TEXT.replace(".", " ").replace("?", " ").split()
    draw = random.Random(4)
    w = NextToken(trigram, random_model, truth=None, k=5)
    for _ in range(6):
        w.prompt = " ".join(draw.sample(words, 5))
        for row in w.shown.rows:
            if row.raw:
                for model, p in zip((trigram, random_model), row.probabilities, strict=True):
                    assert p == pytest.approx(probability(model, w.prompt, row.raw), abs=1e-5)


def test_bars_and_the_rest_sum_to_one(random_model: lab.TextModel, trigram: lab.TextModel) -> None:
    view = NextToken(trigram, random_model, truth=None, prompt=PROMPT).shown
    for i in range(2):
        assert sum(row.probabilities[i] for row in (*view.rows, view.others)) == pytest.approx(1, abs=1e-5)


def test_rows_are_the_union_of_what_each_model_finds_likely(
    trigram: lab.TextModel, random_model: lab.TextModel
) -> None:
    w = NextToken(trigram, random_model, truth=None, prompt="the stock market", k=4)
    first = {model.name: model.next(w.prompt, k=1)[0].text for model in (trigram, random_model)}
    w.sort = "random"
    by = [row.probabilities[1] for row in w.shown.rows]
    assert w.shown.rows[0].raw == first["random"]
    assert by == sorted(by, reverse=True)
    w.sort = "trigram"
    by = [row.probabilities[0] for row in w.shown.rows]
    assert w.shown.rows[0].raw == first["trigram"]
    assert by == sorted(by, reverse=True)


def test_the_number_of_words_follows_k(random_model: lab.TextModel) -> None:
    w = NextToken(random_model, truth=None)
    for k in (1, 3, 12):
        w.k = k
        assert len(w.shown.rows) == k


def test_the_distance_is_the_divergence_from_the_truth(trigram: lab.TextModel, random_model: lab.TextModel) -> None:
    w = NextToken(random_model, truth=trigram, prompt="the stock market")
    p, q = (m.next_log_probs("the stock market").double() for m in (trigram, random_model))
    expected = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none")[torch.isfinite(p)].sum()
    assert f"random {float(expected):.3f} nats" in w.sentence


def test_an_n_gram_says_what_it_sees(trigram: lab.TextModel, random_model: lab.TextModel) -> None:
    w = NextToken(trigram, random_model, truth=None, prompt="the stock market")
    assert "trigram sees only “stock market” and puts" in w.sentence


def test_a_trailing_space_belongs_to_the_next_word(trigram: lab.TextModel) -> None:
    w = NextToken(trigram, truth=None, prompt="the stock market ")
    with_space = w.shown.rows
    assert "space at the end" in w.sentence
    w.prompt = "the stock market"
    assert w.shown.rows == with_space
    assert "space at the end" not in w.sentence


def test_a_typed_continuation_is_scored_and_the_last_three_stay(random_model: lab.TextModel) -> None:
    w = NextToken(random_model, truth=None, prompt="the mayor", continuations=("went golfing",))
    assert [t.text for t in w.shown.tries] == ["went golfing"]
    for text in ("sold", "x", "went"):
        w.continuation = text
    assert [t.text for t in w.shown.tries] == ["went", "x", "sold"]
    p = max(probability(random_model, "the mayor", reading) for reading in (" went", "went"))
    assert f"{-math.log2(p):.2f} bits" in w.shown.tries[0].verdict[0][1]


def test_a_continuation_may_finish_a_word(trigram: lab.TextModel) -> None:
    """Read as it stands where that is likelier, and as a new word where that is."""
    tokenizer = trigram.tokenizer
    ids = torch.tensor(
        [tokenizer.bos_id, *tokenizer.encode("the mar"), *tokenizer.encode("ket"), *tokenizer.encode(" rose")]
    )
    model = lab.TextModel(lab.NGram.fit(ids, n=3, vocab_size=tokenizer.vocab_size), tokenizer, name="counts")
    w = NextToken(model, truth=None, prompt="the mar", continuations=("ket",))
    assert w.shown.tries[0].shown == ("100\u202f%",)
    ids = torch.tensor([tokenizer.bos_id, *tokenizer.encode("the mar"), *tokenizer.encode(" rose")])
    model = lab.TextModel(lab.NGram.fit(ids, n=3, vocab_size=tokenizer.vocab_size), tokenizer, name="counts")
    assert NextToken(model, truth=None, prompt="the mar", continuations=("rose",)).shown.tries[0].shown == (
        "100\u202f%",
    )


def test_models_of_different_vocabularies_are_compared_by_whole_words(trigram: lab.TextModel) -> None:
    other = lab.train_bpe(TEXT, vocab_size=290, specials=("<|endoftext|>",))[0]
    ids = torch.tensor([other.bos_id, *other.encode(TEXT)])
    coarse = lab.TextModel(lab.NGram.fit(ids, n=12, vocab_size=other.vocab_size), other, name="pieces")
    w = NextToken(coarse, trigram, truth=None, prompt="the stock market crashed and")
    words = {row.raw: row.probabilities for row in w.shown.rows}
    assert words[" investors"][0] == pytest.approx(probability(coarse, w.prompt, " investors"), abs=1e-6)
    assert words[" investors"][0] > 0.99, "six tokens to one model, one word on screen"


def test_variants_exchange_the_models(trigram: lab.TextModel, random_model: lab.TextModel) -> None:
    w = NextToken(truth=None, variants={"counted": [trigram], "random": [random_model]}, prompt="the stock market")
    counted = w.shown.rows
    w.variant = "random"
    assert w.shown.columns == ("random",)
    assert w.shown.rows != counted
    w.variant = "counted"
    assert w.shown.rows == counted


def test_the_end_of_a_document_is_named_and_typed_text_is_never_special(tokenizer: lab.Tokenizer) -> None:
    end = tokenizer.bos_id
    ids = torch.tensor([end, *tokenizer.encode("the goose"), end, *tokenizer.encode("the goose"), end])
    counted = lab.TextModel(lab.NGram.fit(ids, n=2, vocab_size=tokenizer.vocab_size), tokenizer, name="bigram")
    w = NextToken(counted, truth=None, prompt="the goose", continuations=("<|endoftext|>",))
    assert (w.shown.rows[0].word, w.shown.rows[0].raw) == ("⟨end⟩", "")
    assert w.shown.tries[0].shown == ("0",)


@pytest.mark.parametrize("prompt", ["", "😀", "日本語のテキスト", "\x00", "x" * 10_000, "<img src=x onerror=alert(1)>"])
def test_any_prompt_has_an_answer(random_model: lab.TextModel, trigram: lab.TextModel, prompt: str) -> None:
    w = NextToken(random_model, trigram, truth=None, prompt=prompt)
    assert len(w.shown.rows) == 7
    assert w.sentence
    if len(prompt) == 10_000:
        assert "cropped" in w.shown.labels["prompt"]


def test_what_is_no_model_is_refused_in_a_sentence(random_model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="compares 1 to 4 text models"):
        NextToken()
    with pytest.raises(ValueError, match="compares 1 to 4"):
        NextToken(*[random_model] * 5)
    with pytest.raises(ValueError, match='use "town"'):
        NextToken(random_model, truth="city")
