"""A run in its thread: paused, watched, stopped, failed, finished, saved."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch

from lmlab.models.load import load_model
from lmlab.training.loop import TrainingDiverged, train
from lmlab.training.metrics import read_metrics
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.run import TrainingRun
from lmlab.training.run_folder import RunFolderError
from lmlab.training.state import TrainState
from tests.training.stand_ins import CountingStream, Pair, same_bits, small_model, weights


def until(condition: object, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)


def endless(**changes: object) -> TrainingRun:
    return TrainingRun(small_model(), CountingStream(), steps=1_000_000, **changes)  # type: ignore[arg-type]


def test_a_run_is_the_loop_in_a_thread_bit_for_bit() -> None:
    alone = TrainState.begin(small_model(), steps=15, settings=OptimizerSettings(lr=4e-3))
    train(alone, CountingStream(), next_token, 15)
    run = TrainingRun(small_model(), CountingStream(), next_token, steps=15, seed=0, lr=4e-3)
    assert run.start() is run
    assert run.wait() is run
    assert run.status == "finished"
    assert same_bits(weights(alone.model), weights(run.model))
    assert [p.step for p in run.log.points] == list(range(1, 16))


def test_its_repr_says_what_was_asked_and_never_where_it_stands() -> None:
    run = TrainingRun(small_model(), CountingStream(), steps=1_000, seed=3)
    before = repr(run)
    run.start().stop()
    assert repr(run) == before == "TrainingRun(1,000 steps, seed 3)"


def test_a_pause_holds_the_weights_still_and_resume_goes_on_as_if_nothing_had_been() -> None:
    run = TrainingRun(small_model(), CountingStream(), steps=60, lr=4e-3).start()
    until(lambda: len(run.log) >= 5)
    run.pause()
    still = run.snapshot()
    step = run.state.step
    time.sleep(0.05)
    assert run.status == "paused"
    assert run.state.step == step
    assert same_bits(weights(still), weights(run.model))
    with pytest.raises(RuntimeError, match=rf"paused at step {step}; call resume\(\)"):
        run.wait()
    run.resume().wait()
    whole = TrainingRun(small_model(), CountingStream(), steps=60, lr=4e-3).start().wait()
    assert same_bits(weights(run.model), weights(whole.model))


def test_stop_ends_it_within_a_second_whether_running_paused_or_never_started() -> None:
    for prepare in (lambda r: until(lambda: len(r.log) > 2), lambda r: r.pause()):
        run = endless().start()
        prepare(run)
        started = time.monotonic()
        assert run.stop() is run
        assert run.status == "stopped"
        assert time.monotonic() - started < 1.0
        assert not any(t.name == "lmlab-training" for t in threading.enumerate())
        assert run.wait() is run
    assert endless().stop().status == "stopped"


def test_a_snapshot_is_a_copy_made_between_two_steps() -> None:
    run = endless().start()
    until(lambda: len(run.log) >= 3)
    for _ in range(5):
        copy = run.snapshot()
        assert bool(torch.isfinite(copy(torch.zeros(1, 3, dtype=torch.long))).all())
    kept = weights(copy)
    until(lambda: run.state.step > 20)
    assert same_bits(kept, weights(copy))
    assert not same_bits(kept, weights(run.stop().model))


def test_start_twice_is_one_run() -> None:
    run = endless().start()
    thread = run._thread
    assert run.start()._thread is thread
    run.stop()


def test_wait_before_start_says_what_to_call() -> None:
    with pytest.raises(RuntimeError, match=r"call start\(\) first"):
        endless().wait()


def failing(model: torch.nn.Module, batch: Pair, generator: torch.Generator) -> torch.Tensor:
    raise ZeroDivisionError("the objective divides by zero")


def test_what_goes_wrong_in_the_thread_is_raised_by_wait() -> None:
    run = TrainingRun(small_model(), CountingStream(), failing, steps=5).start()
    with pytest.raises(ZeroDivisionError, match="the objective divides by zero"):
        run.wait()
    assert run.status == "failed"
    with pytest.raises(ZeroDivisionError):
        run.wait()  # and again, for whoever asks again


def test_a_diverged_run_keeps_the_last_finite_weights_in_memory_and_in_its_folder(tmp_path: Path) -> None:
    def nan_at_six(model: torch.nn.Module, batch: Pair, generator: torch.Generator) -> torch.Tensor:
        return next_token(model, batch, generator) * (float("nan") if run.state.step == 5 else 1.0)

    run = TrainingRun(small_model(), CountingStream(), nan_at_six, steps=9, folder=tmp_path / "run")
    with pytest.raises(TrainingDiverged, match="loss at step 6"):
        run.start().wait()
    saved = load_model(tmp_path / "run" / "checkpoints" / "step-000005")
    assert all(bool(p.isfinite().all()) for p in saved.parameters())
    assert same_bits(weights(run.model), weights(saved))


def test_a_stopped_run_resumes_to_the_same_end(tmp_path: Path) -> None:
    whole = TrainingRun(small_model(), CountingStream(), steps=40, folder=tmp_path / "whole").start().wait()
    first = TrainingRun(small_model(), CountingStream(), steps=40, folder=tmp_path / "run", save_every=7).start()
    until(lambda: len(first.log) >= 9)
    first.stop()
    assert not (tmp_path / "run" / "lock").exists()
    second = (
        TrainingRun(small_model(9), CountingStream(), steps=40, folder=tmp_path / "run", resume=True).start().wait()
    )
    assert same_bits(weights(whole.model), weights(second.model))
    ours, theirs = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("run", "whole"))
    assert [(p.step, p.loss, p.lr, p.grad_norm, p.tokens) for p in ours] == [
        (p.step, p.loss, p.lr, p.grad_norm, p.tokens) for p in theirs
    ]
    assert [p.step for p in second.log.points] == list(range(1, 41))


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path: Path) -> None:
    TrainingRun(small_model(), CountingStream(), steps=3, folder=tmp_path).start().wait()
    with pytest.raises(RunFolderError, match=r"already holds a run \(step-000003\); resume it"):
        TrainingRun(small_model(), CountingStream(), steps=3, folder=tmp_path).start()
    assert not (tmp_path / "lock").exists()


def test_two_runs_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    first = endless(folder=tmp_path).start()
    with pytest.raises(RunFolderError, match="in use by another run of this kernel"):
        endless(folder=tmp_path, resume=True).start()
    first.stop()


def test_snapshots_are_model_folders_in_half_precision(tmp_path: Path) -> None:
    run = TrainingRun(small_model(), CountingStream(), steps=9, folder=tmp_path, snapshots=[2, 5], save_every=3)
    run.start().wait()
    assert sorted(p.name for p in (tmp_path / "snapshots").iterdir()) == ["step-000002", "step-000005"]
    early = load_model(tmp_path / "snapshots" / "step-000002", dtype=None)
    assert {p.dtype for p in early.parameters()} == {torch.bfloat16}
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-000006", "step-000009"]


def test_a_full_disk_costs_a_warning_and_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    run = TrainingRun(small_model(), CountingStream(), steps=9, folder=tmp_path, save_every=2)
    monkeypatch.setattr("lmlab.training.books.write_checkpoint", full)
    run.start().wait()
    assert run.status == "finished"
    assert run.state.step == 9
    assert "checkpoint of step 2 could not be written (No space left on device)" in run.warnings[0]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps": 0}, "steps"),
        ({"seed": -1}, "seed"),
        ({"lr": 0.0}, "lr"),
        ({"lr": -1e-3}, "lr"),
        ({"save_every": 0}, "save_every"),
        ({"snapshots": [0]}, "snapshots"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_starts(changes: dict, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named} "):
        TrainingRun(small_model(), CountingStream(), **{"steps": 5, **changes})
