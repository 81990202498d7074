"""BPEMerges in JupyterLab: the chips on screen are the textbook's merges of a text made up here, at any step."""

from __future__ import annotations

import random

import pytest

import lmlab as lab
from tests.browser.small_projector import nothing_collides
from tests.widgets.conftest import TEXT
from tests.widgets.test_bpe_merges import naive_merges

SETUP = f"""
import lmlab as lab
tokenizer, merges = lab.train_bpe({TEXT!r} * 3, vocab_size=320)
"""
CHIPS = "root => [...root.querySelectorAll('.tok')].map(t => t.textContent)"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.BPEMerges(merges)\nw"])


@pytest.fixture(scope="module")
def merges():
    return lab.train_bpe(TEXT * 3, vocab_size=320)[1]


def shown(token: bytes) -> str:
    return token.decode().replace(" ", "·")


def test_every_step_of_a_text_made_up_here(page, merges):
    draw, w = random.Random(), page.widget("BPEMerges")
    words = TEXT.replace(".", "").replace("?", "").split()
    text = " ".join(draw.choices(words, k=9)) + " zebra"
    w.enter_prompt(text, name="text")
    page.expect("w.text", text)
    page.agree(w)
    stage = w.root.get_by_role("group", name="byte-pair training")
    stage.focus()
    page.page.keyboard.press("Home")
    step = 0
    for key, change in (("ArrowRight", 1), ("PageUp", 16), ("ArrowRight", 1), ("PageUp", 16), ("ArrowLeft", -1)):
        page.page.keyboard.press(key)
        step += change
        assert w.root.evaluate(CHIPS) == [shown(t) for t in naive_merges(text, merges, step)], (text, step)
    page.page.keyboard.press("End")
    assert w.root.evaluate(CHIPS) == [shown(t) for t in naive_merges(text, merges, len(merges))]


def test_page_and_kernel_say_the_same_sentence(page, merges):
    w = page.widget("BPEMerges")
    target = random.Random().randrange(2, len(merges))
    step = int(w.drag_slider("Merge", target))
    assert abs(step - target) <= 2
    page.expect("w.step", step)
    assert w.readout().replace("\u202f", " ") == page.ask("w.sentence").replace("\u202f", " ")
    assert f"{len((TEXT * 3).encode()) / merges.at(step).corpus_tokens:.2f} bytes" in w.readout()


def test_scrubbing_sends_almost_nothing(page, merges):
    w = page.widget("BPEMerges")
    w.root.get_by_role("group", name="byte-pair training").focus()
    received = page.bytes_during(lambda: (page.page.keyboard.press("Home"), page.page.wait_for_timeout(400)))
    assert received < 40_000


def test_play_steps_once_a_press_where_motion_is_unwanted(page):
    w = page.widget("BPEMerges")
    w.root.get_by_role("group", name="byte-pair training").focus()
    page.page.keyboard.press("Home")
    page.page.keyboard.press("Space")
    w.expect_readout("Merge 1 joins")


def test_own_text_is_trained_on(page):
    w = page.widget("BPEMerges")
    w.enter_prompt("banana banana banana", name="text")
    w.root.get_by_role("radio", name="mine").check(force=True)
    page.page.wait_for_function(
        "() => document.querySelector('[data-lmlab=BPEMerges]').innerText.includes('your text')"
    )
    w.root.get_by_role("group", name="byte-pair training").focus()
    page.page.keyboard.press("End")
    last = lab.train_bpe("banana banana banana", vocab_size=256 + page.ask("w.shown.n_steps"))[1]
    assert w.root.evaluate(CHIPS) == [shown(t) for t in naive_merges("banana banana banana", last, len(last))]
    w.root.get_by_role("radio", name="this text").check(force=True)


def test_on_a_small_projector_nothing_lies_over_anything(page):
    assert nothing_collides(page.widget("BPEMerges")) == []


def test_photographs(page):
    w = page.widget("BPEMerges")
    w.enter_prompt("the stock market crashed 日本 👩‍👧 and investors panicked", name="text")
    w.drag_slider("Merge", 40)
    w.photograph("bpe_merges")
