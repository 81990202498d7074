"""The exercises of lab 08: the loss itself, the learning rate over time, one step of AdamW, clipping."""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student


def _numbers(rng: random.Random, *shape: int, scale: float = 3.0) -> Tensor:
    """A tensor of this shape of numbers with two decimals."""
    return torch.tensor([round(rng.uniform(-scale, scale), 2) for _ in range(math.prod(shape))]).view(shape)


# ---------------------------------------------------------------- cross_entropy


def _loss(student: Student, logits: Tensor, targets: Tensor) -> None:
    expected = float(torch.nn.functional.cross_entropy(logits.double(), targets))
    value = number(student(logits, targets))
    if not math.isclose(value, expected, abs_tol=1e-4):
        raise Wrong(
            f"for logits {show([[round(x, 2) for x in row] for row in logits.tolist()])} and targets "
            f"{targets.tolist()} yours gave {show(value)} nats."
            if logits.numel() <= 12
            else f"for logits of shape {tuple(logits.shape)} yours gave {show(value)} nats, which is not the loss."
        )


def _knows_nothing(student: Student, rng: random.Random) -> str | None:
    for V in (2, 10, rng.randint(20, 600)):
        value = number(student(torch.zeros(3, V), torch.tensor([0, V - 1, V // 2])))
        if not math.isclose(value, math.log(V), abs_tol=1e-4):
            raise Wrong(f"with {V} equal logits the loss is ln {V} = {math.log(V):.4f}; yours gave {show(value)}.")
    return None


def _any_logits(student: Student, rng: random.Random) -> None:
    for T, V in ((1, 3), (2, 4), (rng.randint(3, 9), rng.randint(5, 30))):
        _loss(student, _numbers(rng, T, V), torch.tensor([rng.randrange(V) for _ in range(T)]))


def _large_logits(student: Student, rng: random.Random) -> None:
    logits = _numbers(rng, 3, 4) + 500
    value = student(logits, torch.tensor([0, 1, 2]))
    if isinstance(value, (Tensor, float)) and not math.isfinite(float(value)):
        raise Wrong(f"for logits around 500 yours gave {show(float(value))}.")
    _loss(student, logits, torch.tensor([0, 1, 2]))


_CROSS_ENTROPY = Exercise(
    id="training.cross_entropy",
    takes=("logits", "targets"),
    hints=(
        "Three steps: logits become log-probabilities, each row gives that of its target, the mean changes sign.",
        "`logits.log_softmax(-1)` has shape (T, V). Row t is what the model thought, `targets[t]` what really came.",
        "`rows[torch.arange(len(targets)), targets]` takes one number out of each row.",
    ),
    checks=(
        Check("a model that knows nothing pays ln V", _knows_nothing, "How surprising is one of V equal things?"),
        Check("any logits, any targets", _any_logits, "Sum or mean, and with which sign?"),
        Check("very large logits", _large_logits, "What does e to the 500 do, and who takes care of it?"),
    ),
)

# ---------------------------------------------------------------- learning_rate


def _rate(student: Student, step: int, steps: int, warmup: int, peak: float, expected: float, why: str) -> None:
    value = number(student(step, steps, warmup, peak))
    if not math.isclose(value, expected, rel_tol=1e-4, abs_tol=1e-9):
        raise Wrong(f"step {step} of {steps}, warm-up {warmup}, peak {peak:g}: {why}; yours gave {show(value)}.")


def _warms_up(student: Student, rng: random.Random) -> None:
    for _ in range(3):
        warmup, peak = rng.randint(2, 20), rng.choice([0.001, 0.01, 0.3])
        for step in (0, 1, warmup - 1):
            _rate(student, step, 200, warmup, peak, peak * (step + 1) / warmup, "the rate rises in equal parts")


def _falls(student: Student, rng: random.Random) -> None:
    for _ in range(3):
        warmup, steps, peak = rng.randint(1, 20), rng.randint(50, 300), rng.choice([0.001, 0.01, 0.3])
        _rate(student, warmup, steps, warmup, peak, peak, "after the warm-up it stands at the peak")
        _rate(student, steps - 1, steps, warmup, peak, 0.0, "with the last step it has come to zero")


def _half_cosine(student: Student, rng: random.Random) -> None:
    for _ in range(4):
        warmup, steps, peak = rng.randint(0, 20), rng.randint(50, 300), rng.choice([0.001, 0.01, 0.3])
        step = rng.randint(warmup, steps - 1)
        done = (step - warmup) / (steps - 1 - warmup)
        expected = peak * (1 + math.cos(math.pi * done)) / 2
        _rate(student, step, steps, warmup, peak, expected, f"{done:.0%} of the way down half a cosine")


_LEARNING_RATE = Exercise(
    id="training.learning_rate",
    takes=("step", "steps", "warmup", "peak"),
    hints=(
        "Two parts, and an `if` between them: while step < warmup it rises, from there on it falls.",
        "Rising: the first step, number 0, takes the first of `warmup` equal parts. Falling: how far on the way from "
        "`warmup` to the last step, `steps − 1`, is this step, as a number from 0 to 1?",
        "The cosine of 0 is 1 and that of π is −1: `(1 + math.cos(math.pi * way)) / 2` falls from 1 to 0.",
    ),
    checks=(
        Check(
            "it warms up", _warms_up, "Which part of the peak does step 0 take, if the last of the warm-up takes all?"
        ),
        Check("from the peak to zero", _falls, "Which number does the last step have?"),
        Check("half a cosine in between", _half_cosine, "How far along is this step, between 0 and 1?"),
    ),
)

# ---------------------------------------------------------------- adamw


def _torch_steps(w: Tensor, gradients: list[Tensor], lr: float) -> list[tuple[Tensor, Tensor, Tensor]]:
    """w, m and v after each step of torch's own AdamW."""
    p = torch.nn.Parameter(w.clone().double())
    optimizer = torch.optim.AdamW([p], lr=lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    found = []
    for g in gradients:
        p.grad = g.double()
        optimizer.step()
        state = optimizer.state[p]
        found.append((p.detach().clone(), state["exp_avg"].clone(), state["exp_avg_sq"].clone()))
    return found


def _steps(student: Student, w: Tensor, gradients: list[Tensor], lr: float) -> None:
    m = v = torch.zeros_like(w)
    for t, (g, expected) in enumerate(zip(gradients, _torch_steps(w, gradients, lr), strict=True), 1):
        value = student(w, g, m, v, t, lr)
        if not isinstance(value, tuple) or len(value) != 3:
            raise Wrong(f"expected the tuple (w, m, v), got {describe(value)}.")
        for name, mine, its in zip("mvw", (value[1], value[2], value[0]), (*expected[1:], expected[0]), strict=True):
            if not isinstance(mine, Tensor) or mine.shape != w.shape:
                raise Wrong(f"{name} should be a tensor of shape {tuple(w.shape)}, got {describe(mine)}.")
            if not torch.allclose(mine.double(), its, atol=1e-5):
                raise Wrong(f"step {t} from w {show(w)} with gradient {show(g)} and lr {lr:g}: torch's {name} is "
                            f"{show(its)}, yours {show(mine)}.")  # fmt: skip
        w, m, v = value


def _first_step(student: Student, rng: random.Random) -> None:
    for lr in (0.1, 0.01):
        _steps(student, _numbers(rng, 3), [_numbers(rng, 3)], lr)


def _many_steps(student: Student, rng: random.Random) -> None:
    _steps(student, _numbers(rng, 4), [_numbers(rng, 4) for _ in range(5)], 0.05)


def _still_decays(student: Student, rng: random.Random) -> None:
    _steps(student, _numbers(rng, 3), [torch.zeros(3)] * 2, 0.5)


_ADAMW = Exercise(
    id="training.adamw",
    takes=("w", "g", "m", "v", "t", "lr"),
    hints=(
        "Five lines: m, v, both corrected for their start at zero, the decay of w, the step.",
        "m keeps 0.9 of itself and takes 0.1 of g; v keeps 0.95 and takes 0.05 of g². Both began at zero and are too "
        "small at first: divide m by 1 − 0.9ᵗ, and v by 1 − 0.95ᵗ.",
        "The decay has nothing to do with the gradient: w first shrinks by the factor 1 − lr · 0.1. Then it moves "
        "against m̂ / (√v̂ + 1e-8), times lr.",
    ),
    checks=(
        Check("the first step", _first_step, "How long is the first step, whatever the gradient's size?"),
        Check("five steps, against torch's", _many_steps, "Which m and v are handed on: the corrected ones?"),
        Check("without a gradient it still decays", _still_decays, "Is the decay part of the gradient, or apart?"),
    ),
)

# ---------------------------------------------------------------- clip


def _clipped(student: Student, gradients: list[Tensor], longest: float) -> list[Tensor]:
    value = student(gradients, longest)
    if not isinstance(value, (list, tuple)) or [getattr(x, "shape", None) for x in value] != [
        g.shape for g in gradients
    ]:
        raise Wrong(f"expected a list of {len(gradients)} tensors of the shapes given, got {describe(value)}.")
    return list(value)


def _short_ones(student: Student, rng: random.Random) -> None:
    gradients = [_numbers(rng, 3, scale=0.1), _numbers(rng, 2, 2, scale=0.1)]
    for mine, given in zip(_clipped(student, gradients, 1.0), gradients, strict=True):
        if not torch.allclose(mine, given, atol=1e-6):
            raise Wrong(f"gradients shorter than {1.0:g} stay as they are; {show(given)} became {show(mine)}.")


def _long_ones(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        gradients = [_numbers(rng, 4), _numbers(rng, 2, 3), _numbers(rng, 1)]
        total = math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients))
        longest = round(rng.uniform(0.2, 0.9) * total, 2)
        mine = _clipped(student, gradients, longest)
        length = math.sqrt(sum(float((g.double() ** 2).sum()) for g in mine))
        if not math.isclose(length, longest, rel_tol=1e-3):
            raise Wrong(
                f"together they were {total:.3f} long, and {longest:g} is allowed; yours are {length:.3f} long."
            )
        for m, g in zip(mine, gradients, strict=True):
            if not torch.allclose(m.double(), g.double() * longest / total, atol=1e-4):
                raise Wrong(f"the direction changed: {show(g)} became {show(m)}.")


_CLIP = Exercise(
    id="training.clip",
    takes=("gradients", "longest"),
    hints=(
        "All gradients together are one long arrow. How long is it?",
        "The square of its length is the sum of the squares of all numbers in all tensors.",
        "Where it is too long, every tensor is multiplied by the same factor, `longest / length`; otherwise by 1.",
    ),
    checks=(
        Check("short gradients stay", _short_ones, "Should a small step be made larger?"),
        Check("long ones keep their direction", _long_ones, "One factor for all, or one for each tensor?"),
    ),
)

EXERCISES = (_CROSS_ENTROPY, _LEARNING_RATE, _ADAMW, _CLIP)
