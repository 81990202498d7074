"""The exercises of lab 11: a few-shot prompt, a choice among options by log-probability, and an honest interval."""

from __future__ import annotations

import math
import random

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student
from lmlab.training.shares import wilson_interval

_SOURCES = "cheese goose moss otter pepper spoon tortoise umbrella walrus yak".split()
_TARGETS = "brol dof fromp jik krax lil mip oom pim quam".split()

# ---------------------------------------------------------------- prompt


def _prompt(student: Student, pairs: list[tuple[str, str]], question: str) -> None:
    value = student(list(pairs), question)
    if not isinstance(value, str):
        raise Wrong(f"expected a text, got {describe(value)}.")
    lines = [f"{source} => {target}" for source, target in pairs]
    expected = "\n".join([*lines, f"{question} =>"])
    if value != expected:
        raise Wrong(f"for the pairs {show(pairs)} and the question {question!r} yours gave {value!r}.")


def _pairs(rng: random.Random, k: int) -> list[tuple[str, str]]:
    return list(zip(rng.sample(_SOURCES, k), rng.sample(_TARGETS, k), strict=True))


def _one_example(student: Student, rng: random.Random) -> None:
    for _ in range(3):
        (pair,) = _pairs(rng, 1)
        _prompt(student, [pair], rng.choice(_SOURCES))


def _no_example(student: Student, rng: random.Random) -> None:
    _prompt(student, [], rng.choice(_SOURCES))


def _many_examples(student: Student, rng: random.Random) -> None:
    for k in (2, 3, rng.randint(4, 8)):
        _prompt(student, _pairs(rng, k), rng.choice(_SOURCES))


_PROMPT = Exercise(
    id="in_context.prompt",
    takes=("pairs", "question"),
    hints=(
        "Every line has the same shape, the last one too; but where its answer would stand, the text ends.",
        'Make a list of lines with an f-string each, the question\'s line last, and join them by "\\n".',
        "The text ends right after the last arrow: the space before an answer belongs to the answer's token. "
        "And there is no line break after the last line.",
    ),
    checks=(
        Check("one example and a question", _one_example, "What stands between two lines, and what after the last?"),
        Check("no example at all", _no_example, "Which line is left when there are no pairs?"),
        Check("many examples, in their order", _many_examples, "Is each pair on a line of its own?"),
    ),
)

# ---------------------------------------------------------------- choice


def _options(rng: random.Random, lengths: list[int]) -> dict[str, list[float]]:
    words = rng.sample(_TARGETS, len(lengths))
    return {w: [-round(rng.uniform(0.5, 6), 2) for _ in range(n)] for w, n in zip(words, lengths, strict=True)}


def _choose(student: Student, options: dict[str, list[float]]) -> None:
    value = student({text: list(log_probs) for text, log_probs in options.items()})
    if not isinstance(value, str):
        raise Wrong(f"expected one of the options as a text, got {describe(value)}.")
    best = max(options, key=lambda text: math.fsum(options[text]))
    if value != best:
        given = "; ".join(f"{text}: {show(log_probs)}" for text, log_probs in options.items())
        raise Wrong(f"for the options {given} yours chose {value!r}.")


def _single_tokens(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        _choose(student, _options(rng, [1] * rng.randint(2, 6)))


def _equal_lengths(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        _choose(student, _options(rng, [rng.randint(2, 4)] * 4))


def _other_lengths(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        short, long = rng.sample(_TARGETS, 2)
        first = -round(rng.uniform(2.0, 3.0), 2)
        _choose(student, {short: [first], long: [-1.5, -1.6, round(rng.uniform(-0.9, -0.2), 2)]})
        _choose(student, {long: [-0.2, -0.3], short: [first]})


_CHOICE = Exercise(
    id="in_context.choice",
    takes=("options",),
    hints=(
        "An answer of several tokens is right only if all of them come, one after the other.",
        "The probability that all come is a product; of logarithms it is the sum.",
        "`max(options, key=...)` takes a function that says how good an option is. Give it the whole answer's "
        "log-probability, not the mean of its tokens'.",
    ),
    checks=(
        Check("options of one token", _single_tokens, "Which log-probability is larger, −1 or −2?"),
        Check("options of several tokens", _equal_lengths, "Do you use every token of an option?"),
        Check("options of different lengths", _other_lengths, "What does a mean do to a long answer?"),
    ),
)

# ---------------------------------------------------------------- interval


def _interval(student: Student, right: int, n: int) -> None:
    value = student(right, n)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"expected two numbers, low and high, got {describe(value)}.")
    low, high = (number(x) for x in value)
    wanted = wilson_interval(right, n)
    if not (math.isclose(low, wanted[0], abs_tol=1e-3) and math.isclose(high, wanted[1], abs_tol=1e-3)):
        raise Wrong(f"for {right} right of {n} yours gave {show(low)} to {show(high)}.")


def _half_right(student: Student, rng: random.Random) -> None:
    for n in (20, 100, 2 * rng.randint(10, 200)):
        _interval(student, n // 2, n)


def _all_or_none(student: Student, rng: random.Random) -> None:
    for n in (20, rng.randint(10, 300)):
        _interval(student, n, n)
        _interval(student, 0, n)


def _any_count(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        n = rng.randint(5, 400)
        _interval(student, rng.randint(0, n), n)


_INTERVAL = Exercise(
    id="in_context.interval",
    takes=("right", "n"),
    hints=(
        "Translate the two formulas of the text line by line; `p` is `right / n`.",
        "Both share the same denominator, 1 + z²/n, so compute it once. `math.sqrt` takes the root.",
        "Under the root stand two terms, p(1 − p)/n and z²/(4n²). Return middle − half and middle + half.",
    ),
    checks=(
        Check("half of them right", _half_right, "How wide is it at n = 100, and how wide at four times as many?"),
        Check("all right, or none", _all_or_none, "After 20 of 20, is 19 of 20 impossible next time?"),
        Check("any count", _any_count, "Which of the terms is divided by n, and which by n²?"),
    ),
)

EXERCISES = (_PROMPT, _CHOICE, _INTERVAL)
