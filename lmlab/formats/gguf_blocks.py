"""GGUF's number formats: blocks of a few dozen small whole numbers that share a scale.

Lecture: "fewer bits a weight". The kinds that small models use are written out here, in torch and in place, which is
several times faster than the gguf library's own and equal to it bit for bit; the others are the library's, and are
only read.

A block holds 32 weights of one row. First comes its scale d, a float16, in Q4_1 then its least weight m, and after
them the codes q; byte i of a 4-bit block has q_i in its lower half and q_(i+16) in its upper one.

    Q4_0   18 bytes   d (q - 8)   d = the weight of largest magnitude / -8
    Q4_1   20 bytes   d q + m     d = (greatest - least) / 15
    Q8_0   34 bytes   d q         d = largest magnitude / 127; q with a sign

Source: github.com/ggml-org/ggml, src/ggml-quants.c (quantize_row_q4_0_ref and its neighbours).
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


def decode_blocks(raw: Tensor, kind: str) -> Tensor:
    """Bytes (..., n) uint8 of whole blocks to the numbers that they stand for, (..., m) float32.

    Raises ValueError, one sentence, for a kind that GGUF does not have and for bytes that are not whole blocks.
    """
    n_items, n_bytes = _size_of(kind)
    raw = raw.contiguous() if raw.storage_offset() % 4 == 0 else raw.clone()  # read as words, which begin evenly
    if raw.dtype != torch.uint8 or raw.shape[-1] % n_bytes:
        raise ValueError(f"{kind} comes in blocks of {n_bytes} bytes (uint8), not {tuple(raw.shape)} of {raw.dtype}.")
    if kind in _PLAIN:
        return raw.view(_PLAIN[kind]).float()
    shape = (*raw.shape[:-1], raw.shape[-1] // n_bytes * n_items)
    if kind not in _WRITTEN_OUT:
        return _by_the_library(raw, kind).view(shape)
    blocks = raw.view(-1, n_bytes)
    out = torch.empty(len(blocks), n_items)
    for some, numbers in zip(blocks.split(_CHUNK_BLOCKS), out.split(_CHUNK_BLOCKS), strict=True):
        _WRITTEN_OUT[kind](some, numbers)
    return out.view(shape)


def encode_blocks(weights: Tensor, kind: str) -> Tensor:
    """Weights (..., n) to the bytes (..., m), uint8, of "Q4_0", "Q4_1" or "Q8_0" blocks, n a multiple of 32.

    The bytes are those that llama.cpp writes into a file.

    >>> encode_blocks(torch.arange(32.0), "Q8_0")[:6].tolist()  # the scale 31 / 127, then 0, 1, 2 and 3 scales' worth
    [208, 51, 0, 4, 8, 12]

    Raises ValueError, one sentence, for other kinds, for rows that are not whole blocks, and for weights that are
    not finite or too large for a float16 scale.
    """
    if kind not in _ENCODERS:
        raise ValueError(f"there is no writing {kind!r} blocks: choose Q4_0, Q4_1 or Q8_0.")
    n_items, n_bytes = _size_of(kind)
    given = torch.as_tensor(weights).detach()
    if given.dim() == 0 or given.numel() == 0 or given.shape[-1] % n_items:
        raise ValueError(
            f"{kind} takes rows of whole blocks of {n_items} weights, and these are {tuple(given.shape)}: "
            "cut or fill up the last dimension, or use lab.quantize, whose last group may be shorter."
        )
    blocks = given.float().contiguous().view(-1, n_items)
    out = torch.empty(len(blocks), n_bytes, dtype=torch.uint8, device=blocks.device)
    for some, stored in zip(blocks.split(_CHUNK_BLOCKS), out.split(_CHUNK_BLOCKS), strict=True):
        _ENCODERS[kind](some, stored)
    return out.view(*given.shape[:-1], -1)


def _size_of(kind: str) -> tuple[int, int]:
    """Numbers and bytes of a block."""
    for name, n_items, n_bytes in BLOCKS.values():
        if name == kind:
            return n_items, n_bytes
    raise ValueError(f"there are no {kind!r} blocks: GGUF has {', '.join(name for name, _, _ in BLOCKS.values())}.")


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


def _to_q4_0(blocks: Tensor, out: Tensor) -> None:
    low, high = blocks.amin(1, keepdim=True), blocks.amax(1, keepdim=True)  # four times faster than aminmax
    extreme = torch.where(-low > high, low, high)
    ties = (-low == high)[:, 0].nonzero()[:, 0]
    if len(ties):  # as large below as above: the first of the two says the sign
        some = blocks[ties]
        extreme[ties] = some.gather(1, some.abs().argmax(1, keepdim=True))
    scales = extreme / -8
    _write_halves(scales, out[:, :2])
    codes = (blocks * _reciprocal(scales)).add_(8.5).clamp_(0, 15)
    _write_nibbles(codes, out[:, 2:])


def _to_q4_1(blocks: Tensor, out: Tensor) -> None:
    low, high = blocks.amin(1, keepdim=True), blocks.amax(1, keepdim=True)  # four times faster than aminmax
    scales = (high - low) / 15
    _write_halves(scales, out[:, :2])
    _write_halves(low, out[:, 2:4])
    codes = (blocks - low).mul_(_reciprocal(scales)).add_(0.5).clamp_(0, 15)
    _write_nibbles(codes, out[:, 4:])


def _to_q8_0(blocks: Tensor, out: Tensor) -> None:
    scales = blocks.abs().amax(1, keepdim=True) / 127
    _write_halves(scales, out[:, :2])
    codes = blocks * _reciprocal(scales)
    # Away from zero where halfway, as C's roundf. With 0.5 itself, 0.49999997 would become 1.
    codes.add_(torch.copysign(_BELOW_HALF, codes))
    out[:, 2:] = codes.to(torch.int8).view(torch.uint8)


def _reciprocal(scales: Tensor) -> Tensor:
    return torch.where(scales == 0, 0.0, 1.0 / scales)


def _write_halves(numbers: Tensor, out: Tensor) -> None:
    halves = numbers.half()
    if not bool(halves.isfinite().all()):
        worst = float(numbers.abs().max())
        reason = "are NaN or infinite" if not worst < torch.inf else f"need {worst:.3g}, more than float16 holds"
        raise ValueError(f"scales of some blocks {reason}: look for the weight that is broken, or scale all down.")
    out.copy_(halves.view(torch.uint8))


def _write_nibbles(codes: Tensor, out: Tensor) -> None:
    """Numbers (n, 32) from 0 to 15, cut to whole ones, into 16 bytes a row."""
    words = codes.to(torch.uint8).view(torch.int64)  # eight codes at once, none reaching into the next
    out.copy_((words[:, :2] | words[:, 2:] << 4).view(torch.uint8))


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


_BELOW_HALF = torch.tensor(0.49999997, device="cpu")  # the float32 just below one half
_PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_ENCODERS: dict[str, Callable[[Tensor, Tensor], None]] = {"Q4_0": _to_q4_0, "Q4_1": _to_q4_1, "Q8_0": _to_q8_0}
_WRITTEN_OUT: dict[str, Callable[[Tensor, Tensor], None]] = {"Q4_0": _q4_0, "Q4_1": _q4_1, "Q8_0": _q8_0}
