"""The diary of byte-pair training: every merge, with what it won against and how short it made the corpus.

`MergeLog` is the one source for the widget, the command line and the tests; the trainer itself prints nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmlab.tokenizer.byte_order import BYTES_IN_ORDER
from lmlab.tokenizer.tokenizer import Tokenizer

#: How many pairs are kept besides the winner at every step.
N_RUNNERS_UP = 6

_ROW = 3 * (1 + N_RUNNERS_UP)


@dataclass(frozen=True)
class PairCount:
    """Two neighboring tokens and how often they stood together."""

    left: bytes
    right: bytes
    count: int


@dataclass(frozen=True)
class MergeEvent:
    """One merge.  `step` counts from 1; the new token is `left + right` and has the id `new_id`.

    `count` is how often the pair stood in the corpus before this merge.  `runners_up` are the next pairs in the order
    of the written rule at that moment (at most six, without the winner).  `corpus_tokens` is the length of the
    corpus in tokens after this merge.
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
        """The new token."""
        return self.left + self.right


@dataclass(frozen=True)
class Moment:
    """Training stopped after `step` merges (0: nothing is joined yet).

    `event` is the merge just made (None at step 0) and `upcoming` the one that is made next (None at the end).
    """

    step: int
    vocab_size: int
    corpus_tokens: int
    corpus_bytes: int
    event: MergeEvent | None
    upcoming: MergeEvent | None

    @property
    def bytes_per_token(self) -> float:
        """Compression: how many bytes of the corpus a token stands for, on average."""
        return self.corpus_bytes / self.corpus_tokens


class MergeLog(Sequence[MergeEvent]):
    """All merges of one training, in order: `log[0]` is step 1, `len(log)` the number of merges.

    `at(step)` gives a moment of the training, `boundaries(text)` what any text looks like at all moments at once,
    `segments(text, step)` what it looks like at one.
    """

    def __init__(self, rows: array[int], corpus_tokens: list[int], *, split: str) -> None:
        """`rows`: for each step the winner and its runners-up as (left, right, count), zeros where there is none.

        Symbols below 256 in `rows` are places in GPT-2's byte order, as the trainer counts.
        """
        self.split = split
        self.corpus_tokens = corpus_tokens
        self._rows = rows
        self.token_bytes = [bytes([byte]) for byte in range(256)]
        for step in range(len(corpus_tokens) - 1):
            left, right = (self.token_bytes[self._public(rows[step * _ROW + n])] for n in (0, 1))
            self.token_bytes.append(left + right)
        self._tokenizer: Tokenizer | None = None

    @staticmethod
    def _public(symbol: int) -> int:
        return BYTES_IN_ORDER[symbol] if symbol < 256 else symbol

    def __len__(self) -> int:
        return len(self.corpus_tokens) - 1

    def __getitem__(self, index):  # type: ignore[no-untyped-def, override]
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"step {index + 1} does not exist; there are {len(self)} merges")
        return self._event(index % len(self))

    def __iter__(self) -> Iterator[MergeEvent]:
        return map(self._event, range(len(self)))

    def _event(self, n: int) -> MergeEvent:
        pairs = [
            PairCount(*(self.token_bytes[self._public(self._rows[at + k])] for k in (0, 1)), self._rows[at + 2])
            for at in range(n * _ROW, (n + 1) * _ROW, 3)
            if self._rows[at + 2]
        ]
        best, *others = pairs
        return MergeEvent(
            step=n + 1,
            left=best.left,
            right=best.right,
            count=best.count,
            new_id=256 + n,
            corpus_tokens=self.corpus_tokens[n + 1],
            runners_up=tuple(others),
        )

    def tokenizer(self, specials: Sequence[str] = ()) -> Tokenizer:
        """The tokenizer that the merges make; the specials take the last ids."""
        n = len(self.token_bytes)
        return Tokenizer(
            token_bytes=[*self.token_bytes, *(name.encode("utf-8") for name in specials)],
            ranks={token: step for step, token in enumerate(self.token_bytes[256:])},
            split=self.split,
            specials={name: n + k for k, name in enumerate(specials)},
        )
