"""Where the levels stand: evenly spaced, at the quantiles of a normal distribution, or where the error is least.

A group of weights w is stored as codes, and a code c stands for `offset + scale * table[c]`. A method is a way to
choose the table (one for the whole tensor) and scale and offset (one each for a group).
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

CHUNK = 1 << 16  # weights worked on at a time: what fits in a core's cache

# Half the width of the best evenly spaced levels for a normal distribution of spread 1, by bits
# (1 to 4 bits: Max 1960, table 2; found again by minimizing the integral numerically).
_NORMAL_CLIP = (0.7979, 1.4935, 2.0510, 2.5139, 2.9162, 3.2791, 3.6145, 3.9279)
_CLIP_FACTORS = (0.6, 0.75, 0.875, 1.0, 1.125, 1.25, 1.5, 2.0, 3.0)


def even_table(n_levels: int, *, centered: bool) -> Tensor:
    """Evenly spaced levels one apart, (n_levels,): from 0 upward, or symmetric about zero."""
    steps = torch.arange(n_levels, dtype=torch.float32, device="cpu")
    return steps - (n_levels - 1) / 2 if centered else steps


def nf4_table() -> Tensor:
    """The 16 levels of NF4, "normal float": each holds about an equal share of normally distributed weights.

    Quantiles of the normal distribution, 8 on the positive side, 7 on the negative and zero itself, scaled to
    [-1, 1]. Source: Dettmers et al. 2023, "QLoRA", arXiv 2305.14314, and its published constants.
    """
    return torch.tensor(_nf4_values(), dtype=torch.float32, device="cpu")


@cache
def _nf4_values() -> list[float]:
    end = (1 - 1 / 30 + 1 - 1 / 32) / 2
    quantile = NormalDist().inv_cdf
    above = [quantile(end + (0.5 - end) * i / 8) for i in range(8)]
    below = [-quantile(end + (0.5 - end) * i / 7) for i in range(7)]
    return [value / max(above) for value in sorted([*below, 0.0, *above])]


def nearest_codes(x: Tensor, table: Tensor, *, even: bool) -> Tensor:
    """Index, uint8, of the level nearest to each x; `table` ascends. Evenly spaced levels need no search."""
    n = len(table)
    if even:
        return (x - table[0]).round_().clamp_(0, n - 1).to(torch.uint8)
    edges = (table[1:] + table[:-1]) / 2
    lookup = _edge_lookup(edges)
    if lookup is None:
        return torch.bucketize(x, edges).to(torch.uint8)
    low, per_unit, base, edge = lookup
    # A cell holds at most one edge, so its first code and one comparison say it: four times faster than a search.
    cell = x.sub(low).mul_(per_unit).clamp_(0, len(base) - 1).to(torch.int32).reshape(-1)
    codes = base.index_select(0, cell)
    return codes.add_(x.reshape(-1) > edge.index_select(0, cell)).view(x.shape)


def _edge_lookup(edges: Tensor, n_cells: int = 4096) -> tuple[float, float, Tensor, Tensor] | None:
    """Cells over the range of the edges: first code and next edge of each; None if some cell holds two edges."""
    low, high = float(edges[0]), float(edges[-1])
    if not high > low:
        return None
    per_unit = (n_cells - 2) / (high - low)
    low -= 1 / per_unit  # the first edge stands inside the second cell
    # Computed as `nearest_codes` computes a weight's cell, so that rounding puts both in the same one.
    cell_of_edge = edges.sub(low).mul_(per_unit).clamp_(0, n_cells - 1).to(torch.int32)
    if len(cell_of_edge.unique()) < len(edges):
        return None
    first = torch.bucketize(torch.arange(n_cells, dtype=torch.int32, device=edges.device), cell_of_edge)
    padded = torch.cat((edges, edges.new_tensor([float("inf")])))
    return low, per_unit, first.to(torch.uint8), padded[first]


def sample(values: Tensor, limit: int) -> Tensor:
    """At most about `limit` of the values (n,), evenly strided: what large tensors choose their levels from."""
    flat = values.reshape(-1)
    return flat[:: max(1, len(flat) // limit)]


def lloyd_max(values: Tensor, n_levels: int, weights: Tensor | None = None) -> Tensor:
    """The levels of least squared error for these values (n,): k-means in one dimension, ascending float64.

    Lecture: "the lowest loss that b bits can have". Lloyd's iteration on sorted values, where running sums turn
    each round into a few lookups; it starts from two guesses and keeps the better end. `weights` counts some values
    more than others. Sources: Lloyd 1957 (printed 1982); Max 1960; the start, Panter and Dite 1951.
    """
    given = values.reshape(-1).cpu().numpy()
    order = np.argsort(given) if weights is not None else None
    x = (np.sort(given) if order is None else given[order]).astype(np.float64)
    distinct = x[np.concatenate(([True], np.diff(x) > 0))]
    if len(distinct) <= n_levels:
        return torch.from_numpy(np.pad(distinct, (0, n_levels - len(distinct)), mode="edge"))
    w = np.ones(len(x)) if order is None or weights is None else weights.reshape(-1).cpu().double().numpy()[order]
    mass, moment = (np.concatenate(([0.0], np.cumsum(a))) for a in (w, w * x))
    ends = [_lloyd(x, mass, moment, start) for start in _starts(x, n_levels)]
    return torch.from_numpy(max(ends, key=lambda end: end[1])[0])


def _starts(x: np.ndarray, n_levels: int) -> list[np.ndarray]:
    """Two first guesses: as dense as the cube root of the values' own density, and one level to an equal share."""
    share = (np.arange(n_levels) + 0.5) / n_levels
    quantiles = np.quantile(x, np.linspace(0, 1, 513))
    width = np.maximum(np.diff(quantiles), 1e-300)
    mass = width ** (2 / 3)  # density is 1 / width, so its cube root integrates to width^(2/3) a cell
    grown = np.concatenate(([0.0], np.cumsum(mass)))
    return [np.interp(share * grown[-1], grown, quantiles), np.quantile(x, share)]


def _lloyd(
    x: np.ndarray, mass: np.ndarray, moment: np.ndarray, levels: np.ndarray, rounds: int = 500
) -> tuple[np.ndarray, float]:
    """Iterate from `levels`; returns them and the energy they keep (total energy minus squared error)."""
    kept = -np.inf
    for _ in range(rounds):
        cuts = np.concatenate(([0], np.searchsorted(x, (levels[1:] + levels[:-1]) / 2), [len(x)]))
        cell_mass, cell_moment = np.diff(mass[cuts]), np.diff(moment[cuts])
        full = cell_mass > 0  # a level that nobody chose stays where it is
        means = cell_moment / np.where(full, cell_mass, 1)
        # Between a cell's ends, whatever is left of a small difference between large sums.
        means = np.clip(means, x[np.minimum(cuts[:-1], len(x) - 1)], x[np.maximum(cuts[1:] - 1, 0)])
        levels = np.where(full, means, levels)
        now = float(np.sum(cell_moment[full] ** 2 / cell_mass[full]))
        if now - kept <= 1e-10 * abs(now):
            break
        kept = now
    return levels, kept


def best_clip_scales(groups: Tensor, bits: int) -> Tensor:
    """Step between evenly spaced symmetric levels that gives each group (n, size) its least squared error, (n, 1).

    Tries the range that suits a normal distribution, narrower and wider ones and the whole range; then improves the
    best by least squares. The largest weights are clipped where that serves the many.
    """
    table = even_table(2**bits, centered=True).to(groups.device)
    half = float(table[-1])
    largest = groups.abs().amax(1, keepdim=True)
    normal = groups.square().mean(1, keepdim=True).sqrt() * _NORMAL_CLIP[bits - 1]
    best, least = largest / half, torch.full_like(largest, float("inf"))
    for clip in (*(torch.minimum(normal * f, largest) for f in _CLIP_FACTORS), largest):
        scale = clip / half
        error = _even_error(groups, scale, half)
        better = error < least
        best, least = torch.where(better, scale, best), torch.where(better, error, least)
    for _ in range(2):
        best = least_squares_scales(groups, best, table, even=True)
    return best


def _even_error(groups: Tensor, scale: Tensor, half: float) -> Tensor:
    """Squared error in units of the step, times the step: of levels (k - half) * scale, summed by group (n, 1)."""
    x = groups * safe_reciprocal(scale)
    nearest = (x + half).round_().clamp_(0, 2 * half).sub_(half)
    return x.sub_(nearest).square_().sum(1, keepdim=True).mul_(scale.square())


def least_squares_scales(groups: Tensor, scales: Tensor, table: Tensor, *, even: bool) -> Tensor:
    """With every weight's code held, the scale of each group that fits best: <w, t> / <t, t>, (n, 1)."""
    levels = table[nearest_codes(groups * safe_reciprocal(scales), table, even=even).int()]
    energy = levels.square().sum(1, keepdim=True)
    fitted = (groups * levels).sum(1, keepdim=True) / energy.clamp_min(torch.finfo(torch.float32).tiny)
    return torch.where((energy > 0) & (fitted > 0), fitted, scales)


def safe_reciprocal(scales: Tensor) -> Tensor:
    """1 / scale, and 0 for a group of zeros, whose scale is 0 (or so small that its reciprocal is no number)."""
    return torch.where(scales < 1e-37, 0.0, 1.0 / scales)
