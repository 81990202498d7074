"""Train every arm of the distillation with three seeds and store how far it ended: `python -m tools.distillation_kls`.

About two minutes on one thread. Distillation draws the ends beside the live curves, and lab 16 runs two arms again.
"""

from __future__ import annotations

import json
from pathlib import Path

from lmlab.text_model import load
from lmlab.training.distillation_study import ARMS, SOFT, DistillationTrial, held_out

FILE = Path(__file__).resolve().parents[1] / "assets" / "beyond" / "distillation.json"
SEEDS = range(3)


def main() -> None:
    teacher = load("town")
    runs = {**{arm: (arm, 1.0) for arm in ARMS}, **{f"soft, temperature {t}": (SOFT, float(t)) for t in (2, 4)}}
    kept: dict[str, list[float]] = {}
    for name, (arm, temperature) in runs.items():
        for seed in SEEDS:
            trial = DistillationTrial(teacher, arm, temperature=temperature, seed=seed)
            trial.advance(trial.state.steps)
            kept.setdefault(name, []).append(round(trial.points[-1].truth, 4))
        print(f"{name}: {kept[name]} nats a token", flush=True)
    own = round(held_out(teacher).kl(teacher.model)[0], 4)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps({"truth": kept, "teacher": own}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
