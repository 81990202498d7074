"""QuantizationBins: a layer's weights, the few levels they may keep, and what that costs the model.

The page holds the weights as fine bins, so that a dragged level answers within a frame; the exact error and the
model's loss with these weights come from the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import traitlets

from lmlab.models.linear import with_weights
from lmlab.text_model import TextModel
from lmlab.training.held_out_loss import HeldOut, held_out
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._quantization_words import error_said, first_sentence, footnote, in_words, loss_said, shown_error
from lmlab.widgets._style import Spans, n_bytes, number, spans
from lmlab.widgets._weights import Cost, LayerWeights, Result, cost_of, first_layer, linear_layers, quantized_layers

METHODS = {
    "minmax": "min-max",
    "absmax": "absmax",
    "mse": "MSE",
    "kmeans": "k-means",
    "nf4": "NF4",
    "hand": "by hand",
}


@dataclass(frozen=True, kw_only=True)
class QuantizationBinsView(View):
    """`levels` and `best` in units of the spread; `error` in its square; `costs` and `methods` as the page shows them.

    `tail` is the readout after its first sentence; the page writes that one itself while a level is dragged.
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
    costs: tuple[tuple[str, str, str], ...]
    methods: tuple[tuple[str, float], ...]
    losses: tuple[float | None, float | None]
    all_layers: bool
    tail: Spans


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
    text: HeldOut | None,
    *,
    bits: int,
    method: str,
    group: str,
    levels: Sequence[float] = (),
    held: int = -1,
    dense_loss: float | None = None,
    measure: bool = True,
) -> QuantizationBinsView:
    """What QuantizationBins shows: `layers` are quantized, `shown` is the one whose weights are drawn.

    `measure` is false where the loss is worked out later.
    """
    results = quantized_layers(layers, bits=bits, method=method, group=group, levels=levels)
    here = results[shown.name]
    best = shown.by_method(bits, "kmeans", group)
    cost, bins = cost_of(layers, results), shown.bins(group)
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
        costs=((scope, "yours", _dense_name(cost)), *_costs(cost)),
        methods=_methods(shown, bits, here.error, best.error),
        losses=(None, None),
        all_layers=len(layers) > 1,
        tail=(),
    )
    return with_loss(view, text, dense_loss, loss_with(model, text, results) if measure else None, held)


def with_loss(
    view: QuantizationBinsView, text: HeldOut | None, dense_loss: float | None, loss: float | None, held: int
) -> QuantizationBinsView:
    """The view with the model's loss in sentence and table; without it where it is None."""
    shown = ["–" if value is None else number(value, 3) for value in (loss, dense_loss)]
    first = spans(*first_sentence(view.levels, view.bits, view.method, held, grouped=view.grouped))
    tail = spans(*error_said(view.error, view.best_error, view.bits, view.method, grouped=view.grouped))
    tail += spans(*loss_said(dense_loss, loss, text, every=view.all_layers))
    costs = (*view.costs[:5], ("loss, nats per token", shown[0], shown[1]))
    return replace(
        view, readout=(*first, *tail), tail=tail, losses=(dense_loss, loss), costs=costs, table=[*map(list, costs)]
    )


def _dense_name(cost: Cost) -> str:
    return "bf16" if cost.dense_bits == 16 else "float32"


def _costs(cost: Cost) -> tuple[tuple[str, str, str], ...]:
    return (
        ("bits a weight", f"{cost.bits_per_weight:.2f}", f"{cost.dense_bits:.2f}"),
        ("bytes", n_bytes(cost.n_bytes), n_bytes(cost.n_weights * cost.dense_bits / 8)),
        ("mean squared error", shown_error(cost.error), "0"),
        ("its root (RMSE)", shown_error(cost.error**0.5), "0"),
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


class QuantizationBins(LabWidget):
    """A layer's weights and their levels, chosen by a method or dragged by hand, with error, bytes and loss.

    `text`: what the loss is measured on: "town" (held-out documents of the town), "prose" (a page that no model has
    read), a text or texts of your own, or None; by default prose for a model of more than 20 M parameters, which
    never heard of the town. `levels` (in units of the spread) set by hand switches the method to "hand".
    """

    kind = "quantization_bins"
    slow = True
    controls = ("layer", "bits", "method", "group", "scope", "start_over")

    layer = traitlets.Unicode().tag(sync=True, control=Control("select", "Layer"))
    bits = traitlets.Int(2, min=1, max=8).tag(sync=True, control=Control("slider", "Bits a weight", min=1, max=8))
    method = traitlets.Enum(list(METHODS), "minmax").tag(
        sync=True, control=Control("select", "Levels by", options=tuple(METHODS.items()))
    )
    group = traitlets.Enum(["all", "row", "128", "32"], "all").tag(
        sync=True, control=Control("segments", "Group", options=tuple((g, g) for g in ("all", "row", "128", "32")))
    )
    scope = traitlets.Enum(["layer", "all"], "layer").tag(
        sync=True, control=Control("segments", "Quantized", options=(("layer", "this layer"), ("all", "all layers")))
    )
    start_over = traitlets.Bool().tag(sync=True, control=Control("button", "Reset", secondary=True))
    levels = traitlets.List(traitlets.Float(), help="levels set by hand, ascending").tag(sync=True)
    held = traitlets.Int(-1, help="the level in hand").tag(sync=True)
    _bins = traitlets.Bytes().tag(sync=True)

    def __init__(self, model: TextModel, *, text: str | Sequence[str] | None = "held-out", **traits: Any) -> None:
        self._model, self.heavy = model, heavy(model)
        self._layers = {layer.name: layer for layer in linear_layers(model)}
        self._text = held_out(model, text)
        self._dense_loss = self._text.loss(model.model) if self._text and not self.heavy else None
        self._now: tuple[tuple[str, int, str, str, str], list[float]] = (("", 0, "", "", ""), [])
        self._known: dict[tuple[str, int, str, str, str], QuantizationBinsView] = {}
        self._automatic = "minmax"  # the method that levels set by hand begin from
        self._first_levels, self._first_held = list(traits.get("levels", [])), traits.get("held", -1)
        if self._first_levels:
            traits.setdefault("method", "hand")
            traits.setdefault("bits", max(1, (len(self._first_levels) - 1).bit_length()))
        traits.setdefault("layer", first_layer(list(self._layers)))
        options = {"layer": {"options": tuple((n, n.removeprefix("blocks.")) for n in self._layers)}}
        super().__init__(options=options, **traits)
        self.observe(self._levels_set, "levels")

    @traitlets.validate("layer")
    def _known_layer(self, proposal: Any) -> str:
        if proposal.value not in self._layers:
            known = ", ".join(list(self._layers)[:3])
            raise traitlets.TraitError(f"{self._model.name} has no linear layer {proposal.value!r}; it has {known}, …")
        return str(proposal.value)

    @traitlets.observe("method", "bits")
    def _keep_together(self, change: Any) -> None:
        """NF4 has 4 bits; levels by hand hold for the number of bits that they were set at."""
        if self.method == "nf4" and self.bits != 4:
            if change.name == "method":
                self.bits = 4
            else:
                self.method = "kmeans"
        if self.method != "hand":
            self._automatic = self.method
            self.levels = []
        elif change.name == "bits" and len(self.levels) != 2**self.bits:
            self.levels = []

    def _levels_set(self, _: Any) -> None:
        if not self.levels:
            return
        if self.method != "hand" or 2**self.bits != len(self.levels):
            with self.hold_trait_notifications():
                self.bits = max(1, (len(self.levels) - 1).bit_length())
                self.method = "hand"
        self.refresh()

    def clicked(self, name: str) -> None:
        """The one button, Reset."""
        self.reset()

    def reset(self) -> None:
        """Back to what the cell made, levels included."""
        super().reset()
        self.held = self._first_held
        self.levels = list(self._first_levels)

    def compute(self) -> QuantizationBinsView:
        shown, group = self._layers[self.layer], self.group
        method, levels = self.method, sorted(self.levels)
        if method == "hand" and len(levels) < 2:
            start = "kmeans" if self._automatic == "nf4" and self.bits != 4 else self._automatic
            levels = list(shown.by_method(self.bits, start, group).levels)
        self._counted = shown.bins(group).sums.tobytes()
        key = (self.layer, self.bits, method, group, self.scope)
        if method != "hand" and key in self._known:  # a lecturer goes back and forth between two settings
            return self._known[key]
        if self.heavy:
            self._forget(shown)
        self._now = key, levels
        view = quantization_bins_view(
            self._model,
            self._quantized(shown),
            shown,
            self._text,
            bits=self.bits,
            method=method,
            group=group,
            levels=levels,
            held=self.held,
            dense_loss=self._dense_loss,
            measure=not self.heavy,
        )
        if method != "hand":
            self._known[key] = view
        return view

    def complete(self, view: View) -> QuantizationBinsView | None:
        """The loss of a large model takes seconds: the bins are there before it."""
        assert isinstance(view, QuantizationBinsView)
        if self._text is None or view.losses[1] is not None:
            return None
        key, levels = self._now
        shown = self._layers[key[0]]
        if self._dense_loss is None:
            self._dense_loss = self._text.loss(self._model.model)
        _, bits, method, group, _ = key
        results = quantized_layers(self._quantized(shown), bits=bits, method=method, group=group, levels=levels)
        loss = loss_with(self._model, self._text, results)
        self._forget(shown)
        done = with_loss(view, self._text, self._dense_loss, loss, self.held)
        if method != "hand":
            self._known[key] = done
        return done

    def _quantized(self, shown: LayerWeights) -> list[LayerWeights]:
        return list(self._layers.values()) if self.scope == "all" else [shown]

    def _forget(self, shown: LayerWeights) -> None:
        for layer in self._layers.values():
            if layer is not shown:
                layer.forget()

    def publish(self, view: View) -> None:
        """The bins go beside the view, and only when they change."""
        self._bins = self._counted
        super().publish(view)
