"""ShiftedLabels: what each shift can learn, and what the picture shows of it."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.widgets import ShiftedLabels
from lmlab.widgets.shifted_labels import ROWS, labels_of, loss_at, town_news, trained
from tests.widgets.conftest import TEXT


@pytest.fixture(scope="module")
def runs():
    tokenizer, text, held_out, floor = town_news()
    return {shift: trained(tokenizer, text, held_out, shift) for shift in (0, 1, 2)}, floor


def test_labels_are_the_text_moved():
    ids = torch.randint(0, 99, (3, 11))
    for shift in (0, 1, 2):
        inputs, targets = labels_of(ids, shift)
        assert inputs.shape == targets.shape == (3, 11 - shift)
        for b in range(3):
            for t in range(11 - shift):
                assert (inputs[b, t], targets[b, t]) == (ids[b, t], ids[b, t + shift])


def test_shift_0_cheats_its_loss_to_0_and_shift_2_is_harder_than_1(runs):
    (done, floor) = runs
    loss = {shift: run.held_out for shift, (_, run) in done.items()}
    assert loss[0] < 0.01
    assert floor < loss[1] < floor + 0.5
    assert loss[1] + 0.05 < loss[2] < 1.5
    tokenizer, _, held_out, _ = town_news()
    ids = held_out.ids(tokenizer)
    for shift, (model, run) in done.items():
        rows = model.log_probs(ids[None, : len(ids) - shift])[0]
        by_hand = -sum(float(rows[t, ids[t + shift]]) for t in range(len(rows))) / len(rows)
        assert run.held_out == pytest.approx(by_hand, abs=1e-4)
        assert run.losses[0] == pytest.approx(math.log(tokenizer.vocab_size), rel=0.05)


def test_asked_for_the_next_word_shift_0_repeats_the_last(runs):
    """So it is worse at the language than a network that has learned nothing and guesses evenly."""
    (done, _) = runs
    tokenizer, _, held_out, _ = town_news()
    ids = held_out.ids(tokenizer)[None]
    with torch.no_grad():
        assert float(loss_at(done[0][0], ids, 1)) > math.log(tokenizer.vocab_size)
    assert float((done[0][0].log_probs(ids).argmax(-1) == ids).float().mean()) > 0.99


def test_the_floor_is_the_mean_surprise_of_the_truth():
    """By another path: the exact next-token distributions of the grammar, token by token."""
    tokenizer, _, held_out, floor = town_news()
    truth = lab.TextModel(lab.TownTruth(tokenizer, lab.Town(families=["news"])), tokenizer, name="truth")
    documents = held_out.documents[:8]
    bits = [[*truth.score(d)] for d in documents]
    ends = [truth.log_prob("<|endoftext|>", given=d, allow_special=True) for d in documents]
    total = -sum(c.log_prob for row in bits for c in row) - sum(ends)
    exact = -sum(lab.Town(families=["news"]).log_prob(d) for d in documents)
    assert total == pytest.approx(exact, rel=1e-3)
    assert 0.3 < floor < 1.0


def test_the_picture_is_the_text_against_itself(runs):
    (done, _) = runs
    tokenizer = town_news()[0]
    w = ShiftedLabels()
    draw = random.Random()
    for shift in (1, 0, 2):
        w.shift = str(shift)
        w.text = " ".join(draw.choices("the stock market crashed and investors panicked rose".split(), k=5))
        w.wait()
        ids = [tokenizer.bos_id, *tokenizer.encode(w.text)]
        names = ["⟨end⟩" if i == tokenizer.bos_id else tokenizer.token_text(i).replace(" ", "·") for i in ids]
        assert [p.reads for p in w.shown.positions] == names
        assert [p.label for p in w.shown.positions] == names[shift:] + [""] * shift
        rows = done[shift][0].log_probs(torch.tensor([ids]))[0].exp()
        for t in range(len(ids) - shift):
            assert w.shown.positions[t].p == pytest.approx(float(rows[t, ids[t + shift]]), abs=1e-5)
    assert [run.shift for run in w.shown.runs] == [0, 1, 2]
    assert "harder than the next word" in w.sentence
    w.shift = "0"
    w.wait()
    assert "its loss is under 0.1 nats per token" in w.sentence
    assert len(repr(w)) <= 110


def test_a_long_text_says_what_it_leaves_out_and_an_empty_one_has_no_labels():
    w = ShiftedLabels(text="the stock market " * 500)
    assert len(w.shown.positions) == ROWS + 1
    assert w.shown.hidden == 1 + len(town_news()[0].encode(w.text)) - ROWS - 1
    w.text = ""
    w.wait()
    assert w.shown.positions == ()
    assert w.sentence


def test_a_corpus_of_ones_own(tokenizer: lab.Tokenizer):
    sentences = [s.strip() + f" {i}" for i in range(120) for s in TEXT.split(".") if s.strip()]
    w = ShiftedLabels(lab.corpus(text="\n\n".join(sentences)), tokenizer, text="the goose")
    assert w.shown.floor is None
    assert w.shown.untrained == pytest.approx(math.log(tokenizer.vocab_size))
    with pytest.raises(ValueError, match="together with its tokenizer"):
        ShiftedLabels(lab.corpus(text="a\n\nb"))
    with pytest.raises(ValueError, match="moved by 0, 1 or 2"):
        ShiftedLabels(shift="3")
