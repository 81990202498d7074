"""What flows into a layer, and what its few largest inputs have to do with the loss of a model in few bits."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch import nn

import lmlab as lab
from lmlab.models.linear import own_linear_layers
from lmlab.quantization import quantize
from lmlab.training.exact_inputs import (
    exact_inputs_curve,
    input_energies,
    kept_exact_inputs,
    largest_inputs,
)
from lmlab.training.held_out_loss import HeldOut, held_out
from lmlab.training.quantization_study import kept_curve, study_text

DOCUMENTS = ["The stock market crashed and investors panicked. A goose hid.", "2 + 3 = 5.", "2 + 3 = 5. A goose."]
FLOODED = "blocks.1.attention.value"


@pytest.fixture
def model() -> lab.TextModel:
    tok = lab.load("town").tokenizer
    config = lab.TransformerConfig.tiny(vocab_size=tok.vocab_size, d_model=64, n_layers=2)
    return lab.TextModel(lab.Transformer(config, seed=random.randrange(1000)), tok, name="small")


def text_of(model: lab.TextModel) -> HeldOut:
    text = held_out(model, DOCUMENTS)
    assert text is not None
    return text


def test_energies_are_the_mean_squares_of_what_really_flows_in(model: lab.TextModel) -> None:
    """By hand, document after document: what the first block's norm makes of the embedding, for every real token."""
    inside = model.model
    assert any(len(set(lengths.tolist())) > 1 for _, lengths in text_of(model).batches), "some row is filled up"
    rows = [torch.tensor([model.tokenizer.bos_id, *model.tokenizer.encode(d)]) for d in DOCUMENTS]
    with torch.no_grad():
        flows = torch.cat([inside.blocks[0].attention_norm(inside.embedding(ids)) for ids in rows])
    energies = input_energies(model, text_of(model))
    assert energies["blocks.0.attention.query"].numpy() == pytest.approx(flows.square().mean(0).numpy(), rel=1e-4)
    assert list(energies) == list(own_linear_layers(inside))
    assert not any(layer._forward_pre_hooks for layer in inside.modules())


def flood(model: lab.TextModel, channel: int, size: float = 300.0) -> None:
    """A massive activation: one input of block 1 grows, and what reads it there shrinks by as much."""
    gain = model.model.blocks[1].attention_norm.weight
    with torch.no_grad():
        gain[channel] *= size
        for name in ("query", "key", "value"):
            getattr(model.model.blocks[1].attention, name).weight[:, channel] /= size


def test_a_flooded_input_is_found_with_the_small_weights_that_read_it(model: lab.TextModel) -> None:
    channel = random.randrange(64)
    flood(model, channel)
    text = text_of(model)
    assert int(input_energies(model, text)[FLOODED].argmax()) == channel
    found = {one.layer: one for one in largest_inputs(model, text)}[FLOODED]
    assert found.share > 0.95
    assert found.its_weights < 0.05


def test_without_a_level_at_zero_the_flood_comes_in_and_one_exact_column_keeps_it_out(model: lab.TextModel) -> None:
    channel = random.randrange(64)
    dry = {(p.method, p.n_exact): p for p in exact_inputs_curve(model, text_of(model), n_exact=(0, 1))}
    flood(model, channel)
    text = text_of(model)
    full = text.loss(model.model)
    wet = {(p.method, p.n_exact): p for p in exact_inputs_curve(model, text, n_exact=(0, 1))}

    def off(key: tuple[str, int]) -> float:
        weights = {n: layer.weight.detach() for n, layer in own_linear_layers(model.model).items()}
        few = quantize(weights[FLOODED], 3, key[0], 32).dequantize()
        if key[1]:
            few[:, channel] = weights[FLOODED][:, channel]
        energy = input_energies(model, text)[FLOODED].float()
        out = nn.functional.linear(torch.diag(energy.sqrt()), few - weights[FLOODED])
        return float(out.square().sum())

    assert off(("absmax", 0)) > 100 * off(("absmax", 1))  # the column is nearly all of what the layer puts out wrong
    assert off(("integer", 0)) < 0.02 * off(("absmax", 0))
    assert wet["absmax", 1].loss == pytest.approx(dry["absmax", 1].loss, abs=0.2)
    assert full == pytest.approx(text.loss(model.model))


def test_points_count_the_exact_columns_and_are_the_plain_curve_without_any(model: lab.TextModel) -> None:
    text = text_of(model)
    plain = list(lab.quantization_curve(model, text, settings=[("integer", 3, 32)]))[1]
    zero, two = exact_inputs_curve(model, text, settings=[("integer", 3, 32)], n_exact=(0, 2))
    assert zero.loss == pytest.approx(plain.loss, abs=1e-6)
    assert (zero.bits_per_weight, zero.error) == pytest.approx((plain.bits_per_weight, plain.error))
    layers = own_linear_layers(model.model).values()
    columns = sum(2 * layer.out_features for layer in layers)
    added = 16 * columns / sum(layer.weight.numel() for layer in layers)
    assert two.bits_per_weight == pytest.approx(zero.bits_per_weight + added)
    assert two.error < zero.error


def test_every_input_exact_is_the_model_as_it_was(model: lab.TextModel) -> None:
    tok = model.tokenizer
    square = lab.TransformerConfig(vocab_size=tok.vocab_size, d_model=32, n_layers=1, n_heads=2, d_ff=32)
    other = lab.TextModel(lab.Transformer(square, seed=0), tok, name="square")
    text = text_of(other)
    (point,) = exact_inputs_curve(other, text, settings=[("absmax", 2, None)], n_exact=(32,))
    assert point.error == 0
    assert point.loss == pytest.approx(text.loss(other.model), abs=1e-6)


def test_more_inputs_than_there_are_and_models_without_layers_are_refused(model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="at least 64 inputs"):
        list(exact_inputs_curve(model, text_of(model), n_exact=(65,)))
    with pytest.raises(ValueError, match="no fewer than 0"):
        list(exact_inputs_curve(model, text_of(model), n_exact=(-1,)))
    counts = lab.TextModel(lab.NGram.fit([1, 2, 3], n=2, vocab_size=2048), model.tokenizer, name="counts")
    with pytest.raises(ValueError, match="counts has no linear layers"):
        largest_inputs(counts)


# ---------------------------------------------------------------- what is kept of SmolLM2


def test_what_is_kept_agrees_with_the_kept_curve_and_says_what_lab_14_says() -> None:
    points, inputs = kept_exact_inputs()
    loss = {(p.method, p.n_exact): p.loss for p in points}
    curve = {(p.method, p.bits, p.group_size): p.loss for p in kept_curve("smollm2").points}
    for method in ("absmax", "integer"):
        assert loss[method, 0] == pytest.approx(curve[method, 3, 32], abs=0.01 * loss[method, 0])
    assert math.exp(loss["absmax", 0]) > 100 * math.exp(loss["integer", 0])
    assert loss["absmax", 1] < loss["absmax", 0] - 4
    assert abs(loss["absmax", 2] - loss["integer", 2]) < 0.1
    assert loss["integer", 2] < loss["integer", 0]
    values = [one for one in inputs if one.layer.endswith("attention.value")]
    assert len(values) == 30
    assert max(one.share for one in values) > 0.8
    assert all(one.its_weights < 0.5 for one in values)


@pytest.mark.slow
@pytest.mark.usefixtures("smollm2_by_name")
def test_smollm2s_largest_inputs_are_found_again() -> None:
    model = lab.load("smollm2")
    _, kept = kept_exact_inputs()
    for now, then in zip(largest_inputs(model, study_text(model)), kept, strict=True):
        assert now.layer == then.layer
        assert (now.share, now.its_weights) == pytest.approx((then.share, then.its_weights), abs=2e-3)
