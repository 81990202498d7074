"""LossMask in JupyterLab: bars of a question typed here against the model, and what the switch does to them."""

from __future__ import annotations

import random

import pytest

import lmlab as lab
from lmlab.widgets.loss_mask import row_of, signal_of
from tests.browser.small_projector import nothing_collides

SETUP = "import lmlab as lab"
GRADIENTS = "root => [...root.querySelectorAll('rect[data-gradient]')].map(r => Number(r.dataset.gradient))"
DRAWN = "root => [...root.querySelectorAll('rect[data-gradient]')].map(r => Number(r.getAttribute('height')))"
SURPRISES = "root => [...root.querySelectorAll('span[data-surprise]')].map(r => Number(r.dataset.surprise))"
MASKED = "root => [...root.querySelectorAll('[role=option]')].map(e => e.style.background.includes('repeating'))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.LossMask()\nw"])


def test_bars_of_what_is_typed_are_the_model_s(page):
    w, town = page.widget("LossMask"), lab.load("town")
    question, answer = f"What is {random.randrange(50)} plus 3?", f"It is {random.randrange(99)}. 🦜"
    w.enter_prompt(question, name="question")
    w.enter_prompt(answer, name="answer")
    page.expect("w.answer", answer)
    page.agree(w)
    row = row_of(town, question, answer)
    for learn, name in (("answers", "the answer alone"), ("all", "everything")):
        w.root.get_by_role("radio", name=name).check(force=True)
        page.expect("w.learn", learn)
        page.agree(w)
        found = signal_of(town.model, row, learn)
        assert w.root.evaluate(GRADIENTS) == pytest.approx(found.gradients.tolist(), abs=1e-4)
        assert w.root.evaluate(SURPRISES) == pytest.approx(found.surprises.tolist(), abs=1e-3)
        counts = [True, *(row.answers[1:].tolist() if learn == "answers" else [True] * (len(row.ids) - 1))]
        assert w.root.evaluate(MASKED) == [not c for c in counts]
        heights = w.root.evaluate(DRAWN)
        assert [h == 0 for h in heights] == [not c for c in counts[1:]]
    page.execute("w.reset()")


def test_keys_walk_the_tokens_and_m_switches(page):
    w = page.widget("LossMask")
    page.agree(w)
    w.root.locator("[role=option][tabindex='0']").focus()
    w.press("Home")
    w.expect_readout("nothing stands before it")
    w.press("ArrowRight")
    w.expect_readout("masked; gradient at the logits exactly 0")
    assert w.root.locator("rect.chosen").count() == 1
    w.press("End")
    w.expect_readout("counts; gradient at the logits 0.")
    w.press("m")
    page.expect("w.learn", "all")
    w.press("r")
    page.expect("w.learn", "answers")


def test_photographs(page):
    w = page.widget("LossMask")
    page.page.evaluate("() => document.activeElement.blur()")
    page.agree(w)
    assert w.photograph("loss_mask") < 1080, "a projector does not scroll"
    assert nothing_collides(w) == []
    page.execute("w.question = 'What is 3 plus 4? ' * 600")
    w.expect_readout("learns from 9 of 256")
    assert "tokens …" in w.text()
    w.screenshot("loss_mask_long")
    page.execute("w.reset()")
