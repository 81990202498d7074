"""The one training loop. Six stages of a language model's life go through it; only batches and objective differ."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import BatchStream, Objective, counted, moved, n_rows, rows
from lmlab.training.precision import computing_in
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

    Each step: the loss of one batch, its gradient by backpropagation (part by part where `state.accumulate` says
    so), clipped, one AdamW update at the rate of the schedule. `on_step(state, point)` is called after each; False
    ends the training there. The result depends on the state, the batches and the number of threads alone: 10 steps
    and 10 more equal 20, bit for bit, on a CPU.

    Raises TrainingDiverged where loss or gradient stops being finite, BatchesEnded where the stream runs dry,
    ValueError for an `until` beyond the plan.
    """
    if not isinstance(until, int) or isinstance(until, bool) or until < 0 or until > state.steps:
        raise ValueError(f"until is {until!r}; this training was planned for {state.steps} steps, give 0 to that.")
    state.scored.objective = objective
    state.model.train()
    stream = iter(batches)
    try:
        while state.step < until:
            started = time.perf_counter()
            batch = _next_batch(stream, state, until)
            point = _take_step(state, batch, started)
            if on_step is not None and on_step(state, point) is False:
                break
    finally:
        state.optimizer.zero_grad(set_to_none=True)  # of a step that failed half-way
        state.model.eval()
    return state


def _next_batch(stream: Iterator[Any], state: TrainState, until: int) -> Any:
    try:
        return next(stream)
    except StopIteration:
        raise BatchesEnded(
            f"The batches ended after step {state.step} of {until}: the corpus has no more windows; "
            "give more documents, a smaller batch or fewer steps."
        ) from None


def _take_step(state: TrainState, batch: Any, started: float) -> MetricPoint:
    """One update of the weights, unless it would be made of NaN or infinity."""
    lr = state.lr
    loss_value = _backward(state, batch)
    if not math.isfinite(loss_value):
        raise TrainingDiverged(step=state.step + 1, lr=lr, what="loss")
    grad_norm = _clip(state)
    if not math.isfinite(grad_norm):
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


def _backward(state: TrainState, batch: Any) -> float:
    """Leave the gradient of the batch's mean loss in the parameters; returns that loss.

    Each part weighs by the targets that count in it, so that the sum is the mean over all of them.
    """
    parts = _parts(state, batch)
    counts = [counted(part) for part in parts]
    total = sum(counts)
    if total == 0:
        raise ValueError(f"No target of the batch of step {state.step + 1} counts towards a loss; give other text.")
    losses = []
    for part, count in zip(parts, counts, strict=True):
        if count == 0:
            continue
        with computing_in(state.precision, state.device):
            loss = state.scored(moved(part, state.device), state.generator)
        loss = loss if count == total else loss * (count / total)
        loss.backward()
        losses.append(loss.detach().float())
    return float(losses[0] if len(losses) == 1 else torch.stack(losses).sum())


def _parts(state: TrainState, batch: Any) -> list[Any]:
    """The batch, cut into `accumulate` parts of about as many rows each."""
    n = state.accumulate
    if n == 1:
        return [batch]
    B = n_rows(batch)
    if n > B:
        raise ValueError(f"A batch of {B} rows cannot be cut into accumulate={n} parts; give at least {n} rows.")
    return [rows(batch, i * B // n, (i + 1) * B // n) for i in range(n)]


def _clip(state: TrainState) -> float:
    """Shorten the gradient to the longest allowed; returns its norm before that."""
    gradients = [p.grad for p in state.model.parameters() if p.grad is not None]
    norm: Tensor = torch.nn.utils.get_total_norm(gradients)
    value = float(norm)
    if state.settings.clip is not None and math.isfinite(value) and value > state.settings.clip:
        torch._foreach_mul_(gradients, state.settings.clip / value)
    return value
