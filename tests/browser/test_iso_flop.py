"""IsoFLOP in JupyterLab: a budget by slider and by keyboard moves the valley to where the formula has its bottom."""

from __future__ import annotations

import math
import random

import pytest

SETUP = "import lmlab as lab"
LAWS = {"Hoffmann 2022": (1.69, 406.4, 410.7, 0.34, 0.28), "Besiroglu 2024": (1.8172, 482.01, 2085.43, 0.3478, 0.3658)}
TRACES = "root => root.querySelector('[role=img]').data.map(t => ({name: t.name || '', x: t.x, y: t.y}))"
THERE = """([root, n]) => Math.abs(Math.log(
  root.querySelector('[role=img]').data.find(t => t.name === 'lowest').x[0] / n)) < 0.01"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    opened = shared_notebook([SETUP, "w = lab.widgets.IsoFLOP()\nw"])
    opened.page.wait_for_function("() => document.querySelector('[data-lmlab=IsoFLOP] .main-svg')")
    return opened


def bottom(law: str, flops: float) -> tuple[float, float]:
    """The lowest point of the formula by a walk along the sizes."""
    e, a, b, alpha, beta = LAWS[law]
    walk = ((e + a / n**alpha + b / (flops / 6 / n) ** beta, n) for n in (10 ** (k / 500) for k in range(2500, 7000)))
    loss, n = min(walk)
    return n, loss


def at_bottom(page, w, law: str, flops: float) -> None:
    n, loss = bottom(law, flops)
    page.page.wait_for_function(THERE, arg=[w.root.element_handle(), n])
    mark = next(trace for trace in w.root.evaluate(TRACES) if trace["name"] == "lowest")
    x, y = mark["x"][0], mark["y"][0]
    assert math.log(x) == pytest.approx(math.log(n), abs=0.01)
    assert y == pytest.approx(loss, abs=1e-3)


def test_a_budget_dragged_at_random(page):
    w = page.widget("IsoFLOP")
    page.execute("w.reset()")
    goal = random.randint(18, 25)
    log_flops = w.drag_slider("Budget, FLOPs", goal)
    page.expect("w.log_flops", pytest.approx(log_flops))
    assert log_flops != 21.0 or goal == 21
    at_bottom(page, w, "Hoffmann 2022", 10**log_flops)


def test_budget_and_constants_by_keyboard_alone(page):
    w, steps = page.widget("IsoFLOP"), random.randint(1, 12)
    page.execute("w.reset()")
    slider = w.control("Budget, FLOPs")
    slider.focus()
    for _ in range(steps):
        slider.press("ArrowRight")
    page.expect("round(w.log_flops, 1)", round(21 + steps / 10, 1), seconds=10)
    at_bottom(page, w, "Hoffmann 2022", 10 ** (21 + steps / 10))
    w.control("Constants").locator("input:checked").focus()
    w.press("ArrowRight")
    w.expect_readout("by Besiroglu 2024: ")
    at_bottom(page, w, "Besiroglu 2024", 10 ** (21 + steps / 10))


def test_our_valleys_are_those_of_the_kernel(page):
    w = page.widget("IsoFLOP")
    drawn = [trace["x"][0] for trace in w.root.evaluate(TRACES) if trace["name"].startswith("lowest at")]
    assert drawn == pytest.approx(page.ask("[v.valley.n_params for v in w.valleys]"), rel=1e-3)
    assert len(drawn) >= 3


def test_photographs(page):
    w = page.widget("IsoFLOP")
    page.execute("w.reset()")
    assert w.photograph("iso_flop") <= 1080
