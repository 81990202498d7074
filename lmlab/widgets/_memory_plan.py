"""MemoryBudget without the widget: what is to fit, the figures that follow, and the boxes that it fills."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lmlab.devices import GPUS
from lmlab.models.config import TransformerConfig
from lmlab.systems.memory import PRECISIONS, MemoryUse, gpus_needed, inference_memory, training_memory
from lmlab.widgets._calculator import Figure
from lmlab.widgets._style import n_bytes

LABELS = {
    "total": "all together", "gpus": "GPUs at least", "peak": "peak of a step", "weights": "weights",
    "gradients": "gradients", "master": "float32 copy", "moments": "two moments", "activations": "activations",
    "cache": "keys and values",
}  # fmt: skip
MOST_BOXES = 200  # more are too small to be told apart: then each stands for ten GPUs, or a hundred
SLIVER = 0.02  # of one box: less is nothing to look at


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to fit: a model's config or a number of weights alone, for what, in which numbers, of which texts."""

    name: str
    model: TransformerConfig | float
    use: str
    precision: str
    checkpointing: bool
    gpu: str
    B: int
    T: int
    weight_bits: float

    @property
    def known(self) -> bool:
        """Whether the model's shape is known, and with it what a text takes."""
        return isinstance(self.model, TransformerConfig)

    @property
    def memory(self) -> MemoryUse:
        """Its bytes, by arithmetic."""
        if self.use == "training":
            return training_memory(
                self.model, B=self.B, T=self.T, precision=self.precision, checkpointing=self.checkpointing
            )
        return inference_memory(self.model, B=self.B, S=self.T, weight_bits=self.weight_bits)

    @property
    def idle(self) -> tuple[str, ...]:
        """The controls that change nothing in such a plan."""
        if self.use == "inference":
            return "precision", "checkpointing"
        return () if self.known else ("checkpointing",)


def memory_figures(plan: Plan, use: MemoryUse) -> tuple[Figure, ...]:
    """The sum of a plan's parts, the GPUs it needs, the parts, and a step's peak where the model's shape is known."""
    texts = ("texts", "tokens") if plan.known else ()
    weights = ("billion_params", *(("weight_bits",) if plan.use == "inference" else ()))
    total = Figure("total", LABELS["total"], float(use.total), n_bytes(use.total),
                   " + ".join(LABELS[name].split()[-1] for name in use.parts), (*weights, *texts))  # fmt: skip
    n, room = gpus_needed(use, plan.gpu), GPUS[plan.gpu].n_bytes
    left = use.total - (n - 1) * room
    last = "" if n == 1 else "; the last is full" if left == room else f"; in the last, {n_bytes(left)}"
    gpus = Figure("gpus", LABELS["gpus"], float(n), gpus_said(n, plan.gpu), f"of {room / 1e9:g} GB{last}", total.uses)
    parts = [
        Figure(name, LABELS[name], float(value), n_bytes(value), *_why(plan, name, weights, texts))
        for name, value in use.parts.items()
    ]
    if use.peak is None:
        return total, gpus, *parts
    peak = Figure("peak", LABELS["peak"], float(use.peak), n_bytes(use.peak), "at its fullest moment", total.uses)
    return total, gpus, *parts, peak


def _why(plan: Plan, part: str, weights: tuple[str, ...], texts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """From what a part follows, in words, and the dials that move it."""
    if part in ("activations", "cache"):
        inputs = ", layers’ inputs" if part == "activations" and plan.checkpointing else ""
        return f"{plan.B:,} × {plan.T:,} tokens{inputs}", texts
    a_weight = plan.weight_bits / 8 if plan.use == "inference" else getattr(PRECISIONS[plan.precision], part)
    return f"{a_weight:.4g} bytes a weight", weights


def gpus_said(n: int, gpu: str) -> str:
    """`1 H100`, `14 H100s`, `14 A100 80GB`."""
    return f"{n:,} {gpu}{'s' if n > 1 and gpu.split()[-1] not in ('40GB', '80GB', 'PCIe', 'NVL') else ''}"


def last_said(use: MemoryUse, gpu: str) -> str:
    """What the last GPU is for, where a rounded sum hides that one fewer does not hold it: `, the last for 1.60 MB`."""
    others = (gpus_needed(use, gpu) - 1) * GPUS[gpu].n_bytes
    return f", the last for {n_bytes(use.total - others)}" if n_bytes(use.total) == n_bytes(others) else ""


@dataclass(frozen=True)
class Filled:
    """A part in the row of boxes: where it starts and ends, in boxes."""

    name: str
    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Boxes:
    """Memory as boxes of one GPU (or of `each`), filled part after part; `free` says what stays empty in the last."""

    title: str
    note: str
    n: int
    each: int
    parts: tuple[Filled, ...]
    free: str
    said: str


def memory_boxes(use: MemoryUse, gpu: str) -> Boxes | None:
    """The parts of a use poured one after another into GPUs, or None where they would not be seen in the first."""
    n, each = gpus_needed(use, gpu), 1
    while n > MOST_BOXES * each:
        each *= 10
    room = each * GPUS[gpu].n_bytes
    if use.total < SLIVER * room:
        return None
    parts, at = [], 0
    for name, value in use.parts.items():
        parts.append(Filled(name, LABELS[name], at / room, (at + value) / room))
        at += value
    n_boxes = math.ceil(n / each)
    free = n_boxes * room - at
    sizes: Mapping[str, int] = use.parts
    return Boxes(
        title=f"{gpus_said(n, gpu)} of {GPUS[gpu].n_bytes / 1e9:g} GB",
        note="a box each" if each == 1 else f"{each:,} to a box",
        n=n_boxes,
        each=each,
        parts=tuple(parts),
        free=f"{n_bytes(free)} free" if free else "",
        said=", ".join(f"{LABELS[name]} {n_bytes(size)}" for name, size in sizes.items()),
    )
