"""Batches of documents: every row begins with one."""

from __future__ import annotations

from array import array
from itertools import pairwise

import torch
from torch import Tensor

from lmlab.data.batches import Batch, BatchStream, Ids, Text
from lmlab.tokenizer.tokenizer import Tokenizer

IGNORED = -100
BLOCK_IDS = 1 << 16


class DocumentStream(BatchStream):
    """Endless batches (B, T) whose rows are documents, each after BOS; the last of a row is cut where the row ends.

    Where `windows` cuts the stream anywhere, here a row begins as every prompt does, and with a short T a document
    seldom stands behind another that it has nothing to do with. Every epoch deals the documents in a new order, which
    depends on the seed alone. A document that does not fit is cut and not moved to the next row: rows would begin
    with long documents too often, and a model would learn that as the distribution after BOS. What is cut off is
    lost until another epoch cuts elsewhere; nothing is padded but the end of a row that its epoch cannot fill.
    """

    def __init__(self, ids: Ids, *, bos: int, T: int, B: int, seed: int = 0) -> None:
        super().__init__(ids, T=T, B=B, seed=seed, least_T=2)
        self.bos = bos
        self._starts = _places(ids, bos)
        self._lengths = (self._starts[1:] - self._starts[:-1]).clamp(max=T).int()
        self._packed: tuple[int, Tensor, Tensor] | None = None  # (epoch, documents in order, where rows begin in it)
        if self.n_rows < B:
            raise ValueError(
                f"The corpus fills {self.n_rows} rows of T={T}, too few for one batch of B={B}. "
                "Take a smaller B or T, or more text."
            )

    @property
    def n_rows(self) -> int:
        """Rows of this epoch."""
        return len(self._rows()[1]) - 1

    def _rows(self) -> tuple[Tensor, Tensor]:
        """The documents of this epoch in the order drawn, and where among them each row begins, and the last ends.

        A row takes documents until they fill it. About 20 bytes a document, whether the ids lie in memory or not.
        """
        if self._packed is None or self._packed[0] != self._epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self._epoch)
            order = torch.randperm(len(self._lengths), generator=generator)
            ends, rows = self._lengths[order].cumsum(0), [0]
            while rows[-1] < len(order):
                filled = self.T + (int(ends[rows[-1] - 1]) if rows[-1] else 0)
                rows.append(min(len(order), int(torch.searchsorted(ends, filled)) + 1))
            self._packed = (self._epoch, order, torch.tensor(rows))
        return self._packed[1:]

    def __next__(self) -> Batch:
        if (self._position + 1) * self.B > self.n_rows:
            self._epoch, self._position = self._epoch + 1, 0
        order, begins = self._rows()
        first = begins[self._position * self.B : (self._position + 1) * self.B + 1].tolist()
        rows = [order[start:stop].tolist() for start, stop in pairwise(first)]
        self._position += 1
        packed = torch.full((self.B, self.T + 1), self.bos)
        targets = torch.full((self.B, self.T), IGNORED)
        for i, documents in enumerate(rows):
            end = 0
            for document in documents:
                start = int(self._starts[document])
                length = min(int(self._lengths[document]), self.T - end)
                # One token more than the document: the BOS behind it, or, where it is cut, its own next token.
                packed[i, end : end + length + 1] = self.ids[start : start + length + 1]
                end += length
            targets[i, :end] = packed[i, 1 : end + 1]
        return Batch(packed[:, :-1].contiguous(), targets)


def _places(ids: Ids, bos: int) -> Tensor:
    """Where BOS stands, found block by block."""
    found = array("q")  # one buffer that grows: a list of small tensors would pin the blocks' freed memory
    for at in range(0, len(ids), BLOCK_IDS):
        found.frombytes(((ids[at : at + BLOCK_IDS] == bos).nonzero()[:, 0] + at).numpy().tobytes())
    return torch.frombuffer(found, dtype=torch.int64) if found else torch.zeros(0, dtype=torch.int64)


def whole_documents(corpus: Text, tok: Tokenizer, *, T: int, B: int, seed: int = 0) -> DocumentStream:
    """Rows of documents from a corpus. Raises ValueError for a tokenizer without BOS and a corpus too small."""
    if tok.bos_id is None:
        raise ValueError("Rows of documents need a tokenizer with <|endoftext|> to stand between them; use windows.")
    return DocumentStream(corpus.ids(tok), bos=tok.bos_id, T=T, B=B, seed=seed)
