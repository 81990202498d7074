"""ChainRule in JupyterLab: bars of a sentence made up here are what the model says, by another path."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
import torch

import lmlab as lab
from lmlab.data.town import Town

SETUP = """
import lmlab as lab
town = lab.load("town")
news = lab.corpus("town", documents=500, seed=0, families=["news"])
counts = lab.NGram.fit(news.ids(town.tokenizer), n=3, vocab_size=town.vocab_size)
trigram = lab.TextModel(counts, town.tokenizer, name="trigram")
"""
BARS = """root => [...root.querySelectorAll("[data-x]")].map(b => [b.dataset.column, Number(b.dataset.x),
  Number(b.getAttribute("height")), Number(b.getAttribute("y"))])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook(
        [SETUP, "w = lab.widgets.ChainRule(town, claim=0.02)\nw", "two = lab.widgets.ChainRule(trigram, town)\ntwo"]
    )


def by_hand(model: lab.TextModel, text: str) -> float:
    """-log2 of the probability of a text, from one forward pass of the network."""
    ids = [model.tokenizer.bos_id, *model.tokenizer.encode(text)]
    with torch.no_grad():
        log_probs = model.model(torch.tensor([ids])).log_softmax(-1)[0].double()
    return -sum(float(log_probs[t - 1, ids[t]]) for t in range(1, len(ids))) / math.log(2)


def sentence(draw: random.Random) -> str:
    """Five to eight words that a document of the town begins with."""
    while True:
        words = Town(families=["news"]).sample(1, seed=draw.randrange(10**9))[0].split("\n")[0].split(" ")
        if len(words) >= 8 and all(word.isalpha() for word in words[:8]):
            return " ".join(words[: draw.randrange(5, 9)])


def test_bars_of_a_sentence_made_up_here(page):
    town, draw = lab.load("town"), random.Random()
    w = page.widget("ChainRule")
    for _ in range(2):
        text = sentence(draw)
        w.enter_prompt(text, name="text")
        page.expect("w.text", text)
        w.expect_readout("together")
        page.page.wait_for_function(
            f"() => document.querySelectorAll('[data-lmlab=ChainRule] [data-x]').length >= {len(text.split())}"
        )
        page.page.wait_for_timeout(300)
        bars = [bar for bar in w.root.evaluate(BARS) if bar[0] == "town"]
        words = text.split(" ")
        assert len(bars) == len(words)
        for i, (_, bits, _, _) in enumerate(bars):
            start, end = " ".join(words[:i]), " ".join(words[: i + 1])
            exact = by_hand(town, end) - (by_hand(town, start) if start else 0)
            assert bits == pytest.approx(exact, abs=1e-3), (text, end)
        total = float(w.root.locator("[data-total]").first.get_attribute("data-total"))
        assert total == pytest.approx(by_hand(town, text), abs=1e-3)
        scale = total / float(w.root.locator("[data-total]").first.get_attribute("height"))
        for _, bits, height, _ in bars:
            if height > 2:  # what is drawn, too
                assert height * scale == pytest.approx(bits, abs=0.02)
        for (_, _, _, y), (_, _, height, below) in pairwise(bars):
            assert below + height == pytest.approx(y, abs=2), "a word begins where the last one ended"


def choose(w, word: str) -> None:
    """Click a last word; again where the page moved under the mouse."""
    for _ in range(3):
        w.root.locator(".lm-seg label", has_text=word).click()
        w.page.wait_for_timeout(300)
        if w.root.get_by_role("radio", name=word).is_checked():
            return


def test_a_word_is_swapped_by_keyboard_alone(page):
    w = page.widget("ChainRule")
    page.execute("w.reset()")
    w.expect_readout("dearest")
    w.root.locator(".lm-picture [role=option]").first.focus()
    w.press("ArrowRight", "ArrowRight", "ArrowRight")
    assert "crashed" in w.readout()
    w.press("Enter")
    page.page.keyboard.type("rose")
    w.press("Enter")
    page.expect("w.text", "the stock market rose and investors panicked")
    w.expect_readout("with crashed the whole costs")
    assert w.root.get_by_text("yours").count() == 1
    w.root.locator(".lm-picture [role=option]").first.focus()
    w.press("r")
    page.expect("w.text", "the stock market crashed and investors panicked")


def test_a_chosen_last_word_and_the_other_unit(page):
    w = page.widget("ChainRule")
    page.execute("w.reset()")
    choose(w, "celebrated")
    w.expect_readout("Your word added")
    total = by_hand(lab.load("town"), "the stock market crashed and investors celebrated")
    assert f"{total:.2f} bits" in w.readout()
    w.root.get_by_text("nats", exact=True).click()
    w.expect_readout(f"{total * math.log(2):.2f} nats")
    w.root.get_by_text("bits", exact=True).first.click()
    w.expect_readout(f"{total:.2f} bits")


def test_what_is_impossible_has_no_end_and_keys_hide(page):
    w = page.widget("ChainRule", 1)
    choose(w, "golfing")
    w.expect_readout("trigram: ∞ bits")
    assert [bar[0] for bar in w.root.evaluate(BARS)].count("trigram") == 7
    costs = w.root.evaluate("root => [...root.querySelectorAll('[data-cost=total]')].map(t => t.textContent)")
    assert costs[0] == "∞"
    assert float(costs[1]) == pytest.approx(
        by_hand(lab.load("town"), "the stock market crashed and investors golfing"), abs=6e-3
    )
    w.root.locator(".lm-picture [role=option]").first.focus()
    w.press("1")
    assert {bar[0] for bar in w.root.evaluate(BARS)} == {"town"}
    w.press("1", "t")
    page.expect("two.show_truth", False)
    w.press("t")


def test_photographs(page):
    page.execute("w.reset(); w.last = 'celebrated'; two.last = 'celebrated'")
    w = page.widget("ChainRule")
    assert w.photograph("chain_rule") <= 1080, "a projector does not scroll"
    page.widget("ChainRule", 1).photograph("chain_rule_two")
