"""QuantizationBins: a layer's weights, the few levels they may keep, and what that costs the model.

The page holds the weights as fine bins, so that a dragged level answers within a frame; the exact error and the
model's loss with these weights come from the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import traitlets

from lmlab.quantization import has_bits
from lmlab.text_model import TextModel
from lmlab.training.held_out_loss import held_out
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._bins_view import QuantizationBinsView, Rival, loss_with, quantization_bins_view, with_loss
from lmlab.widgets._weights import LayerWeights, cost_of, first_layer, linear_layers, quantized_layers

METHODS = {
    "minmax": "min-max",
    "absmax": "absmax",
    "integer": "integer",
    "mse": "MSE",
    "kmeans": "k-means",
    "nf4": "NF4",
    "hand": "by hand",
}


class QuantizationBins(LabWidget):
    """A layer's weights and their levels, chosen by a method or dragged by hand, with error, bytes and loss.

    `text`: what the loss is measured on: "town" (held-out documents of the town), "prose" (a page that no model has
    read), a text or texts of your own, or None; by default prose for a model of more than 20 M parameters, which
    never heard of the town. `levels` (in units of the spread) set by hand switches the method to "hand".
    """

    kind = "quantization_bins"
    parts = ("level_cost",)
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
        self._rivals: dict[tuple[str, int, str, str], Rival] = {}
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
        """NF4 has 4 bits, integer 2 or more; levels by hand hold for the number of bits that they were set at."""
        if not has_bits(self.method, self.bits):
            if change.name == "method":
                self.bits = 4 if self.method == "nf4" else 2
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
        start = self._automatic if has_bits(self._automatic, self.bits) else "kmeans"
        first = shown.by_method(self.bits, start, group).levels
        if method == "hand" and len(levels) < 2:
            levels = list(first)
        bins = shown.bins(group, [*first, *self._first_levels])  # what is dragged does not move the axis
        self._counted = bins.sums.tobytes()
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
            bins,
            self._text,
            bits=self.bits,
            method=method,
            group=group,
            levels=levels,
            held=self.held,
            dense_loss=self._dense_loss,
            rival=self._rival(shown) if method == "hand" and not (self.heavy and self.scope == "all") else None,
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
        if view.rival is None and len(view.costs[0]) > 3:
            view = replace(view, rival=self._rival(shown, measure=True).loss)
        self._forget(shown)
        done = with_loss(view, self._text, self._dense_loss, loss, self.held)
        if method != "hand":
            self._known[key] = done
        return done

    def _rival(self, shown: LayerWeights, *, measure: bool = False) -> Rival:
        """What levels set by hand compete with; of a large model its loss is measured where there is time."""
        key = (self.layer, self.bits, self.group, self.scope)
        known = self._rivals.get(key)
        if known is None or (measure and known.loss is None):
            layers = self._quantized(shown)
            results = quantized_layers(layers, bits=self.bits, method="kmeans", group=self.group, levels=())
            loss = loss_with(self._model, self._text, results) if measure or not self.heavy else None
            self._rivals[key] = known = Rival(cost_of(layers, results), loss)
        return known

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
