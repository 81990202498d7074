"""Byte-pair encoding, applied: from the bytes of one piece of text to tokens.

While two neighbors together are a token, join those that were learned first.  Short pieces (words) take the
textbook loop; long ones keep, for every merge, a list of the places where it applies, so that a million letters
without a space take time in proportion to their number.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from itertools import pairwise

#: From this many bytes on the lists of places pay.
_LONG = 48


def merge(piece: bytes, ranks: Mapping[bytes, int], *, below: int | None = None) -> list[bytes]:
    """The tokens of one pre-token: neighbors joined in the order of `ranks` until no pair is a token.

    With `below`, only merges of a lower rank are made: the tokens of an earlier moment of the training.

    >>> merge(b"banana", {b"an": 0, b"ana": 1})
    [b'b', b'an', b'ana']
    """
    removed = boundary_ranks(piece, ranks)
    cuts = [0, *(n for n, rank in enumerate(removed, 1) if rank < 0 or (below is not None and rank >= below)), len(piece)]
    return [piece[start:end] for start, end in pairwise(cuts)] if piece else []


def boundary_ranks(piece: bytes, ranks: Mapping[bytes, int]) -> list[int]:
    """For each boundary between two bytes of `piece`, the rank of the merge that removes it, or -1 for never.

    len(piece) - 1 integers.  They describe the piece at every moment of the training at once: after the merges of
    rank below k, exactly the boundaries with a number in [0, k) are gone.
    """
    n = len(piece)
    removed = [-1] * max(n - 1, 0)
    before, after = list(range(-1, n)), list(range(1, n + 2))
    ends = list(range(1, n + 1))  # where the token that starts here ends; 0 once it was joined to the one before
    places: dict[int, list[int]] = {}
    for start in range(n - 1):
        rank = ranks.get(piece[start : start + 2])
        if rank is not None:
            places.setdefault(rank, []).append(start)
    waiting = list(places)
    heapq.heapify(waiting)
    while waiting:
        rank = heapq.heappop(waiting)
        here = places.pop(rank)
        here.sort()
        for start in here:
            middle = ends[start]
            if not middle or middle >= n or ranks.get(piece[start : ends[middle]]) != rank:
                continue
            end = ends[middle]
            removed[middle - 1] = rank
            ends[start], ends[middle] = end, 0
            after[start] = end
            if end < n:
                before[end] = start
                _note(ranks.get(piece[start : ends[end]]), start, places, waiting)
            previous = before[start]
            if previous >= 0:
                _note(ranks.get(piece[previous:end]), previous, places, waiting)
    return removed


def _note(rank: int | None, start: int, places: dict[int, list[int]], waiting: list[int]) -> None:
    if rank is None:
        return
    if rank in places:
        places[rank].append(start)
    else:
        places[rank] = [start]
        heapq.heappush(waiting, rank)
