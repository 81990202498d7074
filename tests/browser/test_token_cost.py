"""TokenCost in JupyterLab: the numbers beside the bars are counts of tokens, divided here once more."""

from __future__ import annotations

import random

import pytest

import lmlab as lab
from lmlab.widgets.token_cost import LANGUAGES, shipped_texts
from tests.browser.small_projector import nothing_collides

SETUP = """
import lmlab as lab
small, _ = lab.train_bpe(lab.corpus("town", documents=300, seed=0).text, vocab_size=1024)
"""
NUMBERS = """root => Object.fromEntries([...root.querySelectorAll("text[data-text]")]
  .map(t => [t.dataset.text + "|" + t.dataset.column, t.dataset.value === "" ? null : Number(t.dataset.value)]))"""
WIDTHS = """root => [...root.querySelectorAll("svg [role=option]")].map(g =>
  [...g.querySelectorAll("rect.eased")].map(r => Number(r.getAttribute("width"))))"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, 'w = lab.widgets.TokenCost({"town 1024": small}, "characters", "bytes")\nw'])


@pytest.fixture(scope="module")
def small():
    return lab.train_bpe(lab.corpus("town", documents=300, seed=0).text, vocab_size=1024)[0]


def choose(page, w, name: str, trait: str, value: str) -> None:
    w.root.get_by_role("radio", name=name, exact=True).check(force=True)
    page.expect(f"w.wait().{trait}", value)
    page.page.wait_for_timeout(200)


def test_numbers_and_bars_in_a_unit_and_for_a_text_of_our_own(page, small):
    draw, w = random.Random(), page.widget("TokenCost")
    own = " ".join(draw.choices("goose market Käse 市场 42 सेब".split(), k=6))
    w.enter_prompt(own, name="text")
    w.expect_readout("yours (")
    name, trait, among = draw.choice([("byte", "byte", lambda t: len(t.encode())), ("character", "character", len)])
    choose(page, w, name, "per", trait)
    drawn, texts = w.root.evaluate(NUMBERS), {**shipped_texts(), "yours": own}
    for text_name, text in texts.items():
        counts = {"town 1024": len(small.encode(text)), "characters": len(text), "bytes": len(text.encode())}
        for column, n in counts.items():
            assert drawn[f"{text_name}|{column}"] == pytest.approx(n / among(text), abs=1e-3), (text_name, column)
    widths = w.root.evaluate(WIDTHS)
    scale = widths[0][0] / drawn["English|town 1024"]
    assert widths[-1][0] == pytest.approx(drawn["yours|town 1024"] * scale, rel=1e-3)
    w.press("Escape")
    w.enter_prompt("", name="text")
    choose(page, w, "same text", "per", "text")


def test_times_english(page, small):
    w = page.widget("TokenCost")
    choose(page, w, "times English", "numbers", "ratio")
    drawn, texts = w.root.evaluate(NUMBERS), shipped_texts()
    for name in LANGUAGES:
        ratio = len(small.encode(texts[name])) / len(small.encode(texts["English"]))
        assert drawn[f"{name}|town 1024"] == pytest.approx(ratio, abs=1e-3)
    assert drawn["digits|bytes"] is None
    choose(page, w, "tokens", "numbers", "tokens")


def test_rows_are_walked_by_keyboard_and_cut_into_tokens(page, small):
    w = page.widget("TokenCost")
    w.root.get_by_role("listbox", name="cost of each text").get_by_role("option").first.focus()
    w.press("Home", "ArrowDown")
    w.expect_readout("German (")
    strip = w.root.get_by_role("listbox", name="tokens of town 1024")
    tokens = strip.get_by_role("option").all_inner_texts()
    german = small.encode(shipped_texts()["German"])
    assert tokens[:12] == [small.token_text(n).replace(" ", "·") for n in german[:12]]
    w.press("ArrowDown")
    w.expect_readout("Spanish (")
    w.press("r")
    w.expect_readout("Hindi (")


def test_on_a_small_projector_nothing_lies_over_anything(page):
    assert nothing_collides(page.widget("TokenCost")) == []


def test_photographs(page):
    w = page.widget("TokenCost")
    w.root.get_by_role("option", name="Chinese:").click()
    w.expect_readout("Chinese (")
    assert w.photograph("token_cost") < 1080, "a projector does not scroll"
