"""PositionWeights in JupyterLab: the bars on screen are the networks' own, wherever the word is dragged."""

from __future__ import annotations

import random

import pytest
import torch

from lmlab.widgets._rare_word import ATTENTION, LINEAR, RARE, WORDS, never_at
from tests.widgets.test_position_weights import attention_by_hand, weights

SETUP = "import lmlab as lab"
BARS = """root => [...root.querySelectorAll("rect[data-row]")].map(r =>
  [r.dataset.row, Number(r.dataset.place), Number(r.dataset.p), Number(r.getAttribute("height"))])"""
TOKENS = "root => [...root.querySelectorAll('.lm-picture svg text.mono')].map(t => t.textContent)"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.PositionWeights()\nw"])


def ids_on_the_page(page) -> torch.Tensor:
    return torch.tensor([[WORDS.index(token) for token in page.ask("list(w.shown.tokens)")]])


def test_bars_are_the_networks_weights_for_a_word_and_a_place_chosen_here(page):
    w = page.widget("PositionWeights")
    word, place = random.choice(RARE), random.randrange(8)
    w.control("The rare word").select_option(word)
    w.drag_slider("Its place", place + 1)
    page.expect("(w.word, w.place)", [word, place + 1])
    w.expect_readout(f"gives {word}, at place {place + 1}")
    ids = ids_on_the_page(page)
    assert ids[0, place] == WORDS.index(word)
    expected = {ATTENTION: attention_by_hand(ids)[0].tolist(), LINEAR: weights(LINEAR, ids)[0].tolist()}
    for name, at, p, height in w.root.evaluate(BARS):
        if name in expected:
            assert p == pytest.approx(expected[name][at], abs=1e-3)
        assert height == pytest.approx(max(1, 64 * p), abs=0.1)


def test_the_yellow_word_is_a_handle(page):
    w = page.widget("PositionWeights")
    page.execute("w.word, w.place = 'goose', 2")
    w.expect_readout("gives goose, at place 2")
    column = w.root.locator("rect[data-row]").nth(1).bounding_box()["x"]
    column -= w.root.locator("rect[data-row]").nth(0).bounding_box()["x"]
    w.drag_handle(w.root.locator(".grip"), dx=5 * column)
    page.expect("w.place", 7)
    w.expect_readout("gives goose, at place 7")
    assert "goose" in w.root.evaluate(TOKENS)


def test_keys_alone_find_the_place_where_only_attention_knows(page):
    w = page.widget("PositionWeights")
    page.execute("w.reset()")
    w.root.get_by_role("group", name="the sentence").focus()
    w.press("ArrowDown")
    w.expect_readout("gives tulips")
    w.press("Home", *["ArrowRight"] * never_at(RARE.index("tulips")))
    said = w.expect_readout("never stood here: attention says tulips")
    assert "flat, one matrix says tulips" not in said
    w.press("r")
    w.expect_readout("gives goose, at place 2")


def test_photographs(page):
    w = page.widget("PositionWeights")
    page.execute("w.place = 4")
    w.expect_readout("never stood here")
    assert w.photograph("position_weights") < 1080, "a projector does not scroll"
    page.execute("w.reset()")
