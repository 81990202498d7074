"""AllSequences: 1,000 leaves by the chain rule, each checked by another path, and all of them sum to one."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.widgets import AllSequences
from lmlab.widgets.all_sequences import all_sequences, most_that_can
from lmlab.widgets.shape_flow import lecture_model


@pytest.fixture(scope="module")
def model() -> lab.TextModel:
    return lecture_model(seed=4)


@pytest.fixture(scope="module")
def bigram(model: lab.TextModel) -> lab.TextModel:
    words = model.tokenizer
    ids = words.encode("the stock market crashed and investors panicked . the market rose . investors celebrated .")
    return lab.TextModel(lab.NGram.fit(ids, n=2, vocab_size=10), words, name="bigram")


def test_the_leaves_sum_to_one(model: lab.TextModel, bigram: lab.TextModel) -> None:
    for one in (model, bigram):
        leaves = all_sequences(one, one.ids("."))
        assert leaves.shape == (10, 10, 10)
        assert float(leaves.sum()) == pytest.approx(1, abs=1e-6)
        assert bool((leaves >= 0).all())


def test_a_leaf_is_the_product_of_its_path(model: lab.TextModel, bigram: lab.TextModel) -> None:
    draw, words = random.Random(2), model.tokenizer.words
    for one in (model, bigram):
        leaves = all_sequences(one, one.ids("the stock"))
        for _ in range(20):
            path = [draw.randrange(10) for _ in range(3)]
            p, text = 1.0, "the stock"
            for i in path:
                p *= math.exp(float(one.next_log_probs(text)[i]))
                text += " " + words[i]
            assert float(leaves[tuple(path)]) == pytest.approx(p, abs=1e-6)


def test_sequences_that_cannot_begin_have_no_leaves(bigram: lab.TextModel) -> None:
    silent = lab.TextModel(bigram.model.with_smoothing("none"), bigram.tokenizer, name="silent")
    leaves = all_sequences(silent, silent.ids("."))
    assert float(leaves.sum()) == pytest.approx(1)
    assert int((leaves > 0).sum()) < 20


def test_no_more_than_fifty_sequences_of_any_length_can_have_two_percent() -> None:
    """The lecture's 2 % for a sentence of seven words: by the sum alone, at most fifty sentences could have it."""
    assert most_that_can(0.02) == 50
    assert [most_that_can(p) for p in (1, 0.5, 0.1, 0.003)] == [1, 2, 10, 333]
    for _ in range(20):
        p = torch.rand(1000, dtype=torch.float64) ** 8
        assert int((p / p.sum() >= 0.02).sum()) <= 50


def test_leaves_above_the_threshold_are_counted(model: lab.TextModel, bigram: lab.TextModel) -> None:
    w = AllSequences(bigram, model)
    leaves = all_sequences(bigram, bigram.ids("."))
    for threshold in (0.02, 0.1, 0.001):
        w.threshold = threshold
        n = int((leaves >= threshold).sum())
        assert w.sentence.startswith(f"{n} of 1,000 sequences ha")
        assert f"more than {most_that_can(threshold):,} never can" in w.sentence
    assert "sum to 1.000" in w.sentence
    assert "Of 7 words there are 10,000,000 sequences" in w.sentence
    sent = torch.frombuffer(bytearray(w.shown.leaves), dtype=torch.float32)
    assert sent.allclose(leaves.flatten().float())
    w.model = model.name
    assert w.shown.slot == 1
    assert w.sentence.startswith(f"{int((all_sequences(model, model.ids('.')) >= 0.001).sum())} of")


def test_reset_also_leaves_the_enlarged_beginning(model: lab.TextModel) -> None:
    w = AllSequences(model)
    w.zoom = "the stock"
    assert w.shown.path == (0, 1)
    w.threshold = 0.05
    w.reset()
    assert (w.zoom, w.threshold, w.shown.path) == ("", 0.02, ())


@pytest.mark.parametrize(
    "prompt", ["", " ", "😀", "x" * 10_000, "<img src=x onerror=alert(1)>", "the bulls", "the " * 99]
)
def test_any_prompt_has_an_answer(model: lab.TextModel, prompt: str) -> None:
    w = AllSequences(model, prompt=prompt)
    assert w.sentence
    assert bool(w.shown.leaves) == ("the" in prompt)


def test_what_cannot_be_drawn_is_refused_in_a_sentence(random_model: lab.TextModel, model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match=r"has 324 tokens, so 34,012,224 sequences of 3: too many to draw"):
        AllSequences(random_model)
    with pytest.raises(ValueError, match="Two models are called"):
        AllSequences(model, model)
    with pytest.raises(ValueError, match="compares 1 to 4"):
        AllSequences(*[model] * 5)
    with pytest.raises(ValueError, match="There is no model 'x' here"):
        AllSequences(model, model="x")
    other = lab.WordTokenizer([f"word{i}" for i in range(10)])
    with pytest.raises(ValueError, match="must share one vocabulary"):
        AllSequences(model, lab.TextModel(model.model, other, name="other"))
