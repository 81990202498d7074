"""The exercises of lab 10: how alike two pages are, precision and recall of a filter, agreement beyond chance."""

from __future__ import annotations

import math
import random

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

_WORDS = "baker bread clock dog fish fox goose judge lamp market mayor moss owl rain spoon tower umbrella".split()

# ---------------------------------------------------------------- jaccard


def _overlap(a: str, b: str, n: int) -> float:
    one, two = (
        {tuple(words[i : i + n]) for i in range(len(words) - n + 1)} for words in (a.split(), b.split())
    )  # fmt: skip
    return len(one & two) / len(one | two)


def _jaccard(student: Student, a: str, b: str, n: int) -> None:
    value = number(student(a, b, n))
    if not math.isclose(value, _overlap(a, b, n), abs_tol=1e-6):
        raise Wrong(f"for {a!r}, {b!r} and n = {n} yours gave {show(value)}.")


def _page(rng: random.Random, length: int) -> list[str]:
    return rng.choices(_WORDS, k=length)


def _same_page(student: Student, rng: random.Random) -> None:
    for n in (1, 2, 3):
        page = " ".join(_page(rng, 12))
        _jaccard(student, page, page, n)


def _other_page(student: Student, rng: random.Random) -> None:
    words = rng.sample(_WORDS, 16)
    _jaccard(student, " ".join(words[:8]), " ".join(words[8:]), rng.randint(1, 3))


def _edited_page(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        page = _page(rng, rng.randint(8, 20))
        edited = list(page)
        edited[rng.randrange(len(page))] = rng.choice(_WORDS)
        _jaccard(student, " ".join(page), " ".join([*_page(rng, 2), *edited]), rng.randint(2, 4))


def _order_counts(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        words = rng.sample(_WORDS, 8)
        _jaccard(student, " ".join(words), " ".join(rng.sample(words, 8)), 2)


_JACCARD = Exercise(
    id="data.jaccard",
    takes=("a", "b", "n"),
    hints=(
        "First make the set of all runs of n words of each text; then compare the two sets.",
        "A text of w words has w − n + 1 runs. A tuple of words, or the words joined by spaces, can be in a set.",
        "`a & b` is what both sets have, `a | b` what either has; `len` counts. Similarity is the first count "
        "over the second.",
    ),
    checks=(
        Check("a page and itself", _same_page, "How much do two equal sets share?"),
        Check("two pages without a common word", _other_page, "What is in both?"),
        Check("a page and an edited copy", _edited_page, "Do you count the last run? Do you divide by either set?"),
        Check("the same words in another order", _order_counts, "Does a run know its order?"),
    ),
)

# ---------------------------------------------------------------- precision and recall


def _scored(student: Student, kept: list[int], good: list[int]) -> None:
    value = student(list(kept), list(good))
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"expected two numbers, precision and recall, got {describe(value)}.")
    both = len(set(kept) & set(good))
    for name, mine, wanted in zip(("precision", "recall"), value, (both / len(kept), both / len(good)), strict=True):
        if not math.isclose(number(mine), wanted, abs_tol=1e-6):
            raise Wrong(f"pages {show(kept)} are kept and {show(good)} are good: yours gave {name} {show(mine)}.")


def _perfect(student: Student, rng: random.Random) -> None:
    pages = rng.sample(range(100), 6)
    _scored(student, pages, rng.sample(pages, 6))


def _strict(student: Student, rng: random.Random) -> None:
    good = rng.sample(range(100), 8)
    _scored(student, good[: rng.randint(1, 4)], good)


def _lenient(student: Student, rng: random.Random) -> None:
    pages = rng.sample(range(100), 12)
    _scored(student, pages, pages[: rng.randint(2, 8)])


def _any_filter(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        _scored(student, rng.sample(range(12), rng.randint(1, 8)), rng.sample(range(12), rng.randint(1, 8)))


_PRECISION_RECALL = Exercise(
    id="data.precision_recall",
    takes=("kept", "good"),
    hints=(
        "Count the pages that are in both lists; both answers begin with that number.",
        "Precision looks at what was kept, recall at what should have been.",
        "The same count is divided by the number of kept pages, and by the number of good ones. Return both.",
    ),
    checks=(
        Check("a filter without a mistake", _perfect, "What is each, if both lists hold the same pages?"),
        Check("a filter that is too strict", _strict, "It keeps good pages alone, and misses most: which one is 1?"),
        Check("a filter that lets everything pass", _lenient, "It misses nothing: which one is 1?"),
        Check("any filter", _any_filter, "Which list do you divide by?"),
    ),
)

# ---------------------------------------------------------------- kappa


def _agreement(mine: list[bool], other: list[bool]) -> float:
    n = len(mine)
    observed = sum(a == b for a, b in zip(mine, other, strict=True)) / n
    p, q = sum(mine) / n, sum(other) / n
    chance = p * q + (1 - p) * (1 - q)
    return (observed - chance) / (1 - chance)


def _kappa(student: Student, mine: list[bool], other: list[bool]) -> None:
    value = number(student(list(mine), list(other)))
    if not math.isclose(value, _agreement(mine, other), abs_tol=1e-6):
        raise Wrong(f"for {show([int(x) for x in mine])} and {show([int(x) for x in other])} yours gave {show(value)}.")


def _ratings(rng: random.Random, n: int) -> list[bool]:
    """At least one of each, so that kappa is defined."""
    return rng.sample([True, False, *(rng.random() < 0.5 for _ in range(n - 2))], n)


def _always(student: Student, rng: random.Random) -> None:
    mine = _ratings(rng, 8)
    _kappa(student, mine, mine)


def _never(student: Student, rng: random.Random) -> None:
    mine = _ratings(rng, 8)
    _kappa(student, mine, [not x for x in mine])


def _lazy(student: Student, rng: random.Random) -> None:
    """Who keeps everything agrees often, and by luck alone."""
    _kappa(student, [True] * 8, rng.sample([True] * 6 + [False] * 2, 8))


def _any_two(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        n = rng.randint(4, 8)
        _kappa(student, _ratings(rng, n), _ratings(rng, n))


_KAPPA = Exercise(
    id="data.kappa",
    takes=("mine", "other"),
    hints=(
        "You need three numbers: how often the two agree, and what share of the pages each of them keeps.",
        "By chance both keep a page with probability p · q, and both drop it with (1 − p) · (1 − q).",
        "Kappa is (agreement − chance) / (1 − chance), where chance is the sum of those two products.",
    ),
    checks=(
        Check("two raters who always agree", _always, "Is it 1, whatever they keep?"),
        Check("two raters who never agree", _never, "Can it be below zero?"),
        Check("one who keeps everything", _lazy, "How often would a coin that always says keep agree?"),
        Check("any two raters", _any_two, "Is p the share of one rater, and q that of the other?"),
    ),
)

EXERCISES = (_JACCARD, _PRECISION_RECALL, _KAPPA)
