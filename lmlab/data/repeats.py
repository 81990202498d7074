"""Rows that repeat themselves: fresh random tokens each time, so that nothing helps but looking back.

Lecture: "input-dependent weights". What follows a token differs from row to row, so no weight can hold it; the length
of the repeated piece differs too, so looking back a fixed distance does not help either.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lmlab.data.batches import Batch, BatchStream


class RepeatStream(BatchStream):
    """Endless batches, each (B, T): in each row a piece of distinct random tokens, said again and again.

    The piece has `shortest` to `longest` tokens of a vocabulary of V. The rows depend on the seed and the position
    alone.
    """

    def __init__(self, *, V: int, T: int, B: int, shortest: int, longest: int, seed: int = 0) -> None:
        super().__init__(torch.arange(V), T=T, B=B, seed=seed)
        if not 2 <= shortest <= longest <= min(V, T):
            raise ValueError(
                f"A piece of {shortest} to {longest} distinct tokens does not fit V={V} and T={T}: "
                "choose 2 <= shortest <= longest <= both."
            )
        self.shortest, self.longest = shortest, longest

    def _shape(self) -> dict[str, Any]:
        return {**super()._shape(), "shortest": self.shortest, "longest": self.longest}

    def rows(self) -> Tensor:
        """The rows of the present position: (B, T + 1) ids, of which a batch makes inputs and targets."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self._position)
        pieces = torch.rand(self.B, len(self.ids), generator=generator).argsort(-1)
        lengths = torch.randint(self.shortest, self.longest + 1, (self.B, 1), generator=generator)
        return pieces.gather(1, torch.arange(self.T + 1) % lengths)

    def __next__(self) -> Batch:
        rows = self.rows()
        self._position += 1
        return Batch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())
