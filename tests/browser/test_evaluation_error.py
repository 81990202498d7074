"""EvaluationError in JupyterLab: the tests on the screen are counted again here, question by question."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

import lmlab as lab
from lmlab.data.town.measure import answers
from lmlab.data.town.probes import probes
from lmlab.data.town.town import Town
from lmlab.training.evaluation_error import _POOL_SEED
from tests.browser.small_projector import nothing_collides

DRAWN = """(root) => root.querySelector('[role=img]').data.flatMap((d) => d.error_y ? d.x.map((x, i) =>
  [x, d.y[i], d.y[i] - d.error_y.arrayminus[i], d.y[i] + d.error_y.array[i]]) : [])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook(
        ["import lmlab as lab", 'w = lab.widgets.EvaluationError(families=["arithmetic", "facts"])\nw']
    )


@pytest.fixture(scope="module")
def right() -> np.ndarray:
    """The pool, one question at a time by the town's own examiner, not in batches."""
    model = lab.load(str(lab.asset("models/town-steps/step-002000")))
    pool = probes(Town("worried", ("arithmetic",)), 1000, _POOL_SEED)
    return np.array([answers(model.model, model.tokenizer, [p])[p.family] == 1 for p in pool])


def rows_drawn(page, w, wanted: str) -> dict[int, list[float]]:
    page.page.wait_for_function(
        "([root, text]) => root.querySelector('[role=img]').layout?.annotations[0].text.includes(text)",
        arg=[w.root.element_handle(), wanted],
    )
    return {int(x): row for x, *row in sorted(w.root.evaluate(DRAWN))}


def test_every_test_on_the_screen_is_counted_again(page, right):
    w = page.widget("EvaluationError")
    n = 10 * random.randint(3, 40)
    n = int(w.drag_slider("Questions in a test, n", n))
    drawn = rows_drawn(page, w, f"tests of {n} each")
    seed = page.ask("w.seed")
    places = np.random.default_rng(seed).integers(1000, size=(1000, n))
    z2 = 1.959963985**2
    for i, (share, low, high) in drawn.items():
        p = right[places[i - 1]].mean()
        root = math.sqrt(4 * n * p * (1 - p) * z2 + z2 * z2)  # the roots of Wilson's quadratic, as he wrote it
        ends = [(2 * n * p + z2 + sign * root) / (2 * (n + z2)) for sign in (-1, 1)]
        assert [share, low, high] == pytest.approx([100 * p, *(100 * end for end in ends)], abs=0.05)
    assert len(drawn) == 40
    assert f"{right[places[0]].sum()} of {n}" in w.readout()


def test_other_tests_by_keyboard_and_another_interval(page):
    w = page.widget("EvaluationError")
    page.execute("w.n = 30")
    before = rows_drawn(page, w, "tests of 30 each")
    button = w.root.get_by_role("button", name="Draw others")
    button.focus()
    w.readout_after(lambda: w.press("Enter"))
    page.expect("w.seed > 0", True)
    assert rows_drawn(page, w, "tests of 30 each") != before
    w.readout_after(lambda: w.control("naive").check())
    w.expect_readout("a naive interval")


def test_two_models_and_a_leak(page):
    w = page.widget("EvaluationError")
    page.execute("w.reset()")
    w.control("two models").check()
    page.execute("w.wait()")
    w.expect_readout("shared questions")
    drawn = rows_drawn(page, w, "Lead of step 2,000")
    assert drawn[1] == pytest.approx([100 * x for x in page.ask("list(w.shown.tests[0])")], abs=1e-3)
    w.screenshot("evaluation_error_two")
    w.readout_after(lambda: w.control("naive").check())
    page.agree(w)
    w.expect_readout("a naive interval that holds the lead on all")
    naive = rows_drawn(page, w, "Lead of step 2,000")
    assert naive[1] == pytest.approx([100 * x for x in page.ask("list(w.shown.tests[0])")], abs=1e-3)
    assert naive[1][0] == drawn[1][0]
    assert naive[1][1:] != drawn[1][1:]
    w.control("Wilson").check()
    w.control("a leak").check()
    page.execute("w.wait()")
    w.expect_readout("is memory")
    shown = w.root.evaluate("(root) => root.querySelector('[role=img]').data.map((d) => d.y)")
    asked = page.ask("[[100 * p[0] for p in w.shown.tests], [100 * p[1] for p in w.shown.tests]]")
    assert shown[0] == pytest.approx(asked[0], abs=1e-3)
    assert shown[1] == pytest.approx(asked[1], abs=1e-3)
    w.screenshot("evaluation_error_leaked")


def test_photographs(page):
    w = page.widget("EvaluationError")
    page.execute("w.reset()")
    w.expect_readout("Wilson")
    assert w.photograph("evaluation_error") <= 1080, "a projector does not scroll"
    faults = [one for one in nothing_collides(w) if " over svg " not in one]  # plotly lays its own over one another
    assert faults == []
