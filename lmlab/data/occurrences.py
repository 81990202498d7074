"""Where a string of tokens stands in a text, and what share of new text an old one has ever seen.

Lecture: "can we just count?". A string that never occurred has a count of zero, and so a probability of zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def places(stream: Tensor, string: Sequence[int]) -> Tensor:
    """Where the string of ids begins in a stream (T,), in order.

    >>> places(torch.tensor([5, 7, 5, 7, 5]), [5, 7]).tolist()
    [0, 2]
    """
    starts = torch.arange(max(0, len(stream) - len(string) + 1))
    for offset, id_ in enumerate(string):
        starts = starts[stream[starts + offset] == id_]
    return starts


def beginnings(stream: Tensor, string: Sequence[int]) -> list[int]:
    """How often each beginning of the string stands in the stream: its first id, its first two, … all of it.

    >>> beginnings(torch.tensor([5, 7, 5, 7, 5]), [5, 7, 9, 9])
    [3, 2, 0, 0]
    """
    counts = []
    starts = torch.arange(len(stream))
    for offset, id_ in enumerate(string):
        starts = starts[starts + offset < len(stream)]
        starts = starts[stream[starts + offset] == id_]
        counts.append(len(starts))
    return counts


def first_seen(seen: Tensor, held_out: Tensor, longest: int, *, boundary: int | None = None) -> list[Tensor]:
    """For n = 1 to `longest`: how many ids of `seen` one must read to have met each string of n ids of `held_out`.

    Both are streams (T,); `len(seen) + 1` stands for never. Strings that hold `boundary`, the id between
    documents, are left out: they belong to no document. One pass answers for every size of corpus at once.
    """
    stream = torch.cat((seen, held_out))
    size, vocab_size, never = len(seen), int(stream.max()) + 1, len(seen) + 1
    inside = stream != (-1 if boundary is None else boundary)
    ranks = torch.zeros(len(stream) + 1, dtype=torch.int64)  # of the string that begins at each place
    whole = torch.ones(len(stream) + 1, dtype=torch.bool)
    found = []
    for n in range(1, longest + 1):
        strings = ranks[: len(stream) - n + 1] * vocab_size + stream[n - 1 :]
        whole = whole[: len(strings)] & inside[n - 1 :]
        unique, ranks = torch.unique(strings, return_inverse=True)
        first = torch.full((len(unique),), never)
        read = max(0, size - n + 1)
        first.scatter_reduce_(0, ranks[:read], torch.arange(n, n + read), "amin")
        found.append(first[ranks[size:]][whole[size:]])
    return found


def coverage(seen: Tensor, held_out: Tensor, n: int, *, boundary: int | None = None) -> float:
    """The share of the strings of n ids in `held_out` (T,) that stand anywhere in `seen` (T,).

    >>> coverage(torch.tensor([1, 2, 3]), torch.tensor([1, 2, 1]), 2)
    0.5
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n counts tokens, from 1 upward, not {n!r}.")
    found = first_seen(seen, held_out, n, boundary=boundary)[-1]
    if not len(found):
        raise ValueError(f"The held-out text has no string of {n} tokens within a document: choose a smaller n.")
    return float((found <= len(seen)).double().mean())
