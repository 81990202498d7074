"""TrainingMonitor in JupyterLab: a real run, its points on the screen, steered by keyboard, followed after a reload
and across processes."""

from __future__ import annotations

import math
import re
import time

import pytest

from tests.browser.lab_page import CONNECTED, NO_SPLASH
from tests.browser.samples import SETUP

MAKE = """
def make(steps, **more):
    stream = lab.windows(corpus, tok, T=16, B=2, seed=0)
    return lab.TrainingRun(lab.Transformer(network.config, seed=0), stream, steps=steps, tokenizer=tok, **more)
run = make(40)
"""
# The points of a line, read back from the picture through its axes.
READ = """(root, name) => {
  const svg = root.querySelector("svg[data-box]"), [l, t, w, h] = svg.dataset.box.split(",").map(Number);
  const steps = +svg.dataset.steps, low = +svg.dataset.low, high = +svg.dataset.high;
  const line = svg.querySelector("path." + name);
  const pairs = line ? line.getAttribute("d").split(/[ML]/).filter(Boolean).map((p) => p.split(" ").map(Number)) : [];
  return pairs.map(([x, y]) => [(x - l) / w * steps, high * Math.exp(-(y - t) / h * Math.log(high / low))]);
}"""
WRITER = """
import sys, time
from pathlib import Path
from lmlab.training.metrics import MetricLog, MetricPoint
from lmlab.training.run_folder import RunFolder
folder = RunFolder(sys.argv[1])
folder.acquire()
log = MetricLog(folder.metrics)
for step in [*range(1, 16), *range(11, 41)]:  # killed after step 15, resumed from step 10
    log.append(MetricPoint(step=step, loss=5 / step, lr=0.01, grad_norm=1.0, tokens=step * 32, seconds=step * 0.05))
    time.sleep(0.05)
folder.release()
"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, MAKE, "w = lab.widgets.TrainingMonitor(run, held_out=corpus, floor=1.0)\nw"])


def count(w) -> int:
    return int(w.root.locator(".mon-count").inner_text().split(" of ")[0].replace(",", ""))


def until_step(page, w, step: int) -> None:
    page.page.wait_for_function(
        "([root, n]) => parseInt(root.querySelector('.mon-count').textContent.replace(/,/g, '')) >= n",
        arg=[w.root.element_handle(), step], timeout=60_000,
    )  # fmt: skip


def until_state(page, w, state: str) -> None:
    page.page.wait_for_function(
        "([root, s]) => root.querySelector('.mon-state').textContent.endsWith(s)",
        arg=[w.root.element_handle(), state], timeout=60_000,
    )  # fmt: skip


def test_a_run_is_started_by_keyboard_and_every_point_stands_where_it_should(page):
    w = page.widget("TrainingMonitor")
    until_state(page, w, "not started")
    w.root.get_by_role("button", name="Start").focus()
    w.press("Enter")
    page.page.wait_for_timeout(300)
    started = time.monotonic()
    assert page.ask("1 + 1") == 2, "a cell answers while it trains"
    took = time.monotonic() - started
    print(f"a cell answered after {1000 * took:.0f} ms")
    assert took < 2
    until_state(page, w, "finished")
    w.expect_readout("Step 40 of 40")
    log = page.ask("[(p.step, p.loss) for p in run.log]")
    shown = w.root.evaluate(READ, "loss")
    assert [round(step) for step, _ in shown] == [step for step, _ in log]
    assert [loss for _, loss in shown] == pytest.approx([loss for _, loss in log], rel=1e-3)
    until = page.ask("w.wait().held_out_losses[-1]")
    page.page.wait_for_function(
        "([root, n]) => root.querySelectorAll('path.held-out').length && root.textContent.includes(n)",
        arg=[w.root.element_handle(), f"held out {until[1]:.3f}"],
    )
    assert w.root.evaluate(READ, "held-out")[-1] == pytest.approx(until, rel=1e-3)
    assert w.root.evaluate(READ, "smooth")[-1][1] == pytest.approx(page.ask("float(w._curve['smooth'][-1])"), rel=1e-3)
    assert w.photograph("training_monitor") <= 1080


def test_space_pauses_and_s_stops_and_a_reload_changes_nothing(notebook):
    page = notebook([SETUP, MAKE, "long = make(100_000)\nv = lab.widgets.TrainingMonitor(long.start())\nv"])
    w = page.widget("TrainingMonitor")
    until_step(page, w, 3)
    w.root.locator(".lm-picture [role=img][tabindex='0']").first.focus()
    w.press("Space")
    until_state(page, w, "paused")
    page.execute("_ = long.snapshot()")
    at = page.ask("long.state.step")
    until_step(page, w, at)
    page.page.wait_for_timeout(700)
    assert count(w) == at == page.ask("long.state.step")
    assert w.root.get_by_role("button", name="Resume").is_enabled()

    page.command("docmanager:save")
    page.page.wait_for_timeout(500)
    page.page.reload()
    page._wait(CONNECTED, "a connected kernel after the reload")
    page._wait(NO_SPLASH, "the end of JupyterLab's greeting")
    w = page.widget("TrainingMonitor")
    until_state(page, w, "paused")
    assert count(w) == at
    w.root.locator(".lm-picture [role=img][tabindex='0']").first.focus()
    w.press("Space")
    until_step(page, w, at + 3)
    until_state(page, w, "running")
    w.root.locator(".lm-picture [role=img][tabindex='0']").first.focus()
    w.press("s")
    until_state(page, w, "stopped")
    page.expect("long.status", "stopped")
    until_step(page, w, page.ask("long.state.step"))


def test_a_folder_that_another_process_writes_is_followed_and_its_buttons_say_so(page):
    page.execute(
        "import subprocess, sys, tempfile\nfolder = tempfile.mkdtemp() + '/run'\n"
        f"other = subprocess.Popen([sys.executable, '-c', {WRITER!r}, folder])"
    )
    page.add_cell("u = lab.widgets.TrainingMonitor(folder, smoothing=1)\nu")
    w = page.widget("TrainingMonitor", 1)
    until_step(page, w, 5)
    until_state(page, w, "running")
    for name in ("Pause: only where it runs", "Stop: only where it runs"):
        assert w.root.get_by_role("button", name=name).is_disabled()
    assert re.search("belongs to another process: Ctrl-C there", w.readout())
    until_step(page, w, 40)
    until_state(page, w, "stopped")
    page.expect("other.wait()", 0)
    shown = w.root.evaluate(READ, "loss")
    assert [round(step) for step, _ in shown] == list(range(1, 41))
    assert [loss for _, loss in shown] == pytest.approx([5 / step for step in range(1, 41)], rel=1e-3)
    assert math.isclose(w.root.evaluate(READ, "smooth")[-1][1], 5 / 40, rel_tol=1e-3)
    page.delete_last_cell()
