"""Sums of three numbers on a clock of 24 hours, answered at once or after a scratch pad.

17 + 9 + 20 = 22 on this clock: 46 hours after midnight it is 22. Two hours have 576 sums, few enough to learn by
heart; three have 13,824, and the hours wrap round twice on the way. Who writes the first sum down needs only the
576, twice. A tenth of all triples is held out.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from lmlab.data.batches import Batch, BatchStream
from lmlab.tokenizer.words import WordTokenizer

HOURS = 24
PLUS, EQUALS, DOT, END = range(HOURS, HOURS + 4)  # ids: an hour's id is the hour
WORDS = (*map(str, range(HOURS)), "+", "=", "…", ".")
V = len(WORDS)
ASKED = 6  # tokens of a question: 17 + 9 + 20 =
#: What stands between the question and the answer: nothing, as many dots as a scratch pad has tokens, or the pad.
WAYS = ("at once", "dots", "scratch pad")
IGNORED = -100


def clock_tokenizer() -> WordTokenizer:
    """One token an hour, and four signs."""
    return WordTokenizer(WORDS)


def check_way(way: str) -> None:
    """Raise ValueError for what is no way to answer."""
    if way not in WAYS:
        raise ValueError(f"There is no way to answer {way!r}: choose {', '.join(WAYS[:-1])} or {WAYS[-1]}.")


@functools.cache
def held_out_sums() -> Tensor:
    """The triples that no training shows: (B, 3), about 1,380 of 13,824, in an order of their own."""
    chosen = torch.rand(HOURS**3, generator=torch.Generator().manual_seed(24)).argsort()[: HOURS**3 // 10]
    return torch.stack((chosen // HOURS**2, chosen // HOURS % HOURS, chosen % HOURS), 1)


@functools.cache
def _is_held_out() -> Tensor:
    a, b, c = held_out_sums().T
    table = torch.zeros(HOURS, HOURS, HOURS, dtype=torch.bool)
    table[a, b, c] = True
    return table


def written_sums(sums: Tensor, way: str) -> Tensor:
    """Questions and answers as ids: (B, 3) to (B, T), T being 8, or 12 where something stands between.

    >>> clock_tokenizer().decode(written_sums(torch.tensor([[17, 9, 20]]), "scratch pad")[0].tolist())
    '17 + 9 + 20 = 2 + 20 = 22 .'
    """
    check_way(way)
    a, b, c = sums.T
    signs = {sign: torch.full_like(a, sign) for sign in (PLUS, EQUALS, DOT, END)}
    between = {
        "at once": [],
        "dots": [signs[DOT]] * 4,
        "scratch pad": [(a + b) % HOURS, signs[PLUS], c, signs[EQUALS]],
    }[way]
    question = [a, signs[PLUS], b, signs[PLUS], c, signs[EQUALS]]
    return torch.stack([*question, *between, (a + b + c) % HOURS, signs[END]], 1)


class ClockSums(BatchStream):
    """Endless batches of sums that are not held out, answered in one of the WAYS; the question is no target."""

    def __init__(self, way: str, *, B: int = 64, seed: int = 0) -> None:
        check_way(way)
        super().__init__(torch.arange(V), T=written_sums(held_out_sums()[:1], way).shape[1] - 1, B=B, seed=seed)
        self.way = way

    def _shape(self) -> dict[str, Any]:
        return {**super()._shape(), "way": self.way}

    def __next__(self) -> Batch:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self._position)
        self._position += 1
        sums = torch.randint(HOURS, (2 * self.B + 16, 3), generator=generator)
        kept = sums[~_is_held_out()[sums[:, 0], sums[:, 1], sums[:, 2]]][: self.B]
        rows = written_sums(kept, self.way)
        targets = rows[:, 1:].clone()
        targets[:, : ASKED - 1] = IGNORED
        return Batch(rows[:, :-1].contiguous(), targets)
