"""A language model trained on a reward, measured as it goes: what it is paid for, and what was wanted of it.

Lecture: "reinforcement learning against the reward model, with the language model as the policy". The reward is often a
stand-in, a model of what people like or a check that can be fooled; `truth` is what it stands for. Where the first
rises while the second falls, the reward is being hacked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from lmlab.data.preferences import Prompt
from lmlab.models.reward import RewardModel
from lmlab.text_model import TextModel
from lmlab.training.loop import train
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.policy_objectives import policy_gradient
from lmlab.training.rollouts import Reward, RolloutReport, rollouts
from lmlab.training.state import TrainState

STEPS, RATE, B, PER_PROMPT, TOKENS = 40, 1e-3, 32, 4, 24


@dataclass(frozen=True, kw_only=True)
class PolicyPoint:
    """Means over the answers that the policy wrote after `step` steps: its reward, the truth (None where there is
    none), KL from where it began (nats an answer), and its length in tokens."""

    step: int
    reward: float
    truth: float | None
    kl: float
    n_tokens: float


@dataclass(frozen=True)
class Rated:
    """One answer with its prompt, what it was paid, and what it was worth."""

    prompt: Prompt
    answer: str
    reward: float
    truth: float | None


class PolicyTrial:
    """A copy of `policy` trained by policy gradient with leave-one-out on `reward`, less `kl` times the KL divergence.

    `truth` is measured on the same answers and never trained on. `points` has a measurement for each step, and one
    after the last; `answers` are those of the last batch. Everything follows from `seed`.
    """

    def __init__(
        self,
        policy: TextModel,
        prompts: Sequence[Prompt],
        reward: Reward | RewardModel,
        *,
        truth: Callable[[Any, str], float] | None = None,
        kl: float = 0.1,
        steps: int = STEPS,
        lr: float = RATE,
        batch: int = B,
        max_new_tokens: int = TOKENS,
        seed: int = 0,
    ) -> None:
        model = cast(nn.Module, copy.deepcopy(policy.model))
        self.policy = TextModel(cast(Any, model), policy.tokenizer, name=f"{policy.name}, rewarded")
        self.stream = rollouts(
            model, prompts, reward, tok=policy.tokenizer, kl=kl, B=batch, n_per_prompt=PER_PROMPT,
            max_new_tokens=max_new_tokens, seed=seed,
        )  # fmt: skip
        settings = OptimizerSettings(lr=lr, weight_decay=0.0, warmup=0, schedule="constant")
        self.state = TrainState.begin(model, steps=steps, seed=seed, settings=settings)
        self.truth = truth
        self.points: list[PolicyPoint] = []
        self.answers: tuple[Rated, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether all steps are taken, and their end is measured."""
        return bool(self.points) and self.points[-1].step >= self.state.steps

    def advance(self) -> PolicyPoint:
        """One step; the measurement is that of the answers it learned from. After the last step one more is written."""
        if self.state.step < self.state.steps:
            train(self.state, self.stream, policy_gradient, self.state.step + 1)
        elif not self.is_over:
            next(iter(self.stream))
        else:
            return self.points[-1]
        assert self.stream.report is not None
        self.points.append(self._measure(self.stream.report, len(self.points)))
        return self.points[-1]

    def _measure(self, report: RolloutReport, step: int) -> PolicyPoint:
        written = list(zip(report.prompts, report.answers, strict=True))
        worth = [None if self.truth is None else float(self.truth(*one)) for one in written]
        self.answers = tuple(
            Rated(*one, reward, value) for one, reward, value in zip(written, report.rewards, worth, strict=True)
        )
        means = report.metrics()
        known = [value for value in worth if value is not None]
        return PolicyPoint(
            step=step, reward=means["reward"], truth=sum(known) / len(known) if known else None, kl=means["kl"],
            n_tokens=means["answer_tokens"],
        )  # fmt: skip
