"""Train on each cut of the crawl with three seeds and store the losses: `python -m tools.curation_losses`.

About three minutes on one thread. CurationFunnel draws them beneath the flow, and lab 10 runs one of them again.
"""

from __future__ import annotations

import json
from pathlib import Path

from lmlab.data.curation import curate, measured_crawl
from lmlab.training.curation_study import ARMS, CurationTrial, arm_pages

FILE = Path(__file__).resolve().parents[1] / "assets" / "curation" / "losses.json"
SEEDS = range(3)


def main() -> None:
    funnel = curate(measured_crawl())
    bits: dict[str, list[float]] = {}
    for arm in ARMS:
        pages = arm_pages(arm, funnel)
        for seed in SEEDS:
            trial = CurationTrial(pages, seed=seed)
            while not trial.is_over:
                trial.advance()
            bits.setdefault(arm, []).append(round(trial.points[-1].bits, 4))
        print(f"{arm}: {len(pages):,} pages, {bits[arm]} bits a byte", flush=True)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps({"bits": bits}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
