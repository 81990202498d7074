"""StageComparison in JupyterLab: a typed question, bars read back from the drawing, every card by keyboard."""

from __future__ import annotations

import random

import pytest
import torch

import lmlab as lab

SETUP = """
import lmlab as lab
town, sft = lab.load("town"), lab.load("town-sft")
"""
BARS = """root => [...root.querySelectorAll("[data-row]")]
  .map(g => [g.dataset.stage, g.dataset.row, Number(g.dataset.p)])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.StageComparison(town, sft)\nw"])


def test_bars_of_a_typed_question_are_a_full_pass(page):
    w, town, sft = page.widget("StageComparison"), lab.load("town"), lab.load("town-sft")
    question = f"What is {random.Random().randrange(50)} plus {random.Random().randrange(50)}?"
    w.enter_prompt(question)
    page.agree(w, names=("w",))
    drawn = {(stage, row): p for stage, row, p in w.root.evaluate(BARS)}
    tok = town.tokenizer
    special = tok.specials
    chat = [tok.bos_id, special["<|user|>"], *tok.encode(question), special["<|end|>"], special["<|assistant|>"]]
    asks = [tok.encode(word)[0] for word in ("What", "Where", "How", "Explain", "Who", "Why", "Which", "When", "Whose",
                                             "Is", "Can", "Should", "Did")]  # fmt: skip
    for model, ids in ((town, [tok.bos_id, *tok.encode(question + "\n")]), (sft, chat)):
        with torch.no_grad():
            p = model.model(torch.tensor([ids]))[0, -1].double().softmax(-1)
        assert drawn[model.name, "another question"] == pytest.approx(float(p[asks].sum()), abs=2e-3)
    assert "⟨assistant⟩" in w.text()


def test_cards_by_keyboard_and_another_sample(page):
    w = page.widget("StageComparison")
    w.enter_prompt("How do I make moonbread?")
    page.agree(w, names=("w",))
    w.root.locator("[role=option][tabindex='0']").first.focus()
    w.press("ArrowRight")
    w.expect_readout("town-sft asks another question with")
    w.press("Home")
    w.expect_readout("town asks another question with")
    before = page.ask("w.seed")
    w.press(" ")
    page.expect("w.seed", before + 1)
    w.press("r")
    page.expect("w.seed", 1)


def test_photographs(page):
    w = page.widget("StageComparison")
    w.enter_prompt("Explain the moon landing to a six-year-old.")
    page.execute("w.seed = 1")
    page.agree(w, names=("w",))
    assert w.photograph("stage_comparison") <= 1080, "a projector does not scroll"
