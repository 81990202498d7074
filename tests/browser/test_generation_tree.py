"""GenerationTree in JupyterLab: grown by keys and clicks, its products read back from the page and computed again."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from tests.browser.test_next_token import SETUP, beginning

TREE = """root => [...root.querySelectorAll("[data-node]")]
  .map(g => [Number(g.dataset.node), Number(g.dataset.product)])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.GenerationTree(town, trigram)\nw"])


@pytest.fixture(scope="module")
def town():
    return lab.load("town")


def product(town: lab.TextModel, prompt: str, ids: list[int]) -> float:
    """p(ids | prompt) from one forward pass over both, without cache or state."""
    before = town.ids(prompt).tolist()
    with torch.no_grad():
        log_probs = town.model(torch.tensor([before + ids])).log_softmax(-1)[0]
    return math.exp(sum(float(log_probs[len(before) - 1 + t, id_]) for t, id_ in enumerate(ids)))


def test_products_of_a_tree_grown_by_hand(page, town):
    w, draw = page.widget("GenerationTree"), random.Random()
    prompt = beginning(draw)
    w.enter_prompt(prompt)
    page.expect("w.prompt", prompt)
    page.agree(w)
    for _ in range(3):
        w.root.get_by_role("button", name="Step").click()
    w.enter_prompt("a goose", name="edit")
    w.root.locator("[data-id]").nth(draw.randrange(3)).click()
    page.page.wait_for_function(f"(root) => ({TREE})(root).length >= 10", arg=w.root.element_handle())
    page.agree(w)
    drawn = w.root.evaluate(TREE)
    for node, value in drawn:
        if node:
            ids = page.ask(f"w.tree.ids({node})")
            assert value == pytest.approx(product(town, prompt, ids), abs=1e-3), (prompt, ids)


def test_by_keyboard_alone(page):
    w = page.widget("GenerationTree")
    w.root.locator("[data-node]").first.focus()
    w.press("r")
    w.expect_readout("panicked")
    w.press("ArrowDown")
    w.expect_readout("celebrated")
    w.press("ArrowRight")
    w.expect_readout("celebrated.")
    before = page.ask("len(w.shown.twigs)")
    w.press("Backspace")
    w.expect_readout("celebrated: ")
    assert page.ask("len(w.shown.twigs)") == before, "going back keeps what was written"
    w.root.locator("[data-id]").first.focus()
    w.press("ArrowRight", "Enter")
    page.page.wait_for_function("() => document.activeElement.dataset.id !== undefined")
    w.expect_readout("4 leaves")


def test_a_branch_is_closed_by_a_key_and_opened_by_a_click(page):
    w = page.widget("GenerationTree")
    w.root.locator("[data-node]").first.focus()
    w.press("r")
    w.expect_readout("3 leaves hold")
    share = page.ask("w.shown.twigs[1].products_shown[0]")
    w.press("x")
    assert f"The closed branch takes away {share}." in w.expect_readout("closed branch")
    assert page.ask("w.closed") == [1]
    assert w.root.locator("[data-node='2']").count() == 0, "what it began is out of sight"
    w.root.get_by_role("button", name="Open this branch").click()
    w.expect_readout("3 leaves hold")
    w.root.locator("[data-node='2']").wait_for()


def test_a_path_too_long_for_the_sheet_is_folded_and_the_other_branches_stay(page):
    w = page.widget("GenerationTree")
    w.root.locator("[data-node]").first.focus()
    w.press("r")
    w.expect_readout("panicked")
    w.enter_prompt("went golfing because the stock market always crashed on a Friday", name="edit")
    w.expect_readout("factors")
    w.root.get_by_text("folded").wait_for()
    assert w.root.locator("[data-node='0']").count() == 1
    assert w.root.locator("[data-node='1']").count() == 1, "the first branch is still on the sheet"
    right = """r => Math.max(...[...r.querySelectorAll("[data-node]")]
      .map(g => g.getBBox().x + g.getBBox().width)) - r.querySelector("svg[role=tree]").clientWidth"""
    assert w.root.evaluate(right) < 0


def test_photographs(page):
    w = page.widget("GenerationTree")
    w.root.locator("[data-node]").first.focus()
    w.press("r")
    w.expect_readout("panicked")
    w.enter_prompt("went golfing", name="edit")
    w.expect_readout("went golfing")
    for _ in range(3):
        w.readout_after(lambda: w.root.get_by_role("button", name="Step").click())
    assert w.photograph("generation_tree") < 1080, "a projector does not scroll"
