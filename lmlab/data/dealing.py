"""Examples dealt like cards: what the streams of post-training share. All are dealt once before any is dealt again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import torch

AnyBatch = TypeVar("AnyBatch")


class Deck:
    """The numbers 0 to n - 1, dealt without end; every round in an order of its own, which the seed alone decides.

    >>> sorted(Deck(3, seed=0).deal(0, 3)), len(Deck(3, seed=0).deal(2, 5))
    ([0, 1, 2], 5)
    """

    def __init__(self, n: int, *, seed: int) -> None:
        self.n, self.seed = n, seed
        self._round: tuple[int, list[int]] | None = None

    def deal(self, start: int, k: int) -> list[int]:
        """The k numbers from place `start` on, as if all before them had been dealt."""
        return [self._order(place // self.n)[place % self.n] for place in range(start, start + k)]

    def _order(self, number: int) -> list[int]:
        if self._round is None or self._round[0] != number:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
            self._round = (number, torch.randperm(self.n, generator=generator).tolist())
        return self._round[1]


class DealtStream(Generic[AnyBatch]):
    """Endless batches, each made from its number alone, and so with a cursor that is one number.

    `sizes` tell two streams apart, so that nobody goes on in one with the cursor of another.
    """

    def __init__(self, *, B: int, seed: int, **sizes: int) -> None:
        for name, value, least in (("B", B, 1), ("seed", seed, 0), *((name, n, 1) for name, n in sizes.items())):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
        self.B, self.seed = B, seed
        self._sizes = sizes
        self._position = 0

    def __iter__(self) -> Iterator[AnyBatch]:
        return self

    def __next__(self) -> AnyBatch:
        batch = self._batch(self._position)
        self._position += 1
        return batch

    def next(self) -> AnyBatch:
        """The next batch."""
        return self.__next__()

    def _batch(self, position: int) -> AnyBatch:
        raise TypeError(f"{type(self).__name__} says nothing about its batches.")

    def _shape(self) -> dict[str, int]:
        return {"B": self.B, "seed": self.seed, **self._sizes}

    def state(self) -> dict[str, Any]:
        """The cursor, as plain numbers that JSON can hold."""
        return {"position": self._position, **self._shape()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go to a saved cursor. Raises ValueError where it was saved by another stream."""
        for name, mine in self._shape().items():
            if state.get(name) != mine:
                raise ValueError(
                    f"This cursor was saved with {name}={state.get(name)}, but the stream has {name}={mine}: "
                    "resume with the same examples and the same settings."
                )
        self._position = int(state["position"])
