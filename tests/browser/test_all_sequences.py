"""AllSequences in JupyterLab: heights are probabilities of the model, leaf by leaf, by mouse and by key."""

from __future__ import annotations

import math
import random

import pytest

from lmlab.widgets.shape_flow import lecture_model

SETUP = """
import lmlab as lab
from lmlab.widgets.shape_flow import lecture_model
blank = lecture_model()
ids = blank.tokenizer.encode("the stock market crashed and investors panicked . the market rose . " * 3)
bigram = lab.TextModel(lab.NGram.fit(ids, n=2, vocab_size=10), blank.tokenizer, name="bigram")
"""
RECTS = """root => [...root.querySelectorAll("[data-path]")].map(r =>
  [r.dataset.path, Number(r.dataset.p), Number(r.getAttribute("height")), r.dataset.filled === "1"])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.AllSequences(blank, bigram)\nw"])


@pytest.fixture
def w(page):
    page.page.evaluate("() => document.activeElement.blur()")
    page.execute("w.reset()")
    widget = page.widget("AllSequences")
    widget.expect_readout("For ten words, untrained")
    return widget


def p_of(prompt, path):
    """p of a path after a prompt, one word after another through the model's cache."""
    model, p = lecture_model(), 1.0
    for i in path:
        p *= math.exp(float(model.next_log_probs(prompt)[i]))
        prompt += " " + model.tokenizer.words[i]
    return p


def test_leaves_after_a_word_drawn_here(page, w):
    draw = random.Random()
    prompt = draw.choice(lecture_model().tokenizer.words)
    w.enter_prompt(prompt)
    page.expect("w.prompt", prompt)
    page.page.wait_for_function(
        "(word) => document.querySelector('[data-lmlab=AllSequences] h4').parentElement.textContent.includes(word)",
        arg=prompt,
    )
    page.agree(w)
    rects = [(tuple(map(int, path.split())), p, h, filled) for path, p, h, filled in w.root.evaluate(RECTS) if path]
    leaves = [rect for rect in rects if len(rect[0]) == 3]
    assert len(leaves) == 1000
    assert sum(p for _, p, _, _ in leaves) == pytest.approx(1, abs=1e-3)
    for path, p, _, _ in draw.sample(rects, 12):
        assert p == pytest.approx(p_of(prompt, path), abs=1e-3)
    for path, p, height, _ in rects:
        if height > 6:
            assert (height + 1) / 430 == pytest.approx(p, abs=1e-3), path


def test_walked_by_keyboard_alone(page, w):
    model = lecture_model()
    words = model.tokenizer.words
    stage = w.root.get_by_role("group", name="all sequences")
    stage.focus()
    best = int(model.next_log_probs(".").argmax())
    assert w.readout().startswith(f"{words[best]}: all sequences that begin so have")
    w.press("ArrowRight")
    second = int(model.next_log_probs(f". {words[best]}").argmax())
    assert w.readout().startswith(f"{words[best]} {words[second]}: ")
    w.press("Enter")
    page.expect("w.zoom", f"{words[best]} {words[second]}")
    w.press("ArrowRight", "Home", "ArrowDown", "ArrowDown")
    exact = p_of(".", (best, second, 2))
    assert w.readout().startswith(f"{words[best]} {words[second]} {words[2]}: ")
    assert float(w.readout().split(": ")[1].split("\u202f")[0]) / 100 == pytest.approx(exact, rel=0.06)
    w.press("r")
    page.expect("w.zoom", "")
    stage.focus()
    w.press("Enter", "r")  # a reset right after a key is not undone by it
    page.page.wait_for_timeout(500)
    assert page.ask("w.zoom") == ""


def test_the_threshold_is_dragged_and_the_model_exchanged(page, w):
    threshold = w.drag_slider("Filled: at least", 0.003)
    page.expect("w.threshold", pytest.approx(threshold))
    page.agree(w)
    filled = [p for path, p, _, on in w.root.evaluate(RECTS) if on]
    assert f"{len(filled)} of 1,000" in w.readout()
    assert min(filled, default=1) >= threshold - 1e-6
    w.root.get_by_text("bigram", exact=True).click()
    w.expect_readout("For bigram the likeliest is")
    assert max(p for path, p, _, _ in w.root.evaluate(RECTS) if len(path.split()) == 3) > 0.2


def test_photographs(page, w):
    w.root.get_by_text("bigram", exact=True).click()
    w.expect_readout("For bigram")
    assert w.photograph("all_sequences") <= 1080, "a projector does not scroll"
