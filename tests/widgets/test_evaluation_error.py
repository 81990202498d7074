"""EvaluationError: what is drawn and said, against counts and intervals worked out here."""

from __future__ import annotations

import re

import numpy as np
import plotly.graph_objects as go
import pytest

import lmlab as lab
from lmlab.training.evaluation_error import LeakPoint, draws
from lmlab.training.shares import wilson_interval
from lmlab.widgets import EvaluationError
from lmlab.widgets._evaluation_figure import leak_figure
from lmlab.widgets._evaluation_view import COUNTED, DRAWN, one_view, two_view
from lmlab.widgets._style import number, percent, plain
from tests.widgets.test_induction_heads import without_themed_colors


def answers(share: float, seed: int, n: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < share


def test_a_view_of_one_model_holds_every_test_and_counts_who_holds_the_truth():
    right = answers(0.7, 1)
    view = one_view("m", "logic", right, n=60, interval="wilson", seed=9)
    places = draws(1000, 60, repeats=COUNTED, seed=9)
    counts = [int(sum(right[i] for i in row)) for row in places]
    ends = [wilson_interval(k, 60) for k in counts]
    assert view.tests == tuple((k / 60, *end) for k, end in list(zip(counts, ends, strict=True))[:DRAWN])
    assert view.share == right.mean()
    assert view.covered == sum(low <= right.mean() <= high for low, high in ends) / COUNTED
    figure = go.Figure(without_themed_colors(view.figure))
    drawn = {x: y for trace in figure.data for x, y in zip(trace.x, trace.y, strict=True)}
    assert drawn == pytest.approx({i + 1: 100 * k / 60 for i, k in enumerate(counts[:DRAWN])})
    missed = [trace for trace in figure.data if "misses" in trace.name]
    far = [i + 1 for i, (low, high) in enumerate(ends[:DRAWN]) if not low <= right.mean() <= high]
    assert [x for trace in missed for x in trace.x] == [i for i in far if i > 1]
    for trace in figure.data:
        for x, y, up, down in zip(trace.x, trace.y, trace.error_y.array, trace.error_y.arrayminus, strict=True):
            assert (y - down, y + up) == pytest.approx([100 * end for end in ends[x - 1]])
    assert figure.layout.shapes[0].y0 == pytest.approx(100 * right.mean())
    assert len(view.table) == DRAWN + 1


def two_models() -> tuple[np.ndarray, np.ndarray]:
    first = answers(0.7, 1)
    return first, np.where(answers(0.85, 2), first, answers(0.3, 3))


def test_a_view_of_two_models_is_the_difference_question_by_question():
    first, second = two_models()
    view = two_view(["a", "b"], "logic", [first, second], n=80, interval="naive", seed=4)
    places = draws(1000, 80, repeats=COUNTED, seed=4)
    each = first.astype(float)[places] - second[places]
    halves = 1.959964 * each.std(1) / 80**0.5
    expected = [(m, m - half, m + half) for m, half in zip(each.mean(1), halves, strict=True)]
    assert np.allclose(view.tests, expected[:DRAWN], atol=1e-6)
    assert view.share == pytest.approx(first.mean() - second.mean())
    held = sum(low <= view.share <= high for _, low, high in expected)
    assert view.covered == pytest.approx(held / COUNTED)
    words = plain(view.readout)
    assert f"any lead from {number(100 * expected[0][1], 1)} to {number(100 * expected[0][2], 1)} fits" in words
    assert f"{held / 10:.1f}\u202f% have a naive interval" in words
    seen = sum(low > 0 or high < 0 for _, low, high in expected) / COUNTED
    assert f"{percent(seen)} see who is ahead" in words
    shared, apart = (
        int(n.replace(",", "")) for n in re.findall(r"about ([\d,]+) shared questions, or ([\d,]+)", words)[0]
    )
    assert shared < apart
    equal = two_view(["a", "b"], "logic", [first, first], n=80, interval="naive", seed=4)
    assert "a equals b, and any lead" in plain(equal.readout)
    assert "the two are equal" in plain(equal.readout)


@pytest.mark.parametrize("interval", ["wilson", "naive"])
def test_two_models_are_drawn_with_the_interval_that_was_chosen(interval: str):
    view = two_view(["a", "b"], "logic", two_models(), n=20, interval=interval, seed=4)
    apart, *others = go.Figure(without_themed_colors(view.figure)).data
    drawn = {
        x: (y, y - down, y + up)
        for t in others
        for x, y, down, up in zip(t.x, t.y, t.error_y.arrayminus, t.error_y.array, strict=True)
    }
    assert np.allclose([drawn[i] for i in range(1, DRAWN + 1)], 100 * np.array(view.tests))
    assert apart.y[0] < drawn[1][1] < drawn[1][2] < apart.y[1]
    even = [row for row in view.tests if abs((row[1] + row[2]) / 2 - row[0]) < 1e-9]
    assert (len(even) == DRAWN) == (interval == "naive")
    assert {"wilson": "Newcombe", "naive": "standard errors"}[interval] in plain(view.foot)


def test_a_leak_is_drawn_with_its_intervals():
    points = [LeakPoint(0, 0.5, 0.5), LeakPoint(10, 1.0, 0.6)]
    figure = go.Figure(without_themed_colors(leak_figure(points, 50, "wilson")))
    leaked, fresh = figure.data
    assert (list(leaked.y), list(fresh.y)) == ([50, 100], [50, 60])
    assert fresh.y[1] + fresh.error_y.array[1] == pytest.approx(100 * wilson_interval(30, 50)[1])
    leaked, fresh = go.Figure(without_themed_colors(leak_figure(points, 50, "naive"))).data
    assert leaked.error_y.arrayminus[1] == 0, "who is right on all of 50 is never wrong, says the naive one"
    assert fresh.error_y.array[1] == pytest.approx(fresh.error_y.arrayminus[1])


def test_the_widget_measures_its_models_and_is_moved():
    w = EvaluationError(families=["arithmetic", "facts"])
    right = w.right(0, "arithmetic")
    assert right.shape == (1000,)
    assert f"On all 1,000 questions it is {round(100 * right.mean())}" in w.sentence
    before = w.sentence
    w.clicked("again")
    w.wait()
    assert w.seed == 1
    assert w.sentence != before
    w.show = "two"
    w.wait()
    assert "step 2,000" in w.sentence
    assert "step 1,200" in w.sentence
    newcombe = w.sentence
    w.interval = "naive"
    w.wait()
    assert w.sentence != newcombe
    w.reset()
    w.wait()
    assert (w.seed, w.show, w.sentence) == (0, "one", before)
    assert repr(w).startswith("EvaluationError: step 2,000 is right on")
    assert len(repr(w)) <= 110


def test_of_a_leak_the_repr_tells_facts_alone():
    w = EvaluationError(families=["code"], n=10, show="leaked")
    assert repr(w) == "EvaluationError: it answers the questions that it has read better than fresh ones: " + str(
        w.shown.share > 0
    )
    assert "steps on the test’s own" in w.sentence


def test_refusals_are_sentences():
    town = lab.load("town")
    with pytest.raises(ValueError, match="one or two text models, not"):
        EvaluationError("town")
    with pytest.raises(ValueError, match="one or two text models"):
        EvaluationError(town, town, town)
    with pytest.raises(ValueError, match="no family 'poems'"):
        EvaluationError(town, families=["poems"])
    with pytest.raises(ValueError, match="families is 'logic'"):
        EvaluationError(town, families="logic")
    with pytest.raises(ValueError, match="there is one here"):
        EvaluationError(town, families=["code"], show="two")
