"""Batches of documents: every row begins with one."""

from __future__ import annotations

import torch
from torch import Tensor

from lmlab.data.batches import Batch, BatchStream
from lmlab.data.corpus import Corpus
from lmlab.tokenizer.tokenizer import Tokenizer

IGNORED = -100


class DocumentStream(BatchStream):
    """Endless batches (B, T) whose rows are documents, each after BOS; the last of a row is cut where the row ends.

    Where `windows` cuts the stream anywhere, here a row begins as every prompt does, and with a short T a document
    seldom stands behind another that it has nothing to do with. Every epoch deals the documents in a new order, which
    depends on the seed alone. A document that does not fit is cut and not moved to the next row: rows would begin
    with long documents too often, and a model would learn that as the distribution after BOS. What is cut off is
    lost until another epoch cuts elsewhere; nothing is padded but the end of a row that its epoch cannot fill.
    """

    def __init__(self, ids: Tensor, *, bos: int, T: int, B: int, seed: int = 0) -> None:
        super().__init__(ids, T=T, B=B, seed=seed, least_T=2)
        self.bos = bos
        self._starts = (ids == bos).nonzero()[:, 0]
        self._lengths = (self._starts[1:] - self._starts[:-1]).clamp(max=T).tolist()
        self._packed: tuple[int, list[list[int]]] | None = None
        if len(self._rows()) < B:
            raise ValueError(
                f"The corpus fills {len(self._rows())} rows of T={T}, too few for one batch of B={B}. "
                "Take a smaller B or T, or more text."
            )

    def _rows(self) -> list[list[int]]:
        """The documents of each row of this epoch, in the order drawn."""
        if self._packed is None or self._packed[0] != self._epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self._epoch)
            rows: list[list[int]] = []
            room = 0
            for document in torch.randperm(len(self._lengths), generator=generator).tolist():
                if room <= 0:
                    rows.append([])
                    room = self.T
                rows[-1].append(document)
                room -= self._lengths[document]
            self._packed = (self._epoch, rows)
        return self._packed[1]

    def __next__(self) -> Batch:
        if (self._position + 1) * self.B > len(self._rows()):
            self._epoch, self._position = self._epoch + 1, 0
        rows = self._rows()[self._position * self.B : (self._position + 1) * self.B]
        self._position += 1
        packed = torch.full((self.B, self.T + 1), self.bos)
        targets = torch.full((self.B, self.T), IGNORED)
        for i, documents in enumerate(rows):
            end = 0
            for document in documents:
                start = int(self._starts[document])
                length = min(self._lengths[document], self.T - end)
                # One token more than the document: the BOS behind it, or, where it is cut, its own next token.
                packed[i, end : end + length + 1] = self.ids[start : start + length + 1]
                end += length
            targets[i, :end] = packed[i, 1 : end + 1]
        return Batch(packed[:, :-1].contiguous(), targets)


def whole_documents(corpus: Corpus, tok: Tokenizer, *, T: int, B: int, seed: int = 0) -> DocumentStream:
    """Rows of documents from a corpus. Raises ValueError for a tokenizer without BOS and a corpus too small."""
    if tok.bos_id is None:
        raise ValueError("Rows of documents need a tokenizer with <|endoftext|> to stand between them; use windows.")
    return DocumentStream(corpus.ids(tok), bos=tok.bos_id, T=T, B=B, seed=seed)
