"""What the model is asked to get right: from a batch to one number that gradient descent makes smaller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

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
