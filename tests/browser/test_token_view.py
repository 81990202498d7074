"""TokenView in JupyterLab: what hangs below a token made up here is what the model says, by another path."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from tests.browser.small_projector import nothing_collides

SETUP = """
import lmlab as lab
town = lab.load("town")
small, _ = lab.train_bpe(lab.corpus("town", documents=300, seed=0).text, vocab_size=512)
"""
TOKENS = """root => [...root.querySelectorAll("[role=listbox]")].map(row =>
  [...row.querySelectorAll("[role=option]")].map(t => t.firstChild.textContent))"""
BITS = "root => [...root.querySelectorAll('[data-bits]')].map(t => Number(t.dataset.bits))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, 'w = lab.widgets.TokenView(town, small, "bytes")\nw'])


@pytest.fixture(scope="module")
def town():
    return lab.load("town")


def shown(text: str) -> str:
    return text.replace(" ", "·")


def test_tokens_and_bits_of_a_text_made_up_here(page, town):
    draw, w = random.Random(), page.widget("TokenView")
    words = lab.Town(families=["news"]).sample(1, seed=draw.randrange(10**6))[0].split()[:7]
    i = draw.randrange(len(words))
    words[i] = words[i][::-1]
    text = " ".join(words)
    w.enter_prompt(text, name="text")
    page.expect("w.text", text)
    page.expect("w.wait().shown.n_characters", len(text))
    page.agree(w)
    rows, bits = w.root.evaluate(TOKENS), w.root.evaluate(BITS)
    ids = [town.tokenizer.bos_id, *town.tokenizer.encode(text)]
    assert rows[0] == [shown(town.tokenizer.token_text(n)) for n in ids[1:]], text
    assert rows[2] == list(shown(text))
    with torch.no_grad():
        log_probs = town.model(torch.tensor([ids])).log_softmax(-1)[0]
    assert bits == pytest.approx([-float(log_probs[t - 1, ids[t]]) / math.log(2) for t in range(1, len(ids))], abs=1e-3)


def test_a_button_misspells_and_the_keyboard_walks_to_the_same_place(page, town):
    w = page.widget("TokenView")
    w.enter_prompt("the stock market crashed and investors panicked", name="text")
    w.readout_after(lambda: w.root.get_by_role("button", name="Misspell a word").click())
    page.expect("w.text", "the stock market crashed and invsetors panicked")
    w.expect_readout("as first written it was 7 tokens")
    w.root.get_by_role("option").first.focus()
    w.press("ArrowRight", "ArrowRight")
    assert "Token 2 of town is ·market" in w.readout()
    w.press("ArrowDown", "ArrowDown")
    assert "Token 9 of bytes is ·, id 32, 1 byte 20" in w.readout()
    w.press("End", "ArrowUp", "ArrowUp")
    assert "·panicked" in w.readout()
    w.press("r")
    page.expect("w.text", "the stock market crashed and investors panicked")


def test_ids_and_bytes_instead_of_text(page, town):
    w, text = page.widget("TokenView"), "é 🦜 \u202eabc <|endoftext|>"
    w.enter_prompt(text, name="text")
    page.expect("w.wait().shown.n_characters", len(text))
    page.agree(w)
    rows = w.root.evaluate(TOKENS)
    assert rows[2][:2] == ["C3", "A9"]
    w.root.get_by_role("radio", name="ids").check(force=True)
    assert w.root.evaluate(TOKENS)[0] == [str(n) for n in town.tokenizer.encode(text)]
    w.root.get_by_role("radio", name="bytes").check(force=True)
    assert "".join(w.root.evaluate(TOKENS)[2]).lower() == text.encode().hex()
    w.root.get_by_role("radio", name="text", exact=True).check(force=True)


def test_on_a_small_projector_nothing_lies_over_anything(page):
    assert nothing_collides(page.widget("TokenView")) == []


def test_photographs(page):
    w = page.widget("TokenView")
    w.enter_prompt("the stock market crashed and invsetors panicked", name="text")
    w.expect_readout("as first written")
    assert w.photograph("token_view") < 1080, "a projector does not scroll"
