"""Checkpoints: what was stopped goes on as if it had not been, and no crash or full disk takes the last one away."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from lmlab.models.load import load_model
from lmlab.training import run_folder
from lmlab.training.checkpoint import STATE_FILE, CheckpointError, read_checkpoint, write_checkpoint
from lmlab.training.loop import train
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.run_folder import RunFolder, RunFolderError
from lmlab.training.state import TrainState
from tests.training.stand_ins import CountingStream, same_bits, small_model, weights

SETTINGS = OptimizerSettings(lr=1e-2)


def begin(seed: int = 0, steps: int = 20, settings: OptimizerSettings = SETTINGS) -> TrainState:
    return TrainState.begin(small_model(seed), steps=steps, settings=settings)


def moments(state: TrainState) -> list[torch.Tensor]:
    return [state.optimizer.state[p][key] for p in state.model.parameters() for key in ("exp_avg", "exp_avg_sq")]


def test_ten_steps_a_file_and_ten_more_are_twenty_bit_for_bit(tmp_path: Path) -> None:
    whole = begin()
    train(whole, CountingStream(), next_token, 20)

    first, stream = begin(), CountingStream()
    train(first, stream, next_token, 10)
    write_checkpoint(tmp_path / "ten", first, stream)

    second, fresh = begin(seed=7), CountingStream()  # other weights, to be replaced
    second.generator.manual_seed(99)
    read_checkpoint(tmp_path / "ten", second, fresh)
    assert second.step == 10
    assert second.tokens == first.tokens
    assert fresh.drawn == 10
    train(second, fresh, next_token, 20)
    assert same_bits(weights(whole.model), weights(second.model))
    assert same_bits(moments(whole), moments(second))
    assert torch.equal(whole.generator.get_state(), second.generator.get_state())


def test_a_checkpoint_is_a_model_folder_and_holds_no_pickle(tmp_path: Path) -> None:
    state, stream = begin(), CountingStream()
    train(state, stream, next_token, 3)
    write_checkpoint(tmp_path / "c", state, stream)
    ids = torch.randint(0, 13, (2, 9))
    assert torch.equal(load_model(tmp_path / "c")(ids), state.model(ids))
    for file in (tmp_path / "c").iterdir():
        with pytest.raises(Exception), file.open("rb") as handle:  # noqa: B017 (any refusal will do)
            pickle.load(handle)


def test_the_header_says_where_and_with_what(tmp_path: Path) -> None:
    state, stream = begin(), CountingStream()
    train(state, stream, next_token, 3)
    write_checkpoint(tmp_path / "c", state, stream)
    raw = (tmp_path / "c" / STATE_FILE).read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["lmlab"])
    assert header["step"] == 3
    assert header["steps"] == 20
    assert header["cursor"] == {"drawn": 3}
    assert header["device"] == "cpu"
    assert header["threads"] == torch.get_num_threads()
    assert header["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda: begin(settings=OptimizerSettings(lr=2e-2)), "at 0.01, now 20 of cosine at 0.02"),
        (lambda: begin(settings=OptimizerSettings(lr=1e-2, weight_decay=0.0)), "weight_decay 0.1, now 0.0"),
        (lambda: begin(steps=30), "20 steps of cosine at 0.01, now 30"),
        (lambda: begin(steps=5), "10 steps done, now 5 planned"),
        (lambda: TrainState.begin(small_model(), steps=20, seed=1, settings=SETTINGS), "seed 0, now 1"),
    ],
)
def test_other_settings_than_it_was_trained_with_are_refused_by_name(
    tmp_path: Path, other: Callable[[], TrainState], named: str
) -> None:
    state, stream = begin(), CountingStream()
    train(state, stream, next_token, 10)
    write_checkpoint(tmp_path / "c", state, stream)
    with pytest.raises(CheckpointError, match=named):
        read_checkpoint(tmp_path / "c", other(), CountingStream())


def test_a_plan_may_grow_where_no_step_done_would_have_been_another(tmp_path: Path) -> None:
    steady = OptimizerSettings(lr=1e-2, schedule="wsd", warmup=2, decay_fraction=0.5)
    state, stream = begin(settings=steady), CountingStream()
    train(state, stream, next_token, 10)
    write_checkpoint(tmp_path / "c", state, stream)
    longer = begin(steps=40, settings=steady)
    read_checkpoint(tmp_path / "c", longer, CountingStream())
    assert longer.step == 10
    assert longer.steps == 40


@pytest.mark.parametrize("where", [0, 5, 40, 1000, -1])
def test_one_flipped_bit_anywhere_is_noticed(tmp_path: Path, where: int) -> None:
    state, stream = begin(), CountingStream()
    train(state, stream, next_token, 2)
    write_checkpoint(tmp_path / "c", state, stream)
    raw = bytearray((tmp_path / "c" / STATE_FILE).read_bytes())
    raw[where] ^= 1
    (tmp_path / "c" / STATE_FILE).write_bytes(raw)
    with pytest.raises(ValueError, match=STATE_FILE):
        read_checkpoint(tmp_path / "c", begin(), CountingStream())


def test_a_model_folder_is_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint that training can resume from"):
        read_checkpoint(tmp_path, begin(), CountingStream())


class Crash(BaseException):
    """The process dies here; nothing after this line happens."""


def save_with_a_crash_at(
    folder: RunFolder, state: TrainState, stream: CountingStream, call: int, monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Save, dying at the call-th change of the file system; False where there are fewer."""
    left = call

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left <= 0:  # and everything later fails too: the dead clean up nothing
                raise Crash
            return real(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        for module, name in ((os, "replace"), (os, "mkdir"), (os, "fsync"), (os, "unlink"), (os, "rmdir")):
            patch.setattr(module, name, dying(getattr(module, name)))
        try:
            folder.add_checkpoint(state.step, lambda path: write_checkpoint(path, state, stream))
        except Crash:
            return True
    return False


def test_wherever_saving_dies_the_latest_checkpoint_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, state, stream = RunFolder(tmp_path / "run"), begin(steps=400), CountingStream()
    train(state, stream, next_token, 1)
    folder.add_checkpoint(1, lambda path: write_checkpoint(path, state, stream))
    crashes = 0
    for call in range(1, 60):
        saved = state.step
        train(state, stream, next_token, saved + 1)
        died = save_with_a_crash_at(folder, state, stream, call, monkeypatch)
        crashes += died
        latest = folder.latest()
        assert latest is not None
        found, cursor = begin(steps=400), CountingStream()
        read_checkpoint(latest, found, cursor)
        assert cursor.drawn == found.step
        if found.step == state.step:
            assert same_bits(weights(found.model), weights(state.model))
        if not died:
            break
    assert crashes > 8, "saving touches the file system more often than that"
    assert not died
    assert folder.latest() == folder.checkpoints / f"step-{state.step:06d}"
    assert len(list(folder.checkpoints.iterdir())) == 2, "leftovers of the crashes are cleared away"


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, state, stream = RunFolder(tmp_path / "run"), begin(), CountingStream()
    train(state, stream, next_token, 1)
    folder.add_checkpoint(1, lambda path: write_checkpoint(path, state, stream))
    train(state, stream, next_token, 2)

    def full(path: Path) -> None:
        path.mkdir()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        folder.add_checkpoint(2, full)
    assert folder.latest() == folder.checkpoints / "step-000001"
    folder.add_checkpoint(2, lambda path: write_checkpoint(path, state, stream))
    assert folder.latest() == folder.checkpoints / "step-000002"


def test_the_newest_two_stay(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    for step in (3, 6, 9, 12):
        folder.add_checkpoint(step, lambda path: path.mkdir(parents=True))
    assert sorted(p.name for p in folder.checkpoints.iterdir()) == ["step-000009", "step-000012"]
    assert (tmp_path / "run" / "latest").read_text(encoding="utf-8") == "step-000012\n"


def test_a_folder_in_use_is_refused_naming_who_uses_it(tmp_path: Path) -> None:
    RunFolder(tmp_path).acquire()
    with pytest.raises(RunFolderError, match="in use by another run of this kernel"):
        RunFolder(tmp_path).acquire()
    RunFolder(tmp_path).release()
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock = {
        "pid": other.pid,
        "host": run_folder.socket.gethostname(),
        "started": psutil.Process(other.pid).create_time(),
    }
    (tmp_path / "lock").write_text(json.dumps(lock), encoding="utf-8")
    try:
        with pytest.raises(RunFolderError, match=f"process {other.pid}"):
            RunFolder(tmp_path).acquire()
    finally:
        other.communicate(b"\n")
    RunFolder(tmp_path).acquire()  # it has gone, and its lock with it


@pytest.mark.parametrize("left", ["", "{", '{"pid": 1', "[]", '{"pid": "x", "host": "here", "started": 0}'])
def test_a_torn_lock_is_nobodys(tmp_path: Path, left: str) -> None:
    (tmp_path / "lock").write_text(left, encoding="utf-8")
    RunFolder(tmp_path).acquire()


def test_a_lock_of_a_process_number_that_was_given_away_again_is_stale(tmp_path: Path) -> None:
    lock = {"pid": os.getppid(), "host": run_folder.socket.gethostname(), "started": 1.0}
    (tmp_path / "lock").write_text(json.dumps(lock), encoding="utf-8")
    RunFolder(tmp_path).acquire()
