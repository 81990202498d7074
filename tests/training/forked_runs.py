"""Runs that are killed while they save: children forked from one process that has imported torch, and trained nothing.

    python -m tests.training.forked_runs FOLDER KILLS SEED

A process of its own, since autograd refuses to work in the child of a process in which it has worked. Prints what
happened as JSON; `tests/training/test_kills.py` judges it.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from lmlab.training.checkpoint import read_checkpoint
from lmlab.training.run import TrainingRun
from lmlab.training.run_folder import RunFolder
from lmlab.training.state import TrainState
from tests.training.stand_ins import CountingStream, small_model

STEPS = 100_000
BEGINS, ENDS = b"(", b")"


def run_in(folder: Path) -> TrainingRun:
    return TrainingRun(small_model(), CountingStream(), steps=STEPS, folder=folder, save_every=1, resume=True)


def forked(work: Callable[[], object]) -> int:
    """Do `work` in a child; returns its process number."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def train_telling(folder: Path, pipe: int) -> NoReturn:
    """Train, and tell the pipe when a save begins and when it ends."""
    run = run_in(folder)
    assert run.folder is not None
    save = run.folder.add_checkpoint

    def told(step: int, write: Callable[[Path], None]) -> Path:
        os.write(pipe, BEGINS)
        path = save(step, write)
        os.write(pipe, ENDS)
        return path

    run.folder.add_checkpoint = told  # type: ignore[method-assign]
    run.start().wait()
    raise AssertionError("it was to be killed")


def kill_once(folder: Path, n_saves: int, delay: float) -> tuple[bool, float]:
    """Kill a run `delay` seconds after its n-th save began: whether it died in a save, and how long a save takes."""
    reading, writing = os.pipe()
    pid = forked(lambda: train_telling(folder, writing))
    os.close(writing)
    told, began, took, deadline = b"", 0.0, [0.0], time.monotonic() + 60
    while told.count(BEGINS) < n_saves:
        assert select.select([reading], [], [], deadline - time.monotonic())[0], "the run saves nothing"
        news = os.read(reading, 1)
        assert news, "the run ended by itself"
        now = time.monotonic()
        began, took = (now, took) if news == BEGINS else (began, [*took, now - began])
        told += news
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while more := os.read(reading, 4096):
        told += more
    os.close(reading)
    return told.count(BEGINS) > told.count(ENDS), max(took)


def step_of_latest(folder: Path, steps: int = STEPS) -> int:
    """The step of the checkpoint that `latest` names, read whole; 0 where nothing was ever saved."""
    latest = RunFolder(folder).latest()
    if latest is None:
        return 0
    state, stream = TrainState.begin(small_model(seed=9), steps=steps), CountingStream()
    read_checkpoint(latest, state, stream)
    assert stream.drawn == state.step
    return state.step


def main(folder: Path, kills: int, seed: int) -> None:
    run_in(folder)  # whatever an optimizer loads, it loads here, once, and not in every child
    chance, in_save, steps = random.Random(seed), 0, [0]
    _, save_seconds = kill_once(folder, 6, 0.0)
    for _ in range(kills):
        died_saving, _ = kill_once(folder, chance.randint(1, 2), chance.random() * save_seconds)
        in_save += died_saving
        steps.append(step_of_latest(folder))
    left = sorted(p.name for p in folder.iterdir())
    print(json.dumps({"in_save": in_save, "save_seconds": save_seconds, "steps": steps, "left": left}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
