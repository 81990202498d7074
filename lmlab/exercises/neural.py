"""The exercises of lab 06: shifted labels, the weights of a flat network, what a change leaves, and routing."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from lmlab.exercises.expect import Wrong, describe, like, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

# ---------------------------------------------------------------- shifted


def _pair(student: Student, ids: list[int], shift: int) -> tuple[list[int], list[int]]:
    value: Any = student(ids, shift)
    if not isinstance(value, tuple) or len(value) != 2 or not all(isinstance(part, list) for part in value):
        raise Wrong(f"expected two lists, `return inputs, targets`; got {describe(value)}.")
    return value


def _text(rng: random.Random, n: int) -> list[int]:
    return [rng.randrange(100, 1000) for _ in range(n)]


def _one(student: Student, rng: random.Random) -> None:
    ids = _text(rng, rng.randint(3, 6))
    inputs, targets = _pair(student, ids, 1)
    if list(zip(inputs, targets, strict=False)) != list(pairwise(ids)) or len(inputs) != len(targets):
        raise Wrong(f"for ids {show(ids)} and shift 1 yours gave {show(inputs)} and {show(targets)}.")


def _any_shift(student: Student, rng: random.Random) -> None:
    for _ in range(20):
        n = rng.randint(4, 8)
        ids, shift = _text(rng, n), rng.randint(1, 3)
        inputs, targets = _pair(student, ids, shift)
        right = all(inputs[t] == ids[t] and targets[t] == ids[t + shift] for t in range(min(len(inputs), n - shift)))
        if not right or not len(inputs) == len(targets) == n - shift:
            raise Wrong(f"for ids {show(ids)} and shift {shift} yours gave {show(inputs)} and {show(targets)}.")


def _zero(student: Student, rng: random.Random) -> None:
    ids = _text(rng, rng.randint(3, 6))
    inputs, targets = _pair(student, ids, 0)
    if inputs != ids or targets != ids:
        raise Wrong(f"for ids {show(ids)} and shift 0 yours gave {show(inputs)} and {show(targets)}.")


_SHIFTED = Exercise(
    id="neural.shifted",
    takes=("ids", "shift"),
    hints=(
        "The model reads one list and must say the other. At each place, how far ahead is what it must say?",
        "Both lists are slices of `ids`. The last words have no label, the first words are nobody's label.",
        "The targets begin at `shift`; the inputs end as many places before the end. Mind that `ids[:-0]` is empty: "
        "count the end from the front, with `len(ids)`.",
    ),
    checks=(
        Check("the next token is the label", _one, "Which token must the model say after reading the first?"),
        Check("labels moved by any shift", _any_shift, "How many tokens of the text still have a label?"),
        Check("shift 0: the text itself", _zero, "Where does a slice end that is moved by nothing?"),
    ),
)

# ---------------------------------------------------------------- n_weights


def _weights(student: Student, T: int, D: int, V: int, hidden: int | None) -> None:
    value = number(student(T, D, V, hidden))
    into, out = T * D, T * V
    right = sum(into for _ in range(out)) if hidden is None else into * hidden + hidden * out
    if not math.isclose(value, right, rel_tol=1e-9):
        layer = "no hidden layer" if hidden is None else f"a hidden layer of {hidden}"
        raise Wrong(f"for T={T}, D={D}, V={V} and {layer} yours gave {show(value)}.")


def _slide(student: Student, rng: random.Random) -> str:
    D, V = rng.randint(2, 9), rng.randint(10, 60)
    for T in (rng.randint(2, 9), rng.randint(10, 40)):
        _weights(student, T, D, V, None)
    return f"{number(student(6, 4, 10, None)):,.0f} on the slide"


def _twice(student: Student, rng: random.Random) -> None:
    T, D, V = rng.randint(3, 50), rng.randint(2, 9), rng.randint(10, 60)
    for hidden, times in ((None, 4), (rng.randint(5, 90), 2)):
        one, two = number(student(T, D, V, hidden)), number(student(2 * T, D, V, hidden))
        if not one > 0 or not math.isclose(two / one, times, rel_tol=1e-9):
            what = "without a hidden layer" if hidden is None else f"with a hidden layer of {hidden}"
            raise Wrong(f"{what}, yours gave {show(one)} for T={T} and {show(two)} for T={2 * T}.")


def _hidden(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        _weights(student, rng.randint(2, 40), rng.randint(2, 9), rng.randint(10, 60), rng.randint(1, 99))


_N_WEIGHTS = Exercise(
    id="neural.n_weights",
    takes=("T", "D", "V", "hidden"),
    hints=(
        "How many numbers go into the network, when T vectors of D numbers lie side by side? How many come out?",
        "A matrix has one weight for each pair of a number that goes in and a number that comes out.",
        "With a hidden layer there are two matrices: from the input to `hidden` numbers, and from those to the "
        "output. Without one, `hidden` is None.",
    ),
    checks=(
        Check("one matrix", _slide, "How many numbers go in, how many come out, and how many pairs do they make?"),
        Check("with a hidden layer", _hidden, "Which two matrices are there now?"),
        Check("a text of twice the length", _twice, "Which factors grow with T, and how often does T occur?"),
    ),
)

# ---------------------------------------------------------------- recomputed


def _n_again(student: Student, old: list[int], new: list[int]) -> None:
    kept = 0
    while kept < min(len(old), len(new)) and old[kept] == new[kept]:
        kept += 1
    value = number(student(old, new))
    if value != len(new) - kept:
        raise Wrong(f"for {show(old)}, which became {show(new)}, yours gave {show(value)}.")


def _one_word(student: Student, rng: random.Random) -> None:
    for _ in range(20):
        old = _text(rng, rng.randint(2, 7))
        new = list(old)
        new[rng.randrange(len(old))] = rng.randrange(1000, 2000)
        _n_again(student, old, new)


def _agree_again(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        old = _text(rng, 6)
        new = list(old)
        new[rng.randint(0, 2)] = rng.randrange(1000, 2000)  # what follows is equal again
        new[rng.randint(3, 4)] = rng.randrange(1000, 2000)
        _n_again(student, old, new)


def _longer(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        old = _text(rng, rng.randint(1, 5))
        _n_again(student, old, old + _text(rng, rng.randint(1, 3)))
        _n_again(student, old, old[: rng.randint(0, len(old) - 1)] + _text(rng, rng.randint(1, 4)))


def _same(student: Student, rng: random.Random) -> None:
    old = _text(rng, rng.randint(1, 6))
    _n_again(student, old, list(old))


_RECOMPUTED = Exercise(
    id="neural.recomputed",
    takes=("old", "new"),
    hints=(
        "What a position holds depends on all tokens up to it. From which place on do the two texts differ?",
        "Count how many tokens at the beginning are equal, and stop at the first that is not.",
        "All positions of the new text after that common beginning are computed again, even where the words are "
        "equal once more: they have read what was changed.",
    ),
    checks=(
        Check("one word changed", _one_word, "Which positions have not seen the change?"),
        Check("words equal again after the change", _agree_again, "Has an equal word also read equal words before it?"),
        Check("a longer or a shorter text", _longer, "Where does the common beginning of the two texts end?"),
        Check("nothing changed", _same, "What is left to compute?"),
    ),
)

# ---------------------------------------------------------------- route


def _case(rng: random.Random, n: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    draw = lambda *shape: torch.tensor([round(rng.uniform(-2, 2), 2) for _ in range(math.prod(shape))]).reshape(shape)  # noqa: E731
    return draw(d), draw(n, d), draw(n, d)


def _right(query: Tensor, keys: Tensor) -> list[float]:
    scores = [sum(q * k for q, k in zip(query.tolist(), row, strict=True)) for row in keys.tolist()]
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def _mix(student: Student, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return like(student(query, keys, values), query)


def _equal_keys(student: Student, rng: random.Random) -> None:
    query, keys, values = _case(rng, 4, 3)
    keys = keys[:1].repeat(4, 1)
    mixed = _mix(student, query, keys, values)
    if not torch.allclose(mixed, values.mean(0), atol=1e-4):
        raise Wrong(f"all keys are {show(keys[0])}, the values {show(values)}; yours gave {show(mixed)}.")


def _any_route(student: Student, rng: random.Random) -> None:
    for _ in range(20):
        query, keys, values = _case(rng, rng.randint(2, 5), rng.randint(2, 4))
        mixed, weights = _mix(student, query, keys, values), _right(query, keys)
        for axis, found in enumerate(mixed.tolist()):
            wanted = sum(w * row[axis] for w, row in zip(weights, values.tolist(), strict=True))
            if not math.isclose(found, wanted, abs_tol=1e-4):
                raise Wrong(
                    f"for query {show(query)}, keys {show(keys)}, values {show(values)} yours gave {show(mixed)}."
                )


def _moves(student: Student, rng: random.Random) -> None:
    query = torch.tensor([40.0, 0.0])
    for place in rng.sample(range(6), 4):
        keys = torch.tensor([[0.0, 1.0]] * 6)
        keys[place] = torch.tensor([1.0, 0.0])
        values = torch.arange(12.0).reshape(6, 2)
        mixed = _mix(student, query, keys, values)
        if not torch.allclose(mixed, values[place], atol=1e-3):
            raise Wrong(f"the one key that fits stands at place {place}, its value is {show(values[place])}; "
                        f"yours gave {show(mixed)}.")  # fmt: skip


_ROUTE = Exercise(
    id="neural.route",
    takes=("query", "keys", "values"),
    hints=(
        "How well does each key fit the query? One number a place: the products of their entries, summed.",
        "`keys @ query` gives all of them at once. What turns any numbers into shares that sum to one?",
        "Take the softmax of the fits; then the mixture is each value times its share, summed over the places, "
        "which is again a product with `@`.",
    ),
    checks=(
        Check("equal keys share equally", _equal_keys, "What shares does the softmax give to equal fits?"),
        Check("any query, keys and values", _any_route, "Are the shares those of a softmax over the places?"),
        Check("the fitting key moves, and the answer with it", _moves, "Does the place decide, or the key that fits?"),
    ),
)

EXERCISES = (_SHIFTED, _N_WEIGHTS, _RECOMPUTED, _ROUTE)
