"""The experiment behind BestOfN: a small model learns sums of three hours, answering at once or after a scratch pad.

With the pad it is mostly right within 180 steps; at once it guesses, after ten times as many steps too. Dots in the
place of the pad give it as many tokens to compute with and nothing to read, and do not help: what helps is the number
written down. Sources: Nye et al. 2021 (arXiv 2112.00114, scratch pads); Pfau et al. 2024 (arXiv 2404.15758, dots).
`tools/clock_sums.py` writes the runs of several seeds to assets/beyond/scratch_pad.json.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from lmlab.assets import asset
from lmlab.data.clock_sums import (
    ASKED,
    EQUALS,
    HOURS,
    PLUS,
    ClockSums,
    V,
    check_way,
    clock_tokenizer,
    held_out_sums,
    written_sums,
)
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.sampling import Sampler
from lmlab.text_model import TextModel
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.training.trial import Trial

STEPS, EVERY = 180, 20
D, L, H = 64, 1, 4
N_MEASURED = 400  # of the held-out sums
SETTINGS = OptimizerSettings(optimizer="muon", lr=3e-2, warmup=10, schedule="constant")
NEGLIGIBLE = 1e-7  # the probability of a scratch pad that is not followed further


@dataclass(frozen=True, kw_only=True)
class ClockPoint:
    """After `step` steps: the share of held-out sums that are right, greedily, and the tokens read so far."""

    step: int
    accuracy: float
    n_tokens: int


class ClockTrial(Trial[ClockPoint]):
    """A transformer of one layer that learns clock sums in one of the WAYS; everything follows from `seed`.

    `way` is "at once", "dots" or "scratch pad". `advance` trains a few steps and measures; `points` are all
    measurements, the first before any training; `text_model()` is the model with its tokenizer.
    """

    def __init__(self, way: str = "scratch pad", *, steps: int = STEPS, seed: int = 0) -> None:
        check_way(way)
        self.way = way
        config = TransformerConfig(vocab_size=V, max_seq_len=16, d_model=D, n_layers=L, n_heads=H)
        self.model = Transformer(config, seed=seed)
        self.state = TrainState.begin(self.model, steps=steps, seed=seed, settings=SETTINGS)
        self.stream = ClockSums(way, seed=seed)
        self.points = [self._measure()]

    def advance(self, n_steps: int = EVERY, keep_on: Callable[[], bool] = lambda: True) -> ClockPoint:
        return super().advance(n_steps, keep_on)

    def finish(self) -> ClockTrial:
        """Train to the end, measuring every twenty steps."""
        while not self.is_over:
            self.advance()
        return self

    def text_model(self) -> TextModel:
        """The model as it is, to be asked in words: 17 + 9 + 20 =."""
        return TextModel(self.model, cast(Any, clock_tokenizer()), name=f"clock, {self.way}")

    def _measure(self) -> ClockPoint:
        asked = held_out_sums()[:N_MEASURED]
        written = sampled_rows(self.model, asked, self.way, n=1, temperature=0.0, seed=0)
        right = written.answers[:, 0] == asked.sum(1) % HOURS
        return ClockPoint(step=self.state.step, accuracy=float(right.float().mean()), n_tokens=self.state.tokens)


@dataclass(frozen=True)
class SampledRows:
    """n samples of each of B questions: their ids (B, n, T); `answers` (B, n), -1 where the form is not kept;
    `log_probs` (B, n), the model's own of the whole sample, in nats."""

    ids: Tensor
    answers: Tensor
    log_probs: Tensor


@torch.no_grad()
def sampled_rows(model: Transformer, sums: Tensor, way: str, *, n: int, temperature: float, seed: int) -> SampledRows:
    """Draw n answers to each of the sums (B, 3), all rows together; a token is never drawn twice from one number."""
    form = written_sums(sums, way).repeat_interleave(n, 0)
    ids, state, total = form[:, :ASKED], None, torch.zeros(len(form), dtype=torch.float64)
    new, sampler, generator = ids, Sampler(temperature=temperature), torch.Generator().manual_seed(seed)
    for _ in range(form.shape[1] - ASKED):
        log_probs, state = model.next_log_probs(new, state)
        below = sampler.probabilities(log_probs).cumsum(-1)
        at = torch.rand(len(form), 1, generator=generator, dtype=torch.float64) * below[:, -1:]
        new = torch.searchsorted(below, at, right=True).clamp(max=V - 1)
        total += log_probs.gather(1, new)[:, 0].double()
        ids = torch.cat((ids, new), 1)
    signs = (form >= HOURS) & (torch.arange(form.shape[1]) < form.shape[1] - 1)  # what ends the answer does not count
    kept = torch.where(signs, ids == form, ids < HOURS)[:, :-1].all(1)
    answers = torch.where(kept, ids[:, -2], -1)
    shape = (len(sums), n)
    return SampledRows(ids.view(*shape, -1), answers.view(shape), total.view(shape))


@torch.no_grad()
def answer_distribution(model: Transformer, sums: Tensor, way: str, *, temperature: float) -> Tensor:
    """The probability of each answer to the sums (B, 3): (B, V) with V = 24, float64; the rest is no answer.

    Computed, not counted: with a scratch pad a sum over all 24 first sums and 24 numbers after the plus that may be
    written on it, but those so unlikely that together they weigh less than 1e-4. Raises ValueError for a temperature
    of 0, at which there is one answer.
    """
    if temperature <= 0:
        raise ValueError("The distribution is computed at a temperature above 0; at 0 there is one answer.")
    rows, of, log_probs = _followed(model, sums, way, temperature)
    last = rows.shape[1] - 1
    step = _scaled(model, rows, temperature)
    written = (
        step[:, ASKED - 1 : last].gather(2, rows[:, ASKED:, None])[..., 0].sum(1) if log_probs is None else log_probs
    )
    if log_probs is not None:  # the equals sign that ends the pad
        written = written + step[:, last - 1, EQUALS]
    answers = (written[:, None] + step[:, last, :HOURS]).exp()
    return answers.new_zeros(len(sums), HOURS).index_add(0, of, answers)


def _followed(model: Transformer, sums: Tensor, way: str, temperature: float) -> tuple[Tensor, Tensor, Tensor | None]:
    """Texts (B, T) that end where an answer follows, the question (B,) of each, and the log-probability (B,) of its
    scratch pad up to the number after the plus; None where nothing is to be chosen before the answer."""
    if way != "scratch pad":
        return written_sums(sums, way)[:, :-2], torch.arange(len(sums)), None
    rows = written_sums(sums.repeat_interleave(HOURS, 0), way)[:, :-2]
    rows[:, ASKED] = torch.arange(HOURS).repeat(len(sums))
    step = _scaled(model, rows, temperature)
    first = step[:, ASKED - 1].gather(1, rows[:, ASKED, None]) + step[:, ASKED, PLUS, None]
    pads = first + step[:, ASKED + 1, :HOURS]  # (B, V): and the number after the plus
    at, number = (pads > math.log(NEGLIGIBLE)).nonzero(as_tuple=True)
    rows = rows[at]
    rows[:, ASKED + 2] = number
    return rows, at // HOURS, pads[at, number]


def _scaled(model: Transformer, rows: Tensor, temperature: float) -> Tensor:
    """Log-probabilities (B, T, V) at this temperature, float64."""
    return (model(rows).double() / temperature).log_softmax(-1)


@functools.cache
def trained_clock(way: str, steps: int, seed: int = 0) -> ClockTrial:
    """A finished trial; asked for again, the same one."""
    return ClockTrial(way, steps=steps, seed=seed).finish()


@dataclass(frozen=True)
class StoredClock:
    """A stored run: held-out accuracy after `steps` steps, and the tokens that it read."""

    way: str
    seed: int
    steps: int
    n_tokens: int
    accuracy: float


def stored_scratch_pad() -> tuple[StoredClock, ...]:
    """All runs as they ship: three ways, three seeds; at once also for ten times as many steps."""
    kept = json.loads(asset("beyond/scratch_pad.json").read_text(encoding="utf-8"))
    return tuple(StoredClock(**run) for run in kept["runs"])
