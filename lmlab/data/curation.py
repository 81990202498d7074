"""From a crawl to a training set: six filters in a row, and a log of what each of them dropped and why.

Lecture: "Common Crawl to DCLM-baseline keeps about 1.4 %: URL filter, English only, heuristics, deduplication, a
quality classifier." Whatever costs something is measured once for each page (`measure_pages`); the filters then only
compare numbers, so that a threshold can be turned and the answer is there at once. Each stage sees what the stages
before it left.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from lmlab.data.near_duplicates import LEAST, Pairs, near_copies, similar_pairs, text_digest
from lmlab.data.page_language import english_share
from lmlab.data.page_rules import first_broken, page_features
from lmlab.data.pages import N_PAGES, Page, crawl
from lmlab.data.quality import seed_classifier

STAGES = ("url", "language", "rules", "copies", "near copies", "quality")
BLOCKED = frozenset("casino dating hot pills poker warez win".split())  # words of hosts, as blocklists have them


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where each filter draws its line; the defaults are near those of published pipelines.

    `blocklist`: whether addresses are filtered at all. `english`: the least share of English (DCLM asks for 0.65).
    `words`: the least number of words (Gopher: 50). `alike`: from which Jaccard similarity on a page is a near copy
    (FineWeb: 0.75); 1 leaves exact copies alone. `quality`: the classifier's least score.

    Raises ValueError, naming the field, for a value out of range.
    """

    blocklist: bool = True
    english: float = 0.65
    words: int = 50
    alike: float = 0.75
    quality: float = 0.5

    def __post_init__(self) -> None:
        limits = {"english": (0, 1), "words": (0, 100_000), "alike": (LEAST, 1), "quality": (0, 1)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError(f"{name} is {value!r}; give a number from {low:g} to {high:,g}.")


@dataclass(frozen=True)
class MeasuredPages:
    """Pages, and of each page all that a filter asks for; `pairs` are those that are alike, with their similarity."""

    pages: tuple[Page, ...]
    blocked: tuple[str, ...]  # the blocked word in the address, or nothing
    english: tuple[float, ...]
    features: tuple[dict[str, float], ...]
    digests: tuple[str, ...]
    pairs: Pairs
    quality: tuple[float, ...]


@dataclass(frozen=True)
class Drop:
    """One line of the audit log: which page was dropped at which stage, by what rule, and its value against the
    threshold; in words where there is no number."""

    page: int
    stage: str
    rule: str
    value: float | str
    threshold: float | str


@dataclass(frozen=True)
class Funnel:
    """What the filters made of a crawl: the numbers of the pages left `after` each stage, and the log."""

    pages: tuple[Page, ...]
    after: dict[str, tuple[int, ...]]
    log: tuple[Drop, ...]

    @property
    def kept(self) -> tuple[Page, ...]:
        """The pages that passed every stage."""
        return tuple(self.pages[i] for i in self.after[STAGES[-1]])

    def dropped(self, stage: str) -> tuple[Drop, ...]:
        """The log of one stage. Raises ValueError for a stage that there is not."""
        _known(stage)
        return tuple(drop for drop in self.log if drop.stage == stage)

    def keeps(self) -> dict[str, float]:
        """The share of what reached each stage that passed it; their product is the share that is left in the end."""
        before, shares = len(self.pages), {}
        for stage in STAGES:
            left = len(self.after[stage])
            shares[stage] = left / before if before else 0.0
            before = left
        return shares

    def precision(self, stage: str = STAGES[-1]) -> float:
        """The share of good pages among those left after a stage, by the planted truth; 0 where none is left."""
        left = self.after[_known(stage)]
        return sum(self.pages[i].good for i in left) / len(left) if left else 0.0

    def recall(self, stage: str = STAGES[-1]) -> float:
        """The share of all good pages that are still there after a stage."""
        good = sum(page.good for page in self.pages)
        return sum(self.pages[i].good for i in self.after[_known(stage)]) / good if good else 0.0


def measure_pages(pages: Iterable[Page]) -> MeasuredPages:
    """Everything the filters will ask of these pages, once: about two seconds for a thousand."""
    pages = tuple(pages)
    texts = [page.text for page in pages]
    return MeasuredPages(
        pages=pages,
        blocked=tuple(map(blocked_word, (page.url for page in pages))),
        english=tuple(map(english_share, texts)),
        features=tuple(map(page_features, texts)),
        digests=tuple(map(text_digest, texts)),
        pairs=similar_pairs(texts),
        quality=tuple(seed_classifier().scores(texts)),
    )


@functools.cache
def measured_crawl(n: int = N_PAGES, *, seed: int = 0) -> MeasuredPages:
    """The crawl of this seed, measured once a process: what labs and widgets take."""
    return measure_pages(crawl(n, seed=seed))


def blocked_word(url: str) -> str:
    """The word of a URL's host that stands on the blocklist, or nothing.

    >>> blocked_word("https://www.poker-king7.example/today")
    'poker'
    """
    host = (urlsplit(url).hostname or "").lower()
    return next((word for word in re.findall(r"[a-z]+", host) if word in BLOCKED), "")


def curate(measured: MeasuredPages, thresholds: Thresholds | None = None) -> Funnel:
    """Send measured pages through all stages, in order. Pure: the same pages and thresholds give the same funnel."""
    limits, left = thresholds or Thresholds(), tuple(range(len(measured.pages)))
    after: dict[str, tuple[int, ...]] = {}
    log: list[Drop] = []
    for stage in STAGES:
        drops = [Drop(page, stage, *why) for page, why in _FILTERS[stage](measured, left, limits)]
        gone = {drop.page for drop in drops}
        left = after[stage] = tuple(page for page in left if page not in gone)
        log += drops
    return Funnel(measured.pages, after, tuple(log))


# ---------------------------------------------------------------- the stages: (page, (rule, value, threshold))

Why = tuple[str, float | str, float | str]
Dropped = list[tuple[int, Why]]


def _url(m: MeasuredPages, left: Sequence[int], limits: Thresholds) -> Dropped:
    found = [i for i in left if m.blocked[i]] if limits.blocklist else []
    return [(i, ("word in the address", m.blocked[i], "on the blocklist")) for i in found]


def _language(m: MeasuredPages, left: Sequence[int], limits: Thresholds) -> Dropped:
    return [(i, ("share of English", m.english[i], limits.english)) for i in left if m.english[i] < limits.english]


def _rules(m: MeasuredPages, left: Sequence[int], limits: Thresholds) -> Dropped:
    dropped: Dropped = []
    for i in left:
        broken = first_broken(m.features[i], least_words=limits.words)
        if broken:
            rule, bound = broken
            name = f"{rule.feature}, at {'least' if rule.least else 'most'} ({rule.source})"
            dropped.append((i, (name, m.features[i][rule.feature], float(bound))))
    return dropped


def _copies(m: MeasuredPages, left: Sequence[int], limits: Thresholds) -> Dropped:
    first: dict[str, int] = {}
    dropped: Dropped = []
    for i in left:
        at = first.setdefault(m.digests[i], i)
        if at != i:
            dropped.append((i, ("the same text", f"page {at}", "once")))
    return dropped


def _near_copies(m: MeasuredPages, left: Sequence[int], limits: Thresholds) -> Dropped:
    found = near_copies(left, m.pairs, limits.alike) if limits.alike < 1 else {}
    return [(i, (f"as alike to page {twin} as", alike, limits.alike)) for i, (twin, alike) in found.items()]


def _quality(m: MeasuredPages, left: Sequence[int], limits: Thresholds) -> Dropped:
    return [
        (i, ("the classifier's score", m.quality[i], limits.quality)) for i in left if m.quality[i] < limits.quality
    ]


_FILTERS: dict[str, Callable[[MeasuredPages, Sequence[int], Thresholds], Dropped]] = {
    "url": _url,
    "language": _language,
    "rules": _rules,
    "copies": _copies,
    "near copies": _near_copies,
    "quality": _quality,
}


def _known(stage: str) -> str:
    if stage not in STAGES:
        raise ValueError(f"There is no stage {stage!r}; choose one of {', '.join(STAGES)}.")
    return stage
