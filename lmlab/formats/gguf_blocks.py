"""GGUF's number formats: blocks of a few dozen small whole numbers that share a scale.

Lecture: "fewer bits a weight". The kinds that small models use are written out here, in torch and in place, which is
several times faster than the gguf library's own and equal to it bit for bit; the others are the library's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Number in the file: name, numbers a block, bytes a block.
BLOCKS = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    30: ("BF16", 1, 2),
}
_CHUNK_BLOCKS = 1 << 14  # half a million numbers: temporary tensors stay in the processor's cache


def dequantize(raw: Tensor, kind: str) -> Tensor:
    """The numbers (n,) as float32 of the bytes (uint8) of whole blocks."""
    if kind == "F32":
        return raw.view(torch.float32)
    if kind == "F16":
        return raw.view(torch.float16).float()
    if kind == "BF16":
        return raw.view(torch.bfloat16).float()
    if kind not in _WRITTEN_OUT:
        return _by_the_library(raw, kind)
    n_items, n_bytes = next((n, b) for name, n, b in BLOCKS.values() if name == kind)
    blocks = raw.view(-1, n_bytes)
    out = torch.empty(len(blocks), n_items)
    for some, numbers in zip(blocks.split(_CHUNK_BLOCKS), out.split(_CHUNK_BLOCKS), strict=True):
        _WRITTEN_OUT[kind](some, numbers)
    return out.view(-1)


def _q4_0(blocks: Tensor, out: Tensor) -> None:
    """Scale * (q - 8)."""
    words = blocks.view(torch.int16)
    _nibbles(words[:, 1:], out, 0x0F0F)
    out.sub_(8).mul_(_halves(words[:, :1]))


def _q4_1(blocks: Tensor, out: Tensor) -> None:
    """Scale * q + minimum."""
    words = blocks.view(torch.int32)
    _nibbles(words[:, 1:], out, 0x0F0F0F0F)
    scales = _halves(words[:, :1])
    out.mul_(scales[:, :1]).add_(scales[:, 1:])


def _q8_0(blocks: Tensor, out: Tensor) -> None:
    """Scale * q, q with a sign."""
    words = blocks.view(torch.int16)
    out.copy_(words[:, 1:].contiguous().view(torch.int8)).mul_(_halves(words[:, :1]))


def _nibbles(words: Tensor, out: Tensor, low: int) -> None:
    """Words with 16 bytes a row to numbers (n, 32): the lower halves of all bytes first, then the upper ones."""
    words = words.contiguous()  # several bytes at once, all of them masked by `low`
    out.copy_(torch.cat((words & low, (words >> 4) & low), 1).view(torch.uint8))


def _halves(words: Tensor) -> Tensor:
    """Words that are float16 numbers, in float32."""
    return words.contiguous().view(torch.float16).float()


def _by_the_library(raw: Tensor, kind: str) -> Tensor:
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize as by_the_library

    return torch.from_numpy(by_the_library(raw.numpy(), GGMLQuantizationType[kind]))


_WRITTEN_OUT: dict[str, Callable[[Tensor, Tensor], None]] = {"Q4_0": _q4_0, "Q4_1": _q4_1, "Q8_0": _q8_0}
