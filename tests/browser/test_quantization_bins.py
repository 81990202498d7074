"""QuantizationBins in JupyterLab: dragged by mouse and by keys; the page's numbers against numpy's own."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from tests.browser.widget import Widget

# A model with random weights, one layer made to matter: no file is needed, and the loss moves when a level does.
SETUP = """
import numpy, torch
import lmlab as lab
text = "the stock market crashed and investors panicked. the baker sold the goose. "
tok, _ = lab.train_bpe(text * 20, vocab_size=290)
town = lab.TextModel(lab.Transformer(lab.TransformerConfig.tiny(vocab_size=tok.vocab_size), seed=3), tok, name="town")
layer = "blocks.1.mlp.up"
with torch.no_grad():
    town.model.get_submodule(layer).weight.mul_(12)
raw = town.model.get_submodule(layer).weight.detach().double().numpy()
"""
CELLS = [
    SETUP,
    "w = lab.widgets.QuantizationBins(town, layer=layer, bits=2, text='the stock market crashed and investors')\nw",
]
# the loss of the model with levels put in by hand: nothing of the widget, nothing of lmlab.quantization
LOSS = """
import copy
def loss_with(levels):
    spread = (raw ** 2).mean() ** 0.5
    z = raw / spread
    rounded = numpy.array(levels)[numpy.abs(z[..., None] - numpy.array(levels)).argmin(-1)] * spread
    other = copy.deepcopy(town.model)
    edge = [] if town.tokenizer.bos_id is None else [town.tokenizer.bos_id]
    ids = torch.tensor([*edge, *town.tokenizer.encode('the stock market crashed and investors'), *edge])
    with torch.no_grad():
        other.get_submodule(layer).weight.copy_(torch.from_numpy(rounded))
        return float(torch.nn.functional.cross_entropy(other(ids[None, :-1])[0], ids[1:]))
"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    lab = shared_notebook(CELLS)
    lab.resize(1280, 1000)
    lab.execute(LOSS)
    return lab


@pytest.fixture
def bins(page) -> Widget:
    page.page.evaluate("() => document.activeElement.blur()")
    page.execute("w.reset(); w.wait()")
    widget = page.widget("QuantizationBins")
    widget.expect_readout("Min-max spaces its four levels")
    return widget


def handle(widget: Widget, which: int, n: int = 4):
    return widget.root.get_by_role("slider", name=f"level {which} of {n}", exact=True)


def levels(widget: Widget) -> list[float]:
    sliders = widget.root.get_by_role("slider").all()
    return [float(s.get_attribute("aria-valuenow")) for s in sliders if s.get_attribute("aria-valuenow")]


def shown(widget: Widget, label: str) -> str:
    return (widget.root.locator(f'[data-cost="{label}"] td').nth(1).text_content() or "").strip()


def wait_exact(widget: Widget) -> None:
    """Until the figures are the kernel's for the levels on the page."""
    widget.page.wait_for_function(
        "(root) => root.querySelector('[data-cost] td[data-exact]')?.dataset.exact === '1'",
        arg=widget.root.element_handle(),
    )


def error_by_numpy(page, held: list[float]) -> float:
    weights = np.array(page.ask("raw.tolist()"))
    z = weights / np.sqrt((weights**2).mean())
    return float((np.abs(z[..., None] - np.array(held)).min(-1) ** 2).mean())


def test_a_dragged_level_has_the_error_and_the_loss_that_numpy_and_the_model_say(page, bins):
    before = levels(bins)
    bins.drag_handle(handle(bins, 2).locator("circle").first, dx=40)
    wait_exact(bins)
    after = levels(bins)
    assert after[1] > before[1] + 0.1
    assert [after[i] for i in (0, 2, 3)] == pytest.approx([before[i] for i in (0, 2, 3)], abs=1e-3)
    assert page.ask("w.levels") == pytest.approx(after, abs=1e-3)
    assert float(shown(bins, "mean squared error")) == pytest.approx(error_by_numpy(page, after), abs=1e-3)
    loss = page.ask("loss_with(w.levels)")
    assert float(shown(bins, "loss, nats per token")) == pytest.approx(loss, abs=1e-3)
    assert abs(loss - page.ask("w.shown.losses[0]")) > 0.003  # the levels matter, so the agreement means something
    assert bins.readout().startswith("Your second level is at ")
    assert bins.control("Levels by").input_value() == "hand"


def test_while_the_mouse_is_down_the_page_knows_the_error_by_itself(page, bins):
    target = handle(bins, 3).locator("circle").first.bounding_box()
    x, y = target["x"] + target["width"] / 2, target["y"] + target["height"] / 2
    bins.page.mouse.move(x, y)
    bins.page.mouse.down()
    try:
        for dx in (-10, -25, -60):
            bins.page.mouse.move(x + dx, y)
            page.rest()
            own = float(bins.root.locator("[data-error]").get_attribute("data-error"))
            assert own == pytest.approx(error_by_numpy(page, levels(bins)), abs=1e-3)
    finally:
        bins.page.mouse.up()
    wait_exact(bins)


def test_keys_choose_and_move_a_level(page, bins):
    assert bins.root.locator(".lm-picture [tabindex='0'][role=slider]").count() == 1
    handle(bins, 1).focus()
    bins.press("ArrowUp")
    start = levels(bins)[1]
    bins.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert levels(bins)[1] == pytest.approx(start + 0.05, abs=2e-3)
    bins.press("Shift+ArrowRight")
    assert levels(bins)[1] == pytest.approx(start + 0.055, abs=2e-3)
    bins.press("End")
    assert bins.page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "level 4 of 4"
    bins.press("Home")
    assert bins.page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "level 1 of 4"
    wait_exact(bins)
    assert page.ask("w.levels") == pytest.approx(levels(bins), abs=2e-3)


def test_moving_each_level_to_the_mean_of_its_weights_ends_at_lloyd_max(page, bins):
    """Key m is one step of k-means: repeated by hand, no four levels are better."""
    handle(bins, 1).focus()
    bins.root.evaluate(  # 12 rounds over all four, without a pause between the keys
        """() => { const keys = ["m", "ArrowUp", "m", "ArrowUp", "m", "ArrowUp", "m", "Home"];
          for (let i = 0; i < 12; i++) for (const key of keys)
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
        }"""
    )
    bins.page.wait_for_timeout(400)  # the last levels are sent after a rest
    wait_exact(bins)
    assert page.ask("w.shown.error") == pytest.approx(page.ask("w.shown.best_error"), rel=0.01)
    assert levels(bins) == pytest.approx(page.ask("list(w.shown.best)"), abs=0.1)


def test_levels_by_hand_compete_with_k_means_in_the_models_loss(page, bins):
    """Both losses in the table are those that torch finds with these levels put in by hand."""
    kmeans = page.ask("list(w._layers[layer].by_method(2, 'kmeans', 'all').levels)")
    stretched = [round(random.uniform(0.85, 1.3) * level, 3) for level in kmeans]
    page.execute(f"w.levels = {stretched}; w.wait()")
    bins.expect_readout("With k-means’ levels it is")
    wait_exact(bins)
    row = bins.root.locator('[data-cost="loss, nats per token"] td').all_text_contents()
    mine, theirs = page.ask(f"loss_with({stretched})"), page.ask(f"loss_with({kmeans})")
    assert [float(row[1]), float(row[2])] == pytest.approx([mine, theirs], abs=1e-3)
    head = bins.root.locator("thead th").all_text_contents()
    assert head[1:3] == ["yours", "k-means"]
    if abs(mine - theirs) > 1e-3:
        assert ("yours win" in bins.readout()) == (mine < theirs)


def test_all_levels_stretch_by_keys_and_by_mouse(page, bins):
    page.execute("w.levels = [-1.5, -0.5, 0.5, 1.5]; w.wait()")
    bins.expect_readout("set by hand")
    handle(bins, 4).focus()
    n = random.randint(2, 5)
    bins.press(*["+"] * n, "-")
    bins.expect_readout("Your fourth level")
    wait_exact(bins)
    wide = [z * 1.05 ** (n - 1) for z in (-1.5, -0.5, 0.5, 1.5)]
    assert page.ask("w.levels") == pytest.approx(wide, abs=2e-3)
    bins.page.keyboard.down("Alt")
    bins.drag_handle(handle(bins, 4).locator("circle").first, dx=-30)
    bins.page.keyboard.up("Alt")
    wait_exact(bins)
    after = page.ask("w.levels")
    assert after[3] < wide[3] - 0.05
    assert [z / after[3] for z in after] == pytest.approx([-1, -1 / 3, 1 / 3, 1], abs=1e-3)


def test_a_level_snaps_to_its_best_place_unless_shift_is_held(page, bins):
    best = page.ask("list(w.shown.best)")
    start = [best[0] - 0.6, *best[1:]]
    for shift in (False, True):
        page.execute(f"w.levels = {start}; w.held = 0; w.wait()")
        bins.expect_readout("Your first level")
        dot = handle(bins, 1).locator("circle").first
        pixels = bins.root.evaluate(
            "(root, [a, b]) => { const s = [...root.querySelectorAll('[role=slider] circle:first-of-type')];"
            " return (b - a) * (s[3].cx.baseVal.value - s[0].cx.baseVal.value); }",
            [start[0] / (start[3] - start[0]), best[0] / (start[3] - start[0])],
        )
        if shift:
            bins.page.keyboard.down("Shift")
        bins.drag_handle(dot, dx=pixels - 3)  # three pixels short of it
        bins.page.keyboard.up("Shift")
        wait_exact(bins)
        assert (abs(page.ask("w.levels[0]") - best[0]) < 5e-4) == (not shift)


def test_a_level_stays_between_its_neighbors(page, bins):
    bins.drag_handle(handle(bins, 1).locator("circle").first, dx=2000)
    wait_exact(bins)
    assert levels(bins) == sorted(levels(bins))


def test_methods_bits_and_groups_answer(page, bins):
    bins.readout_after(lambda: bins.control("Levels by").select_option("kmeans"))
    bins.expect_readout("no other four levels")
    bins.readout_after(lambda: bins.drag_slider("Bits a weight", 4))
    bins.expect_readout("16 levels")
    assert len(levels(bins)) >= 16
    error = page.ask("w.shown.error")
    bins.readout_after(lambda: bins.root.get_by_label("32", exact=True).check())
    bins.expect_readout("in each group")
    assert page.ask("w.shown.error") < error
    assert re.fullmatch(r"4\.5\d", shown(bins, "bits a weight"))
    bins.readout_after(lambda: bins.root.get_by_label("all layers", exact=True).check())
    bins.expect_readout("all layers quantized")


def test_reset_brings_the_first_levels_back(page, bins):
    first = levels(bins)
    bins.drag_handle(handle(bins, 2).locator("circle").first, dx=30)
    bins.expect_readout("Your second level")
    bins.root.get_by_role("button", name="Reset", exact=True).click()
    bins.expect_readout("Min-max")
    assert levels(bins) == pytest.approx(first, abs=1e-3)


def test_reset_at_once_after_a_key_is_not_undone_by_the_levels_still_to_be_sent(page, bins):
    first = levels(bins)
    handle(bins, 2).focus()
    bins.press("ArrowRight", "ArrowRight", "ArrowRight", "r")
    bins.expect_readout("Min-max")
    bins.page.wait_for_timeout(400)  # levels are sent after a rest of 150 ms
    assert page.ask("w.method") == "minmax"
    assert levels(bins) == pytest.approx(first, abs=1e-3)


def test_levels_set_in_python_move_the_handles(page, bins):
    page.execute("w.levels = [-1.5, -0.5, 0.5, 1.5]; w.wait()")
    bins.expect_readout("set by hand")
    assert levels(bins) == pytest.approx([-1.5, -0.5, 0.5, 1.5], abs=1e-3)


def test_a_key_is_answered_within_a_frame_without_the_kernel(page, bins):
    """The page's own work for one key; the best of twenty, since other work on the machine only adds to it."""
    handle(bins, 2).focus()
    spent = bins.root.evaluate(
        """() => Array.from({length: 20}, (_, i) => {
          const from = performance.now(), key = i % 2 ? "ArrowLeft" : "ArrowRight";
          document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
          return performance.now() - from;
        })"""
    )
    assert min(spent) < 16, spent
    bins.page.wait_for_timeout(400)  # the last levels are sent after a rest


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_photographs(page, bins, theme):
    page.execute("w.held = 1; w.levels = [-1.51, -0.30, 0.45, 1.51]; w.wait()")
    bins.expect_readout("Your second level")
    page.theme(theme)
    bins.screenshot(f"quantization_bins_{theme}")
    page.theme("light")
    if theme == "light":
        page.resize(600, 1600)
        bins.screenshot("quantization_bins_narrow")
        page.resize(1920, 1080)
        bins.present()
        bins.screenshot("quantization_bins_presenter")
        bins.present(False)
        page.resize(1280, 1000)
