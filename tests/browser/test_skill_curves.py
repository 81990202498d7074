"""SkillCurves in JupyterLab: the points on the screen are the kernel's measurements, in both views."""

from __future__ import annotations

import pytest

DRAWN = "(root) => root.querySelector('[role=img]').data?.map((d) => [d.x, d.y])"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook(["import lmlab as lab", "w = lab.widgets.SkillCurves(n=4)\nw"])


def points(page, w, unit: str) -> list:
    page.page.wait_for_function(
        "([root, unit]) => root.querySelector('[role=img]').layout?.annotations[0].text.includes(unit)",
        arg=[w.root.element_handle(), unit],
    )
    return w.root.evaluate(DRAWN)


def test_both_views_show_what_was_measured(page):
    w = page.widget("SkillCurves")
    right = points(page, w, "percent")
    assert right == page.ask("[[w.steps, [100 * s.right for s in found]] for found in w.curves.values()]")
    w.control("loss above the floor").check()
    gap = points(page, w, "nats")
    for (x, y), (steps, gaps) in zip(
        gap, page.ask("[[w.steps, [s.gap for s in found]] for found in w.curves.values()]"), strict=True
    ):
        assert x == steps
        assert y == pytest.approx(gaps, abs=1e-3)
    slider = w.control("Counts as learned from")
    w.readout_after(lambda: slider.press("Home"))
    w.expect_readout("At least 10")
    page.expect("w.learned", 10)
    w.control("questions right").check()
    points(page, w, "percent")
    slider.press("End")
    w.expect_readout("At least 100")
    assert w.photograph("skill_curves") <= 1080
