"""Quantize a model in every way and store what it costs: `python -m tools.quantization_curves [town] [smollm2]`.

Twenty CPU-seconds for the town; a quarter of an hour for SmolLM2, which `lmlab fetch smollm2` brings. BitsVersusLoss
draws the points in lab 14, and the lab measures some of them again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple
from pathlib import Path

import lmlab as lab
from lmlab.training.quantization_study import quantization_curve, study_text

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "quantization"


def main(names: list[str]) -> None:
    for name in names:
        model = lab.load(name)
        text = study_text(model)
        rows = []
        n_weights = 0
        for point in quantization_curve(model, text):
            n_weights = n_weights or round(8 * point.n_bytes / point.bits_per_weight)
            method, bits, group_size, bits_per_weight, error, loss, n_bytes = astuple(point)
            rows.append(
                [method, bits, group_size, round(bits_per_weight, 4), float(f"{error:.4g}"), round(loss, 4), n_bytes]
            )
            print(name, *rows[-1], flush=True)
        head = {"source": text.source, "floor": text.floor, "n_weights": n_weights, "columns": COLUMNS}
        lines = ",\n".join(json.dumps(row) for row in rows)
        FOLDER.mkdir(exist_ok=True)
        written = json.dumps(head, indent=1)[:-2] + f',\n "points": [\n{lines}\n]}}\n'
        (FOLDER / f"{name}.json").write_text(written, encoding="utf-8")


COLUMNS = ["method", "bits", "group_size", "bits_per_weight", "error", "loss", "n_bytes"]

if __name__ == "__main__":
    main(sys.argv[1:] or ["town", "smollm2"])
