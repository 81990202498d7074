"""ShiftedLabels in JupyterLab: labels of a text typed here, and what the network gives them, for each shift."""

from __future__ import annotations

import random

import pytest
import torch

from lmlab.widgets.shifted_labels import town_news, trained

SETUP = "import lmlab as lab"
LABELS = "root => [...root.querySelectorAll('text[data-label]')].map(t => t.dataset.label)"
BARS = "root => [...root.querySelectorAll('rect[data-p]')].map(r => Number(r.dataset.p))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.ShiftedLabels()\nw"])


def test_labels_and_probabilities_of_a_text_typed_here(page):
    w = page.widget("ShiftedLabels")
    tokenizer, learned, held_out, _ = town_news()
    words = "the stock market crashed rose and investors panicked celebrated".split()
    for shift in (1, 0):
        text = "the " + " ".join(random.choices(words, k=5))
        w.root.get_by_role("radio", name=str(shift), exact=True).check(force=True)
        w.expect_readout(f"Shift {shift}:")
        w.enter_prompt(text, name="text")
        page.expect("w.wait().text", text, seconds=30)
        w.page.wait_for_timeout(300)
        ids = [tokenizer.bos_id, *tokenizer.encode(text)]
        names = ["⟨end⟩", *(tokenizer.token_text(i).replace(" ", "·") for i in ids[1:])]
        assert w.root.evaluate(LABELS) == names[shift:]
        rows = trained(tokenizer, learned, held_out, shift)[0].log_probs(torch.tensor([ids]))[0].exp()
        expected = [float(rows[t, ids[t + shift]]) for t in range(len(ids) - shift)]
        assert w.root.evaluate(BARS) == pytest.approx(expected, abs=1e-3)


def test_arrow_keys_change_the_shift_and_r_goes_back(page):
    w = page.widget("ShiftedLabels")
    page.execute("w.shift = '1'; w.wait()")
    w.expect_readout("Shift 1:")
    w.root.get_by_role("group", name="labels and losses").focus()
    w.press("ArrowRight")
    w.expect_readout("harder than the next word")
    w.press("Home")
    w.expect_readout("it repeats the last")
    w.press("r")
    w.expect_readout("Shift 1:")
    assert w.root.get_by_text("shift 2: ").count() == 1


def test_photographs(page):
    w = page.widget("ShiftedLabels")
    page.execute("w.shift = '2'; w.wait()")
    w.expect_readout("Shift 2:")
    assert w.photograph("shifted_labels") < 1080, "a projector does not scroll"
