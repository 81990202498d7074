"""TwoObjectives in JupyterLab: a model trained in the page's kernel, a gap, and leaks read back from the drawing."""

from __future__ import annotations

import random

import pytest
import torch

import lmlab as lab

SETUP = """
import lmlab as lab
town = lab.load("town")
tok = town.tokenizer
config = lab.TransformerConfig.tiny(vocab_size=tok.vocab_size, d_model=64, n_layers=2, max_seq_len=64)
code = lab.corpus("town", documents=2_000, seed=0, families=["code"])
batches = lab.masked_windows(code, tok, T=16, B=16, rate=0.2, seed=0)
run = lab.TrainingRun(lab.Transformer(config, seed=0), batches, lab.masked_token, steps=120, seed=0, lr=6e-3)
masked = lab.TextModel(run.start().wait().snapshot(), tok, name="masked")
"""
CHANGES = """root => [...root.querySelectorAll("[data-band]")]
  .map(g => [Number(g.dataset.band), Number(g.dataset.i), Number(g.dataset.change)])"""
BARS = """root => [...root.querySelectorAll("[data-word]")]
  .map(g => [g.dataset.model, g.dataset.word, Number(g.dataset.p)])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.TwoObjectives(town, masked=masked)\nw"])


def test_the_past_of_the_causal_model_does_not_move_at_all(page):
    w, draw = page.widget("TwoObjectives"), random.Random()
    name, n = draw.choice(["cheese", "honey", "soup"]), draw.randrange(2, 9)
    w.enter_prompt(f"x = np.___({n}) # {name}", name="line")
    w.enter_prompt("goose", name="other")
    page.expect("w.other", "goose")
    page.agree(w)
    last = max(i for _, i, _ in w.root.evaluate(CHANGES))
    at = draw.randrange(2, last + 1)
    w.root.locator(f"[data-band='1'][data-i='{at}']").click()
    page.page.wait_for_function(
        f"() => document.querySelector('[data-lmlab=TwoObjectives] [aria-selected=true]').dataset.i === '{at}'"
    )
    changes = w.root.evaluate(CHANGES)
    assert {change for band, i, change in changes if band == 0 and i < at} == {0.0}
    assert all(change > 0 for band, i, change in changes if band == 1), "the masked model's answers all move"
    assert "exactly 0 in" in w.readout()


def test_the_gap_from_the_left_is_what_the_model_says_by_another_path(page):
    w, town = page.widget("TwoObjectives"), lab.load("town")
    w.enter_prompt("import ___ as np", name="line")
    w.expect_readout("numpy")
    page.expect("w.line", "import ___ as np")
    page.agree(w)
    ids = [town.tokenizer.bos_id, *town.tokenizer.encode("import")]
    with torch.no_grad():
        left = town.model(torch.tensor([ids]))[0, -1].softmax(-1)
    seen = 0
    for model, word, p in w.root.evaluate(BARS):
        if model == "town" and word.startswith("·"):
            assert p == pytest.approx(float(left[town.tokenizer.encode(word.replace("·", " "))[0]]), abs=1e-3)
            seen += 1
    assert seen >= 3


def test_by_keyboard_alone(page):
    w = page.widget("TwoObjectives")
    w.root.locator("[role=option][tabindex='0']").first.focus()
    w.press("r")
    w.expect_readout("·pd for ·np")
    w.root.locator("[role=option][tabindex='0']").first.focus()
    w.press("ArrowLeft")
    w.expect_readout("·pd for ·as")
    w.press("Home")
    w.expect_readout("nothing stands before it")
    w.press("r")
    w.expect_readout("·pd for ·np")


def test_hatching_belongs_to_its_own_widget(page):
    """Ids of one page: with the patterns of another widget the past would be hatched in another color."""
    page.execute("other = lab.widgets.Sampling(town, temperature=0.7)")
    page.add_cell("other")
    page.widget("Sampling")
    ids = page.page.evaluate("() => [...document.querySelectorAll('pattern')].map(p => p.id)")
    assert len(ids) >= 2
    assert len(set(ids)) == len(ids)
    page.delete_last_cell()


def test_photographs(page):
    w = page.widget("TwoObjectives")
    assert w.photograph("two_objectives") < 1080, "a projector does not scroll"
