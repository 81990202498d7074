"""Batches for masked prediction: some tokens are covered, and what was under them is the target."""

from __future__ import annotations

import torch

from lmlab.data.batches import Batch, Ids, Text, WindowStream
from lmlab.tokenizer.tokenizer import Tokenizer

IGNORED = -100
MASK = "<|mask|>"


class MaskedStream(WindowStream):
    """Endless batches (B, T) of windows in which each token but BOS is covered with probability `rate`.

    Targets are the covered tokens in their places and -100 elsewhere. One token at least is covered in each row.
    Devlin et al. 2018 (BERT) cover 15 %, and leave a fifth of those readable or wrong; here all of them are masks.
    """

    def __init__(
        self, ids: Ids, *, mask: int, bos: int | None, T: int, B: int, rate: float = 0.15, seed: int = 0
    ) -> None:
        super().__init__(ids, T=T, B=B, seed=seed)
        if not 0 < rate < 1:
            raise ValueError(f"rate is the share of tokens to cover, between 0 and 1, not {rate!r}: BERT took 0.15.")
        self.mask, self.bos, self.rate = mask, bos, rate

    def __next__(self) -> Batch:
        inputs = super().__next__().inputs
        place = self._epoch * self.batches_per_epoch + self._position
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + place)
        drawn = torch.rand(inputs.shape, generator=generator)
        if self.bos is not None:
            drawn[inputs == self.bos] = 1.0
        covered = (drawn < self.rate) | (drawn == drawn.amin(1, keepdim=True))
        return Batch(inputs.masked_fill(covered, self.mask), inputs.masked_fill(~covered, IGNORED))


def masked_windows(corpus: Text, tok: Tokenizer, *, T: int, B: int, rate: float = 0.15, seed: int = 0) -> MaskedStream:
    """Windows of T tokens in batches of B with a share of their tokens covered by <|mask|>.

    Raises ValueError for a tokenizer without <|mask|> and, with the numbers, for a corpus too small for one batch.
    """
    if MASK not in tok.specials:
        raise ValueError(f"This tokenizer has no {MASK}: train one with specials=RESERVED_SPECIALS.")
    return MaskedStream(corpus.ids(tok), mask=tok.specials[MASK], bos=tok.bos_id, T=T, B=B, rate=rate, seed=seed)
