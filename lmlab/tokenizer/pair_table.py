"""The corpus of a byte-pair training: where every pair of neighbors stands, and which pair comes first.

The speed of training comes from here: a word is a linked list, so joining two neighbors touches two others; each pair
knows where it occurs; the most frequent pair waits on top of a heap whose outdated entries are put right when they
surface.  (Counts of the pairs that exist only ever fall.)
"""

from __future__ import annotations

import bisect
import heapq
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from lmlab.tokenizer.merge_log import PAIR_BITS, PAIR_MASK, TOP_COUNT, entry

# From this many places on NumPy joins them faster than a loop.
_MANY = 60


class PairTable:
    """All words of a corpus as linked lists of symbols, with the count and the places of every pair.

    Place i holds symbol `symbols[i]` and the places of its neighbors; where the symbol was joined to the one before
    it holds -1, and so does the last place, which is outside.  `weights[i]` is how often the word around i occurs.
    """

    def __init__(self, words: Mapping[bytes, int]) -> None:
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        bytes_ = np.frombuffer(b"".join(words), np.uint8).astype(np.int64)
        weights = np.repeat(np.fromiter(words.values(), np.int64, len(words)), lengths)
        outside = len(bytes_)
        ends = np.cumsum(lengths)
        before, after = np.arange(-1, outside), np.arange(1, outside + 1)
        before[ends - lengths] = outside
        after[ends - 1] = outside
        columns = (np.append(bytes_, -1), before, after, weights)
        # The same memory twice: an array is the fastest to read one by one, and NumPy a thousand at a time.
        self.symbols, self.before, self.after, self.weights = (array("q", column.tobytes()) for column in columns)
        self._columns = [
            np.frombuffer(column, np.int64) for column in (self.symbols, self.before, self.after, self.weights)
        ]
        self.n_tokens = int(weights.sum())
        self.counts: defaultdict[int, int] = defaultdict(int)
        self.places: defaultdict[int, list[int]] = defaultdict(list)
        inner = np.flatnonzero(after != outside)  # where a pair begins
        self._enter(bytes_[inner] << PAIR_BITS | bytes_[inner + 1], inner)

    def join(self, pair: int, new: int) -> set[int]:
        """Replace the pair by the symbol `new` everywhere; the pairs that this creates."""
        left, right = pair >> PAIR_BITS, pair & (1 << PAIR_BITS) - 1
        here = self.places.pop(pair, [])
        if left != right and len(here) >= _MANY:
            made = self._join_many(np.array(here), left, right, new)
        else:  # in a run of equal symbols the pairs overlap, and the leftmost wins
            made = self._join_few(sorted(here) if left == right else here, left, right, new)
        self.counts.pop(pair, None)
        return made

    def _join_few(self, here: list[int], left: int, right: int, new: int) -> set[int]:
        """One place after the other."""
        symbols, before, after, weights = self.symbols, self.before, self.after, self.weights
        counts, places = self.counts, self.places
        made = set()
        for place in here:
            other = after[place]
            if symbols[other] != right or symbols[place] != left:
                continue  # one of the two was joined to its other neighbor meanwhile
            weight, previous, following = weights[place], before[place], after[other]
            symbols[place], symbols[other] = new, -1
            after[place], before[following] = following, place
            self.n_tokens -= weight
            if (symbol := symbols[following]) >= 0:
                counts[right << PAIR_BITS | symbol] -= weight
                pair = new << PAIR_BITS | symbol
                counts[pair] += weight
                places[pair].append(place)
                made.add(pair)
            if (symbol := symbols[previous]) >= 0:
                counts[symbol << PAIR_BITS | left] -= weight
                pair = symbol << PAIR_BITS | new
                counts[pair] += weight
                places[pair].append(previous)
                made.add(pair)
        return made

    def _join_many(self, here: NDArray[np.int64], left: int, right: int, new: int) -> set[int]:
        """All places at once; the same result.  Places of two different symbols never overlap."""
        symbols, before, after, weights = self._columns
        other = after[here]
        there = (symbols[other] == right) & (symbols[here] == left)
        here, other = here[there], other[there]
        following = after[other]
        old = symbols[following]
        symbols[here], symbols[other] = new, -1
        after[here], before[following] = following, here
        previous = before[here]
        self.n_tokens -= int(weights[here].sum())
        inner = old >= 0
        self._leave(right << PAIR_BITS | old[inner], here[inner])
        made = self._enter(new << PAIR_BITS | symbols[following[inner]], here[inner])
        # Where two stood side by side, the pair between them has been seen from the left already.
        previous = previous[(symbols[previous] >= 0) & (symbols[previous] != new)]
        self._leave(symbols[previous] << PAIR_BITS | left, previous)
        return made | self._enter(symbols[previous] << PAIR_BITS | new, previous)

    def _enter(self, pairs: NDArray[np.int64], at: NDArray[np.int64]) -> set[int]:
        """Count `pairs[i]` at place `at[i]`, for all i, and note the places; the pairs, once each."""
        made = set()
        for pair, here, weight in self._grouped(pairs, at):
            self.counts[pair] += weight
            self.places[pair] += here
            made.add(pair)
        return made

    def _leave(self, pairs: NDArray[np.int64], at: NDArray[np.int64]) -> None:
        """Take back the counts of `pairs[i]` at place `at[i]`.  (Outdated places are found out when they come up.)"""
        for pair, _, weight in self._grouped(pairs, at):
            self.counts[pair] -= weight

    def _grouped(self, pairs: NDArray[np.int64], at: NDArray[np.int64]) -> Iterator[tuple[int, list[int], int]]:
        """Each pair once, with its places and with how often the words around them occur."""
        if len(pairs):
            order = np.argsort(pairs, kind="stable")
            kinds, starts = np.unique(pairs[order], return_index=True)
            weights = np.add.reduceat(self._columns[3][at[order]], starts)
            here, ends = at[order].tolist(), [*starts[1:].tolist(), len(at)]
            for pair, start, end, weight in zip(kinds.tolist(), starts.tolist(), ends, weights.tolist(), strict=True):
                yield pair, here[start:end], weight


class Leaders:
    """The pairs in the order of the written rule: the first few sorted, the rest in a heap.

    An entry is one integer, smaller for a higher count and then for a smaller pair.  Counts only fall, so an outdated
    entry stands too early; it is put right when it comes up.
    """

    def __init__(self, counts: Mapping[int, int]) -> None:
        self._counts = counts
        self._first: list[int] = []
        self._rest = [entry(pair, count) for pair, count in counts.items()]
        heapq.heapify(self._rest)

    def add(self, pairs: Iterable[int]) -> None:
        """Enter pairs that did not exist before."""
        for pair in pairs:
            heapq.heappush(self._rest, entry(pair, self._counts[pair]))

    def first(self, n: int) -> tuple[int, ...]:
        """The entries of the first `n` pairs, or of all where there are fewer."""
        first, rest, counts = self._first, self._rest, self._counts
        kept = []
        for old in first:
            count = counts.get(old & PAIR_MASK, 0)
            if old >> 2 * PAIR_BITS == TOP_COUNT - count:
                kept.append(old)
            elif count > 0:
                heapq.heappush(rest, entry(old & PAIR_MASK, count))
        first = kept
        while rest and (len(first) < n or rest[0] < first[-1]):
            old = rest[0]
            count = counts.get(old & PAIR_MASK, 0)
            if count <= 0:
                heapq.heappop(rest)
            elif old >> 2 * PAIR_BITS != TOP_COUNT - count:
                heapq.heapreplace(rest, entry(old & PAIR_MASK, count))
            else:
                bisect.insort(first, heapq.heappop(rest))
                if len(first) > n:
                    heapq.heappush(rest, first.pop())
        self._first = first
        return tuple(first)
