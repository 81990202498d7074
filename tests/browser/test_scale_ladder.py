"""ScaleLadder and TrainingCost in JupyterLab: typed, dragged and keyed; the page's figures against plain arithmetic."""

from __future__ import annotations

import math
import random
import re

import pytest

from tests.browser.widget import Widget

CELLS = ["import lmlab as lab\nw = lab.widgets.ScaleLadder()\nw", "c = lab.widgets.TrainingCost()\nc"]
SIZES = {"trillion": 1e12, "billion": 1e9, "million": 1e6, "TB": 1e12, "GB": 1e9, "PB": 1e15}


@pytest.fixture(scope="module")
def page(shared_notebook):
    lab = shared_notebook(CELLS)
    lab.resize(1280, 900)
    return lab


def fresh(page, name: str, kind: str) -> Widget:
    page.page.evaluate("() => document.activeElement.blur()")
    page.execute(f"{name}.reset(); {name}.wait()")
    widget = page.widget(kind)
    widget.expect_readout(page.ask(f"{name}.sentence").strip()[:30])
    return widget


@pytest.fixture
def ladder(page) -> Widget:
    return fresh(page, "w", "ScaleLadder")


@pytest.fixture
def cost(page) -> Widget:
    return fresh(page, "c", "TrainingCost")


def figure(widget: Widget, name: str) -> float:
    """A figure as a person reads it: three digits and a word for the size."""
    shown = widget.root.locator(f'[data-result="{name}"] div').nth(1).text_content() or ""
    value, word = re.fullmatch(r"\$?([\d,.]+)\s*(\w*).*", shown.replace("\u202f", " ")).groups()
    return float(value.replace(",", "")) * SIZES.get(word, 1)


def test_a_typed_number_moves_every_figure_that_it_should(page, ladder):
    tokens = round(random.Random(page.name).uniform(2, 90), 1)
    box = ladder.control("tokens, exactly")
    box.fill(str(tokens))
    ladder.readout_after(lambda: box.press("Enter"))
    assert figure(ladder, "words") == pytest.approx(tokens * 0.75e12, rel=6e-3)
    assert figure(ladder, "bytes") == pytest.approx(tokens * 3e12, rel=6e-3)
    assert figure(ladder, "height") == pytest.approx(tokens * 250, rel=6e-3)
    assert float(ladder.control("tokens").input_value()) == pytest.approx(tokens, abs=0.11)


def test_the_unit_turns_108_terabytes_into_144(ladder):
    assert "108" in ladder.readout()
    ladder.root.get_by_label("per token", exact=True).check()
    ladder.expect_readout("That is the slide’s 144 TB.")
    assert figure(ladder, "bytes") == 144e12
    assert ladder.root.locator("[data-dial=bytes_per_unit]").inner_text().strip().endswith("a token")


def test_a_figure_is_chosen_by_click_and_by_keys(page, ladder):
    ladder.root.locator('[data-result="height"]').click()
    ladder.expect_readout("times the space station’s height")
    assert ladder.root.locator('svg [data-mark="known"]', has_text="the space station").count() == 1
    assert page.page.evaluate("() => document.activeElement.dataset.result") == "height"
    ladder.press("ArrowDown")
    ladder.expect_readout("to type without a pause")
    ladder.press("Home")
    ladder.expect_readout("36 trillion tokens are")
    assert page.ask("w.quantity") == "words"
    ladder.press("r")
    ladder.expect_readout("At 4 bytes per word")


def test_the_mark_stands_where_the_logarithm_says(page, ladder):
    def middle(locator) -> float:
        box = locator.bounding_box()
        return box["y"] + box["height"] / 2

    box = ladder.control("bytes, exactly")
    for size in ("4", "0.7", "11"):
        box.fill(size)
        box.press("Enter")
        page.expect("w.bytes_per_unit", float(size))
        ladder.expect_readout(f"At {size} bytes per word")
        ticks = [middle(ladder.root.locator("svg text", has_text=t).first) for t in ("1\u202fPB", "1\u202fMB")]
        here = middle(ladder.root.locator('svg path[fill="var(--m1)"]'))
        share = math.log10(27e12 * float(size) / 1e6) / 9
        assert (ticks[1] - here) / (ticks[1] - ticks[0]) == pytest.approx(share, abs=0.01)


def test_what_is_no_number_or_out_of_range_changes_nothing_or_stops_at_the_end(page, ladder):
    box = ladder.control("words a token, exactly")
    box.fill("")
    box.press("Enter")
    assert box.input_value() == "0.75"
    box.fill("99")
    ladder.readout_after(lambda: box.press("Enter"))
    assert (box.input_value(), page.ask("w.words_per_token")) == ("2", 2.0)
    box.fill("7")
    box.press("Escape")
    assert page.ask("w.words_per_token") == 2.0
    assert ladder.error() == ""


def test_the_hidden_utilization_is_found_by_dragging_and_arrow_keys(page, cost):
    cost.readout_after(lambda: cost.drag_slider("utilization", 52))
    page.page.wait_for_timeout(200)
    slider = cost.control("utilization")
    slider.focus()
    for _ in range(80):
        page.page.wait_for_timeout(30)
        days = 6 * 405e9 * 16e12 / (float(slider.input_value()) / 100 * 989.5e12 * 86_400)
        if abs(days - 880_000) < 900:
            break
        cost.press("ArrowRight" if days > 880_000 else "ArrowLeft")
    cost.expect_readout("That is the slide’s 880,000 days.")
    assert page.ask("c.utilization_percent") == pytest.approx(51.7)
    assert figure(cost, "usd") == pytest.approx(880_000 * 24 * 2, rel=6e-3)


def test_meta_and_a_sparse_peak(page, cost):
    cost.readout_after(lambda: cost.root.get_by_label("Meta’s report", exact=True).check())
    cost.readout_after(lambda: cost.root.get_by_label("Meta 3.8×10²⁵", exact=True).check())
    box = cost.control("utilization, exactly")
    box.fill("34.6")
    box.press("Enter")
    cost.expect_readout("That is Meta’s 1.29 million days.")
    cost.root.get_by_label("sparse", exact=True).check()
    cost.expect_readout("2.00 times less than Meta’s")
    box.fill("80")
    box.press("Enter")
    cost.expect_readout("Faster than the dense peak")


def test_a_slider_dragged_wildly_ends_where_it_is_let_go(page, ladder):
    slider = ladder.control("words a minute")
    box = slider.bounding_box()
    page.page.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2)
    page.page.mouse.down()
    for i in range(60):
        page.page.mouse.move(box["x"] + (i * 37) % box["width"], box["y"] + box["height"] / 2)
    page.page.mouse.up()
    page.expect(f"abs(w.words_per_minute - {slider.input_value()}) < 1e-6", True)
    page.page.wait_for_timeout(200)
    typed = float(slider.input_value())
    assert figure(ladder, "typing") == pytest.approx(27e12 / typed / 525_960, rel=6e-3)


@pytest.mark.parametrize(("name", "kind"), [("w", "ScaleLadder"), ("c", "TrainingCost")])
def test_photographs(page, name, kind):
    widget = fresh(page, name, kind)
    height = widget.photograph({"w": "scale_ladder", "c": "training_cost"}[name])
    assert height <= 1080
