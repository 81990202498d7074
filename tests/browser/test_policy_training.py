"""PolicyTraining in JupyterLab: it trains while a cell answers, stops on a key, and draws what was measured."""

from __future__ import annotations

import pytest

from tests.browser.samples import SETUP as MODELS

SETUP = (
    MODELS
    + """
def paid(prompt, answer): return answer.count("e") / 4
def wanted(prompt, answer): return len(set(answer)) / max(1, len(answer))
def policy(**more):
    more = {"truth": wanted, "lr": 0.03, "batch": 12, "max_new_tokens": 8, **more}
    return lab.widgets.PolicyTraining(random, ["who?", "why?"], paid, **more)
"""
)
DRAWN = """(root) => Object.fromEntries((root.querySelector('[role=img]').data || []).map((d) =>
  [d.name, {x: Array.from(d.x), y: Array.from(d.y)}]))"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = policy(steps=15, kl=0.5)\nw"])


def test_it_trains_while_the_kernel_answers_and_stops_on_a_key(page):
    page.execute("v = policy(steps=400)")
    page.add_cell("v")
    w = page.widget("PolicyTraining", 1)
    w.expect_readout("Press Train: 400 steps at a price of β = 0.10 a nat, seed 0.")
    w.root.get_by_role("button", name="Train").focus()
    w.press("Enter")
    page.expect("len(v.points) > 1", True, seconds=60)
    assert page.ask("v.is_training and 6 * 7") == 42
    w.expect_readout("of 400: the answers earn")
    w.root.get_by_role("button", name="Stop").focus()
    w.press("Enter")
    page.expect("v.is_training", False, seconds=20)
    steps = page.ask("len(v.points)")
    w.expect_readout(f"Step {steps - 1} of 400")
    page.page.wait_for_timeout(300)
    assert w.root.evaluate(DRAWN)["reward"]["y"] == pytest.approx(page.ask("[p.reward for p in v.points]"), abs=1e-6)
    page.execute("v.close()")
    page.delete_last_cell()


def test_a_free_run_is_drawn_beside_one_that_paid(page):
    w = page.widget("PolicyTraining")
    page.execute("w.train().wait()")
    w.expect_readout("Step 15 of 15")
    w.control("Price of distance, β").focus()
    w.press("Home")
    w.expect_readout("with nothing to pay for distance")
    page.execute("w.train().wait()")
    w.expect_readout("the reward is hacked")
    page.page.wait_for_timeout(300)
    lines = w.root.evaluate(DRAWN)
    assert lines["truth"]["y"] == pytest.approx(page.ask("[p.truth for p in w.points]"), abs=1e-6)
    assert len(lines["kl at β = 0.50"]["x"]) == 16
    assert w.root.locator("svg, [role=img]").count() > 1


def test_photographs(page):
    w = page.widget("PolicyTraining")
    page.execute("w.kl = 0.0\nif not w.points: w.train().wait()")
    w.expect_readout("the reward is hacked")
    assert w.photograph("policy_training") <= 1080, "a projector does not scroll"
    w.lab.resize(1024, 768)
    w.present()
    w.screenshot("policy_training_presenter_1024")
    w.present(False)
    w.lab.resize(1280, 800)
