"""Memory by arithmetic, held against published figures, and against bytes that PyTorch really takes."""

from __future__ import annotations

import math
import random

import pytest
import torch

from lmlab.devices import GPUS
from lmlab.models.kv_cache import KVCache
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.systems.activations import korthikanti_layer_bytes, layer_bytes
from lmlab.systems.measured import measured_memory
from lmlab.systems.memory import gpus_needed, inference_memory, kv_cache_bytes, training_memory
from lmlab.systems.published import PUBLISHED

# ---------------------------------------------------------------- the lecture's figures, and published ones


def test_the_lecture_s_seventy_billion():
    assert inference_memory(70e9).total == 140e9
    use = training_memory(70e9)
    assert use.total == 8 * 140e9 == 1.12e12
    assert use.parts == {"weights": 140e9, "gradients": 140e9, "master": 280e9, "moments": 560e9}
    assert gpus_needed(use) == 14  # and not one byte left in them for an activation
    assert use.total == 14 * GPUS["H100"].n_bytes
    assert gpus_needed(use.total + 1) == 15


def test_fp32_costs_the_same_sixteen_bytes_split_otherwise():
    mixed, full, eight = (training_memory(1e9, precision=p) for p in ("mixed", "fp32", "8-bit moments"))
    assert mixed.total == full.total == 16e9
    assert full.parts == {"weights": 4e9, "gradients": 4e9, "moments": 8e9}
    assert eight.total == pytest.approx(10e9, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "n_params"),
    [  # numbers of weights in the files on the Hugging Face hub, by their safetensors headers
        ("Llama 3 8B", 8_030_261_248),
        ("Llama 3 70B", 70_553_706_496),
        ("Llama 3 405B", 405_853_388_800),
        ("SmolLM2 135M", 134_515_008),
    ],
)
def test_published_shapes_have_the_published_numbers_of_weights(name, n_params):
    assert PUBLISHED[name].n_params == n_params


def test_gpt_3_has_175_billion():
    assert round(PUBLISHED["GPT-3 175B"].n_params / 1e9) == 175


def test_the_kv_cache_of_llama_3_70b():
    config = PUBLISHED["Llama 3 70B"]
    assert kv_cache_bytes(config, width=2) == 327_680  # 2 * 80 layers * 8 heads * 128 numbers * 2 bytes
    assert inference_memory(config, S=8192).cache == pytest.approx(2.68e9, rel=2e-3)
    # Were every query head to have keys and values of its own, as in GPT-3, it would be H / K = 8 times as much.
    each = TransformerConfig(vocab_size=1, d_model=8192, n_layers=80, n_heads=64)
    assert kv_cache_bytes(each, width=2) == 8 * kv_cache_bytes(config, width=2)


@pytest.mark.parametrize(
    ("a", "s", "h", "share", "saved"), [(96, 2048, 12_288, 80, 70), (128, 2048, 20_480, 64, 65)], ids=["GPT-3", "530B"]
)
def test_korthikanti_s_two_models(a, s, h, share, saved):
    """Section 5 of the paper: 5as/h is 80 and 64, and attention's part 70 % and 65 % of a layer's activations."""
    whole, rest = korthikanti_layer_bytes(s=s, b=1, h=h, a=a), 34 * s * h
    assert whole / (s * h) - 34 == pytest.approx(share)
    assert 100 * (1 - rest / whole) == pytest.approx(saved, abs=0.5)


def test_ours_is_korthikanti_s_count_less_dropout_and_the_scores():
    rng = random.Random()
    for _ in range(20):
        a, b, s = rng.randint(1, 16), rng.randint(1, 9), rng.randint(1, 500)
        h = a * 2 * rng.randint(1, 64)
        gpt = TransformerConfig(
            vocab_size=10, max_seq_len=500, d_model=h, n_heads=a, norm="layer", position="learned", mlp="gelu"
        )
        statistics = 4 * (4 + a) * s * b  # two norms' means and deviations, and the kernel's sum for each row, float32
        dropout, scores = 2 * s * b * h, 5 * a * s * s * b
        ours = layer_bytes(gpt, B=b, T=s, width=2)
        published = round(korthikanti_layer_bytes(s=s, b=b, h=h, a=a))
        assert ours == published - dropout - scores + statistics


# ---------------------------------------------------------------- a live step


def random_config(rng: random.Random) -> TransformerConfig:
    heads, kv_heads = rng.choice([(1, 1), (4, 4), (4, 2), (6, 3), (6, 1)])
    return TransformerConfig(
        vocab_size=rng.randint(20, 1500),
        max_seq_len=80,
        d_model=8 * rng.randint(2, 20),
        n_layers=rng.randint(1, 5),
        n_heads=heads,
        n_kv_heads=kv_heads,
        d_head=rng.choice((4, 8, 16)),
        d_ff=rng.randint(8, 400),
        norm=rng.choice(("rms", "layer")),
        position=rng.choice(("rope", "learned")),
        mlp=rng.choice(("swiglu", "gelu")),
        bias=rng.random() < 0.5,
        qk_norm=rng.random() < 0.3,
        tie_embeddings=rng.random() < 0.5,
    )


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_prediction_is_what_a_step_takes(checkpointing):
    rng = random.Random()
    for _ in range(5):
        config = random_config(rng)
        B, T = rng.randint(1, 6), rng.randint(1, 80)
        ids = torch.randint(config.vocab_size, (B, T))
        measured = measured_memory(Transformer(config), ids, checkpointing=checkpointing)
        predicted = training_memory(config, B=B, T=T, precision="fp32", checkpointing=checkpointing)
        for part in ("weights", "gradients", "master", "moments", "activations"):
            assert getattr(measured, part) == getattr(predicted, part), f"{part} of {config}, B={B}, T={T}"
        assert measured.peak == pytest.approx(predicted.peak, rel=0.05), f"{config}, B={B}, T={T}"


@pytest.mark.parametrize("norm", ["rms", "layer"])
@pytest.mark.parametrize("mlp", ["swiglu", "gelu"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_peak_of_lopsided_shapes(norm, mlp, checkpointing):
    """A vocabulary or an MLP smaller than the stream: then a step is fullest at a norm or at the MLP's input."""
    for V, F, tied in ((20, 8, True), (150, 30, False)):
        config = TransformerConfig(
            vocab_size=V, max_seq_len=80, d_model=128, n_layers=2, n_heads=4, d_head=4, d_ff=F, norm=norm, mlp=mlp,
            position="learned", tie_embeddings=tied,
        )  # fmt: skip
        measured = measured_memory(Transformer(config), torch.randint(V, (5, 70)), checkpointing=checkpointing)
        predicted = training_memory(config, B=5, T=70, precision="fp32", checkpointing=checkpointing)
        assert measured.peak == pytest.approx(predicted.peak, rel=0.05), f"{config}"


def test_checkpointing_trades_activations_for_a_second_forward_pass():
    config = TransformerConfig(vocab_size=50, d_model=64, n_layers=8, n_heads=4, max_seq_len=64)
    ids = torch.randint(50, (4, 64))
    plain, less = (measured_memory(Transformer(config), ids, checkpointing=c) for c in (False, True))
    assert less.activations < plain.activations / 5
    assert less.peak < plain.peak
    assert less.weights == plain.weights


def test_measuring_leaves_the_model_alone(capfd):
    model = Transformer(TransformerConfig(vocab_size=40, d_model=16, n_layers=1, n_heads=2))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    measured_memory(model, torch.randint(40, (2, 9)), checkpointing=True)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert capfd.readouterr().err == ""  # torch's profiler writes a log of its own


def test_a_real_cache_has_the_predicted_bytes():
    rng = random.Random()
    for _ in range(6):
        config = random_config(rng)
        B, S = rng.randint(1, 4), rng.randint(1, 80)
        cache = KVCache()
        with torch.no_grad():
            Transformer(config)(torch.randint(config.vocab_size, (B, S)), cache=cache)
        assert cache.n_bytes == inference_memory(config, B=B, S=S, weight_bits=32, cache_bits=32).cache


# ---------------------------------------------------------------- what is refused


def test_impossible_sliders_are_refused_from_arithmetic():
    config = PUBLISHED["Llama 3 405B"]
    assert training_memory(config, B=10_000).total > 1e15  # counted, not allocated
    for given, said in (({"B": 0}, "B must be"), ({"B": 1.5}, "B must be"), ({"T": 9000}, "longer than")):
        with pytest.raises(ValueError, match=said):
            training_memory(config, **given)
    with pytest.raises(ValueError, match="choose one of mixed, fp32"):
        training_memory(config, precision="fp8")
    for wrong in (0, -1, math.inf, math.nan, True):
        with pytest.raises(ValueError, match="number of weights"):
            training_memory(wrong)
    with pytest.raises(ValueError, match="weight_bits"):
        inference_memory(7e9, weight_bits=0)
    with pytest.raises(ValueError, match="choose one of T4"):
        gpus_needed(1e9, "H1000")


def test_a_step_that_cannot_fit_is_refused_before_it_is_taken():
    model = Transformer(TransformerConfig(vocab_size=50, d_model=16, n_layers=1, n_heads=1, max_seq_len=100_000))
    ids = torch.zeros(1, 1, dtype=torch.long).expand(40_000, 90_000)  # one id, shown many times
    with pytest.raises(ValueError, match="are free: give fewer or shorter texts"):
        measured_memory(model, ids)
