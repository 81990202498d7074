"""The exercise of lab 00: find the likeliest word, as greedy decoding does."""

from __future__ import annotations

import random

from lmlab.exercises.expect import Wrong, describe, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

_WORDS = (
    *("panicked", "celebrated", "sold", "waited", "cheered", "bought"),
    *("sighed", "golfed", "laughed", "yawned", "prayed", "whistled"),
)


def _numbers(rng: random.Random, n: int) -> dict[str, float]:
    """n different words with probabilities that differ and sum to one, the likeliest anywhere."""
    weights = rng.sample(range(1, 1000), n)
    return {word: w / sum(weights) for word, w in zip(rng.sample(_WORDS, n), weights, strict=True)}


def _ask(student: Student, given: dict[str, float]) -> str:
    word = student(given)
    if not isinstance(word, str) or word not in given:
        raise Wrong(f"expected one of the words, got {describe(word)}.")
    if given[word] < max(given.values()):
        raise Wrong(f"for {show(given)} yours gave {word!r}.")
    return word


def _four_words(student: Student, rng: random.Random) -> str:
    return repr(_ask(student, _numbers(rng, 4)))


def _anywhere(student: Student, rng: random.Random) -> None:
    for _ in range(30):
        _ask(student, _numbers(rng, rng.randint(2, 6)))


def _one_word(student: Student, rng: random.Random) -> None:
    _ask(student, {rng.choice(_WORDS): 1.0})


def _below_zero(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        given = _numbers(rng, 5)
        _ask(student, {word: round(p - 30.0, 6) for word, p in given.items()})


EXERCISES = (
    Exercise(
        id="start_here.likeliest",
        takes=("probs",),
        hints=(
            "You have a dictionary from word to number. Which word would you point at, and why?",
            "Go through the words and keep the best so far; or ask Python for the `max` of something.",
            "`max` walks over the keys of a dictionary. Its `key=` says by which number to compare them, and "
            "`probs.get` is a function from word to number.",
        ),
        checks=(
            Check("the likeliest of four words", _four_words, "Which of these numbers is the largest?"),
            Check("wherever it stands in the dictionary", _anywhere, "Does yours look at every word?"),
            Check("a vocabulary of one word", _one_word, "Which word is likeliest when there is no other?"),
            Check(
                "numbers below zero, as log-probabilities are",
                _below_zero,
                "With which number does yours begin to compare?",
            ),
        ),
    ),
)
