"""A linear layer that computes from packed weights, and models made of such layers.

Lecture: "quantization": the weights stay in memory as codes of a few bits; a block of rows at a time becomes
numbers, is multiplied and forgotten.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmlab.quantization import Quantized, quantize
from lmlab.quantization.groups import GroupSize

_BLOCK = 1 << 18  # weights that are numbers at any one time
Model = TypeVar("Model", bound=nn.Module)


class QuantizedLinear(nn.Module):
    """y = x W^T + b with W (out_features, in_features) held as packed codes; x (..., in) to (..., out).

    The state is what `Quantized` stores, and the bias; no full-size W is kept. Gradients reach x and the bias, not
    the codes.
    """

    packed: Tensor
    scales: Tensor
    offsets: Tensor | None
    table: Tensor | None

    def __init__(self, weights: Quantized, bias: Tensor | None = None) -> None:
        super().__init__()
        if len(weights.shape) != 2:
            raise ValueError(f"a linear layer needs a matrix (out, in); these weights are {weights.shape}.")
        self.out_features, self.in_features = weights.shape
        self.bits, self.method, self.group_size = weights.bits, weights.method, weights.group_size
        for name in ("packed", "scales", "offsets", "table"):
            self.register_buffer(name, getattr(weights, name))
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    @classmethod
    def from_linear(
        cls, linear: nn.Linear, bits: int, *, method: str = "absmax", group_size: GroupSize = None
    ) -> QuantizedLinear:
        """The layer with its weights quantized and its bias as it was. Raises ValueError as `quantize` does."""
        return cls(quantize(linear.weight, bits, method, group_size), linear.bias)

    @property
    def quantized(self) -> Quantized:
        """The weights as they are stored."""
        return Quantized(
            packed=self.packed,
            scales=self.scales,
            offsets=self.offsets,
            table=self.table,
            shape=(self.out_features, self.in_features),
            bits=self.bits,
            method=self.method,
            group_size=self.group_size,
        )

    @property
    def n_bytes(self) -> int:
        """Bytes of the packed weights, the bias not counted."""
        return self.quantized.n_bytes

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features), in x's dtype."""
        weights = self.quantized
        rows = 8 * max(1, _BLOCK // (8 * self.in_features))
        blocks = [
            F.linear(x, weights.rows(start, min(start + rows, self.out_features)).to(x.dtype))
            for start in range(0, self.out_features, rows)
        ]
        y = blocks[0] if len(blocks) == 1 else torch.cat(blocks, -1)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def extra_repr(self) -> str:
        """What print(model) shows of the layer."""
        size = f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        return f"{size}, bits={self.bits}, method={self.method!r}, group_size={self.group_size!r}"


def quantize_model(
    model: Model,
    bits: int,
    method: str = "absmax",
    group_size: GroupSize = None,
    *,
    only: Sequence[str] | Callable[[str], bool] | None = None,
) -> Model:
    """A copy of the model whose linear layers compute from packed weights; the model itself is left as it was.

    `only` picks layers, by names with wildcards (["blocks.1.mlp.*"]) or by a function of the name. Without it all
    linear layers are taken but those whose weights another module shares (an output layer tied to the embedding).
    Norms, biases and embeddings stay as they are. Raises ValueError if no layer is picked, naming what there is.
    """
    if not isinstance(model, nn.Module):
        inside = getattr(model, "model", None)
        hint = ": give it the model inside, .model" if isinstance(inside, nn.Module) else ""
        raise TypeError(f"quantize_model needs a torch model with linear layers, not a {type(model).__name__}{hint}.")
    linears = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    picked = own_linear_layers(model) if only is None else {n: la for n, la in linears.items() if _is_picked(n, only)}
    if not picked:
        names = ", ".join(list(linears)[:3]) or "none"
        raise ValueError(f"no linear layer matches {only!r}; the model has {len(linears)}: {names}, …")
    # deepcopy takes what is in its memo for copied, so the full-size weights are never copied at all.
    memo: dict[int, object] = {}
    for name, layer in picked.items():
        try:
            memo[id(layer)] = QuantizedLinear.from_linear(layer, bits, method=method, group_size=group_size)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return copy.deepcopy(model, memo)


def with_weights(model: Model, weights: Mapping[str, Tensor]) -> Model:
    """A copy of the model with other weights in the named linear layers; it shares all other tensors with it.

    For trying weights out: nothing is copied but the modules' skeleton, and the model itself stays as it was.
    """
    memo: dict[int, object] = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    for name, weight in weights.items():
        layer = model.get_submodule(name)
        if not isinstance(layer, nn.Linear) or layer.weight.shape != weight.shape:
            raise ValueError(f"{name} is not a linear layer of shape {tuple(weight.shape)} (out, in).")
        other = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
        other.weight = nn.Parameter(weight.to(layer.weight), requires_grad=False)
        other.bias = layer.bias
        memo[id(layer)] = other
    return copy.deepcopy(model, memo)


def own_linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers by name, but those whose weights another module shares: what quantizing a model means."""
    shared = shared_weights(model)
    linears = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    return {name: layer for name, layer in linears.items() if id(layer.weight) not in shared}


def shared_weights(model: nn.Module) -> set[int]:
    """Ids of the parameters that more than one module holds."""
    seen: set[int] = set()
    twice: set[int] = set()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            (twice if id(parameter) in seen else seen).add(id(parameter))
    return twice


def _is_picked(name: str, only: Sequence[str] | Callable[[str], bool]) -> bool:
    if callable(only):
        return only(name)
    return any(fnmatchcase(name, pattern) for pattern in ([only] if isinstance(only, str) else only))
