"""What a run survives: kill -9 in the middle of a save, a disk that is full, and being stopped wherever it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lmlab.training.loop import train
from lmlab.training.metrics import read_metrics
from lmlab.training.objectives import next_token
from lmlab.training.run import TrainingRun
from lmlab.training.run_folder import RunFolder
from lmlab.training.state import TrainState
from tests.training.stand_ins import CountingStream, small_model

forks = pytest.mark.skipif(os.name == "nt", reason="Windows has no fork, and no limit to the size of files")


def child(*arguments: str | Path, before: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Run a module of this folder in a process of its own; the JSON objects that it prints."""
    command = [*before, sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=280)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def undisturbed(n: int, steps: int) -> list[float]:
    """The first n losses of the same run, of which nothing was ever saved, killed or resumed."""
    losses: list[float] = []
    state = TrainState.begin(small_model(), steps=steps)
    train(state, CountingStream(), next_token, n, lambda _, point: losses.append(point.loss))
    return losses


@forks
@pytest.mark.slow
def test_killed_at_fifty_moments_of_saving_it_resumes_with_equal_losses(tmp_path: Path) -> None:
    (told,) = child("tests.training.forked_runs", tmp_path / "run", "50", "0")
    assert told["in_save"] >= 25, "most kills were to fall into a save"
    steps = told["steps"]  # of the checkpoint that `latest` named after each kill; reading one checks every byte
    assert len(steps) == 51
    assert steps == sorted(steps), "no kill takes a checkpoint away"
    assert steps[-1] >= 15, "the runs get on"
    assert [name for name in told["left"] if name[0] != "."] == ["checkpoints", "latest", "lock", "metrics.jsonl"]

    expected = undisturbed(steps[-1] + 2, 100_000)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    assert len(whole) > steps[-1], "some steps were done twice"
    assert [row["loss"] for row in whole] == [expected[row["step"] - 1] for row in whole]

    run = TrainingRun(small_model(), CountingStream(), steps=100_000, folder=tmp_path / "run", resume=True).start()
    while len(run.log) < steps[-1] + 2:
        time.sleep(0.005)
    run.stop()
    points = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [p.loss for p in points[: len(expected)]] == expected
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["checkpoints", "latest", "metrics.jsonl"]
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 2, "leftovers of the kills are cleared away"


@forks
def test_a_killed_process_that_nobody_has_waited_for_holds_no_lock(tmp_path: Path) -> None:
    code = f"from lmlab.training.run_folder import RunFolder; RunFolder({str(tmp_path)!r}).acquire(); input()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (tmp_path / "lock").exists() or not (tmp_path / "lock").stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and still in the table of processes
    RunFolder(tmp_path).acquire()
    other.communicate()


def test_what_a_kill_left_half_written_is_no_stranger_and_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".latest.abc.lmlab-tmp").write_text("step-00", encoding="utf-8")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "thesis.txt").write_text("geese", encoding="utf-8")
    folder = RunFolder(tmp_path)
    assert folder.strangers() == ["thesis.txt"]
    folder.acquire()
    folder.release()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".DS_Store", "thesis.txt"]


def judge_full_disk(runs: list[dict[str, Any]], said: str) -> None:
    """Each run met a disk without room from step 4 on, for five steps or until its end."""
    for run in runs:
        assert (run["status"], run["error"]) == ("finished", "")
        assert run["losses"] == undisturbed(12, 12)
        assert f"checkpoint of step 4 could not be written ({said})" in run["warnings"][0]
        assert "training goes on" in run["warnings"][0]
        at_full, *later = run["latest"]
        assert at_full == 3
        assert later in ([3, 12], [3]), "the old checkpoint stays, and there is a new one once there is room"
        assert set(run["left"]) == {"checkpoints", "latest", "metrics.jsonl"}, "the lock is given back"
        assert run["lines"] == 12 or run["metrics_warning"]
        if len(later) == 2:
            assert run["lines"] == 12, "lines that found no room are written when there is"


@pytest.mark.slow
@forks
def test_files_that_cannot_grow_leave_the_old_checkpoint_and_training_goes_on(tmp_path: Path) -> None:
    runs = child("tests.training.full_disk", tmp_path, "limit", "0", "9000", "30000")
    assert len(runs) == 6
    assert any(run["metrics_warning"] for run in runs)
    judge_full_disk(runs, "File too large")


@pytest.mark.slow
@forks
def test_a_disk_that_is_really_full_leaves_the_old_checkpoint_and_training_goes_on(tmp_path: Path) -> None:
    """On a file system of 600 KB, in a mount namespace of its own, which vanishes with the process."""
    alone = ("unshare", "--map-root-user", "--mount")
    script = f'mount -t tmpfs -o size=600k tmpfs "{tmp_path}" && exec "$@"'
    inside = (*alone, "sh", "-c", script, "sh")
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("this system mounts nothing for us")
    runs = child("tests.training.full_disk", tmp_path, "room", "0", "50000", before=inside)
    judge_full_disk(runs, "No space left on device")


class SlowSave(CountingStream):
    """A cursor that takes a while to read, so that there is a moment in the middle of a save."""

    def __init__(self) -> None:
        super().__init__()
        self.saving = threading.Event()

    def state(self) -> dict[str, Any]:
        self.saving.set()
        time.sleep(0.2)
        return super().state()


def test_stopped_in_the_middle_of_a_save_it_ends_within_a_second_with_that_checkpoint(tmp_path: Path) -> None:
    stream = SlowSave()
    run = TrainingRun(small_model(), stream, steps=1_000_000, folder=tmp_path, save_every=5).start()
    assert stream.saving.wait(60)
    started = time.monotonic()
    run.stop()
    assert time.monotonic() - started < 1.0
    latest = RunFolder(tmp_path).latest()
    assert latest is not None
    assert latest.name == f"step-{run.state.step:06d}" == "step-000005"


@pytest.mark.slow
def test_stopped_in_the_very_first_step_it_ends_within_a_second() -> None:
    """In a fresh process: whatever the first step of an optimizer loads is loaded before the run starts."""
    code = (
        "import time; from tests.training.test_kills import *\n"
        "run = TrainingRun(small_model(), CountingStream(), steps=1_000_000).start()\n"
        "started = time.monotonic(); run.stop()\n"
        "print(json.dumps({'seconds': time.monotonic() - started, 'status': run.status}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "stopped"
    assert told["seconds"] < 1.0
