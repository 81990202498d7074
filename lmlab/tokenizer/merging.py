"""Byte-pair encoding, applied: from the bytes of one pre-token to tokens.

While two neighbors together are a token, join those that were learned first.  Words take the textbook loop; long
pieces keep, for every merge, a list of the places where it applies, so that a million letters without a space take
time in proportion to their number.

A merge is named by the token it makes.  That is enough: in a vocabulary that training can produce, no token arises
from two different pairs (inside borders that were never crossed, merging does not see what stands around).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise

# From this many bytes on the lists of places pay.
_LONG = 100
_NEVER = 1 << 60


def merge(piece: bytes, ranks: Mapping[bytes, int], *, below: int = _NEVER) -> list[bytes]:
    """The tokens of one pre-token: neighbors joined in the order of `ranks` until no pair is a token.

    With `below`, only merges of a lower rank are made: the tokens of an earlier moment of the training.

    >>> merge(b"banana", {b"an": 0, b"ana": 1})
    [b'b', b'an', b'ana']
    """
    if len(piece) < _LONG:
        return _merge_short(piece, ranks, below)
    removed = boundary_ranks(piece, ranks, below=below)
    cuts = [0, *(n for n, rank in enumerate(removed, 1) if rank < 0), len(piece)]
    return [piece[start:end] for start, end in pairwise(cuts)]


def _merge_short(piece: bytes, ranks: Mapping[bytes, int], below: int) -> list[bytes]:
    rank_of = ranks.get
    cuts = list(range(len(piece) + 1))  # token n is piece[cuts[n]:cuts[n + 1]]
    waiting = [rank_of(piece[n : n + 2], _NEVER) for n in cuts[:-2]]  # what tokens n and n + 1 make together
    while waiting and (rank := min(waiting)) < below:
        n = waiting.index(rank)
        del waiting[n], cuts[n + 1]
        if n < len(waiting):
            waiting[n] = rank_of(piece[cuts[n] : cuts[n + 2]], _NEVER)
        if n:
            waiting[n - 1] = rank_of(piece[cuts[n - 1] : cuts[n + 1]], _NEVER)
    return [piece[start:end] for start, end in pairwise(cuts)]


def boundary_ranks(piece: bytes, ranks: Mapping[bytes, int], *, below: int = _NEVER) -> list[int]:
    """For each boundary between two bytes of `piece`, the rank of the merge that removes it, or -1 for never.

    len(piece) - 1 integers.  They describe the piece at every moment of the training at once: after the merges of
    rank below k, exactly the boundaries with a number in [0, k) are gone.
    """
    length = len(piece)
    rank_of = ranks.get
    removed = [-1] * max(length - 1, 0)
    before = list(range(-1, length))  # where the token before starts
    ends = list(range(1, length + 1))  # where the token that starts here ends; 0 once it was joined to the one before
    places: defaultdict[int, list[int]] = defaultdict(list)
    for start in range(length - 1):
        places[rank_of(piece[start : start + 2], _NEVER)].append(start)
    waiting = list(places)
    heapq.heapify(waiting)
    while waiting and (rank := heapq.heappop(waiting)) < below:
        found: defaultdict[int, list[int]] = defaultdict(list)
        for start in sorted(places.pop(rank)):  # from the left, since in a run of equal tokens the pairs overlap
            middle = ends[start]
            if not 0 < middle < length or rank_of(piece[start : (end := ends[middle])]) != rank:
                continue
            removed[middle - 1] = rank
            ends[start], ends[middle] = end, 0
            if end < length:
                before[end] = start
                found[rank_of(piece[start : ends[end]], _NEVER)].append(start)
            if (previous := before[start]) >= 0:
                found[rank_of(piece[previous:end], _NEVER)].append(previous)
        for rank, starts in found.items():
            if rank not in places:
                heapq.heappush(waiting, rank)
            places[rank] += starts
    return removed
