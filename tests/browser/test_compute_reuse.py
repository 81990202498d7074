"""ComputeReuse in JupyterLab: any word of any prompt is changed, and what is kept stands left of it."""

from __future__ import annotations

import random

import pytest
import torch

import lmlab as lab
from lmlab.data.town import Town

SETUP = "import lmlab as lab\ntown = lab.load('town')"
STATES = "root => [...root.querySelectorAll('.tok')].map(t => t.dataset.state)"
CELLS = "root => [...root.querySelectorAll('.lm-cell')].map(c => Number(c.dataset.x))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.ComputeReuse(town)\nw"])


@pytest.fixture(scope="module")
def town():
    return lab.load("town")


def streams(model: lab.TextModel, ids: list[int]) -> torch.Tensor:
    """The residual stream at each height (L + 1, T, D), layer by layer, without the model's own forward."""
    net = model.model
    x, turn = net.position(net.embedding(torch.tensor([ids])), torch.arange(len(ids)))
    heights = [x[0]]
    for layer, block in enumerate(net.blocks):
        x = block(x, turn, layer=layer, cache=None, trace=None, causal=True)
        heights.append(x[0])
    return torch.stack(heights).detach()


def test_cells_are_what_moved_in_a_prompt_made_up_here(page, town):
    draw = random.Random()
    w = page.widget("ComputeReuse")
    words = Town().sample(1, seed=draw.randrange(10**9))[0].split("\n")[0].split(" ")[:9]
    prompt = " ".join(words)
    old = town.ids(prompt).tolist()
    place = draw.randrange(2, min(len(old), 20))
    w.enter_prompt(prompt)
    w.enter_prompt("market", name="word")
    page.expect("w.prompt", prompt)
    page.execute(f"w.place = {place}")
    page.expect("w.shown.place", place)
    page.agree(w)
    new = old[:place] + town.tokenizer.encode(" market") + old[place + 1 :]
    states = w.root.evaluate(STATES)
    assert states == ["kept"] * place + ["computed"] * (len(new) - place)
    before, after = streams(town, old), streams(town, new)
    expected = ((after - before).norm(dim=-1) / before.norm(dim=-1)).flatten().tolist()
    assert w.root.evaluate(CELLS) == pytest.approx(expected, abs=1e-3)


def test_keys_move_the_change_through_the_text(page):
    w = page.widget("ComputeReuse")
    page.execute("w.reset()")
    w.expect_readout("5 positions kept, 3 computed again")
    w.root.locator(".tok[aria-selected=true]").focus()
    w.press("ArrowLeft")
    w.expect_readout("4 positions kept, 4 computed again")
    w.press("ArrowLeft")
    w.expect_readout("3 positions kept, 5 computed again")
    w.press("End")
    w.expect_readout("7 positions kept, 1 computed again")
    w.root.locator(".tok").nth(1).click()
    w.expect_readout("1 position kept, 7 computed again")
    w.press("r")
    w.expect_readout("5 positions kept")


def test_the_cost_of_writing_follows_its_slider(page):
    w = page.widget("ComputeReuse")
    T = int(w.drag_slider("Tokens to write", random.randrange(200, 800)))
    page.expect("w.T", T)
    w.expect_readout(f"{T:,} positions with a cache and {T * (T + 1) // 2:,} without")
    assert w.root.locator("path[data-T]").first.get_attribute("data-T") == str(T)
    page.execute("w.reset()")


def test_photographs(page):
    w = page.widget("ComputeReuse")
    w.expect_readout("524,800")
    assert w.photograph("compute_reuse") < 1080, "a projector does not scroll"
