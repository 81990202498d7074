"""Tensors in, bins and packed bits out: how few bits are enough?"""

from lmlab.formats.gguf_blocks import decode_blocks, encode_blocks
from lmlab.quantization.bins import METHODS, Quantized, has_bits, quantize, quantize_with_levels

__all__ = [
    "METHODS",
    "Quantized",
    "decode_blocks",
    "encode_blocks",
    "has_bits",
    "quantize",
    "quantize_with_levels",
]
