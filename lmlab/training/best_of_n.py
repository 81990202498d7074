"""The experiment behind BestOfN: a model is asked each sum many times, and one of its answers is chosen.

By vote (Wang et al. 2022), by the model's own confidence, or by a verifier that knows (Cobbe et al. 2021; the unbiased
share is that of Chen et al. 2021). Where the right answer is the likeliest one a vote makes it surer; where it is not,
a vote makes it worse.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmlab.data.clock_sums import HOURS, held_out_sums
from lmlab.training.clock_trial import SampledRows, answer_distribution, sampled_rows, trained_clock
from lmlab.training.votes import Numbers, best_by_score, pass_at_n, vote_of_draws, votes_of_samples

N_SUMS, N_SAMPLES = 32, 64
NS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Asked:
    """Sums (B, 3) that a model was asked, 64 samples of each, and the probability of each answer (B, V)."""

    sums: Tensor
    samples: SampledRows
    probabilities: Tensor

    @property
    def right(self) -> list[int]:
        """The right answers."""
        return [int(x) for x in self.sums.sum(1) % HOURS]

    @property
    def p_right(self) -> Numbers:
        """The probability that one sample is right, (B,)."""
        found: Numbers = self.probabilities[torch.arange(len(self.sums)), self.right].numpy()
        return found

    @property
    def likeliest(self) -> list[int]:
        """The answer that a vote of very many would choose."""
        return [int(x) for x in self.probabilities.argmax(1)]


@dataclass(frozen=True)
class Chosen:
    """Shares of right answers for each of NS, in the mean over all sums: by vote, by confidence and by a verifier, of
    the samples drawn; by vote and by a verifier as the exact distribution has it; and the exact vote by sum, a row for
    each of NS."""

    vote: tuple[float, ...]
    confident: tuple[float, ...]
    verifier: tuple[float, ...]
    exact_vote: tuple[float, ...]
    exact_verifier: tuple[float, ...]
    by_sum: Numbers


def ask(sums: Tensor, *, way: str, steps: int, temperature: float, seed: int) -> Asked:
    """Ask the model that was trained this way for so many steps, 64 times a sum."""
    model = trained_clock(way, steps, seed).model
    samples = sampled_rows(model, sums, way, n=N_SAMPLES, temperature=temperature, seed=seed)
    return Asked(sums, samples, answer_distribution(model, sums, way, temperature=temperature))


def choose(asked: Asked) -> Chosen:
    """What each way to choose makes of the samples. Pure."""
    answers, right = asked.samples.answers.tolist(), asked.right
    counts = [[row.count(hour) for hour in range(HOURS)] for row in answers]
    silent = [N_SAMPLES - sum(row) for row in counts]
    hits = [[one == r for one in row] for row, r in zip(answers, right, strict=True)]
    scores = asked.samples.log_probs.tolist()
    B, p = len(right), asked.p_right
    by_sum = np.array([vote_of_draws(asked.probabilities.numpy(), right, n) for n in NS])

    def mean(values: list[float]) -> float:
        return sum(values) / B

    return Chosen(
        vote=tuple(float(votes_of_samples(counts, right, n, silent).mean()) for n in NS),
        confident=tuple(mean([best_by_score(s, h, n) for s, h in zip(scores, hits, strict=True)]) for n in NS),
        verifier=tuple(mean([pass_at_n(N_SAMPLES, sum(h), n) for h in hits]) for n in NS),
        exact_vote=tuple(by_sum.mean(1).tolist()),
        exact_verifier=tuple(float((1 - (1 - p) ** n).mean()) for n in NS),
        by_sum=by_sum,
    )  # fmt: skip


@functools.lru_cache(maxsize=16)
def best_of_n_study(way: str, steps: int, temperature: float, seed: int) -> tuple[Asked, Chosen]:
    """32 held-out sums, asked and chosen from; asked for again, the same ones."""
    asked = ask(held_out_sums()[-N_SUMS:], way=way, steps=steps, temperature=temperature, seed=seed)
    return asked, choose(asked)
