"""SplitMatrix in JupyterLab: the numbers on the page multiply, by keyboard and mouse, and real processes agree."""

from __future__ import annotations

import random

import pytest

from tests.browser.samples import SETUP
from tests.browser.small_projector import nothing_collides, too_tall

NUMBERS = """root => [...root.querySelectorAll("[data-in]")].map(g =>
  [g.dataset.in, Number(g.dataset.x), g.querySelector("text").textContent, Number(g.dataset.process)])"""
CELL = "[data-cell='{}:{}']"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.SplitMatrix(random)\nw"])


def matrices(w):
    """What is drawn, by matrix and in the order of the page: values, texts, processes."""
    found: dict[str, list[tuple[float, str, int]]] = {}
    for name, *rest in w.root.evaluate(NUMBERS):
        found.setdefault(name, []).append(tuple(rest))
    return found


def value(text):
    return float(text.replace("−", "-"))


def test_numbers_on_the_page_multiply_for_any_cut_and_cell(page):
    w = page.widget("SplitMatrix")
    p, (i, j) = random.randint(2, 4), (random.randrange(3), random.randrange(8))
    w.drag_slider("Processes, p", p)
    p = page.ask("w.processes")
    for cut in ("columns", "rows"):
        w.root.get_by_role("radio", name=cut).focus()
        w.press("Space")
        page.expect("w.cut", cut)
        w.root.locator(f"[data-i='{i}'][data-j='{j}']").click()
        page.expect("w.at", [i, j])
        page.agree(w)
        m = matrices(w)
        x, weights = [m["x"][4 * i + k] for k in range(4)], [m["w"][8 * k + j] for k in range(4)]
        product = sum(a[0] * b[0] for a, b in zip(x, weights, strict=True))
        y = m["y"][8 * i + j]
        assert y[0] == pytest.approx(product, abs=1e-3)
        assert value(y[1]) == pytest.approx(product, abs=6e-3), "what is read, not only what is held"
        if cut == "columns":
            part = m[f"part{y[2]}"]
            assert product == pytest.approx(part[len(part) // 3 * i + j - [q[2] for q in m["w"][:8]].index(y[2])][0])
            w.expect_readout(f"all of it from process {y[2]}")
        else:
            mine = [sum(a[0] * b[0] for a, b in zip(x, weights, strict=True) if a[2] == q) for q in range(p)]
            assert [a[2] for a in x] == [b[2] for b in weights], "a process has the rows that meet its columns"
            assert [m[f"part{q}"][8 * i + j][0] for q in range(p)] == pytest.approx(mine, abs=1e-3)
            assert w.readout().count(" + ") == p - 1


def test_keys_choose_a_number(page):
    w = page.widget("SplitMatrix")
    page.execute("w.reset()")
    w.root.locator("[data-i='2'][data-j='1']").click()
    w.press("ArrowRight", "ArrowUp")
    page.expect("w.at", [1, 2])
    w.press("End", "PageUp")
    page.expect("w.at", [0, 7])
    w.press("Home", "PageDown", "ArrowDown")
    page.expect("w.at", [2, 0])
    focused = w.root.locator("[role=gridcell]:focus")
    assert focused.get_attribute("aria-selected") == "true"
    assert (focused.get_attribute("data-i"), focused.get_attribute("data-j")) == ("2", "0")
    w.press("r")
    page.expect("w.at", [2, 1])


def test_real_processes_make_what_was_predicted(page):
    w = page.widget("SplitMatrix")
    page.execute("w.reset()\nw.cut = 'rows'")
    w.expect_readout("all must be added")
    before = [number for number, *_ in matrices(w)["y"]]
    w.root.get_by_role("button", name="Run on real processes").click()
    w.expect_readout("The processes are at work")
    page.execute("w.wait()")
    w.expect_readout("2 real processes sent 4 messages, 192")
    assert [number for number, *_ in matrices(w)["y"]] == pytest.approx(before, abs=1e-5)
    for row in ("sent:messages", "sent:bytes"):
        assert w.root.locator(CELL.format(row, 1)).text_content() == w.root.locator(CELL.format(row, 2)).text_content()
    pairs = [w.root.locator(CELL.format(f"pair:columns → {down}", i)).text_content()
             for down in ("rows", "columns") for i in (1, 3)]  # fmt: skip
    assert pairs == ["1", "96", "2", "144"]  # 2·48 at the end; 96 between and 48 at the end
    assert page.ask("repr(w)").endswith(
        "product from 2 processes equals the plain one: True; messages as predicted: True"
    )


def test_nobody_scrolls(page):
    w = page.widget("SplitMatrix")
    for state in ("", "w.cut = 'rows'", "w.cut, w.processes = 'rows', 4"):
        page.execute(f"w.reset()\n{state}")
        page.agree(w)
        assert too_tall(w) == {}, state


def test_photographs(page):
    w = page.widget("SplitMatrix")
    page.execute("w.reset()\nw.cut, w.processes = 'rows', 4")
    w.expect_readout("all must be added")
    assert w.photograph("split_matrix") < 1080, "a projector does not scroll"
    assert nothing_collides(w) == []
    page.execute("w.cut = 'columns'")
    w.expect_readout("side by side")
    assert nothing_collides(w) == []
