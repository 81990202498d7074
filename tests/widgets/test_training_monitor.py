"""TrainingMonitor: the page shows what the log says, thinned; it steers a run, follows a folder, says what failed."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import lmlab as lab
from lmlab.training.metrics import MetricLog, MetricPoint
from lmlab.widgets import TrainingMonitor
from lmlab.widgets._curve import Curve, ends, monitor_lines, pack, thinned
from lmlab.widgets._style import plain
from lmlab.widgets.training_monitor import monitor_view


def point(step: int, loss: float, **more: float) -> MetricPoint:
    return MetricPoint(
        step=step, loss=loss, lr=0.01, grad_norm=0.5, tokens=step * 100, seconds=step * 0.2, extra=more
    )  # fmt: skip


def view(points: list[MetricPoint], **more: object):
    curve = Curve(window=10)
    curve.add(points)
    given = {"status": "running", "steps": 40, "name": "test", "can_steer": True, **more}
    return monitor_view(curve, lines=monitor_lines(curve, given.get("held_out", ())), **given)


@pytest.fixture
def run(tokenizer: lab.Tokenizer) -> lab.TrainingRun:
    return training(tokenizer)


def training(tokenizer: lab.Tokenizer, steps: int = 30, **more: object) -> lab.TrainingRun:
    corpus = lab.corpus(text="the stock market crashed and investors panicked. the goose went golfing. " * 40)
    config = lab.TransformerConfig.tiny(vocab_size=tokenizer.vocab_size)
    stream = lab.windows(corpus, tokenizer, T=16, B=4, seed=0)
    more = {"tokenizer": tokenizer, **more}
    return lab.TrainingRun(lab.Transformer(config, seed=0), stream, steps=steps, seed=0, **more)


def unpacked(w: TrainingMonitor) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The lines as the page reads them: name, length, then float32 steps and values."""
    data, at, found = np.frombuffer(w.curve, np.float32), 0, {}
    for name, n in w.view["lines"]:
        found[name] = (data[at : at + n], data[at + n : at + 2 * n])
        at += 2 * n
    assert at == len(data)
    return found


def until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


# ---------------------------------------------------------------- the numbers


def test_thinning_keeps_both_ends_and_every_extreme() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(size=100_003)
    x = np.arange(1.0, len(y) + 1)
    sx, sy = thinned(x, y)
    assert len(sx) <= 500
    assert (np.diff(sx) > 0).all()
    assert (sy.min(), sy.max()) == (y.min(), y.max())
    assert (sx[0], sx[-1]) == (x[0], x[-1])
    assert np.array_equal(y[sx.astype(int) - 1], sy), "every point shown is one of the log"
    wild = y.copy()
    wild[40_000] = 99.0
    assert 99.0 in thinned(x, wild)[1]


def test_steps_done_again_after_a_resume_replace_the_first_attempt() -> None:
    curve = Curve(window=3)
    curve.add([point(s, 10.0 - s) for s in range(1, 8)])
    curve.add([point(s, 1.0) for s in range(5, 10)])
    fresh = Curve(window=3)
    fresh.add([point(s, 10.0 - s if s < 5 else 1.0) for s in range(1, 10)])
    for name in ("step", "loss", "smooth", "tokens"):
        assert np.array_equal(curve[name], fresh[name]), name


def test_the_running_mean_is_a_mean_that_follows() -> None:
    curve = Curve(window=10)
    curve.add([point(s, 2.0) for s in range(1, 30)])
    assert curve["smooth"] == pytest.approx([2.0] * 29)
    curve.add([point(s, 3.0) for s in range(30, 100)])
    late = curve["smooth"]
    assert 2.05 < late[29] < 2.5
    assert late[-1] == pytest.approx(3.0, abs=0.01)


def test_the_view_states_loss_floor_and_what_is_left() -> None:
    shown = view([point(s, 2.0) for s in range(1, 21)], floor=1.5, uniform=math.log(50), held_out=[(20, 2.25)])
    assert "Step 20 of 40: loss 2.000 nats per token, on text it never reads 2.250, 0.750 above the floor of 1.500" in (
        plain(shown.readout)
    )
    assert shown.time == "4.0\u202fs, about 4.0\u202fs left"
    assert dict(shown.sparks)["Tokens a second"] == "500"
    assert shown.low < 1.5 < math.log(50) < shown.high
    assert "Utilization" not in dict(shown.sparks)


def test_utilization_is_shown_where_the_run_measures_it() -> None:
    curve = Curve()
    curve.extra = "mfu"
    curve.add([point(s, 1.0, mfu=0.31) for s in range(1, 5)])
    shown = monitor_view(curve, status="running", steps=9, name="", can_steer=True, lines=monitor_lines(curve, ()))
    assert dict(shown.sparks)["Utilization"] == "31\u202f%"


@pytest.mark.parametrize("status", ["not started", "running", "paused", "stopped", "finished", "failed"])
def test_every_state_has_its_mark_and_its_sentence(status: str) -> None:
    shown = view([] if status == "not started" else [point(1, 2.0)], status=status, trouble="The loss is NaN.")
    marks = {"not started": "○", "running": "▶", "paused": "❚❚", "stopped": "■", "finished": "✓", "failed": "✕"}
    assert (shown.mark, shown.status) == (marks[status], status)
    assert "The loss is NaN." in plain(shown.readout)


def test_the_axis_has_room_for_everything() -> None:
    low, high = ends(np.array([5.0, 0.9]), [1.2], 0.7, 6.0)
    assert low < 0.6 < 6.0 < high
    assert ends(np.array([]), [], None, None) == (0.1, 10.0)
    assert ends(np.array([0.0]), [], None, None)[0] > 0


def test_what_is_sent_does_not_grow_with_the_steps() -> None:
    curve = Curve()
    curve.add([point(s, 1 + 1 / s) for s in range(1, 30_001)])
    packed = pack(monitor_lines(curve, [(s, 1.0) for s in range(50)]))
    assert len(packed) < 12_000


# ---------------------------------------------------------------- a run of this process


def test_it_shows_every_point_of_the_run(run: lab.TrainingRun, tokenizer: lab.Tokenizer) -> None:
    w = TrainingMonitor(run, floor=0.5, held_out=lab.corpus(text="the stock market rose. the mayor " * 30))
    assert w.status == "not started"
    assert repr(w) == "TrainingMonitor: 30 steps, seed 0"
    run.start()
    w.wait()
    assert w.points() == [(p.step, p.loss) for p in run.log]
    steps, losses = unpacked(w)["loss"]
    assert losses == pytest.approx([p.loss for p in run.log], rel=1e-6)
    assert steps.tolist() == list(range(1, 31))
    assert w.view["status"] == "finished"
    assert "Step 30 of 30" in w.sentence
    assert repr(w) == "TrainingMonitor: 30 steps, seed 0", "what the notebook stores is true on every machine"
    step, loss = w.held_out_losses[-1]
    rows = lab.corpus(text="the stock market rose. the mayor " * 30).ids(tokenizer)
    n = min(128, len(rows) // 17)
    rows = rows[: n * 17].view(n, 17)
    by_hand = torch.nn.functional.cross_entropy(run.model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    assert (step, loss) == (30, pytest.approx(by_hand.item(), abs=1e-5))
    assert w.samples[-1][0] == 30
    from lmlab.training.throughput import flops_per_token, peak_of

    steps, rates = unpacked(w)["rate"]
    used = unpacked(w)["extra"][1]
    assert used == pytest.approx(
        rates * flops_per_token(run.model, 16) / peak_of(torch.device("cpu")).flops, rel=1e-5
    ), "utilization: what the model asks for, over what the device could do"
    assert dict(w.view["sparks"])["Utilization"].endswith("%")


def test_buttons_start_pause_resume_and_stop(tokenizer: lab.Tokenizer) -> None:
    run = training(tokenizer, steps=100_000)
    w = TrainingMonitor(run)
    assert w.view["toggle"] == "▶ Start"
    w.clicked("toggle")
    until(lambda: w.view["step"] > 3)
    w.clicked("toggle")
    assert (run.status, w.view["status"], w.view["toggle"]) == ("paused", "paused", "▶ Resume")
    run.snapshot()  # which waits for the end of a step
    at = run.state.step
    time.sleep(0.3)
    assert run.state.step == at
    w.clicked("toggle")
    until(lambda: run.state.step > at + 3)
    w.clicked("halt")
    assert run.status == "stopped"
    until(lambda: w.view["status"] == "stopped")
    w.wait()
    assert 0 < w.view["step"] == run.state.step < 100_000


def test_smoothing_is_a_slider(run: lab.TrainingRun) -> None:
    w = TrainingMonitor(run)
    run.start()
    w.wait()
    before = w.sentence
    w.smoothing = 1
    assert unpacked(w)["smooth"][1] == pytest.approx([p.loss for p in run.log], rel=1e-6)
    assert f"loss {run.log.last.loss:.3f} nats" in w.sentence != before


def test_it_draws_five_times_a_second_at_most(tokenizer: lab.Tokenizer) -> None:
    run = training(tokenizer, steps=100_000)
    w = TrainingMonitor(run)
    drawn = []
    w.observe(lambda change: drawn.append(time.monotonic()), names="view")
    run.start()
    until(lambda: len(drawn) >= 6)
    run.stop()
    assert drawn[5] - drawn[0] > 0.9


def test_a_loss_that_is_no_number_stops_and_says_so(tokenizer: lab.Tokenizer) -> None:
    from lmlab.training.loop import TrainingDiverged

    run = training(tokenizer)
    run.objective = lambda model, batch, generator: model(batch.inputs).sum() * float("nan")
    w = TrainingMonitor(run)
    run.start()
    with pytest.raises(TrainingDiverged, match="not a finite number"):
        w.wait()
    assert w.view["status"] == "failed"
    assert "not a finite number" in w.view["trouble"]
    assert "not a finite number" in w.sentence


def test_an_error_and_a_full_disk_are_shown(tokenizer: lab.Tokenizer) -> None:
    run = training(tokenizer)

    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("no more weights")

    run.objective = broken
    w = TrainingMonitor(run)
    run.start()
    with pytest.raises(RuntimeError, match="no more weights"):
        w.wait()
    assert w.view["trouble"] == "RuntimeError: no more weights"
    other = training(tokenizer)
    other.warnings.append("The checkpoint of step 4 could not be written (No space left on device): training goes on.")
    w = TrainingMonitor(other)
    other.start()
    w.wait()
    assert w.view["status"] == "finished"
    assert "No space left" in w.view["trouble"]
    assert "No space left" in w.sentence


def test_waiting_for_a_step_ends_there_or_where_the_training_does(tokenizer: lab.Tokenizer) -> None:
    run = training(tokenizer, steps=100_000)
    w = TrainingMonitor(run)
    run.start()
    w.wait_for(step=5)
    run.pause()
    assert w.points()[-1][0] >= 5
    run.stop()
    w.wait_for(step=50_000)
    assert w.points() == [(p.step, p.loss) for p in run.log]
    with pytest.raises(TimeoutError, match="Step 3 was not reached"):
        TrainingMonitor(training(tokenizer)).wait_for(step=3, timeout=0.1)


# ---------------------------------------------------------------- a run of another process


def test_a_folder_is_followed_while_it_grows_and_cannot_be_steered(tmp_path: Path) -> None:
    log = MetricLog(tmp_path / "metrics.jsonl")
    w = TrainingMonitor(tmp_path)
    assert "Waiting for the first step" in w.sentence
    assert w.view["toggle"] == "Pause: only where it runs"
    for step in range(1, 6):
        log.append(point(step, 1.0 / step))
    until(lambda: len(w.points()) == 5)
    log.append(point(4, 0.5))  # resumed from step 3
    until(lambda: w.points()[-1] == (4, 0.5))
    assert w.points() == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3)), (4, 0.5)]
    until(lambda: w.view["status"] == "stopped")
    assert "--resume goes on" in w.sentence
    with pytest.raises(ValueError, match="belongs to another process"):
        w.clicked("toggle")
    assert repr(w) == f"TrainingMonitor: the run in {tmp_path.name}"
    again = TrainingMonitor(tmp_path)  # as after a restart of the kernel
    until(lambda: again.points() == w.points())
    w.close(), again.close()


def test_a_folder_with_checkpoints_gives_texts(tmp_path: Path, tokenizer: lab.Tokenizer) -> None:
    training(tokenizer, folder=tmp_path / "run").start().wait()
    w = TrainingMonitor(tmp_path / "run", prompt="the stock")
    until(lambda: bool(w.samples))
    until(lambda: bool(w.view["samples"]))
    assert w.samples[0][0] == 30
    assert w.view["prompt"] == "the stock"
    w.close()


def test_what_cannot_be_watched_is_refused() -> None:
    with pytest.raises(ValueError, match="a TrainingRun or the folder of one"):
        TrainingMonitor(3)
    with pytest.raises(ValueError, match="give nats per token"):
        TrainingMonitor("runs/none", floor="low")
