"""The exercises of lab 03: temperature, top-p, the loop that writes, and a gap filled by a model that reads forward."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.fill_gap import FILL_GAP, WORDS
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student


def _probs(rng: random.Random, n: int) -> list[float]:
    """n different probabilities in no order, each above 2 %."""
    while True:
        weights = [rng.uniform(1, 12) for _ in range(n)]
        total = sum(weights)
        probs = [round(w / total, 3) for w in weights[:-1]]
        probs.append(round(1 - sum(probs), 3))
        if len(set(probs)) == n and min(probs) > 0.02:
            return probs


def _listed(value: Any, n: int) -> list[float]:
    """`value` as n numbers, or Wrong."""
    items = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(items, (list, tuple)) or len(items) != n:
        raise Wrong(f"expected a list of {n} numbers, one for each token, got {describe(value)}.")
    return [number(item) for item in items]


def _agree(got: Sequence[float], wanted: Sequence[float], case: str) -> None:
    if not all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(got, wanted, strict=True)):
        raise Wrong(f"{case} yours gave {show(list(got))}.")


# ---------------------------------------------------------------- temperature


def _heated(probs: Sequence[float], temperature: float) -> list[float]:
    weights = [math.exp(math.log(p) / temperature) if p > 0 else 0.0 for p in probs]
    return [w / sum(weights) for w in weights]


def _warm(student: Student, rng: random.Random, temperature: float) -> list[float]:
    probs = _probs(rng, rng.randint(2, 6))
    got = _listed(student(probs, temperature), len(probs))
    _agree(got, _heated(probs, temperature), f"for {show(probs)} at temperature {temperature:g}")
    return got


def _one(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        _warm(student, rng, 1.0)


def _half(student: Student, rng: random.Random) -> str:
    """Where one token is twice as likely as another, it is four times as likely at 0.5."""
    got = [0.0]
    for _ in range(10):
        got = _warm(student, rng, 0.5)
    return show(got)


def _any_temperature(student: Student, rng: random.Random) -> None:
    for _ in range(20):
        _warm(student, rng, round(rng.uniform(0.2, 3), 2))


def _impossible(student: Student, rng: random.Random) -> None:
    for temperature in (0.7, 5.0):
        probs = [*_probs(rng, 3), 0.0]
        rng.shuffle(probs)
        got = _listed(student(probs, temperature), 4)
        _agree(got, _heated(probs, temperature), f"for {show(probs)} at temperature {temperature:g}")


def _cold(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        probs = _probs(rng, 4)
        got = _listed(student(probs, 0), 4)
        _agree(got, [float(p == max(probs)) for p in probs], f"for {show(probs)} at temperature 0")


_TEMPERATURE = Exercise(
    id="sampling.temperature",
    takes=("probs", "temperature"),
    hints=(
        "At temperature 0.5 a token that was twice as likely as another becomes four times as likely. At 2, √2 times.",
        "So each probability is raised to a power. Which power of 2 is 4, and which is √2? And what must all sum to?",
        "The power is 1 / temperature; divide by the sum of the powers. Temperature 0 would divide by nothing: "
        "treat it first, with a 1 where the largest stands and 0 everywhere else.",
    ),
    checks=(
        Check("temperature 1 changes nothing", _one, "What is the model’s own temperature?"),
        Check("temperature 0.5 squares the odds", _half, "If one token is twice as likely, how much is it at 0.5?"),
        Check("any temperature", _any_temperature, "To which power are the odds raised, and what do they sum to?"),
        Check("what cannot be said stays impossible", _impossible, "What is 0 to any power above 0?"),
        Check("temperature 0 is greedy", _cold, "Which token is left when it is as cold as can be?"),
    ),
)  # fmt: skip

# ---------------------------------------------------------------- top_p


def _nucleus(probs: Sequence[float], p: float) -> list[float]:
    kept, mass = set[int](), 0.0
    for i in sorted(range(len(probs)), key=lambda i: -probs[i]):
        if kept and mass >= p - 1e-9:
            break
        kept.add(i)
        mass += probs[i]
    return [q / mass if i in kept else 0.0 for i, q in enumerate(probs)]


def _top_p(student: Student, probs: list[float], p: float) -> list[float]:
    got = _listed(student(probs, p), len(probs))
    _agree(got, _nucleus(probs, p), f"for {show(probs)} and p = {p:g}")
    return got


def _between(rng: random.Random, probs: Sequence[float]) -> float:
    """A p that no sum of the likeliest comes near, so that rounding decides nothing."""
    sums, total = [0.0], 0.0
    for q in sorted(probs, reverse=True):
        total += q
        sums.append(total)
    k = rng.randrange(len(probs) - 1)
    return round((sums[k] + sums[k + 1]) / 2, 4)


def _nuclei(student: Student, rng: random.Random) -> str:
    got = [0.0]
    for _ in range(20):
        probs = _probs(rng, rng.randint(3, 7))
        got = _top_p(student, probs, _between(rng, probs))
    return show(got)


def _places(student: Student, rng: random.Random) -> None:
    """The likeliest stands last, so that an answer in the order of likelihood is seen."""
    for _ in range(10):
        probs = sorted(_probs(rng, 5))
        _top_p(student, probs, _between(rng, probs))


def _never_none(student: Student, rng: random.Random) -> None:
    for p in (0.0, 0.01):
        _top_p(student, _probs(rng, 4), p)


def _all_of_them(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        _top_p(student, _probs(rng, rng.randint(3, 8)), 1.0)


_TOP_P = Exercise(
    id="sampling.top_p",
    takes=("probs", "p"),
    hints=(
        "Line the tokens up from the likeliest down and collect them until you hold p. Who is in, who is out?",
        "`sorted(range(len(probs)), key=lambda i: -probs[i])` gives the places from the likeliest down. Add up as you "
        "go; the token that brings you to p is still in.",
        "Look at what you hold before you take the next one, and take the first one always. Those who are out get 0, "
        "in their own places; those who are in are divided by what you hold.",
    ),
    checks=(
        Check("the fewest likeliest that reach p", _nuclei, "Does the token that takes the sum past p still belong?"),
        Check("every token keeps its place", _places, "Where in the list did each token stand before you sorted?"),
        Check("one token always survives", _never_none, "What would be drawn if nothing were left?"),
        Check("p = 1 keeps all", _all_of_them, "Which token could be missing at p = 1?"),
    ),
)  # fmt: skip

# ---------------------------------------------------------------- write


class _Town:
    """Next-word probabilities that depend on the last two words, drawn anew for each seed."""

    def __init__(self, rng: random.Random, *, ends: float = 0.0) -> None:
        self._seed, self._ends = rng.random(), ends

    def __deepcopy__(self, _: Any) -> _Town:
        return self  # it never changes, and is the same before and after

    def __call__(self, words: Sequence[str]) -> dict[str, float]:
        draw = random.Random(f"{self._seed} {' '.join(words[-2:])}")
        names = draw.sample(WORDS, 4)
        if len(words) > 3 and draw.random() < self._ends:
            return {names[0]: 0.2, "<end>": 0.8}
        return dict(zip(names, _probs(draw, 4), strict=True))


def _greedily(town: _Town, words: Sequence[str], n: int) -> list[str]:
    text = list(words)
    for _ in range(n):
        probs = town(text)
        best = max(probs, key=lambda word: probs[word])
        if best == "<end>":
            break
        text.append(best)
    return text


def _written(student: Student, rng: random.Random, n: int, *, ends: float = 0.0) -> list[str]:
    town, words = _Town(rng, ends=ends), rng.sample(WORDS, 2)
    got = student(town, words, n)
    if not isinstance(got, list) or not all(isinstance(word, str) for word in got):
        raise Wrong(f"expected a list of words, got {describe(got)}.")
    if "<end>" in got:
        raise Wrong(f"after {show(words)} yours wrote <end> into the text.")
    wanted = _greedily(town, words, n)
    if got != wanted:
        raise Wrong(f"after {show(words)}, asked for {n}, yours wrote {show(got)}.")
    return got


def _one_word(student: Student, rng: random.Random) -> str:
    return " ".join(_written(student, rng, 1)[-2:])


def _many_words(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        _written(student, rng, rng.randint(3, 8))


def _no_word(student: Student, rng: random.Random) -> None:
    _written(student, rng, 0)


def _an_end(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        _written(student, rng, 12, ends=0.7)


_WRITE = Exercise(
    id="sampling.write",
    takes=("next_probs", "words", "n"),
    hints=(
        "Predict, choose, append, predict again. Which of these four is in your loop, and in which order?",
        "`next_probs(text)` is asked anew for every word, and `text` has grown. Begin with `list(words)`: a copy.",
        "`max(d, key=d.get)` is the key with the largest value of a dictionary `d`. Leave the loop when it is "
        "`\"<end>\"`, before you append it.",
    ),
    checks=(
        Check("one word more", _one_word, "Which word does the model find likeliest, and where does it go?"),
        Check("several words, each after all before it", _many_words, "What does the model see when asked again?"),
        Check("no word", _no_word, "What is the text when nothing is to be written?"),
        Check("the end of the text", _an_end, "What should be written after the model has chosen to stop?"),
    ),
)  # fmt: skip

EXERCISES = (_TEMPERATURE, _TOP_P, _WRITE, FILL_GAP)
