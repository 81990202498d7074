"""What two processes do together in `test_distributed.py`: every scenario in one pair, since torch takes long to load.

Each process writes what it saw as JSON; the tests judge it. Run by torchrun, it is a training in which the second
process fails: `python -m tests.training.team_of_two FOLDER`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from lmlab.data.masked import MaskedStream
from lmlab.training.loop import TrainingDiverged, train
from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import Objective, masked_token, next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.run import TrainingRun
from lmlab.training.state import TrainState
from lmlab.training.team import ALONE, Team, team_here
from tests.training.stand_ins import CountingStream, Pair, V, small_model

STEPS = 20
PARALLELS = ("ddp", "fsdp")


class Ragged(CountingStream):
    """Rows that end where they like, so that processes differ in what they count; the upper half of some batches is
    empty, so that one process counts nothing."""

    def __init__(self) -> None:
        super().__init__(B=6)

    def __iter__(self) -> Iterator[Pair]:
        for pair in super().__iter__():
            lengths = 1 + pair.inputs.sum(1, keepdim=True) % self.T
            if self.drawn % 5 == 0:
                lengths[3:] = 0
            yield Pair(pair.inputs, pair.targets.masked_fill(torch.arange(self.T) >= lengths, -100))


def masked() -> MaskedStream:
    ids = torch.randint(2, V, (4000,), generator=torch.Generator().manual_seed(5))
    return MaskedStream(ids, mask=1, bos=0, T=12, B=6)


ADAMW = OptimizerSettings(lr=1e-2, clip=0.5)
MUON = OptimizerSettings(optimizer="muon", lr=1e-2)
KINDS: dict[str, tuple[Callable[[], Any], Objective, dict[str, Any]]] = {
    "next_token": (Ragged, next_token, {"settings": ADAMW}),
    "masked_token": (masked, masked_token, {"settings": ADAMW}),
    "accumulate": (Ragged, next_token, {"settings": ADAMW, "accumulate": 3}),
    "muon": (Ragged, next_token, {"settings": MUON}),
    "bf16": (Ragged, next_token, {"settings": ADAMW, "precision": "bf16"}),
}
RESUMED = ("next_token", "muon")


def losses(kind: str, team: Team = ALONE, steps: int = STEPS) -> dict[str, list[float]]:
    stream, objective, changes = KINDS[kind]
    points: list[MetricPoint] = []
    state = TrainState.begin(small_model(), steps=steps, team=team, **changes)
    train(state, stream(), objective, steps, lambda _, point: points.append(point))
    whole = team.whole_model(state)
    weights = [p.detach().flatten() for p in whole.parameters()] if team.rank == 0 else []
    return {
        "losses": [p.loss for p in points],
        "norms": [p.grad_norm for p in points],
        "tokens": [float(p.tokens) for p in points],
        "weights": torch.cat(weights).tolist() if weights else [],
    }


def a_run(folder: Path | None, team: Team = ALONE, **changes: Any) -> TrainingRun:
    options: dict[str, Any] = {"steps": STEPS, "settings": ADAMW, "save_every": 4, "folder": folder, "team": team}
    return TrainingRun(small_model(changes.pop("seed_of_weights", 0)), Ragged(), **{**options, **changes})


def rows_seen(team: Team) -> dict[str, Any]:
    """Which rows the objective was given, and how much of the model lies in this process."""
    seen: list[Any] = []

    def spying(model: torch.nn.Module, batch: Pair, generator: torch.Generator) -> torch.Tensor:
        seen.append(batch.inputs.tolist())
        return next_token(model, batch, generator)

    state = TrainState.begin(small_model(), steps=3, team=team, settings=ADAMW)
    train(state, Ragged(), spying, 3)
    here = [getattr(p, "_local_tensor", p).numel() for p in state.model.parameters()]
    remembered = [
        getattr(moment, "_local_tensor", moment).numel()
        for slot in state.optimizer.state.values()
        for name, moment in slot.items()
        if name != "step"
    ]
    return {"rows": seen, "parameters": sum(here), "moments": sum(remembered)}


def stopped_by_the_other(folder: Path, team: Team) -> dict[str, Any]:
    """The second process alone is asked to stop, after its seventh step; both resume to the end."""
    run = a_run(folder, team, save_every=None)
    if team.rank == 1:

        def stopping(model: torch.nn.Module, batch: Pair, generator: torch.Generator) -> torch.Tensor:
            run._stopping = run._stopping or run.state.step == 6
            return next_token(model, batch, generator)

        run.objective = stopping
    run.start().wait()
    told = {"status": run.status, "step": run.state.step, "writes": run.folder is not None}
    again = a_run(folder, team, resume=True, seed_of_weights=3).start().wait()
    return {**told, "losses": [p.loss for p in again.log.points]}


def nan_in_one(folder: Path, team: Team) -> dict[str, Any]:
    """The loss of the second process alone is NaN in the sixth step; and again, when both resume."""

    def poisoned(model: torch.nn.Module, batch: Pair, generator: torch.Generator) -> torch.Tensor:
        return next_token(model, batch, generator) * (float("nan") if team.rank == 1 and run.state.step == 5 else 1.0)

    said = []
    for resume in (False, True):
        run = a_run(folder, team, objective=poisoned, resume=resume).start()
        try:
            run.wait()
        except TrainingDiverged as error:
            said.append(str(error))
    return {"said": said, "cursor": run.batches.state()["drawn"]}


def in_use(folder: Path, team: Team) -> dict[str, str]:
    """A folder that holds a run already."""
    try:
        a_run(folder, team).start()
    except RuntimeError as error:
        return {"said": f"{type(error).__name__}: {error}"}
    return {"said": ""}


def halves(folder: Path, settings: OptimizerSettings, team: Team) -> dict[str, Any]:
    """Ten steps in a folder; then, from a copy that nobody else writes to, the other ten together."""
    train_until(a_run(folder / "half", team, settings=settings), 10)
    team.first(lambda: shutil.copytree(folder / "half", folder / "together"))
    second = a_run(folder / "together", team, settings=settings, resume=True, seed_of_weights=3).start().wait()
    return {"losses": [p.loss for p in second.log.points][10:]}


def train_until(run: TrainingRun, step: int) -> None:
    """Stop a run after that step, as if somebody had asked in time."""
    objective = run.objective

    def stopping(model: torch.nn.Module, batch: Any, generator: torch.Generator) -> torch.Tensor:
        run._stopping = run._stopping or run.state.step == step - 1
        return objective(model, batch, generator)

    run.objective = stopping
    run.start().wait()


def work(rank: int, folder: Path, port: int) -> None:
    """All scenarios, in one process of two."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
    os.environ["MASTER_PORT"] = str(port)
    from lmlab.training.distributed import Processes, joined

    torch.set_num_threads(1)
    told: dict[str, Any] = {}
    with joined("ddp") as team:
        for parallel in PARALLELS:
            both = Processes(parallel, team.device)
            place = folder / parallel
            for kind in KINDS:
                told[f"{parallel} {kind}"] = losses(kind, both)
            told[f"{parallel} rows"] = rows_seen(both)
            told[f"{parallel} stopped"] = stopped_by_the_other(place / "stopped", both)
            told[f"{parallel} in use"] = in_use(place / "stopped", both)
            told[f"{parallel} nan"] = nan_in_one(place / "nan", both)
            for kind in RESUMED:
                told[f"{parallel} halves {kind}"] = halves(place / kind, KINDS[kind][2]["settings"], both)
    (folder / f"{rank}.json").write_text(json.dumps(told), encoding="utf-8")


def fail(folder: Path) -> None:
    """A training whose second process meets an error of its own in the sixth step."""

    def failing(model: torch.nn.Module, batch: Pair, generator: torch.Generator) -> torch.Tensor:
        if team.rank == 1 and run.state.step == 5:
            raise ValueError("the second process has run out of geese.")
        return next_token(model, batch, generator)

    with team_here("ddp") as team:
        run = a_run(folder, team, objective=failing)
        run.start().wait()


if __name__ == "__main__":
    try:
        fail(Path(sys.argv[1]))
    except RuntimeError as error:
        sys.exit(f"said: {error}")
