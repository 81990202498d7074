"""Where a training stands: the model, the optimizer's memory, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from lmlab.training.optimizer import OptimizerSettings, learning_rate, make_optimizer


@dataclass(kw_only=True)
class TrainState:
    """The model with AdamW's moments, the counters and the random generator; `train` moves it forward in place.

    steps: how long the whole training is planned to be (the schedule depends on it). step: how many are done.
    tokens and seconds: totals so far.
    """

    model: nn.Module
    optimizer: torch.optim.AdamW
    settings: OptimizerSettings
    steps: int
    seed: int
    generator: torch.Generator
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(
        cls, model: nn.Module, *, steps: int, seed: int = 0, settings: OptimizerSettings | None = None
    ) -> TrainState:
        """The state before the first step. Raises ValueError for steps below 1 or a seed that is not 0 or above."""
        check_steps_and_seed(steps, seed)
        settings = settings or OptimizerSettings()
        return cls(
            model=model,
            optimizer=make_optimizer(model, settings),
            settings=settings,
            steps=steps,
            seed=seed,
            generator=torch.Generator().manual_seed(seed),
        )

    @property
    def lr(self) -> float:
        """The learning rate that the next step will use."""
        return learning_rate(self.step, self.steps, self.settings)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device


def check_steps_and_seed(steps: object, seed: object) -> None:
    """Refuse, in one sentence, a number of steps or a seed that cannot be meant."""
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise ValueError(f"steps is {steps!r}; it must be a whole number from 1, for example 300.")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed!r}; it must be a whole number from 0, for example 0.")
