"""The exercises of lab 15: GPUs that share a model, micro-batches that fill a pipeline, halves of a softmax."""

from __future__ import annotations

import math
import random
from typing import Any

import torch
from torch import Tensor

from lmlab.exercises.expect import Wrong, describe, like, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

# ---------------------------------------------------------------- GPUs that share a model


def _fewest(student: Student, n_params: float, kept: float, gpu: float) -> float:
    value = number(student(n_params, kept, gpu), infinite=True)
    room = gpu - kept
    wanted = math.ceil(16 * n_params / room) if room > 0 else math.inf
    if value != wanted:
        raise Wrong(
            f"for {n_params / 1e9:g} billion weights, {kept / 1e9:g} GB of activations on each GPU of {gpu / 1e9:g} GB "
            f"yours gave {show(value)}."
        )
    return value


def _nothing_else(student: Student, rng: random.Random) -> str:
    _fewest(student, 70e9, 0, 80e9)
    for _ in range(10):
        value = _fewest(student, rng.randint(1, 2000) * 1e8, 0, rng.choice((24e9, 40e9, 141e9)))
    return f"{value:,.0f} GPUs"


def _with_activations(student: Student, rng: random.Random) -> str:
    for _ in range(10):
        value = _fewest(student, rng.randint(10, 4000) * 1e8, rng.randint(1, 30) * 1e9, rng.choice((40e9, 80e9, 192e9)))
    return f"{value:,.0f} GPUs"


def _one_is_enough(student: Student, rng: random.Random) -> None:
    _fewest(student, rng.randint(1, 9) * 1e6, 1e9, 80e9)


def _no_room(student: Student, rng: random.Random) -> None:
    gpu = rng.choice((24e9, 80e9))
    _fewest(student, 7e9, gpu, gpu)
    _fewest(student, 7e9, gpu + rng.randint(1, 50) * 1e9, gpu)


_GPUS = Exercise(
    id="systems.gpus",
    takes=("n_params", "kept_bytes", "gpu_bytes"),
    hints=(
        "What do all GPUs hold between them, and what does every one of them hold for itself?",
        "The states are 16 bytes a weight, cut evenly. What is left of a GPU's memory, once its own activations lie in "
        "it, is room for its share.",
        "States over room for one, rounded up to a whole GPU (`math.ceil`). Ask first whether there is any room.",
    ),
    checks=(
        Check("states alone", _nothing_else, "How many bytes a weight, and is half a GPU a GPU?"),
        Check("with activations on each", _with_activations, "Do activations shrink when more GPUs share the states?"),
        Check("a small model", _one_is_enough, "What is the least number of GPUs one can have?"),
        Check("activations that fill a GPU", _no_room, "Would a thousand more GPUs leave room on any of them?"),
    ),
)

# ---------------------------------------------------------------- micro-batches


def _micro_batches(student: Student, p: int, most: float) -> int:
    value = number(student(p, most))
    wanted = next(m for m in range(1, 100_000) if (p - 1) <= most * (m + p - 1))
    if value != wanted:
        raise Wrong(f"for a pipeline of {p} that may idle {100 * most:.4g} % of the time yours gave {show(value)}.")
    return wanted


def _any_share(student: Student, rng: random.Random) -> str:
    for _ in range(20):
        value = _micro_batches(student, rng.randint(2, 64), rng.uniform(0.02, 0.6))
    return f"{value:,} micro-batches"


def _exactly(student: Student, rng: random.Random) -> None:
    for most in (0.5, 0.25, 0.125):  # shares that binary numbers hold without rounding
        _micro_batches(student, rng.randint(2, 32), most)


def _no_pipeline(student: Student, rng: random.Random) -> None:
    _micro_batches(student, 1, rng.uniform(0.01, 0.5))
    _micro_batches(student, 2, 0.75)  # one micro-batch idles half of the time, which is less


_MICRO = Exercise(
    id="systems.micro_batches",
    takes=("p", "most_idle"),
    hints=(
        "Of all time, (p − 1)/(m + p − 1) is idle. Which m makes it small enough?",
        "Try m = 1, 2, 3, … until it is; or solve the inequality for m.",
        "Multiply both sides by (m + p − 1) and bring m to one side. And if m comes out as 2.4, or as −1?",
    ),
    checks=(
        Check(
            "any share", _any_share, "Is the share that you reach at most the one allowed, and with m − 1 still more?"
        ),
        Check("a share that is met exactly", _exactly, "Does “at most” take in equality?"),
        Check("one process, and a patient one", _no_pipeline, "Can a step have less than one micro-batch?"),
    ),
)

# ---------------------------------------------------------------- halves of a softmax

State = tuple[float, float, Tensor]


def _attended(scores: Tensor, values: Tensor) -> State:
    """Largest score, sum of exp(score - largest) and the softmax-weighted mean of the values (E,), in float64."""
    if scores.numel() == 0 or bool(torch.isinf(scores).all()):
        return -math.inf, 0.0, torch.zeros(values.shape[1], dtype=torch.float64)
    largest = float(scores.max())
    weights = (scores - largest).exp()
    return largest, float(weights.sum()), weights @ values / weights.sum()


def _given(rng: random.Random, size: float, *lengths: int) -> tuple[State, ...]:
    """The states of a text's parts, and last that of the whole."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    n = sum(lengths)
    scores = size * torch.randn(n, generator=generator, dtype=torch.float64)
    values = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    parts = zip(scores.split(lengths), values.split(lengths), strict=True)
    return (*(_attended(s, v) for s, v in parts), _attended(scores, values))


def _state(value: Any, wanted: State, said: str) -> State:
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise Wrong(f"expected three things, m, l and o, got {describe(value)}.")
    m, l, o = number(value[0], infinite=True), number(value[1], infinite=True), value[2]  # noqa: E741
    if not isinstance(o, Tensor) or not bool(torch.isfinite(o).all()):
        raise Wrong(f"{said}: expected o as a tensor of finite numbers, got {describe(o)}.")
    like(o, wanted[2])
    for name, found, right in (("m", m, wanted[0]), ("l", l, wanted[1])):
        if not math.isclose(found, right, rel_tol=1e-6):
            raise Wrong(f"{said}: yours gave {name} = {show(found)}.")
    if not torch.allclose(o, wanted[2], rtol=1e-6, atol=1e-9):
        raise Wrong(f"{said}: yours gave o = {show(o)}.")
    return m, l, o


def _words(a: State, b: State) -> str:
    return " and ".join(f"(m {show(m)}, l {show(l)}, o {show(o)})" for m, l, o in (a, b))  # noqa: E741


def _as_long(student: Student, rng: random.Random) -> None:
    for _ in range(8):
        a, b, whole = _given(rng, 1.0, 4, 4)
        _state(student(a, b), whole, f"for {_words(a, b)}")


def _huge(student: Student, rng: random.Random) -> None:
    for _ in range(8):
        a, b, whole = _given(rng, 1e4, rng.randint(1, 5), rng.randint(1, 5))
        _state(student(a, b), whole, f"for scores in the thousands, {_words(a, b)}")


def _three(student: Student, rng: random.Random) -> str:
    for _ in range(5):
        a, b, c, whole = _given(rng, 3.0, rng.randint(1, 6), rng.randint(1, 6), rng.randint(1, 6))
        _state(student(student(a, b), c), whole, "for three parts, one after the other")
        _state(student(c, student(b, a)), whole, "for the same three from the back")
    return "in either order"


def _masked(student: Student, rng: random.Random) -> None:
    a, whole = _given(rng, 1.0, 5)
    nothing = (-math.inf, 0.0, torch.zeros(3, dtype=torch.float64))
    _state(student(a, nothing), whole, "for a part that saw nothing (m −inf, l 0, o 0), second")
    _state(student(nothing, a), whole, "for a part that saw nothing (m −inf, l 0, o 0), first")


_MERGE = Exercise(
    id="systems.merge",
    takes=("a", "b"),
    hints=(
        "Each l was summed as exp(score − its own m). Which m do both have to be brought to first?",
        "From m to a larger M, every term of l shrinks by exp(m − M). An o times its l is a sum that can be added.",
        "The larger m is the M of both. Scaled to it, both sums add up, and each o counts as its scaled sum.",
    ),
    checks=(
        Check("two halves make the whole", _as_long, "Which maximum does each half's sum refer to?"),
        Check("huge scores", _huge, "What is exp of ten thousand, and which exponent is never above zero?"),
        Check("three parts, in either order", _three, "Does what you return work as an `a` again?"),
        Check("a part that saw nothing", _masked, "What does exp(−inf) weigh?"),
    ),
)

EXERCISES = (_GPUS, _MICRO, _MERGE)
