"""BlockAblation in JupyterLab: bars are the stored losses; the chosen arm trains live and can be stopped."""

from __future__ import annotations

import random

import pytest

from lmlab.training.ablation_study import ARMS, AblationArm, stored_losses

SETUP = "import lmlab as lab"
DRAWN = "(root) => root.querySelector('[role=img]').data?.map((d) => ({x: d.x, y: d.y}))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.BlockAblation()\nw"])


def test_the_bars_are_the_stored_runs(page):
    w = page.widget("BlockAblation")
    w.root.locator(".main-svg").first.wait_for()
    bars = w.root.evaluate(DRAWN)[0]
    assert bars["x"] == pytest.approx([stored_losses()[arm][-1].loss for arm in ARMS], abs=1e-3)
    assert bars["y"][0] == "whole"


def test_a_part_chosen_by_keyboard_trains_live_and_stops(page):
    w, draw = page.widget("BlockAblation"), random.Random()
    part, seed = draw.choice([arm for arm in ARMS if arm != "attention"]), draw.randint(1, 9)
    w.control("Switch off").select_option(part)
    slider = w.control("Seed")
    slider.focus()
    for _ in range(seed):
        slider.press("ArrowRight")
    w.expect_readout(f"seed {seed}.")
    w.root.get_by_role("button", name="Train").focus()
    w.press("Enter")
    page.expect("bool(w.arm and len(w.arm.points) > 1)", True, seconds=60)
    w.root.get_by_role("button", name="Stop").focus()
    w.press("Enter")
    page.expect("w.is_training", False, seconds=10)
    w.expect_readout("Step ")
    page.page.wait_for_timeout(300)
    live = w.root.evaluate(DRAWN)[-1]
    arm = AblationArm(part, seed=seed)
    while arm.points[-1].step < live["x"][1]:
        arm.advance()
    assert live["x"][0] == 0
    assert live["y"][:2] == pytest.approx([p.loss for p in arm.points[:2]], abs=0.02)


def test_the_chart_fills_its_place_when_the_type_grows(page):
    w = page.widget("BlockAblation")
    fills = """(root) => { const a = root.querySelector('[role=img]'), b = a.querySelector('.main-svg');
      return Math.abs(b.clientWidth - a.clientWidth) < 2 && Math.abs(b.clientHeight - a.clientHeight) < 2; }"""
    for on in (True, False):
        w.present(on)
        page.page.wait_for_function(fills, arg=w.root.element_handle())


def test_photographs(page):
    w = page.widget("BlockAblation")
    page.execute("w.part = 'mlp'; w.seed = 0; w.train().wait()")
    w.expect_readout("never worked on")
    assert w.photograph("block_ablation") <= 1080
