"""Scratch pad and votes: exact shares against brute force and samples, the gap against chance."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest
import torch

from lmlab.data.clock_sums import ASKED, HOURS, WAYS, ClockSums, V, clock_tokenizer, held_out_sums, written_sums
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.clock_trial import (
    STEPS,
    ClockTrial,
    answer_distribution,
    sampled_rows,
    stored_scratch_pad,
    trained_clock,
)
from lmlab.training.votes import best_by_score, pass_at_n, vote_of_draws, vote_of_samples


def wins(answers, right):
    """One vote, counted: the share of a win, ties broken at random."""
    votes = Counter(a for a in answers if a is not None)
    if not votes or votes[right] < max(votes.values()):
        return 0.0
    return 1 / sum(n == votes[right] for n in votes.values())


@pytest.mark.parametrize("seed", range(12))
def test_votes_of_samples_are_those_of_every_subset(seed):
    rng = random.Random(seed)
    samples = [rng.choice([0, 0, 1, 2, 3, None]) for _ in range(8)]
    n = rng.randint(1, 8)
    subsets = list(itertools.combinations(range(8), n))
    brute = sum(wins([samples[i] for i in s], 0) for s in subsets) / len(subsets)
    counts = [samples.count(a) for a in range(4)]
    assert vote_of_samples(counts, 0, n, samples.count(None)) == pytest.approx(brute, abs=1e-12)
    passed = sum(any(samples[i] == 0 for i in s) for s in subsets) / len(subsets)
    assert pass_at_n(8, counts[0], n) == pytest.approx(passed, abs=1e-12)
    scores = [rng.random() for _ in range(8)]
    best = sum(samples[max(s, key=scores.__getitem__)] == 0 for s in subsets) / len(subsets)
    assert best_by_score(scores, [x == 0 for x in samples], n) == pytest.approx(best, abs=1e-12)


def test_votes_of_draws_are_those_of_every_outcome():
    p = np.random.default_rng().dirichlet(np.ones(5), 2)[:, :4]  # the fifth is no answer
    for n in (1, 2, 3, 5):
        for b, right in enumerate((0, 2)):
            full = [*p[b], 1 - p[b].sum()]
            brute = sum(
                math.prod(full[i] for i in drawn) * wins([i if i < 4 else None for i in drawn], right)
                for drawn in itertools.product(range(5), repeat=n)
            )
            assert vote_of_draws(p, [0, 2], n)[b] == pytest.approx(brute, abs=1e-12)


@pytest.mark.parametrize("p", [0.001, 0.02, 0.4, 0.6, 0.98])
@pytest.mark.parametrize("n", [11, 64])
def test_a_vote_sharpens_what_is_likeliest_and_ruins_what_is_not(p, n):
    """Condorcet 1785: above one half a majority is surer than one; below, and against one rival, it is less sure."""
    ways = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    majority = sum(ways[n // 2 + 1 :]) + (ways[n // 2] / 2 if n % 2 == 0 else 0)
    assert vote_of_draws(np.array([[p, 1 - p]]), [0], n)[0] == pytest.approx(majority, abs=1e-12)
    assert (majority > p) == (p > 0.5)


def test_what_cannot_be_picked_is_refused():
    for wrong in (lambda: pass_at_n(4, 5, 1), lambda: pass_at_n(4, 1, 5), lambda: vote_of_samples([2], 0, 0),
                  lambda: best_by_score([1.0], [True], 2)):  # fmt: skip
        with pytest.raises(ValueError, match="give"):
            wrong()


# ---------------------------------------------------------------- the sums and who learns them


def test_rows_add_up_and_none_is_held_out():
    tok, held = clock_tokenizer(), {tuple(row) for row in held_out_sums().tolist()}
    for way in WAYS:
        batch = ClockSums(way, seed=random.randrange(1000)).next()
        for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
            a, b, c = row[0], row[2], row[4]
            assert (a, b, c) not in held
            text = tok.decode([*row, target[-1]])
            between = {"at once": "", "dots": "… … … … ", "scratch pad": f"{(a + b) % 24} + {c} = "}[way]
            assert text == f"{a} + {b} + {c} = {between}{(a + b + c) % 24} ."
            assert target[: ASKED - 1] == [-100] * (ASKED - 1)
            assert target[ASKED - 1 :] == [*row[ASKED:], target[-1]]
    with pytest.raises(ValueError, match="choose at once"):
        ClockSums("aloud")


def skewed(seed):
    """A random model whose logits are far enough from even that a dropped factor shows."""
    config = TransformerConfig(vocab_size=V, max_seq_len=16, d_model=16, n_layers=1, n_heads=2)
    model = Transformer(config, seed=seed)
    with torch.no_grad():
        model.embedding.weight *= 8
        model.embedding.weight[HOURS:] *= 1.5
    return model


@pytest.mark.parametrize("way", WAYS)
def test_the_distribution_is_that_of_all_texts(way, monkeypatch):
    """Every text of a scratch pad is scored whole, by log_probs, and added up."""
    monkeypatch.setattr("lmlab.training.clock_trial.NEGLIGIBLE", 1e-300)
    model, sums = skewed(3), held_out_sums()[:1]
    exact = answer_distribution(model, sums, way, temperature=1.0)[0]
    rows = written_sums(sums, way)[:, :-1].repeat(HOURS, 1)
    rows[:, -1] = torch.arange(HOURS)
    if way == "scratch pad":
        rows = rows.repeat(HOURS**2, 1)
        pads = torch.cartesian_prod(torch.arange(HOURS), torch.arange(HOURS)).repeat_interleave(HOURS, 0)
        rows[:, ASKED], rows[:, ASKED + 2] = pads.T
    log_probs = model.log_probs(rows[:, :-1])[:, ASKED - 1 :].double()
    whole = log_probs.gather(2, rows[:, ASKED:, None])[..., 0].sum(1).exp()
    expected = torch.zeros(HOURS, dtype=torch.float64).index_add(0, rows[:, -1], whole)
    assert torch.allclose(exact, expected, rtol=1e-4, atol=0)
    assert expected.sum() < 0.999, "some texts are no answer"


@pytest.mark.slow
def test_samples_follow_the_distribution():
    model, sums, n = trained_clock("scratch pad", 60).model, held_out_sums()[1:3], 4000
    for temperature in (0.7, 1.5):
        drawn = sampled_rows(model, sums, "scratch pad", n=n, temperature=temperature, seed=random.randrange(10**6))
        exact = answer_distribution(model, sums, "scratch pad", temperature=temperature)
        assert exact.sum() > 1, "most of two texts answer"
        for row, p in zip(drawn.answers, exact, strict=True):
            counted = torch.bincount(row[row >= 0], minlength=HOURS) / n
            assert torch.allclose(counted.double(), p, atol=3.2 / math.sqrt(n))  # 6.4 standard errors and more
        one = drawn.ids[0, :1]
        scored = model.log_probs(one[:, :-1])[0, ASKED - 1 :].gather(1, one[0, ASKED:, None]).sum()
        assert float(drawn.log_probs[0, 0]) == pytest.approx(float(scored), abs=1e-4)


@pytest.mark.slow
def test_a_scratch_pad_is_worth_more_than_three_tenths():
    """Live, one seed: what is stored for three."""
    right = {way: ClockTrial(way, steps=STEPS).finish().points[-1].accuracy for way in WAYS}
    assert right["scratch pad"] - max(right["at once"], right["dots"]) >= 0.3, right


def test_the_stored_gap_is_that_of_three_seeds():
    runs = stored_scratch_pad()
    for seed in (0, 1, 2):
        mine = {(run.way, run.steps): run for run in runs if run.seed == seed}
        pad, longer = mine["scratch pad", STEPS], mine["at once", 10 * STEPS]
        others = (mine["at once", STEPS], mine["dots", STEPS], longer)
        assert pad.accuracy - max(run.accuracy for run in others) >= 0.3
        assert pad.n_tokens == mine["dots", STEPS].n_tokens < longer.n_tokens
        chance = 1 / HOURS
        assert all(abs(run.accuracy - chance) < 4 * math.sqrt(chance / 400) for run in others), "chance, and no more"
