"""The diary of byte-pair training: every merge, with what it won against and how short it made the corpus.

`MergeLog` is the one source for the widget, the command line and the tests; the trainer itself prints nothing.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import overload

from lmlab.tokenizer.byte_order import BYTES_IN_ORDER
from lmlab.tokenizer.merging import boundary_ranks
from lmlab.tokenizer.split import splitter
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.tokenizer.unicode_text import checked_characters

#: How many pairs are kept besides the winner at every step.
N_RUNNERS_UP = 6

# The trainer counts in symbols: bytes by their place in GPT-2's order, then one a merge.  A pair of symbols is one
# integer, and so is an entry (a pair with its count), smaller for a higher count and then for a smaller pair.
PAIR_BITS = 22
PAIR_MASK = (1 << 2 * PAIR_BITS) - 1
TOP_COUNT = 1 << 44


def entry(pair: int, count: int) -> int:
    """A pair and its count as one integer that sorts by the written rule."""
    return (TOP_COUNT - count) << 2 * PAIR_BITS | pair


@dataclass(frozen=True, slots=True)
class PairCount:
    """Two neighboring tokens and how often they stand together."""

    left: bytes
    right: bytes
    count: int


@dataclass(frozen=True, slots=True)
class MergeEvent:
    """One merge.  `step` counts from 1; the new token is `left + right` and gets the id `new_id`.

    `count` is how often the pair stood in the corpus before this merge.  `runners_up` are the pairs that came next at
    that moment, best first: at most six, without the winner, which is `left`, `right`, `count` itself.
    `corpus_tokens` is how many tokens the corpus has after this merge.
    """

    step: int
    left: bytes
    right: bytes
    count: int
    new_id: int
    corpus_tokens: int
    runners_up: tuple[PairCount, ...]

    @property
    def token(self) -> bytes:
        """The bytes of the new token."""
        return self.left + self.right


@dataclass(frozen=True, slots=True)
class Moment:
    """The training after `step` merges (0: nothing is joined yet).

    `made` is the merge that led here (None at step 0) and `coming` the one that is made next (None at the end): its
    count and its runners-up are the race at this moment.  `vocab_size` counts bytes and merges, not specials.
    """

    step: int
    vocab_size: int
    corpus_bytes: int
    corpus_tokens: int
    made: MergeEvent | None
    coming: MergeEvent | None

    @property
    def bytes_per_token(self) -> float:
        """Compression: how many bytes of the corpus a token stands for, on average."""
        return self.corpus_bytes / self.corpus_tokens


class MergeLog(Sequence[MergeEvent]):
    """All merges of one training in order: `log[0]` is step 1, and `len(log)` is the number of merges.

    Two questions, both answered at once from what was noted down, at any size of corpus:

    - `at(step)`: the corpus at that moment: its tokens, the merge just made, the race for the next one.
    - `boundaries(text)`: what any text looks like at all moments together; `segments(text, step)` at one of them.

    `corpus_tokens[step]` is the length of the corpus after each step, from 0 (its bytes) to the last.
    `packed()` is all of it as a few byte strings for a browser.
    """

    def __init__(self, rows: Sequence[Sequence[int]], corpus_tokens: Sequence[int], *, split: str) -> None:
        """`rows[step - 1]` holds the entries (see `entry`) of the winner and its runners-up, best first."""
        self.split = split
        self.corpus_tokens = list(corpus_tokens)
        self.token_bytes = [bytes([byte]) for byte in range(256)]
        self._rows = rows
        for row in rows:
            left, right, _ = _unpacked(row[0])
            self.token_bytes.append(self.token_bytes[left] + self.token_bytes[right])
        self.ranks = {token: rank for rank, token in enumerate(self.token_bytes[256:])}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> MergeEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[MergeEvent]: ...
    def __getitem__(self, index: int | slice) -> MergeEvent | list[MergeEvent]:
        if isinstance(index, slice):
            return [self._event(n) for n in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"merge {index} does not exist; the log has {len(self)}, from 0 to {len(self) - 1}")
        return self._event(index % len(self))

    def __iter__(self) -> Iterator[MergeEvent]:
        return map(self._event, range(len(self)))

    def __repr__(self) -> str:
        first, last = self.corpus_tokens[0], self.corpus_tokens[-1]
        return f"MergeLog({len(self)} merges, corpus {first:,} bytes -> {last:,} tokens)"

    def _event(self, n: int) -> MergeEvent:
        best, *others = [
            PairCount(self.token_bytes[left], self.token_bytes[right], count)
            for left, right, count in map(_unpacked, self._rows[n])
        ]
        return MergeEvent(
            step=n + 1,
            left=best.left,
            right=best.right,
            count=best.count,
            new_id=256 + n,
            corpus_tokens=self.corpus_tokens[n + 1],
            runners_up=tuple(others),
        )

    def at(self, step: int) -> Moment:
        """The moment after `step` merges, 0 to len(log); ValueError beyond."""
        if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= len(self):
            raise ValueError(f"step {step!r} is no moment of this training; steps go from 0 to {len(self)}")
        return Moment(
            step=step,
            vocab_size=256 + step,
            corpus_bytes=self.corpus_tokens[0],
            corpus_tokens=self.corpus_tokens[step],
            made=self._event(step - 1) if step else None,
            coming=self._event(step) if step < len(self) else None,
        )

    def boundaries(self, text: str) -> list[int]:
        """For each boundary between two bytes of `text` (UTF-8), the step whose merge removes it; 0 for never.

        One number a boundary describes the text at every moment, since a boundary that is gone never returns: at
        `step`, byte n begins a token exactly if n is 0 or b = boundaries(text)[n - 1] is 0 or greater than `step`.
        Send this list to the browser once, and it can scrub through the training alone.

        >>> from lmlab.tokenizer.bpe import train_bpe
        >>> train_bpe("aaabdaaabac", vocab_size=259)[1].boundaries("aaab")
        [1, 3, 2]
        """
        known: dict[str, list[int]] = {}
        steps: list[int] = []
        for piece in splitter(self.split).pieces(checked_characters(text)):
            if piece not in known:
                # The boundary in front of a piece is never removed; a rank counts from 0 and -1 is never.
                known[piece] = [0, *(rank + 1 for rank in boundary_ranks(piece.encode("utf-8"), self.ranks))]
            steps += known[piece]
        return steps[1:]

    def segments(self, text: str, step: int) -> list[bytes]:
        """The tokens of `text` after `step` merges."""
        self.at(step)
        data = checked_characters(text).encode("utf-8")
        cuts = [0, *(n for n, b in enumerate(self.boundaries(text), 1) if not 0 < b <= step), len(data)]
        return [data[start:end] for start, end in pairwise(cuts)] if data else []

    def token_counts(self, text: str) -> list[int]:
        """How many tokens `text` has after each step, from 0 to len(log)."""
        removed = [0] * (len(self) + 1)
        boundaries = self.boundaries(text)
        for step in boundaries:
            removed[step] += 1
        removed[0] = 0
        n_bytes = len(boundaries) + 1 if text else 0
        return [n_bytes - gone for gone in accumulate(removed)]

    def packed(self, *, n_runners_up: int = N_RUNNERS_UP) -> dict[str, int | bytes]:
        """All merges as little-endian arrays, for a widget's front-end; with six runners-up 60 bytes a step.

        `left`, `right`, `count` have one entry a step and `corpus_tokens` one more (step 0 first); `rival_left`,
        `rival_right`, `rival_count` have `n_runners_up` a step, with count 0 where there is none.  Counts are uint32;
        tokens are uint16 if `token_bits` is 16, else uint32: below 256 a byte value, 256 + n the token of step n + 1.
        """
        tokens = "H" if len(self) <= (1 << 16) - 256 else "I"
        columns: dict[str, array[int]] = {
            name: array("I" if name.endswith("count") else tokens)
            for name in ("left", "right", "count", "rival_left", "rival_right", "rival_count")
        }
        for row in self._rows:
            for place in range(1 + n_runners_up):
                prefix = "rival_" if place else ""
                values = _unpacked(row[place]) if place < len(row) else (0, 0, 0)
                for name, value in zip(("left", "right", "count"), values, strict=True):
                    columns[prefix + name].append(min(value, 2**32 - 1))
        columns["corpus_tokens"] = array("I", [min(n, 2**32 - 1) for n in self.corpus_tokens])
        if sys.byteorder == "big":
            for column in columns.values():
                column.byteswap()
        sizes = {"n_steps": len(self), "n_runners_up": n_runners_up, "token_bits": 16 if tokens == "H" else 32}
        return sizes | {name: column.tobytes() for name, column in columns.items()}

    def tokenizer(self, specials: Sequence[str] = ()) -> Tokenizer:
        """The tokenizer that the merges make; the specials take the last ids."""
        n = len(self.token_bytes)
        return Tokenizer(
            token_bytes=[*self.token_bytes, *(name.encode("utf-8") for name in specials)],
            ranks=self.ranks,
            split=self.split,
            specials={name: n + k for k, name in enumerate(specials)},
        )


def _unpacked(packed: int) -> tuple[int, int, int]:
    """(left, right, count) of an entry, where bytes are byte values and 256 + n is the token of step n + 1."""
    pair = packed & PAIR_MASK
    left, right = pair >> PAIR_BITS, pair & (1 << PAIR_BITS) - 1
    return (
        BYTES_IN_ORDER[left] if left < 256 else left,
        BYTES_IN_ORDER[right] if right < 256 else right,
        TOP_COUNT - (packed >> 2 * PAIR_BITS),
    )
