"""What the filters measure on a page: its language, its numbers, its quality; and how well two raters agree."""

from __future__ import annotations

import math
import random

import pytest
import torch

from lmlab.assets import asset
from lmlab.data.agreement import cohen_kappa
from lmlab.data.mixture import BASELINE_TOKENS, DCLM_AS_OLMOE, KEPT_DOCUMENTS, OLMO_2, POOL_TOKENS, shares, total
from lmlab.data.page_language import english_share, language_shares
from lmlab.data.page_rules import PAGE_RULES, first_broken, page_features
from lmlab.data.pages import crawl
from lmlab.data.quality import BUCKETS, QualityClassifier, hashed, seed_classifier
from lmlab.data.standard_library import pages_of

# ---------------------------------------------------------------- language


@pytest.mark.parametrize("language", ["english", "german", "spanish", "arabic", "hindi", "chinese"])
def test_each_paragraph_of_a_language_is_known(language):
    text = asset(f"texts/{language}.txt").read_text(encoding="utf-8")
    for paragraph in filter(None, text.split("\n")):
        found = language_shares(paragraph)
        assert max(found, key=found.__getitem__).lower() == language, paragraph[:60]
        assert sum(found.values()) == pytest.approx(1)
        assert (english_share(paragraph) >= 0.65) == (language == "english")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Le boulanger est dans la rue avec une oie qui ne veut pas de pain.", "French"),
        ("Il fornaio è nella strada con una oca che non vuole il pane.", "Italian"),
        ("O padeiro está na rua com um ganso que não quer mais pão.", "Portuguese"),
        ("De bakker is op straat met een gans die niet van brood houdt.", "Dutch"),
        ("Пекарь стоит на улице с гусем, который не хочет хлеба.", "Russian"),
    ],
)
def test_other_languages_by_a_sentence(text, language):
    found = language_shares(text)
    assert max(found, key=found.__getitem__) == language


def test_what_has_no_language_has_no_share():
    assert language_shares("") == {}
    assert english_share("0.314 2.718 1.414\n" * 20) == 0
    share = sum(english_share(page) >= 0.65 for page in pages_of("held out")) / len(pages_of("held out"))
    assert share > 0.97


# ---------------------------------------------------------------- rules


def test_features_counted_by_hand():
    found = page_features("Home\nHome\n• The goose #1 sold bread...\nIt was good. It was good.")
    assert found["words"] == 14
    assert found["repeated lines"] == pytest.approx(1 / 4)
    assert found["lines with a bullet"] == pytest.approx(1 / 4)
    assert found["lines with an ellipsis"] == pytest.approx(1 / 4)
    assert found["lines with an end"] == pytest.approx(2 / 4)
    assert found["symbols a word"] == pytest.approx(2 / 14)
    assert found["words with a letter"] == pytest.approx(12 / 14)
    assert found["stop words"] == 1
    assert found["sentences"] == 3
    characters = sum(map(len, "HomeHome•Thegoose#1soldbread...Itwasgood.Itwasgood."))
    assert found["letters in a word"] == pytest.approx(characters / 14)
    assert found["commonest pair"] in (pytest.approx(2 * 8 / characters), pytest.approx(2 * 5 / characters))
    assert set(page_features("").values()) == {0.0}
    assert first_broken(page_features("")) is not None


@pytest.mark.parametrize("rule", PAGE_RULES, ids=lambda rule: f"{rule.feature}, {'least' if rule.least else 'most'}")
def test_each_rule_drops_on_its_side_alone(rule):
    fine = {r.feature: (r.bound + 1e-6 if r.least else 0.0) for r in PAGE_RULES} | {"letters in a word": 5.0}
    assert first_broken(fine) is None
    beyond = rule.bound - 0.01 if rule.least else rule.bound + 0.01
    found = first_broken({**fine, rule.feature: beyond})
    assert found is not None
    assert found[0] is rule
    assert first_broken({**fine, rule.feature: rule.bound}) is None, "the bound itself passes"


def test_the_least_number_of_words_is_a_threshold():
    features = page_features("The mayor sat with the judge. And they ate of that bread. It was to be good. " * 2)
    assert first_broken(features, least_words=30) is None
    broken = first_broken(features, least_words=60)
    assert broken is not None
    assert (broken[0].feature, broken[1]) == ("words", 60)


# ---------------------------------------------------------------- quality


def test_hashed_rows_have_unit_length_and_the_scores_are_those_of_a_logistic_regression():
    draw = random.Random(2)
    texts = [" ".join(draw.choices("goose bread fox lamp moss the of".split(), k=30)) for _ in range(6)]
    rows = hashed(texts)
    ends = [*rows.starts.tolist()[1:], len(rows.buckets)]
    dense = torch.zeros(6, BUCKETS, dtype=torch.float64)
    for i, (start, end) in enumerate(zip(rows.starts.tolist(), ends, strict=True)):
        dense[i, rows.buckets[start:end]] = rows.values[start:end].double()
    assert torch.allclose(dense.norm(dim=1), torch.ones(6, dtype=torch.float64), atol=1e-6)
    weights = torch.randn(BUCKETS, generator=torch.Generator().manual_seed(1))
    found = QualityClassifier(weights, 0.3).scores(texts)
    expected = torch.sigmoid(dense @ weights.double() + 0.3)
    assert torch.allclose(torch.tensor(found, dtype=torch.float64), expected, atol=1e-5)


def test_fitting_reaches_the_lowest_loss():
    """The objective is convex: at its bottom the gradient, taken here by hand, is zero."""
    pages = crawl(80, seed=5, part="seed")
    texts, labels = [p.text for p in pages], [p.kind == "documentation" for p in pages]
    fitted = QualityClassifier.fit(texts, labels, decay=1e-3)
    rows = hashed(texts)
    error = torch.tensor(fitted.scores(texts)) - torch.tensor(labels).float()
    owner = torch.repeat_interleave(torch.arange(80), torch.diff(rows.starts, append=torch.tensor([len(rows.buckets)])))
    gradient = torch.zeros(BUCKETS).index_add(0, rows.buckets, rows.values * error[owner]) / 80
    gradient += 2e-3 * fitted.weights
    assert float(gradient.norm()) < 2e-3
    assert abs(float(error.mean())) < 2e-3


def test_the_classifier_knows_pages_that_it_was_not_trained_on():
    pages = crawl(400, seed=11, part="held out")
    scores = seed_classifier().scores([page.text for page in pages])
    worth = [page.good or page.copy_of >= 0 for page in pages]
    right = sum((score >= 0.5) == good for score, good in zip(scores, worth, strict=True)) / len(pages)
    assert right > 0.9
    good, bad = ([s for s, w in zip(scores, worth, strict=True) if w is which] for which in (True, False))
    above = sum(a > b for a in good for b in bad) / (len(good) * len(bad))  # the area under its ROC curve
    assert above > 0.97


def test_ratings_that_teach_nothing_are_refused():
    with pytest.raises(ValueError, match="2 pages and 2 ratings, 2 of them good"):
        QualityClassifier.fit(["a", "b"], [True, True])
    with pytest.raises(ValueError, match="1 pages and 2 ratings"):
        QualityClassifier.fit(["a"], [True, False])
    assert seed_classifier().scores([]) == []
    assert 0 <= seed_classifier().scores([""])[0] <= 1


# ---------------------------------------------------------------- agreement


def test_kappa_against_tables_with_a_known_answer():
    """Two textbook tables of 50 and 100 ratings: (20, 5, 10, 15) gives 0.4, (45, 15, 25, 15) gives 0.1304."""
    for (both, mine_alone, other_alone, neither), kappa in (
        ((20, 5, 10, 15), 0.4),
        ((45, 15, 25, 15), 0.1304),
        ((25, 35, 5, 35), 0.2593),
    ):
        mine = [True] * (both + mine_alone) + [False] * (other_alone + neither)
        other = [True] * both + [False] * mine_alone + [True] * other_alone + [False] * neither
        assert cohen_kappa(mine, other) == pytest.approx(kappa, abs=5e-5)


def test_kappa_at_its_ends():
    draw = random.Random(4)
    mine = [True, False, *(draw.random() < 0.3 for _ in range(30))]
    assert cohen_kappa(mine, mine) == pytest.approx(1)
    luck = [draw.random() < 0.3 for _ in range(20_000)]
    assert abs(cohen_kappa(luck, [draw.random() < 0.6 for _ in luck])) < 0.03
    assert math.isnan(cohen_kappa([True, True], [True, True]))
    for a, b in (([], []), ([True], [True, False])):
        with pytest.raises(ValueError, match="the same pages, at least one"):
            cohen_kappa(a, b)


# ---------------------------------------------------------------- a real mixture


def test_the_sums_are_those_of_the_published_table():
    """OLMo 2's own last row: 3.90T tokens, 3.48T words, 22.38T bytes, 3.08B documents."""
    whole = total()
    assert whole.tokens == pytest.approx(3.90e12, rel=2e-3)
    assert whole.words == pytest.approx(3.48e12, rel=2e-3)
    assert whole.n_bytes == pytest.approx(22.38e12, rel=2e-3)
    assert whole.documents == pytest.approx(3.08e9, rel=2e-3)
    assert sum(shares().values()) == pytest.approx(1)
    assert shares()["DCLM-baseline"] == pytest.approx(0.951, abs=5e-4)
    with pytest.raises(ValueError, match="at least one source"):
        total(())


def test_two_tables_disagree_about_the_same_pages():
    """0.876 words and 4.33 bytes a token by one, 0.895 and 5.75 by the other."""
    web = OLMO_2[0]
    assert DCLM_AS_OLMOE.documents == web.documents
    assert DCLM_AS_OLMOE.words_per_token == pytest.approx(0.876, abs=5e-4)
    assert DCLM_AS_OLMOE.bytes_per_token == pytest.approx(4.33, abs=5e-3)
    assert web.words_per_token == pytest.approx(0.895, abs=5e-4)
    assert web.bytes_per_token == pytest.approx(5.75, abs=5e-3)
    assert (web.bytes_per_word, DCLM_AS_OLMOE.bytes_per_word) == pytest.approx((6.42, 4.94), abs=5e-3)
    assert web.tokens_per_document == pytest.approx(1_258, abs=1)


def test_one_and_a_half_percent_by_documents_is_another_by_tokens():
    by_documents = POOL_TOKENS * KEPT_DOCUMENTS
    assert by_documents == pytest.approx(3.36e12)
    by_tokens = BASELINE_TOKENS / POOL_TOKENS
    assert by_tokens == pytest.approx(0.0158, abs=5e-5)
