"""The exercises of lab 07: the causal mask, attention itself, how spread it is, and where an induction head looks."""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student


def _numbers(rng: random.Random, *shape: int, around: float = 0.0) -> Tensor:
    """A tensor of this shape of numbers with one decimal."""
    flat = [round(around + rng.uniform(-3, 3), 1) for _ in range(math.prod(shape))]
    return torch.tensor(flat).view(shape)


# ---------------------------------------------------------------- causal_mask


def _masked(student: Student, scores: Tensor) -> Tensor:
    value = student(scores)
    if not isinstance(value, Tensor) or value.shape != scores.shape:
        raise Wrong(f"expected a tensor of shape {tuple(scores.shape)}, got {describe(value)}.")
    return value


def _future(student: Student, rng: random.Random) -> None:
    for T in (2, 3, rng.randint(4, 7)):
        scores = _numbers(rng, T, T)
        value = _masked(student, scores)
        for i in range(T):
            for j in range(i + 1, T):
                if float(value[i, j]) != -math.inf:
                    raise Wrong(f"token {i} may not see token {j}, but its score there is {show(float(value[i, j]))}.")


def _past(student: Student, rng: random.Random) -> None:
    for T in (1, 3, rng.randint(4, 7)):
        scores = _numbers(rng, T, T)
        value = _masked(student, scores)
        for i in range(T):
            for j in range(i + 1):
                if not math.isclose(float(value[i, j]), float(scores[i, j]), abs_tol=1e-6):
                    here = "itself" if i == j else f"token {j}"
                    raise Wrong(f"token {i} may see {here}; the score {show(float(scores[i, j]))} became "
                                f"{show(float(value[i, j]))}.")  # fmt: skip


def _softmax_sums(student: Student, rng: random.Random) -> None:
    scores = _numbers(rng, 5, 5)
    rows = _masked(student, scores).double().softmax(-1)
    if not bool(torch.isfinite(rows).all()):
        raise Wrong("after your mask some row has nothing left to look at, and its softmax is nan.")


_CAUSAL_MASK = Exercise(
    id="attention.causal_mask",
    takes=("scores",),
    hints=(
        "Row i asks, column j answers. Which columns lie in the future of row i?",
        "`torch.ones(T, T).tril()` is 1 where a token may look, itself included, and 0 in its future.",
        "`masked_fill` gives a copy: where a table of True and False says True, it writes what you ask for. "
        "Ask for `-math.inf`, and for a table of the future.",
    ),
    checks=(
        Check("nobody sees the future", _future, "Which of the two, row or column, is the one that looks?"),
        Check("the past and itself stay as they were", _past, "Where exactly does the future begin?"),
        Check("every row can still look somewhere", _softmax_sums, "Whom can the very first token see?"),
    ),
)

# ---------------------------------------------------------------- attend


def _attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention, one token after the other, in double precision."""
    rows = []
    for i in range(len(q)):
        scores = [float(q[i].double() @ k[j].double()) / math.sqrt(q.shape[1]) for j in range(i + 1)]
        high = max(scores)
        weights = [math.exp(s - high) for s in scores]
        rows.append(sum(w / sum(weights) * v[j].double() for j, w in enumerate(weights)))
    return torch.stack([torch.as_tensor(row) for row in rows])


def _attend(student: Student, q: Tensor, k: Tensor, v: Tensor, what: str) -> None:
    value = student(q, k, v)
    if not isinstance(value, Tensor) or value.shape != v.shape:
        raise Wrong(f"for q, k and v of shape {tuple(v.shape)} expected the same shape, got {describe(value)}.")
    if not bool(torch.isfinite(value).all()):
        raise Wrong(f"{what}: not every number of yours is finite.")
    off = (value.double() - _attended(q, k, v)).abs().amax(1)
    worst = int(off.argmax())
    if float(off[worst]) > 1e-3:
        raise Wrong(f"{what}: token {worst} gave {show(value[worst])}, which is {show(float(off[worst]))} off.")


def _alone(student: Student, rng: random.Random) -> None:
    for E in (2, 4):
        q, k, v = (_numbers(rng, 1, E) for _ in range(3))
        _attend(student, q, k, v, "a single token can only take its own value")


def _equal_keys(student: Student, rng: random.Random) -> None:
    T, E = rng.randint(3, 6), 4
    k = _numbers(rng, 1, E).repeat(T, 1)
    what = "where all keys are alike, each token takes the mean of the values so far"
    _attend(student, _numbers(rng, T, E), k, _numbers(rng, T, E), what)


def _anything(student: Student, rng: random.Random) -> None:
    for E in (2, 4, 16):
        T = rng.randint(3, 7)
        q, k, v = (_numbers(rng, T, E) for _ in range(3))
        _attend(student, q, k, v, f"T {T}, E {E}")


def _large(student: Student, rng: random.Random) -> None:
    T, E = 5, 4
    q, k, v = 40 * _numbers(rng, T, E), 40 * _numbers(rng, T, E), _numbers(rng, T, E)
    _attend(student, q, k, v, "with scores in the thousands")


_ATTEND = Exercise(
    id="attention.attend",
    takes=("q", "k", "v"),
    hints=(
        "Four steps: scores between every query and every key; a mask; a softmax over the keys; a mix of the values.",
        "`q @ k.T` has shape (T, T): row i holds what token i thinks of every key. Divide by the square root of E "
        "before the mask, and take the softmax over the last axis.",
        "Weights of shape (T, T) times values of shape (T, E): one matrix product. torch's own `softmax` keeps "
        "large scores from overflowing.",
    ),
    checks=(
        Check("one token alone", _alone, "What is handed over, the key or the value?"),
        Check("keys that are all alike", _equal_keys, "Over which tokens, and along which axis, is the softmax?"),
        Check("any q, k and v", _anything, "How do scores grow with E, and what keeps them in hand?"),
        Check("very large scores", _large, "What does e to the 1,000 do, and who takes care of it?"),
    ),
)

# ---------------------------------------------------------------- entropy


def _bits(student: Student, row: Tensor, bits: float) -> None:
    value = number(student(row))
    if not math.isclose(value, bits, abs_tol=1e-4):
        raise Wrong(f"for the weights {show([round(x, 4) for x in row.tolist()])} yours gave {show(value)} bits.")


def _even(student: Student, rng: random.Random) -> None:
    for n in (2, 8, rng.randint(3, 30)):
        _bits(student, torch.full((n,), 1 / n), math.log2(n))


def _one(student: Student, rng: random.Random) -> None:
    for n in (1, rng.randint(2, 8)):
        row = torch.zeros(n)
        row[rng.randrange(n)] = 1.0
        _bits(student, row, 0.0)


def _any_row(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        row = _numbers(rng, rng.randint(2, 7)).softmax(-1)
        _bits(student, row, -math.fsum(p * math.log2(p) for p in row.tolist()))


_ENTROPY = Exercise(
    id="attention.entropy",
    takes=("row",),
    hints=(
        "The surprise of looking at one place is −log2 of its weight. How surprised are you on average?",
        "On average means: each surprise counts as often as it happens, which is its weight. `torch.log2` helps.",
        "A weight of 0 never happens and costs nothing, but 0 times infinity is not a number: leave such weights "
        "out first, as in `row[row > 0]`.",
    ),
    checks=(
        Check("evenly over n tokens: log2 n", _even, "How many yes-or-no questions tell 8 equal places apart?"),
        Check("all on one token: 0", _one, "What is 0 times the logarithm of 0 here?"),
        Check("any row", _any_row, "By what is each surprise weighted, and in which base is the logarithm?"),
    ),
)

# ---------------------------------------------------------------- induction_target


def _target(student: Student, ids: list[int], t: int) -> None:
    expected = next((s + 1 for s in range(t - 1, -1, -1) if ids[s] == ids[t]), None)
    value = student(ids, t)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise Wrong(f"expected a position as a whole number, or None, got {describe(value)}.")
    if value != expected:
        raise Wrong(f"for ids {ids} and t = {t}, where the token is {ids[t]}, yours gave {value}.")


def _seen_once(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        piece = rng.sample(range(10, 99), rng.randint(3, 5))
        _target(student, piece + piece, len(piece) + rng.randrange(1, len(piece)))


def _seen_often(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        a, b, c, d = rng.sample(range(10, 99), 4)
        _target(student, [a, b, c, a, d, c, a], 6)


def _never(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        ids = rng.sample(range(10, 99), 6)
        _target(student, ids, rng.randrange(6))
        _target(student, [*ids, *ids], rng.randrange(6))  # it comes again, later: that is the future


def _just_before(student: Student, rng: random.Random) -> None:
    a, b = rng.sample(range(10, 99), 2)
    _target(student, [b, a, a], 2)


_INDUCTION_TARGET = Exercise(
    id="attention.induction_target",
    takes=("ids", "t"),
    hints=(
        "Two questions, and one layer for each: where did this token stand before, and what stands next to there?",
        "Walk back from t − 1 to 0, and stop at the first place that holds the same token as t.",
        "`range(t - 1, -1, -1)` counts down. The answer is one to the right of the place found; where the walk finds "
        "nothing, it is `None`.",
    ),
    checks=(
        Check("a token that stood there before", _seen_once, "The same token, or the one after it?"),
        Check("the last of several times", _seen_often, "Where does the walk begin, and which way does it go?"),
        Check("a token that is new", _never, "May it look into its own future, or at itself?"),
        Check("twice in a row", _just_before, "What stands right after the token just before?"),
    ),
)

EXERCISES = (_CAUSAL_MASK, _ATTEND, _ENTROPY, _INDUCTION_TARGET)
