"""WeightFile in JupyterLab: rows set to zero by mouse and keys, losses against a model edited by hand."""

from __future__ import annotations

import random

import pytest

from tests.browser.widget import Widget

SETUP = """
import copy, torch
import lmlab as lab
said = "the stock market crashed and investors panicked. the baker sold the goose. "
tok, _ = lab.train_bpe(said * 20, vocab_size=290)
town = lab.TextModel(lab.Transformer(lab.TransformerConfig.tiny(vocab_size=tok.vocab_size), seed=3), tok, name="town")
with torch.no_grad():
    town.model.get_parameter("blocks.1.mlp.up.weight").mul_(12)
"""
CELLS = [SETUP, "w = lab.widgets.WeightFile(town, text=said)\nw"]
LOSS = """
def loss_with(name, rows):
    other = copy.deepcopy(town.model)
    edge = [] if tok.bos_id is None else [tok.bos_id]
    ids = torch.tensor([*edge, *tok.encode(said), *edge])
    with torch.no_grad():
        other.get_parameter(name)[rows] = 0
        return float(torch.nn.functional.cross_entropy(other(ids[None, :-1])[0], ids[1:]))
"""
UP = "blocks.1.mlp.up.weight"


@pytest.fixture(scope="module")
def page(shared_notebook):
    lab = shared_notebook(CELLS)
    lab.resize(1280, 900)
    lab.execute(LOSS)
    return lab


@pytest.fixture
def file(page) -> Widget:
    page.page.evaluate("() => document.activeElement.blur()")
    page.execute("w.reset(); w.wait()")
    widget = page.widget("WeightFile")
    widget.expect_readout("Row 0 of")
    return widget


def area(widget: Widget, name: str):
    return widget.root.locator(f'[data-tensor="{name}"]')


def loss(widget: Widget) -> float:
    """The last number of the readout, as it stands beside its bar."""
    shown = widget.root.get_by_role("img", name="as loaded").get_attribute("aria-label") or ""
    assert shown.split("as edited ")[1] in widget.readout()
    return float(shown.split("as edited ")[1])


def test_areas_are_in_proportion_to_the_numbers(page, file):
    sizes = dict(page.ask("[[n, p.numel()] for n, p in town.model.named_parameters()]"))
    boxes = {name: area(file, name).locator("rect").first.bounding_box() for name in sizes}
    whole = sum(sizes.values())
    total = sum(box["width"] * box["height"] for box in boxes.values())
    for name in ("embedding.weight", UP, "blocks.0.attention.query.weight", "norm.weight"):
        assert boxes[name]["width"] * boxes[name]["height"] / total == pytest.approx(sizes[name] / whole, rel=1e-2)


def test_a_row_zeroed_by_mouse_costs_what_the_model_by_hand_loses(page, file):
    row = random.Random(page.name).randrange(1, 352)
    area(file, UP).click()
    file.expect_readout("Row 0 of blocks.1.mlp.up")
    file.readout_after(lambda: file.drag_slider("Row", row))
    row = int(file.control("Row").input_value())
    page.expect("w.row", row)
    file.expect_readout(f"Row {row} of")
    numbers = file.root.locator("[data-numbers]").get_attribute("data-numbers")
    assert [float(x) for x in numbers.split()] == pytest.approx(
        page.ask(f"town.model.get_parameter({UP!r})[{row}, :12].tolist()"), abs=1e-3
    )
    file.root.get_by_role("button", name="Zero this row").click()
    file.expect_readout("128 of ")
    assert page.ask("w.edits") == [[UP, row]], "what is zeroed is the row on screen"
    assert loss(file) == pytest.approx(page.ask(f"loss_with({UP!r}, {row})"), abs=1e-3)
    file.root.get_by_role("button", name="Zero all of it").click()
    file.expect_readout("45,056 of ")
    assert loss(file) == pytest.approx(page.ask(f"loss_with({UP!r}, slice(None))"), abs=1e-3)
    file.root.get_by_role("button", name="Restore").click()
    file.expect_readout("With all in place the loss is")


def test_keys_walk_tensors_and_rows_and_zero_them(page, file):
    assert file.root.locator(".lm-picture [role=option][tabindex='0']").count() == 1
    file.root.locator(".lm-picture [role=option][tabindex='0']").focus()
    file.press("End")
    file.expect_readout("of norm")
    file.press("ArrowLeft")
    file.expect_readout("of blocks.3.")
    file.press("Home")
    file.expect_readout("of embedding")
    file.press("ArrowDown", "ArrowDown", "ArrowUp")
    file.expect_readout("Row 1 of embedding")
    file.press("z")
    file.expect_readout("128 of ")
    page.expect("w.edits", [["embedding.weight", 1]])
    assert loss(file) == pytest.approx(page.ask("loss_with('embedding.weight', 1)"), abs=1e-3)


def test_reset_at_once_after_a_key_leaves_nothing_zero(page, file):
    file.root.locator(".lm-picture [role=option][tabindex='0']").focus()
    file.press("ArrowDown", "z", "z", "r")
    as_made = [[], 0, "embedding.weight"]
    page.expect("[w.edits, w.row, w.tensor]", as_made)
    file.expect_readout("Row 0 of embedding")
    page.page.wait_for_timeout(300)
    assert page.ask("[w.edits, w.row, w.tensor]") == as_made
    assert file.error() == ""


def test_a_click_on_the_numbers_chooses_their_row(page, file):
    picture = file.root.locator("canvas[data-rows]")
    box = picture.bounding_box()
    rows = int(picture.get_attribute("data-rows"))
    file.readout_after(lambda: picture.click(position={"x": 20, "y": box["height"] * 50.5 / rows}))
    assert page.ask("w.row") == 50


def test_photographs(page, file):
    page.execute(f"w.tensor = {UP!r}; w.row = 9; w.edits = [[{UP!r}, 9]]; w.wait()")
    file.expect_readout("128 of ")
    assert file.photograph("weight_file") <= 1080
