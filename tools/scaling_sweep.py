"""Train lab 09's sweep, one thread, and store its runs: `python -m tools.scaling_sweep`.

About a quarter of an hour on one processor. Every run is appended as soon as it is over, so a sweep that is cut off
goes on where it was; `--fresh` begins again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from lmlab.training.scaling_study import ScalingPoint, ScalingRun

FILE = Path(__file__).resolve().parents[1] / "assets" / "models" / "scaling" / "runs.json"
GRID = {
    2e10: (6, 8, 12, 16, 24, 32, 48),
    6e10: (8, 12, 16, 24, 32, 48, 64),
    2e11: (16, 24, 32, 48, 64, 96),
    6e11: (24, 32, 48, 64, 96, 128),
}
VALLEY = {2e10: (12, 16, 24), 6e10: (16, 24, 32), 2e11: (24, 32, 48), 6e11: (32, 48, 64)}
HELD_OUT = ((2e12, 64), (2e12, 96))


def plan() -> Iterator[tuple[float, int, int]]:
    """(budget, width, seed) of every run, the ones that the lab cannot do without first."""
    for budget, widths in GRID.items():
        yield from ((budget, d, 0) for d in widths)
    yield from ((budget, d, 0) for budget, d in HELD_OUT[:1])
    for budget, widths in VALLEY.items():
        yield from ((budget, d, 1) for d in widths)
    yield from ((budget, d, 0) for budget, d in HELD_OUT[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the sweep of lab 09 and store its runs.")
    parser.add_argument("--fresh", action="store_true", help="forget the stored runs and begin again")
    parser.add_argument("--file", type=Path, default=FILE, help="where the runs are stored")
    given = parser.parse_args()
    torch.set_num_threads(1)
    kept = [] if given.fresh or not given.file.exists() else json.loads(given.file.read_text(encoding="utf-8"))["runs"]
    done = {(run["budget"], run["d_model"], run["seed"]) for run in kept}
    for budget, d_model, seed in plan():
        if (budget, d_model, seed) in done:
            continue
        point = ScalingRun(d_model, budget, seed=seed).advance().measure()
        kept.append(rounded(budget, point))
        _store(given.file, kept)
        print(f"C {budget:.0e}  d {d_model:3}  seed {seed}  loss {point.loss:.4f}  right {point.mean_accuracy:.2f}  "
              f"{point.seconds:.0f} s", flush=True)  # fmt: skip


def rounded(budget: float, point: ScalingPoint) -> dict[str, object]:
    """A run as it is stored."""
    row = {**asdict(point), "accuracy": {family: round(share, 3) for family, share in point.accuracy.items()}}
    digits = {"lr": 4, "loss": 4, "floor": 4, "seconds": 1}
    kept = {name: round(value, digits[name]) if name in digits else value for name, value in row.items()}
    return {"budget": budget, "flops": point.flops, **kept}


def _store(file: Path, runs: list[dict[str, object]]) -> None:
    """All runs, one a line, in a new file that then takes the old one's place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text('{"runs": [\n' + ",\n".join(json.dumps(run) for run in runs) + "\n]}\n", encoding="utf-8")
    os.replace(new, file)


if __name__ == "__main__":
    main()
