"""The exercises of lab 01: the size of a file of numbers, the days of a run, the assumption behind a figure."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from lmlab.exercises.expect import Wrong, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student


def _close(value: float, right: float, what: str) -> None:
    if not math.isclose(value, right, rel_tol=1e-6):
        raise Wrong(f"{what}; yours gave {show(value)}.")


# ---------------------------------------------------------------- file_bytes


def _shapes(rng: random.Random, ranks: tuple[int, ...], n: int) -> list[tuple[int, ...]]:
    return [tuple(rng.randint(2, 9) for _ in range(rng.choice(ranks))) for _ in range(n)]


def _bytes_of(ranks: tuple[int, ...], bits: tuple[int, ...]) -> Callable[[Student, random.Random], str]:
    def probe(student: Student, rng: random.Random) -> str:
        value = math.nan
        for _ in range(12):
            shapes, width = _shapes(rng, ranks, rng.randint(2, 4)), rng.choice(bits)
            value = number(student(shapes, width))
            _close(
                value, sum(map(math.prod, shapes)) * width / 8, f"for shapes {show(shapes)} at {width} bits a number"
            )
        return f"{value:,.0f} bytes"

    return probe


def _nothing(student: Student, rng: random.Random) -> None:
    bits = rng.choice((8, 16, 32))
    value = number(student([], bits))
    if value != 0:
        raise Wrong(f"for a file without tensors yours gave {show(value)}.")
    single = number(student([()], bits))  # a tensor of shape () is one number
    _close(single, bits / 8, f"for one tensor of shape () at {bits} bits, which holds one number")


_FILE_BYTES = Exercise(
    id="scale.file_bytes",
    takes=("shapes", "bits"),
    hints=(
        "How many numbers are in a table of 3 rows and 4 columns? In one tensor after another?",
        "`math.prod(shape)` is how many numbers a tensor holds. The tensors add up; a byte is 8 bits.",
        "Multiply within a shape and add between shapes; then times the bits of one number, over 8.",
    ),
    checks=(
        Check("matrices of bytes", _bytes_of((2,), (8,)), "How many numbers does one matrix hold?"),
        Check("tensors of any rank", _bytes_of((1, 2, 3), (8,)), "What if a shape has one entry, or three?"),
        Check("2 to 32 bits a number", _bytes_of((1, 2), (2, 4, 16, 32)), "How many bits has a byte?"),
        Check("no tensor, and a tensor of shape ()", _nothing, "What is the product of no factors?"),
    ),
)

# ---------------------------------------------------------------- training_days


def _run(rng: random.Random, n_gpus: int) -> tuple[float, float, int, float, float]:
    """Parameters, tokens, GPUs, FLOP/s of one, utilization."""
    return (
        round(rng.uniform(0.1, 90), 1) * 1e9,
        round(rng.uniform(0.1, 20), 1) * 1e12,
        n_gpus,
        rng.choice((125, 312, 989.5)) * 1e12,
        rng.choice((0.25, 0.4, 0.5, 0.8)),
    )


def _days(student: Student, run: tuple[float, float, int, float, float]) -> float:
    n, d, gpus, peak, share = run
    value = number(student(*run))
    said = f"for N = {n:.3g}, D = {d:.3g}, {gpus:,} GPUs of {peak:.4g} FLOP/s at utilization {share}"
    _close(value, 6 * n * d / (gpus * peak * share) / 86_400, said)
    return value


def _one_gpu(student: Student, rng: random.Random) -> str:
    for _ in range(10):
        value = _days(student, _run(rng, 1))
    return f"{value:,.0f} days"


def _many_gpus(student: Student, rng: random.Random) -> str:
    for _ in range(10):
        value = _days(student, _run(rng, rng.choice((2, 8, 1024, 16_384))))
    return f"{value:,.1f} days"


def _half_the_share(student: Student, rng: random.Random) -> None:
    n, d, gpus, peak, _ = _run(rng, rng.choice((8, 64)))
    fast, slow = (number(student(n, d, gpus, peak, share)) for share in (0.6, 0.3))
    if not math.isclose(slow, 2 * fast, rel_tol=1e-6):
        raise Wrong(f"at utilization 0.6 yours gave {show(fast)}, and at half of it {show(slow)}.")


_TRAINING_DAYS = Exercise(
    id="scale.training_days",
    takes=("n_params", "n_tokens", "n_gpus", "peak_flops", "utilization"),
    hints=(
        "Two questions: how many operations is the whole run, and how many are done in a second?",
        "C = 6·N·D operations in all. A GPU does its peak times the utilization each second; how many GPUs are there?",
        "Operations over operations a second gives seconds; a day has 24 · 60 · 60 of them.",
    ),
    checks=(
        Check("one GPU", _one_gpu, "How many operations in all, and how many of them in a day?"),
        Check("many GPUs that share the work", _many_gpus, "Do twice as many GPUs take twice as long, or half?"),
        Check("half the utilization, twice the days", _half_the_share, "What does utilization do to a GPU's speed?"),
    ),
)

# ---------------------------------------------------------------- hidden_utilization


def _hidden(student: Student, rng: random.Random, peak: float, n_tokens: float, n_params: float) -> float:
    share = round(rng.uniform(0.1, 0.9), 3)
    hours = 6 * n_params * n_tokens / (share * peak) / 3600
    value = number(student(n_params, n_tokens, hours, peak))
    said = f"for N = {n_params:.3g}, D = {n_tokens:.3g} in {hours:.4g} GPU-hours at a peak of {peak:.4g} FLOP/s"
    _close(value, share, said)
    return value


def _reported(student: Student, rng: random.Random) -> str:
    for _ in range(20):
        n, d = round(rng.uniform(0.5, 500), 1) * 1e9, round(rng.uniform(0.3, 20), 1) * 1e12
        value = _hidden(student, rng, rng.choice((125e12, 312e12, 989.5e12)), d, n)
    return f"{100 * value:.1f} %"


def _llama(student: Student, rng: random.Random) -> str:
    value = number(student(405e9, 15.6e12, 30.84e6, 989.5e12))
    if not 0.3445 < value < 0.3455:
        raise Wrong(
            f"for the run that Meta reports (405e9, 15.6e12, 30.84e6 hours, 989.5e12) yours gave {show(value)}."
        )
    return f"{100 * value:.1f} %"


def _sparse(student: Student, rng: random.Random) -> None:
    n, d, hours = 70e9, round(rng.uniform(1, 20), 1) * 1e12, round(rng.uniform(2, 20), 1) * 1e6
    dense, sparse = (number(student(n, d, hours, peak)) for peak in (989.5e12, 1979e12))
    if not math.isclose(dense, 2 * sparse, rel_tol=1e-6):
        raise Wrong(f"at a peak of 989.5e12 yours gave {show(dense)}, and at twice the peak {show(sparse)}.")


_HIDDEN = Exercise(
    id="scale.hidden_utilization",
    takes=("n_params", "n_tokens", "gpu_hours", "peak_flops"),
    hints=(
        "What could these GPUs have done in these hours at their peak, and what did they do?",
        "They did 6·N·D operations. At the peak they would have done `peak_flops` in each second of each hour.",
        "The share is what was done over what could have been done; mind that hours are not seconds.",
    ),
    checks=(
        Check("any reported run", _reported, "What did they do, and what could they have done?"),
        Check("Meta's own figures", _llama, "Did hours become seconds?"),
        Check("twice the peak, half the share", _sparse, "Of which peak is it a share?"),
    ),
)

EXERCISES = (_FILE_BYTES, _TRAINING_DAYS, _HIDDEN)
