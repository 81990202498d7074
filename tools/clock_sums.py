"""The scratch pad and the calculator, trained with three seeds and stored: `python -m tools.clock_sums`.

About three minutes on one thread.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmlab.data.clock_sums import WAYS
from lmlab.training.clock_trial import STEPS, ClockTrial
from lmlab.training.tool_use import tool_accuracy, tool_user

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "beyond"
SEEDS = range(3)
LONGER = 10  # times as many steps for the way that never gets there
DIGITS = (1, 2, 3, 4, 5)


def scratch_pad_runs() -> list[dict[str, Any]]:
    """Held-out accuracy of each way to answer, and of answers at once after ten times as many steps."""
    runs = []
    for seed in SEEDS:
        for way, steps in (*((way, STEPS) for way in WAYS), (WAYS[0], LONGER * STEPS)):
            trial = ClockTrial(way, steps=steps, seed=seed)
            trial.advance(steps)
            point = trial.points[-1]
            run = {"way": way, "seed": seed, "steps": steps, "n_tokens": point.n_tokens}
            runs.append({**run, "accuracy": round(point.accuracy, 4)})
            print(runs[-1], flush=True)
    return runs


def tool_runs() -> list[dict[str, Any]]:
    """Shares of right answers by number of digits, with the calculator and without, and of wrong results repeated."""
    runs = []
    for seed in SEEDS:
        with_tool, without = tool_user(seed=seed), tool_user(tool=False, seed=seed)
        shares = {
            name: {str(digits): tool_accuracy(model, digits) for digits in DIGITS}
            for name, model in (("with_tool", with_tool), ("without", without))
        }
        runs.append({"seed": seed, **shares, "trusted": tool_accuracy(with_tool, 4, host="wrong")})
        print(runs[-1], flush=True)
    return runs


def main() -> None:
    for name, runs in (("scratch_pad", scratch_pad_runs), ("tool_use", tool_runs)):
        (FOLDER / f"{name}.json").write_text(json.dumps({"runs": runs()}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
