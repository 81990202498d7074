"""The experiment behind BitsVersusLoss: what each way to store the weights costs the model that is made of them.

Every linear layer of a model is put in few bits by one method, and the model's loss is measured on the same text.
Bits a weight are counted from all that is stored, scales and tables too. Lecture: "quantization: how few bits are
enough". `tools/quantization_curves.py` writes the points of two models to assets/quantization/curves/.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lmlab.assets import asset
from lmlab.models.linear import own_linear_layers, with_weights
from lmlab.quantization import METHODS, decode_blocks, encode_blocks, has_bits, quantize
from lmlab.quantization.groups import GroupSize
from lmlab.text_model import TextModel
from lmlab.training.held_out_loss import PROSE, HeldOut, held_out

UNQUANTIZED = "unquantized"
BLOCK_BITS = {"Q8_0": 8, "Q4_1": 4, "Q4_0": 4}  # the blocks of GGUF files; each holds 32 weights
BLOCK_SIZE = 32
STUDY_TOKENS = 4096  # at most, to measure a stored point on; a widget of one layer takes 1,200


class Setting(NamedTuple):
    """One way to store weights: a method of `quantize` with its bits and group, or a kind of block."""

    method: str
    bits: int
    group_size: GroupSize


SETTINGS: tuple[Setting, ...] = (
    *(Setting(kind, bits, BLOCK_SIZE) for kind, bits in BLOCK_BITS.items()),
    *(
        Setting(method, bits, group_size)
        for group_size in (32, 64, "row", None)
        for method in METHODS
        for bits in (8, 6, 5, 4, 3, 2)
        if has_bits(method, bits)
    ),
)
QUICK_SETTINGS: tuple[Setting, ...] = (  # what a lab measures live: two seconds for the town
    *(setting for setting in SETTINGS if setting.method in BLOCK_BITS),
    *(
        Setting(method, bits, group_size)
        for group_size in (32, None)
        for method in ("absmax", "mse")
        for bits in (8, 4, 3, 2)
    ),
    Setting("nf4", 4, 32),
)


@dataclass(frozen=True)
class QuantizationPoint:
    """A model with its linear layers stored by one method, and what became of it.

    `bits_per_weight` and `n_bytes` count everything that is stored of these layers; `error` is the sum of squared
    differences over the sum of squared weights; `loss` is in nats a token. `group_size` is None for whole tensors.
    The model as it was has the method "unquantized".
    """

    method: str
    bits: int
    group_size: GroupSize
    bits_per_weight: float
    error: float
    loss: float
    n_bytes: int

    @property
    def perplexity(self) -> float:
        """e to the loss: among how many equally likely tokens the model is as unsure."""
        return math.exp(self.loss)


@dataclass(frozen=True)
class KeptCurve:
    """Stored points of a model, what they were measured on, and that text's entropy (nats a token) where known."""

    name: str
    points: tuple[QuantizationPoint, ...]
    n_weights: int
    source: str
    floor: float | None


def quantization_curve(
    model: TextModel,
    documents: str | Sequence[str] | HeldOut = "held-out",
    *,
    settings: Iterable[tuple[str, int, GroupSize]] | None = None,
) -> Iterator[QuantizationPoint]:
    """The model as it is, then quantized by one setting after the other, each measured when it is asked for.

    `documents` as `held_out` takes them, or what it gave. `settings`: (method, bits, group size), by default all of
    SETTINGS that fit the model's layers; a method is one of `quantize`, or "Q4_0", "Q4_1" or "Q8_0". Raises
    ValueError, before the first point, for a model without linear layers of its own or a text without tokens.
    """
    if not isinstance(model, TextModel):
        raise ValueError(f'the curve needs a text model, not {model!r}: try lab.load("town").')
    inside = model.model
    layers = own_linear_layers(inside) if isinstance(inside, nn.Module) else {}
    if not layers:
        raise ValueError(f'{model.name} has no weights in linear layers to quantize: try lab.load("town").')
    text = documents if isinstance(documents, HeldOut) else held_out(model, documents)
    if text is None:
        raise ValueError("there is no token to measure the loss on: give a document of at least one word.")
    weights = {name: layer.weight.detach().float() for name, layer in layers.items()}
    chosen = [setting for setting in SETTINGS if fits(setting, weights.values())] if settings is None else settings
    return _points(inside, weights, text, [Setting(*setting) for setting in chosen])


def fits(setting: Setting, weights: Iterable[Tensor]) -> bool:
    """Whether these matrices can be stored so: blocks need rows of whole blocks."""
    return setting.method not in BLOCK_BITS or all(weight.shape[-1] % BLOCK_SIZE == 0 for weight in weights)


def _points(
    inside: Any, weights: dict[str, Tensor], text: HeldOut, settings: list[Setting]
) -> Iterator[QuantizationPoint]:
    energy = sum(float(weight.double().square().sum()) for weight in weights.values()) or 1.0
    n_weights = sum(weight.numel() for weight in weights.values())
    bits = 16 if all(torch.equal(weight.bfloat16().float(), weight) for weight in weights.values()) else 32
    dense_bytes = n_weights * bits // 8
    yield QuantizationPoint(UNQUANTIZED, bits, None, bits, 0.0, text.loss(inside), dense_bytes)
    for setting in settings:
        few: dict[str, Tensor] = {}
        n_bytes, error = 0, 0.0
        for name, weight in weights.items():
            few[name], stored = stored_as(weight, setting)
            n_bytes += stored
            error += float((few[name] - weight).double().square().sum())
        loss = text.loss(with_weights(inside, few))
        yield QuantizationPoint(*setting, 8 * n_bytes / n_weights, error / energy, loss, n_bytes)


def stored_as(weight: Tensor, setting: Setting) -> tuple[Tensor, int]:
    """What comes back of a matrix (out, in) stored so, float32, and the bytes that it took."""
    method, bits, group_size = setting
    if method in BLOCK_BITS:
        if (bits, group_size) != (BLOCK_BITS[method], BLOCK_SIZE):
            raise ValueError(f"{method} has {BLOCK_BITS[method]} bits in blocks of 32, not {bits} in {group_size!r}.")
        raw = encode_blocks(weight, method)
        return decode_blocks(raw, method), raw.numel()
    packed = quantize(weight, bits, method, group_size)
    return packed.dequantize(), packed.n_bytes


def study_text(model: TextModel) -> HeldOut:
    """What the stored points are measured on: of "town" about 4,000 tokens of the town, else two pages of prose."""
    if model.name == "town":
        text = held_out(model, "town", n_tokens=STUDY_TOKENS)
        named = f", {text.n_tokens:,} tokens" if text else ""
    else:
        text = held_out(model, [PROSE, asset("texts/english.txt").read_text(encoding="utf-8")], n_tokens=STUDY_TOKENS)
        named = ""
    assert text is not None
    pages = f"two pages of prose, written for this lab and so read by no model, {text.n_tokens:,} tokens"
    return replace(text, source=text.source + named if named else pages)


def kept_curve(name: str) -> KeptCurve:
    """The stored points of "town" or "smollm2", the unquantized model first. Raises FileNotFoundError for others."""
    kept = json.loads(asset(f"quantization/curves/{name}.json").read_text(encoding="utf-8"))
    points = tuple(QuantizationPoint(*row) for row in kept["points"])
    return KeptCurve(name, points, kept["n_weights"], kept["source"], kept["floor"])
