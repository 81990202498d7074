"""How large a step to take and in which direction: AdamW, its parameter groups, and the learning rate over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from lmlab.training.muon import MuonAdamW

ScheduleName = Literal["cosine", "wsd", "constant"]
SCHEDULES: tuple[str, ...] = ("cosine", "wsd", "constant")


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Everything AdamW and its schedule need, checked on construction.

    optimizer: "adamw", or "muon" for the matrices inside the model and AdamW for the rest. lr: the peak learning
    rate. betas: how long the running means of gradient and squared gradient remember.
    weight_decay: pulls matrices towards zero by lr * weight_decay a step, apart from the gradient ("decoupled").
    clip: longest gradient allowed, as a norm over all parameters; None leaves it alone.
    warmup: steps in which the rate rises from 0; None means 100, or a tenth of the steps where that is less.
    schedule: "cosine" falls along half a cosine, "wsd" (warm-up, stable, decay) stays at the peak and falls
    straight over the last `decay_fraction` of the steps, "constant" stays. final_lr: the last rate as a fraction of lr.

    Raises ValueError in one sentence for a value that cannot train.
    Sources: Loshchilov and Hutter 2019 (AdamW, cosine); Hu et al. 2024 (WSD).
    """

    optimizer: Literal["adamw", "muon"] = "adamw"
    lr: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float | None = 1.0
    warmup: int | None = None
    schedule: ScheduleName = "cosine"
    final_lr: float = 0.0
    decay_fraction: float = 0.2

    def __post_init__(self) -> None:
        _require(self.optimizer in ("adamw", "muon"), f"optimizer is {self.optimizer!r}; choose adamw or muon")
        _require(
            _is_number(self.lr) and 0 < self.lr <= 10,
            f"lr is {self.lr!r}; it must be above 0 and at most 10, for example 0.002",
        )
        _require(
            len(self.betas) == 2 and all(_is_number(b) and 0 <= b < 1 for b in self.betas),
            f"betas is {self.betas!r}; it must be two numbers from 0 to below 1, for example (0.9, 0.95)",
        )
        _require(_is_number(self.eps) and self.eps > 0, f"eps is {self.eps!r}; it must be above 0, for example 1e-8")
        # Beyond 1 the decay would flip the sign of the weights; below it no finite gradient can make them infinite.
        _require(
            _is_number(self.weight_decay) and self.weight_decay >= 0 and self.lr * self.weight_decay <= 1,
            f"weight_decay is {self.weight_decay!r}; it must be from 0 to 1/lr = {1 / self.lr:g}, for example 0.1",
        )
        _require(
            self.clip is None or (_is_number(self.clip) and self.clip > 0),
            f"clip is {self.clip!r}; it must be above 0, for example 1.0, or None for no clipping",
        )
        _require(
            self.warmup is None or (_is_whole(self.warmup) and self.warmup >= 0),
            f"warmup is {self.warmup!r}; it must be a whole number of steps from 0, for example 100",
        )
        _require(self.schedule in SCHEDULES, f"schedule is {self.schedule!r}; choose one of {', '.join(SCHEDULES)}")
        _require(
            _is_number(self.final_lr) and 0 <= self.final_lr <= 1,
            f"final_lr is {self.final_lr!r}; it is a fraction of lr, from 0 to 1",
        )
        _require(
            _is_number(self.decay_fraction) and 0 <= self.decay_fraction <= 1,
            f"decay_fraction is {self.decay_fraction!r}; it is a fraction of the steps, from 0 to 1",
        )


def learning_rate(step: int, steps: int, settings: OptimizerSettings) -> float:
    """The rate of step number `step` (the first is 0) in a training of `steps` steps.

    >>> [round(learning_rate(s, 5, OptimizerSettings(lr=1.0, warmup=1)), 2) for s in range(5)]
    [1.0, 1.0, 0.75, 0.25, 0.0]
    """
    warmup = min(100, steps // 10) if settings.warmup is None else settings.warmup
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.lr
    start = warmup if settings.schedule == "cosine" else max(warmup, steps - round(settings.decay_fraction * steps))
    # Measured to the last step itself, so that the last rate is final_lr and not one step short of it.
    progress = min(1.0, max(0.0, (step - start) / max(1, steps - 1 - start)))
    shape = 0.5 * (1 + math.cos(math.pi * progress)) if settings.schedule == "cosine" else 1 - progress
    return settings.lr * (settings.final_lr + (1 - settings.final_lr) * shape)


def make_optimizer(model: nn.Module, settings: OptimizerSettings) -> torch.optim.AdamW:
    """AdamW with the usual two groups: matrices and embeddings decay, gains and biases (one axis) do not.

    With `optimizer="muon"` the matrices that are neither embedding nor unembedding take Muon's steps instead.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    _require(bool(parameters), "this model has no parameters to train; counts are fitted, not trained: use fit")
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    tables |= {id(p) for name, p in model.named_parameters() if name.startswith("unembedding")}
    hidden = [p for p in parameters if settings.optimizer == "muon" and p.dim() == 2 and id(p) not in tables]
    taken = {id(p) for p in hidden}
    groups: list[dict[str, Any]] = [
        {"params": hidden, "weight_decay": settings.weight_decay, "muon": True},
        {
            "params": [p for p in parameters if p.dim() >= 2 and id(p) not in taken],
            "weight_decay": settings.weight_decay,
            "muon": False,
        },
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0, "muon": False},
    ]
    return MuonAdamW(
        [g for g in groups if g["params"]],
        lr=settings.lr,
        betas=settings.betas,
        eps=settings.eps,
        fused=parameters[0].device.type in ("cpu", "cuda"),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence + ".")
