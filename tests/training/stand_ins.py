"""A very small model and a stream that knows its place, so that these tests take milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmlab.models.transformer import Transformer, TransformerConfig

V = 13


@dataclass(frozen=True)
class Pair:
    inputs: Tensor
    targets: Tensor


class CountingStream:
    """Batches of a language in which every token is the one before plus 0, 1 or 2, drawn from the seed and the step."""

    def __init__(self, *, B: int = 4, T: int = 12, seed: int = 0, ends_after: int | None = None) -> None:
        self.B, self.T, self.seed, self.ends_after = B, T, seed, ends_after
        self.drawn = 0

    def __iter__(self) -> Iterator[Pair]:
        while self.ends_after is None or self.drawn < self.ends_after:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.drawn)
            self.drawn += 1
            moves = torch.randint(0, 3, (self.B, self.T + 1), generator=generator)
            ids = moves.cumsum(1) % V
            yield Pair(ids[:, :-1], ids[:, 1:])

    def state(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state(self, state: dict[str, Any]) -> None:
        self.drawn = state["drawn"]


def small_model(seed: int = 0) -> Transformer:
    return Transformer(
        TransformerConfig(vocab_size=V, max_seq_len=16, d_model=16, n_layers=2, n_heads=2, d_ff=32), seed=seed
    )


def weights(model: torch.nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same_bits(left: list[Tensor], right: list[Tensor]) -> bool:
    return len(left) == len(right) and all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
