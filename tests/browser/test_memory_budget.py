"""MemoryBudget in JupyterLab: typed, chosen and measured; the page's figures against arithmetic made here."""

from __future__ import annotations

import math
import random
import re

import pytest

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
