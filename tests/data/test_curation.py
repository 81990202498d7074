"""The crawl's truth is planted and the funnel is what its filters say one by one, computed again here."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter

import pytest

from lmlab.data.curation import BLOCKED, STAGES, Thresholds, blocked_word, curate, measure_pages, measured_crawl
from lmlab.data.near_duplicates import jaccard, near_copies, shingles, similar_pairs
from lmlab.data.pages import DOCUMENTATION, EXACT_COPY, NEAR_COPY, SHARES, Page, counted, crawl
from lmlab.data.standard_library import PARTS, pages_of, standard_library


@pytest.fixture(scope="module")
def measured():
    return measured_crawl(400, seed=3)


# ---------------------------------------------------------------- the pages


def test_no_page_stands_in_two_parts():
    parts = [set(pages_of(part)) for part in PARTS]
    assert all(len(pages) > 60 for pages in parts)
    names = [{m.name for m in standard_library() if m.part == part} for part in PARTS]
    assert not any(a & b for a, b in itertools.combinations(names, 2))
    with pytest.raises(ValueError, match="choose one of crawl, seed, held out"):
        pages_of("all")


def test_a_crawl_has_the_kinds_that_were_planted(measured):
    found = Counter(page.kind for page in measured.pages)
    planned = counted(400)
    assert sum(planned.values()) == 400
    copies = {EXACT_COPY, NEAR_COPY}
    assert {k: n for k, n in found.items() if k not in copies} == {k: n for k, n in planned.items() if k not in copies}
    assert sum(found[k] for k in copies) == sum(planned[k] for k in copies)
    assert set(found) == set(SHARES)


def test_a_good_page_is_documentation_and_the_first_of_its_copies(measured):
    seen = set()
    for page in measured.pages:
        assert page.good == (page.kind == DOCUMENTATION)
        if page.copy_of >= 0:
            assert page.good == (page.copy_of not in seen)
            seen.add(page.copy_of)
    texts = [page.text for page in measured.pages]
    for i, page in enumerate(measured.pages):
        assert (page.kind == EXACT_COPY) == (page.copy_of >= 0 and page.text in texts[:i])


def test_a_crawl_follows_from_its_seed():
    assert crawl(80, seed=1) == crawl(80, seed=1)
    assert crawl(80, seed=1) != crawl(80, seed=2)
    for wrong in (0, 39, True, 10.0):
        with pytest.raises(ValueError, match="a whole number of pages, 40 or more"):
            crawl(wrong)
    with pytest.raises(ValueError, match="ask for at most"):
        crawl(100_000)


# ---------------------------------------------------------------- near duplicates


def test_the_index_finds_what_comparing_all_pairs_finds(measured):
    """Hashing invents no pair, and misses hardly any."""
    texts = [page.text for page in measured.pages][:220]
    sets = [shingles(text) for text in texts]
    exact = {
        (i, j): len(a & b) / len(a | b)
        for (i, a), (j, b) in itertools.combinations(enumerate(sets), 2)
        if len(a & b) >= 0.5 * len(a | b)
    }
    found = similar_pairs(texts, least=0.5)
    assert len(exact) > 100
    assert set(found) <= set(exact)
    assert all(found[pair] == pytest.approx(exact[pair]) for pair in found)
    assert len(found) >= 0.98 * len(exact)


def test_jaccard_of_random_sets():
    draw = random.Random(5)
    for _ in range(50):
        a, b = ({str(draw.randrange(30)) for _ in range(draw.randint(1, 20))} for _ in range(2))
        both = sum(x in b for x in a)
        assert jaccard(frozenset(a), frozenset(b)) == pytest.approx(both / (len(a) + len(b) - both))
    assert jaccard(frozenset(), frozenset()) == 1
    with pytest.raises(ValueError, match="a similarity lies above 0"):
        similar_pairs(["a", "b"], least=0)


def test_a_chain_of_small_changes_is_not_eaten():
    """2 is like 1 and 1 like 0; 1 is dropped, and so 2 stays: it is like no page that is kept."""
    pairs = {(0, 1): 0.8, (1, 2): 0.8}
    assert near_copies([0, 1, 2], pairs, 0.75) == {1: (0, 0.8)}
    assert near_copies([1, 2], pairs, 0.75) == {2: (1, 0.8)}
    assert near_copies([0, 1, 2], pairs, 0.85) == {}


# ---------------------------------------------------------------- the funnel


def by_hand(measured, limits: Thresholds) -> list[int]:
    """One page after another, each asked everything that needs no other page, then the copies by comparing texts."""
    from lmlab.data.page_rules import PAGE_RULES

    def broken(features):
        for rule in PAGE_RULES:
            bound = limits.words if rule.feature == "words" else rule.bound
            if features[rule.feature] < bound if rule.least else features[rule.feature] > bound:
                return True
        return False

    left: list[int] = []
    kept: list[frozenset[str]] = []
    for i, page in enumerate(measured.pages):
        if limits.blocklist and any(word in page.url.split("/")[2] for word in BLOCKED):
            continue
        if measured.english[i] < limits.english or broken(measured.features[i]):
            continue
        mine = shingles(page.text)
        if any(len(mine & other) / len(mine | other) >= limits.alike for other in kept):
            continue
        kept.append(mine)
        left.append(i)
    return [i for i in left if measured.quality[i] >= limits.quality]


@pytest.mark.parametrize("limits", [Thresholds(), Thresholds(english=0.3, words=120, alike=0.6, quality=0.8)])
def test_the_funnel_keeps_what_the_filters_keep_one_by_one(measured, limits):
    funnel = curate(measured, limits)
    expected = by_hand(measured, limits)
    assert list(funnel.after["quality"]) == expected
    assert funnel.kept == tuple(measured.pages[i] for i in expected)


def test_every_drop_is_in_the_log_once_with_a_value_beyond_its_threshold(measured):
    funnel = curate(measured)
    kept = set(funnel.after["quality"])
    assert sorted(drop.page for drop in funnel.log) == [i for i in range(400) if i not in kept]
    before = set(range(400))
    for stage in STAGES:
        gone = {drop.page for drop in funnel.dropped(stage)}
        assert before - gone == set(funnel.after[stage])
        before -= gone
    for drop in funnel.log:
        if drop.stage in ("language", "quality"):
            assert drop.value < drop.threshold
        elif drop.stage == "rules":
            least = "at least" in drop.rule
            assert (drop.value < drop.threshold) if least else (drop.value > drop.threshold)
        elif drop.stage == "near copies":
            assert drop.value >= drop.threshold
    with pytest.raises(ValueError, match="There is no stage 'taste'"):
        funnel.dropped("taste")


def test_precision_recall_and_the_product_of_the_keeps(measured):
    funnel = curate(measured)
    good = {i for i, page in enumerate(measured.pages) if page.good}
    for stage in STAGES:
        left = set(funnel.after[stage])
        assert funnel.precision(stage) == pytest.approx(len(left & good) / len(left))
        assert funnel.recall(stage) == pytest.approx(len(left & good) / len(good))
    product = 1.0
    for share in funnel.keeps().values():
        product *= share
    assert product == pytest.approx(len(funnel.kept) / 400)


def test_the_funnel_is_worth_its_trouble(measured):
    """It begins at one good page in four; most of what is left is good, and most good pages are left."""
    funnel = curate(measured)
    assert sum(page.good for page in measured.pages) == 100
    assert funnel.precision() > 0.8
    assert funnel.recall() > 0.8
    dropped = {page.kind for page in measured.pages} - {page.kind for page in funnel.kept}
    assert {"navigation", "keyword spam", "another language", "bad address", "line noise", EXACT_COPY} <= dropped


def test_filters_that_let_everything_pass_drop_nothing_but_copies_and_broken_rules(measured):
    funnel = curate(measured, Thresholds(blocklist=False, english=0, words=0, alike=1, quality=0))
    assert {drop.stage for drop in funnel.log} == {"rules", "copies"}


def test_nothing_is_left_without_an_error():
    measured = measure_pages([Page("https://a.example/", "", "line noise"), Page("not a url", "x", "line noise")])
    funnel = curate(measured)
    assert funnel.kept == ()
    assert (funnel.precision(), funnel.recall()) == (0, 0)
    assert math.prod(funnel.keeps().values()) == 0


def test_a_blocked_word_stands_in_the_host_alone():
    assert blocked_word("https://www.casino-royal3.example/x") == "casino"
    assert blocked_word("https://docs.example.org/casino") == ""
    assert blocked_word("https://shotput.example.org/") == ""  # "hot" is inside a word
    assert blocked_word("") == ""


@pytest.mark.parametrize(
    ("given", "says"),
    [({"english": 1.2}, "english is 1.2"), ({"alike": 0.1}, "from 0.4 to 1"), ({"words": -1}, "words is -1"),
     ({"quality": True}, "quality is True")],
)  # fmt: skip
def test_thresholds_out_of_range_are_refused(given, says):
    with pytest.raises(ValueError, match=says):
        Thresholds(**given)
