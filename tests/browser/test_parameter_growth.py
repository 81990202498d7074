"""ParameterGrowth in JupyterLab: areas on screen are to scale, by slider, by hand and by key."""

from __future__ import annotations

import random

import pytest

SETUP = "import lmlab as lab"
AREAS = """root => [...root.querySelectorAll("rect[data-weights]")].map(r =>
  [Number(r.dataset.weights), Number(r.getAttribute("width")) * Number(r.getAttribute("height"))])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.ParameterGrowth()\nw"])


def transformer_of_the_slide(T: int) -> int:
    return 10 * 4 + T * 4 + 12 * 4 * 4 + 13 * 4 + 2 * 4


def test_areas_are_to_one_scale_at_a_length_dragged_to(page):
    w = page.widget("ParameterGrowth")
    target = random.Random().randrange(9, 15)
    T = int(w.drag_slider("Length of the text, T", target))
    assert abs(T - target) <= 1
    page.expect("w.T", T)
    w.expect_readout(f"At T = {T} the")
    (flat, area), (transformer, small) = w.root.evaluate(AREAS)
    assert flat == 4 * 10 * T**2
    assert transformer == transformer_of_the_slide(T)
    assert small / area == pytest.approx(transformer / flat, rel=1e-3)


def test_the_corner_is_a_handle(page):
    w = page.widget("ParameterGrowth")
    page.execute("w.T = 6")
    w.expect_readout("has 1,440 weights")
    full = w.root.locator("svg rect").first.bounding_box()["width"]
    w.drag_handle(w.root.locator(".grip"), dx=full / 4, dy=full / 4)
    page.expect("w.T", 12)
    w.expect_readout("has 5,760 weights")


def test_keys_double_the_text_and_choose_the_size(page):
    w = page.widget("ParameterGrowth")
    page.execute("w.T = 6")
    w.expect_readout("has 1,440 weights")
    w.root.get_by_role("group", name="length of the text").focus()
    w.press("d")
    w.expect_readout("has 5,760 weights, 4 times as many as at T = 6")
    w.press("ArrowRight")
    w.expect_readout(f"has {4 * 10 * 13**2:,} weights")
    w.root.get_by_role("radio", name="a hidden layer").focus()
    w.press("Space")
    w.expect_readout(f"has {13 * 14 * 16:,} weights")
    w.root.get_by_role("radio", name="the slide").focus()
    w.press("ArrowRight", "ArrowRight")
    w.expect_readout("At T = 1,024")
    w.root.get_by_role("group", name="length of the text").focus()
    w.press("r")
    w.expect_readout("has 1,440 weights")


def test_photographs(page):
    w = page.widget("ParameterGrowth")
    page.execute("w.size, w.layers = 'GPT-2', 'one'")
    w.expect_readout("4.05×10¹³")
    assert w.photograph("parameter_growth") < 1080, "a projector does not scroll"
    page.execute("w.reset()")
