"""The one training loop. Six stages of a language model's life go through it; only batches and objective differ."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import BatchStream, Objective
from lmlab.training.state import TrainState

OnStep = Callable[[TrainState, MetricPoint], bool | None]


class TrainingDiverged(FloatingPointError):
    """Loss or gradient is no longer a finite number. The model still has the weights from before that step."""

    def __init__(self, *, step: int, lr: float, what: str) -> None:
        self.step, self.lr = step, lr
        super().__init__(
            f"The {what} at step {step} is not a finite number (learning rate {lr:.3g}); training stopped "
            f"there and kept the last finite weights: try a smaller lr, or a longer warmup."
        )


class BatchesEnded(RuntimeError):
    """The batch stream had nothing more to give before the training was over."""


def train(
    state: TrainState, batches: BatchStream, objective: Objective, until: int, on_step: OnStep | None = None
) -> TrainState:
    """Take gradient steps until `until` of them are done in all, and return the state, which has moved in place.

    Each step: the loss of one batch, its gradient by backpropagation, clipped, one AdamW update at the rate of the
    schedule. `on_step(state, point)` is called after each; False ends the training there. The result depends on the
    state, the batches and the number of threads alone: 10 steps and 10 more equal 20, bit for bit, on a CPU.

    Raises TrainingDiverged where loss or gradient stops being finite, BatchesEnded where the stream runs dry,
    ValueError for an `until` beyond the plan.
    """
    if not isinstance(until, int) or isinstance(until, bool) or until < 0 or until > state.steps:
        raise ValueError(f"until is {until!r}; this training was planned for {state.steps} steps, give 0 to that.")
    state.model.train()
    stream = iter(batches)
    try:
        while state.step < until:
            started = time.perf_counter()
            batch = _next_batch(stream, state, until)
            point = _take_step(state, batch, objective, started)
            if on_step is not None and on_step(state, point) is False:
                break
    finally:
        state.model.eval()
    return state


def _next_batch(stream: Iterator[Any], state: TrainState, until: int) -> Any:
    try:
        batch = next(stream)
    except StopIteration:
        raise BatchesEnded(
            f"The batches ended after step {state.step} of {until}: the corpus has no more windows; "
            "give more documents, a smaller batch or fewer steps."
        ) from None
    return batch if state.device.type == "cpu" else batch.to(state.device)


def _take_step(state: TrainState, batch: Any, objective: Objective, started: float) -> MetricPoint:
    """One update of the weights, unless it would be made of NaN or infinity."""
    lr = state.lr
    with _precision(state.device):
        loss = objective(state.model, batch, state.generator)
    loss_value = float(loss.detach())
    if not math.isfinite(loss_value):
        raise TrainingDiverged(step=state.step + 1, lr=lr, what="loss")
    loss.backward()
    grad_norm = _clip(state)
    if not math.isfinite(grad_norm):
        state.optimizer.zero_grad(set_to_none=True)
        raise TrainingDiverged(step=state.step + 1, lr=lr, what="gradient")
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    state.tokens += int(batch.inputs.numel())
    state.seconds += time.perf_counter() - started
    return MetricPoint(
        step=state.step,
        loss=loss_value,
        lr=lr,
        grad_norm=grad_norm,
        tokens=state.tokens,
        seconds=round(state.seconds, 4),
    )


def _clip(state: TrainState) -> float:
    """Shorten the gradient to the longest allowed; returns its norm before that."""
    gradients = [p.grad for p in state.model.parameters() if p.grad is not None]
    norm: Tensor = torch.nn.utils.get_total_norm(gradients)
    value = float(norm)
    if state.settings.clip is not None and math.isfinite(value) and value > state.settings.clip:
        torch._foreach_mul_(gradients, state.settings.clip / value)
    return value


def _precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bf16 products on an NVIDIA card, where they are several times faster; float32 everywhere else."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()
