"""Counted operations against matrix products written down by hand, and against what 6 N D leaves out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lmlab.models.flops import PARTS, at_width, counted_flops
from lmlab.models.transformer import Transformer, TransformerConfig


def config(**changes: object) -> TransformerConfig:
    return TransformerConfig(**{"vocab_size": 300, "d_model": 64, "n_layers": 2, "n_heads": 2, **changes})


@pytest.mark.parametrize("changes", [{}, {"qkv_bias": True}, {"n_kv_heads": 1}, {"mlp": "gelu", "norm": "layer"}])
def test_each_part_is_the_products_written_down_by_hand(changes):
    c, T, B = config(**changes), 24, 3
    counted = counted_flops(Transformer(c), T, batch=B)
    D, L, H, E, K = c.d_model, c.n_layers, c.n_heads, c.head_width, c.kv_heads
    products = {
        "attention weights": L * B * T * D * (2 * H * E + 2 * K * E),
        "attention T·S": L * B * 2 * H * T * T * E,
        "MLP": L * B * T * D * c.ff_width * (3 if c.mlp == "swiglu" else 2),
        "output": B * T * D * c.vocab_size,
    }
    assert dict(counted.forward) == {part: 2 * n for part, n in products.items()}
    assert dict(counted.backward) == {part: 4 * n for part, n in products.items()}
    assert counted.total == 6 * sum(products.values())
    assert counted.six_n_d == 6 * sum(p.numel() for p in Transformer(c).parameters()) * B * T


def test_what_exceeds_six_n_d_is_attention_between_positions():
    c, T = config(), 48
    counted = counted_flops(Transformer(c), T)
    vectors = sum(p.numel() for p in Transformer(c).parameters() if p.dim() == 1)  # norms multiply no matrices
    excess = 12 * c.n_layers * c.d_model * T**2 - 6 * T * vectors
    assert counted.total == counted.six_n_d + excess


def test_the_ratio_tends_to_one_as_width_outgrows_the_text():
    c, T = config(), 128
    ratios = [counted_flops(at_width(c, d, max_seq_len=T), T).ratio for d in (32, 128, 512, 1024)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 1.2
    assert 1 < ratios[-1] < 1.03


def test_the_meta_device_counts_the_same_products():
    real = counted_flops(Transformer(config(max_seq_len=64)), 40)
    assert real == counted_flops(at_width(config(), 64, max_seq_len=64), 40)
    assert real == counted_flops(at_width(config(), 64, max_seq_len=64, device="cpu"), 40)
    assert tuple(real.forward) == PARTS


def test_the_model_keeps_its_weights_and_gradients():
    model = Transformer(config())
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    model.norm.weight.grad = torch.full_like(model.norm.weight, 7.0)
    counted_flops(model, 8)
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())
    assert float(model.norm.weight.grad.sum()) == 7.0 * 64
    assert model.embedding.weight.grad is None


def test_a_text_longer_than_the_context_and_an_odd_width_are_refused():
    with pytest.raises(ValueError, match="longer than the model's context of 16"):
        counted_flops(Transformer(config(max_seq_len=16)), 17)
    with pytest.raises(ValueError, match="a multiple of the heads' width, 32, not 100"):
        at_width(config(), 100, max_seq_len=16)


def test_several_threads_may_count_one_model() -> None:
    """Three widgets of one model do: each gets the count, and gradients that were there stay."""
    model = Transformer(TransformerConfig.tiny(vocab_size=300), seed=0)
    next(model.parameters()).grad = kept = torch.ones_like(next(model.parameters()))
    expected = counted_flops(model, 8)
    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(lambda _: counted_flops(model, 8), range(40)))
    assert counts == [expected] * 40
    assert next(model.parameters()).grad is kept
