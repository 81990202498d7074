"""Where a training stands: the model, the optimizer's memory, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from lmlab.training.objectives import Scored
from lmlab.training.optimizer import OptimizerSettings, learning_rate, make_optimizer
from lmlab.training.precision import Precision, pick_precision
from lmlab.training.team import ALONE, Team


@dataclass(kw_only=True)
class TrainState:
    """The model with AdamW's moments, the counters and the random generator; `train` moves it forward in place.

    steps: how long the whole training is planned to be (the schedule depends on it). step: how many are done.
    tokens and seconds: totals so far. accumulate: into how many parts a batch is cut; their gradients are added up,
    so that a large batch fits into a small memory. precision: of the large products. scored: the model with its
    objective; step_module: the same, or what `team` wraps it in.
    """

    model: nn.Module
    optimizer: torch.optim.AdamW
    settings: OptimizerSettings
    steps: int
    seed: int
    generator: torch.Generator
    scored: Scored
    step_module: nn.Module
    team: Team = ALONE
    accumulate: int = 1
    precision: Precision = "fp32"
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(
        cls,
        model: nn.Module,
        *,
        steps: int,
        seed: int = 0,
        settings: OptimizerSettings | None = None,
        accumulate: int = 1,
        precision: str = "fp32",
        compile: bool = False,
        team: Team = ALONE,
    ) -> TrainState:
        """The state before the first step.

        precision: "fp32", "bf16", or "auto", which is bf16 where that is faster. compile: have torch.compile translate
        the step, which takes about a minute and pays for long runs on a GPU alone.
        Raises ValueError for steps below 1, a seed that is not 0 or above, and what is no precision.
        """
        check_steps_and_seed(steps, seed)
        if not isinstance(accumulate, int) or isinstance(accumulate, bool) or accumulate < 1:
            raise ValueError(f"accumulate is {accumulate!r}; it must be a whole number of parts from 1, for example 4.")
        settings = settings or OptimizerSettings()
        scored = Scored(model)
        if compile:
            scored.compile()
        step_module = team.wrap(scored)
        optimizer = make_optimizer(model, settings)
        team.adapt(optimizer)
        device = next(model.parameters()).device
        if precision == "auto":  # measured, and so by one for all
            precision = team.first(lambda: pick_precision(device, "auto"))
        return cls(
            model=model,
            optimizer=optimizer,
            settings=settings,
            steps=steps,
            seed=seed,
            generator=torch.Generator().manual_seed(seed),
            scored=scored,
            step_module=step_module,
            team=team,
            accumulate=accumulate,
            precision=pick_precision(device, precision),
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
