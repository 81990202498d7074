"""TwoObjectives: the past of a causal model is out of reach to the last bit, a masked model's is not."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.text_model.gaps import fill, fill_by_the_whole_line, fill_from_the_left, line_with_gap
from lmlab.widgets import TwoObjectives
from tests.widgets.conftest import TEXT


@pytest.fixture(scope="module")
def masked(tokenizer: lab.Tokenizer) -> lab.TextModel:
    config = lab.TransformerConfig.tiny(vocab_size=tokenizer.vocab_size)
    return lab.TextModel(lab.Transformer(config, seed=8), tokenizer, name="masked")


@pytest.mark.parametrize("seed", range(4))
def test_causal_leak_to_the_past_is_exactly_zero_and_the_masked_one_is_not(
    random_model: lab.TextModel, trigram: lab.TextModel, masked: lab.TextModel, seed: int
) -> None:
    draw = random.Random(seed)
    words = TEXT.replace(".", " ").replace("?", " ").split()
    line = " ".join([*draw.sample(words, 4), "___", *draw.sample(words, 4)])
    w = TwoObjectives(random_model, trigram, masked=masked, truth=None, line=line, other="goose")
    for at in range(1, len(w.shown.reaches[0].tokens)):
        w.at = at
        if w.shown.old == w.shown.new:
            continue
        causal, counted, both = w.shown.reaches
        assert set(causal.changes[:at]) == {0.0}, "not one bit of the past"
        assert set(counted.changes[:at]) == {0.0}
        assert causal.changes[at] > 0
        assert min(both.changes[:at]) > 0, "every earlier answer has seen the change"
        assert causal.blind == tuple(i < at for i in range(len(causal.tokens)))
        assert not any(both.blind)
        assert "exactly 0 in random, exactly 0 in trigram, up to " in w.sentence


def test_changes_are_the_total_variation_of_two_full_passes(random_model: lab.TextModel, masked: lab.TextModel) -> None:
    w = TwoObjectives(random_model, masked=masked, truth=None, line="the ___ market crashed", other="goose", at=2)
    tok = masked.tokenizer
    before = [tok.bos_id, *tok.encode("the"), tok.specials["<|mask|>"], *tok.encode(" market crashed")]
    after = list(before)
    after[2] = tok.encode(" goose")[0] if tok.token_text(before[2]).startswith(" ") else tok.encode("goose")[0]
    with torch.no_grad():
        p, q = (masked.model(torch.tensor([ids]), causal=False)[0].double().softmax(-1) for ids in (before, after))
    assert w.shown.reaches[-1].changes == pytest.approx((0.5 * (p - q).abs().sum(-1)).tolist(), abs=1e-6)


def test_the_gap_is_filled_from_the_left_and_from_both_sides(
    random_model: lab.TextModel, masked: lab.TextModel
) -> None:
    w = TwoObjectives(random_model, masked=masked, truth=None, line="the stock ___ crashed")
    tok = masked.tokenizer
    left = random_model.next_log_probs("the stock").exp()
    ids = [tok.bos_id, *tok.encode("the stock"), tok.specials["<|mask|>"], *tok.encode(" crashed")]
    with torch.no_grad():
        both = masked.model(torch.tensor([ids]), causal=False)[0, 1 + len(tok.encode("the stock"))].softmax(-1)
    top = sorted(row.probabilities[1] for row in w.shown.rows)[-1]
    assert top == pytest.approx(float(both.max()), abs=1e-6)
    assert max(row.probabilities[0] for row in w.shown.rows) == pytest.approx(float(left.max()), abs=1e-6)


def test_the_truth_of_import_as_np() -> None:
    """From the left: np, pandas and jax in the grammar's shares; with `as np` behind a gap of one token, numpy."""
    tok = lab.load("town").tokenizer
    truth = lab.TextModel(lab.TownTruth(tok), tok, name="truth")
    line = line_with_gap(tok, "import ___ as np", 24)
    id_ = {word: tok.encode(word)[0] for word in (" numpy", " pandas", " jax")}
    left = fill_from_the_left(truth, line).exp()
    array, table = 0.36, 0.18  # weights of the grammar's kinds of code that begin with an import
    assert float(left[id_[" numpy"]]) == pytest.approx(array * 0.9 / (array + table), abs=1e-6)
    assert float(left[id_[" pandas"]]) == pytest.approx(table / (array + table), abs=1e-6)
    both = fill_by_the_whole_line(truth, line).exp()
    assert float(both[id_[" numpy"]]) == pytest.approx(1)
    assert float(fill_by_the_whole_line(truth, line_with_gap(tok, "import ___ as pd", 24))[id_[" pandas"]]) == 0


def test_bayes_by_the_whole_line_is_the_joint_over_its_sum(trigram: lab.TextModel) -> None:
    line = line_with_gap(trigram.tokenizer, "the stock market ___ and investors", 24)
    by_bayes = fill_by_the_whole_line(trigram, line, most=trigram.vocab_size).double().exp()
    joint = torch.zeros(trigram.vocab_size, dtype=torch.float64)
    first = trigram.model.log_probs(torch.tensor([line.left]))[0, -1]
    for id_ in torch.isfinite(first).nonzero().flatten().tolist():
        ids = line.filled(id_)
        log_probs = trigram.model.log_probs(ids[None])[0]
        joint[id_] = math.exp(sum(float(log_probs[t - 1, ids[t]]) for t in range(len(line.left), len(ids))))
    torch.testing.assert_close(by_bayes, joint / joint.sum(), atol=1e-6, rtol=0)


def test_a_masked_model_learns_what_a_causal_one_cannot_see() -> None:
    """Two words of which the one after the gap decides: trained in a second, then sure."""
    from lmlab.data.masked import masked_windows
    from lmlab.tokenizer.bpe import RESERVED_SPECIALS
    from lmlab.training.objectives import masked_token

    corpus = lab.corpus("town", documents=400, seed=0, families=["code"])
    tok = lab.train_bpe(corpus.text, vocab_size=390, specials=RESERVED_SPECIALS)[0]
    config = lab.TransformerConfig.tiny(vocab_size=tok.vocab_size, d_model=64, n_layers=2, max_seq_len=32)
    model = lab.Transformer(config, seed=0)
    stream = masked_windows(corpus, tok, T=16, B=16, rate=0.2, seed=0)
    run = lab.TrainingRun(model, stream, masked_token, steps=120, seed=0, lr=6e-3).start().wait()
    losses = [point.loss for point in run.log.points]
    assert sum(losses[-10:]) / 10 < 0.4 * losses[0]
    trained = lab.TextModel(run.snapshot(), tok, name="masked")
    assert len(tok.encode(" numpy")) == len(tok.encode(" pandas")) == 1
    np, pd = tok.encode(" numpy")[0], tok.encode(" pandas")[0]
    odds = {}
    for name in ("np", "pd"):
        log_probs = fill(trained, line_with_gap(tok, f"import ___ as {name}", 24))
        odds[name] = float(log_probs[np] - log_probs[pd])
    assert odds["np"] > odds["pd"] + 1, "what stands behind the gap decides"


def test_what_is_stored_with_a_notebook_are_facts_without_digits_of_a_fresh_model(
    random_model: lab.TextModel, masked: lab.TextModel
) -> None:
    w = TwoObjectives(random_model, masked=masked, truth=None, line="the ___ market", other="goose")
    assert repr(w).endswith("moves the answers before it by exactly 0 in random, more than 0 in masked")
    assert "%" not in w._repr_mimebundle_()[0]["text/html"]
    w.at = 0
    assert repr(w).endswith("exactly 0 in masked")


@pytest.mark.parametrize("text", ["", "___", "___ ___", "😀", "\x00", "x" * 10_000, "<img src=x onerror=alert(1)> ___"])
def test_any_line_and_any_replacement_have_an_answer(
    random_model: lab.TextModel, masked: lab.TextModel, text: str
) -> None:
    w = TwoObjectives(random_model, masked=masked, truth=None, line=text, other=text)
    assert len(w.shown.reaches[0].tokens) <= 24
    assert w.sentence
    w.other, w.at = "goose", 0
    assert "nothing stands before it" in w.sentence
    w.at = 10_000
    assert w.shown.at == len(w.shown.reaches[0].tokens) - 1
    if len(text) > 1000:
        assert "tokens far from the gap left out" in "".join(t for _, t in w.shown.foot)


def test_what_cannot_be_is_refused_in_a_sentence(
    random_model: lab.TextModel, trigram: lab.TextModel, masked: lab.TextModel
) -> None:
    with pytest.raises(ValueError, match="1 to 3 causal text models"):
        TwoObjectives(masked=masked)
    with pytest.raises(ValueError, match="a masked model is a Transformer"):
        TwoObjectives(random_model, masked=trigram, truth=None)
    other = lab.train_bpe(TEXT, vocab_size=290, specials=("<|endoftext|>",))[0]
    pieces = lab.TextModel(lab.Transformer(lab.TransformerConfig.tiny(vocab_size=290)), other, name="pieces")
    with pytest.raises(ValueError, match="one vocabulary"):
        TwoObjectives(random_model, masked=pieces)
    with pytest.raises(ValueError, match='use "town"'):
        TwoObjectives(random_model, masked=masked, truth="city")
