"""Batches for next-token prediction: windows cut from one long stream of ids, the target being the next id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from lmlab.tokenizer.tokenizer import Tokenizer


class Batch(NamedTuple):
    """What a model reads and what it should have said: inputs (B, T) and targets (B, T), both int64."""

    inputs: Tensor
    targets: Tensor

    def to(self, device: torch.device | str) -> Batch:
        return Batch(self.inputs.to(device), self.targets.to(device))


class Ids(Protocol):
    """(T,) ids, int64, in memory or on the disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Tensor: ...


class Text(Protocol):
    """What can be turned into ids: a Corpus in memory, or a TokenFile on the disk."""

    def ids(self, tok: Tokenizer) -> Ids: ...


class BatchStream:
    """What every stream of batches shares: its shape, its random order's seed, and a cursor that can be kept.

    The order depends on the seed and the position alone, so `load_state(state())` goes on exactly where the stream was.
    """

    def __init__(self, ids: Ids, *, T: int, B: int, seed: int, least_T: int = 1) -> None:
        for name, value, least in (("T", T, least_T), ("B", B, 1), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
        self.ids, self.T, self.B, self.seed = ids, T, B, seed
        self._epoch, self._position = 0, 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        raise TypeError(f"{type(self).__name__} says nothing about its next batch.")

    def next(self) -> Batch:
        """The next batch: inputs (B, T) and targets (B, T)."""
        return self.__next__()

    def _shape(self) -> dict[str, int]:
        return {"T": self.T, "B": self.B, "seed": self.seed, "n_ids": len(self.ids)}

    def state(self) -> dict[str, int]:
        """The cursor, as plain numbers that JSON can hold."""
        return {"epoch": self._epoch, "position": self._position, **self._shape()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go to a saved cursor. Raises ValueError where it was saved by another stream."""
        for name, mine in self._shape().items():
            if state.get(name) != mine:
                raise ValueError(
                    f"This cursor was saved with {name}={state.get(name)}, but the stream has {name}={mine}: "
                    "resume with the same corpus, tokenizer, T, B and seed."
                )
        self._epoch, self._position = int(state["epoch"]), int(state["position"])


class WindowStream(BatchStream):
    """Endless batches (inputs, targets), each (B, T) of int64; targets are the inputs moved on by one.

    Every epoch cuts the stream at a new offset and shuffles the windows. The order depends on the seed and the
    position alone, so `load_state(state())` goes on exactly where the stream was.
    """

    def __init__(self, ids: Ids, *, T: int, B: int, seed: int = 0) -> None:
        super().__init__(ids, T=T, B=B, seed=seed)
        n_windows = (len(ids) - T) // T  # whatever the offset, this many fit, each with its target
        if n_windows < B:
            raise ValueError(
                f"The corpus has {len(ids):,} tokens, too few for one batch: B={B} windows of T={T} need "
                f"{(B + 1) * T:,}. Take a smaller B or T, or more text."
            )
        self.n_windows = n_windows
        self._order: tuple[int, int, Tensor] | None = None  # (epoch, its offset, its windows), 4 bytes a window

    @property
    def batches_per_epoch(self) -> int:
        return self.n_windows // self.B

    def _starts(self, at: int) -> Tensor:
        """Where the windows of the batch begin whose first is number `at` of this epoch: (B,)."""
        if self._order is None or self._order[0] != self._epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self._epoch)
            offset = int(torch.randint(self.T, (1,), generator=generator))
            small = torch.int32 if self.n_windows < 2**31 else torch.int64
            self._order = (self._epoch, offset, torch.randperm(self.n_windows, generator=generator, dtype=small))
        _, offset, windows = self._order
        return windows[at : at + self.B].long() * self.T + offset

    def __next__(self) -> Batch:
        if self._position >= self.batches_per_epoch:
            self._epoch, self._position = self._epoch + 1, 0
        rows = self._starts(self._position * self.B)[:, None] + torch.arange(self.T + 1)
        self._position += 1
        windows = self.ids[rows]
        return Batch(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())


def windows(corpus: Text, tok: Tokenizer, *, T: int, B: int, seed: int = 0) -> WindowStream:
    """Packed windows of T tokens in batches of B from a corpus, in memory or on disk, its documents joined by BOS.

    Raises ValueError, with the numbers, where the corpus is too small for one batch.
    """
    return WindowStream(corpus.ids(tok), T=T, B=B, seed=seed)
