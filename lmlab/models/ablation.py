"""Ablation: take one part out of a transformer, and see what it was for.

Lecture: "what makes it work". A part is judged by what becomes of the model without it. `ablate` takes a kind of part
out of a whole model, which is then trained anew; `without_heads` silences single heads of a model that is trained.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from lmlab.models.parts import Turn
from lmlab.models.transformer import Block, Transformer

PARTS = ("residual", "norm", "attention", "mlp", "position")


class TakenOut(nn.Module):
    """What stands where a part was. A model that holds one is for looking at: `save_model` refuses it."""


class Nothing(TakenOut):
    """In the place of attention or the feed-forward layer: it adds nothing to the stream, (B, T, D) of zeros."""

    def forward(self, x: Tensor, *_: object, **__: object) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        return torch.zeros_like(x)


class Unchanged(TakenOut):
    """In the place of a norm: the stream as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        return x


class NoPosition(TakenOut):
    """In the place of the position: every token stands nowhere, and only the mask tells before from after."""

    def forward(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Turn]:
        """Embeddings (B, T, D) unchanged, and a turn that leaves queries and keys unturned."""
        return x, _as_it_is


class NoResidual(TakenOut):
    """In the place of a block: the same parts in a row, each one replacing the stream where it added to it."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.attention_norm, self.attention = block.attention_norm, block.attention
        self.mlp_norm, self.mlp = block.mlp_norm, block.mlp

    def forward(self, x: Tensor, turn: Turn, **inside: Any) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        if not isinstance(self.attention, Nothing):
            x = self.attention(self.attention_norm(x), turn, **inside)
        if not isinstance(self.mlp, Nothing):
            x = self.mlp(self.mlp_norm(x))
        return x


def ablate(model: Transformer, part: str) -> Transformer:
    """A copy of `model` without one kind of part: "residual", "norm", "attention", "mlp" or "position".

    The copy trains and traces as any other (without attention a trace has no patterns); it cannot be saved. Weights
    of what is left are the same, so model and copy begin alike. Parts can be taken out one after the other.
    Raises ValueError, naming the parts, for another word.
    """
    if part not in _TAKE_OUT:
        raise ValueError(f"A transformer has no part {part!r} to take out: choose one of {', '.join(PARTS)}.")
    without = copy.deepcopy(model)
    _TAKE_OUT[part](without)
    return without


def is_ablated(model: nn.Module) -> bool:
    """Whether a part was taken out of this model."""
    return any(isinstance(module, TakenOut) for module in model.modules())


@torch.no_grad()
def without_heads(model: Transformer, heads: Iterable[tuple[int, int]]) -> Transformer:
    """A copy of `model` in which the heads, as (layer, head), write nothing into the stream: they look, in silence.

    Raises ValueError for a head that is not there.
    """
    without = copy.deepcopy(model)
    L, H, E = model.config.n_layers, model.config.n_heads, model.config.head_width
    for layer, head in heads:
        if not (0 <= layer < L and 0 <= head < H):
            raise ValueError(
                f"There is no head {head} in layer {layer}: this model has layers 0 to {L - 1} of heads 0 to {H - 1}."
            )
        output = cast(Block, without.blocks[layer]).attention.output
        output.weight[:, head * E : (head + 1) * E] = 0.0
    return without


def _without_residual(model: Transformer) -> None:
    model.blocks = nn.ModuleList(NoResidual(cast(Block, block)) for block in model.blocks)


def _without_norm(model: Transformer) -> None:
    model.norm = Unchanged()
    for block in model.blocks:
        block.attention_norm, block.mlp_norm = Unchanged(), Unchanged()


def _without_attention(model: Transformer) -> None:
    for block in model.blocks:
        block.attention_norm, block.attention = Unchanged(), Nothing()


def _without_mlp(model: Transformer) -> None:
    for block in model.blocks:
        block.mlp_norm, block.mlp = Unchanged(), Nothing()


def _without_position(model: Transformer) -> None:
    model.position = NoPosition()


_TAKE_OUT: dict[str, Callable[[Transformer], None]] = {
    "residual": _without_residual,
    "norm": _without_norm,
    "attention": _without_attention,
    "mlp": _without_mlp,
    "position": _without_position,
}


def _as_it_is(x: Tensor) -> Tensor:
    return x
