"""PageRater in JupyterLab: twenty pages rated with two keys, and a kappa that is computed again here."""

from __future__ import annotations

import random

import pytest

SETUP = "import lmlab as lab"
CELLS = """root => [...root.querySelectorAll("rect[data-row]")].map(r => [r.dataset.row, r.dataset.rating])"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.PageRater()\nw"])


def row(w, name: str) -> str:
    return "".join(rating for who, rating in w.root.evaluate(CELLS) if who == name)


def test_twenty_pages_are_rated_with_two_keys_and_compared(page):
    w = page.widget("PageRater")
    page.execute("w.reset()")
    draw = random.Random()
    wanted = "kd" + "".join(draw.choice("kd") for _ in range(18))
    assert row(w, "classifier") == row(w, "planted") == "", "nobody's ratings are on the page yet"
    w.root.get_by_role("option", name="page 1:").focus()
    for i, key in enumerate(wanted):
        w.press(key)
        page.expect("w.ratings.count('-')", 19 - i)
    page.expect("w.ratings", wanted)
    w.expect_readout("All 20 are rated")
    assert row(w, "you") == wanted
    w.press("Enter")
    w.expect_readout("kappa")
    classifier, planted = row(w, "classifier"), row(w, "planted")
    assert set(classifier) | set(planted) <= {"k", "d"}
    assert planted.count("k") == 10

    def kappa(a: str, b: str) -> float:
        agree = sum(x == y for x, y in zip(a, b, strict=True)) / 20
        p, q = a.count("k") / 20, b.count("k") / 20
        chance = p * q + (1 - p) * (1 - q)
        return (agree - chance) / (1 - chance)

    said = w.readout()
    for a, b in ((wanted, classifier), (wanted, planted), (classifier, planted)):
        assert f"{kappa(a, b):.2f}".replace("-", "−") in said
    assert "Planted as" in w.text()


def test_arrows_walk_the_pages_and_the_text_is_that_of_the_page(page):
    w = page.widget("PageRater")
    page.execute("w.reset()")
    w.expect_readout("Page 1: press k")
    w.root.get_by_role("option", name="page 1:").focus()
    w.press("ArrowRight", "ArrowRight")
    page.expect("w.page", 3)
    w.expect_readout("Page 3")
    first = page.ask("w._pages[2].text[:60]")
    assert " ".join(first.split()) in " ".join(w.root.get_by_role("document", name="the page").inner_text().split())
    w.press("End")
    page.expect("w.page", 20)
    w.press("r")
    page.expect("w.page", 1)


def test_photographs(page):
    w = page.widget("PageRater")
    page.execute("w.ratings, w.revealed, w.page = 'kdkdkkddkdkkkddkdd--', True, 4")
    w.expect_readout("kappa")
    assert w.photograph("page_rater") < 1080, "a projector does not scroll"
    page.execute("w.reset()")
