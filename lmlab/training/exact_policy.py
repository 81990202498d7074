"""Reinforcement learning small enough to be known exactly: one prompt, one token, a handful of tokens to choose from.

A policy is a distribution over V tokens, softmax of V logits. The objective is the expected reward less β times the KL
divergence from a reference. Everything that a large model can only sample is a sum over V tokens here: the gradient,
the mean and the variance of the policy-gradient estimate for each baseline, and the best policy, π_ref · e^(r/β).

Sources: REINFORCE and its baseline: Williams 1992, doi.org/10.1007/BF00992696; the baseline of least variance:
Greensmith et al. 2004, jmlr.org/papers/v5/greensmith04a.html; the optimum: Rafailov et al. 2023, arXiv 2305.18290.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Baseline = Literal["none", "mean", "leave-one-out", "value", "optimal"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)


@dataclass(frozen=True)
class Bandit:
    """The task: a `reference` distribution over V tokens, a reward for each, and β, the price of a nat of KL.

    A policy is passed as its natural log-probabilities (V,). The KL penalty is part of each token's `returns`,
    r − β·log(π/π_ref). Raises ValueError for fewer than two tokens, a token that the reference rules out, a reward
    that is no number, or a negative β.
    """

    reference: tuple[float, ...]
    rewards: tuple[float, ...]
    beta: float = 0.0

    def __post_init__(self) -> None:
        V = len(self.reference)
        if V < 2 or len(self.rewards) != V:
            raise ValueError(
                f"A policy needs at least two tokens and a reward for each; got {V} probabilities and "
                f"{len(self.rewards)} rewards."
            )
        if not all(0 < p < 1 for p in self.reference) or abs(sum(self.reference) - 1) > 1e-6:
            raise ValueError(
                f"The reference must be probabilities above 0 that sum to 1; got {list(self.reference)}, which sum to "
                f"{sum(self.reference):g}. A token that it rules out cannot be learned: leave it out."
            )
        if not all(math.isfinite(r) for r in self.rewards):
            raise ValueError(f"Every reward must be a number; got {list(self.rewards)}.")
        if not (math.isfinite(self.beta) and self.beta >= 0):
            raise ValueError(f"beta is {self.beta!r}; the price of the KL divergence is a number of 0 or more.")

    @property
    def log_reference(self) -> Numbers:
        """log π_ref (V,): where a training begins."""
        return np.log(np.array(self.reference))

    @property
    def log_optimum(self) -> Numbers:
        """log of the policy (V,) of the highest objective, π_ref · e^(r/β), normalized. Without a price all of it lies
        on the highest reward, the others have −inf, and equal ones share it as the reference does."""
        over = np.array(self.rewards) - max(self.rewards)
        tilt = over / self.beta if self.beta > 0 else np.where(over == 0, 0.0, -np.inf)
        weights = self.log_reference + tilt
        return np.asarray(weights - np.logaddexp.reduce(weights))

    @property
    def optimum(self) -> Numbers:
        """The policy (V,) of the highest objective.

        >>> [round(p, 6) for p in Bandit((0.5, 0.25, 0.25), (0.0, 1.0, 1.0)).optimum.tolist()]
        [0.0, 0.5, 0.5]
        """
        return np.exp(self.log_optimum)

    @property
    def best(self) -> float:
        """The objective of the optimum: β·log Σ π_ref·e^(r/β), or the highest reward where β is 0."""
        rewards, top = np.array(self.rewards), max(self.rewards)
        if self.beta == 0:
            return top
        return top + self.beta * math.log(float(np.array(self.reference) @ np.exp((rewards - top) / self.beta)))

    def kl(self, log_policy: Numbers) -> float:
        """KL(π ‖ π_ref), in nats."""
        policy = np.exp(log_policy)
        terms = np.where(policy > 0, policy * (np.where(policy > 0, log_policy, 0.0) - self.log_reference), 0.0)
        return max(0.0, float(terms.sum()))

    def expected_reward(self, log_policy: Numbers) -> float:
        """The mean reward of what the policy says."""
        return float(np.exp(log_policy) @ np.array(self.rewards))

    def objective(self, log_policy: Numbers) -> float:
        """Expected reward − β · KL: what training makes larger."""
        return self.expected_reward(log_policy) - self.beta * self.kl(log_policy)

    def returns(self, log_policy: Numbers) -> Numbers:
        """What each token earns (V,): its reward less the penalty, r − β·log(π/π_ref)."""
        return np.array(self.rewards) - self.beta * (log_policy - self.log_reference)

    def gradient(self, log_policy: Numbers) -> Numbers:
        """The objective's gradient by the V logits: π · (return − mean return). That the penalty depends on the policy
        adds nothing, since the mean of ∇ log π is zero."""
        policy, returns = np.exp(log_policy), self.returns(log_policy)
        return np.asarray(policy * (returns - policy @ returns))


@dataclass(frozen=True)
class Estimator:
    """What the policy-gradient estimate is on average (V,), and its variance, summed over the V logits."""

    mean: Numbers
    variance: float


def constant_baseline(bandit: Bandit, log_policy: Numbers, baseline: Baseline) -> float:
    """The number that "none", "value" and "optimal" take off every return: 0, the policy's mean return (what a learned
    value function ends at), or the mean return weighted by ‖∇ log π‖², of which no number has less variance."""
    if baseline not in ("none", "value", "optimal"):
        raise ValueError(f'{baseline!r} is no one number; "none", "value" and "optimal" are.')
    policy, returns = np.exp(log_policy), bandit.returns(log_policy)
    weights = {"none": 0 * policy, "value": policy, "optimal": policy * _squared_scores(policy)}[baseline]
    total = float(weights.sum())
    if baseline == "optimal" and total < 1e-300:  # a policy that always says the same has no variance to lessen
        weights, total = policy, 1.0
    return float(weights @ returns) / (total or 1.0)


def estimator(bandit: Bandit, log_policy: Numbers, baseline: Baseline | float = "none", n: int = 1) -> Estimator:
    """The distribution of `estimate` over draws of `n` tokens, in closed form.

    A `baseline` that does not depend on the token it is taken off, a number among them, leaves the mean at the exact
    gradient. "mean" subtracts the mean of all n returns, a token's own included: the estimate shrinks by (n − 1)/n.
    Leave-one-out is the sample covariance of return and ∇ log π, and its variance that of a sample covariance.
    """
    _check(baseline, n)
    policy, returns = np.exp(log_policy), bandit.returns(log_policy)
    gradient, squared = bandit.gradient(log_policy), _squared_scores(policy)
    length = float(gradient @ gradient)
    if baseline in ("mean", "leave-one-out"):
        shrink = (n - 1) / n if baseline == "mean" else 1.0
        if n == 1:
            return Estimator(0 * gradient, 0.0)
        centered = (returns - policy @ returns) ** 2
        spread = float(policy @ centered) * float(policy @ squared)
        variance = (float(policy @ (centered * squared)) - (n - 2) / (n - 1) * length + spread / (n - 1)) / n
        return Estimator(shrink * gradient, shrink**2 * max(0.0, variance))
    number = baseline if isinstance(baseline, (int, float)) else constant_baseline(bandit, log_policy, baseline)
    variance = (float(policy @ ((returns - number) ** 2 * squared)) - length) / n
    return Estimator(gradient, max(0.0, variance))


def estimate(bandit: Bandit, log_policy: Numbers, drawn: Numbers, baseline: Baseline | float = "none") -> Numbers:
    """The policy gradient (V,) from a draw: the mean of (return − baseline) · ∇ log π over the drawn tokens, whose
    counts are `drawn` (V,)."""
    n = int(drawn.sum())
    _check(baseline, n)
    policy, returns = np.exp(log_policy), bandit.returns(log_policy)
    if baseline in ("mean", "leave-one-out"):
        number = float(drawn @ returns) / n
    elif isinstance(baseline, (int, float)):
        number = baseline
    else:
        number = constant_baseline(bandit, log_policy, baseline)
    advantages = drawn * (returns - number) / (n - 1 if baseline == "leave-one-out" else n)
    return np.asarray(advantages - policy * advantages.sum())


def ascend(
    bandit: Bandit, *, steps: int, lr: float, n: int | None = None, baseline: Baseline = "none", seed: int = 0
) -> Numbers:
    """Log-policies (steps + 1, V) of plain gradient ascent on the logits, from the reference on.

    `n` tokens are drawn at each step with numbers that follow from `seed`; None takes the exact gradient.
    """
    rng = np.random.default_rng(seed)
    logits, path = bandit.log_reference, np.empty((steps + 1, len(bandit.reference)))
    for step in range(steps + 1):
        logits = path[step] = logits - np.logaddexp.reduce(logits)
        policy = np.exp(logits)
        if n is None:
            slope = bandit.gradient(logits)
        else:
            drawn = rng.multinomial(n, policy / policy.sum()).astype(np.float64)
            slope = estimate(bandit, logits, drawn, baseline)
        logits = logits + lr * slope
    return path


def _squared_scores(policy: Numbers) -> Numbers:
    """‖∇ log π‖² of each token (V,), by the logits: the squared distance from the policy to that token for certain."""
    return np.asarray((1 - policy) ** 2 + (policy @ policy - policy**2))


def _check(baseline: Baseline | float, n: int) -> None:
    if isinstance(baseline, str) and baseline not in BASELINES:
        raise ValueError(f"baseline={baseline!r} is not known: use a number or one of {', '.join(BASELINES)}.")
    least = 2 if baseline == "leave-one-out" else 1
    if n < least:
        raise ValueError(f"n is {n}; the baseline {baseline!r} needs at least {least} drawn tokens.")
