"""Quantize a model in every way and store what it costs: `python -m tools.quantization_curves [town] [smollm2]`.

Forty CPU-seconds for the town; half an hour for SmolLM2, which `lmlab fetch smollm2` brings. BitsVersusLoss
draws the points in lab 14, and the lab measures some of them again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import lmlab as lab
from lmlab.training.quantization_study import SETTINGS, Setting, quantization_curve, study_text

CURVES = Path(__file__).resolve().parents[1] / "assets" / "quantization" / "curves"


def grid(name: str) -> list[Setting]:
    """All settings for the town; of a model that takes minutes the ones that differ most, 4 bits first."""
    if name == "town":
        return list(SETTINGS)
    some = [s for s in SETTINGS if s.method in ("absmax", "integer", "mse", "nf4") and s.bits in (8, 4, 2)]
    some += [s for s in SETTINGS if s.group_size == 32 and (s.method != "kmeans" or s.bits >= 4)]
    return sorted(dict.fromkeys(some), key=lambda s: s.bits != 4)


def main(names: list[str]) -> None:
    for name in names:
        model = lab.load(name)
        text = study_text(model)
        path = CURVES / f"{name}.json"
        rows = kept_rows(path)
        wanted = [s for s in grid(name) if s not in {Setting(*row[:3]) for row in rows}]
        for point in quantization_curve(model, text, settings=wanted):
            method, bits, group_size, bits_per_weight, error, loss, n_bytes = astuple(point)
            row = [method, bits, group_size, round(bits_per_weight, 4), float(f"{error:.4g}"), round(loss, 4), n_bytes]
            rows = [other for other in rows if other[:3] != row[:3]] + [row]
            print(name, *row, flush=True)
            write(path, rows, {"source": text.source, "floor": text.floor})


def kept_rows(path: Path) -> list[list[Any]]:
    """What an earlier run has stored: this one goes on from there. Remove the file to measure all of it again."""
    return list(json.loads(path.read_text(encoding="utf-8"))["points"]) if path.is_file() else []


def write(path: Path, rows: list[list[Any]], head: dict[str, Any]) -> None:
    order = {setting: place for place, setting in enumerate(SETTINGS)}
    rows = sorted(rows, key=lambda row: order.get(Setting(*row[:3]), -1))
    head |= {"n_weights": round(8 * rows[0][6] / rows[0][3]), "columns": COLUMNS}
    lines = ",\n".join(json.dumps(row) for row in rows)
    CURVES.mkdir(exist_ok=True)
    written = json.dumps(head, indent=1)[:-2] + f',\n "points": [\n{lines}\n]}}\n'
    path.write_text(written, encoding="utf-8")


COLUMNS = ["method", "bits", "group_size", "bits_per_weight", "error", "loss", "n_bytes"]

if __name__ == "__main__":
    main(sys.argv[1:] or ["town", "smollm2"])
