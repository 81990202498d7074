"""What models say after a prompt, before any sampler, and whether draws keep to odds: arithmetic without a picture."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from lmlab.text_model import TextModel, split_trailing_space
from lmlab.widgets._candidates import Column, Row, column, likely_tokens, likely_words, same_vocabulary
from lmlab.widgets._style import token_name

WORDS = 7  # rows of a picture
FEW = 5  # a cell with fewer expected draws is pooled with others: Pearson's test is not meant for it

Steps = tuple[tuple[torch.Tensor, int], ...]  # (log-probabilities (V,), id), one for each token of a word


@dataclasses.dataclass(frozen=True)
class Reading:
    """What the models say after a prompt, before any sampler: rows of words, and each model's way to each word."""

    prompt: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    ways: tuple[tuple[Steps, ...], ...]  # a row, a column
    tokens: bool  # whether the models share a vocabulary


@dataclasses.dataclass(frozen=True)
class Fit:
    """Pearson's test of draws against a distribution; with 0 degrees of freedom there is nothing to test."""

    chi_squared: float
    degrees: int
    p: float


def read(models: Sequence[TextModel], prompt: str, k: int = WORDS) -> Reading:
    """Ask every model once about a prompt. All that a slider does afterwards is arithmetic on this."""
    given = split_trailing_space(prompt)[0]  # the space belongs to the next word
    columns = tuple(column(model, given) for model in models)
    tokens = same_vocabulary(models)
    found = likely_tokens(columns, k) if tokens else likely_words(columns, given, k)
    rows = tuple(sorted(found, key=lambda row: (-row.probabilities[-1], -max(row.probabilities), row.word))[:k])
    return Reading(given, columns, rows, tuple(tuple(_way(c, given, row) for c in columns) for row in rows), tokens)


def _way(col: Column, prompt: str, row: Row) -> Steps:
    """The tokens of a word, each with the distribution that it is chosen from."""
    if col.log_probs is None:
        return ()
    tok = col.model.tokenizer
    specials = {token_name(name, tok.specials): id_ for name, id_ in tok.specials.items()}
    ids = [row.id] if row.id >= 0 else tok.encode(row.raw) or [specials[row.word]]
    steps, after = [], col.log_probs
    for place, id_ in enumerate(ids):
        if place:
            after = col.after(tuple(ids[:place]))
        steps.append((after, id_))
    return tuple(steps)


def chi_squared(counts: torch.Tensor, probabilities: torch.Tensor) -> Fit:
    """Pearson's test of counts (V,) against probabilities (V,); cells that expect fewer than five are one cell.

    ``p`` is the chance of draws at least as far off, if the probabilities are true.
    """
    n = float(counts.sum())
    expected, observed = n * probabilities.double(), counts.double()
    big = expected >= FEW
    rest = torch.stack([observed[~big].sum(), expected[~big].sum()])
    pairs = [torch.stack([observed[big], expected[big]])]
    if float(rest[1]) > 0 or float(rest[0]) > 0:
        pairs.append(rest[:, None])
    o, e = torch.cat(pairs, 1)
    degrees = len(o) - 1
    if degrees < 1:
        return Fit(0.0, 0, 1.0)
    statistic = ((o - e) ** 2 / e.clamp(min=1e-300)).sum()
    p = torch.special.gammaincc(torch.tensor(degrees / 2, dtype=torch.float64), statistic / 2)
    return Fit(float(statistic), degrees, float(p))


def choices(probabilities: torch.Tensor) -> float:
    """How many equally likely tokens would be as uncertain as this distribution (V,): e to its entropy."""
    p = probabilities.double()
    return math.exp(-float(torch.special.xlogy(p, p).sum()))
