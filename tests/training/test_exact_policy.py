"""The exact policy: sums over all draws written out, slopes by autograd, means of many draws, an optimizer."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from lmlab.training.exact_policy import (
    BASELINES,
    Bandit,
    Baseline,
    ascend,
    constant_baseline,
    estimate,
    estimator,
)

BANDIT = Bandit((0.11, 0.60, 0.29), (-0.72, 1.19, 0.69))  # the one whose variances are stated in rounded numbers below


def random_bandit(seed: int, V: int = 4, beta: float = 0.3) -> tuple[Bandit, np.ndarray]:
    """A bandit and a policy of it that is not its reference, as log-probabilities (V,)."""
    rng = np.random.default_rng(seed)
    bandit = Bandit(tuple(rng.dirichlet(np.full(V, 2.0)).tolist()), tuple(rng.normal(0.5, 1, V).tolist()), beta)
    return bandit, np.log(rng.dirichlet(np.full(V, 2.0)))


def one_by_one(bandit: Bandit, log_policy: np.ndarray, drawn: tuple[int, ...], baseline: Baseline) -> np.ndarray:
    """The estimate of a draw by autograd: the slope of mean (return − baseline) · log π(token), returns held fixed."""
    logits = torch.tensor(log_policy, requires_grad=True)
    n, log_p = len(drawn), torch.log_softmax(logits, 0)
    reference = torch.tensor(bandit.reference, dtype=torch.float64).log()
    returns = (torch.tensor(bandit.rewards, dtype=torch.float64) - bandit.beta * (log_p - reference)).detach()
    policy, norms = log_p.exp().detach(), []
    for token in range(len(policy)):
        (score,) = torch.autograd.grad(log_p[token], logits, retain_graph=True)
        norms.append(float(score @ score))
    squared = torch.tensor(norms, dtype=torch.float64)
    objective = torch.zeros((), dtype=torch.float64)
    for i, token in enumerate(drawn):
        others = [float(returns[t]) for j, t in enumerate(drawn) if j != i]
        taken = {
            "none": 0.0,
            "mean": (sum(others) + float(returns[token])) / n,
            "leave-one-out": sum(others) / (n - 1) if n > 1 else 0.0,
            "value": float(policy @ returns),
            "optimal": float((policy * squared) @ returns / (policy @ squared)),
        }[baseline]
        objective = objective + (returns[token] - taken) * log_p[token] / n
    (gradient,) = torch.autograd.grad(objective, logits)
    return gradient.numpy()


def enumerated(bandit: Bandit, log_policy: np.ndarray, baseline: Baseline, n: int) -> tuple[np.ndarray, float]:
    """Mean and summed variance of the estimate over all V**n draws, each with its probability."""
    draws = list(itertools.product(range(len(log_policy)), repeat=n))
    odds = np.array([math.exp(sum(log_policy[t] for t in draw)) for draw in draws])
    found = np.array([one_by_one(bandit, log_policy, draw, baseline) for draw in draws])
    mean = odds @ found
    return mean, float(odds @ ((found - mean) ** 2).sum(1))


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize(("n", "beta"), [(2, 0.0), (3, 0.4)])
def test_mean_and_variance_are_those_of_all_draws_written_out(baseline: Baseline, n: int, beta: float) -> None:
    bandit, log_policy = random_bandit(n, V=4 if n < 3 else 3, beta=beta)
    mean, variance = enumerated(bandit, log_policy, baseline, n)
    said = estimator(bandit, log_policy, baseline, n)
    np.testing.assert_allclose(said.mean, mean, atol=1e-12)
    assert said.variance == pytest.approx(variance, rel=1e-9)
    exact = bandit.gradient(log_policy)
    np.testing.assert_allclose(mean, exact * ((n - 1) / n if baseline == "mean" else 1), atol=1e-12)


@pytest.mark.parametrize("baseline", [*BASELINES, 0.7])
def test_an_estimate_from_counts_is_that_of_the_draw(baseline: Baseline | float) -> None:
    bandit, log_policy = random_bandit(7)
    draw = (0, 2, 2, 3, 1, 2)
    counts = np.bincount(draw, minlength=4).astype(float)
    if isinstance(baseline, float):
        returns, scores = bandit.returns(log_policy), np.eye(4) - np.exp(log_policy)
        expected = np.mean([(returns[t] - baseline) * scores[t] for t in draw], axis=0)
    else:
        expected = one_by_one(bandit, log_policy, draw, baseline)
    np.testing.assert_allclose(estimate(bandit, log_policy, counts, baseline), expected, atol=1e-12)


@pytest.mark.parametrize("baseline", BASELINES)
def test_many_draws_have_the_stated_mean_and_variance(baseline: Baseline) -> None:
    """Eight thousand estimates of eight tokens each: within four standard errors, by a seeded draw."""
    bandit, log_policy = random_bandit(11, V=10)
    rng, n, times = np.random.default_rng(3), 8, 8_000
    counts = rng.multinomial(n, np.exp(log_policy) / np.exp(log_policy).sum(), size=times).astype(float)
    found = np.array([estimate(bandit, log_policy, row, baseline) for row in counts])
    said = estimator(bandit, log_policy, baseline, n)
    errors = found.std(0) / math.sqrt(times)
    assert (np.abs(found.mean(0) - said.mean) < 4 * errors).all()
    squares = ((found - said.mean) ** 2).sum(1)
    assert abs(squares.mean() - said.variance) < 4 * squares.std() / math.sqrt(times)
    if baseline == "mean":  # eight tokens are enough to see that it is too short
        assert (np.abs(found.mean(0) - bandit.gradient(log_policy)) > 4 * errors).any()


def test_the_expected_reward_is_not_the_baseline_of_least_variance() -> None:
    log_policy = BANDIT.log_reference
    uniform = sum(BANDIT.rewards) / 3
    found = [estimator(BANDIT, log_policy, b).variance for b in ("none", uniform, "value", "optimal")]
    assert [f"{v:.3f}" for v in found] == ["0.333", "0.213", "0.277", "0.208"]
    best = constant_baseline(BANDIT, log_policy, "optimal")
    others = [estimator(BANDIT, log_policy, best + off).variance for off in (-0.5, -0.01, 0.01, 0.5)]
    assert min(others) > found[3], "no number beats it"


def test_a_constant_added_to_every_reward_moves_the_variance_alone() -> None:
    bandit, log_policy = random_bandit(2)
    higher = Bandit(bandit.reference, tuple(r + 3 for r in bandit.rewards), bandit.beta)
    np.testing.assert_allclose(higher.gradient(log_policy), bandit.gradient(log_policy), atol=1e-12)
    np.testing.assert_allclose(higher.optimum, bandit.optimum, atol=1e-12)
    for baseline in BASELINES:
        before, after = (estimator(b, log_policy, baseline, 8).variance for b in (bandit, higher))
        assert (after > 2 * before) if baseline == "none" else after == pytest.approx(before, rel=1e-9)


def test_the_gradient_is_the_slope_of_the_objective() -> None:
    """By autograd through reward and KL as written, the penalty's own dependence on the policy included."""
    for beta in (0.0, 0.4):
        bandit, log_policy = random_bandit(5, V=10, beta=beta)
        logits = torch.tensor(log_policy + 1.7, requires_grad=True)  # a shift of all logits changes nothing
        log_p = torch.log_softmax(logits, 0)
        reference = torch.tensor(bandit.reference, dtype=torch.float64)
        kl = torch.nn.functional.kl_div(reference.log(), log_p, log_target=True, reduction="sum")
        objective = log_p.exp() @ torch.tensor(bandit.rewards, dtype=torch.float64) - beta * kl
        objective.backward()
        np.testing.assert_allclose(bandit.gradient(log_policy), logits.grad.numpy(), atol=1e-12)
        assert bandit.objective(log_policy) == pytest.approx(float(objective.detach()), abs=1e-12)
        assert bandit.kl(log_policy) == pytest.approx(float(kl.detach()), abs=1e-12)


def test_nothing_beats_the_optimum() -> None:
    """Against scipy's optimizer, which knows the objective alone."""
    for seed, beta in ((1, 0.2), (2, 1.0)):
        bandit, start = random_bandit(seed, V=10, beta=beta)

        def loss(logits: np.ndarray, bandit: Bandit = bandit) -> float:
            return -bandit.objective(logits - np.logaddexp.reduce(logits))

        found = minimize(loss, start, method="BFGS", options={"gtol": 1e-8})
        assert -found.fun <= bandit.best < -found.fun + 1e-5
        policy = np.exp(found.x - np.logaddexp.reduce(found.x))
        np.testing.assert_allclose(bandit.optimum, policy, atol=1e-3)
        assert bandit.objective(bandit.log_optimum) == pytest.approx(bandit.best, abs=1e-12)


def test_without_a_price_all_falls_on_the_highest_reward() -> None:
    bandit = Bandit((0.5, 0.3, 0.2), (0.0, 1.0, -1.0))
    assert bandit.optimum.tolist() == [0, 1, 0]
    assert bandit.best == bandit.objective(bandit.log_optimum) == 1
    assert bandit.kl(bandit.log_optimum) == pytest.approx(-math.log(0.3))
    almost = Bandit(bandit.reference, bandit.rewards, 1e-3)
    np.testing.assert_allclose(almost.optimum, bandit.optimum, atol=1e-12)
    assert np.exp(ascend(bandit, steps=400, lr=2)[-1])[1] > 0.99


def test_ascent_arrives_at_the_optimum_by_exact_and_by_drawn_gradients() -> None:
    reference = np.random.default_rng(4).dirichlet(np.full(10, 20.0))
    bandit = Bandit(tuple(reference.tolist()), tuple(np.linspace(-1, 1, 10).tolist()), 0.5)
    path = ascend(bandit, steps=2_000, lr=1.0)
    np.testing.assert_allclose(np.exp(path[-1]), bandit.optimum, atol=1e-5)
    objectives = [bandit.objective(row) for row in path]
    assert (np.diff(objectives) > -1e-12).all(), "small exact steps never go down"
    np.testing.assert_allclose(path[1] - path[0] - (path[1] - path[0])[0],
                               bandit.gradient(path[0]) - bandit.gradient(path[0])[0], atol=1e-12)  # fmt: skip
    drawn = ascend(bandit, steps=400, lr=0.5, n=32, baseline="leave-one-out", seed=1)
    assert 0.5 * np.abs(np.exp(drawn[-200:]).mean(0) - bandit.optimum).sum() < 0.02
    np.testing.assert_allclose(np.logaddexp.reduce(drawn, axis=1), 0, atol=1e-12)


def test_a_drawn_ascent_follows_from_its_seed() -> None:
    bandit, _ = random_bandit(4)
    one, same, other = (ascend(bandit, steps=9, lr=1, n=2, seed=s) for s in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_a_policy_that_always_says_the_same_has_nothing_to_estimate() -> None:
    sure = np.array([0.0, -800.0, -800.0])
    for baseline in BASELINES:
        said = estimator(BANDIT, sure, baseline, 4)
        assert said.variance == 0
        np.testing.assert_allclose(said.mean, 0)
    assert estimator(BANDIT, BANDIT.log_reference, "mean", 1).variance == 0, "one token less itself is nothing"


def test_what_is_no_task_is_refused_in_a_sentence() -> None:
    for reference, rewards, beta, said in (
        ((1.0,), (1.0,), 0.0, "at least two tokens and a reward for each; got 1 probabilities and 1 rewards"),
        ((0.5, 0.5), (1.0,), 0.0, "got 2 probabilities and 1 rewards"),
        ((0.5, 0.6), (1.0, 0.0), 0.0, "which sum to 1.1"),
        ((0.5, 0.5, 0.0), (1.0, 0.0, 0.0), 0.0, "A token that it rules out cannot be learned"),
        ((0.5, 0.5), (1.0, math.nan), 0.0, "Every reward must be a number"),
        ((0.5, 0.5), (1.0, 0.0), -0.1, "beta is -0.1; the price of the KL divergence is a number of 0 or more"),
    ):
        with pytest.raises(ValueError, match=said):
            Bandit(reference, rewards, beta)
    with pytest.raises(ValueError, match="'leave-one-out' needs at least 2 drawn tokens"):
        estimator(BANDIT, BANDIT.log_reference, "leave-one-out", 1)
    with pytest.raises(ValueError, match="'best' is not known: use a number or one of none, mean"):
        estimate(BANDIT, BANDIT.log_reference, np.ones(3), "best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'mean' is no one number"):
        constant_baseline(BANDIT, BANDIT.log_reference, "mean")
