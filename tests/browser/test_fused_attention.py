"""FusedAttention in JupyterLab: any prompt's head, tile by tile, as torch computes it here from the model's weights."""

from __future__ import annotations

import random

import pytest

import lmlab as lab
from lmlab.data.town import Town
from tests.browser.small_projector import nothing_collides
from tests.widgets.test_fused_attention import scores_and_values

SETUP = 'import lmlab as lab\ntown = lab.load("town")'
HAND = """root => [...root.querySelectorAll("tr[data-row]")].map(r => [Number(r.dataset.row),
  ...["max", "rescale", "sum"].map(k => Number(r.querySelector(`[data-${k}]`).getAttribute("data-" + k)))])"""
CELLS = "root => [...root.querySelectorAll('[data-w]')].map(c => [c.dataset.r, c.dataset.k, c.dataset.w].map(Number))"
BEYOND = """root => Math.max(...[...root.querySelectorAll("table")]
  .map(t => t.getBoundingClientRect().right - t.parentElement.getBoundingClientRect().right))"""
BARS = "root => [...root.querySelectorAll('[data-tiled]')].map(b => [b.dataset.naive, b.dataset.tiled].map(Number))"
DIFFERENCES = "root => ['done', 'here'].map(k => root.querySelector(`[data-${k}]`).getAttribute('data-' + k))"
KERNELS = """root => [...root.querySelectorAll("[data-kernel]")].map(k =>
  [k.dataset.kernel, Number(k.dataset.intensity), Number(k.dataset.attainable), Number(k.dataset.measured)])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.FusedAttention(town)\nw"])


@pytest.fixture(scope="module")
def town():
    return lab.load("town")


def stage(w):
    return w.root.get_by_role("group", name="arrow keys step, Space plays")


def walk_to(page, w, step: int) -> None:
    stage(w).focus()
    w.press("Home", *["ArrowRight"] * step)
    page.expect("w.step", step)
    page.agree(w)


def tiles_of(T: int, tile: int) -> list[tuple[range, range]]:
    """The causal tiles in their order, by the mask alone."""
    bands = [range(a, min(a + tile, T)) for a in range(0, T, tile)]
    return [(rows, keys) for rows in bands for keys in bands if keys.start <= rows[-1]]


def test_a_tile_of_a_prompt_made_up_here(page, town):
    draw, w = random.Random(), page.widget("FusedAttention")
    words = sorted(word.strip() for word in Town().vocabulary if word.strip().isalpha())
    for _ in range(2):
        prompt, layer, head = " ".join(draw.sample(words, 9)), draw.randrange(4), draw.randrange(4)
        w.enter_prompt(prompt)
        page.expect("w.prompt", prompt)
        page.execute(f"w.layer, w.head = {layer}, {head}")
        tile = int(w.drag_slider("Tile", draw.randrange(2, 7)))
        page.expect("w.tile", tile)
        page.agree(w)
        scores, values = scores_and_values(town, prompt, layer, head)
        T, E = len(scores), values.shape[1]
        tiles = tiles_of(T, tile)
        step = draw.randrange(1, len(tiles) + 1)
        walk_to(page, w, step)
        rows, keys = tiles[step - 1]
        part = scores[rows.start : rows.stop, : keys.stop]
        top = part.amax(1)
        before = part[:, : keys.start].amax(1) if keys.start else top * 0 - float("inf")
        expected = zip(rows, top, (before - top).exp(), (part - top[:, None]).exp().sum(1), strict=True)
        for shown, mine in zip(w.root.evaluate(HAND), expected, strict=True):
            assert shown == pytest.approx([float(x) for x in mine], abs=1e-3, rel=1e-3)
        weights = {
            (r, k): float((part[r - rows.start, k] - top[r - rows.start]).exp()) for r in rows for k in keys if k <= r
        }
        assert {(r, k): x for r, k, x in w.root.evaluate(CELLS)} == pytest.approx(weights, abs=1e-3)
        begun = list(dict.fromkeys(rows for rows, _ in tiles[:step]))  # the bands of queries that were read
        moved = sum(2 * len(keys) for _, keys in tiles[:step]) + sum(map(len, begun))
        moved += sum(map(len, begun if step == len(tiles) else begun[:-1]))  # a band is written after its last tile
        (naive, so_far), _ = w.root.evaluate(BARS)
        assert naive == 4 * (4 * T * E + 4 * T * T)
        assert so_far == 4 * E * moved
        done, here = w.root.evaluate(DIFFERENCES)
        exact = scores.softmax(1) @ values
        apart = float((part.softmax(1) @ values[: keys.stop] - exact[rows.start : rows.stop]).abs().max())
        assert float(here) == pytest.approx(apart, abs=1e-3)
        assert done == "" or float(done) < 1e-5


def test_keys_buttons_and_sliders(page):
    w = page.widget("FusedAttention")
    page.execute("w.reset()")
    page.agree(w)
    stage(w).focus()
    w.press("ArrowDown", "ArrowDown")
    page.expect("w.step", 3)
    w.press("ArrowLeft", "ArrowUp")
    page.expect("w.step", 1)
    w.press("End")
    w.expect_readout("differ from naive attention by less than 0.00001")
    assert w.root.evaluate(BEYOND) < 1, "what is in hand lies within its column"
    page.page.emulate_media(reduced_motion="reduce")
    w.root.get_by_role("button", name="Play").click()
    page.expect("w.step", 0)
    w.root.get_by_role("button", name="Play").click()
    page.expect("w.step", 1)
    page.page.emulate_media(reduced_motion="no-preference")
    T, tile = int(w.drag_slider("And for a text of T tokens", 9000)), int(w.drag_slider("Tile", 20))
    page.expect("(w.length, w.tile)", [T, tile])
    page.agree(w)
    rows = sum(min(T, start + tile) for start in range(0, T, tile))
    assert w.root.evaluate(BARS)[1] == [4 * (4 * T * 32 + 4 * T * T), 4 * 32 * (2 * T + 2 * rows)]


def test_the_roofline_is_measured_here(page):
    w = page.widget("FusedAttention")
    page.execute("w.reset()")
    w.root.get_by_role("radio", name="roofline").check(force=True)
    w.expect_readout("An H100 needs 295 to be busy")
    for name, intensity, attainable, _ in w.root.evaluate(KERNELS):
        assert attainable == pytest.approx(min(989.5e12, intensity * 3.35e12)), name
    stage(w).focus()
    w.press("Home")
    w.expect_readout("matrix × vector: 1.00 FLOPs for each byte, left of the ridge")
    w.root.locator("[data-kernel='product of 1,024']").click()
    w.expect_readout("right of the ridge: arithmetic is its limit")
    w.root.get_by_role("button", name="Measure this machine").click()
    w.root.get_by_role("button", name="Measure again").wait_for(timeout=60_000)
    w.expect_readout("This machine needs")
    peak, bandwidth = page.ask("(w.roofs[0].peak_flops, w.roofs[0].bandwidth)")
    assert float(w.root.locator("[data-ridge]").get_attribute("data-ridge")) == pytest.approx(peak / bandwidth)
    measured = page.ask("[p.measured for p in w.roofs[1]]")
    shown = w.root.evaluate(KERNELS)
    assert [m for *_, m in shown] == pytest.approx(measured)
    assert max(measured) > 0
    for name, intensity, attainable, _ in shown:
        assert attainable == pytest.approx(min(peak, intensity * bandwidth)), name
    page.execute("w.show = 'tiles'")
    page.agree(w)


def test_photographs(page):
    w = page.widget("FusedAttention")
    for show in ("tiles", "roofline"):
        page.execute(f"w.reset()\nw.step, w.show = 5, {show!r}")
        page.agree(w)
        assert nothing_collides(w) == [], show
        assert w.photograph(f"fused_attention_{show}") < 1080, "a projector does not scroll"
