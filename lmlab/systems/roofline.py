"""The roofline: what a machine can reach at all, given how much arithmetic a kernel does for each byte it moves.

Lecture: "hardware awareness: memory traffic is the bottleneck". A machine has two limits, operations a second and bytes
a second. A kernel that does I operations for each byte of traffic (its *arithmetic intensity*) reaches at most
min(peak, I × bandwidth). Where the two limits meet is the *ridge*: left of it a kernel waits for memory, and a faster
processor would not help. Source: Williams, Waterman & Patterson 2009, doi 10.1145/1498765.1498785.

The same code measures a processor and a GPU. A CPU's caches are larger than some operands, so its buffers here are not.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmlab.devices import GPUS, pick_device
from lmlab.systems.fusion import naive_attention_bytes, tiled_attention_bytes

SIDE = 4096  # a matrix of 4,096 × 4,096 float32 numbers is 67 MB: no cache of a laptop holds it
PRODUCTS = (64, 256, 1024)
HEADS, LENGTH, WIDTH = 2, 2048, 64  # of the attention that is measured: H, T = S, E
CPU_TILE = (256, 512)  # torch's own: aten/src/ATen/native/cpu/FlashAttentionKernel.cpp, from T = 768 on
REPEATS = 3

# What one number costs, counting +, −, ×, ÷, max, exp and √ as one operation each.
SOFTMAX_FLOPS = 5  # max, subtract, exp, sum, divide
LAYER_NORM_FLOPS = 7  # sum, subtract, square, sum, divide, scale, shift


@dataclass(frozen=True)
class Roof:
    """A machine's two limits: `peak_flops` in FLOP/s for numbers of `itemsize` bytes, `bandwidth` in bytes/s."""

    name: str
    peak_flops: float
    bandwidth: float
    itemsize: int
    source: str

    @property
    def ridge(self) -> float:
        """The intensity, FLOPs per byte, from which on the peak is the limit."""
        return self.peak_flops / self.bandwidth

    def attainable(self, intensity: float) -> float:
        """FLOP/s that a kernel of this intensity can reach at most: min(peak, intensity × bandwidth).

        >>> round(GPU_ROOFS["H100"].ridge), f'{GPU_ROOFS["H100"].attainable(1):.3g}'
        (295, '3.35e+12')
        """
        if not (isinstance(intensity, int | float) and 0 < intensity < math.inf):
            raise ValueError(f"intensity is a positive number of FLOPs per byte, not {intensity!r}.")
        return min(self.peak_flops, intensity * self.bandwidth)


def _roof(gpu: str, bandwidth: float, name: str, source: str) -> Roof:
    return Roof(name, GPUS[gpu].bf16_flops or 0.0, bandwidth, 2, source)


# Dense bf16 products and memory bandwidth, from the makers' data sheets of the SXM (NVIDIA) and OAM (AMD) cards.
GPU_ROOFS = {
    "A100": _roof("A100 80GB", 2.039e12, "A100 80 GB", "NVIDIA A100 data sheet"),
    "H100": _roof("H100", 3.35e12, "H100", "NVIDIA H100 data sheet: half of 1,979 TFLOP/s with sparsity"),
    "H200": _roof("H200", 4.8e12, "H200", "NVIDIA H200 data sheet"),
    "MI300X": _roof("MI300X", 5.3e12, "MI300X", "AMD Instinct MI300X data sheet"),
}


@dataclass(frozen=True)
class Work:
    """A kernel's arithmetic and its traffic, where each operand comes from and goes to the slow memory once."""

    name: str
    flops: float
    n_bytes: float

    @property
    def intensity(self) -> float:
        """FLOPs per byte."""
        return self.flops / self.n_bytes


@dataclass(frozen=True)
class Placed:
    """A kernel under a roof: FLOP/s that it can reach at most, and those `measured` (None: not run)."""

    work: Work
    attainable: float
    measured: float | None = None

    @property
    def share(self) -> float | None:
        """The measured speed over the attainable one; above 1 a cache served what was counted as memory."""
        return None if self.measured is None else self.measured / self.attainable


def kernels(itemsize: int = 4) -> tuple[Work, ...]:
    """The kernels that are placed, for numbers of `itemsize` bytes: what they compute over what they move.

    Three products of matrices; writing one token (a matrix times a vector); softmax and layer norm; attention unfused
    (scores written down) and fused (`tiled_attention_bytes` with the tiles of torch's own kernel).
    """
    n, H, T, E = SIDE * SIDE, HEADS, LENGTH, WIDTH
    attention = H * T * T * (4 * E + SOFTMAX_FLOPS)
    q_tile, k_tile = CPU_TILE
    fused = tiled_attention_bytes(T, T, E, q_tile=q_tile, k_tile=k_tile, causal=False, n_heads=H, itemsize=itemsize)
    return (
        Work("matrix × vector", 2 * n, itemsize * (n + 2 * SIDE)),
        Work("softmax", SOFTMAX_FLOPS * n, itemsize * 2 * n),
        Work("layer norm", LAYER_NORM_FLOPS * n, itemsize * (2 * n + 2 * SIDE)),
        *(Work(f"product of {m:,}", 2 * m**3, itemsize * 3 * m**2) for m in PRODUCTS),
        Work("attention, naive", attention, naive_attention_bytes(T, T, E, n_heads=H, itemsize=itemsize)),
        Work("attention, fused", attention, fused),
    )


def placed_under(roof: Roof) -> tuple[Placed, ...]:
    """Every kernel under this roof, by arithmetic alone: what a data sheet promises."""
    return tuple(Placed(work, roof.attainable(work.intensity)) for work in kernels(roof.itemsize))


def measured_roofline(device: torch.device | str | None = None) -> tuple[Roof, tuple[Placed, ...]]:
    """This machine's roof, and every kernel run under it: float32, in about a second on an idle core.

    The peak is that of the fastest product of matrices. The bandwidth is that of a copy too large for the caches (its
    bytes counted twice, once each way) or of reading such a matrix once, whichever is more. The best of three rounds
    counts, so that what else the machine does is left out.
    """
    where = pick_device(str(device) if device is not None else None)
    runs = _runs(where)
    seconds = _best_seconds(runs, where)
    works = {work.name: work for work in kernels()}
    speeds = {name: work.flops / seconds[name] for name, work in works.items()}
    peak = max(speeds[f"product of {n:,}"] for n in PRODUCTS)
    threads = torch.get_num_threads()
    on = f"{threads} thread{'' if threads == 1 else 's'}" if where.type == "cpu" else str(where)
    reading = works["matrix × vector"].n_bytes / seconds["matrix × vector"]
    bandwidth = max(2 * 4 * SIDE * SIDE / seconds["copy"], reading)
    roof = Roof("this machine", peak, bandwidth, 4, f"measured: float32, {on}")
    return roof, tuple(Placed(work, roof.attainable(work.intensity), speeds[name]) for name, work in works.items())


def attention_seconds(
    T: int = LENGTH, *, n_heads: int = HEADS, E: int = WIDTH, causal: bool = True, compile: bool = False, seed: int = 0,
    device: torch.device | str | None = None,
) -> dict[str, float]:  # fmt: skip
    """Seconds of the same attention done three ways here: "naive", "fused" (torch's), and "compiled" on request.

    `compile=True` hands the naive code to torch.compile, which writes and compiles a kernel of its own: tens of seconds
    once, and it needs a C++ compiler. Raises RuntimeError, in a sentence, where that fails.
    """
    where = pick_device(str(device) if device is not None else None)
    q, k, v = _random_qkv(n_heads, T, E, seed, where)
    named: dict[str, Callable[..., Tensor]] = {"naive": plain_attention, "fused": F.scaled_dot_product_attention}
    if compile:
        named["compiled"] = _compiled(q, k, v, causal)
    runs = {name: lambda run=run: run(q, k, v, is_causal=causal) for name, run in named.items()}
    return _best_seconds(runs, where)


def plain_attention(q: Tensor, k: Tensor, v: Tensor, is_causal: bool = True) -> Tensor:
    """softmax(q kᵀ / √E) v as one writes it on the board, (B, H, T, E): four kernels, and none fused."""
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if is_causal:
        T, S = scores.shape[-2:]
        future = torch.ones(T, S, dtype=torch.bool, device=q.device).triu(S - T + 1)
        scores = scores.masked_fill(future, -math.inf)
    return scores.softmax(-1) @ v


# ---------------------------------------------------------------- inside


def _runs(device: torch.device) -> dict[str, Callable[[], Tensor]]:
    """What runs for each kernel's name, and "copy"; each returns its result."""
    generator = torch.Generator(device).manual_seed(0)
    large = torch.rand(SIDE, SIDE, device=device, generator=generator)
    other, vector = torch.empty_like(large), torch.rand(SIDE, device=device, generator=generator)
    q, k, v = _random_qkv(HEADS, LENGTH, WIDTH, 0, device)

    def product(n: int) -> Callable[[], Tensor]:
        a, b = large[:n, :n].clone(), large[-n:, -n:].clone()
        return lambda: a @ b

    return {
        "copy": lambda: other.copy_(large),
        "matrix × vector": lambda: large @ vector,
        "softmax": lambda: torch.softmax(large, -1, out=other),
        "layer norm": lambda: torch.layer_norm(large, (SIDE,), vector, vector),
        **{f"product of {n:,}": product(n) for n in PRODUCTS},
        "attention, naive": lambda: plain_attention(q, k, v, is_causal=False),
        "attention, fused": lambda: F.scaled_dot_product_attention(q, k, v),
    }


def _random_qkv(H: int, T: int, E: int, seed: int, device: torch.device) -> list[Tensor]:
    generator = torch.Generator(device).manual_seed(seed)
    return [torch.randn(1, H, T, E, device=device, generator=generator) for _ in range(3)]


def _best_seconds(runs: Mapping[str, Callable[[], Tensor]], device: torch.device) -> dict[str, float]:
    """The best of a few rounds for each, all in turn, so that a busy moment of the machine falls on all alike.

    What is over in no time is repeated until a clock can tell it. The first run pays for what is loaded. One thread's
    own processor seconds are counted where the system tells them finely, so that waiting for others falls out.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1 and os.name == "posix"
    clock = time.thread_time if alone else time.perf_counter

    def timed(run: Callable[[], Tensor], n: int) -> float:
        started = clock()
        for _ in range(n):
            run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # it was only told to begin
        return (clock() - started) / n

    with torch.no_grad():
        first = {name: (timed(run, 1), timed(run, 1))[1] for name, run in runs.items()}
        times = {name: max(1, min(1000, math.ceil(2e-3 / max(first[name], 1e-7)))) for name in runs}
        rounds = [{name: timed(run, times[name]) for name, run in runs.items()} for _ in range(REPEATS)]
    return {name: min(once[name] for once in rounds) for name in runs}


def _compiled(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Callable[..., Tensor]:
    try:
        compiled: Callable[..., Tensor] = torch.compile(plain_attention)
        compiled(q, k, v, is_causal=causal)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RuntimeError(
            f"torch.compile made no kernel here ({reason[:160]}): it needs a C++ compiler, such as g++ or clang, that "
            "it can find. Leave compile=False, or install one."
        ) from error
    return compiled
