"""Why a level at zero matters: one input that carries more than all others, and the weights that leave it unread.

In many trained models one input of a layer, out of hundreds, is so large that it alone is most of what flows in
(Sun et al. 2024, "Massive Activations in Large Language Models", arXiv 2402.17762). A matrix that has no use for it
has weights near zero there; levels without a zero make each of them half a step, and the flood comes in. To see
whether that is what costs, leave these few weights as they were (as AWQ does with the scales of its most active
inputs, Lin et al. 2023, arXiv 2306.00978). Lecture: "quantization", "a low-loss metric".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lmlab.assets import asset
from lmlab.models.linear import own_linear_layers, with_weights
from lmlab.quantization.groups import GroupSize
from lmlab.text_model import TextModel
from lmlab.training.held_out_loss import HeldOut, held_out
from lmlab.training.quantization_study import Setting, stored_as

EXACT_BYTES = 2  # a weight that stays as it was is stored as float16


@dataclass(frozen=True)
class LargestInput:
    """The input of a linear layer that carries most: its share of all inputs' energy (mean square), and the size of
    the weights that read it beside that of all the layer's weights (root mean square)."""

    layer: str
    share: float
    its_weights: float


@dataclass(frozen=True)
class ExactPoint:
    """A model stored by one method, but for the weights of `n_exact` inputs in every layer; loss in nats a token."""

    method: str
    bits: int
    group_size: GroupSize
    n_exact: int
    bits_per_weight: float
    error: float
    loss: float


@torch.no_grad()
def input_energies(model: TextModel, text: HeldOut) -> dict[str, Tensor]:
    """The mean square of every input of every linear layer over a text, by the layer's name: (in,), float64.

    Raises ValueError for a model without linear layers of its own.
    """
    inside: Any = model.model
    layers = own_linear_layers(inside) if isinstance(inside, nn.Module) else {}
    if not layers:
        raise ValueError(f'{model.name} has no linear layers to look into: try lab.load("town").')
    total = {name: torch.zeros(layer.in_features, dtype=torch.float64) for name, layer in layers.items()}
    n_rows = dict.fromkeys(layers, 0)

    def watch(name: str) -> Any:
        def seen(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            rows = given[0].reshape(-1, given[0].shape[-1]).double().cpu()
            total[name] += rows.square().sum(0)
            n_rows[name] += len(rows)

        return seen

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        for ids, lengths in text.batches:
            for row, n in zip(ids, lengths.tolist(), strict=True):
                inside.log_probs(row[None, : n - 1])  # without what a row is filled up with
    finally:
        for hook in hooks:
            hook.remove()
    return {name: total[name] / max(1, n_rows[name]) for name in layers}


def largest_inputs(model: TextModel, text: HeldOut | None = None) -> list[LargestInput]:
    """For every linear layer the input that carries most, and how the layer's weights treat it.

    `text` is what flows through, by default what `held_out` takes for this model.
    """
    energies = input_energies(model, _text(model, text))
    layers = own_linear_layers(model.model)  # type: ignore[arg-type]
    found = []
    for name, energy in energies.items():
        weight, top = layers[name].weight.detach().double(), int(energy.argmax())
        size = float(weight[:, top].square().mean().sqrt() / weight.square().mean().sqrt())
        found.append(LargestInput(name, float(energy[top] / energy.sum()), size))
    return found


def exact_inputs_curve(
    model: TextModel,
    text: HeldOut | None = None,
    *,
    settings: Sequence[tuple[str, int, GroupSize]] = (("absmax", 3, 32), ("integer", 3, 32)),
    n_exact: Sequence[int] = (0, 1, 2, 4),
) -> Iterator[ExactPoint]:
    """The loss with all linear layers stored by each setting, but for the inputs that carry most, `n_exact` of them.

    Which they are is found on the same text. Raises ValueError for more inputs than the smallest layer has.
    """
    inside: Any = model.model
    measured = _text(model, text)
    energies = input_energies(model, measured)
    weights = {name: layer.weight.detach().float() for name, layer in own_linear_layers(inside).items()}
    energy = sum(float(weight.double().square().sum()) for weight in weights.values()) or 1.0
    n_weights = sum(weight.numel() for weight in weights.values())
    least = min(weight.shape[1] for weight in weights.values())
    if not all(0 <= n <= least for n in n_exact):
        raise ValueError(f"every layer has at least {least} inputs, and no fewer than 0 of them can stay exact.")
    for setting in (Setting(*one) for one in settings):
        stored = {name: stored_as(weight, setting) for name, weight in weights.items()}
        for n in n_exact:
            few, error, n_bytes = {}, 0.0, 0
            for name, (values, size) in stored.items():
                few[name] = values.clone()
                kept = energies[name].topk(n).indices
                few[name][:, kept] = weights[name][:, kept]
                error += float((few[name] - weights[name]).double().square().sum())
                n_bytes += size + EXACT_BYTES * weights[name][:, kept].numel()
            loss = measured.loss(with_weights(inside, few))
            yield ExactPoint(*setting, n, 8 * n_bytes / n_weights, error / energy, loss)


def _text(model: TextModel, text: HeldOut | None) -> HeldOut:
    found = text or held_out(model)
    assert found is not None, "the text that is there by default has tokens"
    return found


def kept_exact_inputs() -> tuple[tuple[ExactPoint, ...], tuple[LargestInput, ...]]:
    """SmolLM2's points with its largest inputs kept exact, and these inputs; `tools/exact_inputs.py` wrote them."""
    kept = json.loads(asset("quantization/exact_inputs.json").read_text(encoding="utf-8"))
    points = tuple(ExactPoint(*row) for row in kept["points"])
    return points, tuple(LargestInput(*row) for row in kept["largest_inputs"])
