"""A training watched from outside: one that runs in this process, or one that another process writes down.

Both are asked for the same few things: points that are new, how far it is, what went wrong, and a model to look at.
Nothing here disturbs the training; a run folder is only read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch

from lmlab.models.language_model import LanguageModel
from lmlab.text_model import TextModel, load
from lmlab.tokenizer.load import load_tokenizer
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.metrics import MetricPoint, parse_line
from lmlab.training.recipes import Recipe, RecipeError, read_recipe
from lmlab.training.run import Status, TrainingRun
from lmlab.training.run_folder import RunFolder

AT_ONCE = 16_000_000  # bytes of metrics.jsonl that are read in one go


class MetricTail:
    """Reads what a metrics.jsonl has gained since the last look. Half a line at its end waits for the other half."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset, self._file = 0, (0, 0)

    def read(self) -> list[MetricPoint]:
        """The new points, in the order of the file; from its beginning where it is another file than before."""
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                if (found.st_dev, found.st_ino) != self._file or found.st_size < self._offset:
                    self._offset, self._file = 0, (found.st_dev, found.st_ino)
                file.seek(self._offset)
                data = file.read(AT_ONCE)
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [point for line in whole.splitlines() if (point := parse_line(line)) is not None]


class RunHere:
    """A TrainingRun of this process: it can be paused and stopped, and its model looked at between any two steps."""

    can_steer = True

    def __init__(self, run: TrainingRun, tokenizer: Tokenizer | None = None) -> None:
        self.run = run
        device = run.state.device
        where = count_threads() if device.type == "cpu" else str(device)
        self.name = f"{sum(p.numel() for p in run.model.parameters()):,} parameters · {where}"
        self._tokenizer = tokenizer or run.tokenizer
        self._seen = 0

    def fresh(self) -> Sequence[MetricPoint]:
        """The points since the last call. A step that was seen before voids all from there on: it went back."""
        if len(self.run.log) < self._seen:  # a resumed run reads its folder when it starts
            self._seen = 0
        points = self.run.log.since(self._seen)
        self._seen += len(points)
        return points

    @property
    def status(self) -> Status:
        return self.run.status

    @property
    def steps(self) -> int | None:
        return self.run.state.steps

    @property
    def trouble(self) -> str:
        """What ended it, else the latest of what went wrong without ending it."""
        said = [self.run.failure, self.run.log.warning or "", *reversed(self.run.warnings)]
        return next((sentence for sentence in said if sentence), "")

    @property
    def tokenizer(self) -> Tokenizer | None:
        return self._tokenizer

    @property
    def newest(self) -> int | None:
        """The step of the model that `model` would give now; None without one."""
        return None if self._tokenizer is None else self.run.state.step

    def model(self) -> tuple[int, TextModel] | None:
        """A copy of the model with the step it has reached; None without a tokenizer."""
        if self._tokenizer is None:
            return None
        step, model = self.run.state.step, self.run.snapshot()
        return step, TextModel(cast(LanguageModel, model), self._tokenizer, name=f"step {step:,}")


class RunElsewhere:
    """A run folder that another process writes, or wrote: `lmlab train`, under torchrun or not."""

    can_steer = False

    def __init__(self, path: Path | str, tokenizer: Tokenizer | None = None) -> None:
        self.folder = RunFolder(Path(path).expanduser())
        self.name = self.folder.path.name
        self._tail = MetricTail(self.folder.metrics)
        self._last_step = 0
        self._given, self._tokenizer = tokenizer, tokenizer
        self._recipe: tuple[float, Recipe] | None = None

    def fresh(self) -> Sequence[MetricPoint]:
        """The points since the last call. A step that was seen before voids all from there on: it went back."""
        points = self._tail.read()
        if points:
            self._last_step = points[-1].step
        return points

    @property
    def recipe(self) -> Recipe | None:
        """The recipe in the folder, read again when it changes."""
        with contextlib.suppress(OSError, RecipeError):
            stamp = self.folder.recipe.stat().st_mtime
            if self._recipe is None or self._recipe[0] != stamp:
                self._recipe = (stamp, read_recipe(self.folder.recipe))
        return self._recipe[1] if self._recipe else None

    @property
    def steps(self) -> int | None:
        return self.recipe.training.steps if self.recipe else None

    @property
    def status(self) -> Status:
        """Running while someone alive holds the lock; what the folder does not say is taken from how far it came."""
        if self.folder.holder() is not None:
            return "running"
        if self.folder.failure():
            return "failed"
        if not self._last_step:
            return "not started"
        return "finished" if self.steps is not None and self._last_step >= self.steps else "stopped"

    @property
    def trouble(self) -> str:
        """What ended it, as the run itself wrote it down."""
        return self.folder.failure()

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The one given, else that of the newest checkpoint, once there is one."""
        latest = self.folder.latest()
        if self._tokenizer is None and latest is not None:
            with contextlib.suppress(OSError, ValueError):
                self._tokenizer = load_tokenizer(latest / "tokenizer.json")
        return self._tokenizer

    @property
    def newest(self) -> int | None:
        """The step of the newest checkpoint; None before there is one."""
        latest = self.folder.latest()
        return None if latest is None else int(latest.name.removeprefix("step-"))

    def model(self) -> tuple[int, TextModel] | None:
        """The newest checkpoint with its step; None before there is one, or where it is just being replaced."""
        latest = self.folder.latest()
        if latest is None:
            return None
        with contextlib.suppress(OSError, ValueError):
            return int(latest.name.removeprefix("step-")), load(latest)
        return None


def count_threads() -> str:
    """The processor's part in it: "cpu, 2 threads"."""
    n = torch.get_num_threads()
    return f"cpu, {n} thread{'s' if n > 1 else ''}"


def follow(source: Any, tokenizer: Tokenizer | None = None) -> RunHere | RunElsewhere:
    """A TrainingRun, or the path of a run folder, which need not be there yet. Raises ValueError for anything else."""
    if isinstance(source, TrainingRun):
        return RunHere(source, tokenizer)
    if isinstance(source, str | os.PathLike) and os.fspath(source):
        path = Path(os.fspath(source))
        if path.is_file():
            raise ValueError(f"{path} is a file; give the folder of the run, which holds metrics.jsonl.")
        return RunElsewhere(path, tokenizer)
    raise ValueError(
        f"A training to watch is a TrainingRun or the folder of one, not {type(source).__name__}; "
        "try lab.TrainingRun(...) or the path that --out named."
    )
