"""CurationFunnel shows what the filters keep, counted here from the pages; its losses are the stored ones."""

from __future__ import annotations

import itertools

import pytest
import traitlets

import lmlab as lab
from lmlab.data.curation import STAGES, Drop
from lmlab.training.curation_study import ARMS
from lmlab.widgets import CurationFunnel
from lmlab.widgets._curation_words import ROWS, why
from lmlab.widgets._style import percent


@pytest.fixture(scope="module")
def pages():
    return lab.crawl(200, seed=4)


@pytest.fixture
def own(pages) -> CurationFunnel:
    return CurationFunnel(pages)


def test_columns_are_counts_of_the_pages_left(own, pages):
    own.quality = 0.7
    funnel = own.funnel
    columns = own.shown.columns
    assert [c.good + c.bad for c in columns] == [200, *(len(funnel.after[stage]) for stage in STAGES)]
    assert [c.good for c in columns[1:]] == [sum(pages[i].good for i in funnel.after[stage]) for stage in STAGES]
    for before, after in itertools.pairwise(columns):
        assert (after.lost_good, after.lost_bad) == (before.good - after.good, before.bad - after.bad)
    assert all(c.bits is None for c in columns), "for one's own pages no run is stored"
    left = columns[-1]
    assert own.sentence.startswith(f"{left.good + left.bad} of 200 pages are left: ")
    assert f"Of these {percent(left.good / (left.good + left.bad))} are good" in own.sentence


def test_a_stricter_filter_keeps_fewer(own):
    kept = []
    for quality in (0.0, 0.5, 0.95, 1.0):
        own.quality = quality
        kept.append(len(own.funnel.kept))
    assert kept[0] > kept[1] > kept[2] >= kept[3]
    own.quality = 1.0
    assert "Nothing is left of 200 pages" in own.sentence
    own.reset()
    assert own.quality == 0.5


def test_the_audit_shows_mistakes_first(own):
    for stage in STAGES:
        own.stage = stage
        dropped = own.funnel.dropped(stage)
        assert own.shown.n_dropped == len(dropped)
        lines = own.shown.audit
        assert len(lines) == min(ROWS, len(dropped))
        mistakes = sum(own.funnel.pages[d.page].good for d in dropped)
        goods = [line.good for line in lines]
        assert goods == sorted(goods, reverse=True)
        assert (sum(goods) > 0) == (mistakes > 0)
        kinds = {own.funnel.pages[d.page].kind for d in dropped}
        assert {line.kind for line in lines} <= kinds


def test_a_line_says_rule_value_and_threshold():
    assert why(Drop(3, "language", "share of English", 0.214, 0.65)) == "share of English: 0.21, least 0.65"
    assert why(Drop(3, "rules", "words, at least (Gopher)", 31.0, 50.0)) == (
        "words, at least (Gopher): 31, threshold 50"
    )
    assert why(Drop(3, "url", "word in the address", "poker", "on the blocklist")) == (
        "word in the address: poker, on the blocklist"
    )


def test_the_stored_losses_stand_under_the_cuts_at_the_default_thresholds_alone():
    w = CurationFunnel()
    stored = lab.stored_curation()
    assert list(stored) == list(ARMS)
    assert [c.bits for c in w.shown.columns] == [stored[arm].mean for arm in ARMS[:-1]]
    assert w.shown.oracle == stored["oracle"].mean
    assert f"Trained on all: {stored['uncurated'].mean:.2f} bits a byte" in w.sentence
    w.english = 0.3
    assert w.shown.stale
    assert "bits a byte" not in w.sentence
    assert repr(w) == "CurationFunnel: 1,200 pages, 300 of them good, through six filters"


def test_what_is_no_page_and_no_threshold_is_refused():
    for wrong in ([], ["a text"]):
        with pytest.raises(ValueError, match=r"takes pages, such as lab.crawl\(seed=1\)"):
            CurationFunnel(wrong)
    with pytest.raises(traitlets.TraitError):
        CurationFunnel(lab.crawl(40, seed=1), english=1.5)
