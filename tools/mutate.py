"""Would the labs notice if the shipped models knew nothing? `python -m tools.mutate [--first] [00 02 …]`

Each lab is run against a copy of the package whose shipped weights are random ones of the same shape, mean and
spread, and in whose sweep of trainings the results are dealt out to other runs. What its cells print must then differ
from what is stored: an output that stays was not computed by the model, or says nothing about it. A lab that passes
all the same fails here. Every cell is counted; with `--first` a lab ends at the first that notices.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.nbval_labs import ROOT, choose, committed_labs, nbval

RANDOMIZE = """
import json, random, sys
from pathlib import Path
import torch, lmlab
from lmlab.assets import assets_folder
assert assets_folder().is_relative_to(sys.argv[1]), assets_folder()
generator = torch.Generator().manual_seed(0)
for folder in sorted(path.parent for path in assets_folder().glob("models/**/model.safetensors")):
    model = lmlab.load_model(folder)
    with torch.no_grad():
        for weights in model.parameters():
            spread, mean = weights.float().std(unbiased=False), weights.float().mean()
            weights.copy_(torch.randn(weights.shape, generator=generator) * spread + mean)
    written = ("config.json", "model.safetensors", "manifest.json")
    others = {path: path.read_bytes() for path in folder.iterdir() if path.name not in written}
    for path in others:  # a tokenizer, a chat template, a README: they stay as they are
        path.unlink()
    lmlab.save_model(model, folder)
    for path, content in others.items():
        path.write_bytes(content)
    print(f"{folder.name}: random weights")
sweep = assets_folder() / "models" / "scaling" / "runs.json"
runs = json.loads(sweep.read_text("utf-8"))["runs"]
results = [{key: run[key] for key in ("loss", "accuracy")} for run in runs]
random.Random(0).shuffle(results)
mixed = [{**run, **result} for run, result in zip(runs, results)]
sweep.write_text(json.dumps({"runs": mixed}), encoding="utf-8")
print("scaling: results of other runs")
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutate")
    parser.add_argument("--first", action="store_true", help="end each lab at the first cell that notices")
    parser.add_argument("labs", nargs="*", help="beginnings of names, such as 02; all where there is none")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lmlab-mutant-") as folder:
        mutant = Path(folder) / "mutant"
        labs = Path(folder) / "labs"
        committed_labs(labs)
        notebooks = choose(labs, asked.labs)
        if not notebooks:
            print(f"no notebook to test for {' '.join(asked.labs) or 'all'}", file=sys.stderr)
            return 1
        make_mutant(mutant)
        home = Path(folder) / "home"
        results = {path.stem: notices(path, mutant, home=home, first=asked.first) for path in notebooks}
    for name, differing in results.items():
        print(f"{name}: {differing} {'cell' if differing == 1 else 'cells'} noticed", flush=True)
    return 0 if all(results.values()) else 1


def notices(notebook: Path, mutant: Path, *, home: Path, first: bool = False) -> int:
    """How many cells of `notebook` print something else than is stored, under the mutant's weights.

    With `first` it ends at one: 1 where any cell notices, 0 where none does."""
    command, environment = nbval([notebook], home=home, package=mutant)
    command += ["--exitfirst"] * first
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode not in (0, 1):  # 0 all passed, 1 some failed; all else is no answer to our question
        raise RuntimeError(f"nbval could not run {notebook.name}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    failed = re.search(r"(\d+) failed", done.stdout.rsplit("\n", 2)[-2])  # pytest's closing line
    return int(failed[1]) if failed else 0


def make_mutant(folder: Path) -> None:
    """A copy of the package and its assets in `folder`, with random weights in the models."""
    ignore = shutil.ignore_patterns("__pycache__", "gallery")
    for name in ("lmlab", "assets"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    subprocess.run([sys.executable, "-c", RANDOMIZE, str(folder)], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    sys.exit(main())
