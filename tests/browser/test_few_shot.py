"""FewShot in JupyterLab: the error bars on screen are the model's, a prompt typed here is answered, keys walk k."""

from __future__ import annotations

import random

import pytest

import lmlab as lab
from lmlab.data.few_shot import few_shot_prompts, few_shot_task
from lmlab.training.few_shot import answered
from tests.browser.samples import SETUP

BARS = """root => [...root.querySelectorAll("path.bar")].map(b =>
  [b.dataset.model, Number(b.dataset.k), Number(b.dataset.right), Number(b.dataset.low), Number(b.dataset.high)])"""
TOKENS = "root => [...root.querySelectorAll('.lm-picture [role=option]')].map(t => t.textContent)"
ANSWERS = """root => [...root.querySelectorAll("rect[data-option]")].map(r =>
  [r.dataset.option, Number(r.dataset.slot), Number(r.dataset.p), Number(r.getAttribute("width"))])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, 'town = lab.load("town")', "w = lab.widgets.FewShot(town, trigram, n=20)\nw"])


def chart(w):
    return w.root.get_by_role("group", name="the chart")


def test_bars_are_those_of_fresh_mappings_of_a_seed_chosen_here(page):
    w, seed = page.widget("FewShot"), random.Random().randint(1, 9)
    assert page.ask("1 + 1") == 2
    w.drag_slider("Seed", seed)
    page.expect("w.seed", seed)
    page.execute("w.wait()")
    w.expect_readout("town 100")
    town = lab.load("town")
    shown = {(name, k): rest for name, k, *rest in w.root.evaluate(BARS)}
    assert len(shown) == 18
    for k in (0, 1, 8):
        right = answered(town, few_shot_prompts(few_shot_task("pairs"), k, 20, seed=seed)).right
        assert shown["town", k] == pytest.approx([right.share, right.low, right.high], abs=1e-3)
    page.execute("w.seed = 0; w.wait()")


def test_keys_and_a_click_choose_the_prompt_that_is_shown(page):
    w = page.widget("FewShot")
    chart(w).focus()
    w.press("End")
    page.expect("w.k", 8)
    w.press("ArrowLeft", "ArrowLeft")
    page.expect("w.k", 6)
    expected = few_shot_prompts(few_shot_task("pairs"), 6, 1, seed=0)[0]
    text = "".join(w.root.evaluate(TOKENS)).replace("·", " ").replace("↵", "\n")
    assert text == expected.text
    options = {option: p for option, slot, p, _ in w.root.evaluate(ANSWERS) if slot == 0}
    assert options[expected.answer] > 0.9
    w.press("Home")
    page.expect("w.k", 0)
    assert len(w.root.evaluate(TOKENS)) == 1
    page.execute("w.k = 4")
    w.root.locator("h4", has_text="k = 4").wait_for()


def test_a_prompt_typed_here_is_answered_and_emptied_again(page):
    w = page.widget("FewShot")
    w.type_prompt("goose => pim, cat => jik, goose")
    said = w.expect_readout("Yours: town answers pim")
    assert "100" in said
    assert "".join(w.root.evaluate(TOKENS)) == "goose·pim↵cat·jik↵goose"
    (wide,) = [width for option, slot, _, width in w.root.evaluate(ANSWERS) if (option, slot) == ("pim", 0)]
    assert all(width <= wide for *_, width in w.root.evaluate(ANSWERS))
    w.enter_prompt("goose pim, cat")
    page.page.wait_for_function("root => !root.querySelector('.lm-error').hidden", arg=w.root.element_handle())
    assert "is no example" in w.error()
    w.enter_prompt("")
    w.expect_readout("After 8 examples")
    assert w.error() == ""


def test_shuffled_labels_and_silent_heads_by_keyboard_alone(page):
    w = page.widget("FewShot")
    w.root.get_by_role("radio", name="as drawn").focus()
    w.press("ArrowRight")
    w.expect_readout("town says the shuffled label in 100")
    assert w.root.locator("path.shown").count() == 2
    page.execute("w.labels = 'drawn'")
    w.control("Silence").select_option("copiers")
    w.expect_readout("look at what followed the question before")
    chart(w).focus()
    w.press("r")
    w.expect_readout("After 8 examples")
    page.expect("(w.silence, w.k)", ["none", 3])


def test_photographs(page):
    w = page.widget("FewShot")
    page.execute("w.reset(); w.wait()")
    w.expect_readout("After 8 examples")
    assert w.photograph("few_shot") <= 1080, "a projector does not scroll"
