"""The one training loop. Six stages of a language model's life go through it; only batches and objective differ."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import torch

from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import BatchStream, Objective, countable, counted, moved, n_rows, rows
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
    stream, cursor = iter(batches), None
    try:
        with state.team.on_device():
            while state.step < until:
                started, cursor = time.perf_counter(), batches.state() if state.team.size > 1 else None
                batch = _next_batch(stream, state, until)
                point = _take_step(state, batch, started)
                cursor = None
                if on_step is not None and on_step(state, point) is False:
                    break
    finally:
        if cursor is not None:  # the step failed: processes that are started again meet the same batch
            batches.load_state(cursor)
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
        extra=MappingProxyType(dict(getattr(batch, "metrics", {}))),
    )


def _backward(state: TrainState, batch: Any) -> float:
    """Leave the gradient of the batch's mean loss in the parameters; returns that loss.

    Each part weighs by the targets that count in it, so that the sum is the mean over all of them.
    """
    team, total, parts = state.team, counted(batch), _parts(state, batch)
    if total == 0:
        raise ValueError(f"No target of the batch of step {state.step + 1} counts towards a loss; give other text.")
    losses = []
    for n, part in enumerate(parts, 1):
        # A team averages the gradients of its processes, so each counts `size` times.
        weight = counted(part) / total * team.size
        if weight == 0:
            part = countable(part)  # its loss must be finite for zero times it to be zero
        with team.reducing(state.step_module, last=n == len(parts)):
            with computing_in(state.precision, state.device):
                loss = state.step_module(moved(part, state.device), team.generator(state))
            loss = loss if weight == 1 else loss * weight
            loss.backward()
        losses.append(loss.detach().float())
    return team.sum(losses[0] if len(losses) == 1 else torch.stack(losses).sum()) / team.size


def _parts(state: TrainState, batch: Any) -> list[Any]:
    """The rows of the batch that are this process's, in `accumulate` parts of about as many each."""
    n, first = state.accumulate * state.team.size, state.accumulate * state.team.rank
    if n == 1:
        return [batch]
    B = n_rows(batch)
    if n > B:
        processes = f" for each of {state.team.size} processes" if state.team.size > 1 else ""
        raise ValueError(
            f"A batch of {B} rows cannot be cut into accumulate={state.accumulate} parts{processes}; "
            f"give at least {n} rows."
        )
    return [rows(batch, i * B // n, (i + 1) * B // n) for i in range(first, first + state.accumulate)]


def _clip(state: TrainState) -> float:
    """Shorten the gradient to the longest allowed; returns its norm before that."""
    gradients = [p.grad for p in state.model.parameters() if p.grad is not None]
    value = state.team.norm(gradients)
    if state.settings.clip is not None and math.isfinite(value) and value > state.settings.clip:
        torch._foreach_mul_(gradients, state.settings.clip / value)
    return value
