"""One model for five kinds of text, and a model for each, trained and stored: `python -m tools.multitask_losses`.

About seven minutes on one thread: three budgets, four seeds.
"""

from __future__ import annotations

import json
from pathlib import Path

from lmlab.training.multitask_study import STEPS, mean, train_pair

FILE = Path(__file__).resolve().parents[1] / "assets" / "multitask" / "losses.json"
SEEDS = range(4)


def main() -> None:
    pairs = []
    for seed in SEEDS:
        for steps in STEPS:
            pair = train_pair(steps, seed)
            assert pair is not None
            print(f"seed {seed}, {steps} steps: one {mean(pair.one):.3f}, five {mean(pair.five):.3f}", flush=True)
            sides = {"one": pair.one, "five": pair.five}
            rounded = {side: {kind: round(x, 4) for kind, x in losses.items()} for side, losses in sides.items()}
            pairs.append({"steps": steps, "seed": seed, **rounded})
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps({"pairs": pairs}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
