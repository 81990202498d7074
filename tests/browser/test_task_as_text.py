"""TaskAsText in JupyterLab: bars are the model's, the score on screen is the count, all by keyboard."""

from __future__ import annotations

import math
import random

import pytest

import lmlab as lab
from lmlab.data.town.tasks import TASK_FAMILIES, town_tasks
from lmlab.training.multitask_study import STEPS, stored_pairs
from lmlab.training.task_scores import option_log_probs, tasks_log_probs, wins
from lmlab.widgets._task_scores import study_point
from tests.browser.samples import SETUP

BARS = """root => [...root.querySelectorAll("rect[data-option]")].filter(r => r.dataset.column === "town")
  .map(r => [r.dataset.option, Number(r.dataset.value), Number(r.getAttribute("width"))])"""
SCORES = """root => [...root.querySelectorAll("line[data-family]")]
  .map(l => [l.dataset.family, l.dataset.model, Number(l.dataset.right), Number(l.dataset.n)])"""
LOSSES = "root => [...root.querySelectorAll('circle[data-side]')].map(c => [c.dataset.side, Number(c.dataset.loss)])"
N = 20


@pytest.fixture(scope="module")
def page(shared_notebook):
    made = f"w = lab.widgets.TaskAsText(trigram, town, n={N})\nw"
    return shared_notebook([SETUP, 'town = lab.load("town")', made])


def focused(page):
    return page.page.evaluate("() => document.activeElement.getAttribute('aria-label')")


def test_bars_are_the_models_for_a_prompt_drawn_by_the_button(page):
    w, times = page.widget("TaskAsText"), random.Random().randint(1, 5)
    w.root.get_by_role("radio", name="email").focus()
    w.press("ArrowRight", "ArrowRight", "ArrowRight")
    page.expect("w.family", "sum")
    w.root.get_by_role("button", name="Next prompt").focus()
    for _ in range(times):
        w.press("Enter")
    page.expect("w.number", times + 1)
    task = town_tasks("sum")[times]
    page.expect("w.wait() and w.shown.prompt", task.prompt)
    page.agree(w)
    logs = option_log_probs(lab.load("town"), task.prompt, task.options)
    p = [math.exp(x) for x in logs]
    shown = w.root.evaluate(BARS)
    assert [option for option, _, _ in shown] == list(task.options)
    assert [value for _, value, _ in shown] == pytest.approx([x / sum(p) for x in p], abs=1e-3)
    widest = max(width for *_, width in shown)
    assert widest == shown[task.right][2] > 50
    w.expect_readout(f"town answers {task.answer}")


def test_the_score_is_the_count_and_enter_on_it_shows_the_task(page):
    w, town = page.widget("TaskAsText"), lab.load("town")
    page.execute("w._scores.wait()")
    done = "root => [...root.querySelectorAll('line[data-family]')].filter(l => l.dataset.n === '20').length === 10"
    page.page.wait_for_function(done, arg=w.root.element_handle())
    found = {(family, name): (right, n) for family, name, right, n in w.root.evaluate(SCORES)}
    for family in TASK_FAMILIES:
        tasks = town_tasks(family, N)
        hits = sum(wins(s, t.right) for s, t in zip(tasks_log_probs(town, tasks), tasks, strict=True))
        assert found[family, "town"] == (hits, N)
    assert found["puzzle", "trigram"][0] < 15
    w.root.get_by_role("listbox", name="options").get_by_role("option").first.focus()
    assert "log-probability" in focused(page)
    w.press("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown")
    assert focused(page).startswith("email: ")
    assert "95 % interval" in focused(page)
    w.press("Enter")
    page.expect("w.family", "email")


def test_the_losses_are_the_stored_ones_and_are_said(page):
    w = page.widget("TaskAsText")
    points = [study_point(steps, stored_pairs()) for steps in STEPS]
    losses = w.root.evaluate(LOSSES)
    for side in ("one", "five"):
        assert [x for s, x in losses if s == side] == pytest.approx([p[side][0] for p in points])
    w.root.get_by_role("listbox", name="losses").get_by_role("option").last.focus()
    said = w.expect_readout("800 steps in all: one model for all 0.81")
    assert "over 4 seeds" in said


def test_own_prompt_and_options_and_a_sentence_for_what_cannot_be(page):
    w = page.widget("TaskAsText")
    w.enter_prompt("the stock market crashed and investors")
    w.enter_prompt("panicked\nwent golfing", name="choices")
    w.expect_readout("town answers panicked")
    assert [option for option, _, _ in w.root.evaluate(BARS)] == ["panicked", "went golfing"]
    w.enter_prompt("panicked\npanicked", name="choices")
    page.page.wait_for_function("root => !root.querySelector('.lm-error').hidden", arg=w.root.element_handle())
    assert "Options 1 and 2 are the same text" in w.error()
    w.enter_prompt("panicked\nsold", name="choices")
    w.expect_readout("town answers panicked")
    assert w.error() == ""


def test_a_score_that_arrives_leaves_what_is_being_typed(page):
    w = page.widget("TaskAsText")
    box = w.control("choices")
    box.fill("panicked\nhalf a wor")
    page.execute("w._tell(); w.beneath = {**w.beneath, 'n': 19}")
    page.page.wait_for_function("root => root.innerText.includes('of 19 held-out')", arg=w.root.element_handle())
    page.execute("w.refresh(); w.wait()")
    page.page.wait_for_timeout(500)  # the answer has been drawn
    assert box.input_value() == "panicked\nhalf a wor", "nor does an answer take it away"
    box.press("Escape")
    assert box.input_value() == page.ask("w.choices")
    page.execute("w._tell()")


def test_photographs(page):
    w = page.widget("TaskAsText")
    page.execute("w.reset(); w.family = 'puzzle'; w.number = 1; w.wait(); w._scores.wait()")
    w.expect_readout("town answers Greta")
    assert w.photograph("task_as_text") <= 1080, "a projector does not scroll"
