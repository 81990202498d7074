"""Tokens a second and the share of the peak: held against torch's own count of operations, and against arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import lmlab as lab
from lmlab.devices import GPUS
from lmlab.models.flops import counted_flops
from lmlab.training import throughput as module
from lmlab.training.metrics import MetricLog, MetricPoint, read_metrics
from lmlab.training.run import TrainingRun
from lmlab.training.throughput import Speedometer, flops_per_token, peak_of, throughput
from tests.training.stand_ins import CountingStream, small_model

GPT2 = {"norm": "layer", "position": "learned", "mlp": "gelu", "bias": True}


def point(step: int, seconds: float, tokens: int | None = None) -> MetricPoint:
    return MetricPoint(
        step=step, loss=1.0, lr=0.1, grad_norm=1.0, tokens=step * 100 if tokens is None else tokens, seconds=seconds
    )


@pytest.mark.parametrize(
    "shape",
    [{}, {"tie_embeddings": False}, {"n_kv_heads": 2}, {"d_head": 16}, GPT2, {"n_layers": 2, "d_model": 192, **GPT2}],
)
@pytest.mark.parametrize("T", [16, 64])
def test_operations_a_token_are_what_torch_counts(shape: dict, T: int) -> None:
    model = lab.Transformer(lab.TransformerConfig(**{"vocab_size": 500, "d_model": 128, "n_heads": 4, **shape}))
    counted = counted_flops(model, T)
    first_layers_input = 1 - 1e-2  # what nobody needs the gradient of is left out by torch and counted by the formula
    assert first_layers_input * flops_per_token(model, T) <= counted.total / T <= flops_per_token(model, T) * 1.001


def test_a_model_that_is_no_transformer_counts_its_matrices() -> None:
    model = torch.nn.Sequential(torch.nn.Embedding(50, 8), torch.nn.Linear(8, 12), torch.nn.Linear(12, 50, bias=False))
    assert flops_per_token(model, 16) == 6 * (8 * 12 + 12 * 50)


def test_speed_is_that_of_the_last_fifty_steps_and_pauses_do_not_count() -> None:
    slow = [point(s, 10.0 * s) for s in range(1, 60)]
    fast = [point(59 + s, slow[-1].seconds + 0.5 * s) for s in range(1, 51)]
    speed = throughput([*slow, *fast])
    assert speed is not None
    assert speed.tokens_per_second == pytest.approx(200)
    assert speed.steps_per_second == pytest.approx(2)
    assert speed.utilization is None
    half = throughput(fast, Speedometer(flops_per_token=1e6, peak_flops=4e8))
    assert half is not None
    assert half.utilization == pytest.approx(0.5)


def test_one_point_or_no_time_is_no_speed() -> None:
    assert throughput([]) is None
    assert throughput([point(1, 1.0)]) is None
    assert throughput([point(1, 1.0), point(2, 1.0)]) is None
    assert Speedometer(1.0, 1.0)([point(1, 1.0)]) == {}


def test_it_is_written_beside_every_point_for_whoever_reads_the_file(tmp_path: Path) -> None:
    run = TrainingRun(small_model(), CountingStream(), steps=6, folder=tmp_path)
    run.log.measure = Speedometer(flops_per_token(run.model, 12), peak_flops=1e12)
    run.start().wait()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(0 < row["mfu"] < 1 and row["tokens_per_second"] > 0 for row in rows[1:])
    assert read_metrics(tmp_path / "metrics.jsonl") == run.log.points
    last, first = run.log.points[-1], run.log.points[0]
    tokens = (last.tokens - first.tokens) / (last.seconds - first.seconds)
    assert last.extra["tokens_per_second"] == pytest.approx(tokens, rel=1e-3)
    assert MetricLog().measure is None


def test_the_peak_of_a_processor_is_measured_and_said_to_be() -> None:
    peak = peak_of(torch.device("cpu"))
    assert 1e9 < peak.flops < 1e14
    assert peak.source.startswith("measured: float32 products")
    assert peak_of(torch.device("cpu")) is peak, "measured once"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA H200 NVL", "H200 NVL"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("Tesla T4", None),
        ("NVIDIA RTX A1000", None),
        ("NVIDIA GeForce GTX 1080", None),
    ],
)
def test_the_peak_of_a_card_is_its_makers_or_measured(monkeypatch, name: str, key: str | None) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    monkeypatch.setattr(module, "_measured", lambda *_: module.Peak(1.0, "measured"))
    peak = peak_of(torch.device("cuda"))
    assert peak.flops == (GPUS[key].bf16_flops if key else 1.0)
    assert name in peak.source if key else peak.source == "measured"
