"""Attention in JupyterLab: the shares under the tokens are the model's, computed here from its weights by hand."""

from __future__ import annotations

import random

import pytest

import lmlab as lab
from lmlab.data.town import Town
from tests.widgets.test_attention import attention_by_hand

SETUP = 'import lmlab as lab\ntown = lab.load("town")'
SHARES = """root => [...root.querySelectorAll("[role=option]")]
  .map(t => t.dataset.p === undefined ? null : Number(t.dataset.p))"""
DEEP = """
import dataclasses
deep = lab.TextModel(lab.Transformer(dataclasses.replace(town.model.config, n_layers=30)), town.tokenizer, name="deep")
"""
# of a strip folded into one line: the tokens seen, the numbers in its gaps, and links that end at no token seen
FOLDED = """root => {
  const seen = [...root.querySelectorAll("[role=option]")].filter(t => t.offsetWidth);
  const middle = seen.map(t => t.offsetLeft + t.offsetWidth / 2);
  const ends = [...root.querySelectorAll(".att-strip path")].map(p => Number(p.getAttribute("d").split(" ").at(-2)));
  return {lines: new Set(seen.map(t => t.offsetTop)).size, seen: seen.length, links: ends.length,
    chosen: seen.filter(t => t.ariaSelected === "true").length, lost: ends.filter(x => !middle.includes(x)),
    hidden: [...root.querySelectorAll(".att-strip .cap")].reduce((n, gap) => n + parseInt(gap.innerText.slice(2)), 0)};
}"""
# of the grid of heads: how far its numbers and the chosen layer's name lie inside, in px from its top and bottom
IN_VIEW = """grid => {
  const box = grid.getBoundingClientRect(), name = grid.querySelector(":scope > div text.bold").getBoundingClientRect();
  const numbers = grid.firstChild.getBoundingClientRect();
  return [numbers.top - box.top, name.top - numbers.bottom, box.bottom - name.bottom];
}"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.Attention(town)\nw"])


@pytest.fixture(scope="module")
def town():
    return lab.load("town")


def shares(w) -> list[float]:
    return [p for p in w.root.evaluate(SHARES) if p is not None]


def test_shares_of_a_prompt_made_up_here_for_a_head_chosen_by_keyboard(page, town):
    draw, w = random.Random(), page.widget("Attention")
    grid = w.root.get_by_role("group", name="all heads")
    for _ in range(2):
        text = " ".join(draw.sample(sorted(word.strip() for word in Town().vocabulary if word.strip().isalpha()), 7))
        w.enter_prompt(text)
        page.page.wait_for_timeout(500)
        layer, head = draw.randrange(1, 4), draw.randrange(1, 4)
        grid.focus()
        page.page.keyboard.press("PageUp")
        page.page.keyboard.press("Home")
        for key, times in (("ArrowDown", layer), ("ArrowRight", head)):
            for _ in range(times):
                page.page.keyboard.press(key)
                page.page.wait_for_timeout(150)
        w.expect_readout(f"Layer {layer}, head {head}")
        page.agree(w)
        expected = attention_by_hand(town, text, layer, head)[-1]
        assert shares(w) == pytest.approx(expected, abs=1e-3)
        assert sum(shares(w)) == pytest.approx(1, abs=3e-3)


def test_a_click_on_a_token_lets_it_look_and_the_future_stays_masked(page, town):
    w = page.widget("Attention")
    w.enter_prompt("the stock market crashed and investors panicked")
    w.expect_readout("panicked")
    w.root.locator("[role=option]").nth(3).click()
    w.expect_readout("·market")
    page.agree(w)
    assert len(shares(w)) == 4
    assert page.ask("w.query") == 3
    page.page.keyboard.press("ArrowRight")
    w.expect_readout("·crashed")


def test_cells_of_the_heatmap_speak(page, town):
    w = page.widget("Attention")
    w.enter_prompt("the stock market crashed")
    page.expect("w.prompt", "the stock market crashed")
    page.agree(w)
    w.root.locator("[aria-roledescription=heatmap]").focus()
    page.page.keyboard.press("Home")
    page.page.keyboard.press("ArrowRight")
    assert "may not look at" in w.readout() or "of its attention to" in w.readout()
    for _ in range(3):
        page.page.keyboard.press("ArrowUp")
    assert "may not look at" in w.readout(), "row 0 has no past"


def test_scores_come_before_the_softmax_and_the_average_over_heads(page, town):
    w = page.widget("Attention")
    w.root.get_by_role("radio", name="scores before").check(force=True)
    w.expect_readout("before the softmax")
    w.root.get_by_role("radio", name="after softmax").check(force=True)
    w.root.get_by_role("radio", name="layer average").check(force=True)
    w.expect_readout("mean of all heads")
    page.agree(w)
    layer, prompt = page.ask("(w.layer, w.prompt)")
    mean = sum(attention_by_hand(town, prompt, layer, h)[-1] for h in range(4)) / 4
    for _ in range(40):  # two answers are on their way, and the sentence may be ahead of the picture on a busy machine
        if shares(w) == pytest.approx(mean, abs=1e-3):
            break
        page.page.wait_for_timeout(100)
    assert shares(w) == pytest.approx(mean, abs=1e-3), page.ask("(w.layer, w.query, w.show, w.values, w.prompt)")
    w.root.get_by_role("radio", name="one head").check(force=True)
    w.expect_readout("head")


def test_the_threshold_hides_links_without_the_kernel(page):
    w = page.widget("Attention")
    links = "root => root.querySelectorAll('.att-strip svg path').length"
    before = w.root.evaluate(links)
    done = page.ask("w._done")
    w.drag_slider("Links above", 50)
    assert w.root.evaluate(links) <= before
    assert page.ask("w._done") == done
    w.drag_slider("Links above", 2)


def test_photographs(page):
    w = page.widget("Attention")
    w.enter_prompt("the stock market crashed and investors panicked because the stock market")
    w.expect_readout("·market")
    w.photograph("attention")


def test_a_long_prompt_and_thirty_layers_fit_a_projector(shared_notebook):
    text = " ".join(random.Random().choices(sorted(w.strip() for w in Town().vocabulary if w.strip().isalpha()), k=90))
    show = [
        f"{name} = lab.widgets.Attention({model}, prompt={text!r})\n{name}"
        for name, model in (("w", "town"), ("v", "deep"))
    ]
    page = shared_notebook([SETUP, DEEP, *show])
    for index, name in enumerate("wv"):
        w = page.widget("Attention", index)
        for width, height in ((1920, 1080), (1024, 768)):
            page.resize(width, height)
            w.present()
            folded, T = w.root.evaluate(FOLDED), page.ask(f"len({name}.shown.tokens)")
            assert T > 90
            assert (folded["lines"], folded["chosen"], folded["lost"]) == (1, 1, [])
            assert folded["seen"] + folded["hidden"] == T
            assert name == "v" or folded["links"]
            assert width < 1920 or w.root.bounding_box()["height"] <= height
            w.present(False)
    grid = w.root.get_by_role("group", name="all heads")
    for key, layer in (("PageDown", 29), ("ArrowUp", 28), ("PageUp", 0)):
        grid.focus()
        page.page.keyboard.press(key)
        w.expect_readout(f"Layer {layer}, head")
        page.agree(w, names=("v",))
        still, above, below = grid.evaluate(IN_VIEW)
        assert abs(still) < 1
        assert min(above, below) >= 0
    page.resize(1280, 800)
