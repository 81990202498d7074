"""Openness in JupyterLab: cells hold what was tried, keys walk them, a press tries, models show their sources."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import expect

from lmlab.data.landscape import LANDSCAPE
from tests.browser.samples import SETUP
from tests.browser.small_projector import nothing_collides

CELLS = """root => Object.fromEntries([...root.querySelectorAll("[data-deed]")].map(c => [
  c.dataset.deed + "/" + c.dataset.access, [c.dataset.x === undefined ? null : Number(c.dataset.x), c.textContent]]))"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.Openness(random)\nw"])


def test_a_text_typed_here_is_measured_and_a_press_tries_a_slow_deed(page):
    w = page.widget("Openness")
    text = "the " + " ".join(random.sample(["goose", "mayor", "market", "crashed", "sold", "bread"], 3))
    w.enter_prompt(text)
    loss = page.ask(f"-sum(c.log_prob for c in random.score({text!r})) / len(random.score({text!r}))")
    shown = f"{loss:.2f}"
    page.page.wait_for_function(
        "([root, t]) => root.querySelector(`[data-deed='measure its loss'][data-access='open-weight']`)"
        ".textContent === t", arg=[w.root.element_handle(), shown],
    )  # fmt: skip
    cells = w.root.evaluate(CELLS)
    assert len(cells) == 27
    assert cells["measure its loss/closed"] == [0, "✕"]
    assert cells["teach it this text/open-weight"][0] is None, "hatched: not tried yet"
    w.root.locator("[data-deed='teach it this text']").first.click()
    page.expect("w.at", [5, 0])
    w.root.get_by_role("button", name="▶ Try it").click()
    page.page.wait_for_function(
        "root => root.querySelector(`[data-deed='teach it this text'][data-access='open-source']`)"
        ".textContent.includes('→')", arg=w.root.element_handle(),
    )  # fmt: skip
    after = w.root.evaluate(CELLS)["teach it this text/open-source"][1]
    value = page.ask("w.outcome('teach it this text', 'open-source').value")
    assert after == f"{loss:.2f} → {value:.2f}"
    w.root.locator("[data-deed='teach it this text']").first.focus()
    w.press("ArrowRight")
    page.expect("w.at", [5, 1])
    expect(w.root).to_contain_text(f"bring it from {loss:.2f} to {value:.2f} nats a token")


def test_models_are_walked_by_keys_and_show_their_sources(page):
    w = page.widget("Openness")
    access = random.choice(["closed", "open-weight", "open-source"])
    w.root.get_by_role("radio", name=access.capitalize(), exact=True).check(force=True)
    page.expect("w.page", access)
    rows = sorted((one for one in LANDSCAPE if one.access == access), key=lambda one: one.date)
    expect(w.root).to_contain_text(rows[0].source)
    lines = w.root.locator("[data-model]")
    assert lines.evaluate_all("all => all.map(l => l.dataset.model)") == [one.name for one in rows]
    lines.first.focus()
    w.press("ArrowDown")
    expect(w.root).to_contain_text(rows[1].source)
    w.press("End")
    expect(w.root).to_contain_text(rows[-1].source)
    w.root.get_by_role("radio", name="Deeds").check(force=True)


def test_photographs(page):
    w = page.widget("Openness")
    assert w.photograph("openness") < 1080, "a projector does not scroll"
    assert nothing_collides(w) == []
    w.root.get_by_role("radio", name="Open-weight").check(force=True)
    page.expect("w.page", "open-weight")
    assert w.photograph("openness_landscape") < 1080
