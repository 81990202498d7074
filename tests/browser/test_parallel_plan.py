"""ParallelPlan in JupyterLab: what is drawn idles as the published fraction says; a press has real processes do it."""

from __future__ import annotations

import random
import re

import pytest

from tests.browser.samples import SETUP
from tests.browser.small_projector import nothing_collides, too_tall

BLOCKS = """root => [...root.querySelectorAll("[role=option]")].map(g => {
  const b = g.querySelector("rect"), d = g.dataset;
  return {label: g.getAttribute("aria-label").split(",")[0], process: Number(d.process), kind: d.kind,
    micro: Number(d.micro), start: Number(d.start), end: Number(d.end), x: Number(b.getAttribute("x")),
    width: Number(b.getAttribute("width"))};
})"""
CELL = "[data-cell='{}:{}']"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.ParallelPlan(random, rows=8, length=8)\nw"])


def drawn(w, label="predicted"):
    return [b for b in w.root.evaluate(BLOCKS) if b["label"] == label]


def idle_of(blocks, p):
    end = max(b["end"] for b in blocks)
    return 1 - sum(b["end"] - b["start"] for b in blocks if b["kind"] in ("forward", "backward")) / (p * end)


def test_drawn_lanes_idle_as_the_published_fraction_says(page):
    w = page.widget("ParallelPlan")
    p = int(w.drag_slider("Processes, p", random.randint(2, 8)))
    m = int(w.drag_slider("Micro-batches, m", random.randint(1, 32)))
    expected = (p - 1) / (m + p - 1)  # Huang et al. 2019
    said = w.expect_readout(f"A pipeline of {p} with {m} micro-batch")
    assert float(re.search(r"idles ([\d.]+)", said)[1]) / 100 == pytest.approx(expected, abs=1e-3)
    blocks = drawn(w)
    assert idle_of(blocks, p) == pytest.approx(expected, abs=1e-3)
    end, right = max(b["end"] for b in blocks), max(b["x"] + b["width"] for b in blocks)
    left = min(b["x"] for b in blocks)
    for b in blocks:
        assert b["x"] == pytest.approx(left + (right - left) * b["start"] / end, abs=3), "time is drawn to scale"
        later = [c for c in blocks if (c["kind"], c["micro"]) == ("forward", b["micro"]) == (b["kind"], c["micro"])
                 and c["process"] == b["process"] + 1]  # fmt: skip
        assert all(c["start"] >= b["end"] - 1e-9 for c in later), "a stage begins when the one before has ended"


def test_keys_walk_along_and_across_and_a_click_tells_a_block(page):
    w = page.widget("ParallelPlan")
    page.execute("w.reset()")
    w.expect_readout("A pipeline of 4 with 4")
    w.root.locator("[role=option]").first.focus()
    w.press("ArrowRight")
    w.expect_readout("Process 0, micro-batch 1 forward: ")
    w.press("End")
    w.expect_readout("Process 0, micro-batch 3 backward: ")
    w.press("Home", "ArrowDown")
    w.expect_readout("Process 1 waits for micro-batch 0: ")
    w.press("ArrowDown", "ArrowUp", "PageDown")
    w.expect_readout("Process 1")
    w.press("o")
    page.expect("w.order", "1f1b")
    w.root.locator("[data-kind=backward][data-process='3'][data-micro='2']").click()
    w.expect_readout("Process 3, micro-batch 2 backward: ")
    w.control("Network").focus()
    w.expect_readout("A pipeline of 4")
    w.control("Network").select_option("Ethernet, 10 Gb/s")
    w.expect_readout("without messages 42.9")


def test_a_press_has_real_processes_train_the_step(page):
    w = page.widget("ParallelPlan")
    page.execute("w.reset()\nw.processes, w.micro_batches = 2, 2")
    w.expect_readout("A pipeline of 2")
    assert not drawn(w, "measured")
    w.root.get_by_role("button", name="Run on real processes").click()
    w.page.locator("[data-lmlab=ParallelPlan] >> [aria-label^='measured, process 1']").first.wait_for(timeout=60_000)
    page.execute("w.wait()")
    w.expect_readout("2 real processes idled ")
    for row in ("messages", "bytes sent"):
        predicted, counted = (w.root.locator(CELL.format(row, i)).text_content() for i in (1, 2))
        assert predicted == counted
    real = drawn(w, "measured")
    assert {(b["process"], b["micro"]) for b in real if b["kind"] == "backward"} == {(p, i) for p in (0, 1)
                                                                                     for i in (0, 1)}  # fmt: skip
    assert page.ask("w.measured_now.loss_difference") < 1e-5
    assert page.ask("repr(w)").endswith("loss: True, gradients: True; counts as predicted: True")


def test_what_processes_cannot_share_is_a_sentence(page):
    w = page.widget("ParallelPlan")
    page.execute("w.reset()\nw.processes = 8")
    w.expect_readout("Drawn as if it had 8 layers and not 4")
    w.root.locator("[role=option]").first.focus()
    w.press("m")
    page.page.wait_for_function("root => root.querySelector('[role=alert]').textContent", arg=w.root.element_handle())
    assert "8 processes cannot share 4 layers" in w.error()
    page.execute("try:\n    w.wait()\nexcept ValueError as error:\n    refused = str(error)")
    assert "cannot share" in page.ask("refused"), "raised in the student's cell, too, once"
    page.execute("w.processes = 2")
    w.expect_readout("A pipeline of 2")
    assert w.error() == ""


def test_nobody_scrolls(page):
    w = page.widget("ParallelPlan")
    for state in ("", "w.processes, w.micro_batches = 2, 2", "w.plan, w.processes, w.micro_batches = 'data', 4, 1"):
        page.execute(f"w.reset()\n{state}")
        page.agree(w)
        assert too_tall(w) == {}, state


def test_photographs(page):
    w = page.widget("ParallelPlan")
    page.execute("w.reset()\nw.processes, w.micro_batches = 2, 2")
    w.expect_readout("2 real processes idled")
    assert w.photograph("parallel_plan") < 1080, "a projector does not scroll"
    assert nothing_collides(w) == []
