"""How good an answer gets that is chosen among several: by vote, by the writer's own confidence, by a verifier.

Every share here is an exact expectation, not a simulation: over all ways to pick n of the samples that were drawn, or
over n independent draws from a distribution that is known. Sources: Chen et al. 2021 (arXiv 2107.03374, the unbiased
pass@k); Wang et al. 2022 (arXiv 2203.11171, the vote, there called self-consistency).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
NEGLIGIBLE = 1e-20  # the probability of a number of votes that is left out


def pass_at_n(n_samples: int, n_right: int, n: int) -> float:
    """The probability that at least one of n is right, picked at random among n_samples, of which n_right are.

    >>> round(pass_at_n(4, 1, 2), 3)
    0.5
    """
    _check_counts(n_samples, n)
    if not 0 <= n_right <= n_samples:
        raise ValueError(f"{n_right} of {n_samples} samples cannot be right; give 0 to {n_samples}.")
    return 1.0 - math.comb(n_samples - n_right, n) / math.comb(n_samples, n)


def best_by_score(scores: Sequence[float], right: Sequence[bool], n: int) -> float:
    """The probability that the best-scored of n samples, picked at random among all, is right; ties fall to the first.

    The sample with k better ones is the best of n where the other n - 1 come from those behind it.
    """
    m = len(scores)
    _check_counts(m, n)
    order = sorted(range(m), key=lambda i: -scores[i])
    behind = [math.comb(m - 1 - place, n - 1) for place in range(m)]
    return sum(ways for ways, i in zip(behind, order, strict=True) if right[i]) / math.comb(m, n)


def vote_of_samples(counts: Sequence[int], right: int, n: int, n_silent: int = 0) -> float:
    """The probability that the answer `right` wins a vote of n samples, picked at random among all that were drawn.

    counts: how many samples gave each answer. n_silent: those that gave none, and do not vote. Ties are broken at
    random.
    """
    return float(votes_of_samples([counts], [right], n, [n_silent])[0])


def votes_of_samples(counts: Sequence[Sequence[int]], right: Sequence[int], n: int, n_silent: Sequence[int]) -> Numbers:
    """The same for several questions, sampled equally often: counts (B, V), right and n_silent (B,), to (B,)."""
    table = np.concatenate((np.asarray(counts, dtype=int), np.asarray(n_silent, dtype=int)[:, None]), 1)
    total = int(table[0].sum())
    _check_counts(total, n)
    ways = np.array([[float(math.comb(c, k)) for k in range(n + 1)] for c in range(total + 1)])
    return _wins(ways[table], right) / float(math.comb(total, n))


def vote_of_draws(probabilities: Numbers, right: Sequence[int], n: int) -> Numbers:
    """The probability that the right answer wins a vote of n independent draws, for each question: (B,).

    probabilities: of the answers to each question, (B, V); what a row lacks to 1 is the probability of no answer,
    which does not vote. right: the index of each question's answer. Ties are broken at random.
    """
    if n < 1:
        raise ValueError(f"A vote needs one sample at least, not {n}.")
    p = np.asarray(probabilities, dtype=float)
    p = np.concatenate((p, np.clip(1 - p.sum(1, keepdims=True), 0, None)), 1)
    # Weights of Poisson counts: of n in all they are those of n draws, and what is negligible is seen to be.
    k = np.arange(n + 1)
    factorial = np.array([float(math.factorial(i)) for i in k])
    series = np.exp(-n * p)[:, :, None] * np.power(n * p[:, :, None], k) / factorial
    together = math.exp(n * math.log(n) - n) / factorial[n]
    return _wins(np.where(series < NEGLIGIBLE, 0.0, series), right) / together


def _wins(series: Numbers, answers: Sequence[int]) -> Numbers:
    """The weight of all votes of n that the answer of each question wins: series (B, V, n + 1), the last of V being
    silent, to (B,).

    series[b, v, k] is the weight of k votes for v. With k votes for the right answer every other has fewer, or as
    many: t others that tie leave it a share of 1/(t + 1), which is the integral of z**t from 0 to 1, and is taken
    exactly by Gauss-Legendre nodes: few, since n // k - 1 others can tie at most.
    """
    B, V, size = series.shape
    n, rows, right = size - 1, np.arange(B), np.asarray(answers)
    own, others = series[rows, right], series[:, : V - 1].copy()
    others[rows, right] = np.eye(1, size)
    # The likeliest of each question side by side: the product ends where the last question's votes do.
    order = (others > 0).sum(2).argsort(1)[:, ::-1]
    total = np.zeros(B)
    for k in range(1, n + 1):
        if not own[:, k].any():
            continue
        ties = min(V - 2, n // k - 1)
        nodes, weights = np.polynomial.legendre.leggauss(ties // 2 + 1)
        z = (nodes + 1) / 2
        rest = np.repeat(series[:, V - 1, None, : n - k + 1], len(z), 1)
        for at in order.T:
            rest = _product(rest, others[rows, at], min(k, n - k), z, tied=k)
        total += own[:, k] * (rest[:, :, n - k] @ (weights / 2))
    return total


def _product(rest: Numbers, other: Numbers, top: int, z: Numbers, *, tied: int) -> Numbers:
    """Two series multiplied up to the length of the first, (B, V, T) by (B, T): at most `tied` votes, those by z."""
    out = rest * other[:, None, :1]
    for j in range(1, top + 1):
        if not other[:, j].any():
            continue
        factor = other[:, None, j : j + 1] * (z[None, :, None] if j == tied else 1.0)
        out[:, :, j:] += factor * rest[:, :, : rest.shape[2] - j]
    return out


def _check_counts(n_samples: int, n: int) -> None:
    if not 1 <= n <= n_samples:
        raise ValueError(f"{n} of {n_samples} samples cannot be picked; give n from 1 to {n_samples}.")
