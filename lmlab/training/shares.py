"""Shares of right answers, and how far each may be from what the model can do.

Lecture: "evaluation", named there among what is not covered. Sources: Wilson 1927 (the interval); Brown, Cai and
DasGupta 2001 (why not the naive one).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95
Interval = tuple[float, float]


@dataclass(frozen=True)
class Share:
    """`hits` of `n`, a tie between m options counting 1/m, with the 95 % interval of Wilson (1927).

    >>> at_most = Share(20, 20)
    >>> at_most.share, round(at_most.low, 2), at_most.high
    (1.0, 0.84, 1.0)
    """

    hits: float
    n: int

    @property
    def share(self) -> float:
        return self.hits / self.n

    @property
    def low(self) -> float:
        return wilson_interval(self.hits, self.n)[0]

    @property
    def high(self) -> float:
        return wilson_interval(self.hits, self.n)[1]


def wilson_interval(n_right: float, n: int, *, level: float = LEVEL) -> Interval:
    """The shares that n_right of n does not speak against: where a score test at this level would not reject them.

    >>> low, high = wilson_interval(8, 10)
    >>> f"{low:.3f} {high:.3f}"
    '0.490 0.943'

    Raises ValueError for counts that cannot be, and for a level outside 0 to 1. Source: Wilson 1927.
    """
    z = _checked(n_right, n, level)
    share, rest = n_right / n, z * z / n
    middle = (share + rest / 2) / (1 + rest)
    half = z / (1 + rest) * math.sqrt(share * (1 - share) / n + rest / (4 * n))
    # Rounding would leave 1e-17 where the formula says 0.
    return (0.0 if n_right == 0 else middle - half), (1.0 if n_right == n else middle + half)


def naive_interval(n_right: float, n: int, *, level: float = LEVEL) -> Interval:
    """Share ± z standard errors, estimated from the same n answers: no width at all where all of them are right.

    Raises ValueError as `wilson_interval` does.
    """
    z = _checked(n_right, n, level)
    share = n_right / n
    half = z * math.sqrt(share * (1 - share) / n)
    return share - half, share + half


def _checked(n_right: float, n: int, level: float) -> float:
    if not (n >= 1 and 0 <= n_right <= n):
        raise ValueError(f"{n_right} right of {n} cannot be: give 0 to n right answers of at least one question.")
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}: give a share between 0 and 1, such as 0.95.")
    return NormalDist().inv_cdf((1 + level) / 2)
