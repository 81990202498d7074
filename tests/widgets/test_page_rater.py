"""PageRater compares ratings as Cohen's kappa does, and shows nobody's before they are asked for."""

from __future__ import annotations

import json
import math

import pytest
import traitlets

import lmlab as lab
from lmlab.data.pages import Page
from lmlab.data.quality import seed_classifier
from lmlab.widgets import PageRater
from lmlab.widgets._view import to_state
from lmlab.widgets.page_rater import kappas


@pytest.fixture(scope="module")
def pages():
    return lab.crawl(60, seed=5)[:10]


@pytest.fixture
def rater(pages) -> PageRater:
    return PageRater(pages)


def press(rater: PageRater, *names: str) -> None:
    rater._clicks = [[rater._heard + i + 1, name] for i, name in enumerate(names)]


def test_keys_rate_and_go_on_to_the_next_page(rater):
    press(rater, "keep", "drop", "keep")
    assert (rater.ratings, rater.page) == ("kdk-------", 4)
    rater.page = 2
    press(rater, "keep")
    assert (rater.ratings, rater.page) == ("kkk-------", 4)
    rater.ratings, rater.page = "kkkkkkkkk-", 10
    press(rater, "drop")
    assert (rater.ratings, rater.page) == ("kkkkkkkkkd", 10)
    assert rater.sentence == "All 10 are rated. Reveal what the classifier says."
    assert repr(rater) == "PageRater: 10 pages, 10 rated"
    rater.reset()
    assert (rater.ratings, rater.page, rater.revealed) == ("-" * 10, 1, False)


def test_nothing_is_sent_before_it_is_revealed(rater, pages):
    rater.ratings = "kd--------"
    sent = json.dumps(to_state(rater.shown))
    assert rater.shown.classifier == rater.shown.truth == rater.shown.kind == rater.shown.score == ""
    assert json.dumps(pages[0].kind) not in sent
    press(rater, "reveal")
    assert rater.revealed
    scores = seed_classifier().scores([page.text for page in pages])
    assert rater.shown.classifier == "".join("k" if score >= 0.5 else "d" for score in scores)
    assert rater.shown.truth == "".join("k" if p.good or p.copy_of >= 0 else "d" for p in pages)
    assert rater.shown.kind == pages[0].kind


def test_kappa_is_that_of_the_rated_pages_alone(rater):
    rater.ratings, rater.revealed = "kdkdkdkd--", True
    view = rater.shown
    rows = list(zip("kdkdkdkd", view.classifier, view.truth, strict=False))
    for (a, b), name in (((0, 1), "you, classifier"), ((0, 2), "you, planted"), ((1, 2), "classifier, planted")):
        n = len(rows)
        agree = sum(row[a] == row[b] for row in rows) / n
        p, q = (sum(row[i] == "k" for row in rows) / n for i in (a, b))
        expected = (agree - p * q - (1 - p) * (1 - q)) / (1 - p * q - (1 - p) * (1 - q))
        assert rater.kappas[name] == pytest.approx(expected)
    assert f"kappa {rater.kappas['you, classifier']:.2f}".replace("-", "−") in rater.sentence
    rater.ratings = "-" * 10
    assert "You have rated none" in rater.sentence
    assert all(math.isnan(x) for x in kappas("--", "kd", "kd").values())


def test_who_keeps_everything_has_no_kappa_against_another_of_that_kind():
    found = kappas("kkkk", "kkkk", "kkdd")
    assert math.isnan(found["you, classifier"])
    assert found["you, planted"] == 0


def test_twenty_pages_are_drawn_ten_of_them_good():
    rater = PageRater(seed=1)
    good = [page for page in rater._pages if page.good]
    assert (len(rater._pages), len(good), len(set(rater._pages))) == (20, 10, 20)
    assert PageRater(seed=1)._pages == rater._pages
    assert PageRater(seed=2)._pages != rater._pages
    assert rater.traits()["page"].metadata["control"].max == 20


def test_a_page_is_shown_as_text_and_what_is_left_out_is_counted():
    page = Page("https://a.example/\u202e", "<b>x</b>\n\tgoose \u202e and " + "y" * 2000, "odd")
    shown = PageRater([page]).shown
    assert shown.text.startswith("<b>x</b>\n    goose ⟨U+202E⟩ and y")
    assert shown.url == "https://a.example/⟨U+202E⟩"
    assert shown.more == len(page.text) - 1_400


def test_what_is_no_page_and_no_rating_is_refused(rater):
    for wrong in ([], ["a text"]):
        with pytest.raises(ValueError, match="PageRater rates pages"):
            PageRater(wrong)
    for ratings in ("kk", "kkkkkkkkkx"):
        with pytest.raises(traitlets.TraitError, match="one letter for each of 10 pages"):
            rater.ratings = ratings
