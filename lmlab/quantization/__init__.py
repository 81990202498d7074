"""Tensors in, bins and packed bits out: how few bits are enough?"""

from lmlab.quantization.bins import METHODS, Quantized, quantize, quantize_with_levels

__all__ = ["METHODS", "Quantized", "quantize", "quantize_with_levels"]
