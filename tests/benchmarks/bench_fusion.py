"""Attention fused and unfused, seconds and bytes: `python -m tests.benchmarks.bench_fusion [--compile]`.

Times are ratios to the naive way, the best of three rounds in turn. With `--compile` torch.compile joins (tens of
seconds a row). The same rows run on a GPU where there is one. Bytes are counted, not measured: by our own tiled
attention where it runs in seconds, by the closed form that its tests hold it to where it does not.
"""

from __future__ import annotations

import argparse
import time

import torch

from lmlab.devices import pick_device
from lmlab.systems.fusion import naive_attention, naive_attention_bytes, tiled_attention, tiled_attention_bytes
from lmlab.systems.roofline import attention_seconds, measured_roofline

LENGTHS = (256, 1024, 2048, 4096)
HEADS, WIDTH, TILE = 2, 64, 128
COUNTED = 1024  # longest text whose bytes are counted by running it


def row(T: int, causal: bool, compile: bool) -> str:
    """One line of the table."""
    seconds = attention_seconds(T, n_heads=HEADS, E=WIDTH, causal=causal, compile=compile)
    naive = naive_attention_bytes(T, T, WIDTH, n_heads=HEADS)
    tiled = tiled_attention_bytes(T, T, WIDTH, q_tile=TILE, k_tile=TILE, causal=causal, n_heads=HEADS)
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, HEADS, T, WIDTH, generator=g) for _ in range(3))
    if pick_device().type == "cpu":  # on one thread, as the others
        started = time.thread_time()
        for _ in range(2):
            tiled_attention(q, k, v, causal=causal, q_tile=2 * TILE, k_tile=4 * TILE)  # the tiles of torch's kernel
        seconds["ours"] = (time.thread_time() - started) / 2
    how = "formula"
    if T <= COUNTED:
        counted = [
            naive_attention(q, k, v, causal=causal).moved_bytes,
            tiled_attention(q, k, v, causal=causal, q_tile=TILE, k_tile=TILE).moved_bytes,
        ]
        how = "counted" if counted == [naive, tiled] else f"counted otherwise: {counted}"
    ours, fused, compiled = (
        f"{seconds['naive'] / seconds[name]:.1f}" if name in seconds else "–" for name in ("ours", "fused", "compiled")
    )
    kind = "causal" if causal else "both ways"
    return (
        f"| {T:,}, {kind} | {1e3 * seconds['naive']:.1f} | {ours} | {fused} | {compiled} "
        f"| {naive / 1e6:.1f} | {tiled / 1e6:.1f} | {naive / tiled:.1f} ({how}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true", help="torch.compile too: tens of seconds a row")
    compile = parser.parse_args().compile
    if pick_device().type == "cpu":
        torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {pick_device()}, {torch.get_num_threads()} thread(s); H {HEADS}, E {WIDTH}\n")
    print("| T | naive, ms | times as fast: ours in tiles | torch's | compiled | naive, MB | tiled, MB | less |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for T in LENGTHS:
        for causal in (False, True):
            print(row(T, causal, compile), flush=True)
    roof, placed = measured_roofline()
    print(
        f"\n{roof.source}: {roof.peak_flops / 1e9:.0f} GFLOP/s, {roof.bandwidth / 1e9:.1f} GB/s, ridge {roof.ridge:.1f}"
    )
    print("\n| kernel | FLOPs per byte | attainable, GFLOP/s | measured | share |\n| --- | --- | --- | --- | --- |")
    for p in placed:
        share = p.share or 0.0
        print(
            f"| {p.work.name} | {p.work.intensity:.2f} | {p.attainable / 1e9:.1f} "
            f"| {(p.measured or 0) / 1e9:.1f} | {share:.2f} |"
        )


if __name__ == "__main__":
    main()
