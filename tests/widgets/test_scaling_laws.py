"""ScalingLaws: points are the stored runs, the line is numpy's, nothing is given away, a live run adds its point."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
import pytest

import lmlab as lab
from lmlab.widgets import ScalingLaws


@pytest.fixture
def w() -> ScalingLaws:
    return ScalingLaws()


def drawn(w: ScalingLaws, name: str) -> list[tuple[float, float]]:
    trace = next(t for t in w.shown.figure["data"] if t.get("name") == name)
    return list(zip(trace["x"], trace["y"], strict=True))


def test_points_and_line_are_those_of_the_stored_runs(w: ScalingLaws) -> None:
    runs, floor = lab.stored_sweep(), lab.stored_sweep()[0].floor
    assert drawn(w, "a run") == [(p.flops, pytest.approx(p.loss - floor)) for p in runs]
    best = [min((p for p in runs if p.budget == c), key=lambda p: p.loss) for c in sorted({p.budget for p in runs})]
    slope, offset = np.polyfit(np.log([p.flops for p in best]), np.log([p.loss - floor for p in best]), 1)
    for flops in (1e10, 2e12):
        assert w.law.gap(flops) == pytest.approx(math.exp(offset + slope * math.log(flops)), rel=1e-6)


def test_nothing_gives_the_answer_away(w: ScalingLaws) -> None:
    reached = lab.held_out_runs()[0]
    for guess in (0.0, 0.9):
        w.guess = guess
        told = str(w.view) + repr(w)
        assert f"{reached.loss:.3f}"[:5] not in told
        assert f"{reached.loss - reached.floor:.3f}" not in told
        assert not drawn(w, "the held-out run")
        ends = [max(t["x"]) for t in w.shown.figure["data"] if t["mode"] == "lines"]
        assert max(ends) <= max(p.flops for p in lab.stored_sweep()), "the line is not drawn on"


def test_a_guess_is_kept_beside_what_was_reached(w: ScalingLaws) -> None:
    w.guess = 0.62
    assert "You say 0.62 above the floor, a loss of 1.32" in w.sentence
    w.reveal()
    reached = lab.held_out_runs()[0]
    assert f"you said 0.62 above the floor, the line through smaller runs {w.law.gap(reached.flops):.2f}" in w.sentence
    assert f"trained, it is {reached.loss - reached.floor:.2f}" in w.sentence
    assert drawn(w, "your guess") == [(reached.flops, 0.62)]
    assert drawn(w, "the held-out run") == [(reached.flops, pytest.approx(reached.loss - reached.floor))]
    assert w.law.low < reached.loss + 0.02
    w.reset()
    assert (w.guess, w.revealed) == (0, False)


def test_without_a_guess_nothing_is_claimed(w: ScalingLaws) -> None:
    w.reveal()
    assert "you made no guess" in w.sentence


def test_a_live_run_adds_its_point_near_the_line(w: ScalingLaws) -> None:
    w.width = "24"
    w.train().wait()
    (point,) = w.points
    assert (point.d_model, point.seed, point.budget) == (24, 0, 1e10)
    assert drawn(w, "live") == [(point.flops, pytest.approx(point.loss - point.floor, abs=1e-3))]
    assert point.loss > w.held_out.loss
    assert f"Your live run ended {point.loss - point.floor:.2f} above it." in w.sentence
    assert "1 live, within a factor of 2 of the line: True" in repr(w) + str(w._repr_mimebundle_()[0]["text/html"])


def test_a_run_that_is_stopped_is_no_point(w: ScalingLaws) -> None:
    w.train().stop()
    w.wait()
    assert w.points == []
    assert not drawn(w, "live")
    assert not w.is_training


def test_the_figure_is_one_that_plotly_knows(w: ScalingLaws) -> None:
    w.guess = 0.4
    w.reveal()
    figure = w.shown.figure
    go.Layout({k: v for k, v in figure["layout"].items() if k not in ("annotations", "shapes")})
    for trace in figure["data"]:
        go.Scatter({k: v for k, v in trace.items() if k not in ("line", "marker")})
    assert w.view["handle"] == {"trait": "guess", "x": w.held_out.flops, "least": 0.01, "most": 1.5}
