"""How fast a training is: tokens a second, and the share of the device's peak that they amount to.

Lecture: "model-FLOPs utilization" (MFU): the operations that the model itself asks for, over what the device could do
in the same time. What a training does besides (softmax, norms, the optimizer, waiting for data) is not counted, so it
lowers the share. Source: Chowdhery et al. 2022, arXiv 2204.02311, appendix B.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from lmlab.data.batches import WindowStream
from lmlab.devices import known_gpu
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.loop import train
from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import next_token
from lmlab.training.state import TrainState

SMALL_WIDTH, MEASURED_WIDTH = 128, 768  # the large product is about a gigaflop, and does not fit the caches
MEASURED_TIMES = 4
PATIENCE_SECONDS = 0.25  # for one product
TRIAL_T, TRIAL_B = 64, 12
RECENT = 50  # steps over which speed is averaged


@dataclass(frozen=True)
class Peak:
    """The most FLOP/s that a device does in matrix products, and where the figure is from."""

    flops: float
    source: str


@dataclass(frozen=True)
class Throughput:
    """Over some steps. utilization: MFU from 0 to 1, None where the peak or the model's operations are not known."""

    tokens_per_second: float
    steps_per_second: float
    utilization: float | None = None


@dataclass(frozen=True)
class Speedometer:
    """What turns points into a speed: the model's operations a token, and the peak of all devices together."""

    flops_per_token: float
    peak_flops: float

    def __call__(self, points: Sequence[MetricPoint]) -> dict[str, float]:
        """What is written beside each point: tokens_per_second and mfu, over the last steps."""
        speed = throughput(points, self)
        if speed is None or speed.utilization is None:
            return {}
        return {"tokens_per_second": round(speed.tokens_per_second, 1), "mfu": round(speed.utilization, 5)}


def throughput(points: Sequence[MetricPoint], speedometer: Speedometer | None = None) -> Throughput | None:
    """The speed over the last steps of `points`, pauses left out; None before there are two.

    >>> a, b = (MetricPoint(step=s, loss=1, lr=0, grad_norm=0, tokens=s * 100, seconds=s / 4) for s in (1, 5))
    >>> throughput([a, b], Speedometer(flops_per_token=6e3, peak_flops=1e7))
    Throughput(tokens_per_second=400.0, steps_per_second=4.0, utilization=0.24)
    """
    if len(points) < 2:
        return None
    first, last = points[max(0, len(points) - RECENT - 1)], points[-1]
    seconds = last.seconds - first.seconds
    if seconds <= 0:
        return None
    tokens = (last.tokens - first.tokens) / seconds
    share = None if speedometer is None else tokens * speedometer.flops_per_token / speedometer.peak_flops
    return Throughput(tokens, (last.step - first.step) / seconds, share)


def flops_per_token(model: nn.Module, T: int) -> float:
    """Operations of a training step for one token: 6 for each weight that multiplies, and attention over T positions.

    A table that is only looked up multiplies nothing; tied to the output layer it does. Attention's products between
    positions are counted as the whole (T, T) square, as everywhere in the literature: 12 L H E T.
    """
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    used = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    weights = [p for p in model.parameters() if p.dim() >= 2 and (id(p) not in tables or id(p) in used)]
    flops = 6.0 * sum(p.numel() for p in weights)
    if isinstance(model, Transformer):
        config = model.config
        flops += 12.0 * config.n_layers * config.n_heads * config.head_width * T
    return flops


def peak_of(device: torch.device, dtype: torch.dtype = torch.float32) -> Peak:
    """A card's dense bf16 peak by its data sheet, whatever the dtype; of anything else the measured one."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        gpu = known_gpu(name)
        if gpu is not None and gpu.bf16_flops is not None:
            return Peak(gpu.bf16_flops, f"data sheet of {name}, dense bf16")
        dtype = torch.bfloat16
    return _measured(str(device), dtype, torch.get_num_threads())


@cache
def _measured(device: str, dtype: torch.dtype, threads: int) -> Peak:
    """The fastest of a few large matrix products: what a program can really get here."""
    n = SMALL_WIDTH
    flops = _product_flops(device, dtype, n)
    large = MEASURED_WIDTH if device == "cpu" else 8 * MEASURED_WIDTH
    if 2 * large**3 < flops * PATIENCE_SECONDS:  # without a unit for bf16 a processor is a hundred times slower
        n, flops = large, _product_flops(device, dtype, large)
    on = f"{threads} thread{'' if threads == 1 else 's'}" if device == "cpu" else device
    kind = str(dtype).removeprefix("torch.")
    return Peak(flops, f"measured: {kind} products of {n} x {n}, {on}")


def _product_flops(device: str, dtype: torch.dtype, n: int) -> float:
    a = torch.rand(n, n, device=device, generator=torch.Generator(device).manual_seed(0)).to(dtype)
    seconds = []
    for _ in range(MEASURED_TIMES + 1):  # the first pays for what is loaded
        started = time.perf_counter()
        float((a @ a)[0, 0])  # read, since a GPU would otherwise only be told to begin
        seconds.append(time.perf_counter() - started)
    return 2 * n**3 / min(seconds[1:])


def trial_speed(device: torch.device, steps: int = 6) -> Throughput:
    """The speed of the lab's own size of model here: a few steps on random tokens, the first left out."""
    model = Transformer(TransformerConfig.tiny(), seed=0).to(device)
    ids = torch.randint(0, model.vocab_size, (20_000,), generator=torch.Generator().manual_seed(0))
    points: list[MetricPoint] = []
    state = TrainState.begin(model, steps=steps)
    train(state, WindowStream(ids, T=TRIAL_T, B=TRIAL_B), next_token, steps, lambda _, point: points.append(point))
    speed = throughput(points, Speedometer(flops_per_token(model, TRIAL_T), peak_of(device).flops))
    assert speed is not None
    return speed
