"""Pages that are nearly the same: shingles, Jaccard similarity, and MinHash with locality-sensitive hashing.

Two pages are alike as far as their sets of five-word shingles overlap. Comparing all pairs costs n² sets; a MinHash
signature keeps the overlap in a few numbers, and banded hashing looks only at pairs that fall into one bucket. Those
are then compared exactly, so hashing can miss a pair and never invent one. Source: Broder 1997; the index is
datasketch's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

SHINGLE = 5  # words
LEAST = 0.4  # similarity below which no pair is looked for
_PERMUTATIONS = 128
_WORD = re.compile(r"\w+")
Pairs = Mapping[tuple[int, int], float]


def shingles(text: str, n: int = SHINGLE) -> frozenset[str]:
    """All runs of n words, in lower case and without punctuation; a shorter text is one shingle.

    >>> sorted(shingles("The goose, the GOOSE.", n=2))
    ['goose the', 'the goose']
    """
    words = _WORD.findall(text.lower())
    return frozenset(" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """The share of both sets' elements that are in both; 1 for two empty sets."""
    union = len(a | b)
    return len(a & b) / union if union else 1.0


def similar_pairs(texts: Sequence[str], least: float = LEAST) -> dict[tuple[int, int], float]:
    """Pairs (i, j), i < j, whose Jaccard similarity is at least `least`, with that similarity, which is exact.

    The index finds nearly all of them. Raises ValueError for a `least` that is no similarity.
    """
    if not 0 < least <= 1:
        raise ValueError(f"least is {least!r}; a similarity lies above 0 and up to 1, for example 0.8.")
    from datasketch import MinHash, MinHashLSH  # here, since it brings scipy along

    sets = [shingles(text) for text in texts]
    index = MinHashLSH(threshold=max(0.1, 0.75 * least), num_perm=_PERMUTATIONS)  # lower: a missed pair stays missed
    pairs: dict[tuple[int, int], float] = {}
    for j, words in enumerate(sets):
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update_batch([word.encode() for word in sorted(words)])
        for i in sorted(map(int, index.query(sketch))):
            alike = jaccard(sets[i], words)
            if alike >= least:
                pairs[i, j] = alike
        index.insert(str(j), sketch)
    return pairs


def near_copies(order: Sequence[int], pairs: Pairs, threshold: float) -> dict[int, tuple[int, float]]:
    """Of the pages of `order`, those at least `threshold` alike to one that is kept before them: that one, and how
    alike. A page is compared with kept ones alone, so a chain of small changes does not eat all that follow."""
    before: dict[int, list[tuple[int, float]]] = {}
    for (i, j), alike in pairs.items():
        if alike >= threshold:
            before.setdefault(j, []).append((i, alike))
    kept: set[int] = set()
    copies: dict[int, tuple[int, float]] = {}
    for page in order:
        twin = next(((i, alike) for i, alike in before.get(page, ()) if i in kept), None)
        if twin is None:
            kept.add(page)
        else:
            copies[page] = twin
    return copies


def text_digest(text: str) -> str:
    """What exact deduplication compares instead of whole texts: equal texts have equal digests."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
