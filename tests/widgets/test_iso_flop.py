"""IsoFLOP: curves and bottoms against the formula and numpy's own parabola; a concave budget is refused in words."""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import plotly.graph_objects as go
import pytest

import lmlab as lab
from lmlab.widgets import IsoFLOP
from lmlab.widgets.iso_flop import large, own_valleys


@pytest.fixture(scope="module")
def w() -> IsoFLOP:
    return IsoFLOP()


def test_the_curve_is_the_formula_and_its_lowest_point_is_marked(w: IsoFLOP) -> None:
    rng = random.Random()
    for law, (e, a, b, alpha, beta) in {
        "Hoffmann 2022": (1.69, 406.4, 410.7, 0.34, 0.28),
        "Besiroglu 2024": (1.8172, 482.01, 2085.43, 0.3478, 0.3658),
    }.items():
        w.law, w.log_flops = law, round(rng.uniform(17, 26), 1)
        flops = 10**w.log_flops
        traces = w.shown.figure["data"]
        curve = next(t for t in traces if t["mode"] == "lines" and t.get("name", "").endswith("FLOPs"))
        for n, loss in zip(curve["x"], curve["y"], strict=True):
            assert loss == pytest.approx(e + a / n**alpha + b / (flops / 6 / n) ** beta)
        mark = next(t for t in traces if t.get("name") == "lowest")
        assert mark["y"][0] == pytest.approx(min(curve["y"]), abs=1e-9)
        assert f"{large(mark['x'][0])} parameters" in w.sentence


def test_the_readout_states_the_disagreement(w: IsoFLOP) -> None:
    w.law, w.log_flops = "Hoffmann 2022", 21.0
    assert "1.82\u202fB parameters" in w.sentence
    assert "50.1 tokens a parameter; by Besiroglu 2024, 21.6 tokens" in w.sentence
    w.law, w.log_flops = "Besiroglu 2024", math.log10(3.8e25)
    assert "16.5 tokens a parameter; by Hoffmann 2022, 139 tokens" in w.sentence


def test_our_parabolas_are_numpys(w: IsoFLOP) -> None:
    for each in w.valleys:
        x, y = np.log([p.n_params for p in each.runs]), np.array([p.loss for p in each.runs])
        a, b, _ = np.polyfit(x, y, 2)
        assert each.valley.n_params == pytest.approx(math.exp(-b / (2 * a)), rel=1e-6)
        assert each.sizes[0] < each.valley.n_params < each.sizes[1]
        assert f"{each.valley.loss:.2f}" in str(w.shown.table)
    power = np.polyfit(*np.log([(v.budget, v.valley.n_params) for v in w.valleys]).T, 1)[0]
    assert f"as C to the power {power:.2f}" in w.sentence


def test_a_concave_budget_is_refused_in_one_sentence() -> None:
    runs = [p for p in lab.stored_sweep() if p.budget == 2e10]
    top = max(p.loss for p in runs)
    upside_down = [dataclasses.replace(p, loss=2 * top - p.loss) for p in runs]
    (refused,) = own_valleys(upside_down)
    assert refused.valley is None
    w = IsoFLOP(upside_down)
    assert "No bottom at 2×10¹⁰: The l" in w.sentence
    assert not any(t.get("name", "").startswith("lowest at") for t in w.shown.figure["data"])
    with pytest.raises(ValueError, match="at least one run"):
        IsoFLOP([])


def test_the_figure_is_one_that_plotly_knows(w: IsoFLOP) -> None:
    figure = w.shown.figure
    go.Layout({k: v for k, v in figure["layout"].items() if k != "annotations"})
    for trace in figure["data"]:
        go.Scatter({k: v for k, v in trace.items() if k not in ("line", "marker", "error_x")})
    titles = [figure["layout"][axis]["title"]["text"] for axis in ("xaxis", "xaxis2")]
    assert all("log scale" in title for title in titles)


def test_large_numbers() -> None:
    assert [large(x) for x in (7, 14_900, 1.82e9, 9.996e11, 91.4e9)] == [
        "7.00", "14.9\u202fk", "1.82\u202fB", "1.00\u202fT", "91.4\u202fB",
    ]  # fmt: skip
