"""The last exercise of lab 03: a gap filled by a model that reads forward, from the odds of whole lines."""

from __future__ import annotations

import math
import random

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

WORDS = (
    *("panicked", "celebrated", "sold", "waited", "cheered", "bought"),
    *("sighed", "golfed", "laughed", "yawned", "prayed", "whistled"),
)


def _lines(rng: random.Random, around: float) -> dict[str, float]:
    return {word: round(around + rng.uniform(-4, 0), 2) for word in rng.sample(WORDS, rng.randint(2, 5))}


def _posterior(log_joint: dict[str, float]) -> dict[str, float]:
    top = max(log_joint.values())
    weights = {word: math.exp(value - top) for word, value in log_joint.items()}
    return {word: w / sum(weights.values()) for word, w in weights.items()}


def _filled(student: Student, log_joint: dict[str, float]) -> dict[str, float]:
    got = student(log_joint)
    if not isinstance(got, dict) or set(got) != set(log_joint):
        raise Wrong(f"expected a dictionary with the words {show(list(log_joint))}, got {describe(got)}.")
    numbers, wanted = {word: number(value) for word, value in got.items()}, _posterior(log_joint)
    if not all(math.isclose(numbers[word], wanted[word], abs_tol=1e-5) for word in wanted):
        raise Wrong(f"for {show(log_joint)} yours gave {show(numbers)}.")
    return numbers


def _short_lines(student: Student, rng: random.Random) -> str:
    got = {"": 0.0}
    for _ in range(10):
        got = _filled(student, _lines(rng, -3.0))
    return show(max(got.values()))


def _long_lines(student: Student, rng: random.Random) -> None:
    for around in (-900.0, -20_000.0):
        _filled(student, _lines(rng, around))


def _ruled_out(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        log_joint = _lines(rng, -5.0)
        log_joint[rng.choice(list(log_joint))] = -math.inf
        _filled(student, log_joint)


FILL_GAP = Exercise(
    id="sampling.fill_gap",
    takes=("log_joint",),
    hints=(
        "Each word makes another line, and each line has a probability. Out of all of them, what is this one’s share?",
        "e to the log is the probability of a line; divide it by the sum over all lines. What if a line is so long "
        "that this is 0 in a computer?",
        "Take the largest log from every log first. That multiplies all lines by one number, which the division takes "
        "out again, and the likeliest becomes e to the 0.",
    ),
    checks=(
        Check("shares of a few lines", _short_lines, "Out of what is each line a share?"),
        Check("lines of a thousand words", _long_lines, "What is e to the −900 in a computer, and who needs it?"),
        Check("a word that cannot stand there", _ruled_out, "What is the share of a line of probability 0?"),
    ),
)  # fmt: skip
