"""The exercises of lab 14: weights put in few bits, a block of a real file decoded, and what a scale costs."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lmlab.exercises.expect import Wrong, describe, like, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student


def _normal(rng: random.Random, shape: Sequence[int], spread: float = 1.0) -> Tensor:
    return torch.tensor([rng.gauss(0, spread) for _ in range(math.prod(shape))]).view(*shape)


# ---------------------------------------------------------------- absmax


def _same_kind(value: Any, weights: Tensor) -> Tensor:
    if isinstance(value, Tensor) and not bool(torch.isfinite(value).all()):
        raise Wrong(f"for weights {show(weights)} yours gave {show(value)}: not every entry is a finite number.")
    return like(value, weights)


def _rounded(student: Student, weights: Tensor, bits: int) -> None:
    value = _same_kind(student(weights, bits), weights)
    largest = float(weights.abs().max())
    n = 2**bits
    levels = torch.tensor([-largest + 2 * largest * k / (n - 1) for k in range(n)], dtype=torch.float64)
    least = (weights.double()[..., None] - levels).abs().amin(-1)
    off = (value.double()[..., None] - levels).abs().amin(-1)
    slack = 1e-5 * largest + 1e-12
    if bool((off > slack).any()):
        i = int((off > slack).reshape(-1).nonzero()[0])
        x, y = float(weights.reshape(-1)[i]), float(value.reshape(-1)[i])
        raise Wrong(
            f"with {bits} bits and a largest magnitude of {show(largest)} yours put {show(x)} at {show(y)}, which is "
            f"none of the {n} levels."
        )
    far = (value.double() - weights.double()).abs() - least
    if bool((far > slack).any()):
        i = int((far > slack).reshape(-1).nonzero()[0])
        x, y = float(weights.reshape(-1)[i]), float(value.reshape(-1)[i])
        raise Wrong(f"with {bits} bits yours put {show(x)} at {show(y)}; another of the {n} levels is nearer.")


def _two_bits(student: Student, rng: random.Random) -> None:
    for _ in range(3):
        _rounded(student, _normal(rng, (8,)), 2)


def _any_bits(student: Student, rng: random.Random) -> None:
    for bits in rng.sample(range(1, 9), 5):
        _rounded(student, _normal(rng, (5, 7), rng.uniform(0.01, 20)), bits)


def _negative_largest(student: Student, rng: random.Random) -> None:
    for _ in range(2):
        weights = _normal(rng, (12,))
        weights[rng.randrange(12)] = -rng.uniform(5, 9)
        _rounded(student, weights, rng.choice((2, 3, 4)))


def _zeros(student: Student, rng: random.Random) -> None:
    weights = torch.zeros(rng.randint(2, 5), 3)
    value = _same_kind(student(weights, 4), weights)
    if bool(value.any()):
        raise Wrong(f"for weights that are all zero yours gave {show(value)}.")


_ABSMAX = Exercise(
    id="quantization.absmax",
    takes=("weights", "bits"),
    hints=(
        "Where are the levels? 2^bits of them, one step apart, from −a to a: how many steps lie between the two ends?",
        "Count each weight in steps from the lowest level, `(weights + a) / step`, and round: that whole number is "
        "its code.",
        "Turn the codes back into weights: the lowest level, and code times step. Before you divide, ask whether the "
        "step is zero.",
    ),
    checks=(
        Check("two bits", _two_bits, "Four levels: how many steps are between the first and the last?"),
        Check("any bits, any spread, a matrix", _any_bits, "Which of your numbers depend on bits, which on weights?"),
        Check("the largest is negative", _negative_largest, "Is the largest weight the one of largest magnitude?"),
        Check("all weights are zero", _zeros, "How wide is a step when there is nothing to spread over?"),
    ),
)

# ---------------------------------------------------------------- a block of a file


def _meaning(block: bytes) -> list[float]:
    (scale,) = struct.unpack("<e", block[:2])
    low, high = [b % 16 for b in block[2:]], [b // 16 for b in block[2:]]
    return [scale * (code - 8) for code in (*low, *high)]


def _decoded(student: Student, block: bytes) -> None:
    value: Any = student(block)
    if isinstance(value, Tensor):
        value = value.tolist()
    if not isinstance(value, (list, tuple)) or len(value) != 32:
        raise Wrong(f"expected a list of 32 numbers, got {describe(value)}.")
    wanted = _meaning(block)
    for i, (got, true) in enumerate(zip(map(number, value), wanted, strict=True)):
        if not math.isclose(got, true, rel_tol=1e-4, abs_tol=1e-9):
            raise Wrong(
                f"for the scale {block[:2].hex(' ')} and the codes {block[2:].hex(' ')} weight {i} of yours is "
                f"{show(got)}."
            )


def _block(rng: random.Random, scale: float, codes: bytes | None = None) -> bytes:
    return struct.pack("<e", scale) + (codes or bytes(rng.randrange(256) for _ in range(16)))


def _one_code(student: Student, rng: random.Random) -> None:
    code = rng.randint(9, 15)
    _decoded(student, _block(rng, rng.uniform(0.01, 0.1), bytes([17 * code] * 16)))


def _in_order(student: Student, rng: random.Random) -> None:
    for _ in range(3):
        _decoded(student, _block(rng, rng.uniform(0.01, 0.1)))


def _odd_scales(student: Student, rng: random.Random) -> None:
    for scale in (-rng.uniform(0.01, 2), 2.0 ** -rng.randint(15, 20), rng.uniform(100, 5000), 0.0):
        _decoded(student, _block(rng, scale))


_DECODE = Exercise(
    id="quantization.decode_block",
    takes=("block",),
    hints=(
        "18 bytes: two for the scale, and 16 that hold two codes each. `block[0]` is a whole number from 0 to 255.",
        "`struct.unpack('<e', block[:2])` reads a float16, its low byte first. `byte % 16` and `byte // 16` are the "
        "two halves of a byte.",
        "First come the lower halves of all 16 bytes, in order, then the 16 upper ones. A code stands for code − 8 "
        "scales.",
    ),
    checks=(
        Check("one code, 32 times", _one_code, "Which code stands for a weight of zero?"),
        Check("codes in their order", _in_order, "Byte 0 holds two codes: of weights 0 and 1, or of 0 and 16?"),
        Check("negative, tiny, large and zero scales", _odd_scales, "Which 16 bits does a float16 spend, and on what?"),
    ),
)

# ---------------------------------------------------------------- bits a weight


def _counted(student: Student, rows: int, cols: int, bits: int, group: int) -> None:
    value = number(student(rows, cols, bits, group))
    wanted = (bits * rows * cols + 16 * rows * math.ceil(cols / group)) / (rows * cols)
    if not math.isclose(value, wanted, rel_tol=1e-6):
        raise Wrong(f"for a matrix ({rows}, {cols}), {bits} bits and groups of {group} yours gave {show(value)}.")


def _fitting(student: Student, rng: random.Random) -> None:
    for _ in range(4):
        group = rng.choice((16, 32, 64, 128))
        _counted(student, rng.randint(1, 99), group * rng.randint(1, 9), rng.randint(1, 8), group)


def _shorter(student: Student, rng: random.Random) -> None:
    for _ in range(4):
        group = rng.choice((32, 64, 128))
        _counted(student, rng.randint(2, 99), group * rng.randint(1, 5) + rng.randint(1, group - 1), 4, group)


def _larger(student: Student, rng: random.Random) -> None:
    for _ in range(3):
        _counted(student, rng.randint(2, 40), rng.randint(3, 20), rng.randint(1, 8), rng.randint(30, 300))


_BITS = Exercise(
    id="quantization.bits_per_weight",
    takes=("rows", "cols", "bits", "group_size"),
    hints=(
        "Count all bits of the file, codes and scales, and divide by the number of weights.",
        "How many groups has one row? A group never reaches into the next row, and its scale has 16 bits.",
        "`math.ceil(cols / group_size)` groups a row: the last one may be short, and costs as much as the others.",
    ),
    checks=(
        Check("groups that fit", _fitting, "What does the scale of 32 weights add to each of them?"),
        Check("a shorter last group", _shorter, "Does a group of five weights need less of a scale?"),
        Check("rows shorter than a group", _larger, "Can a row have less than one group?"),
    ),
)

EXERCISES = (_ABSMAX, _DECODE, _BITS)
