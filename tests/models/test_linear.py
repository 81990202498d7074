"""A linear layer that computes from packed weights, and whole models made of such layers."""

import io
import math

import pytest
import torch
from torch import nn

import lmlab
from lmlab.models.linear import QuantizedLinear, quantize_model, with_weights
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.quantization import METHODS, has_bits, quantize


def linear(out: int, into: int, *, bias: bool = False) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(into, out, bias=bias)


def small_model() -> Transformer:
    return Transformer(TransformerConfig.tiny(vocab_size=300, d_model=64, n_layers=2), seed=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("group", [None, "row", 32, 12])
@pytest.mark.parametrize("bias", [False, True])
def test_it_equals_a_linear_layer_of_the_dequantized_weights(method, group, bias):
    layer = linear(45, 64, bias=bias)
    x = torch.randn(2, 7, 64)
    for bits in filter(lambda bits: has_bits(method, bits), (1, 2, 3, 4, 5, 8)):
        packed = QuantizedLinear.from_linear(layer, bits, method=method, group_size=group)
        weights = quantize(layer.weight, bits, method, group).dequantize()
        expected = nn.functional.linear(x, weights, layer.bias)
        assert (packed(x) - expected).abs().max() < 1e-5


def test_a_large_layer_is_multiplied_block_by_block():
    layer = linear(3001, 256)
    x = torch.randn(3, 256)
    packed = QuantizedLinear.from_linear(layer, 3, method="minmax", group_size=64)
    assert (packed(x) - x @ packed.quantized.dequantize().T).abs().max() < 1e-5


def test_its_state_really_is_small():
    packed = QuantizedLinear.from_linear(linear(512, 128), 2)
    stored = io.BytesIO()
    torch.save(packed.state_dict(), stored)
    assert sum(t.numel() * t.element_size() for t in packed.state_dict().values()) == packed.n_bytes
    assert packed.n_bytes == 512 * 128 * 2 // 8 + 4
    assert stored.tell() < 512 * 128 * 4 / 8
    held = [t for t in [*packed.parameters(), *packed.buffers()] if t.numel() >= 512 * 128]
    assert not held


def test_its_state_loads_into_a_layer_of_the_same_shape():
    source, target = (QuantizedLinear.from_linear(linear(16, 32), 3, group_size=8) for _ in range(2))
    target.packed.zero_()
    target.load_state_dict(source.state_dict())
    x = torch.randn(4, 32)
    assert torch.equal(source(x), target(x))


def test_gradients_pass_through_it():
    layer = QuantizedLinear.from_linear(linear(6, 8, bias=True), 4)
    x = torch.randn(3, 8, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert x.grad.numpy() == pytest.approx(layer.quantized.dequantize().sum(0).expand(3, 8).numpy(), abs=1e-6)


def test_a_model_of_few_bits_is_a_model():
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ids = torch.randint(300, (2, 20))
    eight = quantize_model(model, 8, "absmax", "row")
    assert all(isinstance(eight.blocks[i].mlp.up, QuantizedLinear) for i in range(2))
    assert (eight.log_probs(ids) - model.log_probs(ids)).abs().max() < 0.05
    one_by_one, state = eight.next_log_probs(ids[:, :19])
    one_by_one, _ = eight.next_log_probs(ids[:, 19:], state)
    assert one_by_one.numpy() == pytest.approx(eight.log_probs(ids)[:, -1].numpy(), abs=1e-4)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert lmlab.quantize_model is quantize_model


def test_it_equals_the_model_with_those_weights_put_in_by_hand():
    model, by_hand = small_model(), small_model()
    with torch.no_grad():
        for name, weight in by_hand.named_parameters():
            if weight.dim() == 2 and "embedding" not in name:
                weight.copy_(quantize(weight, 3, "kmeans", 32).dequantize())
    ids = torch.randint(300, (1, 30))
    difference = quantize_model(model, 3, "kmeans", 32).log_probs(ids) - by_hand.log_probs(ids)
    assert difference.abs().max() < 1e-4


def test_an_output_layer_tied_to_the_embedding_is_left_tied():
    few = quantize_model(small_model(), 4)
    assert few.unembedding.weight is few.embedding.weight
    assert isinstance(quantize_model(small_model(), 4, only=["unembedding"]).unembedding, QuantizedLinear)


def test_only_picks_layers():
    def packed(**only) -> list[str]:
        few = quantize_model(small_model(), 4, **only)
        return [name for name, layer in few.named_modules() if isinstance(layer, QuantizedLinear)]

    assert packed(only=["blocks.1.mlp.*"]) == [f"blocks.1.mlp.{part}" for part in ("gate", "up", "down")]
    assert packed(only="blocks.0.mlp.up") == ["blocks.0.mlp.up"]
    assert packed(only=lambda name: name.endswith("down")) == ["blocks.0.mlp.down", "blocks.1.mlp.down"]


def test_full_size_weights_are_not_copied_on_the_way():
    model = nn.Sequential(nn.Linear(1024, 1024), nn.Linear(1024, 4))
    few = quantize_model(model, 2)
    assert sum(t.numel() * t.element_size() for t in [*few.parameters(), *few.buffers()]) < 300_000


def test_weights_are_tried_out_in_a_copy_that_shares_the_rest():
    model, ids = small_model(), torch.randint(300, (1, 9))
    before = model.log_probs(ids)
    zero = with_weights(model, {"blocks.0.mlp.down": torch.zeros_like(model.blocks[0].mlp.down.weight)})
    assert zero.embedding.weight is model.embedding.weight is zero.unembedding.weight
    assert zero.blocks[1].mlp.up.weight.data_ptr() == model.blocks[1].mlp.up.weight.data_ptr()
    assert not torch.equal(zero.log_probs(ids), before)
    assert torch.equal(model.log_probs(ids), before)
    with pytest.raises(ValueError, match=r"norm is not a linear layer of shape \(3, 4\)"):
        with_weights(model, {"norm": torch.zeros(3, 4)})


def test_refusals_name_the_layer_and_the_way_out():
    model = small_model()
    with pytest.raises(ValueError, match=r"no linear layer matches \['layers.0'\].*blocks.0.attention"):
        quantize_model(model, 4, only=["layers.0"])
    with torch.no_grad():
        model.blocks[1].mlp.up.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match=r"blocks.1.mlp.up: 1 of .* weights are NaN"):
        quantize_model(model, 4)
    with pytest.raises(TypeError, match="needs a torch model"):
        quantize_model("town", 4)
    with pytest.raises(ValueError, match="needs a matrix"):
        QuantizedLinear(quantize(torch.ones(8), 4))
