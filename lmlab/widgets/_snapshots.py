"""One model at several moments of its training: the shipped one, a run's folder, or any text models in order."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

from lmlab.assets import asset
from lmlab.text_model import TextModel, load
from lmlab.training.recipes import RecipeError, read_recipe
from lmlab.widgets._candidates import same_vocabulary

MOST = 12  # snapshots that are shown
STEP = re.compile(r"step[- ]0*([\d,]+)$")


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A model and the step at which its training stood; -1 where nobody knows."""

    step: int
    model: TextModel

    @property
    def label(self) -> str:
        return f"step {self.step:,}" if self.step >= 0 else self.model.name


def snapshots_of(given: Sequence[TextModel | str | os.PathLike[str]], who: str) -> tuple[Snapshot, ...]:
    """The snapshots in order. Nothing given: those of the shipped model, and the model itself. A folder of
    snapshots/ or of step-000050/ counts as all of them.

    Raises ValueError for fewer than one, more than MOST, or models of different vocabularies.
    """
    folders: list[TextModel | Path] = []
    if not given:
        folders = [*_steps_in(asset("models/town-steps")), asset("models/town")]
    for one in given:
        folders += [one] if isinstance(one, TextModel) else _folders(one)
    found = sorted((_snapshot(one) for one in folders), key=lambda s: s.step if s.step >= 0 else 10**12)
    if not 1 <= len(found) <= MOST:
        raise ValueError(f"{who} shows 1 to {MOST} snapshots and got {len(found)}; name those you want.")
    if not same_vocabulary(s.model for s in found):
        raise ValueError(f"{who} needs snapshots of one training, with one tokenizer; these have different ones.")
    return tuple(found)


def _folders(path: str | os.PathLike[str]) -> list[TextModel | Path]:
    place = Path(os.fspath(path))
    for folder in (place / "snapshots", place):
        if folder.is_dir() and (steps := _steps_in(folder)):
            last = [place / "model"] if (place / "model").is_dir() else []
            return [*steps, *last]
    return [load(os.fspath(path))]


def _steps_in(folder: Path) -> list[TextModel | Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and STEP.match(path.name)]


def _snapshot(one: TextModel | Path) -> Snapshot:
    if isinstance(one, TextModel):
        match = STEP.search(one.name)
        return Snapshot(int(match[1].replace(",", "")) if match else -1, one)
    match = STEP.match(one.name)
    if match:
        return Snapshot(int(match[1]), load(one))
    try:
        return Snapshot(read_recipe(one / "recipe.toml").training.steps, load(one))
    except (RecipeError, OSError):
        return Snapshot(-1, load(one))
