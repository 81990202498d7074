"""Putting 106 M weights in few bits, ours and the peers': `python -m tests.benchmarks.bench_quantization`.

The shapes are those of SmolLM2's linear layers. The weights are random with heavy tails: SmolLM2's own come from a
file of 4-bit blocks, which such blocks hold without error. Each row is a way to store that both have, at equal bits;
time is CPU seconds for all layers, quantizing and packing without reading back; ours and theirs take turns, and the
least of the rounds counts, since other work only adds. Error is that of a sample of layers, squared, over the squared
weights. torchao and optimum-quanto are measured where they can be imported.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import lmlab as lab

LAYERS = 30
SHAPES = ((576, 576), (192, 576), (192, 576), (576, 576), (1536, 576), (1536, 576), (576, 1536))
ROUNDS = 3


@dataclass(frozen=True)
class Row:
    """One way to store a matrix: ours and the peer's, each with its way back."""

    work: str
    peer: str
    ours: Callable[[Tensor], object]
    ours_back: Callable[[object], Tensor]
    theirs: Callable[[Tensor], object]
    theirs_back: Callable[[object], Tensor]


def main() -> None:
    n_weights = LAYERS * sum(rows * cols for rows, cols in SHAPES)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {n_weights / 1e6:.0f} M weights\n")
    print("| stored as | ours, CPU s | peer | peer, CPU s | ratio | our error | peer's error |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    layers = weights()
    for rows in (gguf_rows, torchao_rows, quanto_rows):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for row in rows():
                    print(measured(row, layers), flush=True)
        except ImportError as error:
            print(f"| {rows.__name__.removesuffix('_rows')} | not measured: {error} |", flush=True)
    for method in ("mse", "kmeans"):
        seconds = min(taken(lambda w, m=method: lab.quantize(w, 4, m, 32), layers) for _ in range(ROUNDS))
        print(
            f"| 4 bits, {method}, groups of 32 | {seconds:.2f} | none | | | {error_of(method, layers):.5f} | |",
            flush=True,
        )


def weights() -> list[Tensor]:
    torch.manual_seed(0)
    draw = torch.distributions.StudentT(6.0)
    return [draw.sample(shape) * 0.02 for _ in range(LAYERS) for shape in SHAPES]


def measured(row: Row, layers: list[Tensor]) -> str:
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(taken(row.ours, layers))
        theirs.append(taken(row.theirs, layers))
    errors = [
        error(layers[:7], lambda w: row.ours_back(row.ours(w))),
        error(layers[:7], lambda w: row.theirs_back(row.theirs(w))),
    ]
    a, b = min(ours), min(theirs)
    verdict = "" if a <= b and errors[0] <= 1.001 * errors[1] else " (missed)"
    return f"| {row.work} | {a:.2f} | {row.peer} | {b:.2f} | {a / b:.2f}{verdict} | {errors[0]:.5f} | {errors[1]:.5f} |"


def taken(store: Callable[[Tensor], object], layers: list[Tensor]) -> float:
    started = time.process_time()
    for weight in layers:
        store(weight)
    return time.process_time() - started


def error(layers: list[Tensor], there_and_back: Callable[[Tensor], Tensor]) -> float:
    lost = sum(float((there_and_back(w).double() - w).square().sum()) for w in layers)
    return lost / sum(float(w.double().square().sum()) for w in layers)


def error_of(method: str, layers: list[Tensor]) -> float:
    return error(layers[:7], lambda w: lab.quantize(w, 4, method, 32).dequantize())


def gguf_rows() -> Iterator[Row]:
    import gguf

    for kind in ("Q4_0", "Q4_1", "Q8_0"):
        qtype = gguf.GGMLQuantizationType[kind]
        yield Row(
            f"{kind} blocks",
            "gguf",
            lambda w, kind=kind: lab.encode_blocks(w, kind),
            lambda raw, kind=kind: lab.decode_blocks(raw, kind),
            lambda w, qtype=qtype: gguf.quantize(w.numpy(), qtype),
            lambda raw, qtype=qtype: torch.from_numpy(gguf.dequantize(raw, qtype)),
        )


def torchao_rows() -> Iterator[Row]:
    from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerGroup

    def through(config: object) -> Callable[[Tensor], Tensor]:
        def store(weight: Tensor) -> Tensor:
            layer = nn.Sequential(nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta"))
            layer[0].weight = nn.Parameter(weight, requires_grad=False)
            quantize_(layer, config)  # codes of 4 bits stay a byte each: it packs them for a kernel later
            return layer[0].weight

        return store

    for work, bits, group, config in (
        (
            "4 bits, integer, groups of 32",
            4,
            32,
            IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32)),
        ),
        ("8 bits, integer, rows", 8, "row", Int8WeightOnlyConfig()),
    ):
        yield Row(
            work,
            "torchao",
            lambda w, bits=bits, group=group: lab.quantize(w, bits, "integer", group),
            lambda packed: packed.dequantize(),
            through(config),
            lambda stored: stored.dequantize(),
        )


def quanto_rows() -> Iterator[Row]:
    from optimum.quanto import MaxOptimizer, qint4, quantize_weight

    def store(weight: Tensor) -> Tensor:
        scale, shift = MaxOptimizer()(weight, qtype=qint4, axis=0, group_size=32)
        return quantize_weight(weight, qint4, 0, scale, shift, group_size=32)

    yield Row(
        "4 bits, minmax, groups of 32",
        "optimum-quanto",
        lambda w: lab.quantize(w, 4, "minmax", 32),
        lambda packed: packed.dequantize(),
        store,
        lambda stored: stored.dequantize(),
    )


if __name__ == "__main__":
    main()
