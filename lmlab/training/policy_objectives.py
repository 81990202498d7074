"""Reinforcement learning of a language model: the policy is the model, and an answer is one action.

Lecture: "policy gradient with a baseline to reduce variance". Williams 1992 (REINFORCE): where answers are drawn from
the policy itself, the mean of advantage times the gradient of log π(answer) is the gradient of the expected reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from lmlab.training.objectives import answer_log_probs


@dataclass(frozen=True)
class RolloutBatch:
    """B answers that `policy` wrote: inputs and targets (B, T), -100 but where it spoke itself; advantages (B,), by how
    much each was better than expected. `metrics` are figures of the batch for the books."""

    inputs: Tensor
    targets: Tensor
    advantages: Tensor
    metrics: Mapping[str, float] = field(default_factory=dict)
    policy: object = field(default=None, repr=False)

    mean_over_rows: ClassVar[bool] = True


def policy_gradient(model: nn.Module, batch: RolloutBatch, generator: torch.Generator | None = None) -> Tensor:
    """−advantage · log π(answer), in the mean over the B answers; going down it goes up the expected reward.

    log π is the sum over the answer's tokens, not their mean: dividing by the length would be the gradient of
    something else. Its value says little (it is near 0 whatever the policy is worth); its gradient is the point.
    Raises ValueError for answers that another model wrote: their gradient would be that of nothing.
    """
    if batch.policy is not None and batch.policy is not model:
        raise ValueError("These answers are another model's: give `rollouts` the very model that is trained, no copy.")
    return -(batch.advantages * answer_log_probs(model, batch.inputs, batch.targets)).mean()


def k1(log_ratio: Tensor) -> Tensor:
    """KL(π ‖ π_ref) estimated from samples of π by log π/π_ref itself: unbiased, and often negative.

    All three estimators are Schulman's, http://joschu.net/blog/kl-approx.html (2020); log_ratio is log π − log π_ref.
    """
    return log_ratio


def k2(log_ratio: Tensor) -> Tensor:
    """Half the square of the log-ratio: never negative, of low variance, and biased."""
    return log_ratio.square() / 2


def k3(log_ratio: Tensor) -> Tensor:
    """π_ref/π − 1 − log π_ref/π: unbiased and never negative. A figure to look at; as a loss its gradient is another's.

    (Of KL(π_ref ‖ π), the forward one: which is why the penalty is k1, in the reward.)
    """
    return torch.expm1(-log_ratio) + log_ratio
