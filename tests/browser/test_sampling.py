"""Sampling in JupyterLab: bars that follow the sliders, counted draws, and the keyboard alone."""

from __future__ import annotations

import random

import pytest

import lmlab as lab
from tests.browser.test_next_token import SETUP, beginning

MARKS = """root => Object.fromEntries([...root.querySelectorAll("desc")].map(d => [
  d.dataset.word + "|" + d.dataset.model, [Number(d.dataset.before), Number(d.dataset.after), d.dataset.drawn]]))"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.Sampling(town)\nw"])


@pytest.fixture(scope="module")
def town():
    return lab.load("town")


def settled(page, w) -> None:
    page.page.wait_for_timeout(150)
    sentence = page.ask("w.wait().sentence")
    page.page.wait_for_function(
        "([r, s]) => r.querySelector('[role=status]').textContent.replace(/\\s+/g, ' ').trim() === s",
        arg=[w.root.element_handle(), " ".join(sentence.split())],
    )


def test_bars_of_a_prompt_made_up_here_follow_the_sliders(page, town):
    draw, w = random.Random(), page.widget("Sampling")
    for _ in range(3):
        prompt = beginning(draw)
        w.enter_prompt(prompt)
        w.drag_slider("Temperature", draw.uniform(0.2, 1.9))
        w.drag_slider("Top-k", draw.randrange(2, 9))
        settled(page, w)
        temperature = float(w.control("Temperature").input_value())
        k = int(w.control("Top-k").input_value())
        odds = town.next_log_probs(prompt).double()
        best = odds.topk(k).indices
        share = (odds[best] / temperature).softmax(-1)
        expected = {town.tokenizer.token_text(int(i)): float(p) for i, p in zip(best, share, strict=True)}
        seen = 0
        for key, (before, after, _) in w.root.evaluate(MARKS).items():
            word = key.rsplit("|", 1)[0]
            if word:
                assert after == pytest.approx(expected.get(word, 0.0), abs=1e-3), (prompt, temperature, k, word)
                assert before == pytest.approx(float(odds[town.tokenizer.encode(word)[0]].exp()), abs=1e-3)
                seen += 1
        assert seen >= 3, prompt


def test_draws_are_counted_by_keyboard_alone(page):
    w = page.widget("Sampling")
    w.root.locator("[role=option]").first.focus()
    w.press("r")
    w.expect_readout("panicked")
    w.press("d")
    w.expect_readout("10,000 draws")
    assert "they keep to the bars" in w.readout()
    assert float(w.root.locator("[data-p]").get_attribute("data-p")) > 0.001
    w.press("d")
    w.expect_readout("with seed 1")
    marks = w.root.evaluate(MARKS)
    assert sum(float(drawn) for _, _, drawn in marks.values()) == pytest.approx(1, abs=1e-3)
    w.press("r")
    page.page.wait_for_function("() => !document.querySelector('[data-lmlab=Sampling]').textContent.includes('draws')")


def test_greedy_cuts_all_but_one(page):
    w = page.widget("Sampling")
    w.control("Temperature").focus()
    w.press("Home")
    w.expect_readout("100\u202f%; 1 of 2,048")
    assert w.root.locator("text[data-column=after]").all_text_contents().count("cut") >= 6


def test_photographs(page):
    w = page.widget("Sampling")
    w.root.locator("[role=option]").first.focus()
    w.press("r")
    w.drag_slider("Temperature", 0.7)
    w.drag_slider("Top-p", 0.9)
    w.root.get_by_role("button", name="Draw 10,000").click()
    w.expect_readout("draws")
    assert w.photograph("sampling") < 1080, "a projector does not scroll"
