"""VerifierReward in JupyterLab: it trains by a button while the kernel answers; what is drawn is what was measured."""

from __future__ import annotations

import time

import pytest

SETUP = 'import lmlab as lab\nsft = lab.load("town-sft")'
DRAWN = "(root) => root.querySelector('[role=img]').data?.map((d) => ({x: d.x, y: d.y}))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.VerifierReward(sft, steps=3)\nw"])


def test_it_trains_from_a_button_and_draws_each_point(page):
    w = page.widget("VerifierReward")
    w.root.get_by_label("broken: form alone").check(force=True)
    w.expect_readout("looks at the form of an answer alone")
    slider = w.control("Price of KL, β")
    slider.focus()
    slider.press("Home")
    w.expect_readout("KL is free")
    w.root.get_by_role("button", name="Train").focus()
    w.press("Enter")
    started = time.monotonic()
    assert page.ask("1 + 1") == 2, "the kernel is free while it trains"
    assert time.monotonic() - started < 5
    page.execute("w.wait(300)")
    w.expect_readout("Step 3 of 3")
    paid, right, kl = w.root.evaluate(DRAWN)
    assert paid["y"] == pytest.approx(page.ask("[100 * p.paid for p in w.points]"), abs=1e-6)
    assert right["x"] == [0, 3]
    assert kl["y"] == pytest.approx(page.ask("[p.kl for p in w.points]"), abs=1e-6)
    assert page.ask("[w.verifier, w.kl]") == ["form", 0.0]


def test_another_verifier_drops_what_was_trained(page):
    w = page.widget("VerifierReward")
    w.root.get_by_label("looks it up").check(force=True)
    w.expect_readout("compares each answer with the recipe")
    assert page.ask("len(w.points)") == 0


def test_photographs(page):
    w = page.widget("VerifierReward")
    page.execute("w._steps = 12; w.verifier = 'form'; w.kl = 0.0; w.train().wait(400)")
    w.expect_readout("Step 12 of 12")
    assert w.photograph("verifier_reward") <= 1080
