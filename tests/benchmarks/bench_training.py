"""A whole training step against others' of the same shape: `python -m tests.benchmarks.bench_training [SIZE …]`.

Data, forward, backward, clipping, AdamW: ours through `train`, nanoGPT's as its train.py does it (a checkout that
NANOGPT names; without it the row says "not measured"), transformers' with torch's fused AdamW. All take turns within
one process; a ratio is the median over the rounds, and above 1.00 ours trains more tokens a second. On a processor
CPU seconds are counted, on one thread, so that what else the machine does falls out; on a GPU, seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lmlab.data.batches import WindowStream
from lmlab.devices import pick_device
from lmlab.models.families import family_for
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.loop import train
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.training.throughput import flops_per_token, peak_of

GPT2 = {"norm": "layer", "position": "learned", "mlp": "gelu", "bias": True}
LR, BETAS, DECAY, CLIP = 1e-3, (0.9, 0.95), 0.1, 1.0


@dataclass(frozen=True)
class Size:
    """What is trained: a shape, T tokens in B rows; `steps` of it a round."""

    name: str
    shape: dict[str, int]
    T: int
    B: int
    steps: int
    rounds: int
    goals: dict[str, float] = field(default_factory=dict)  # by precision, against nanoGPT in fp32 (on a GPU, in bf16)

    def config(self, **changes: Any) -> TransformerConfig:
        return TransformerConfig(**{**self.shape, "max_seq_len": self.T, **changes})


SMALL = Size(
    "0.8M", {"vocab_size": 65, "d_model": 128, "n_layers": 4, "n_heads": 4}, 64, 12, 5, 15, {"fp32": 1.0, "bf16": 1.4}
)
LARGE = Size(
    "10.7M", {"vocab_size": 65, "d_model": 384, "n_layers": 6, "n_heads": 6}, 256, 8, 1, 5, {"fp32": 1.0, "bf16": 1.9}
)
GPU = Size("124M", {"vocab_size": 50304, "d_model": 768, "n_layers": 12, "n_heads": 12}, 1024, 12, 20, 7, {"bf16": 1.0})

PEERS = {
    "nanoGPT": "GPT-2",
    "nanoGPT with GPT-2's GELU": "GPT-2",
    "transformers GPT-2": "GPT-2",
    "transformers Llama": "Llama",
}
Steps = Callable[[int], None]  # trains so many steps


class Data:
    """Random ids, and batches cut from them anywhere, as nanoGPT's get_batch does."""

    def __init__(self, size: Size, device: torch.device) -> None:
        self.size, self.device = size, device
        generator = torch.Generator().manual_seed(0)
        self.ids = torch.randint(0, size.shape["vocab_size"], (400_000,), generator=generator)

    def batch(self) -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(self.ids) - self.size.T - 1, (self.size.B,)).tolist()
        x = torch.stack([self.ids[i : i + self.size.T] for i in starts])
        y = torch.stack([self.ids[i + 1 : i + 1 + self.size.T] for i in starts])
        if self.device.type == "cuda":
            return x.pin_memory().to(self.device, non_blocking=True), y.pin_memory().to(self.device, non_blocking=True)
        return x, y


def ours(config: TransformerConfig, data: Data, precision: str) -> Steps:
    size = data.size
    state = TrainState.begin(
        Transformer(config, seed=0).to(data.device),
        steps=100_000,
        settings=OptimizerSettings(lr=LR, betas=BETAS, weight_decay=DECAY, clip=CLIP),
        precision=precision,
        compile=data.device.type == "cuda",
    )
    stream = WindowStream(data.ids, T=size.T, B=size.B)
    return lambda n: train(state, stream, next_token, state.step + n) and None


def stepping(
    model: nn.Module, optimizer: Any, loss_of: Callable[[Tensor, Tensor], Tensor], data: Data, bf16: bool
) -> Steps:
    """The step that everyone writes: loss, backward, clip, update."""

    def run(n: int) -> None:
        for _ in range(n):
            x, y = data.batch()
            with torch.autocast(data.device.type, dtype=torch.bfloat16, enabled=bf16):
                loss = loss_of(x, y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return run


def nanogpt(config: TransformerConfig, data: Data, bf16: bool, tanh: bool = False) -> Steps | None:
    """`tanh`: with the GELU that GPT-2 has, as ours and transformers', in place of nanoGPT's own, which is cheaper."""
    folder = os.environ.get("NANOGPT")
    if not folder:
        return None
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    kind = data.device.type
    with contextlib.redirect_stdout(io.StringIO()):
        model = GPT(
            GPTConfig(
                block_size=config.max_seq_len, vocab_size=config.vocab_size, n_layer=config.n_layers,
                n_head=config.n_heads, n_embd=config.d_model, dropout=0.0, bias=True,
            )
        ).to(data.device)  # fmt: skip
        optimizer = model.configure_optimizers(DECAY, LR, BETAS, kind)
    if tanh:
        for block in model.transformer.h:
            block.mlp.gelu = nn.GELU(approximate="tanh")
    called = torch.compile(model) if kind == "cuda" else model
    return stepping(model, optimizer, lambda x, y: called(x, y)[1], data, bf16)


def transformers(config: TransformerConfig, data: Data, bf16: bool) -> Steps:
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = {key: value for key, value in family_for(config).to_hf(config).items() if key != "architectures"}
    no_dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0} if config.norm == "layer" else {}
    hf_config = AutoConfig.for_model(settings.pop("model_type"), **settings, **no_dropout)
    model = AutoModelForCausalLM.from_config(hf_config).float().to(data.device).train()
    called = torch.compile(model) if data.device.type == "cuda" else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=BETAS, weight_decay=DECAY, fused=True)
    return stepping(model, optimizer, lambda x, y: called(x, labels=x, use_cache=False).loss, data, bf16)


def alternating(runs: dict[str, Steps], size: Size, device: torch.device) -> dict[str, list[float]]:
    """Seconds a step of each, round by round."""

    def seconds(run: Steps) -> float:
        clock = time.process_time if device.type == "cpu" else time.perf_counter
        started = clock()
        run(size.steps)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (clock() - started) / size.steps

    for run in runs.values():
        run(1 if size is LARGE else 3)  # what is loaded, compiled, allocated
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(size.rounds):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return times


def rows(size: Size, device: torch.device) -> None:
    """Print the table's rows of one size."""
    data = Data(size, device)
    gpt2, llama = size.config(**GPT2), size.config()
    runs: dict[str, Steps | None] = {}
    memory: dict[str, int] = {}

    def add(name: str, make: Callable[[], Steps | None]) -> None:
        before = torch.cuda.memory_allocated() if device.type == "cuda" else 0
        run = runs[name] = make()
        if run is not None and device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            run(2)
            memory[name] = torch.cuda.max_memory_allocated() - before

    on_gpu = device.type == "cuda"
    base, precisions = ("bf16", ["bf16"]) if on_gpu else ("fp32", ["fp32", *(["bf16"] if has_bf16(device) else [])])
    for precision in precisions:
        add(f"ours, GPT-2, {precision}", lambda precision=precision: ours(gpt2, data, precision))
        add(f"ours, Llama, {precision}", lambda precision=precision: ours(llama, data, precision))
    add("nanoGPT", lambda: nanogpt(gpt2, data, on_gpu))
    add("nanoGPT with GPT-2's GELU", lambda: nanogpt(gpt2, data, on_gpu, tanh=True))
    add("transformers GPT-2", lambda: transformers(gpt2, data, on_gpu))
    add("transformers Llama", lambda: transformers(llama, data, on_gpu))
    times = alternating({name: run for name, run in runs.items() if run is not None}, size, device)

    flops, peak = flops_per_token(Transformer(gpt2), size.T), peak_of(device).flops
    for precision in precisions:
        for peer, kind in PEERS.items():
            mine = times[f"ours, {kind}, {precision}"]
            speed = size.B * size.T / statistics.median(mine)
            text = f"| {size.name}, {kind}, {precision} | {speed:,.0f} | {peer} in {base} |"
            goal = size.goals[precision] if peer.startswith("nanoGPT") else 1.0
            if peer not in times:
                print(f"{text} not measured (NANOGPT names no checkout) | | ≥ {goal:.2f} |")
                continue
            ratio = statistics.median(theirs / own for theirs, own in zip(times[peer], mine, strict=True))
            theirs = size.B * size.T / statistics.median(times[peer])
            verdict = "" if ratio >= goal else " (missed)"
            print(f"{text} {theirs:,.0f} | {ratio:.2f} | ≥ {goal:.2f}{verdict} |", flush=True)
            if on_gpu:
                held = {name: memory[name] / 1e9 for name in (f"ours, {kind}, {precision}", peer)}
                print(f"MFU {speed * flops / peak:.3f}; peak GB: {held}", flush=True)
    if not on_gpu and len(precisions) == 1:
        print(f"| {size.name}, bf16 | not measured: this processor has no unit for it | | | |")


def has_bf16(device: torch.device) -> bool:
    return peak_of(device, torch.bfloat16).flops > peak_of(device, torch.float32).flops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="0.8M, 10.7M, 124M (on a GPU); default: all that can run")
    names = parser.parse_args().sizes
    device = pick_device()
    sizes = [GPU] if device.type == "cuda" else [SMALL, LARGE]
    torch.manual_seed(0)
    if device.type == "cpu":
        torch.set_num_threads(1)
    peak = peak_of(device)
    print(f"torch {torch.__version__}, {device}; peak {peak.flops / 1e9:,.0f} GFLOP/s ({peak.source})\n")
    print("| size | ours, tokens/s | peer | peer, tokens/s | ratio | goal |\n| --- | --- | --- | --- | --- | --- |")
    for size in sizes:
        if not names or size.name in names:
            rows(size, device)
    if device.type != "cuda":
        print(f"| {GPU.name}, compiled | not measured: no GPU | | | | ≥ 1.00, MFU ≥ 0.50 |")


if __name__ == "__main__":
    main()
