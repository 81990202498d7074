"""The tensors of a checkpoint for WeightFile: their places in a treemap, their numbers as shades, rows set to zero."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lmlab.formats.safetensors_file import read_header
from lmlab.widgets._treemap import Box, grouped

ASPECT = 1.7  # of the treemap
DOTS = 165  # of numbers that the treemap is wide
WINDOW = 128  # rows and columns of a tensor that the page is sent
ALL = -1  # as a row: the whole tensor

Edit = tuple[str, int]


@dataclass(frozen=True)
class FileSize:
    """A checkpoint on disk: all bytes, those of its header (the eight of its length among them), those of numbers."""

    n_bytes: int
    header: int
    numbers: int


@dataclass(frozen=True)
class Part:
    """One tensor: its name, shape and count, the root of its mean square, and its rectangle, of a width of 1."""

    name: str
    shape: tuple[int, ...]
    numel: int
    spread: float
    box: Box


def file_size(path: Path) -> FileSize:
    """What the bytes of a safetensors file are spent on."""
    header = read_header(path)
    numbers = max((info.stop for info in header.values()), default=0)
    size = path.stat().st_size
    return FileSize(size, size - numbers, numbers)


def parts_of(model: nn.Module) -> tuple[Part, ...]:
    """The tensors of a model with their places in a treemap, a block's tensors together."""
    tensors = dict(model.named_parameters())  # tied ones once
    groups: dict[str, list[str]] = {}
    for name in tensors:
        groups.setdefault(".".join(name.split(".")[: 2 if name.startswith("blocks.") else 1]), []).append(name)
    sizes = [[float(tensors[name].numel()) for name in names] for names in groups.values()]
    boxes = grouped(sizes, (0.0, 0.0, 1.0, 1 / ASPECT))
    return tuple(
        Part(name, tuple(tensors[name].shape), tensors[name].numel(), spread_of(tensors[name]), box)
        for names, places in zip(groups.values(), boxes, strict=True)
        for name, box in zip(names, places, strict=True)
    )


def spread_of(tensor: Tensor) -> float:
    """The root of the mean square of its numbers."""
    return float(tensor.detach().float().square().mean().sqrt())


def with_zeros(model: nn.Module, edits: Sequence[Edit]) -> nn.Module:
    """A copy of the model in which these rows are zero; it shares every other tensor with the model."""
    memo: dict[int, object] = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    for name in dict.fromkeys(name for name, _ in edits):
        tensor = model.get_parameter(name)
        memo[id(tensor)] = nn.Parameter(zeroed(tensor, name, edits), requires_grad=False)
    return copy.deepcopy(model, memo)


def zeroed(tensor: Tensor, name: str, edits: Sequence[Edit]) -> Tensor:
    """The tensor with its own edits done."""
    changed = tensor.detach().clone()
    for other, row in edits:
        if other == name:
            changed[... if row == ALL else row] = 0
    return changed


def n_zeroed(parts: Sequence[Part], edits: Sequence[Edit]) -> int:
    """How many numbers the edits set to zero, each counted once."""
    total = 0
    for part in parts:
        rows = {row for name, row in edits if name == part.name}
        total += part.numel if ALL in rows else len(rows) * (part.numel // part.shape[0])
    return total


def sampled(tensor: Tensor, part: Part) -> Tensor:
    """A few of a tensor's numbers, evenly spread, as many as its rectangle has room for: uint8 (rows, columns)."""
    matrix = tensor.detach().float().reshape(part.shape[0], -1)
    across, down = (max(1, round(DOTS * side)) for side in part.box[2:])
    rows, columns = (torch.arange(n) * size // n for n, size in zip((down, across), matrix.shape, strict=True))
    return _shades(matrix[rows][:, columns], part.spread)


def window(tensor: Tensor, first_row: int, spread: float) -> bytes:
    """Rows of a tensor as bytes: four of their number and four of their length, then their shades.

    At most 128 rows from `first_row`; of more than 128 columns every n-th.
    """
    rows = tensor.detach().float()[first_row : first_row + WINDOW]
    rows = rows.reshape(rows.shape[0], -1)
    rows = rows[:, :: math.ceil(rows.shape[1] / WINDOW)]
    head = torch.tensor(rows.shape, dtype=torch.int32).numpy().astype("<i4").tobytes()
    return head + _shades(rows, spread).numpy().tobytes()


def _shades(values: Tensor, spread: float) -> Tensor:
    """0 to 255 from -3 to 3 spreads, uint8, contiguous."""
    return ((values / (spread or 1.0) + 3) / 6 * 255).round().clamp(0, 255).to(torch.uint8).contiguous()
