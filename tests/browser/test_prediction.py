"""Prediction in a real page: an empty handle, a guess by mouse or keyboard, and three bars on one scale."""

import pytest
from playwright.sync_api import expect

CELLS = [
    "import lmlab as lab",
    """w = lab.widgets.Prediction("next_word.panicked", "Before you look: how likely is “panicked”?", 0.618, unit="%",
    truth=0.6, by="town", note="prediction 1 of 3", reason="in this town’s news, three crashes in five end in panic")
w""",
    """c = lab.widgets.Prediction("next_word.sees", "How far back does a trigram look?", "two words", by="trigram",
    choices=("one word", "two words", "the whole sentence"), note="prediction 2 of 3")
c""",
]


@pytest.fixture(scope="module")
def opened(shared_notebook):
    return shared_notebook(CELLS)


@pytest.fixture
def page(opened):
    opened.execute("w.reset(); c.reset()")
    for index in (0, 1):
        opened.widget("Prediction", index).expect_readout("no guess yet")
    return opened


def test_the_handle_is_empty_and_the_button_waits_for_a_guess(page):
    widget = page.widget("Prediction")
    handle = widget.control("your guess")
    assert handle.input_value() == "0"
    assert handle.get_attribute("aria-valuetext") == "no guess yet"
    assert widget.root.get_by_role("button", name="Lock in and reveal").is_disabled()
    assert "62" not in widget.text()
    widget.screenshot("Prediction_before")


def test_keys_set_the_guess_and_enter_reveals(page):
    widget = page.widget("Prediction")
    handle = widget.control("your guess")
    handle.focus()
    for _ in range(45):
        handle.press("ArrowRight")
    assert handle.get_attribute("aria-valuetext") == "45\u202f%"
    assert page.ask("w.guess") is None
    handle.press("Enter")
    widget.expect_readout("You were 15 points low: in this town’s news, three crashes in five end in panic.")
    assert page.ask("w.guess") == 0.45
    picture = widget.root.get_by_role("img")
    assert picture.get_attribute("aria-label") == "you: 45\u202f%; town: 62\u202f%; truth: 60\u202f%"
    rects = picture.locator("rect")
    widths = {
        who: rects.nth(i).evaluate("(r) => +r.getAttribute('width')") for i, who in enumerate(("you", "town", "truth"))
    }
    assert widths["you"] / widths["town"] == pytest.approx(45 / 61.8, abs=0.01)
    assert widths["truth"] / widths["town"] == pytest.approx(60 / 61.8, abs=0.01)
    widget.screenshot("Prediction_light")
    page.theme("dark")
    widget.screenshot("Prediction_dark")


def test_a_mouse_guesses_again_and_the_guess_is_kept(page):
    widget = page.widget("Prediction")
    first = widget.drag_slider("your guess", 0.2)
    widget.root.get_by_role("button", name="Lock in and reveal").click()
    widget.expect_readout(f"{60 - 100 * first:.0f} points low")
    second = widget.drag_slider("your guess", 0.8)
    assert page.ask("w.guess") == first  # nothing counts before the button
    widget.root.get_by_role("button", name="Guess again").click()
    widget.expect_readout(f"{100 * second - 60:.0f} points high")
    kept = "__import__('lmlab.user_folder', fromlist=['x']).guesses()['next_word.panicked']"
    assert page.ask(kept) == second
    again = page.add_cell('lab.widgets.Prediction("next_word.panicked", "Again?", 0.618, unit="%")')
    assert again.startswith("Prediction: You said ")


def test_a_choice(page):
    widget = page.widget("Prediction", 1)
    widget.root.get_by_text("the whole sentence").click()
    assert page.ask("c.guess") is None
    widget.root.get_by_role("button", name="Lock in and reveal").click()
    widget.expect_readout("You said the whole sentence; trigram says two words. That is another one.")
    widget.screenshot("Prediction_choice")
    expect(widget.root.get_by_role("radio", name="the whole sentence")).to_be_checked()
