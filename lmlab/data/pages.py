"""A small crawl whose truth is known: pages of real documentation, and around them all that a crawl brings home.

The good pages are the standard library's documentation, read in place; everything else is planted, so each page
carries a label and a reason, and a filter's precision and recall can be counted instead of guessed. Never the town:
its frequencies *are* its truth, and deduplication would destroy them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from lmlab.data import page_noise
from lmlab.data.standard_library import pages_of, standard_library

DOCUMENTATION, EXACT_COPY, NEAR_COPY = "documentation", "exact copy", "near copy"
SHARES = {  # of the pages, in hundredths; real crawls hold far less that is worth reading
    DOCUMENTATION: 25,
    EXACT_COPY: 10,
    NEAR_COPY: 10,
    "navigation": 9,
    "keyword spam": 7,
    "another language": 11,
    "bad address": 7,
    "code": 7,
    "line noise": 5,
    "low quality": 9,
}
N_PAGES = 1_200
ORIGINALS = 24  # documents that are copied, the first of them most often
_MAKE: dict[str, Callable[[Random], str]] = {
    "navigation": page_noise.navigation,
    "keyword spam": page_noise.spam,
    "another language": page_noise.foreign,
    "bad address": page_noise.lure,
    "line noise": page_noise.line_noise,
}


@dataclass(frozen=True)
class Page:
    """A page as it was found, and the planted truth about it: its `kind`, and whether it should be learned from.

    Of several copies the one that comes first in the crawl is good. `copy_of` tells which pages are the same.
    """

    url: str
    text: str
    kind: str
    copy_of: int = -1

    @property
    def good(self) -> bool:
        """Whether it is documentation, and no copy of a page that came before."""
        return self.kind == DOCUMENTATION


def crawl(n: int = N_PAGES, *, seed: int = 0, part: str = "crawl") -> tuple[Page, ...]:
    """`n` pages in the order in which they were found; all follows from `seed` and this Python's own texts.

    `part` says whose documentation it holds: "crawl", "seed" or "held out". Raises ValueError where there are fewer
    documents than a quarter of `n`.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 40:
        raise ValueError(f"n is {n!r}; give a whole number of pages, 40 or more, so that every kind is among them.")
    rng, counts = Random(seed), counted(n)
    there = list(dict.fromkeys(pages_of(part)))
    if len(there) < counts[DOCUMENTATION]:
        raise ValueError(
            f"{n:,} pages need {counts[DOCUMENTATION]:,} documents, and this Python has {len(there):,} for "
            f"{part!r}: ask for at most {4 * len(there):,} pages."
        )
    texts = rng.sample(there, counts[DOCUMENTATION])
    n_copied = min(ORIGINALS, len(texts))
    families = (*range(n_copied), *[-1] * (len(texts) - n_copied))
    pages = [Page(page_noise.address(rng, "docs"), t, DOCUMENTATION, f) for t, f in zip(texts, families, strict=True)]
    pages += _copies(texts[:n_copied], counts, rng)
    code = [module.code for module in standard_library() if module.part == part]
    rest = sorted(set(there) - set(texts)) or texts  # what is stuffed with promises is no page of the crawl
    makers = {
        **_MAKE, "code": lambda r: r.choice(code), "low quality": lambda r: page_noise.low_quality(r, r.choice(rest))
    }  # fmt: skip
    for kind, make in makers.items():
        bad = kind == "bad address"
        pages += [Page(page_noise.address(rng, "pages", bad=bad), make(rng), kind) for _ in range(counts[kind])]
    rng.shuffle(pages)
    return _firsts_are_good(pages)


def counted(n: int) -> dict[str, int]:
    """How many of `n` pages are of each kind; what rounding leaves over is documentation.

    >>> counted(1200)["documentation"]
    300
    """
    counts = {kind: n * share // 100 for kind, share in SHARES.items()}
    counts[DOCUMENTATION] += n - sum(counts.values())
    return counts


def _copies(texts: list[str], counts: dict[str, int], rng: Random) -> list[Page]:
    """Copies of a few documents, the k-th of them 1/k as often as the first: a popular page is everywhere."""
    weights = [1 / (k + 1) for k in range(len(texts))]
    pages = []
    for kind in (EXACT_COPY, NEAR_COPY):
        for which in rng.choices(range(len(texts)), weights, k=counts[kind]):
            text = texts[which] if kind == EXACT_COPY else page_noise.near_copy(texts[which], rng)
            pages.append(Page(page_noise.address(rng, "mirror"), text, kind, which))
    return pages


def _firsts_are_good(pages: list[Page]) -> tuple[Page, ...]:
    """Whoever comes first of a family of copies is the document, whatever it was made as; the others are copies."""
    seen: dict[int, set[str]] = {}
    told = []
    for page in pages:
        if page.copy_of < 0:
            told.append(page)
            continue
        texts = seen.setdefault(page.copy_of, set())
        told.append(replace(page, kind=EXACT_COPY if page.text in texts else NEAR_COPY if texts else DOCUMENTATION))
        texts.add(page.text)
    return tuple(told)
