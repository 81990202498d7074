"""BestOfN: the view against votes counted here; what it refuses."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
import torch
import traitlets

import lmlab as lab
from lmlab.training.best_of_n import Asked, choose
from lmlab.training.clock_trial import SampledRows
from lmlab.widgets._style import plain
from lmlab.widgets.best_of_n import _apart, best_of_n_view, read_sum


def asked(rng):
    """Two sums; the likeliest answer to the first is right, to the second wrong. 64 samples of each."""
    sums = torch.tensor([[1, 2, 3], [20, 5, 9]])
    p = torch.zeros(2, 24, dtype=torch.float64)
    p[0, 6], p[0, 7], p[1, 10], p[1, 12], p[1, 0] = 0.6, 0.3, 0.2, 0.5, 0.2  # a tenth gives no answer
    answers = torch.tensor([rng.choices([*range(24), -1], [*row.tolist(), 0.1], k=64) for row in p])
    return Asked(sums, SampledRows(torch.zeros(2, 64, 12), answers, torch.rand(2, 64, dtype=torch.float64)), p)


def test_shares_are_those_of_pairs_counted_here():
    rng = random.Random()
    both = asked(rng)
    chosen = choose(both)
    right = [6, 10]
    vote, confident, verifier = [], [], []
    for row, scores, r in zip(both.samples.answers.tolist(), both.samples.log_probs.tolist(), right, strict=True):
        pairs = list(itertools.combinations(range(64), 2))
        for one, two in pairs:
            given = Counter(x for x in (row[one], row[two]) if x >= 0)
            tied = [x for x, n in given.items() if n == max(given.values())]
            vote.append((r in tied) / max(1, len(tied)))
            confident.append(row[max(one, two, key=scores.__getitem__)] == r)
            verifier.append(r in (row[one], row[two]))
    for shares, counted in ((chosen.vote, vote), (chosen.confident, confident), (chosen.verifier, verifier)):
        assert shares[1] == pytest.approx(sum(counted) / len(counted), abs=1e-12)
    # exactly: of two, right where both are, or one and the other silent, or half of the ties
    exact = [p * p + 2 * p * 0.1 + 2 * p * (0.9 - p) / 2 for p in (0.6, 0.2)]
    assert chosen.exact_vote[1] == pytest.approx(sum(exact) / 2, abs=1e-12)
    assert chosen.by_sum[-1, 0] > 0.97
    assert chosen.by_sum[-1, 1] < 0.01


def test_the_view_says_where_a_vote_hurts():
    both = asked(random.Random(1))
    mine = Asked(both.sums[1:], SampledRows(both.samples.ids[1:], both.samples.answers[1:], both.samples.log_probs[1:]),
                 both.probabilities[1:])  # fmt: skip
    view = best_of_n_view(both, choose(both), mine, n=64, way="scratch pad", steps=80, temperature=1.0)
    said = plain(view.readout)
    assert "20 + 5 + 9 is 10: p = 20" in said
    assert "but 12 is likelier" in said
    named = {trace["name"]: trace for trace in view.figure["data"]}
    assert named["a vote"]["x"] == [6, 12, 24, 48, 96, 192, 384]
    assert sum(named["drawn"]["y"]) == (both.samples.answers[1] >= 0).sum()
    assert named["right is likeliest"]["x"] == pytest.approx([60])
    assert named["another is likelier"]["x"] == pytest.approx([20])
    assert named["your sum"]["y"][0] < 1


def test_labels_keep_apart():
    placed = _apart([97.0, 78.0, 75.0])
    assert min(abs(a - b) for a, b in itertools.combinations(placed, 2)) >= 12
    assert max(_apart([100.0, 100.0, 99.0])) <= 101


def test_what_is_typed():
    assert read_sum(" 17+9 + 20 = ").tolist() == [[17, 9, 20]]
    for bad in ("", "1 + 2", "24 + 1 + 1", "1 + 2 + 3 + 4", "🦜", "a + b + c", "-1 + 2 + 3", "٣ + 1 + 1", "9" * 10_000):
        with pytest.raises(ValueError, match="no sum on this clock") as refused:
            read_sum(bad)
        assert len(str(refused.value)) < 160


@pytest.mark.slow
def test_the_widget_answers_its_controls():
    w = lab.widgets.BestOfN(trained=20, sum="1 + 2 + 3")
    assert "1 + 2 + 3 is 6" in w.sentence
    w.log_n = 5
    w.wait()
    assert "of 32, the vote" in w.sentence
    w.sum = "🦜 + 1"
    w.wait()
    assert w.sentence.startswith("'🦜 + 1' is no sum on this clock")
    w.way = "at once"
    w.wait()
    assert repr(w).startswith("BestOfN: at once: a vote of 64 beats one sample: ")
    assert len(repr(w)) <= 110
    with pytest.raises(traitlets.TraitError):
        w.way = "aloud"
