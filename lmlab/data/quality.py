"""A quality classifier: a linear model on hashed words and pairs of words, trained on rated pages.

It is what DCLM's last and sharpest filter is (a fastText classifier; Li et al. 2024, arXiv 2406.11794), at our size:
fast enough for billions of pages, and as good as the pages that somebody chose as examples.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lmlab.data.pages import crawl

BUCKETS = 2**14
N_RATED = 400  # pages of the seed set
_WORD = re.compile(r"[^\W_]+|[^\w\s]")


class Rows(NamedTuple):
    """Mostly empty rows, one after another: the buckets that are not empty, what is in them, where each row starts."""

    buckets: Tensor
    values: Tensor
    starts: Tensor


@dataclass(frozen=True)
class QualityClassifier:
    """`weights` (V,) and `bias` of a logistic regression over V buckets of hashed n-grams."""

    weights: Tensor
    bias: float

    @classmethod
    def fit(cls, texts: Sequence[str], good: Sequence[bool], *, decay: float = 1e-4) -> QualityClassifier:
        """Learn from rated pages. Deterministic: the loss is convex, and all pages are read at every step.

        Raises ValueError where a rating is missing, or all are alike.
        """
        if len(texts) != len(good) or len(set(map(bool, good))) < 2:
            raise ValueError(
                f"A classifier learns from good and bad pages, each rated once; got {len(texts):,} pages and "
                f"{len(good):,} ratings, {sum(map(bool, good)):,} of them good."
            )
        rows, labels = hashed(texts), torch.tensor([float(bool(g)) for g in good])
        weights = torch.zeros(BUCKETS, requires_grad=True)
        bias = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights, bias], max_iter=60, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            logits = _products(rows, weights) + bias
            value = F.binary_cross_entropy_with_logits(logits, labels) + decay * weights.square().sum()
            value.backward()
            return value

        optimizer.step(loss)
        return cls(weights.detach(), float(bias.detach()))

    def scores(self, texts: Sequence[str]) -> list[float]:
        """How good each page is, from 0 to 1."""
        if not texts:
            return []
        logits = _products(hashed(texts), self.weights) + self.bias
        found: list[float] = torch.sigmoid(logits).tolist()
        return found


def hashed(texts: Sequence[str]) -> Rows:
    """A row of unit length for each text: how often each word and pair of words occurs, V buckets of them, as its
    root, so that a word said a hundred times does not drown all others."""
    buckets: list[int] = []
    values: list[float] = []
    starts: list[int] = []
    for text in texts:
        words = _WORD.findall(text.lower())
        grams = Counter(zlib.crc32(gram.encode()) % BUCKETS for gram in words)
        grams.update(zlib.crc32(f"{a} {b}".encode()) % BUCKETS for a, b in itertools.pairwise(words))
        length = math.sqrt(sum(grams.values()))  # of the row of roots
        starts.append(len(buckets))
        buckets += grams
        values += [math.sqrt(n) / length for n in grams.values()]
    return Rows(torch.tensor(buckets, dtype=torch.int64), torch.tensor(values), torch.tensor(starts))


def _products(rows: Rows, weights: Tensor) -> Tensor:
    """Each row times the weights (V,): (B,)."""
    return F.embedding_bag(
        rows.buckets, weights[:, None], rows.starts, mode="sum", per_sample_weights=rows.values
    )[:, 0]  # fmt: skip


@functools.cache
def seed_classifier(seed: int = 1) -> QualityClassifier:
    """The classifier that the funnel uses: trained on rated pages from modules that the crawl does not hold.

    Of copies it is told nothing: they are as good to read as the page that they are copies of.
    """
    rated = crawl(N_RATED, seed=seed, part="seed")
    return QualityClassifier.fit([p.text for p in rated], [p.good or p.copy_of >= 0 for p in rated])
