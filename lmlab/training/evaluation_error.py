"""How far a test's score can be from what the model can do: intervals, repeated tests, pairs, and leaked questions.

A score is a share of n questions, and other questions would have given another share. Everything here is measured on
a model of ours and a pool of questions so large that what it can do is known: so whether an interval holds what it
should is counted, not believed. Lecture: "evaluation", named there among what is not covered.

Source: Miller 2024, "Adding error bars to evals", arXiv 2411.00640 (the same questions for both models).
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
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
from lmlab.training.shares import LEVEL, Interval, naive_interval, wilson_interval
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
    if interval not in INTERVALS:
        raise ValueError(f"there is no interval {interval!r}: choose wilson or naive.")
    n_right = right[draws(len(right), n, repeats=repeats, seed=seed)].sum(1)
    ends = {int(k): INTERVALS[interval](int(k), n) for k in set(n_right.tolist())}
    return [Test(int(k), n, *ends[int(k)]) for k in n_right]


def draws(n_pool: int, n: int, *, repeats: int, seed: int) -> npt.NDArray[np.int64]:
    """Places in the pool of the questions of each test, (repeats, n)."""
    return np.random.default_rng(seed).integers(n_pool, size=(repeats, n))


def coverage(tests: Sequence[Test], share: float) -> float:
    """How often the intervals hold this share: 0.95 is what they promise."""
    return sum(test.holds(share) for test in tests) / len(tests)


@dataclass(frozen=True)
class Comparison:
    """Two models on the same questions: the second's share less the first's, and how sure that is.

    `paired` and `apart` are half the width of the 95 % interval of the difference: from the differences question by
    question, and as if each model had had questions of its own.
    """

    difference: float
    paired: float
    apart: float


def compared(first: Right, second: Right) -> Comparison:
    """Two models' answers to the same n questions, (n,) each. Raises ValueError for fewer than two questions."""
    n = len(first)
    if n < 2 or len(second) != n:
        raise ValueError(f"a comparison needs two or more questions, the same for both models; got {n}, {len(second)}.")
    each = second.astype(float) - first.astype(float)
    spread = [float(x.astype(float).var(ddof=1)) for x in (first, second)]
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    return Comparison(float(each.mean()), z * math.sqrt(float(each.var(ddof=1)) / n), z * math.sqrt(sum(spread) / n))


def questions_needed(first: Right, second: Right) -> tuple[int, int] | None:
    """How many questions it takes until the interval of the difference reaches 0 no longer: paired, and apart.

    None where the two models answer equally many right: no number is enough.
    """
    found, n = compared(first, second), len(first)
    if found.difference == 0:
        return None
    paired, apart = (max(2, math.ceil(n * (half / found.difference) ** 2)) for half in (found.paired, found.apart))
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
