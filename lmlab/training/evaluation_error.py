"""How far a test's score can be from what the model can do: intervals, repeated tests, pairs, and leaked questions.

A score is a share of n questions, and other questions would have given another share. Everything here is measured on
a model of ours and a pool of questions so large that what it can do is known: so whether an interval holds what it
should is counted, not believed. Lecture: "evaluation", named there among what is not covered.

Source: Miller 2024, "Adding error bars to evals", arXiv 2411.00640 (the same questions for both models).
"""

from __future__ import annotations

import copy
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lmlab.data.chat import ChatStream, Encoded
from lmlab.data.town import Town
from lmlab.data.town.probes import Probe, probes
from lmlab.data.town.town import FAMILIES
from lmlab.text_model import TextModel
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.shares import Interval, naive_interval, wilson_interval
from lmlab.training.state import TrainState
from lmlab.training.trial import Trial

POOL = 1_000  # questions on which what a model can do is known
LEAK_STEPS, LEAK_EVERY, LEAK_B = 20, 5, 25
LEAK_SETTINGS = OptimizerSettings(lr=1e-3, warmup=5)
_BATCH = 64
_POOL_SEED = 2_026_160  # no other test of the town's questions draws from this seed
Right = npt.NDArray[np.bool_]


INTERVALS: dict[str, Callable[[int, int], Interval]] = {"wilson": wilson_interval, "naive": naive_interval}


@dataclass(frozen=True)
class Test:
    """One test of n questions: how many were answered right, and the interval drawn from that."""

    __test__ = False  # pytest

    n_right: int
    n: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Of right answers."""
        return self.n_right / self.n

    def holds(self, share: float) -> bool:
        """Whether the interval holds this share."""
        return self.low <= share <= self.high


def repeated_tests(right: Right, n: int, *, repeats: int, seed: int, interval: str = "wilson") -> list[Test]:
    """Tests of n questions each, drawn from a pool with replacement; `right` (B,) says which the model answers right.

    Raises ValueError for an interval that is neither "wilson" nor "naive".
    """
    n_right = right[draws(len(right), n, repeats=repeats, seed=seed)].sum(1)
    return [Test(int(k), n, *_ends(int(k), n, interval)) for k in n_right]


@functools.lru_cache(4096)
def _ends(n_right: int, n: int, interval: str) -> Interval:
    if interval not in INTERVALS:
        raise ValueError(f"there is no interval {interval!r}: choose {' or '.join(INTERVALS)}.")
    return INTERVALS[interval](n_right, n)


def draws(n_pool: int, n: int, *, repeats: int, seed: int) -> npt.NDArray[np.int64]:
    """Places in the pool of the questions of each test, (repeats, n)."""
    return np.random.default_rng(seed).integers(n_pool, size=(repeats, n))


def coverage(tests: Sequence[Test], share: float) -> float:
    """How often the intervals hold this share: 0.95 is what they promise."""
    return sum(test.holds(share) for test in tests) / len(tests)


@dataclass(frozen=True)
class Comparison:
    """Two models on the same questions: the second's share less the first's, and how sure that is.

    `paired` and `apart` are 95 % intervals of the difference: from what each question says of both, and as if each
    model had had questions of its own.
    """

    difference: float
    paired: Interval
    apart: Interval


def compared(first: Right, second: Right, *, interval: str = "wilson") -> Comparison:
    """Two models' answers to the same n questions, (n,) each. Raises ValueError for fewer than two questions.

    The way from each model's interval to its ends is squared and added, less what the two have in common. Of naive
    intervals that makes ± 1.96 standard errors of the differences. Source: Newcombe 1998, Statistics in Medicine 17,
    2635-2650, method 10, which counts a positive correlation n/2 less than it seems.
    """
    n = len(first)
    if n < 2 or len(second) != n:
        raise ValueError(f"a comparison needs two or more questions, the same for both models; got {n}, {len(second)}.")
    a, b, both = (int(np.count_nonzero(x)) for x in (first, second, first & second))
    excess: float = both * n - a * b
    if interval == "wilson" and excess > 0:
        excess = max(0.0, excess - n / 2)
    phi = excess / math.sqrt(a * (n - a) * b * (n - b) or 1)
    (a_low, a_high), (b_low, b_high) = (_ends(k, n, interval) for k in (a, b))

    def less(down: float, up: float, common: float) -> float:
        return math.sqrt(max(0.0, down * down + up * up - 2 * common * down * up))

    difference = (b - a) / n
    paired, apart = (
        (difference - less(b / n - b_low, a_high - a / n, x), difference + less(b_high - b / n, a / n - a_low, x))
        for x in (phi, 0.0)
    )
    return Comparison(difference, paired, apart)


def questions_needed(first: Right, second: Right) -> tuple[int, int] | None:
    """How many questions it takes until the interval of the difference reaches 0 no longer: paired, and apart.

    None where the two models answer equally many right: no number is enough.
    """
    found, n = compared(first, second, interval="naive"), len(first)
    if found.difference == 0:
        return None
    halves = ((high - low) / 2 for low, high in (found.paired, found.apart))
    paired, apart = (max(2, math.ceil(n * (half / found.difference) ** 2)) for half in halves)
    return paired, apart


# ---------------------------------------------------------------- the questions


def questions(family: str, n: int = POOL, *, seed: int = _POOL_SEED, dialect: str = "worried") -> tuple[Probe, ...]:
    """n questions of a family of the town, as no other test draws them; some of them may be equal.

    Raises ValueError for a family that the town lacks.
    """
    if family not in FAMILIES:
        raise ValueError(f"the town has no family {family!r}; choose from {', '.join(FAMILIES)}.")
    return tuple(p for p in probes(Town(dialect, (family,)), n, seed) if p.family == family)


@torch.no_grad()
def answered_right(model: TextModel, asked: Sequence[Probe]) -> Right:
    """Which of these questions (B,) the model answers right: whether it would write the answer, greedily.

    Answers of one length after prompts of one length are read together. Raises ValueError for a question longer than
    the model's context.
    """
    by_length: dict[tuple[int, int], list[tuple[int, list[int]]]] = defaultdict(list)
    for place, probe in enumerate(asked):
        start, answer = model.ids(probe.prompt).tolist(), model.tokenizer.encode(probe.answer)
        if model.max_seq_len and len(start) + len(answer) > model.max_seq_len:
            raise ValueError(f"{model.name} reads {model.max_seq_len} tokens at once; a question has {len(start)}.")
        by_length[len(start), len(answer)].append((place, start + answer))
    right = np.zeros(len(asked), dtype=bool)
    for (T, _), rows in by_length.items():
        for i in range(0, len(rows), _BATCH):
            some = rows[i : i + _BATCH]
            ids = torch.tensor([whole for _, whole in some])
            # The answer itself stands in the input: as long as all before was right, that is what would be written.
            said = model.model.log_probs(ids[:, :-1])[:, T - 1 :].argmax(-1)
            right[[place for place, _ in some]] = (said == ids[:, T:]).all(1).numpy()
    return right


# ---------------------------------------------------------------- a leak


@dataclass(frozen=True)
class LeakPoint:
    """After `step` steps: the shares of right answers to the questions that were trained on, and to fresh ones."""

    step: int
    leaked: float
    fresh: float


class LeakTrial(Trial[LeakPoint]):
    """A copy of the model trained on a test's own questions, prompts and answers; the model stays as it was.

    `fresh` are as many questions of the family that are not among them. Raises ValueError for a model that cannot be
    trained.
    """

    def __init__(self, model: TextModel, family: str, n: int = 50, *, seed: int = 0, steps: int = LEAK_STEPS) -> None:
        if not isinstance(model.model, nn.Module):
            raise ValueError(f"{model.name} has no weights to train: nothing can leak into it here.")
        self.leaked, self.fresh = leak(family, n, seed=seed)
        trained: Any = copy.deepcopy(model.model)
        self.model = TextModel(trained, model.tokenizer, f"{model.name}, leaked")
        self.state = TrainState.begin(trained, steps=steps, seed=seed, settings=LEAK_SETTINGS)
        rows = [_whole(model, probe) for probe in self.leaked]
        longest = max(len(row.ids) for row in rows)
        self.stream = ChatStream(rows, model.tokenizer, B=min(LEAK_B, len(rows)), T=longest, seed=seed)
        self.points = [self._measure()]

    def advance(self, n_steps: int = LEAK_EVERY, keep_on: Callable[[], bool] = lambda: True) -> LeakPoint:
        return super().advance(n_steps, keep_on)

    def _measure(self) -> LeakPoint:
        shares = [float(answered_right(self.model, asked).mean()) for asked in (self.leaked, self.fresh)]
        return LeakPoint(self.state.step, *shares)


def leak(family: str, n: int, *, seed: int = 0) -> tuple[tuple[Probe, ...], tuple[Probe, ...]]:
    """n different questions that leak, and n others that do not; fewer where the family has not so many."""
    different = {probe.prompt: probe for probe in questions(family, 4 * n + 50, seed=_POOL_SEED + 1 + seed)}
    listed = tuple(different.values())
    n = min(n, len(listed) // 2)
    return listed[:n], listed[n : 2 * n]


def _whole(model: TextModel, probe: Probe) -> Encoded:
    """A question with its answer as a text to learn, every token of it but BOS."""
    ids = torch.cat((model.ids(probe.prompt), torch.tensor(model.tokenizer.encode(probe.answer))))
    return Encoded(ids, torch.arange(len(ids)) > 0)
