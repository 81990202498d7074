"""Pearson's test, from torch's incomplete gamma function."""

from collections.abc import Sequence

import torch


def p_value(observed: Sequence[float], expected: Sequence[float]) -> float:
    """The chance of counts at least as far from the expected ones, if those are true."""
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))
    half = torch.tensor([(len(expected) - 1) / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))
