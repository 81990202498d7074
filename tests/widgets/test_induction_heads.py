"""InductionHeads: the page shows what the two trials measured; it starts, stops at once, and never blocks."""

from __future__ import annotations

import threading
import time

import plotly.graph_objects as go
import pytest

from lmlab.training.copying import CopyPoint, CopyTrial
from lmlab.widgets import InductionHeads
from lmlab.widgets.induction_heads import induction_view, jump


def curve(*accuracies: float) -> tuple[CopyPoint, ...]:
    return tuple(
        CopyPoint(step=10 * i, accuracy=a, loss=3.5 * (1 - a), induction=a / 2) for i, a in enumerate(accuracies)
    )


RUNS = (curve(0.03, 0.1, 0.14, 0.6, 0.97, 0.99), curve(0.03, 0.05, 0.1, 0.1, 0.11, 0.12))
WITHOUT = {"0.0": 0.4, "0.1": 0.98, "1.0": 0.5, "1.1": 0.9, "copiers": 0.05}


def said(**changes: object) -> str:
    more = {"steps": 50, "seed": 3, "without": WITHOUT, "copiers": ("1.0", "1.1"), "looks_back": "0.0", **changes}
    return "".join(text for _, text in induction_view(RUNS, **more).readout)


def test_plateau_and_jump_are_read_from_the_curve() -> None:
    assert jump(RUNS[0]) == (20, 40)
    assert jump(RUNS[1]) is None
    assert "Until step 20 little seemed to happen; 20 steps later it could copy" in said()
    assert "Heads 1.0 and 1.1 look at what followed before, 0.0 one token back, 0.1 at neither: a control." in said()
    assert "Head 1.1 looks at what followed before, 0.0 one token back, 0.1 and 1.0 at" in said(copiers=("1.1",))
    assert "two layers copy 99\u202f%, one layer 12\u202f%" in said()
    assert "blind guess gets 3.1\u202f%" in said(without={})


def test_the_figure_holds_every_measurement_and_plotly_accepts_it() -> None:
    view = induction_view(RUNS, steps=50, seed=0, without=WITHOUT, silenced="1.0")
    figure = view.figure
    go.Figure(without_themed_colors(figure))
    two, loss, one = figure["data"][0], figure["data"][1], figure["data"][2]
    assert two["y"] == pytest.approx([3, 10, 14, 60, 97, 99])
    assert loss["y"] == pytest.approx([3.5 * (1 - p.accuracy) for p in RUNS[0]])
    assert one["y"] == pytest.approx([3, 5, 10, 10, 11, 12])
    bars = figure["data"][-1]
    assert dict(zip(bars["x"], bars["y"], strict=True)) == {
        "0.0": 40, "0.1": 98, "1.0": 50, "1.1": 90, "all": 5,
    }  # fmt: skip
    assert bars["marker"]["color"] == ["quiet", "quiet", "m1", "quiet", "quiet"]
    guess, uniform, whole = (shape["y0"] for shape in figure["layout"]["shapes"])
    assert whole == pytest.approx(99)  # what a silent head is compared with
    assert guess == pytest.approx(100 / 32)
    assert uniform == pytest.approx(3.4657, abs=1e-4)  # ln 32


def without_themed_colors(value: object) -> object:
    """Names such as "m1" follow the theme on the page; plotly itself takes real colors."""
    names = ("m1", "m2", "m3", "m4", "ink", "ink-2", "quiet", "m1-text", "m2-text")
    if isinstance(value, str):
        return "#111" if value in names else value
    if isinstance(value, dict):
        return {key: without_themed_colors(item) for key, item in value.items()}
    return [without_themed_colors(item) for item in value] if isinstance(value, list) else value


def test_a_silent_head_is_named_by_what_it_did() -> None:
    assert "layer 0, head 0, which looks at the token just before, the rest copies 40" in said(silenced="0.0")
    assert "Most of it" not in said(silenced="0.1")
    assert "head 1, the control, the rest copies 98\u202f% instead of 99\u202f%. Hardly anything" in said(
        silenced="0.1"
    )
    assert "which looks at what followed before, the rest copies 50" in said(silenced="1.0")
    assert "the others copy 5.0\u202f% instead of 99\u202f%. That is guessing" in said(silenced="copiers")
    assert "let the training end first" in said(silenced="1.0", without={})


def test_it_waits_for_a_button_then_draws_what_the_trial_measures() -> None:
    w = InductionHeads(steps=20, seed=4)
    assert "Press Train" in w.sentence
    assert not w.is_training
    assert repr(w) == "InductionHeads: 20 steps, seed 4: two layers of attention and one, from random weights"
    w.clicked("start")
    w.wait()
    by_hand = CopyTrial(2, seed=4, steps=20)
    for _ in range(2):
        by_hand.advance()
    drawn = w.shown.figure["data"][0]
    assert drawn["x"] == [0, 10, 20]
    assert drawn["y"] == pytest.approx([100 * p.accuracy for p in by_hand.points])
    for name in ("0.0", "1.1"):
        w.silenced = name
        alone = by_hand.accuracy_without((int(name[0]), int(name[2])))
        bars = w.shown.figure["data"][-1]
        assert bars["y"][bars["x"].index(name)] == pytest.approx(100 * alone)
    assert repr(w) == "InductionHeads: 20 steps, seed 4: two layers did not, one layer did not"


def test_it_stops_at_once_and_leaves_the_kernel_free() -> None:
    w = InductionHeads(steps=2_000)
    w.train()
    while w.trials is None or w.trials[0].state.step < 2:
        time.sleep(0.01)
    w.silenced = "0.0"  # an answer while it trains
    assert "let the training end first" in w.sentence
    started = time.perf_counter()
    w.clicked("halt")
    assert time.perf_counter() - started < 1
    assert not w.is_training
    assert 2 <= w.trials[0].state.step < 2_000
    assert "step" in w.sentence.lower() or "training" in w.sentence
    assert [t for t in threading.enumerate() if t.name == "lmlab InductionHeads"] == []


def test_trained_waits_for_what_runs_begins_what_does_not_and_says_if_it_was_stopped() -> None:
    w = InductionHeads(steps=40)
    w.train()
    running = w._trainer
    assert [trial.points[-1].step for trial in w.trained()] == [40, 40]
    assert not running.is_alive()
    first = w.trials
    assert w.trained() is first, "what is there is not trained again"
    w.reset()
    assert [trial.points[-1].step for trial in w.trained()] == [40, 40]
    w = InductionHeads(steps=2_000)
    threading.Timer(0.5, w.stop).start()
    with pytest.raises(RuntimeError, match="stopped before its end; press Train"):
        w.trained()


def test_another_seed_and_reset_drop_what_was_trained() -> None:
    w = InductionHeads(steps=10)
    w.train().wait()
    assert w.trials
    w.seed = 2
    assert w.trials is None
    assert "seed 2" in w.sentence
    w.train().wait()
    w.reset()
    assert (w.seed, w.trials) == (0, None)
    assert "Press Train" in w.sentence


def test_an_error_in_the_thread_is_raised_where_the_student_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no more weights")

    monkeypatch.setattr("lmlab.widgets.induction_heads.CopyTrial", broken)
    w = InductionHeads(steps=10)
    with pytest.raises(RuntimeError, match="no more weights"):
        w.train().wait()
    assert "no more weights" in w._error


def test_a_number_of_steps_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number from 10 to 2,000"):
        InductionHeads(steps=5)
