"""ShapeFlow: every number is the model's own, and no shape or number is told before it is guessed."""

from __future__ import annotations

import random

import pytest
import torch
import traitlets

import lmlab as lab
from lmlab.widgets import ShapeFlow
from lmlab.widgets._base import to_state
from lmlab.widgets._flow import STAGES, flow, largest_difference, read_shape
from lmlab.widgets._style import plain
from lmlab.widgets.shape_flow import lecture_model

SIZES = {"T": 6, "D": 4, "V": 10, "B": 3}


@pytest.fixture(scope="module")
def model() -> lab.TextModel:
    return lecture_model(seed=2)


def test_the_lectures_shapes(model: lab.TextModel) -> None:
    """Six ids, (6, 4) embeddings, ten logits, (6, 10) at every position, (3, 6, 10) for three sentences."""
    w = ShapeFlow(model, revealed=list(STAGES))
    assert [shape for _, _, shape in w.shown.steps] == ["(6,)", "(6, 4)", "(10,)", "(6, 10)", "(3, 6, 10)"]


def test_one_hot_times_the_table_is_the_lookup_exactly(model: lab.TextModel) -> None:
    draw = random.Random(3)
    for _ in range(5):
        f = flow(model.model, [[draw.randrange(10) for _ in range(6)]])
        assert torch.equal(f.product, f.embeddings)
        assert torch.equal(f.embeddings, torch.stack([f.table[i] for i in f.ids]))


def test_a_row_of_a_batch_is_its_single_run(model: lab.TextModel) -> None:
    draw = random.Random(5)
    sentences = [[draw.randrange(10) for _ in range(7)] for _ in range(4)]
    batch = flow(model.model, sentences).batch
    for ids, row in zip(sentences, batch, strict=True):
        alone = model.model.log_probs(torch.tensor([ids]))[0]
        assert largest_difference(row.log_softmax(-1), alone) < 1e-6
        assert largest_difference(row, flow(model.model, [ids]).logits) < 1e-6


def test_the_numbers_shown_are_the_models(model: lab.TextModel) -> None:
    words = model.tokenizer.words
    text = " ".join(random.Random(8).choices(words, k=5))
    w = ShapeFlow(model, revealed=list(STAGES), text=text)
    ids = [words.index(word) for word in text.split()]
    assert list(w.shown.ids) == ids
    w.stage = "embeddings"
    assert torch.equal(torch.tensor(w.shown.embeddings), model.model.embedding.weight[ids])
    exact = torch.stack([model.next_log_probs(" ".join(text.split()[: t + 1])) for t in range(5)])
    w.stage = "positions"
    assert torch.tensor(w.shown.logits).log_softmax(-1).allclose(exact, atol=1e-5)
    w.stage = "next"
    assert torch.tensor(w.shown.probabilities[0]).allclose(exact[-1].exp(), atol=1e-6)
    assert w.shown.logits[0] == pytest.approx(torch.tensor(w.shown.logits[0]).tolist())
    w.stage = "batch"
    assert torch.tensor(w.shown.batch).shape == (3, 5, 10)
    for b, sentence in enumerate(w.shown.sentences):
        assert (
            torch.tensor(w.shown.batch[b][4])
            .log_softmax(-1)
            .allclose(model.next_log_probs(" ".join(sentence)), atol=1e-5)
        )


def test_nothing_is_told_before_the_guess(model: lab.TextModel) -> None:
    w = ShapeFlow(model)
    for stage in STAGES:
        w.stage = stage
        view = w.shown
        assert [*view.ids, *view.embeddings, *view.logits, *view.batch] == []
        assert {shape for _, _, shape in view.steps} == {"?"}
        state = str(to_state(view))
        assert not any(shape in state for shape in ("(6,", "(10,", "(3,", "(T,", "(B,", "(V,"))
    w.stage = "embeddings"
    w.guess = "4 x 6"
    assert "You said (4, 6); it is (6, 4)." in w.sentence
    assert (w.guess, [shape for _, _, shape in w.shown.steps]) == ("", ["?", "(6, 4)", "?", "?", "?"])
    w.stage = "ids"
    assert "?" in w.sentence
    w.clicked("reveal")
    assert w.sentence.startswith("Ids have the shape (6,).")
    w.reset()
    assert {shape for _, _, shape in w.shown.steps} == {"?"}


@pytest.mark.parametrize(
    ("guess", "shape"),
    [
        ("6", "(6,)"), ("(6,)", "(6,)"), ("6,4", "(6, 4)"), ("T D", "(6, 4)"), ("[3, 6, 10]", "(3, 6, 10)"),
        ("B×T×V", "(3, 6, 10)"), ("no idea", "no idea"), ("?", "?"),
    ],
)  # fmt: skip
def test_a_guess_is_read_in_any_spelling(guess: str, shape: str) -> None:
    assert read_shape(guess, SIZES) == shape


@pytest.mark.parametrize(
    "text", ["", " ", "😀", "日本語", "\x00", "x" * 10_000, "<img src=x onerror=alert(1)>", "the " * 99]
)
def test_any_text_has_an_answer(model: lab.TextModel, text: str) -> None:
    w = ShapeFlow(model, revealed=list(STAGES))
    for stage in STAGES:
        w.stage = stage
        w.text = text
        assert w.sentence
        assert len(w.shown.words) <= 8
    assert ("the" in text) == bool(w.shown.words)


def test_words_that_the_dictionary_has_not_are_named(model: lab.TextModel) -> None:
    w = ShapeFlow(model, text="the bulls rose", revealed=["ids"])
    assert w.shown.words == ("the", "rose")
    assert "Not in the dictionary, and so not read: “bulls”." in plain(w.shown.readout)


def test_what_is_too_large_or_not_of_words_is_refused_in_a_sentence(random_model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="a Transformer over a WordTokenizer"):
        ShapeFlow(random_model)
    words = lab.WordTokenizer([f"word{i}" for i in range(40)])
    config = lab.TransformerConfig(vocab_size=40, d_model=4, n_layers=1, n_heads=1)
    with pytest.raises(ValueError, match="V is at most 32"):
        ShapeFlow(lab.TextModel(lab.Transformer(config), words), others=())
    with pytest.raises(ValueError, match="no stage 'logits' to reveal"):
        ShapeFlow(revealed=["logits"])
    with pytest.raises(ValueError, match="'bulls' is not among the 10 words"):
        ShapeFlow(others=("the bulls",))
    with pytest.raises(traitlets.TraitError, match="stage is one of"):
        ShapeFlow().stage = "x"
