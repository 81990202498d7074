"""What the model is asked to get right: from a batch to one number that gradient descent makes smaller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmlab.models.transformer import Transformer

IGNORED = -100  # a target that does not count, as everywhere in PyTorch


class Batch(Protocol):
    """Ids in and ids wanted, both (B, T); a target of -100 does not count towards the loss."""

    @property
    def inputs(self) -> Tensor: ...

    @property
    def targets(self) -> Tensor: ...


class BatchStream(Protocol):
    """An endless iterator of batches that knows its place: `state()` is a plain value, `load_state` goes back to it."""

    def __iter__(self) -> Iterator[Any]: ...

    def state(self) -> dict[str, Any]: ...

    def load_state(self, state: dict[str, Any]) -> None: ...


class Objective(Protocol):
    """(model, batch, generator) -> loss, a scalar in nats with a gradient; what it draws, it draws from `generator`."""

    def __call__(self, model: nn.Module, batch: Any, generator: torch.Generator) -> Tensor: ...


class Scored(nn.Module):
    """A model and what is asked of it as one module, so that whatever wraps a module wraps the whole of a step.

    (torch.compile, DDP and FSDP2 act on a module's call; an objective may call any part of the model.)
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.objective: Objective = next_token

    def forward(self, batch: Any, generator: torch.Generator) -> Tensor:
        """The loss, a scalar in nats."""
        return self.objective(self.model, batch, generator)


AnyBatch = TypeVar("AnyBatch")


def rows(batch: AnyBatch, start: int, stop: int) -> AnyBatch:
    """The rows from `start` to before `stop` of a batch: of every tensor and list in it that has one entry a row."""
    B = n_rows(batch)

    def cut(value: Any) -> Any:
        one_a_row = isinstance(value, list) or (isinstance(value, Tensor) and value.dim() > 0)
        return value[start:stop] if one_a_row and len(value) == B else value

    return _each_field(batch, cut)


def n_rows(batch: Any) -> int:
    """B: the rows of a batch, by its first tensor."""
    return next(len(value) for value in _fields(batch).values() if isinstance(value, Tensor))


def counted(batch: Any) -> int:
    """What a batch's mean is a mean over: its targets other than -100, or its rows.

    Its rows where it has no targets, or where it says so (`mean_over_rows`): an answer written is one action, and a
    long one counts no more than a short one.
    """
    targets = getattr(batch, "targets", None)
    if targets is None or getattr(batch, "mean_over_rows", False):
        return n_rows(batch)
    return int((targets != IGNORED).sum())


def countable(batch: AnyBatch) -> AnyBatch:
    """A batch of the same shape in which every target counts, for a loss that nobody will look at."""
    inputs = _fields(batch).get("inputs")
    return _each_field(batch, lambda value: inputs if value is getattr(batch, "targets", None) else value)


def moved(batch: AnyBatch, device: torch.device) -> AnyBatch:
    """The batch with its tensors on `device`."""
    if device.type == "cpu":
        return batch
    return _each_field(batch, lambda value: value.to(device) if isinstance(value, Tensor) else value)


def _fields(batch: Any) -> dict[str, Any]:
    """A batch's values by name. Raises TypeError for what is neither a named tuple nor a dataclass."""
    if hasattr(batch, "_asdict"):
        return dict(batch._asdict())
    if is_dataclass(batch):
        return {field.name: getattr(batch, field.name) for field in fields(batch)}
    raise TypeError(f"A batch is a named tuple or a dataclass of tensors with a row for each example, not {batch!r}.")


def _each_field(batch: Any, change: Callable[[Any], Any]) -> Any:
    changed = {name: change(value) for name, value in _fields(batch).items()}
    return batch._replace(**changed) if hasattr(batch, "_replace") else replace(batch, **changed)


def next_token(model: nn.Module, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
    """Next-token prediction: the mean surprise, in nats, at each token given those before it.

    The text is its own label: targets are the inputs moved by one. Logits (B, T, V) are scored in float32.
    """
    logits: Tensor = model(batch.inputs)
    return F.cross_entropy(logits.flatten(0, 1).float(), batch.targets.flatten(), ignore_index=IGNORED)


def masked_token(model: nn.Module, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
    """Masked prediction (BERT, 2018): the mean surprise, in nats, at the covered tokens, given all others.

    Every position sees both ways, so a target stands where its mask does: nothing is moved. A batch is one of
    `masked_windows`, which cover something in every row. Logits are scored in float32.
    """
    covered = batch.targets != IGNORED
    if isinstance(model, Transformer):  # logits of what nobody asks about cost more than all the rest
        logits = model.unembedding(model.hidden(batch.inputs, causal=False)[covered])
    else:
        logits = model(batch.inputs, causal=False)[covered]
    return F.cross_entropy(logits.float(), batch.targets[covered])


def answer_log_probs(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Natural log-probability of all targets of a row together, those of -100 left out: (B, T) and (B, T) to (B,).

    Logits are scored in float32, and computed where a target counts alone: a question is longer than its answer.
    """
    counts = targets != IGNORED
    if isinstance(model, Transformer):
        logits = model.unembedding(model.hidden(inputs)[counts])
    else:
        logits = model(inputs)[counts]
    log_probs = -F.cross_entropy(logits.float(), targets[counts], reduction="none")
    return log_probs.new_zeros(len(inputs)).index_add(0, counts.nonzero()[:, 0], log_probs)
