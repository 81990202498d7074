"""One layer's weights for QuantizationBins: in units of their spread, counted into fine bins, quantized any way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from lmlab.models.linear import own_linear_layers
from lmlab.quantization import Quantized, quantize, quantize_with_levels
from lmlab.quantization.groups import GroupSize, cut_into_groups, spread
from lmlab.text_model import TextModel

N_BINS = 1024
GROUPS: dict[str, GroupSize] = {"all": None, "row": "row", "128": 128, "32": 32}


@dataclass(frozen=True)
class Result:
    """A layer quantized: its mean squared error in units of the spread squared, and its levels in that unit.

    With groups the unit is each group's own spread, and `levels` are averages over the groups.
    """

    quantized: Quantized
    error: float
    levels: tuple[float, ...]


@dataclass(frozen=True)
class FineBins:
    """Weights in units of their group's spread, counted: what the page needs to answer a drag within a frame.

    `sums` float32 (4, N_BINS): how many weights, and the moments (0, 1, 2) of each bin's weights times the share of
    their group in all energy, so that sum(m2 - 2 level m1 + level^2 m0) is the mean squared error of any levels.
    """

    low: float
    high: float
    sums: np.ndarray


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one linear layer (out, in), and what was already worked out about them."""

    name: str
    weights: Tensor
    _results: dict[tuple[str, int, str], Result] = field(default_factory=dict)
    _bins: dict[tuple[str, tuple[float, float]], FineBins] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return self.weights.shape[0], self.weights.shape[1]

    @property
    def spread(self) -> float:
        """Root of the mean square of all weights."""
        return float(spread(self.weights.reshape(1, -1).float()))

    def by_method(self, bits: int, method: str, group: str) -> Result:
        """Levels found by a method; remembered."""
        key = (method, bits, group)
        if key not in self._results:
            self._results[key] = self._result(quantize(self.weights, bits, method, GROUPS[group]), group)
        return self._results[key]

    def by_hand(self, levels: Sequence[float], group: str) -> Result:
        """Levels set by hand, in units of the spread."""
        return self._result(quantize_with_levels(self.weights, levels, group_size=GROUPS[group]), group)

    def bins(self, group: str, levels: Sequence[float] = ()) -> FineBins:
        """The weights counted in fine bins, over a range that holds these levels, too; remembered."""
        counted = self._counted(group, (0.0, 0.0))
        reach = (min(levels, default=0.0), max(levels, default=0.0))
        return counted if counted.low < reach[0] and reach[1] < counted.high else self._counted(group, reach)

    def _counted(self, group: str, reach: tuple[float, float]) -> FineBins:
        if (group, reach) not in self._bins:
            self._bins[group, reach] = fine_bins(self.weights, GROUPS[group], reach)
        return self._bins[group, reach]

    def forget(self) -> None:
        """What was worked out is as large as the weights: of a large model it is not kept for every layer."""
        self._results.clear()
        self._bins.clear()

    def _result(self, quantized: Quantized, group: str) -> Result:
        weights = self.weights.double()
        energy = float(weights.square().sum())
        error = float((quantized.dequantize().double() - weights).square().sum())
        units = spread(cut_into_groups(self.weights, GROUPS[group]).values).double()
        levels = quantized.levels.view(len(units), -1)
        seen = units[:, 0] > 0
        share = (units.square() / units.square().sum().clamp_min(1e-300))[seen]
        mean = (levels[seen] / units[seen] * share).sum(0).tolist()
        return Result(quantized, error / energy if energy else 0.0, tuple(mean))


def fine_bins(weights: Tensor, group: GroupSize, reach: Sequence[float] = (0.0, 0.0)) -> FineBins:
    """Count weights in units of their group's spread; the range is a little wider than they are, and than `reach`."""
    groups = cut_into_groups(weights, group).values.double()
    units = groups.square().mean(1, keepdim=True).sqrt()
    z = torch.where(units > 0, groups / units, 0.0).numpy().reshape(-1)
    share = (units.square() / groups.square().sum().clamp_min(1e-300)).expand_as(groups).numpy().reshape(-1)
    low, high = min(-1.0, float(z.min())) - 0.15, max(1.0, float(z.max())) + 0.15
    low = low if reach[0] > low else reach[0] - 0.15
    high = high if reach[1] < high else reach[1] + 0.15
    cell = np.clip(((z - low) / (high - low) * N_BINS).astype(np.int64), 0, N_BINS - 1)
    sums = [np.bincount(cell, w, N_BINS) for w in (None, share, share * z, share * z * z)]
    return FineBins(low, high, np.stack(sums).astype(np.float32))


def linear_layers(model: TextModel) -> list[LayerWeights]:
    """The linear layers of a text model that can be quantized by themselves. Raises ValueError if there are none."""
    if not isinstance(model, TextModel):
        raise ValueError(f'QuantizationBins needs a text model, not {model!r}: try lab.load("town").')
    inside = model.model
    if not isinstance(inside, nn.Module):
        raise ValueError(
            f"{model.name} ({type(inside).__name__}) has no weights in linear layers to quantize; "
            'try QuantizationBins(lab.load("town")).'
        )
    own = own_linear_layers(inside)
    layers = [LayerWeights(name, layer.weight.detach().float().cpu()) for name, layer in own.items()]
    if not layers:
        raise ValueError(f"{model.name} has no linear layers of its own to quantize.")
    return layers


def first_layer(names: Sequence[str]) -> str:
    """The layer that is shown first: a wide one in the middle of our own models."""
    return next((name for name in names if name.endswith("1.mlp.up")), names[0])


@dataclass(frozen=True)
class Cost:
    """Bits, bytes and error of what is quantized: one layer or all."""

    n_weights: int
    n_bytes: int
    error: float
    dense_bits: int

    @property
    def bits_per_weight(self) -> float:
        """Everything stored, spread over the weights."""
        return 8 * self.n_bytes / self.n_weights


def quantized_layers(
    layers: Sequence[LayerWeights], *, bits: int, method: str, group: str, levels: Sequence[float]
) -> dict[str, Result]:
    """Every given layer quantized the same way, by name; by hand means the same levels in each one's own units."""
    return {
        layer.name: layer.by_hand(levels, group) if method == "hand" else layer.by_method(bits, method, group)
        for layer in layers
    }


def cost_of(layers: Sequence[LayerWeights], results: dict[str, Result]) -> Cost:
    """What these layers take together, and their squared error over their squared weights."""
    energy = {layer.name: float(layer.weights.double().square().sum()) for layer in layers}
    error = sum(results[name].error * energy[name] for name in energy)
    return Cost(
        n_weights=sum(layer.weights.numel() for layer in layers),
        n_bytes=sum(result.quantized.n_bytes for result in results.values()),
        error=error / (sum(energy.values()) or 1.0),
        dense_bits=16 if all(_is_bf16(layer.weights) for layer in layers) else 32,
    )


def _is_bf16(weights: Tensor) -> bool:
    return torch.equal(weights.bfloat16().to(weights.dtype), weights)
