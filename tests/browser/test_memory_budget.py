"""MemoryBudget in JupyterLab: typed, turned, chosen and measured; the page's figures against arithmetic made here."""

from __future__ import annotations

import math
import random
import re

import pytest

from tests.browser.small_projector import nothing_collides
from tests.browser.widget import Widget

CELLS = [
    'import lmlab as lab\ntown = lab.load("town")\nw = lab.widgets.MemoryBudget()\nw',
    "live = lab.widgets.MemoryBudget(town, texts=2, tokens=16)\nlive",
]
SIZES = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}

# What autograd keeps of such a step, in words of this test.
COUNT = """
import torch
seen, own = {{}}, {{p.untyped_storage().data_ptr() for p in [*town.model.parameters(), *town.model.buffers()]}}
def see(t):
    seen[t.untyped_storage().data_ptr()] = t
    return t
with torch.autograd.graph.saved_tensors_hooks(see, lambda t: t):
    ids = torch.zeros(({texts}, {tokens}), dtype=torch.long)
    loss = torch.nn.functional.cross_entropy(town.model(ids).flatten(0, 1), ids.flatten().clone())
kept = sum(t.untyped_storage().nbytes() for at, t in seen.items() if at not in own)
"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    lab = shared_notebook(CELLS)
    lab.resize(1280, 900)
    return lab


def shown(widget: Widget, name: str) -> float:
    """A figure as a person reads it, in bytes, or a number of GPUs."""
    text = widget.root.locator(f'[data-result="{name}"] div').nth(1).text_content() or ""
    value, unit = re.fullmatch(r"([\d,.]+)\s(\S+).*", text.replace("\u202f", " ")).groups()
    return float(value.replace(",", "")) * SIZES.get(unit, 1)


def typed(widget: Widget, name: str, value: float) -> None:
    box = widget.control(f"{name}, exactly")
    box.fill(f"{value}")
    widget.readout_after(lambda: box.press("Enter"))


def test_a_random_number_of_weights_and_the_gpus_that_it_takes(page):
    rng = random.Random()
    widget = page.widget("MemoryBudget", 0)
    assert shown(widget, "total") == 1.12e12
    assert shown(widget, "gpus") == 14
    n = round(rng.uniform(80, 1900), 1)
    typed(widget, "weights N", n)
    for part, a_weight in (("weights", 2), ("gradients", 2), ("master", 4), ("moments", 8), ("total", 16)):
        assert shown(widget, part) == pytest.approx(a_weight * n * 1e9, rel=6e-3), part
    assert shown(widget, "gpus") == math.ceil(16 * n / 80)
    widget.root.get_by_label("used", exact=True).check()
    widget.expect_readout("Using ")
    assert shown(widget, "total") == pytest.approx(2 * n * 1e9, rel=6e-3)


@pytest.fixture
def lecture(page) -> Widget:
    """The lecture's seventy billion weights, as the cell made them."""
    page.page.evaluate("() => document.activeElement.blur()")
    page.execute("w.reset(); w.wait()")
    widget = page.widget("MemoryBudget", 0)
    widget.expect_readout("Training 70.0 billion weights takes")
    return widget


def strokes(widget: Widget, selector: str) -> list[tuple[float, float]]:
    """Where each rectangle of a path starts, and how wide it is, in pixels."""
    d = widget.root.locator(selector).get_attribute("d") or ""
    return [(float(x), float(wide)) for x, wide in re.findall(r"M([\d.]+) [\d.]+h([\d.]+)", d)]


def test_boxes_are_filled_to_the_byte(page, lecture):
    n = round(random.Random().uniform(40, 400), 1)
    typed(lecture, "weights N", n)
    boxes = strokes(lecture, "svg [data-boxes]")
    assert len(boxes) == math.ceil(16 * n / 80) == int(shown(lecture, "gpus"))
    one = boxes[0][1]
    for part, a_weight in (("weights", 2), ("gradients", 2), ("moments", 8)):
        filled = sum(wide for _, wide in strokes(lecture, f'svg [data-part="{part}"]'))
        assert filled / one == pytest.approx(a_weight * n / 80, abs=0.02), part
    x, wide = strokes(lecture, 'svg [data-part="moments"]')[-1]
    assert (x + wide - boxes[-1][0]) / one == pytest.approx(16 * n / 80 - len(boxes) + 1, abs=0.02)
    lecture.root.locator('[data-result="moments"]').click()
    lecture.expect_readout("Two moments: ")
    assert lecture.root.locator("svg [data-boxes]").count() == 0


def test_an_arrow_key_turns_any_number_of_weights_by_about_a_hundredth(page, lecture):
    slider, box = lecture.control("weights N"), lecture.control("weights N, exactly")
    start = float(f"{10 ** random.Random().uniform(-2, 3):.2g}")
    typed(lecture, "weights N", start)
    slider.focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft"):
        before = float(box.input_value())
        lecture.readout_after(lambda key=key: lecture.press(key))
        now = float(box.input_value())
        assert 0.0035 < abs(now / before - 1) < 0.0105
        assert (now > before) == (key != "ArrowLeft")
        assert float(f"{now:.3g}") == now, "a round number"
        page.expect("w.billion_params", now)
    before = float(box.input_value())
    lecture.readout_after(lambda: lecture.press("PageUp"))
    assert 1.05 < float(box.input_value()) / before < 1.25
    box.focus()
    before = float(box.input_value())
    lecture.readout_after(lambda: lecture.press("ArrowDown"))
    assert 0.0035 < 1 - float(box.input_value()) / before < 0.0105
    slider.focus()
    lecture.readout_after(lambda: lecture.press("End"))
    page.expect("w.billion_params", 2000.0)
    lecture.readout_after(lambda: lecture.press("Home"))
    page.expect("w.billion_params", 1e-6)
    assert lecture.error() == ""


def test_a_log_slider_dragged_wildly_ends_where_it_is_let_go(page, lecture):
    rng = random.Random()
    box = lecture.control("weights N").bounding_box()
    y = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + 30, y)
    page.page.mouse.down()
    for _ in range(60):
        page.page.mouse.move(box["x"] + rng.uniform(-40, box["width"] + 40), y)
    page.page.mouse.move(box["x"] + box["width"] / 2, y)
    page.page.mouse.up()
    let_go = float(lecture.control("weights N, exactly").input_value())
    assert 0.02 < let_go < 0.1, "the middle of a millionth and two thousand, by the logarithm"
    page.expect("w.billion_params", let_go)
    page.agree(lecture)
    assert shown(lecture, "total") == pytest.approx(16e9 * let_go, rel=6e-3)


def test_every_digit_of_the_box_is_seen_and_the_sentence_agrees(page, lecture):
    typed(lecture, "weights N", 70.0001)
    assert (
        "70.0001 billion weights takes 1.12\u202fTB: at least 15 H100s, the last for 1.60\u202fMB" in lecture.readout()
    )
    box = lecture.control("weights N, exactly")
    for width, height, big in ((1280, 900, False), (1920, 1080, True), (1024, 768, True), (1024, 768, False)):
        page.resize(width, height)
        lecture.present(big)
        assert box.evaluate("(e) => e.scrollWidth <= e.clientWidth"), (width, big)
    page.resize(1280, 900)


def test_a_small_model_s_digits_are_seen_as_well(page):
    box = page.widget("MemoryBudget", 1).control("weights N, exactly")
    assert box.input_value() == f"{page.ask('town.model.config.n_params') / 1e9:.6f}"
    assert box.evaluate("(e) => e.scrollWidth <= e.clientWidth")


def test_what_changes_nothing_cannot_be_turned(page, lecture):
    for name in ("tokens a text", "a weight used", "recompute"):
        assert lecture.control(name).is_disabled(), name
    lecture.root.get_by_label("used", exact=True).check()
    lecture.expect_readout("Using ")
    assert lecture.control("a weight used").is_enabled()
    assert lecture.control("fp32").is_disabled()
    lecture.control("Model").select_option("Llama 3 8B")
    lecture.expect_readout("Keys and values are")
    assert lecture.control("tokens a text").is_enabled()


def test_it_fits_a_small_projector(page, lecture):
    assert nothing_collides(lecture) == []
    page.resize(1024, 768)
    top, read = lecture.root.bounding_box(), lecture.status.bounding_box()
    assert read["y"] + read["height"] - top["y"] <= 700
    page.resize(1280, 900)


def test_photographs(page, lecture):
    assert lecture.photograph("memory_budget") <= 1000
    page.resize(1280, 900)


def test_keys_walk_the_parts_and_the_mark_stands_where_the_logarithm_says(page):
    def middle(locator) -> float:
        box = locator.bounding_box()
        return box["y"] + box["height"] / 2

    page.execute("w.reset(); w.wait()")
    widget = page.widget("MemoryBudget", 0)
    widget.expect_readout("Training 70.0 billion weights takes")
    widget.root.locator('[data-result="total"]').click()
    for _ in range(2):
        widget.press("ArrowDown")
    page.expect("w.quantity", "weights")
    widget.expect_readout("Weights: 140")
    ticks = [middle(widget.root.locator("svg text", has_text=t).first) for t in ("1\u202fPB", "10\u202fkB")]
    here = middle(widget.root.locator('svg path[fill="var(--m1)"]'))
    assert (ticks[1] - here) / (ticks[1] - ticks[0]) == pytest.approx(math.log10(140e9 / 1e4) / 11, abs=0.01)
    widget.press("End")
    widget.expect_readout("Two moments: 560")


def test_a_measured_step_stands_beside_its_prediction(page):
    rng = random.Random()
    widget = page.widget("MemoryBudget", 1)
    texts, tokens = rng.randint(3, 9), rng.randint(20, 60)
    typed(widget, "texts", texts)
    typed(widget, "tokens a text", tokens)
    widget.root.locator('[data-result="activations"]').click()
    widget.expect_readout("Activations: ")
    widget.root.get_by_role("button", name="Measure a step").click()
    page.expect("len(live._measured)", 1, seconds=60)
    widget.expect_readout("measured")
    page.execute(COUNT.format(texts=texts, tokens=tokens))
    kept = int(page.ask("kept"))
    assert shown(widget, "activations") == pytest.approx(kept, rel=6e-3)
    assert widget.root.locator('svg [data-mark="target"]', has_text="measured").count() == 1
    assert widget.error() == ""
