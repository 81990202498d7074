"""FlopsCount in JupyterLab: widths and lengths by slider, key and button; every dot against shapes alone."""

from __future__ import annotations

import pytest

from tests.browser.widget import Widget

CELLS = [
    """
import lmlab as lab
said = "the stock market crashed and investors panicked. the baker sold the goose. "
tok, _ = lab.train_bpe(said * 20, vocab_size=290)
config = lab.TransformerConfig.tiny(vocab_size=tok.vocab_size, n_layers=2)
town = lab.TextModel(lab.Transformer(config, seed=3), tok, name="town")
""",
    "w = lab.widgets.FlopsCount(town, length=64)\nw",
]


@pytest.fixture(scope="module")
def page(shared_notebook):
    lab = shared_notebook(CELLS)
    lab.resize(1280, 900)
    return lab


@pytest.fixture
def flops(page) -> Widget:
    page.page.evaluate("() => document.activeElement.blur()")
    page.execute("w.reset(); w.wait()")
    widget = page.widget("FlopsCount")
    widget.expect_readout("At width 128 and T = 64")
    return widget


def dots(widget: Widget) -> dict[tuple[int, int], float]:
    found = widget.root.locator("[data-dot]").evaluate_all(
        "(all) => all.map((e) => e.dataset.dot.split(' ').map(Number))"
    )
    return {(int(w), int(t)): ratio for w, t, ratio in found}


def by_shapes(page, width: int, T: int) -> float:
    """Counted over 6 N D of a two-layer model with heads of 32, from its shapes."""
    V, F = page.ask("tok.vocab_size"), 32 * -(-8 * width // 96)
    matrices = V * width + 2 * (4 * width**2 + 3 * width * F)
    return (6 * matrices * T + 12 * 2 * width * T**2) / (6 * (matrices + 5 * width) * T)


def test_sliders_leave_dots_that_the_shapes_explain(page, flops):
    flops.readout_after(lambda: flops.drag_slider("Width", 512))
    width = int(flops.control("Width").input_value())
    flops.expect_readout(f"At width {width} and T = 64")
    flops.readout_after(lambda: flops.drag_slider("Positions T", 300))
    length = int(flops.control("Positions T").input_value())
    flops.expect_readout(f"At width {width} and T = {length}")
    found = dots(flops)
    assert set(found) >= {(128, 64), (width, 64), (width, length)}
    for (w, t), ratio in found.items():
        assert ratio == pytest.approx(by_shapes(page, w, t), abs=1e-3)


def test_the_button_counts_six_widths(page, flops):
    flops.root.get_by_role("button", name="Count six widths").click()
    page.expect("len(w.shown.dots)", 6)
    flops.page.wait_for_function(
        "(root) => root.querySelectorAll('[data-dot]').length === 6", arg=flops.root.element_handle()
    )
    found = dots(flops)
    assert [found[w, 64] for w in (32, 64, 128, 256, 512, 1024)] == pytest.approx(
        [by_shapes(page, w, 64) for w in (32, 64, 128, 256, 512, 1024)], abs=1e-3
    )


def test_keys_change_width_and_length(page, flops):
    flops.root.locator(".lm-picture [tabindex='0']").focus()
    flops.press("ArrowLeft")
    flops.expect_readout("At width 96 and T = 64")
    flops.press("ArrowUp")
    flops.expect_readout("At width 96 and T = 72")
    flops.press("Home")
    flops.expect_readout("At width 32 and T = 72")
    flops.press("ArrowRight", "ArrowUp", "r")
    flops.expect_readout("At width 128 and T = 64")
    page.page.wait_for_timeout(300)
    page.expect("[w.width, w.length, len(w.shown.dots)]", [128, 64, 1])


def test_photographs(page, flops):
    page.execute("w.clicked('sweep'); w.wait(); w.length = 512; w.clicked('sweep'); w.wait(); w.width = 256; w.wait()")
    flops.expect_readout("At width 256 and T = 512")
    assert flops.photograph("flops_count") <= 1080
