"""NGramTable in JupyterLab: counts and probabilities on the page against the text itself, counted here."""

from __future__ import annotations

import math
import random
import re

import pytest

import lmlab as lab
from tests.browser.small_projector import nothing_collides

SETUP = """
import lmlab as lab
town = lab.load("town")
read, new = (lab.corpus("town", documents=n, seed=n, families=["news"]) for n in (800, 30))
"""
ROWS = """root => [...root.querySelectorAll("[role=option]")].map(row => [row.dataset.word, Number(row.dataset.count),
  [...row.querySelectorAll("[data-p]")].map(cell => Number(cell.dataset.p))])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    code = "w = lab.widgets.NGramTable(read, town, held_out=new, tokenizer=town.tokenizer, smoothing='backoff')\nw"
    return shared_notebook([SETUP, code])


@pytest.fixture(scope="module")
def read():
    return lab.corpus("town", documents=800, seed=800, families=["news"])


def enter(page, w, prompt: str) -> None:
    """Two prompts may end in the same words and read alike: what is on the page is that of this one."""
    w.enter_prompt(prompt)
    page.expect("w.prompt", prompt)
    page.agree(w)
    w.expect_readout(f"| {' '.join(prompt.split()[-2:])})")
    page.page.wait_for_timeout(200)


def test_counts_of_a_prompt_made_up_here(page, read):
    w, draw, town = page.widget("NGramTable"), random.Random(), lab.load("town")
    plain = [f" {re.sub('[^A-Za-z]', ' ', text)} " for text in read.documents]
    for _ in range(3):
        words = re.findall("[A-Za-z]+", draw.choice(read.documents))[:8]
        prompt = " ".join(words[: draw.randrange(3, len(words))])
        enter(page, w, prompt)
        rows, seen = w.root.evaluate(ROWS), 0
        for word, count, (counted, of_town) in rows:
            if not re.fullmatch("·[A-Za-z]+", word):
                continue
            said = word.replace("·", " ")
            assert count == sum(text.count(f" {' '.join(prompt.split()[-2:])}{said} ") for text in plain), (
                prompt,
                word,
            )
            assert of_town == pytest.approx(math.exp(town.log_prob(said, given=prompt)), abs=1e-3)
            assert counted == pytest.approx(count / page.ask("w.shown.total"), abs=1e-3)
            seen += 1
        assert seen or all(not word.startswith("·") for word, *_ in rows)


def test_the_places_follow_the_row_by_keyboard_alone(page):
    w = page.widget("NGramTable")
    enter(page, w, "the stock market")
    w.root.locator("[role=option]").first.focus()
    w.press("ArrowDown")
    word = w.root.locator("[role=option][aria-selected=true]").get_attribute("data-word")
    w.expect_readout(f"{word} followed in ")
    lines = w.root.locator(".place").all_inner_texts()
    assert 1 <= len(lines) <= 5
    for line in lines:
        assert "stock market " + word.strip("·") in " ".join(line.split())
    w.press("Home")
    assert w.root.locator("[role=option][aria-selected=true]").get_attribute("data-word") != word


def test_n_and_smoothing_move_the_curve(page):
    w = page.widget("NGramTable")
    w.drag_slider("n, tokens in all", 5)
    w.expect_readout("5-gram")
    w.root.locator("label", has_text="interpolation").click()
    w.expect_readout("On new text its perplexity is")
    page.expect("w.smoothing", "interpolated")
    drawn = w.root.evaluate("root => [...root.querySelectorAll('[data-n]')].map(c => Number(c.dataset.perplexity))")
    tok = lab.load("town").tokenizer
    ids = lab.corpus("town", documents=800, seed=800, families=["news"]).ids(tok)
    new = lab.corpus("town", documents=30, seed=30, families=["news"]).ids(tok)
    for n, shown in enumerate(drawn, 1):
        model = lab.NGram.fit(ids, n=n, vocab_size=tok.vocab_size, smoothing="interpolated")
        rows = model.log_probs(new[None])[0]
        nats = [-float(rows[t, new[t + 1]]) for t in range(len(new) - 1) if new[t + 1] != tok.bos_id]
        assert shown == pytest.approx(math.exp(sum(nats) / len(nats)), rel=1e-3)


def test_it_writes_again(page):
    w = page.widget("NGramTable")
    before = page.ask("w.shown.sample")
    w.root.get_by_role("button", name="Write again").click()
    page.page.wait_for_function(
        "([root, before]) => !root.textContent.includes(before)", arg=[w.root.element_handle(), before]
    )


def test_on_a_small_projector_nothing_lies_over_anything(page):
    assert nothing_collides(page.widget("NGramTable")) == []


def test_photographs(page):
    w = page.widget("NGramTable")
    w.enter_prompt("the stock market crashed and investors")
    w.expect_readout("investors)")
    assert w.photograph("ngram_table") < 1080, "a projector does not scroll"
