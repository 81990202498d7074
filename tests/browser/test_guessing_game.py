"""GuessingGame in JupyterLab: played with the keyboard alone, its bounds and the model's bits computed again here."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

import lmlab as lab
from tests.browser.small_projector import nothing_collides

SETUP = """
import lmlab as lab
town = lab.load("town")
"""
FOUND = "root => [...root.querySelectorAll('[role=option]')].slice(1).map(cell => Number(cell.dataset.rank))"
BARS = """root => ({lower: Number(root.querySelector("[data-lower]").dataset.lower),
  upper: Number(root.querySelector("[data-upper]").dataset.upper),
  town: Number(root.querySelector("[data-player=town]").dataset.bits)})"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.GuessingGame(town)\nw"])


def slot(w):
    return w.root.get_by_role("textbox", name="guess the next character")


def wait_for(page, n: int) -> None:
    page.page.wait_for_function(
        f"() => document.querySelectorAll('[data-lmlab=GuessingGame] [role=option]').length === {n + 1}"
    )


def test_a_text_is_guessed_by_keyboard_alone(page):
    w, draw = page.widget("GuessingGame"), random.Random()
    number = int(w.drag_slider("Text", draw.randint(2, 12)))
    w.expect_readout("any key is a guess")
    text = page.ask(f"w._texts[{number - 1}]")
    given = " ".join(text.split(" ")[:3])
    w.expect_readout(given)
    assert text not in w.text(), "the text is not there to be read"
    slot(w).focus()
    ranks, end = [], text.index(" ", len(given) + 1)
    for character in text[len(given) : end]:
        wrong = draw.sample([c for c in "etaoin" if c != character.lower()], draw.randint(0, 3))
        for key in [*wrong, character]:
            page.page.keyboard.press("Space" if key == " " else key)
        ranks.append(len(wrong) + 1)
        wait_for(page, len(ranks))
    assert w.root.evaluate(FOUND) == ranks
    drawn = w.root.evaluate(BARS)
    shares = sorted((n / len(ranks) for n in Counter(ranks).values()), reverse=True)
    assert drawn["upper"] == pytest.approx(-sum(q * math.log2(q) for q in shares), abs=1e-3)
    assert 0 <= drawn["lower"] <= drawn["upper"] + 1e-9
    nats = lab.load("town").log_prob(text[len(given) : end], given=given)
    assert drawn["town"] == pytest.approx(-nats / math.log(2) / (end - len(given)), abs=1e-3)
    assert f"{drawn['town']:.2f}" in w.readout()


def test_enter_shows_a_character_and_arrows_walk_back(page):
    w = page.widget("GuessingGame")
    found = len(w.root.evaluate(FOUND))
    slot(w).focus()
    w.press("Enter")
    wait_for(page, found + 1)
    w.expect_readout("It was")
    w.press("ArrowLeft")
    assert "took" in w.readout()
    w.press("Home")
    assert w.readout().startswith("Given:")
    w.press("End", "ArrowRight")
    assert slot(w).evaluate("e => e === document.activeElement")


def test_r_is_a_letter_in_the_game_and_resets_beside_it(page):
    w = page.widget("GuessingGame")
    slot(w).focus()
    w.press("?", "p", "Escape")
    assert not w.root.evaluate("root => root.classList.contains('present')")
    slot(w).focus()
    w.press("e")
    w.root.locator("[role=option]").first.focus()
    w.press("r")
    w.expect_readout("any key is a guess")
    page.expect("[w.pressed, w.text]", ["", 1])


def test_on_a_small_projector_nothing_lies_over_anything(page):
    assert nothing_collides(page.widget("GuessingGame")) == []


def test_photographs(page):
    w = page.widget("GuessingGame")
    rest = page.ask("w._texts[0]")[len(" ".join(page.ask("w._texts[0]").split(" ")[:3])) :]
    page.execute(f"w.pressed = {'1:' + rest[:5] + 'xe' + rest[5:14] + 'zq'!r}")
    wait_for(page, 14)
    assert w.photograph("guessing_game") < 1080, "a projector does not scroll"
