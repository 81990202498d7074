"""The lab's own model size, and what a person waits for: `python -m tests.benchmarks.bench_core [NAME …]`.

Each row alternates ours and the peer's, and gives the ratio of medians of time (under 1.00: ours is faster).
Nothing here is asserted by a test: times belong to a machine and a moment, ratios less so.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

import lmlab as lab


@dataclass(frozen=True)
class Row:
    """One piece of work, ours and the peer's, and what the ratio should reach."""

    work: str
    peer: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    goal: float
    repeats: int = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="rows whose work begins so")
    names = parser.parse_args().names
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, Python {sys.version.split()[0]}\n")
    print("| work | ours, s | peer | peer, s | ratio | goal |\n| --- | --- | --- | --- | --- | --- |")
    for make in (model_rows, start_rows):
        for row in make():
            if not names or any(row.work.lower().startswith(name.lower()) for name in names):
                print(measured(row), flush=True)


def measured(row: Row) -> str:
    """Ours and theirs in turn, so that what else the machine does falls on both; the first of each is warm-up."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(row.repeats + 1):
        for run, seconds in zip((row.ours, row.theirs), times, strict=True):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
    ours, theirs = (statistics.median(seconds[1:]) for seconds in times)
    verdict = "" if ours <= row.goal * theirs else " (missed)"
    return f"| {row.work} | {ours:.3f} | {row.peer} | {theirs:.3f} | {ours / theirs:.2f} | {row.goal:.2f}{verdict} |"


def model_rows() -> list[Row]:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = lab.TransformerConfig.tiny(vocab_size=2048)
    ours = lab.Transformer(config, seed=0)
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=2048,
            hidden_size=config.d_model,
            intermediate_size=config.d_ff,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            max_position_embeddings=config.max_seq_len,
            tie_word_embeddings=config.tie_embeddings,
        )
    )
    prompt = torch.randint(0, 2048, (1, 64), generator=torch.Generator().manual_seed(0))

    def ours_forward() -> None:
        with torch.no_grad():
            for _ in range(20):
                ours(prompt)

    def theirs_forward() -> None:
        with torch.no_grad():
            for _ in range(20):
                theirs(prompt, use_cache=False)

    return [
        Row("prompt of 64 tokens, 20 times", "transformers", ours_forward, theirs_forward, 1.0),
    ]


def start_rows() -> list[Row]:
    """In fresh processes: what a person waits for. The peer is torch, which both wait for."""

    def fresh(code: str) -> Callable[[], None]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True) and None

    nothing, torch_alone = fresh("pass"), fresh("import torch")
    first = fresh("import torch, lmlab; lmlab.load('town').next('the stock market crashed and investors')")
    return [
        Row("import lmlab", "an empty Python", fresh("import lmlab"), nothing, 3.0),
        Row("first distribution of town", "import torch", first, torch_alone, 2.0),
    ]


if __name__ == "__main__":
    main()
