"""Linear layers for inference on a processor: weights of two bytes, one byte or half a byte, multiplied as they are.

Lecture: "quantization". Writing a token reads every weight once, so that fewer bytes are less time. torch has kernels
for this, but no public name: each is tried on the layer's own weights, and where one is missing or wrong (another
processor, another torch) the layer becomes a `QuantizedLinear`, slow and right.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmlab.models.linear import QuantizedLinear
from lmlab.quantization import quantize

GROUP = 32  # weights that share a scale and an offset at 4 bits: the blocks of a Q4_1 file, which stay as they are


class PackedLinear(nn.Module):
    """y = x W^T + b, x (..., in) to (..., out) float32; W is held in a form that only one kernel reads.

    `n_bytes` counts what is stored of W. For inference: no gradient flows through.
    """

    n_bytes: int

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.bias = None if bias is None else nn.Parameter(bias.detach().float().clone(), requires_grad=False)

    def multiply(self, x: Tensor) -> Tensor:
        """Rows (N, in) float32 times W^T: (N, out) float32."""
        raise TypeError(f"{type(self).__name__} does not say how it multiplies.")

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features), in x's dtype."""
        rows = x.detach().reshape(-1, self.in_features).float()  # `detach` costs a third of entering `no_grad`
        y = self.multiply(rows).view(*x.shape[:-1], self.out_features)
        return (y if self.bias is None else y + self.bias).to(x.dtype)

    def extra_repr(self) -> str:
        """What print(model) shows of the layer."""
        return f"in_features={self.in_features}, out_features={self.out_features}, n_bytes={self.n_bytes:,}"


class HalfLinear(PackedLinear):
    """Two bytes a weight (float16), activations in float32: FBGEMM's kernel for AVX2."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__(weight, bias)
        if not bool(weight.abs().amax() < torch.finfo(torch.float16).max):
            raise ValueError("float16 does not hold these weights.")
        with _fbgemm():
            self._packed = torch.ops.quantized.linear_prepack_fp16(weight.detach().float().contiguous(), None)
        self.n_bytes = 2 * weight.numel()

    def multiply(self, x: Tensor) -> Tensor:
        """Rows (N, in) times W^T: (N, out)."""
        y: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, self._packed)
        return y


class Int8Linear(PackedLinear):
    """One byte a weight, one scale a row; an activation is two digits of base 126, so that it loses nothing.

    FBGEMM's kernel multiplies bytes by bytes, and a pair of products must fit 16 bits: 7 bits are left for an
    activation, which would cost this model ten times what the weights' rounding does. So x becomes two rows, the
    rounded one and 126 times what rounding left: one pass over the weights serves both.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__(weight, bias)
        rows = weight.detach().float()
        scales = rows.abs().amax(1).double().clamp(min=1e-30) / 127
        zeros = torch.zeros(self.out_features, dtype=torch.long)
        with _fbgemm():
            codes = torch.quantize_per_channel(rows, scales, zeros, 0, torch.qint8)
            self._packed = torch.ops.quantized.linear_prepack(codes, None)
        self.n_bytes = weight.numel() + 4 * self.out_features

    def multiply(self, x: Tensor) -> Tensor:
        """Rows (N, in) times W^T: (N, out)."""
        N = len(x)
        unit = torch.linalg.vector_norm(x, math.inf, -1, keepdim=True).clamp_(min=1e-30).div_(63)
        x = x / unit
        first = x.round()
        digits = torch.cat((first, (x - first).mul_(126)))  # both from -63 to 63
        y = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(digits, 1.0, 64, self._packed)
        return torch.add(y[:N], y[N:], alpha=1 / 126).mul_(unit)


class Int4Linear(PackedLinear):
    """Half a byte a weight, a scale and an offset for every 32 of a row; activations in bfloat16."""

    codes: Tensor
    pairs: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__(weight, bias)
        groups = weight.detach().float().reshape(self.out_features, -1, GROUP)
        low = groups.amin(-1, keepdim=True)
        scale = ((groups.amax(-1, keepdim=True) - low) / 15).clamp(min=1e-30)
        codes = ((groups - low) / scale).round().int().view(self.out_features, -1)
        # The kernel's code 8 stands for its offset.
        pairs = torch.stack((scale[..., 0], (low + 8 * scale)[..., 0]), -1).transpose(0, 1)
        self.register_buffer("codes", torch._convert_weight_to_int4pack_for_cpu(codes, 1))
        self.register_buffer("pairs", pairs.contiguous().bfloat16())
        self.n_bytes = weight.numel() // 2 + 2 * pairs.numel()

    def multiply(self, x: Tensor) -> Tensor:
        """Rows (N, in) times W^T: (N, out)."""
        y: Tensor = torch._weight_int4pack_mm_for_cpu(x.bfloat16(), self.codes, GROUP, self.pairs)
        return y.float()


_KINDS: dict[str, tuple[type[PackedLinear], float]] = {
    # with the largest error that rounding explains, of outputs whose scale is 1
    "fp16": (HalfLinear, 0.01),
    "int8": (Int8Linear, 0.05),
    "int4": (Int4Linear, 0.35),
}
KINDS = tuple(_KINDS)


def pack(kind: str, weight: Tensor, bias: Tensor | None = None) -> PackedLinear | QuantizedLinear | nn.Linear:
    """The layer of W (out, in) and b (out), by the fastest kernel that works for "fp16", "int8" or "int4".

    "bf16" needs none: it is torch's own layer, which reads and writes bfloat16.
    """
    if kind == "bf16":
        return _plain(weight.bfloat16(), None if bias is None else bias.bfloat16())
    layer_class, allowed = _KINDS[kind]
    try:
        layer = layer_class(weight, bias)
        if _error(layer, weight) < allowed:
            return layer
    except (RuntimeError, AttributeError, NotImplementedError, ValueError):
        pass  # no such kernel here, or not for this shape
    if kind == "fp16":
        return _plain(weight, bias)
    method, group = ("absmax", "row") if kind == "int8" else ("minmax", GROUP)
    return QuantizedLinear(quantize(weight, 8 if kind == "int8" else 4, method, group), bias)


@torch.no_grad()
def _error(layer: PackedLinear, weight: Tensor) -> float:
    """Root mean square of the layer's error on three random rows, over that of what it should give."""
    x = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(0))
    wanted = F.linear(x, weight.float())
    error = (layer.multiply(x) - wanted).square().mean().sqrt() / wanted.square().mean().sqrt().clamp(min=1e-30)
    return float(error)


def _plain(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    layer.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)  # type: ignore[assignment]
    return layer


@contextmanager
def _fbgemm() -> Iterator[None]:
    """Pack for FBGEMM, whatever the process has chosen; a packed layer remembers its kernel."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "will be removed": then `pack` falls back
            yield
    finally:
        torch.backends.quantized.engine = before
