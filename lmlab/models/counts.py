"""Counting whole texts: the most literal language model, which has read everything and can say nothing new.

Lecture: "can we just count?". P(next | prefix) is the share of texts with this beginning that go on so. It is exact
for what was read, and silent for the first beginning that was not: why counting whole sentences does not scale.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from lmlab.models.language_model import State, check_ids


class SequenceCounts:
    """A `LanguageModel` of whole beginnings. Make one with `SequenceCounts.fit(documents, vocab_size=V)`.

    The state is all ids so far. After a beginning that no document has, every token has log-probability -inf.
    """

    def __init__(self, documents: Iterable[tuple[int, ...]], *, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self._documents = sorted(documents)  # those with one beginning stand side by side

    @classmethod
    def fit(
        cls, ids: Tensor | Iterable[Sequence[int]], *, vocab_size: int, bos_id: int | None = None
    ) -> SequenceCounts:
        """Count documents: a list of id lists, or a stream of ids (T,) in which `bos_id` stands between documents.

        Each document of a stream keeps the BOS before it and the one after it, which is its end.
        Raises ValueError if there is nothing to count.
        """
        if isinstance(ids, Tensor):
            if bos_id is None:
                raise ValueError("A stream of ids needs bos_id, the id that stands between documents.")
            documents = _cut(check_ids(ids, vocab_size)[0].tolist(), bos_id)
        else:
            documents = [tuple(map(int, document)) for document in ids if len(document)]
            for document in documents:
                check_ids(torch.tensor(document), vocab_size)
        if not documents:
            raise ValueError("There are no documents to count: give at least one with a token in it.")
        return cls(documents, vocab_size=vocab_size)

    def __repr__(self) -> str:
        return f"SequenceCounts({len(self._documents):,} documents, V={self.vocab_size})"

    def count(self, prefix: Sequence[int]) -> int:
        """How many documents begin with these ids."""
        start, stop = self._range(tuple(int(id_) for id_ in prefix), 0, len(self._documents))
        return stop - start

    def log_probs(self, ids: Tensor) -> Tensor:
        """(B, T) to (B, T, V): row t from all of ids 0 to t."""
        ids = check_ids(ids, self.vocab_size)
        rows = [[self._row(tuple(text[: t + 1])) for t in range(len(text))] for text in ids.tolist()]
        return torch.stack([torch.stack(row) for row in rows])

    def next_log_probs(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """New ids (B, T) to (B, V); the state is everything read so far (B, S)."""
        ids = check_ids(ids, self.vocab_size)
        if state is not None:
            ids = torch.cat((state, ids), 1)
        return torch.stack([self._row(tuple(text)) for text in ids.tolist()]), ids

    def _row(self, prefix: tuple[int, ...]) -> Tensor:
        counts = torch.zeros(self.vocab_size, dtype=torch.float64)
        at, stop = self._range(prefix, 0, len(self._documents))
        place = len(prefix)
        while at < stop and len(self._documents[at]) <= place:  # documents that end here stand first
            at += 1
        while at < stop:  # from one continuation to the next, without looking at what lies between
            id_ = self._documents[at][place]
            _, end = self._range((*prefix, id_), at, stop)
            counts[id_] = end - at
            at = end
        # Where nothing goes on, 0 / 1 instead of 0 / 0: impossible, not undefined.
        return (counts / counts.sum().clamp(min=1)).log().float()

    def _range(self, prefix: tuple[int, ...], low: int, high: int) -> tuple[int, int]:
        start = bisect_left(self._documents, prefix, low, high)
        after = (*prefix[:-1], prefix[-1] + 1) if prefix else (self.vocab_size,)
        return start, bisect_left(self._documents, after, start, high)


def _cut(ids: list[int], bos_id: int) -> list[tuple[int, ...]]:
    marks = [place for place, id_ in enumerate(ids) if id_ == bos_id]
    if not marks or marks[0] != 0:
        marks.insert(0, 0)
    ends = [place + 1 for place in marks[1:]] + [len(ids)]
    pieces = [tuple(ids[start:stop]) for start, stop in zip(marks, ends, strict=True)]
    return [piece for piece in pieces if len(piece) > 1]
