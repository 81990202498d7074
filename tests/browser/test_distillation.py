"""Distillation in JupyterLab: it trains from a button; curves and bars are what the two students measure and say."""

from __future__ import annotations

import random

import pytest
import torch

from lmlab.data.town.truth import TownTruth
from lmlab.text_model import load
from lmlab.training.distillation_study import DistillationTrial
from tests.browser.small_projector import nothing_collides

STEPS = 20
DRAWN = "(root) => root.querySelector('[role=img]').data?.map((d) => ({name: d.name, x: d.x, y: d.y}))"
PROMPTS = ("The stock market rose and investors", "The stock market crashed and investors", "the", "What is", "")


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook(
        ["import lmlab as lab\ntown = lab.load('town')", f"w = lab.widgets.Distillation(town, steps={STEPS})\nw"]
    )


def test_it_trains_from_a_button_and_says_what_was_measured(page):
    w, halves = page.widget("Distillation"), random.randint(0, 4)
    slider = w.control("Temperature τ")
    slider.focus()
    for _ in range(halves):
        slider.press("ArrowRight")
    page.expect("w.temperature", 1 + halves / 2)
    w.root.get_by_role("button", name="Train").focus()
    w.press("Enter")
    page.expect("w.is_over", True, seconds=90)
    page.execute("w.wait()")
    page.agree(w, names=("w",))
    town = load("town")
    students = {}
    for arm in ("soft", "hard"):
        students[arm] = DistillationTrial(town, arm, temperature=1 + halves / 2, steps=STEPS)
        while not students[arm].is_over:
            students[arm].advance(5)
    shown = w.root.evaluate(DRAWN)
    assert shown[0]["y"] == pytest.approx([p.truth for p in students["soft"].points], abs=1e-3)
    assert shown[1]["y"] == pytest.approx([p.truth for p in students["hard"].points], abs=1e-3)

    prompt = random.choice(PROMPTS)
    w.enter_prompt(prompt)
    page.expect("w.prompt", prompt)
    page.agree(w, names=("w",))
    tok = town.tokenizer
    ids = torch.tensor([[tok.bos_id, *tok.encode(prompt)]])
    speakers = {"truth": TownTruth(tok), "teacher": town.model, **{arm: t.model for arm, t in students.items()}}
    said = {who: model.log_probs(ids)[0, -1].exp() for who, model in speakers.items()}
    order = said["truth"].sort(descending=True, stable=True).indices[:5]
    order = [i for i in order if said["truth"][i] > 0]
    bars = {d["name"]: d["x"] for d in w.root.evaluate(DRAWN)[3:]}
    for who, p in said.items():
        assert bars[who] == pytest.approx([100 * float(p[i]) for i in order], abs=0.1), who


def test_what_the_town_never_says_has_no_truth(page):
    w = page.widget("Distillation")
    w.enter_prompt("<img src=x onerror=window.__pwned=1>")
    w.expect_readout("The town never says")
    assert page.page.evaluate("() => window.__pwned === undefined")


def test_photographs(page):
    page.add_cell("best = lab.widgets.Distillation(town)\nbest.train()")
    w = page.widget("Distillation", 1)
    page.execute("best.wait()")
    page.agree(w, names=("best",))
    assert w.photograph("distillation") <= 1080
    faults = [one for one in nothing_collides(w) if " over svg " not in one]  # plotly lays its own over one another
    assert faults == []
