"""BestOfN in JupyterLab: the drawn curves and the tally of a random sum against votes counted here, one by one."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.browser.small_projector import nothing_collides

SETUP = "import lmlab as lab"
DRAWN = "(root) => root.querySelector('[role=img]').data.map((d) => ({name: d.name, x: d.x, y: d.y}))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.BestOfN()\nw"])


def drawn(w) -> dict:
    return {trace["name"]: trace for trace in w.root.evaluate(DRAWN)}


def test_what_is_drawn_is_counted_from_the_samples(page):
    w = page.widget("BestOfN")
    a, b, c = (random.randrange(24) for _ in range(3))
    w.enter_prompt(f"{a} + {b} + {c}", name="sum")
    page.expect("w.sum", f"{a} + {b} + {c}")
    slider = w.control("Samples N")
    slider.focus()
    slider.press("End")
    w.expect_readout("; of 64, ")
    w.expect_readout(f"{a} + {b} + {c} is {(a + b + c) % 24}")
    page.agree(w)
    found = drawn(w)
    tally = Counter(page.ask("w.mine.samples.answers[0].tolist()"))
    assert found["drawn"]["y"] == [tally[hour] for hour in range(24)]
    # of all 64 there is one way to pick 64: the vote is a plain majority
    answers, sums = page.ask("[w.asked.samples.answers.tolist(), w.asked.sums.tolist()]")
    won = 0.0
    for row, numbers in zip(answers, sums, strict=True):
        votes = Counter(x for x in row if x >= 0)
        first = [x for x, n in votes.items() if n == max(votes.values())]
        won += (sum(numbers) % 24 in first) / len(first)
    assert found["a vote"]["y"][-1] == pytest.approx(100 * won / len(sums), abs=1e-3)
    hits = [sum(x == sum(numbers) % 24 for x in row) for row, numbers in zip(answers, sums, strict=True)]
    assert found["a verifier"]["y"][-1] == pytest.approx(100 * sum(h > 0 for h in hits) / len(hits), abs=1e-3)
    assert found["a vote"]["y"][0] == pytest.approx(100 * sum(hits) / 64 / len(hits), abs=1e-3)
    assert found["a vote"]["x"] == [6 * 2**k for k in range(7)]


def test_keys_walk_the_curve_and_a_wrong_sum_is_a_sentence(page):
    w = page.widget("BestOfN")
    w.root.locator("[role=img]").focus()
    w.press("Home")
    w.expect_readout("1 samples: ")
    w.enter_prompt("24 + 🦜 + 1", name="sum")
    w.expect_readout("is no sum on this clock")
    page.execute("w.reset()")
    w.expect_readout("One sample is right")


def test_photographs(page):
    w = page.widget("BestOfN")
    page.page.evaluate("() => document.activeElement.blur()")
    page.agree(w)
    assert w.photograph("best_of_n") < 1080, "a projector does not scroll"
    faults = [one for one in nothing_collides(w) if " over svg " not in one]  # plotly lays its own over one another
    assert faults == []
