"""InductionHeads in JupyterLab: it trains live by a button while the kernel answers, and a silenced head is a bar."""

from __future__ import annotations

import random
import time

import pytest

from lmlab.training.copying import CopyTrial

SETUP = "import lmlab as lab"
DRAWN = "(root) => root.querySelector('[role=img]').data?.map((d) => ({x: d.x, y: d.y}))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.InductionHeads(steps=30)\nw"])


def drawn(w) -> list[dict[str, list[float]]]:
    """What plotly holds: two layers, their loss, one layer, its loss, the best head, the bars."""
    return w.root.evaluate(DRAWN)


def wait_for_steps(page, w, step: int) -> None:
    page.page.wait_for_function(
        "([root, step]) => root.querySelector('[role=img]').data?.[0].x.at(-1) === step",
        arg=[w.root.element_handle(), step],
        timeout=60_000,
    )


def test_it_trains_from_a_button_at_a_seed_set_by_keyboard(page):
    w, seed = page.widget("InductionHeads"), random.Random().randint(1, 9)
    slider = w.control("Seed")
    slider.focus()
    for _ in range(seed):
        slider.press("ArrowRight")
    w.expect_readout(f"seed {seed}.")
    w.root.get_by_role("button", name="Train").focus()
    w.press("Enter")
    started = time.monotonic()
    assert page.ask("1 + 1") == 2, "the kernel is free while it trains"
    assert time.monotonic() - started < 5
    wait_for_steps(page, w, 30)
    page.execute("w.wait()")
    two, one = CopyTrial(2, seed=seed, steps=30), CopyTrial(1, seed=seed, steps=30)
    for _ in range(3):
        two.advance(), one.advance()
    w.expect_readout("Step 30 of 30")
    shown = drawn(w)
    assert shown[0]["y"] == pytest.approx([100 * p.accuracy for p in two.points], abs=0.5)
    assert shown[1]["y"] == pytest.approx([p.loss for p in two.points], abs=1e-3)
    assert shown[3]["y"] == pytest.approx([p.loss for p in one.points], abs=1e-3)

    w.control("Silence").select_option("1.0")
    w.expect_readout("layer 1, head 0")
    bars = dict(zip(drawn(w)[-1]["x"], drawn(w)[-1]["y"], strict=True))
    assert bars["1.0"] == pytest.approx(100 * two.accuracy_without((1, 0)), abs=0.5)
    w.control("Silence").select_option("none")


def test_it_stops_at_once_and_a_reset_clears(page):
    page.add_cell("long = lab.widgets.InductionHeads(steps=2_000)\nlong")
    w = page.widget("InductionHeads", 1)
    w.root.get_by_role("button", name="Train").click()
    page.expect("bool(long.trials and long.trials[1].state.step)", True)
    w.root.get_by_role("button", name="Stop").click()
    page.expect("long.is_training", False, seconds=5)
    step = page.ask("long.trials[0].state.step")
    assert 0 < step < 2_000
    w.expect_readout(f"Step {page.ask('long.trials[0].points[-1].step')} of 2000")
    w.root.locator(".lm-picture [tabindex='0']").first.focus()
    w.press("r")
    w.expect_readout("Press Train")
    page.delete_last_cell()


def test_photographs(page):
    w = page.widget("InductionHeads")
    page.execute("w._steps = 300; w.seed = 0; w.train().wait()")
    w.expect_readout("Step 300 of 300")
    assert page.ask("w.trials[0].points[-1].accuracy") > 0.95
    assert w.photograph("induction_heads") <= 1080
