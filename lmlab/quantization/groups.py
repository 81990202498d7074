"""A tensor of weights cut into groups: the whole, each row, or runs of a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lmlab.quantization import levels as lv

GroupSize = int | str | None


@dataclass(frozen=True)
class Cut:
    """Weights cut into groups (n_groups, size); the last group of each row is filled up with its last weight."""

    values: Tensor
    shape: tuple[int, ...]


def cut_into_groups(weights: Tensor, group_size: GroupSize) -> Cut:
    """Weights of any shape as float32 groups. Raises ValueError if there are none, or if one is not a finite number."""
    given = torch.as_tensor(weights).detach()
    if given.numel() == 0:
        raise ValueError(f"there are no weights to quantize: the tensor's shape is {tuple(given.shape)}.")
    if given.is_complex() or given.dtype == torch.bool:
        raise ValueError(f"weights must be real numbers, not {given.dtype}: quantize their parts one by one.")
    values = given.float().contiguous()
    # No NaN or infinity is lost in a sum: where that is finite, a tenth of the time has found them all to be so.
    bad = 0 if bool(values.sum().isfinite()) else values.numel() - int(values.isfinite().sum())
    if bad:
        raise ValueError(
            f"{bad:,} of {values.numel():,} weights are NaN or infinite and have no nearest level: "
            "look for the step or the file that broke them."
        )
    shape = tuple(given.shape) or (1,)
    size = columns_of_group(group_size, shape[-1])
    if size is None:
        return Cut(values.view(1, -1), shape)
    rows = values.view(-1, shape[-1])
    missing = -shape[-1] % size
    if missing:
        rows = torch.cat((rows, rows[:, -1:].expand(-1, missing)), 1)
    return Cut(rows.view(-1, size), shape)


def columns_of_group(group_size: GroupSize, cols: int) -> int | None:
    """Weights in a group of a matrix with `cols` columns; None where the whole tensor is one group."""
    if group_size is None:
        return None
    return cols if isinstance(group_size, str) else min(group_size, cols)


def spread(groups: Tensor) -> Tensor:
    """Root of the mean square of each row of (n, size), as (n, 1): the unit in which levels are set by hand."""
    largest = groups.abs().amax(1, keepdim=True)  # taken out first: squares of 1e30 are more than float32 holds
    return largest * (groups * lv.safe_reciprocal(largest)).square().mean(1, keepdim=True).sqrt()


def by_chunk(scales_of: Callable[[Tensor, Tensor], Tensor], groups: Tensor, scales: Tensor) -> Tensor:
    """Scales (n, 1) of groups (n, size), worked out on as many groups at a time as a core's cache holds."""
    n = max(1, lv.CHUNK // groups.shape[1])
    return torch.cat([scales_of(groups[i : i + n], scales[i : i + n]) for i in range(0, len(groups), n)])


def one_per_weight(per_group: Tensor, per_row: int, size: int, cols: int) -> Tensor:
    """One number a group to one a weight: (rows * per_row,) to (rows, cols), float32."""
    return per_group.float().view(-1, per_row).repeat_interleave(size, 1)[:, :cols]
