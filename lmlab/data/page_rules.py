"""Rules that need no model: what a page of running text looks like, counted.

Each rule is one number of a page and a bound on it, with the paper that it comes from. They are crude, cheap, and
remove most of what is not text at all. Sources: Gopher is Rae et al. 2021, arXiv 2112.11446, appendix A; C4 is Raffel
et al. 2020, arXiv 1910.10683, section 2.2; FineWeb is Penedo et al. 2024, arXiv 2406.17557, section 3.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\S+")
_SENTENCE = re.compile(r"[.!?][\"')\]]*(?:\s|$)")
_STOP_WORDS = frozenset("the be to of and that have with".split())  # Gopher's eight
_ENDS = (".", "!", "?", '"', "'", ":", ";", ")")


@dataclass(frozen=True)
class PageRule:
    """A page must have at least (`least`) or at most `bound` of `feature`; `source` is the paper."""

    feature: str
    least: bool
    bound: float
    source: str

    def broken(self, value: float, bound: float | None = None) -> bool:
        """Whether a page with this value is dropped."""
        limit = self.bound if bound is None else bound
        return value < limit if self.least else value > limit


def page_features(text: str) -> dict[str, float]:
    """What the rules count, by name. An empty page has nothing of anything.

    >>> page_features("The goose sold the bread. It was a good day.")["words"]
    10.0
    """
    words = _WORD.findall(text)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return {name: count(text, words, lines) if words else 0.0 for name, count in _COUNT.items()}


def _share(lines: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, lines)) / len(lines)


def _top_bigram(words: Sequence[str]) -> float:
    """The share of all characters that the commonest pair of words covers."""
    if len(words) < 2:
        return 0.0
    pairs = Counter(itertools.pairwise(words))
    (a, b), n = max(pairs.items(), key=lambda item: (item[1], item[0]))
    return n * (len(a) + len(b)) / max(1, sum(map(len, words))) if n > 1 else 0.0


_COUNT: dict[str, Callable[[str, Sequence[str], Sequence[str]], float]] = {
    "words": lambda text, words, lines: float(len(words)),
    "letters in a word": lambda text, words, lines: sum(map(len, words)) / len(words),
    "symbols a word": lambda text, words, lines: (text.count("#") + text.count("...") + text.count("…")) / len(words),
    "words with a letter": lambda text, words, lines: sum(any(c.isalpha() for c in w) for w in words) / len(words),
    "stop words": lambda text, words, lines: float(len(_STOP_WORDS & {w.lower() for w in words})),
    "lines with a bullet": lambda text, words, lines: _share(lines, lambda x: x.startswith(("•", "-", "*"))),
    "lines with an ellipsis": lambda text, words, lines: _share(lines, lambda x: x.endswith(("...", "…"))),
    "repeated lines": lambda text, words, lines: 1 - len(set(lines)) / len(lines),
    "commonest pair": lambda text, words, lines: _top_bigram(words),
    "sentences": lambda text, words, lines: float(len(_SENTENCE.findall(text))),
    "lines with an end": lambda text, words, lines: _share(lines, lambda x: x.endswith(_ENDS)),
    "curly brackets": lambda text, words, lines: float(text.count("{")),
}
PAGE_RULES = (
    PageRule("words", True, 50, "Gopher"),
    PageRule("letters in a word", True, 3, "Gopher"),
    PageRule("letters in a word", False, 10, "Gopher"),
    PageRule("symbols a word", False, 0.1, "Gopher"),
    PageRule("words with a letter", True, 0.8, "Gopher"),
    PageRule("stop words", True, 2, "Gopher"),
    PageRule("lines with a bullet", False, 0.9, "Gopher"),
    PageRule("lines with an ellipsis", False, 0.3, "Gopher"),
    PageRule("repeated lines", False, 0.3, "Gopher"),
    PageRule("commonest pair", False, 0.2, "Gopher"),
    PageRule("sentences", True, 3, "C4"),
    PageRule("lines with an end", True, 0.12, "FineWeb"),
)
"""In the order in which a page is asked. C4's rule on curly brackets is left out: it drops what explains code."""
CURLY = PageRule("curly brackets", False, 0, "C4")


def first_broken(features: dict[str, float], *, least_words: float = 50.0) -> tuple[PageRule, float] | None:
    """The first rule that a page breaks, and the bound that it was held to; None if it breaks none."""
    for rule in PAGE_RULES:
        bound = least_words if rule.feature == "words" else rule.bound
        if rule.broken(features[rule.feature], bound):
            return rule, bound
    return None
