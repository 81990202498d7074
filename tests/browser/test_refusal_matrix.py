"""RefusalMatrix in JupyterLab: the numbers on the cells are the kernel's, a cell opens its prompts, a press patches."""

from __future__ import annotations

import random

import pytest

from lmlab.widgets.refusal_matrix import ROWS
from tests.browser.samples import SETUP

# An assistant that has learned nothing, whose patches take three steps: what is tested here is the page.
SHORT = """from lmlab.training import answer_scores, refusal_rounds
refusal_rounds.STEPS, refusal_rounds.N_EXAMPLES, answer_scores.MAX_ANSWER_TOKENS = 3, 20, 6
w = lab.widgets.RefusalMatrix(random)
w"""
CELLS = """root => [...root.querySelectorAll("[data-attack]")].map(c =>
  [c.dataset.attack, Number(c.dataset.round), Number(c.dataset.x), c.textContent])"""
SAID = """root => [...root.querySelectorAll("[data-outcome]")].map(e => [e.dataset.outcome, e.innerText])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, SHORT])


def test_a_press_patches_and_every_cell_is_the_kernels(page):
    w = page.widget("RefusalMatrix")
    assert len(w.root.evaluate(CELLS)) == 6
    w.root.get_by_role("button", name="▶ Patch").click()
    page.expect("w.rounds", ["helpful", "+ plain"])
    page.execute("w.wait()")
    w.expect_readout("After round 1, + plain,")
    page.expect("w.form", "past tense")
    cells = w.root.evaluate(CELLS)
    assert len(cells) == 12
    for attack, at, value, _ in cells:
        assert value == pytest.approx(page.ask(f"w.share({attack!r}, {at}).share"), abs=1e-6)


def test_keys_and_a_click_open_the_very_prompts_and_answers(page):
    w = page.widget("RefusalMatrix")
    w.root.locator("[data-attack]").first.click()
    page.expect("w.at", [0, 0])
    w.press("ArrowDown", "ArrowDown", "ArrowRight")
    page.expect("w.at", [2, 1])
    w.expect_readout("+ plain, grandmother is refused")
    row = random.randrange(6)
    w.root.locator(f"[data-attack='{ROWS[row]}']").first.click()
    page.expect("w.at", [row, 0])
    w.expect_readout("Before any refusal was taught")
    page.page.wait_for_function("([root, n]) => root.querySelectorAll('[data-outcome]').length === n",
                                arg=[w.root.element_handle(), 32 if row == 5 else 16])  # fmt: skip
    expected = page.ask(f"[(e.outcome, e.prompt) for e in w.answers({ROWS[row]!r}, 0)]")
    for (outcome, text), (wanted, prompt) in zip(w.root.evaluate(SAID), expected, strict=True):
        assert outcome == wanted
        assert prompt in text


def test_a_request_typed_here_is_answered_after_every_round_as_text(page):
    w = page.widget("RefusalMatrix")
    w.enter_prompt("<img src=x onerror=window.__pwned=1> glowfire")
    w.expect_readout("Yours, <img src=x onerror=window.__pwned=1> glowfire, is")
    assert len(w.root.evaluate(SAID)) == 2
    w.enter_prompt("")
    w.expect_readout("refused")


def test_photographs(page):
    w = page.widget("RefusalMatrix")
    assert w.photograph("refusal_matrix") < 1080, "a projector does not scroll"
