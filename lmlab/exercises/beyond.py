"""The exercises of lab 16: a vote among samples, an interval around a score, and the loss of distillation."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student
from lmlab.training.shares import wilson_interval

# ---------------------------------------------------------------- vote


def _vote(student: Student, answers: Sequence[int | None]) -> None:
    value = student(list(answers))
    said = [one for one in answers if one is not None]
    counts = Counter(said)
    expected = max(counts, key=lambda one: (counts[one], -said.index(one))) if said else None
    if isinstance(value, (list, tuple, Counter, dict)):
        raise Wrong(f"expected one answer, got {describe(value)}.")
    if value != expected or (value is None) != (expected is None):
        raise Wrong(f"for the answers {list(answers)} yours chose {value!r}.")


def _clear(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        winner, *others = rng.sample(range(10, 99), 4)
        answers: list[int | None] = [*[winner] * rng.randint(3, 5), *(rng.choice(others) for _ in range(2))]
        rng.shuffle(answers)
        _vote(student, answers)
    _vote(student, [rng.randint(10, 99)])


def _ties(student: Student, rng: random.Random) -> None:
    for _ in range(6):
        large, small, other = sorted(rng.sample(range(10, 99), 3), reverse=True)
        _vote(student, [large, small, small, large, other])
        _vote(student, [small, large, other, large, small])
        _vote(student, rng.sample(range(10, 99), 4))


def _silent(student: Student, rng: random.Random) -> None:
    a, b = rng.sample(range(10, 99), 2)
    _vote(student, [None, None, None, a, None])
    _vote(student, [None, b, None, a, None, a])
    _vote(student, [None, None])
    _vote(student, [])


_VOTE = Exercise(
    id="beyond.vote",
    takes=("answers",),
    hints=(
        "First leave out what is no answer. Then each answer has a count, and you want the one with the largest.",
        "`collections.Counter(said)` counts, and remembers in which order things were first seen.",
        "`max(counts, key=...)` goes through a Counter in that order and keeps the first of those that are equal. What "
        "does it do with an empty one?",
    ),
    checks=(
        Check("a clear majority", _clear, "Which answer was given most often?"),
        Check(
            "a tie goes to the answer that came first", _ties, "Of two with equal counts, which one did you meet first?"
        ),
        Check(
            "samples without an answer have no vote", _silent, "What if most samples, or all of them, gave no answer?"
        ),
    ),
)

# ---------------------------------------------------------------- interval


def _interval(student: Student, right: int, n: int) -> None:
    value = student(right, n)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"expected two numbers, the lower end and the upper, got {describe(value)}.")
    found = [number(one) for one in value]
    wanted = wilson_interval(right, n)
    if not all(math.isclose(a, b, abs_tol=2e-4) for a, b in zip(found, wanted, strict=True)):
        raise Wrong(f"for {right} right of {n} yours gave {show(found)}.")


def _some(student: Student, rng: random.Random) -> None:
    for n in (10, 50, rng.randint(60, 400)):
        _interval(student, rng.randint(n // 4, 3 * n // 4), n)


def _extreme(student: Student, rng: random.Random) -> None:
    for n in (1, 8, rng.randint(20, 60)):
        _interval(student, n, n)
        _interval(student, 0, n)


def _many(student: Student, rng: random.Random) -> None:
    n = rng.randint(5_000, 20_000)
    _interval(student, round(0.9 * n), n)


_INTERVAL = Exercise(
    id="beyond.interval",
    takes=("right", "n"),
    hints=(
        "Three numbers make it: p = right / n, z = 1.96, and how much z²/n adds. Write them down before the formula.",
        "The middle is (p + z²/2n) / (1 + z²/n): the score, drawn a little towards one half.",
        "Half the width is z / (1 + z²/n) times the root of p(1 − p)/n + z²/4n². Return middle − half, middle + half.",
    ),
    checks=(
        Check("some are right", _some, "Is the middle of your interval p itself, or drawn towards one half?"),
        Check(
            "all right, or none",
            _extreme,
            "After 8 of 8, are you certain that it never errs? What is your width there?",
        ),
        Check("many questions", _many, "How does the width fall when n is a hundred times as large?"),
    ),
)

# ---------------------------------------------------------------- distill


def _loss(student: Student, mine: Tensor, wanted: Tensor, tau: float) -> None:
    value = number(student(mine.clone(), wanted.clone(), tau))
    log_p, log_q = ((x.double() / tau).log_softmax(-1) for x in (wanted, mine))
    expected = float(tau**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean())
    if not math.isclose(value, expected, rel_tol=1e-3, abs_tol=1e-4):
        raise Wrong(
            f"for the student's logits {show(mine)}, the teacher's {show(wanted)} and temperature {tau:g} yours gave "
            f"{show(value)}."
        )


def _logits(rng: random.Random, B: int, V: int, scale: float = 2.0) -> Tensor:
    return torch.tensor([[round(rng.uniform(-scale, scale), 1) for _ in range(V)] for _ in range(B)])


def _plain(student: Student, rng: random.Random) -> None:
    for B, V in ((1, 2), (1, 3), (3, 2)):
        _loss(student, _logits(rng, B, V), _logits(rng, B, V), 1.0)


def _equal(student: Student, rng: random.Random) -> None:
    logits = _logits(rng, 2, 3)
    _loss(student, logits, logits, 1.0)
    _loss(student, logits + 5, logits, 2.0)


def _warm(student: Student, rng: random.Random) -> None:
    for tau in (2.0, 4.0, round(rng.uniform(1.2, 6), 1)):
        _loss(student, _logits(rng, 2, 3), _logits(rng, 2, 3), tau)


def _sure(student: Student, rng: random.Random) -> None:
    far = float(rng.randint(200, 800))
    _loss(student, torch.tensor([[far, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, far]]), 1.0)


_DISTILL = Exercise(
    id="beyond.distill",
    takes=("student", "teacher", "tau"),
    hints=(
        "KL(p ‖ q) is the sum of p · (log p − log q). Which of the two, teacher or student, is p?",
        "Divide both logits by tau first. `log_softmax(-1)` gives log-probabilities that are never log of zero; "
        "`.exp()` of them are the probabilities.",
        "Sum over the last dimension, then take the mean over the rows, then multiply by tau squared.",
    ),
    checks=(
        Check("temperature 1", _plain, "KL is not symmetric: whose probabilities weigh? Sum or mean over the rows?"),
        Check("a student that agrees pays nothing", _equal, "What if all logits of a row are larger by 5?"),
        Check(
            "other temperatures", _warm, "What does dividing logits by tau do to gradients, and what makes up for it?"
        ),
        Check(
            "a student that is sure and wrong", _sure, "Where does a probability become exactly 0, and its log −inf?"
        ),
    ),
)

EXERCISES = (_VOTE, _INTERVAL, _DISTILL)
