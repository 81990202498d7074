"""Two processes on CPUs train as one does, write what one writes, stop together, and come back when one is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from lmlab.models.load import load_model
from lmlab.training.command import train_command
from lmlab.training.following import RunElsewhere
from lmlab.training.metrics import read_metrics
from lmlab.training.run_folder import RunFolder, RunFolderError
from lmlab.training.state import TrainState
from lmlab.widgets import TrainingMonitor
from lmlab.widgets._style import plain
from tests.training.stand_ins import small_model
from tests.training.team_of_two import KINDS, PARALLELS, RESUMED, STEPS, Ragged, a_run, losses, work

ROOT = Path(__file__).parents[2]
STEPS_OF_RECIPE, SAVE_EVERY = 120, 20
slow = pytest.mark.slow
both = pytest.mark.parametrize("parallel", PARALLELS)
unix = pytest.mark.skipif(os.name == "nt", reason="sends signals, which Windows does not have")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have done everything that `team_of_two` describes."""
    place = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(work, (place, port), nprocs=2)
    return place


@pytest.fixture(scope="module")
def told(folder: Path) -> list[dict[str, Any]]:
    """What each process saw, by its rank."""
    return [json.loads((folder / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]


@pytest.fixture(scope="module")
def undisturbed() -> list[float]:
    """The losses of one process that trains alone and to the end."""
    return [p.loss for p in a_run(None).start().wait().log.points]


@slow
@both
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one_does(told: list[dict[str, Any]], parallel: str, kind: str) -> None:
    one, (first, second) = losses(kind), (t[f"{parallel} {kind}"] for t in told)
    exact = 5e-3 if kind == "bf16" else 1e-5  # products of half the rows are rounded otherwise
    assert len(one["losses"]) == STEPS
    for what in ("losses", "weights"):
        assert first[what] == pytest.approx(one[what], abs=exact)
    assert first["norms"] == pytest.approx(one["norms"], rel=exact)
    assert max(one["norms"]) > 0.5, "the test needs a gradient that is clipped"
    assert first["tokens"] == one["tokens"]
    assert (first["losses"], first["norms"]) == (second["losses"], second["norms"])


@slow
@both
def test_each_process_works_on_its_own_rows_of_the_same_batch(told: list[dict[str, Any]], parallel: str) -> None:
    for step, batch in zip(range(3), Ragged(), strict=False):
        mine, yours = (t[f"{parallel} rows"]["rows"][step] for t in told)
        assert mine + yours == batch.inputs.tolist()
        assert len(mine) == len(yours) == 3


@slow
def test_ddp_keeps_the_whole_model_in_each_process_and_fsdp_half_of_it(told: list[dict[str, Any]]) -> None:
    whole = sum(p.numel() for p in small_model().parameters())
    for t in told:
        assert t["ddp rows"]["parameters"] == whole
        assert t["ddp rows"]["moments"] == 2 * whole
        assert t["fsdp rows"]["parameters"] == pytest.approx(whole / 2, rel=0.02)
        assert t["fsdp rows"]["moments"] == 2 * t["fsdp rows"]["parameters"]
    assert sum(t["fsdp rows"]["parameters"] for t in told) == whole


@slow
@both
def test_one_asked_to_stop_stops_both_with_a_checkpoint_and_they_resume(
    told: list[dict[str, Any]], undisturbed: list[float], parallel: str
) -> None:
    first, second = (t[f"{parallel} stopped"] for t in told)
    for t in (first, second):
        assert (t["status"], t["step"]) == ("stopped", 7)
    assert (first["writes"], second["writes"]) == (True, False)
    assert first["losses"] == pytest.approx(undisturbed, abs=1e-5)


@slow
@both
@pytest.mark.parametrize("kind", RESUMED)
def test_ten_steps_together_a_checkpoint_and_ten_more_whoever_takes_them(
    folder: Path, told: list[dict[str, Any]], parallel: str, kind: str
) -> None:
    """The checkpoint is whole: the two go on from it as if nothing had been, and so does one process alone."""
    together = told[0][f"{parallel} halves {kind}"]["losses"]
    assert together == told[0][f"{parallel} {kind}"]["losses"][10:], "resumed by the same processes: every bit"
    settings = KINDS[kind][2]["settings"]
    alone = a_run(folder / parallel / kind / "half", settings=settings, resume=True, seed_of_weights=8).start().wait()
    assert [p.loss for p in alone.log.points] == pytest.approx(losses(kind)["losses"], abs=1e-5)
    assert any("processes=2, this run has 1" in warning for warning in alone.warnings)


@slow
@both
def test_a_loss_that_is_nan_in_one_process_ends_both_each_time_at_that_step(
    folder: Path, told: list[dict[str, Any]], parallel: str
) -> None:
    for t in told:
        said = t[f"{parallel} nan"]["said"]
        assert len(said) == 2
        assert all("loss at step 6 is not a finite number" in sentence for sentence in said)
        assert t[f"{parallel} nan"]["cursor"] == 5
    kept = load_model(folder / parallel / "nan" / "checkpoints" / "step-000005")
    assert all(bool(p.isfinite().all()) for p in kept.parameters())


@slow
@both
def test_what_the_first_process_refuses_ends_the_others_too(told: list[dict[str, Any]], parallel: str) -> None:
    first, second = (t[f"{parallel} in use"]["said"] for t in told)
    assert first.startswith("RunFolderError: ")
    assert "already holds a run" in first
    assert second.startswith("FirstFailed: ")


def test_more_parts_and_processes_than_rows_are_refused() -> None:
    state = TrainState.begin(small_model(), steps=1, accumulate=4)
    state.team = type("Two", (), {"size": 2, "rank": 0})()  # type: ignore[assignment]
    from lmlab.training.loop import _parts

    with pytest.raises(ValueError, match="6 rows cannot be cut into accumulate=4 parts for each of 2 processes"):
        _parts(state, next(iter(Ragged())))


def test_a_lock_of_the_same_run_is_a_predecessors_even_of_another_machine(tmp_path: Path) -> None:
    lock = {"pid": 1, "host": "elsewhere", "started": 0.0, "run": "geese-7"}
    (tmp_path / "lock").write_text(json.dumps(lock), encoding="utf-8")
    for run_id in (None, "geese-8"):
        with pytest.raises(RunFolderError, match="process 1 on elsewhere"):
            RunFolder(tmp_path, run_id=run_id).acquire()
    RunFolder(tmp_path, run_id="geese-7").acquire()


# ---------------------------------------------------------------- torchrun


def recipe(folder: Path, parallel: str, steps: int) -> Path:
    text = "\n\n".join(f"the goose number {n} honks at the {n % 7} geese of the town" for n in range(300))
    (folder / "geese.txt").write_text(text, encoding="utf-8")
    (folder / "recipe.toml").write_text(
        f"""
[corpus]
name = "{(folder / "geese.txt").as_posix()}"
[tokenizer]
vocab_size = 280
[model]
d_model = 16
n_layers = 1
n_heads = 2
[training]
parallel = "{parallel}"
steps = {steps}
B = 4
T = 24
lr = 0.003
save_every = {SAVE_EVERY}
""",
        encoding="utf-8",
    )
    return folder / "recipe.toml"


@contextlib.contextmanager
def torchrun(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Two processes started by torchrun, which nobody leaves behind."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [*psutil.Process(child.pid).children(recursive=True), child]:
                process.kill()
        child.wait()


def wait_for(condition: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def steps_done(folder: Path) -> int:
    metrics = folder / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe's run by one process."""
    place = tmp_path_factory.mktemp("alone")
    assert train_command(recipe(place, "ddp", STEPS_OF_RECIPE), place / "run") == 0
    return place / "run"


def losses_in(folder: Path) -> list[float]:
    return [p.loss for p in read_metrics(folder / "metrics.jsonl")]


def watched(monitor: TrainingMonitor) -> None:
    """While two processes train: its steps are in the picture, and what only they can do is not offered."""
    view = monitor.compute()
    assert view.status == monitor.status == "running"
    assert 40 <= view.step < view.steps == STEPS_OF_RECIPE
    assert not view.can_steer
    assert view.toggle == "Pause: only where it runs"
    assert "belongs to another process: Ctrl-C there" in plain(view.readout)
    with pytest.raises(ValueError, match="belongs to another process: press Ctrl-C there"):
        monitor.clicked("halt")


@slow
@unix
def test_a_worker_that_is_killed_is_started_again_and_nobody_can_tell(tmp_path: Path, alone: Path) -> None:
    steps, out = STEPS_OF_RECIPE, tmp_path / "run"
    arguments = ("-m", "lmlab", "train", str(recipe(tmp_path, "ddp", steps)), "--out", str(out))
    monitor = TrainingMonitor(out, floor=0.1)
    with torchrun("--max-restarts", "3", *arguments) as child:
        wait_for(lambda: steps_done(out) > 50, child)
        watched(monitor.wait_for(step=40))
        lock = json.loads((out / "lock").read_text(encoding="utf-8"))
        # Between two checkpoints: right after one no step is lost, and none would be done twice.
        wait_for(lambda: 0 < steps_done(out) % SAVE_EVERY < SAVE_EVERY - 5, child)
        os.kill(lock["pid"], signal.SIGKILL)  # the first process, which holds the lock
        _, said = child.communicate(timeout=250)
    assert child.returncode == 0, said
    monitor.wait().close()
    assert monitor.status == "finished"
    assert monitor.points() == [(p.step, p.loss) for p in read_metrics(out / "metrics.jsonl")]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) > steps, "it went back to a checkpoint, so some steps were done twice"
    by_step: dict[int, set[float]] = {}
    for line in lines:
        by_step.setdefault(line["step"], set()).add(line["loss"])
    assert list(by_step) == list(range(1, steps + 1))
    assert all(len(found) == 1 for found in by_step.values()), "done twice with the same loss, to the last bit"
    assert [min(found) for found in by_step.values()] == pytest.approx(losses_in(alone), abs=1e-3)
    assert not (out / "lock").exists()
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in alone.iterdir())


@slow
@unix
def test_sigterm_under_fsdp_leaves_a_checkpoint_from_which_one_process_goes_on(tmp_path: Path, alone: Path) -> None:
    steps, out = STEPS_OF_RECIPE, tmp_path / "run"
    plan = recipe(tmp_path, "fsdp", steps)
    with torchrun("-m", "lmlab", "train", str(plan), "--out", str(out), "--set", "training.save_every=1000") as child:
        wait_for(lambda: steps_done(out) > 10, child)
        child.terminate()
        _, said = child.communicate(timeout=250)
    step = steps_done(out)
    assert child.returncode != 0
    assert "Traceback" not in said.split("SignalException")[0].split("torch/distributed")[0]
    assert said.count("Go on with: lmlab train") == 1, said
    assert (out / "latest").read_text(encoding="utf-8") == f"step-{step:06d}\n"
    assert not (out / "lock").exists()
    assert 10 < step < steps
    assert train_command(plan, out, resume=True) == 0
    assert losses_in(out) == pytest.approx(losses_in(alone), abs=1e-3)


@slow
@unix
def test_an_error_of_one_process_ends_all_and_is_said_once(tmp_path: Path) -> None:
    with torchrun("-m", "tests.training.team_of_two", str(tmp_path / "run")) as child:
        _, said = child.communicate(timeout=250)
    assert child.returncode == 1
    assert said.count("said: Process 1 of 2: the second process has run out of geese.") == 1, said
    assert "Process 0 of 2: the second" not in said
    elsewhere = RunElsewhere(tmp_path / "run")
    assert elsewhere.status == "failed"
    assert elsewhere.trouble == "Process 1 of 2: the second process has run out of geese."
    assert (tmp_path / "run" / "latest").read_text(encoding="utf-8") == "step-000004\n"
