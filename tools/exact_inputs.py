"""Store what SmolLM2 costs with its largest inputs' weights kept exact: `python -m tools.exact_inputs`.

Five minutes on one core; `lmlab fetch smollm2` brings the model. Lab 14 prints it.
"""

from __future__ import annotations

import json
from dataclasses import astuple

import lmlab as lab
from lmlab.training.exact_inputs import exact_inputs_curve, largest_inputs
from lmlab.training.quantization_study import study_text
from tools.quantization_curves import CURVES


def main() -> None:
    model = lab.load("smollm2")
    text = study_text(model)
    inputs = [(one.layer, round(one.share, 4), round(one.its_weights, 4)) for one in largest_inputs(model, text)]
    points = []
    for point in exact_inputs_curve(model, text):
        *setting, bits_per_weight, error, loss = astuple(point)
        points.append([*setting, round(bits_per_weight, 4), float(f"{error:.4g}"), round(loss, 4)])
        print(*points[-1], flush=True)
    head = {
        "source": text.source,
        "point": ["method", "bits", "group_size", "n_exact", "bits_per_weight", "error", "loss"],
        "largest_input": ["layer", "share", "its_weights"],
    }
    lists = ",\n".join(
        f' "{name}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]"
        for name, rows in (("points", points), ("largest_inputs", inputs))
    )
    written = json.dumps(head, indent=1)[:-2] + f",\n{lists}\n}}\n"
    (CURVES.parent / "exact_inputs.json").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
