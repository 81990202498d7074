"""BitsVersusLoss in JupyterLab: a way drawn at random is measured here, and its point stands where numpy says."""

from __future__ import annotations

import math
import random

import pytest

SETUP = """
import copy, numpy, random, torch
import lmlab as lab
text = "the stock market crashed and investors panicked. the baker sold the goose. "
tok, _ = lab.train_bpe(text * 20, vocab_size=290)
town = lab.TextModel(lab.Transformer(lab.TransformerConfig.tiny(vocab_size=tok.vocab_size), seed=3), tok, name="mine")
with torch.no_grad():  # weights that matter, so that the loss moves with them
    for weight in town.model.parameters():
        weight.mul_(1.5)
"""
# min-max by numpy alone, in groups of a row's neighbors, every linear layer of the model; the loss by torch's own
BY_HAND = """
def by_hand(bits, group):
    other, total, n_groups, error, energy = copy.deepcopy(town.model), 0, 0, 0.0, 0.0
    for layer in other.modules():
        if not isinstance(layer, torch.nn.Linear) or layer.weight is other.embedding.weight:
            continue
        w = layer.weight.detach().double().numpy()
        g = w.reshape(-1, group) if group else w
        low = g.min(1, keepdims=True).astype(numpy.float16).astype(float)
        step = ((g.max(1, keepdims=True) - g.min(1, keepdims=True)) / (2**bits - 1)).astype(numpy.float16).astype(float)
        near = (low + step * numpy.clip(numpy.round((g - low) / step), 0, 2**bits - 1)).reshape(w.shape)
        error, energy = error + ((near - w) ** 2).sum(), energy + (w**2).sum()
        total, n_groups = total + w.size, n_groups + len(g)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(near))
    edge = [] if tok.bos_id is None else [tok.bos_id]
    ids = torch.tensor([*edge, *tok.encode(text), *edge])
    with torch.no_grad():
        loss = float(torch.nn.functional.cross_entropy(other(ids[None, :-1])[0], ids[1:]))
    return [bits + 32 * n_groups / total, error / energy, loss]
"""
DRAWN = """(root) => Object.fromEntries(root.querySelector('[role=img]').data.filter(t => t.name)
  .map(t => [t.name, (t.customdata || []).map(([way, bits, perplexity, error], i) =>
    ({way, bits, perplexity, error, x: t.x[i], y: t.y[i]}))]))"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    bits, group = random.choice((3, 4, 5)), random.choice((32, 0))
    size, named = (32, "32") if group else ("row", "row")
    ways = [("minmax", bits, size), ("absmax", 8, size), ("kmeans", 2, size), ("Q4_0", 4, 32)]
    make = f"w = lab.widgets.BitsVersusLoss(town, text=text, group='{named}', settings={ways})\nw"
    opened = shared_notebook([SETUP, BY_HAND, make])
    opened.page.wait_for_function("() => document.querySelector('[data-lmlab=BitsVersusLoss] .main-svg')")
    opened.drawn = (bits, group)
    return opened


def redrawn(page, w) -> None:
    page.page.wait_for_function(
        "([root, done]) => +root.querySelector('[role=img]').dataset.drawn >= done",
        arg=[w.root.element_handle(), page.ask("w._done")],
    )


def measured(page):
    w = page.widget("BitsVersusLoss")
    if not page.ask("len(w.points)"):
        w.root.get_by_role("button", name="Measure").focus()
        w.press("Enter")
        page.expect("len(w.points)", 4, seconds=60)
        page.expect("w.is_training", False, seconds=60)
    page.execute("w.show = 'perplexity'; w.within = 1.0; w.wait()")
    redrawn(page, w)
    return w


def test_a_way_chosen_at_random_is_where_numpy_says(page):
    w, (bits, group) = measured(page), page.drawn
    expected = page.ask(f"by_hand({bits}, {group})")
    (found,) = w.root.evaluate(DRAWN)["min-max"]
    shown = [found["bits"], found["error"], math.log(found["perplexity"])]
    assert shown == pytest.approx(expected, rel=1e-3)
    assert (found["x"], math.log(found["y"])) == (shown[0], shown[2])
    assert abs(found["perplexity"] / page.ask("w._full.perplexity") - 1) > 1e-5, "the weights matter"
    w.control("error").check()
    page.expect("w.show", "error")
    redrawn(page, w)
    (found,) = w.root.evaluate(DRAWN)["min-max"]
    assert found["y"] == pytest.approx(expected[1], rel=1e-3)


def test_near_enough_by_keyboard_and_by_mouse(page):
    w = measured(page)
    slider, full = w.control("Near enough"), page.ask("w._full.perplexity")
    ways = page.ask("[[p.bits_per_weight, p.perplexity] for p in w.points]")

    def fewest(percent: float) -> str:
        bits = [b for b, perplexity in ways if perplexity <= full * (1 + percent / 100)]
        return f"{min(bits):.2f} bits a weight" if bits else "No way"

    slider.focus()
    for _ in range(random.randint(2, 6)):
        slider.press("ArrowRight")
    w.expect_readout(fewest(float(slider.input_value())))
    percent = w.drag_slider("Near enough", random.choice((10, 20, 30)))
    w.expect_readout(f"{percent:g}\u202f%")
    assert fewest(percent) in w.readout()


def test_arrow_keys_walk_the_points_and_say_them(page):
    w = measured(page)
    w.root.locator("[role=img]").first.focus()
    w.press("ArrowRight")
    said = w.expect_readout("bits a weight, perplexity")
    w.press("ArrowDown", "ArrowDown", "ArrowDown")
    assert w.readout() != said
    assert "error" in w.readout()


def test_photographs(page):
    page.execute("w.close(); w = lab.widgets.BitsVersusLoss(lab.load('town'))")
    page.add_cell("w")
    w = page.widget("BitsVersusLoss")
    if not page.ask("len(w.points)"):
        page.execute("w.measure().wait()")
    redrawn(page, w)
    assert w.photograph("bits_versus_loss") <= 1080
    for show in ("extra", "error", "both"):
        page.execute(f"w.show = '{show}'; w.wait()")
        redrawn(page, w)
        w.screenshot(f"bits_versus_loss_{show}")
