"""Weights in few bits: put each in the nearest bin, keep the bin's number.

Lecture: "quantization". A tensor of weights is cut into groups (the whole, each row, or runs of a row); each group
has its scale, each weight a code of b bits, and what is stored is exactly that: packed codes, scales and, where the
levels were learned or set by hand, one table of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmlab.quantization import levels as lv
from lmlab.quantization.groups import (
    Cut,
    GroupSize,
    by_chunk,
    columns_of_group,
    cut_into_groups,
    one_per_weight,
    spread,
)
from lmlab.quantization.packing import pack, unpack

METHODS = ("absmax", "integer", "minmax", "mse", "kmeans", "nf4")
_LEARN_FROM = 1 << 22  # weights that k-means reads; more change its levels in the sixth digit
_TABLE_FROM = 1 << 16  # the same where many groups share one table: 0.02 % more error, in half the time
_CLIP_FROM = 1 << 17  # weights of one group that "mse" tries its ranges on


@dataclass(frozen=True, eq=False)
class Quantized:
    """A tensor of weights as b-bit codes; code c of group g stands for offsets[g] + scales[g] * table[c].

    `packed` uint8, the codes as one stream of bits in the order of the weights; `scales` and, for "minmax",
    `offsets` (n_groups,) float16 (float32 for a whole tensor, or where float16 would not hold them); `table`
    (2^bits,) float32 where levels are learned or set by hand, None where the method's name says them.
    """

    packed: Tensor
    scales: Tensor
    offsets: Tensor | None
    table: Tensor | None
    shape: tuple[int, ...]
    bits: int
    method: str
    group_size: GroupSize

    @property
    def n_weights(self) -> int:
        """How many weights there are."""
        return math.prod(self.shape)

    @property
    def codes(self) -> Tensor:
        """The code of every weight, uint8, in the weights' shape."""
        return unpack(self.packed, self.bits, self.n_weights).view(self.shape)

    @property
    def levels(self) -> Tensor:
        """The values that weights can take, ascending: (2^bits,) for a whole tensor, else (n_groups, 2^bits)."""
        table = self._full_table()
        values = table * self.scales.float()[:, None]
        if self.offsets is not None:
            values = values + self.offsets.float()[:, None]
        return values[0] if self.group_size is None else values

    @property
    def n_bytes(self) -> int:
        """Bytes of everything that is stored: codes, scales, offsets, table."""
        return sum(t.numel() * t.element_size() for t in self.tensors().values())

    @property
    def bits_per_weight(self) -> float:
        """Bits stored for each weight, scales and tables counted."""
        return 8 * self.n_bytes / self.n_weights

    def tensors(self) -> dict[str, Tensor]:
        """What is stored, by name."""
        named = {"packed": self.packed, "scales": self.scales, "offsets": self.offsets, "table": self.table}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def dequantize(self) -> Tensor:
        """The weights as their levels, float32, in their shape."""
        return self.rows(0, self._n_rows()).view(self.shape)

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows start to stop of the weights as a matrix (all leading dimensions flattened), float32.

        `start` is a multiple of 8, where a code begins with a byte.
        """
        if start % 8:
            raise ValueError(f"rows must start at a multiple of 8, where a code begins with a byte, not at {start}.")
        cols = self.shape[-1]
        n_codes = (stop - start) * cols
        first = start * cols * self.bits // 8
        codes = unpack(self.packed[first : first + -(-n_codes * self.bits // 8)], self.bits, n_codes)
        table = self._full_table()
        is_even = self.table is None and self.method != "nf4"
        values = codes.float().add_(table[0]) if is_even else table.index_select(0, codes.int())
        size = columns_of_group(self.group_size, cols)
        if size is None:
            values = values.mul_(self.scales.float())
            return (values if self.offsets is None else values.add_(self.offsets.float())).view(-1, cols)
        values = values.view(-1, cols)
        per_row = -(-cols // size)
        ends = slice(start * per_row, stop * per_row)
        values = values.mul_(one_per_weight(self.scales[ends], per_row, size, cols))
        return values if self.offsets is None else values.add_(one_per_weight(self.offsets[ends], per_row, size, cols))

    def _n_rows(self) -> int:
        return self.n_weights // self.shape[-1]

    def _full_table(self) -> Tensor:
        table = self.table if self.table is not None else _named_table(self.method, self.bits)
        return table.to(self.packed.device)


def quantize(weights: Tensor, bits: int, method: str = "absmax", group_size: GroupSize = None) -> Quantized:
    """Choose levels by `method` and put each weight in its nearest: weights of any shape to codes of `bits` bits.

    absmax: evenly spaced from -a to a, a the largest magnitude. integer: the same step, half of it lower, so that
    one level is zero and all are whole multiples (from 2 bits on). minmax: from the least to the greatest weight.
    mse: from -c to c, c where the squared error is least. kmeans: free levels of least squared error (Lloyd–Max).
    nf4: the 16 levels that suit a normal distribution, times a. Each group has its own scale: the whole tensor
    (`group_size` None), each "row" (all of the last dimension) or runs of `group_size` weights in a row; the last
    run of a row may be shorter. With groups, kmeans learns one table in units of the group's spread.

    Raises ValueError for weights that are empty or not finite, and for bits, method or group that do not exist.
    """
    _check_choice(bits, method, group_size)
    cut = cut_into_groups(weights, group_size)
    groups, half = cut.values, (2**bits - 1) / 2
    offsets: Tensor | None = None
    table: Tensor | None = None
    if method == "minmax":
        offsets = groups.amin(1, keepdim=True)
        scales = (groups.amax(1, keepdim=True) - offsets) / (2 * half)
    elif method == "mse":
        scales = _clipped(groups, bits)
    elif method == "kmeans":
        table, scales = _learned(groups, bits)
    else:
        scales = groups.abs().amax(1, keepdim=True) / (1 if method == "nf4" else half)
    return _encode(cut, bits, method, group_size, scales=scales, offsets=offsets, table=table)


def has_bits(method: str, bits: int) -> bool:
    """Whether a method has levels for so many bits: nf4 for four alone, integer from two on, the others for all."""
    return {"nf4": bits == 4, "integer": bits >= 2}.get(method, True)


def quantize_with_levels(
    weights: Tensor, levels: Sequence[float] | Tensor, *, group_size: GroupSize = None
) -> Quantized:
    """Levels set by hand, 2 to 256 of them, in units of each group's spread (the root of its mean square).

    Bits follow from the number of levels. Raises ValueError as `quantize` does, and for levels that are not finite.
    """
    table = torch.as_tensor(levels, dtype=torch.float32, device="cpu").reshape(-1).sort().values
    if not 2 <= len(table) <= 256 or not bool(table.isfinite().all()):
        raise ValueError(f"levels must be 2 to 256 finite numbers: leave out NaN and infinity ({len(table)} given).")
    bits = math.ceil(math.log2(len(table)))
    _check_choice(bits, "absmax", group_size)
    cut = cut_into_groups(weights, group_size)
    table = torch.cat((table, table[-1:].expand(2**bits - len(table)))).to(cut.values.device)
    return _encode(cut, bits, "by hand", group_size, scales=spread(cut.values), offsets=None, table=table)


def _check_choice(bits: int, method: str, group_size: GroupSize) -> None:
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 8:
        raise ValueError(f"bits must be a whole number from 1 to 8, not {bits!r}.")
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}: choose {', '.join(METHODS[:-1])} or {METHODS[-1]}.")
    if not has_bits(method, bits):
        needs = "16 levels, so it takes 4 bits" if method == "nf4" else "a level at zero, so it takes 2 bits or more"
        raise ValueError(f"{method} has {needs}, not {bits}: with other bits choose kmeans.")
    is_size = isinstance(group_size, int) and not isinstance(group_size, bool) and group_size >= 1
    if not (group_size is None or group_size == "row" or is_size):
        raise ValueError(
            f'group_size must be None (the whole tensor), "row" or a whole number from 1, not {group_size!r}.'
        )


def _encode(
    cut: Cut,
    bits: int,
    method: str,
    group_size: GroupSize,
    *,
    scales: Tensor,
    offsets: Tensor | None,
    table: Tensor | None,
) -> Quantized:
    """Round scales to what is stored, then choose every code against the stored ones."""
    scales, offsets = _stored(scales, offsets, whole=group_size is None)
    full = (table if table is not None else _named_table(method, bits)).to(scales.device)
    even = table is None and method != "nf4"
    inverse = lv.safe_reciprocal(scales.float())
    pieces = cut.values if group_size is not None else cut.values.view(-1, 1)  # one long group is cut all the same
    n = max(1, lv.CHUNK // pieces.shape[1])
    codes = []
    for i in range(0, len(pieces), n):
        which = slice(i, i + n) if group_size is not None else slice(0, 1)
        x = pieces[i : i + n] if offsets is None else pieces[i : i + n] - offsets[which].float()
        codes.append(lv.nearest_codes(x * inverse[which], full, even=even))
    cols = cut.shape[-1]
    # Each row's codes without those of the weights that filled up its last group.
    real = torch.cat(codes).view(math.prod(cut.shape[:-1]), -1)[:, :cols]
    return Quantized(
        packed=pack(real, bits),
        scales=scales.view(-1),
        offsets=None if offsets is None else offsets.view(-1),
        table=table,
        shape=cut.shape,
        bits=bits,
        method=method,
        group_size=group_size,
    )


def _stored(scales: Tensor, offsets: Tensor | None, *, whole: bool) -> tuple[Tensor, Tensor | None]:
    """Scales and offsets as float16 where its range and fineness do, else as they are."""
    largest = max(float(t.abs().max()) for t in (scales, offsets) if t is not None)
    smallest = float(torch.where(scales == 0, 1.0, scales).min())
    if whole or largest > 65504 or smallest < 2**-17:
        return scales, offsets
    return scales.half(), None if offsets is None else offsets.half()


def _learned(groups: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """k-means' table (2^bits,) and the scale of each group (n, 1)."""
    if len(groups) == 1:
        scale = spread(groups)
        some = lv.sample(groups, _LEARN_FROM) * lv.safe_reciprocal(scale)[0]
        return lv.lloyd_max(some, 2**bits).float().to(groups.device), scale
    some = groups[:: max(1, groups.numel() // _TABLE_FROM)]
    # Table and scales take turns: each is the best for the other.
    scales, table = _start(some, bits), groups
    for _ in range(2):
        # An error in a group of large weights counts more: by the square of its scale.
        counts = (scales / scales.max().clamp_min(torch.finfo(torch.float32).tiny)).square().expand_as(some)
        table = lv.lloyd_max(some * lv.safe_reciprocal(scales), 2**bits, counts).float().to(groups.device)
        scales = _refit(some, scales, table)
    return table, _refit(groups, _start(groups, bits), table)


def _start(groups: Tensor, bits: int) -> Tensor:
    """Scales (n, 1) that learning starts from, each of which it can only improve on.

    The largest weight is nearer than the spread: a fifth less error in groups of 32 at 4 bits. Two levels start from
    the best symmetric ones, since from the largest weight they may end worse than these (5 % at heavy tails).
    """
    return _clipped(groups, bits) / 2 if bits == 1 else groups.abs().amax(1, keepdim=True)


def _clipped(groups: Tensor, bits: int) -> Tensor:
    """Step between even levels that gives each group its least squared error, (n, 1)."""
    few = groups[:, :: max(1, groups.shape[1] // _CLIP_FROM)]
    largest = groups.abs().amax(1, keepdim=True)
    unit = by_chunk(lambda part, peak: lv.best_clip_scales(part * lv.safe_reciprocal(peak), bits), few, largest)
    return largest * unit


def _refit(groups: Tensor, scales: Tensor, table: Tensor) -> Tensor:
    def twice(some: Tensor, unit: Tensor) -> Tensor:
        unit = lv.least_squares_scales(some, unit, table, even=False)
        return lv.least_squares_scales(some, unit, table, even=False)

    return by_chunk(twice, groups, scales)


def _named_table(method: str, bits: int) -> Tensor:
    if method == "nf4":
        return lv.nf4_table()
    table = lv.even_table(2**bits, centered=method != "minmax")
    return table - 0.5 if method == "integer" else table
