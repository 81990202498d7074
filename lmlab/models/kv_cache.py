"""The KV cache: what a transformer remembers of the text it has read, so that it reads no token twice.

Lecture: "inference". For each layer it keeps keys and values (B, K, S, E) of every position so far. A cache is a
length and a buffer that several caches may share: going back to an earlier length is free.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class _Buffer:
    """Keys and values a layer, with room to grow, and for each length the branch that wrote up to there."""

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    written: list[tuple[int, object]] = field(default_factory=list)


class KVCache:
    """Keys and values of the positions read so far.

    `cache.branch()` is a second cache at the same length on the same buffer, at no cost; what it appends takes the
    place of what others appended there. `cache.fork()` copies, so that both lines of text stay alive. A cache whose
    positions another branch has overwritten notices and says so: no silent mixing of two texts.
    """

    def __init__(self) -> None:
        self.length = 0  # S, positions that count
        self._buffer = _Buffer()
        self._mark: object = None  # who wrote the last of them

    @property
    def n_bytes(self) -> int:
        """Bytes of the keys and values that count (not of the room kept for more)."""
        tensors = self._buffer.keys + self._buffer.values
        return sum(t[:, :, : self.length].numel() * t.element_size() for t in tensors)

    def branch(self) -> KVCache:
        """Another cache at this length, sharing the buffer."""
        self.check_alive()
        other = KVCache()
        other.length, other._buffer, other._mark = self.length, self._buffer, self._mark
        return other

    def fork(self) -> KVCache:
        """A cache of its own at this length: both may now be continued, in any order."""
        other = self.branch()
        other._buffer = _Buffer(
            [t[:, :, : self.length].clone() for t in self._buffer.keys],
            [t[:, :, : self.length].clone() for t in self._buffer.values],
            [(self.length, self._mark)] if self.length else [],
        )
        return other

    def check_alive(self) -> None:
        """Raise RuntimeError if another branch has overwritten positions of this one."""
        if self.length and (self.length, self._mark) not in self._buffer.written:
            raise RuntimeError(
                f"Another branch has overwritten this state (its {self.length} positions share one buffer): "
                "call state.fork() before continuing a second line of text from the same place."
            )

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add a layer's new keys and values (B, K, T, E); returns all of them so far (B, K, S, E).

        For inference: no gradient flows through what is kept. Lengths move on in `advance`, once all layers wrote.
        """
        start, stop = self.length, self.length + keys.shape[2]
        for kept, new in ((self._buffer.keys, keys), (self._buffer.values, values)):
            if layer == len(kept):
                kept.append(_with_room(new[:, :, :0], stop))
            if new.shape[0] != kept[layer].shape[0]:
                raise ValueError(
                    f"The state holds a batch of {kept[layer].shape[0]} texts and was given {new.shape[0]}: "
                    "continue each batch from its own state."
                )
            if stop > kept[layer].shape[2]:
                kept[layer] = _with_room(kept[layer][:, :, :start], stop)
            kept[layer].narrow(2, start, stop - start).copy_(new.detach())
        return self._buffer.keys[layer].narrow(2, 0, stop), self._buffer.values[layer].narrow(2, 0, stop)

    def advance(self, n_positions: int) -> None:
        """Count the positions that every layer has just appended."""
        self._buffer.written = [entry for entry in self._buffer.written if entry[0] <= self.length]
        self.length += n_positions
        self._mark = object()
        self._buffer.written.append((self.length, self._mark))


def _with_room(held: Tensor, needed: int) -> Tensor:
    """The held positions at the front of a buffer with at least the needed room: growing by half is amortized."""
    B, K, S, E = held.shape
    grown = torch.empty((B, K, max(needed, 16) * 3 // 2, E), dtype=held.dtype, device=held.device)
    grown[:, :, :S] = held
    return grown
