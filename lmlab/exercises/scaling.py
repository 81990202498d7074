"""The exercises of lab 09: the loss along one budget, the best size for it, a power law through points."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from lmlab.exercises.expect import Wrong, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student
from lmlab.scaling import HOFFMANN, LossSurface, PowerLaw, fit_power_law

# ---------------------------------------------------------------- loss_at


def _surface(rng: random.Random) -> LossSurface:
    return LossSurface(
        floor=round(rng.uniform(0.5, 2), 2),
        a=round(rng.uniform(50, 900), 1),
        b=round(rng.uniform(50, 900), 1),
        alpha=round(rng.uniform(0.25, 0.5), 3),
        beta=round(rng.uniform(0.25, 0.5), 3),
    )


def _constants(surface: LossSurface) -> tuple[float, float, float, float, float]:
    return surface.floor, surface.a, surface.b, surface.alpha, surface.beta


def _named(surface: LossSurface) -> str:
    return f"E, A, B, alpha, beta = {', '.join(map(show, _constants(surface)))}"


def _lost(student: Student, flops: float, n_params: float, surface: LossSurface) -> float:
    value, right = number(student(flops, n_params, *_constants(surface))), surface.at(flops, n_params)
    if not math.isclose(value, right, rel_tol=1e-6):
        raise Wrong(f"for C = {flops:.2g}, N = {n_params:.2g} and {_named(surface)} yours gave {show(value)}.")
    return value


def _hoffmann(student: Student, rng: random.Random) -> str:
    flops = 10 ** rng.uniform(18, 25)
    return f"{_lost(student, flops, HOFFMANN.optimum(flops).n_params, HOFFMANN):.2f} nats a token"


def _any_surface(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        _lost(student, 10 ** rng.uniform(10, 26), 10 ** rng.uniform(4, 12), _surface(rng))


def _too_large(student: Student, rng: random.Random) -> None:
    surface, flops = _surface(rng), 10 ** rng.uniform(18, 22)
    best = surface.optimum(flops).n_params
    sizes = [best / 100, best, best * 100]
    small, middle, large = (_lost(student, flops, n, surface) for n in sizes)
    if not middle < min(small, large):
        raise Wrong(f"at sizes {', '.join(f'{n:.1g}' for n in sizes)} yours gave {show([small, middle, large])}.")


_LOSS_AT = Exercise(
    id="scaling.loss_at",
    takes=("flops", "n_params", "E", "A", "B", "alpha", "beta"),
    hints=(
        "The formula wants a number of tokens, and you are given a budget. How many tokens does it pay for?",
        "C = 6·N·D, so D is what remains of C after 6·N. Then three terms are added.",
        "E + A / N**alpha + B / D**beta, with D = flops / (6 * n_params).",
    ),
    checks=(
        Check("Hoffmann's constants", _hoffmann, "What is D, when C and N are given?"),
        Check("any constants", _any_surface, "Which exponent belongs to which term?"),
        Check("too small, right, too large", _too_large, "What does a larger model leave of the budget?"),
    ),
)

# ---------------------------------------------------------------- best_size


def _sized(student: Student, flops: float, surface: LossSurface) -> float:
    value, right = number(student(flops, *_constants(surface))), surface.optimum(flops).n_params
    if value <= 0 or abs(math.log(value / right)) > 0.02:
        said = f"where the loss is {surface.at(flops, value):.4f}" if value > 0 else "which is no size"
        at_double = surface.at(flops, 2 * value) if value > 0 else math.nan
        beside = f", and {at_double:.4f} at twice that size" if value > 0 else ""
        raise Wrong(f"for C = {flops:.2g} and {_named(surface)} yours gave {value:.3g} parameters, {said}{beside}.")
    return value


def _at_1e21(student: Student, rng: random.Random) -> str:
    return f"{_sized(student, 1e21, HOFFMANN) / 1e9:.2f} billion parameters at 1e21 FLOPs"


def _any_budget(student: Student, rng: random.Random) -> None:
    for _ in range(4):
        _sized(student, 10 ** rng.uniform(11, 26), HOFFMANN)


def _any_constants(student: Student, rng: random.Random) -> None:
    for _ in range(4):
        _sized(student, 10 ** rng.uniform(15, 24), _surface(rng))


_BEST_SIZE = Exercise(
    id="scaling.best_size",
    takes=("flops", "E", "A", "B", "alpha", "beta"),
    hints=(
        "You have a function of N with one valley. You may walk along it, or ask where its slope is zero.",
        "Walking: try many sizes, each 1 % larger than the last, from 1e3 to 1e14, and keep the best. Calculus: at the "
        "bottom, alpha·A / N**alpha equals beta·B / D**beta.",
        "Put D = C / (6 N) into that, and solve for N: N**(alpha + beta) = (alpha·A) / (beta·B) · (C / 6)**beta.",
    ),
    checks=(
        Check("1e21 FLOPs, Hoffmann's constants", _at_1e21, "On which side of your size is the loss lower?"),
        Check("other budgets", _any_budget, "How far does your search reach, and in what steps?"),
        Check("other constants", _any_constants, "Does your answer use every constant that it needs?"),
    ),
)

# ---------------------------------------------------------------- predict


def _points(rng: random.Random, noise: float) -> tuple[list[float], list[float], float, PowerLaw]:
    law = PowerLaw(10 ** rng.uniform(6, 12), rng.uniform(0.1, 0.6), round(rng.uniform(0.3, 1.8), 3))
    xs = sorted(10 ** rng.uniform(5, 12) for _ in range(rng.randint(3, 8)))
    ys = [law.floor + (law.at(x) - law.floor) * math.exp(rng.gauss(0, noise)) for x in xs]
    return xs, ys, xs[-1] * rng.uniform(2, 30), law


def _foretold(student: Student, xs: Sequence[float], ys: Sequence[float], floor: float, x: float) -> float:
    value, right = number(student(list(xs), list(ys), floor, x)), fit_power_law(xs, ys, floor=floor).at(x)
    if not math.isclose(value, right, rel_tol=1e-5):
        points = ", ".join(f"({a:.2g}, {b:.4g})" for a, b in zip(xs, ys, strict=True))
        raise Wrong(f"through {points} with the floor {show(floor)}, yours gave {show(value)} at {x:.2g}.")
    return value


def _exact(student: Student, rng: random.Random) -> str:
    for _ in range(5):
        xs, ys, x, law = _points(rng, 0.0)
        value = _foretold(student, xs, ys, law.floor, x)
    return f"{value:.3f} at {x:.1g}"


def _noisy(student: Student, rng: random.Random) -> None:
    for _ in range(8):
        xs, ys, x, law = _points(rng, 0.05)
        _foretold(student, xs, ys, law.floor, x)


def _no_floor(student: Student, rng: random.Random) -> None:
    xs, ys, x, _ = _points(rng, 0.05)
    _foretold(student, xs, ys, 0.0, x)


_PREDICT = Exercise(
    id="scaling.predict",
    takes=("xs", "ys", "floor", "x"),
    hints=(
        "On log axes a power law is a straight line, if you draw what is above the floor. How do you lay one through "
        "points?",
        "Take u = ln x and v = ln(y − floor). The slope is the sum of (u − mean u)(v − mean v) over the sum of "
        "(u − mean u)²; the line goes through both means.",
        "v at the new x is mean v + slope · (ln x − mean u). Then go back: floor + e to the power of v.",
    ),
    checks=(
        Check("points on a law", _exact, "What is a straight line here: y, ln y, or ln(y − floor)?"),
        Check("points beside a law", _noisy, "Do all points pull at your line, or two of them?"),
        Check("a floor of 0", _no_floor, "Where does the floor enter, and where must it return?"),
    ),
)

EXERCISES = (_LOSS_AT, _BEST_SIZE, _PREDICT)
