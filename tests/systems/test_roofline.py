"""The roofline: data sheets' ridges, intensities from the tensors that really run, speeds from a clock that is ours."""

from __future__ import annotations

import math
import random

import pytest
import torch
import torch.nn.functional as F

from lmlab.systems import roofline as module
from lmlab.systems.roofline import (
    GPU_ROOFS,
    Roof,
    attention_seconds,
    kernels,
    measured_roofline,
    placed_under,
    plain_attention,
)


def test_ridges_of_data_sheets():
    ridges = {name: round(roof.ridge) for name, roof in GPU_ROOFS.items()}
    assert ridges == {"A100": 153, "H100": 295, "H200": 206, "MI300X": 247}


def test_attainable_is_the_lower_of_two_limits():
    draw = random.Random()
    for _ in range(50):
        roof = Roof("any", 10 ** draw.uniform(9, 15), 10 ** draw.uniform(9, 13), 4, "made up")
        for factor in (0.01, 0.5, 1, 2, 100):
            intensity = roof.ridge * factor
            assert roof.attainable(intensity) == pytest.approx(roof.peak_flops * min(1, factor))
    for wrong in (0, -1, math.nan, math.inf, "1"):
        with pytest.raises(ValueError, match="positive number of FLOPs per byte"):
            roof.attainable(wrong)


@pytest.fixture
def small(monkeypatch):
    """The same kernels, small: their names and arithmetic follow."""
    monkeypatch.setattr(module, "SIDE", 96)
    monkeypatch.setattr(module, "PRODUCTS", (8, 32, 64))
    monkeypatch.setattr(module, "LENGTH", 80)


def test_traffic_is_the_size_of_the_tensors_that_run(small):
    x, n = torch.empty(96, 96), 96
    size = {
        "matrix × vector": x.nbytes + 2 * x[0].nbytes,
        "softmax": 2 * x.nbytes,
        "layer norm": 2 * x.nbytes + 2 * x[0].nbytes,
        **{f"product of {m}": 3 * torch.empty(m, m).nbytes for m in (8, 32, 64)},
    }
    works = {work.name: work for work in kernels()}
    for name, n_bytes in size.items():
        assert works[name].n_bytes == n_bytes
    # multiplications and additions counted one by one: each of n rows and each of 8 × 8 cells
    assert works["matrix × vector"].flops == sum(2 for _ in range(n) for _ in range(n))
    assert works["product of 8"].flops == sum(2 for _ in range(8) for _ in range(8) for _ in range(8))
    naive, fused = works["attention, naive"], works["attention, fused"]
    assert naive.flops == fused.flops == 2 * 80 * 80 * (2 * 64 * 2 + 5), "fusing saves traffic, not arithmetic"
    assert naive.n_bytes == 2 * 4 * (4 * 80 * 64 + 4 * 80 * 80)
    assert fused.n_bytes == 2 * 4 * 4 * 80 * 64, "one tile: everything once"
    assert {w.name: w.intensity for w in kernels(2)} == pytest.approx({w.name: 2 * w.intensity for w in kernels(4)})


def test_under_an_h100_only_large_products_and_fused_attention_come_near_the_ridge():
    placed = {p.work.name: p for p in placed_under(GPU_ROOFS["H100"])}
    assert all(p.measured is None and p.share is None for p in placed.values())
    assert placed["product of 1,024"].attainable == GPU_ROOFS["H100"].peak_flops
    assert placed["matrix × vector"].attainable / GPU_ROOFS["H100"].peak_flops == pytest.approx(1 / 295, rel=0.01)
    assert placed["attention, naive"].work.intensity < 40
    assert placed["attention, fused"].work.intensity > 200


def test_what_is_timed_computes_what_its_name_says(small):
    runs = module._runs(torch.device("cpu"))
    assert set(runs) == {"copy", *(work.name for work in kernels())}
    x = runs["copy"]().clone()
    assert torch.allclose(runs["softmax"](), x.softmax(-1), atol=1e-6)
    normed = runs["layer norm"]()
    vector = normed[0] / (F.layer_norm(x, (96,))[0] + 1)  # scale and shift are one vector
    assert torch.allclose(runs["matrix × vector"](), x @ vector, atol=1e-3)
    assert torch.allclose(runs["product of 8"](), x[:8, :8] @ x[-8:, -8:], atol=1e-5)
    assert torch.allclose(runs["attention, naive"](), runs["attention, fused"](), atol=1e-5)


def test_speeds_are_operations_over_the_clocks_seconds(small, monkeypatch):
    seconds = {name: 1e-3 * (i + 1) for i, name in enumerate(module._runs(torch.device("cpu")))}
    monkeypatch.setattr(module, "_best_seconds", lambda runs, device: {name: seconds[name] for name in runs})
    roof, placed = measured_roofline("cpu")
    for p in placed:
        assert p.measured == pytest.approx(p.work.flops / seconds[p.work.name])
        assert p.attainable == pytest.approx(min(roof.peak_flops, p.work.intensity * roof.bandwidth))
        assert p.share == pytest.approx(p.measured / p.attainable)
    reading = 4 * (96 * 96 + 2 * 96) / seconds["matrix × vector"]
    assert roof.bandwidth == pytest.approx(max(2 * 4 * 96 * 96 / seconds["copy"], reading))
    assert roof.peak_flops == max(p.measured for p in placed if p.work.name.startswith("product"))
    assert "float32" in roof.source


def test_the_clock_sees_which_of_two_is_longer():
    short, long = torch.rand(16, 16), torch.rand(512, 512)
    runs = {"short": lambda: short @ short, "long": lambda: long @ long}
    seconds = module._best_seconds(runs, torch.device("cpu"))
    assert seconds["long"] > 3 * seconds["short"] > 0


def test_plain_attention_is_torchs():
    g = torch.Generator().manual_seed(2)
    q, k, v = (torch.randn(2, 3, 19, 8, generator=g) for _ in range(3))
    for causal in (True, False):
        expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        assert torch.allclose(plain_attention(q, k, v, causal), expected, atol=1e-5)


def test_compiling_is_on_request_and_its_failure_a_sentence(monkeypatch):
    def none(*_, **__):
        raise ValueError("No working C++ compiler found\nand a long story")

    monkeypatch.setattr(torch, "compile", none)
    assert set(attention_seconds(32)) == {"naive", "fused"}
    with pytest.raises(
        RuntimeError, match=r"made no kernel here \(No working C\+\+ compiler found\).*Leave compile=False"
    ):
        attention_seconds(32, compile=True)


@pytest.mark.by_hand
def test_a_compiled_kernel_computes_the_same():
    g = torch.Generator().manual_seed(2)
    q, k, v = (torch.randn(1, 2, 64, 16, generator=g) for _ in range(3))
    compiled = module._compiled(q, k, v, True)
    assert torch.allclose(compiled(q, k, v, is_causal=True), plain_attention(q, k, v), atol=1e-5)
    assert set(attention_seconds(64, compile=True)) == {"naive", "fused", "compiled"}
