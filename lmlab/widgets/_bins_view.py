"""What QuantizationBins shows of layers and levels: the view, a pure function of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmlab.models.linear import with_weights
from lmlab.text_model import TextModel
from lmlab.training.held_out_loss import HeldOut
from lmlab.widgets._base import View
from lmlab.widgets._quantization_words import (
    error_said,
    first_sentence,
    footnote,
    in_words,
    loss_said,
    rival_said,
    shown_error,
)
from lmlab.widgets._style import Spans, n_bytes, number, spans
from lmlab.widgets._weights import Cost, FineBins, LayerWeights, Result, cost_of, quantized_layers


@dataclass(frozen=True, kw_only=True)
class QuantizationBinsView(View):
    """`levels` and `best` in units of the spread; `error` in its square; `costs` and `methods` as the page shows them.

    `tail` is the readout after its first sentence; the page writes that one itself while a level is dragged. Levels
    set by hand compete: `rival` is the loss that k-means' levels give, and `costs` have a column for them.
    """

    layer: str
    n_weights: int
    bits: int
    method: str
    grouped: bool
    levels: tuple[float, ...]
    best: tuple[float, ...]
    error: float
    best_error: float
    low: float
    high: float
    costs: tuple[tuple[str, ...], ...]
    methods: tuple[tuple[str, float], ...]
    losses: tuple[float | None, float | None]
    rival: float | None
    all_layers: bool
    tail: Spans


@dataclass(frozen=True)
class Rival:
    """K-means' levels at the same bits and groups: their cost and, where it is measured, the model's loss."""

    cost: Cost
    loss: float | None


def loss_with(model: TextModel, text: HeldOut | None, results: dict[str, Result]) -> float | None:
    """The model's loss with these weights in the place of its own, nats per token."""
    if text is None:
        return None
    weights = {name: result.quantized.dequantize() for name, result in results.items()}
    return text.loss(with_weights(model.model, weights))  # type: ignore[type-var]


def quantization_bins_view(
    model: TextModel,
    layers: Sequence[LayerWeights],
    shown: LayerWeights,
    bins: FineBins,
    text: HeldOut | None,
    *,
    bits: int,
    method: str,
    group: str,
    levels: Sequence[float] = (),
    held: int = -1,
    dense_loss: float | None = None,
    rival: Rival | None = None,
    measure: bool = True,
) -> QuantizationBinsView:
    """What QuantizationBins shows: `layers` are quantized, `shown` is drawn, counted in `bins`.

    `rival` is what levels set by hand compete with. `measure` is false where the loss is worked out later.
    """
    results = quantized_layers(layers, bits=bits, method=method, group=group, levels=levels)
    here = results[shown.name]
    best = shown.by_method(bits, "kmeans", group)
    cost = cost_of(layers, results)
    scope = f"all {len(layers)} layers" if len(layers) > 1 else "this layer"
    view = QuantizationBinsView(
        question=f"With {in_words(2**bits)} numbers to spend, which weights would you keep?",
        about=f"QuantizationBins · {model.name} · cpu",
        readout=(),
        foot=footnote(shown, bits, group, text),
        layer=shown.name,
        n_weights=shown.weights.numel(),
        bits=bits,
        method=method,
        grouped=group != "all",
        levels=here.levels,
        best=best.levels,
        error=here.error,
        best_error=best.error,
        low=bins.low,
        high=bins.high,
        costs=((scope, "yours", *(("k-means",) if rival else ()), _dense_name(cost)), *_costs(cost, rival)),
        methods=_methods(shown, bits, here.error, best.error),
        losses=(None, None),
        rival=rival.loss if rival else None,
        all_layers=len(layers) > 1,
        tail=(),
    )
    return with_loss(view, text, dense_loss, loss_with(model, text, results) if measure else None, held)


def with_loss(
    view: QuantizationBinsView, text: HeldOut | None, dense_loss: float | None, loss: float | None, held: int
) -> QuantizationBinsView:
    """The view with the model's loss in sentence and table; without it where it is None."""
    first = spans(*first_sentence(view.levels, view.bits, view.method, held, grouped=view.grouped))
    tail = spans(*error_said(view.error, view.best_error, view.bits, view.method, grouped=view.grouped))
    tail += spans(*loss_said(dense_loss, loss, text, every=view.all_layers))
    tail += spans(*rival_said(loss, view.rival))
    competes = len(view.costs[0]) > 3
    row = (loss, *((view.rival,) if competes else ()), dense_loss)
    shown = ("loss, nats per token", *("–" if value is None else number(value, 3) for value in row))
    costs = (*view.costs[:5], shown)
    return replace(
        view, readout=(*first, *tail), tail=tail, losses=(dense_loss, loss), costs=costs, table=[*map(list, costs)]
    )


def _dense_name(cost: Cost) -> str:
    return "bf16" if cost.dense_bits == 16 else "float32"


def _costs(cost: Cost, rival: Rival | None) -> tuple[tuple[str, ...], ...]:
    both = [cost, *([rival.cost] if rival else [])]
    return (
        ("bits a weight", *(f"{c.bits_per_weight:.2f}" for c in both), f"{cost.dense_bits:.2f}"),
        ("bytes", *(n_bytes(c.n_bytes) for c in both), n_bytes(cost.n_weights * cost.dense_bits / 8)),
        ("mean squared error", *(shown_error(c.error) for c in both), "0"),
        ("its root (RMSE)", *(shown_error(c.error**0.5) for c in both), "0"),
    )


def _methods(layer: LayerWeights, bits: int, error: float, best: float) -> tuple[tuple[str, float], ...]:
    zero = ("zero them all", 1.0) if bits <= 2 else ("MSE", layer.by_method(bits, "mse", "all").error)
    return (
        ("min-max", layer.by_method(bits, "minmax", "all").error),
        zero,
        ("groups of 32", layer.by_method(bits, "minmax", "32").error),
        ("yours", error),
        (f"best {in_words(2**bits)}", best),
    )
