"""How well two raters agree, beyond what two coins of the same bias would.

Lecture, part 5: what is a good page? Ask two people, and then ask how much of their agreement is luck.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def cohen_kappa(mine: Sequence[bool], other: Sequence[bool]) -> float:
    """Cohen's kappa: 1 where both always agree, 0 where they agree as often as chance has it; nan where chance alone
    would agree always (both raters give one and the same rating to everything).

    Raises ValueError where the two have rated different numbers of pages, or none. Source: Cohen 1960.

    >>> cohen_kappa([True, True, False, False], [True, False, False, False])
    0.5
    """
    if len(mine) != len(other) or not mine:
        raise ValueError(
            f"Both raters rate the same pages, at least one; got {len(mine):,} and {len(other):,} ratings."
        )
    n = len(mine)
    observed = sum(bool(a) == bool(b) for a, b in zip(mine, other, strict=True)) / n
    p, q = sum(map(bool, mine)) / n, sum(map(bool, other)) / n
    chance = p * q + (1 - p) * (1 - q)
    return (observed - chance) / (1 - chance) if chance < 1 else math.nan
