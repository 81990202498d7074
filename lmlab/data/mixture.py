"""What an open model has read: OLMo 2's pre-training mixture, counted by its authors, and the ratios that follow.

Sources: Table 1 of OLMo 2 (arXiv 2501.00656); for the same web pages, counted for an earlier model, Table 2 of OLMoE
(arXiv 2409.02060); DCLM's pool and what is left of it, Li et al. 2024 (arXiv 2406.11794), sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One part of a mixture: how many tokens, words, bytes and documents it has."""

    name: str
    kind: str
    tokens: float
    words: float
    n_bytes: float
    documents: float

    @property
    def words_per_token(self) -> float:
        """0.75 is the rule of thumb for English."""
        return self.words / self.tokens

    @property
    def bytes_per_token(self) -> float:
        """About 4 for English."""
        return self.n_bytes / self.tokens

    @property
    def bytes_per_word(self) -> float:
        """With the space behind it about 6 for English."""
        return self.n_bytes / self.words

    @property
    def tokens_per_document(self) -> float:
        """A page, a paper, a file."""
        return self.tokens / self.documents


OLMO_2 = (
    Source("DCLM-baseline", "web pages", 3.71e12, 3.32e12, 21.32e12, 2.95e9),
    Source("StarCoder", "code", 83.0e9, 70.0e9, 459e9, 78.7e6),
    Source("peS2o", "academic papers", 58.6e9, 51.1e9, 413e9, 38.8e6),
    Source("arXiv", "papers as LaTeX", 20.8e9, 19.3e9, 77.2e9, 3.95e6),
    Source("OpenWebMath", "web pages with mathematics", 12.2e9, 11.1e9, 47.2e9, 2.89e6),
    Source("Algebraic Stack", "code of proofs", 11.8e9, 10.8e9, 44.0e9, 2.83e6),
    Source("Wikipedia and Wikibooks", "encyclopedia", 3.7e9, 3.16e9, 16.2e9, 6.17e6),
)
"""The seven parts of OLMo 2's pre-training mixture of November 2024."""

DCLM_AS_OLMOE = Source("DCLM-baseline", "web pages, as OLMoE counts them", 3.86e12, 3.38e12, 16.7e12, 2.95e9)
"""The same documents with a fifth fewer bytes and a few more tokens: two tables of one house, and they differ."""

POOL_TOKENS, BASELINE_TOKENS = 240e12, 3.8e12
"""Tokens of DCLM's Common Crawl, and of what its pipeline left."""
KEPT_DOCUMENTS = 0.014
"""The share of the pool's documents that is left."""


def total(sources: Sequence[Source] = OLMO_2) -> Source:
    """All parts together. Raises ValueError where there is none."""
    if not sources:
        raise ValueError("A mixture has at least one source; got none.")
    sums = [sum(getattr(s, name) for s in sources) for name in ("tokens", "words", "n_bytes", "documents")]
    return Source("all", "the mixture", *sums)


def shares(sources: Sequence[Source] = OLMO_2) -> dict[str, float]:
    """Each part's share of all tokens."""
    tokens = total(sources).tokens
    return {source.name: source.tokens / tokens for source in sources}
