"""Codes of 1 to 8 bits side by side in bytes, with nothing between them.

Lecture: "b bits give 2^b possible values". The stream is little-endian: code i fills the bits from i*b upward,
lowest bit first, so eight codes of b bits are exactly b bytes.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WORDS = {4: torch.int16, 2: torch.int32, 1: torch.int64}  # by bits: as many bytes as a byte has codes


def packed_size(n_codes: int, bits: int) -> int:
    """Bytes that `n_codes` codes of `bits` bits fill: the only rounding is up to a whole byte at the very end."""
    return -(-n_codes * bits // 8)


def pack(codes: Tensor, bits: int) -> Tensor:
    """Codes (n,) uint8, each below 2^bits, to a stream of ceil(n*bits/8) bytes, uint8.

    >>> pack(torch.tensor([1, 2, 3, 0], dtype=torch.uint8), 2)
    tensor([57], dtype=torch.uint8)
    """
    flat = codes.reshape(-1)
    if bits == 8:
        return flat.clone()
    n = flat.numel()
    if bits in _WORDS:  # whole codes in each byte: a word of as many codes is shifted onto its own first byte
        per_byte = 8 // bits
        words = torch.nn.functional.pad(flat, (0, -n % per_byte)).view(_WORDS[bits])
        stream = words.clone()
        for i in range(1, per_byte):
            stream |= words >> (i * (8 - bits))
        return stream.to(torch.uint8)
    eight = torch.nn.functional.pad(flat, (0, -n % 8)).view(-1, 8)
    word = torch.zeros(len(eight), dtype=torch.int64, device=flat.device)
    for i in range(8):
        word |= eight[:, i].to(torch.int64) << (bits * i)  # at most 56 bits
    return word.view(torch.uint8).view(-1, 8)[:, :bits].reshape(-1)[: packed_size(n, bits)].clone()


def unpack(stream: Tensor, bits: int, n_codes: int) -> Tensor:
    """The `n_codes` codes (n,), uint8, of a stream that `pack` made."""
    if bits == 8:
        return stream[:n_codes].clone()
    mask = (1 << bits) - 1
    if bits in (1, 2, 4):
        per_byte = 8 // bits
        codes = torch.empty(len(stream), per_byte, dtype=torch.uint8, device=stream.device)
        for i in range(per_byte):
            codes[:, i] = (stream >> (bits * i)) & mask
        return codes.view(-1)[:n_codes]
    n_words = -(-n_codes // 8)
    padded = torch.nn.functional.pad(stream, (0, n_words * bits - len(stream))).view(n_words, bits)
    word = torch.nn.functional.pad(padded, (0, 8 - bits)).reshape(-1).view(torch.int64)
    codes = torch.empty(n_words, 8, dtype=torch.uint8, device=stream.device)
    for i in range(8):
        codes[:, i] = (word >> (bits * i)) & mask
    return codes.view(-1)[:n_codes]
