"""NextToken in JupyterLab: what is drawn for a prompt made up here is what the model says, by another path."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.data.town import Town

SETUP = """
import lmlab as lab
town = lab.load("town")
ids = lab.corpus("town", documents=1_000, seed=0).ids(town.tokenizer)
counts = lab.NGram.fit(ids, n=3, vocab_size=town.vocab_size)
trigram = lab.TextModel(counts, town.tokenizer, name="trigram")
"""
NUMBERS = """root => Object.fromEntries([...root.querySelectorAll("text[data-column]")]
  .map(t => [t.dataset.word + "|" + t.dataset.column, [Number(t.dataset.p), t.textContent]]))"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.NextToken(trigram, town)\nw"])


@pytest.fixture(scope="module")
def town():
    return lab.load("town")


def beginning(draw: random.Random) -> str:
    """The first words of a document that the town may say."""
    while True:
        words = Town().sample(1, seed=draw.randrange(10**9))[0].split("\n")[0].split(" ")
        if len(words) > 4:
            return " ".join(words[: draw.randrange(2, len(words) - 1)])


def full_pass(model: lab.TextModel, prompt: str, continuation: str) -> float:
    """p(continuation | prompt) from one forward pass over both, without cache or state."""
    tok = model.tokenizer
    before = [tok.bos_id, *tok.encode(prompt)]
    ids = before + tok.encode(continuation)
    with torch.no_grad():
        log_probs = model.model(torch.tensor([ids])).log_softmax(-1)[0]
    return math.exp(sum(float(log_probs[t - 1, ids[t]]) for t in range(len(before), len(ids))))


def test_bars_of_a_prompt_made_up_here(page, town):
    draw = random.Random()
    w = page.widget("NextToken")
    for _ in range(3):
        prompt = beginning(draw)
        w.enter_prompt(prompt)
        page.expect("w.prompt", prompt)
        page.agree(w)
        drawn, exact, seen = w.root.evaluate(NUMBERS), Town().next_words(prompt), 0
        for key, (p, shown) in drawn.items():
            word, column = key.rsplit("|", 1)
            if word and column == "town":
                assert p == pytest.approx(full_pass(town, prompt, word), abs=1e-3), (prompt, word)
                seen += 1
            elif word and column == "truth":
                assert p == pytest.approx(exact.get(word, 0.0), abs=1e-3), (prompt, word)
                assert (shown == "0") == (word not in exact)
        assert seen >= 3, prompt


def test_a_word_is_written_into_the_prompt_by_keyboard_alone(page, town):
    w = page.widget("NextToken")
    w.enter_prompt("the stock market crashed and investors")
    w.expect_readout("panicked")
    w.root.locator("[role=option]").first.focus()
    page.page.keyboard.press("ArrowDown")
    assert "celebrated" in w.readout()
    page.page.keyboard.press("Enter")
    w.expect_readout("first with")
    assert page.ask("w.prompt") == "the stock market crashed and investors celebrated"
    page.page.keyboard.press("r")
    page.page.wait_for_function(
        "() => document.querySelector('[data-lmlab=NextToken] textarea').value.endsWith('investors')"
    )


def test_a_continuation_of_ones_own_gets_its_probability_and_its_verdict(page, town):
    w = page.widget("NextToken")
    w.enter_prompt("the stock market crashed and investors")
    for text, verdict in (
        ("went golfing", "plausible: 1 in 20"),
        ("golfing", "grammar ✕"),
        ("paniquèrent", "vocabulary ✕"),
    ):
        w.enter_prompt(text, name="continuation")
        w.root.get_by_text(verdict).first.wait_for()
        cells = w.root.locator("tbody tr").first.locator("td").all_inner_texts()
        p = full_pass(town, "the stock market crashed and investors", " " + text)
        if p > 1e-4:
            assert float(cells[3].replace("\u202f%", "")) / 100 == pytest.approx(p, rel=0.06)
        else:
            assert cells[3].startswith("1 in"), cells
        assert cells[1] == ("5.0\u202f%" if "went" in text else "0")


def test_the_slider_changes_the_number_of_words(page):
    w = page.widget("NextToken")
    w.enter_prompt("the stock market")
    w.drag_slider("Words shown", 3)
    page.page.wait_for_function(
        "() => document.querySelectorAll('[data-lmlab=NextToken] svg [role=option]').length === 4"
    )


def test_keys_hide_the_truth_and_a_model(page):
    w = page.widget("NextToken")
    outlines = "root => [...root.querySelectorAll('rect')].filter(r => r.getAttribute('fill') === 'none').length"
    before = w.root.evaluate(outlines)
    w.root.locator("[role=option]").first.focus()
    page.page.keyboard.press("t")
    assert w.root.evaluate(outlines) < before
    page.page.keyboard.press("t")
    assert w.root.evaluate(outlines) == before


def test_photographs(page):
    w = page.widget("NextToken")
    w.enter_prompt("the stock market crashed and investors")
    w.drag_slider("Words shown", 7)
    assert w.photograph("next_token") < 1080, "a projector does not scroll"
