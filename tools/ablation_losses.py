"""Train every arm of BlockAblation at seed 0 and store its losses: `python -m tools.ablation_losses`.

About half a minute. The widget reads them as the bars of the arms that are not trained live.
"""

from __future__ import annotations

import json
from pathlib import Path

from lmlab.training.ablation_study import ARMS, AblationArm

FILE = Path(__file__).resolve().parents[1] / "assets" / "ablation" / "losses.json"


def main() -> None:
    losses = {}
    for part in ARMS:
        arm = AblationArm(part)
        while not arm.is_over:
            arm.advance()
        losses[part] = [[point.step, round(point.loss, 4)] for point in arm.points]
        print(f"{part}: {losses[part][-1][1]:.3f} nats a token after {arm.state.step} steps", flush=True)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps({"losses": losses}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
