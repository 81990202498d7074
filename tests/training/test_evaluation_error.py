"""How sure a score is: intervals against the literature and exact sums, pairs, and a leak that shows."""

from __future__ import annotations

import itertools
import math
import random
from itertools import pairwise

import numpy as np
import pytest
import torch

import lmlab as lab
from lmlab.data.town.measure import answers
from lmlab.data.town.probes import probes
from lmlab.training.evaluation_error import (
    LeakTrial,
    Right,
    Test,
    answered_right,
    compared,
    coverage,
    draws,
    leak,
    questions,
    questions_needed,
    repeated_tests,
)
from lmlab.training.shares import naive_interval, wilson_interval


def early() -> lab.TextModel:
    return lab.load(str(lab.asset("models/town-steps/step-001200")))


@pytest.mark.parametrize(
    ("n_right", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 3: the score interval without correction
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_the_published_one(n_right: int, n: int, low: float, high: float):
    assert wilson_interval(n_right, n) == pytest.approx((low, high), abs=6e-5)
    assert wilson_interval(n - n_right, n) == pytest.approx((1 - high, 1 - low), abs=6e-5)


@pytest.mark.parametrize("seed", range(20))
def test_at_its_ends_the_count_is_just_not_too_far(seed: int):
    """What the interval is: the shares p with |k/n - p| <= z sqrt(p(1 - p)/n), solved by bisection here."""
    rng = random.Random(seed)
    n = rng.randint(1, 400)
    k = rng.randint(0, n)

    def too_far(p: float) -> float:
        return abs(k / n - p) - 1.959963985 * math.sqrt(p * (1 - p) / n)

    for end, outside in zip(wilson_interval(k, n), (0.0, 1.0), strict=True):
        low, high = sorted((k / n, outside))
        for _ in range(80):
            middle = (low + high) / 2
            inside = too_far(middle) <= 0
            low, high = (middle, high) if inside == (outside == 1.0) else (low, middle)
        assert end == pytest.approx(low, abs=1e-6)


def exact_coverage(p: float, n: int, ends) -> float:  # type: ignore[no-untyped-def]
    """The probability, by binomial sum, that the interval of a count holds p."""
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1) if ends(k, n)[0] <= p <= ends(k, n)[1])


@pytest.mark.parametrize(("interval", "ends"), [("wilson", wilson_interval), ("naive", naive_interval)])
@pytest.mark.parametrize(("n_right", "n"), [(620, 50), (970, 30)])
def test_simulated_coverage_is_the_exact_one(interval: str, ends, n_right: int, n: int):
    right = np.arange(1000) < n_right
    tests = repeated_tests(right, n, repeats=20_000, seed=random.randrange(10_000), interval=interval)
    exact = exact_coverage(n_right / 1000, n, ends)
    assert coverage(tests, n_right / 1000) == pytest.approx(exact, abs=6.2 * math.sqrt(exact * (1 - exact) / 20_000))


def test_the_naive_interval_breaks_its_promise_near_the_top_and_wilsons_does_not():
    assert exact_coverage(0.97, 30, naive_interval) < 0.65
    assert exact_coverage(0.97, 30, wilson_interval) > 0.93
    assert naive_interval(20, 20) == (1, 1)
    assert wilson_interval(20, 20)[0] < 0.85


def test_tests_are_drawn_from_the_pool_and_by_the_seed():
    right = np.random.default_rng(0).random(300) < 0.4
    tests = repeated_tests(right, 25, repeats=50, seed=3)
    assert [t.n_right for t in tests] == [int(sum(right[i] for i in row)) for row in draws(300, 25, repeats=50, seed=3)]
    assert tests == repeated_tests(right, 25, repeats=50, seed=3) != repeated_tests(right, 25, repeats=50, seed=4)
    assert [(t.low, t.high) for t in tests] == [wilson_interval(t.n_right, 25) for t in tests]
    assert Test(1, 4, 0.1, 0.3).share == 0.25
    assert Test(1, 4, 0.1, 0.3).holds(0.3)
    assert not Test(1, 4, 0.1, 0.3).holds(0.31)


def answers_of_two(both: int, first_only: int, second_only: int, neither: int) -> tuple[Right, Right]:
    order = np.random.default_rng().permutation(both + first_only + second_only + neither)
    counts = [both, first_only, second_only, neither]
    return np.repeat([True, True, False, False], counts)[order], np.repeat([True, False, True, False], counts)[order]


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [  # Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables, 2017, chapter 8 (first less second)
        ((59, 6, 16, 80), -0.1186, -0.0046),
        ((1, 1, 7, 12), -0.507, -0.026),
        ((14, 5, 0, 22), 0.0115, 0.2265),  # Altman et al., Statistics with Confidence, 2000, table 6.2
    ],
)
def test_the_interval_of_a_lead_is_the_published_one(table, low: float, high: float):
    first, second = answers_of_two(*table)
    assert compared(second, first).paired == pytest.approx((low, high), abs=6e-4 if low == -0.507 else 6e-5)
    turned = compared(first, second)
    assert (-turned.paired[1], -turned.paired[0]) == pytest.approx((low, high), abs=6e-4 if low == -0.507 else 6e-5)


def test_naive_pairs_are_the_standard_error_of_the_differences_and_need_fewer_questions():
    rng = np.random.default_rng(5)
    first = rng.random(400) < 0.5
    second = np.where(rng.random(400) < 0.8, first, rng.random(400) < 0.8)  # mostly the same questions
    found = compared(first, second, interval="naive")
    each, middle = torch.tensor(second.astype(float) - first), float(second.mean() - first.mean())
    half = 1.959964 * float(each.std(correction=0)) / 20
    assert found.paired == pytest.approx((middle - half, middle + half), abs=1e-6)
    spread = sum(torch.tensor(x).double().var(correction=0) for x in (first, second))
    wide = 1.959964 * math.sqrt(float(spread) / 400)
    assert found.apart == pytest.approx((middle - wide, middle + wide), abs=1e-6)
    needed = questions_needed(first, second)
    assert needed is not None
    assert needed[0] == math.ceil(1.959964**2 * float(each.var(correction=0)) / middle**2) < needed[1]
    assert questions_needed(first, first) is None


def test_of_small_tests_the_naive_lead_breaks_its_promise_and_newcombes_does_not():
    """Two models that agree nine times in ten; all tables of ten questions, each with its probability."""
    shares, kept = (0.65, 0.08, 0.02, 0.25), {"wilson": 0.0, "naive": 0.0}
    for both, one, other in itertools.product(range(11), repeat=3):
        if (neither := 10 - both - one - other) < 0:
            continue
        table = (both, one, other, neither)
        ways = math.factorial(10) // math.prod(map(math.factorial, table))
        likely = ways * math.prod(p**k for p, k in zip(shares, table, strict=True))
        for interval in kept:
            low, high = compared(*reversed(answers_of_two(*table)), interval=interval).paired
            kept[interval] += likely * (low <= 0.06 <= high)
    assert kept["naive"] < 0.7
    assert kept["wilson"] > 0.95
    same = np.ones(10, bool)
    assert compared(same, same, interval="naive").paired == (0, 0)
    assert compared(same, same).paired[1] > 0.25


def test_right_is_what_the_model_would_write():
    model = early()
    asked = [p for p in probes(n=12, seed=random.randrange(10_000)) if p.family in ("logic", "arithmetic", "code")]
    one_by_one = [answers(model.model, model.tokenizer, [p])[p.family] == 1 for p in asked]
    assert answered_right(model, asked).tolist() == one_by_one
    trigram = lab.TextModel(
        lab.NGram.fit(lab.corpus("town", documents=50, seed=0).ids(model.tokenizer), n=3, vocab_size=model.vocab_size),
        model.tokenizer,
    )
    assert answered_right(trigram, asked).dtype == bool


def test_a_leak_and_fresh_questions_have_nothing_in_common():
    leaked, fresh = leak("logic", 40, seed=random.randrange(100))
    prompts = [p.prompt for p in (*leaked, *fresh)]
    assert len(set(prompts)) == 80
    few, others = leak("code", 200)  # a family of few different questions
    assert 0 < len(few) == len(others) < 40


@pytest.mark.slow
def test_who_has_read_the_test_is_better_at_it_than_at_fresh_questions():
    """Right on (nearly) all of what it read, after steps that leave fresh questions where they can only be guessed."""
    model = early()
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    trial = LeakTrial(model, "logic", 20, seed=1, steps=16)
    start = trial.points[0]
    assert start.leaked == pytest.approx(float(answered_right(model, trial.leaked).mean()))
    while not trial.is_over:
        trial.advance(8)
    assert [p.step for p in trial.points] == [0, 8, 16]
    assert trial.points[-1].leaked >= 0.9
    assert trial.points[-1].leaked >= trial.points[-1].fresh + 0.15
    assert all(a.step < b.step for a, b in pairwise(trial.points))
    assert all(torch.equal(before[name], value) for name, value in model.model.state_dict().items())


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: wilson_interval(3, 2), "3 right of 2 cannot be"),
        (lambda: wilson_interval(0, 0), "cannot be"),
        (lambda: naive_interval(1, 2, level=1), "level is 1: give a share between 0 and 1"),
        (lambda: repeated_tests(np.ones(3, bool), 2, repeats=1, seed=0, interval="exact"), "no interval 'exact'"),
        (lambda: compared(np.ones(1, bool), np.ones(1, bool)), "two or more questions"),
        (lambda: compared(np.ones(2, bool), np.ones(2, bool), interval="exact"), "choose wilson or naive"),
        (lambda: questions("poems"), "no family 'poems'; choose from"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_counts_cannot_be_leaked_into():
    tok = lab.load("town").tokenizer
    counts = lab.TextModel(lab.NGram.fit([1, 2, 3], n=2, vocab_size=tok.vocab_size), tok, name="counts")
    with pytest.raises(ValueError, match="counts has no weights to train"):
        LeakTrial(counts, "logic", 10)
