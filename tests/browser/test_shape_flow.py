"""ShapeFlow in JupyterLab: guess, reveal, and every cell is a number of the model, by hand or by key."""

from __future__ import annotations

import random

import pytest
import torch

from lmlab.widgets.shape_flow import lecture_model

CELLS = """([root, label]) => [...root.querySelectorAll(`[role=grid][aria-label="${label}"] [role=row]`)]
  .map(row => [...row.querySelectorAll("[data-x]")].map(cell => [Number(cell.dataset.x), cell.textContent]))"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook(["import lmlab as lab\nw = lab.widgets.ShapeFlow()\nw"])


@pytest.fixture
def w(page):
    page.execute("w.reset()")
    return page.widget("ShapeFlow")


def stage(w, name):
    w.root.get_by_text(name, exact=True).first.click()


def numbers(w, label):
    """(value, what is written) of every cell of a grid."""
    return w.page.evaluate(CELLS, [w.root.element_handle(), label])


def test_a_guess_and_then_the_numbers_of_a_sentence_made_up_here(page, w):
    model = lecture_model()
    words = model.tokenizer.words
    text = " ".join(random.Random().choices(words, k=5))
    w.enter_prompt(text, name="text")
    page.expect("w.text", text)
    stage(w, "every position")
    w.expect_readout("What is the shape of the logits at every position?")
    assert w.root.locator("[data-x]").count() == 0
    w.enter_prompt("10, 5", name="guess")
    w.expect_readout("You said (10, 5); it is (5, 10).")
    drawn = numbers(w, "logits")
    with torch.no_grad():
        exact = model.model(torch.tensor([model.tokenizer.encode(text)]))[0]
    assert torch.tensor([[x for x, _ in row] for row in drawn]).allclose(exact, atol=1e-3)
    for row in drawn:
        for value, shown in row:
            assert float(shown.replace("−", "-")) == pytest.approx(value, abs=0.0051)


def test_by_keyboard_alone(page, w):
    model = lecture_model()
    w.control("guess").focus()
    page.page.keyboard.type("6")
    w.press("Enter")
    w.expect_readout("You said (6,); it is (6,).")
    w.root.get_by_role("grid", name="ids").locator("[tabindex='0']").focus()
    w.press("End")
    assert "Position 5 holds investors, and so the number 6" in w.readout()
    page.execute("w.guesses = {'embeddings': ''}; w.stage = 'embeddings'")
    cell = w.root.get_by_role("grid", name="embeddings").locator("[tabindex='0']")
    cell.focus()
    w.press("ArrowDown", "ArrowDown", "ArrowRight")
    exact = float(model.model.embedding.weight.detach()[2, 1])
    assert f"Number 1 of market is {exact:.2f}".replace("-", "−") in w.readout()
    hot = [value for row in numbers(w, "one-hot") for value, _ in row]
    assert hot == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert w.page.evaluate("() => document.activeElement.getAttribute('role')") == "gridcell"


def test_a_click_on_a_batch(page, w):
    model = lecture_model()
    stage(w, "batch")
    w.expect_readout("3 sentences of this length")
    w.control("guess").fill("3 6 10")
    w.root.get_by_role("button", name="Reveal").click()
    w.expect_readout("You said (3, 6, 10); it is (3, 6, 10).")
    page.resize(1920, 1080)
    rows = numbers(w, "sentence 2")
    page.resize(1280, 800)
    alone = model.next_log_probs("investors panicked and the market crashed")
    assert torch.tensor([x for x, _ in rows[-1]]).log_softmax(-1).allclose(alone, atol=1e-3)
    w.root.get_by_role("button", name="b = 1").click()
    grid = w.root.get_by_role("grid", name="sentence 1")
    grid.get_by_role("gridcell").nth(34).click()
    w.expect_readout("Sentence 1, position 3, after rose: rose gets the logit")


def test_photographs(page, w):
    for name in ("ids", "embeddings", "next word", "every position", "batch"):
        stage(w, name)
        w.root.get_by_role("button", name="Reveal").click()
        w.expect_readout("have the shape")
        w.screenshot(f"shape_flow_{name.replace(' ', '_')}_1280")
    stage(w, "embeddings")
    assert w.photograph("shape_flow") <= 1080, "a projector does not scroll"
