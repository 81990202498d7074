"""The exercises of lab 12: which tokens count, the loss of a reward model, and advantages by leave-one-out."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import torch
from torch import Tensor

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

_IGNORED = -100

# ---------------------------------------------------------------- loss_mask


def _targets(ids: list[int], assistant: int, end: int) -> list[int]:
    """Labels moved by one; -100 where the assistant does not speak."""
    targets, speaking = [], False
    for now, following in pairwise(ids):
        speaking = now == assistant or (speaking and now != end)
        targets.append(following if speaking else _IGNORED)
    return targets


def _mask(student: Student, ids: list[int], assistant: int, end: int) -> None:
    value = student(list(ids), assistant, end)
    value = value.tolist() if isinstance(value, Tensor) else list(value) if isinstance(value, tuple) else value
    if not isinstance(value, list):
        raise Wrong(f"expected a list of labels, got {describe(value)}.")
    if len(value) != len(ids) - 1:
        raise Wrong(f"{len(ids)} ids have {len(ids) - 1} labels, one for each but the first; yours gave {len(value)}.")
    expected = _targets(ids, assistant, end)
    wrong = next((t for t, (a, b) in enumerate(zip(value, expected, strict=True)) if a != b), None)
    if wrong is not None:
        raise Wrong(
            f"for the ids {show(ids) if len(ids) <= 8 else ids}, assistant={assistant}, end={end}, yours has "
            f"{show(value[wrong])} as label {wrong}, where the model has just read {ids[wrong]}."
        )


def _conversation(rng: random.Random, turns: int, *, cut: bool = False) -> tuple[list[int], int, int]:
    """BOS, then questions and answers of ordinary ids; the last answer without its end where `cut`."""
    bos, user, assistant, end = rng.sample(range(500, 520), 4)
    ids = [bos]
    for _ in range(turns):
        ids += [user, *(rng.randrange(500) for _ in range(rng.randint(1, 4))), end]
        ids += [assistant, *(rng.randrange(500) for _ in range(rng.randint(1, 4))), end]
    return (ids[:-1] if cut else ids), assistant, end


def _one_turn(student: Student, rng: random.Random) -> None:
    for _ in range(4):
        _mask(student, *_conversation(rng, 1))


def _several_turns(student: Student, rng: random.Random) -> None:
    for turns in (2, 3, rng.randint(2, 5)):
        _mask(student, *_conversation(rng, turns))


def _no_end(student: Student, rng: random.Random) -> None:
    for turns in (1, 2):
        _mask(student, *_conversation(rng, turns, cut=True))


_LOSS_MASK = Exercise(
    id="post_training.loss_mask",
    takes=("ids", "assistant", "end"),
    hints=(
        "Label t is the id that comes after id t. First write all labels; then ask which of them the assistant said.",
        "Walk through the ids and remember who is speaking: `assistant` switches it on, `end` switches it off.",
        "The assistant's own `end` is a label too, or it would never learn to stop; the user's is none.",
    ),
    checks=(
        Check(
            "a question and an answer", _one_turn, "After which id does the first label count, after which the last?"
        ),
        Check("several turns", _several_turns, "Does the user's end mark count in yours, or only the assistant's?"),
        Check("an answer that was cut", _no_end, "Who is speaking when the ids run out?"),
    ),
)

# ---------------------------------------------------------------- bradley_terry


def _bt_loss(student: Student, chosen: Tensor, rejected: Tensor) -> None:
    value = number(student(chosen.clone(), rejected.clone()))
    gap = (chosen - rejected).double()
    expected = float(torch.log1p(torch.exp(-gap.abs())).add((-gap).clamp(min=0)).mean())
    if not math.isclose(value, expected, rel_tol=1e-4, abs_tol=1e-5):
        raise Wrong(
            f"for the scores {show(chosen)} of the chosen and {show(rejected)} of the rejected answers yours gave "
            f"{show(value)} nats."
        )


def _scores(rng: random.Random, B: int, scale: float = 3.0) -> Tensor:
    return torch.tensor([round(rng.uniform(-scale, scale), 2) for _ in range(B)])


def _equal_scores(student: Student, rng: random.Random) -> None:
    for B in (1, 4):
        scores = _scores(rng, B)
        _bt_loss(student, scores, scores)


def _any_scores(student: Student, rng: random.Random) -> None:
    for B in (1, 2, rng.randint(3, 6)):
        _bt_loss(student, _scores(rng, B), _scores(rng, B))


def _far_apart(student: Student, rng: random.Random) -> None:
    far = float(rng.randint(300, 900))
    for chosen, rejected in ((0.0, far), (far, 0.0)):
        _bt_loss(student, torch.tensor([chosen, 1.0]), torch.tensor([rejected, 1.0]))


_BRADLEY_TERRY = Exercise(
    id="post_training.bradley_terry",
    takes=("chosen", "rejected"),
    hints=(
        "The model says: chosen is preferred with probability σ(chosen − rejected). The loss is the surprise at that.",
        "σ(x) = 1 / (1 + e^−x), and the surprise is −log of it, in the mean over the B pairs.",
        "`torch.nn.functional.logsigmoid` takes the logarithm without ever making a zero; mind the sign.",
    ),
    checks=(
        Check("equal scores pay ln 2", _equal_scores, "How surprising is the toss of a coin?"),
        Check("any scores", _any_scores, "Which of the two scores must grow for the loss to fall? Sum or mean?"),
        Check("scores that are far apart", _far_apart, "What is the logarithm of a number that was rounded to zero?"),
    ),
)

# ---------------------------------------------------------------- advantages


def _leave_one_out(student: Student, rewards: Tensor) -> None:
    value = student(rewards.clone())
    n = rewards.shape[1]
    if not isinstance(value, Tensor) or value.shape != rewards.shape:
        raise Wrong(f"expected a tensor of shape {tuple(rewards.shape)}, got {describe(value)}.")
    rows = [[row[i] - sum(row[:i] + row[i + 1 :]) / (n - 1) for i in range(n)] for row in rewards.tolist()]
    if not torch.allclose(value.double(), torch.tensor(rows, dtype=torch.float64), atol=1e-4):
        raise Wrong(f"for the rewards {show(rewards)} yours gave {show(value)}.")


def _rewards(rng: random.Random, rows: int, n: int) -> Tensor:
    return torch.tensor([[round(rng.uniform(0, 3), 1) for _ in range(n)] for _ in range(rows)])


def _two_answers(student: Student, rng: random.Random) -> None:
    for _ in range(3):
        _leave_one_out(student, _rewards(rng, 1, 2))


def _more_answers(student: Student, rng: random.Random) -> None:
    for n in (3, 4, rng.randint(5, 8)):
        _leave_one_out(student, _rewards(rng, 1, n))


def _several_prompts(student: Student, rng: random.Random) -> None:
    for rows, n in ((2, 2), (3, 4), (rng.randint(2, 5), 3)):
        _leave_one_out(student, _rewards(rng, rows, n) + torch.arange(rows)[:, None])


_ADVANTAGES = Exercise(
    id="post_training.advantages",
    takes=("rewards",),
    hints=(
        "What is expected of an answer is what the *other* answers to the same prompt earned, in the mean.",
        "A row's sum without one entry is `sum − entry`; that divided by n − 1 is the mean of the others.",
        "`rewards.sum(1, keepdim=True)` has shape (prompts, 1), so that it can be taken from every column.",
    ),
    checks=(
        Check("two answers to a prompt", _two_answers, "With two answers, what is the mean of the others?"),
        Check("more answers", _more_answers, "Is an answer's own reward in what is taken from it?"),
        Check("several prompts", _several_prompts, "Is an easy prompt compared with a hard one in yours?"),
    ),
)

EXERCISES = (_LOSS_MASK, _BRADLEY_TERRY, _ADVANTAGES)
