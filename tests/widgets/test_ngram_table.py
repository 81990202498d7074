"""NGramTable: counts are places in the text, found by the text itself; perplexity by scoring token by token."""

from __future__ import annotations

import math
import re

import pytest

import lmlab as lab
from lmlab.widgets import NGramTable
from lmlab.widgets.ngram_table import STOCK_MARKET


@pytest.fixture(scope="module")
def town_text() -> lab.Corpus:
    return lab.corpus("town", documents=250, seed=2, families=["news"])


@pytest.fixture(scope="module")
def held_out() -> lab.Corpus:
    return lab.corpus("town", documents=12, seed=3, families=["news"])


def test_the_lectures_half() -> None:
    """P(crashed | stock market) = 1/2, with both places in the text."""
    w = NGramTable()
    rows = {row.word: row for row in w.shown.rows}
    assert STOCK_MARKET.count("stock market") == w.shown.total == 2
    assert STOCK_MARKET.count("stock market crashed") == rows["·crashed"].count == 1
    assert rows["·crashed"].probabilities == (pytest.approx(1 / 2),)
    assert w.sentence.startswith("P(crashed | stock market) by counting: 1 of 2 places, 50\u202f%; 3-gram says 50")
    (place,) = rows["·crashed"].places
    assert (place.before, place.context, place.next) == ("the", " stock market", "·crashed")
    assert place.after.startswith(" and investors panicked. the mayor")


def test_counts_are_places_in_the_text(town_text: lab.Corpus) -> None:
    """What a reader would count with a pencil: where words are whole tokens, the string in the documents."""
    w = NGramTable(town_text, prompt="the stock market crashed and investors")
    plain = [f" {re.sub('[^A-Za-z]', ' ', document)} " for document in town_text.documents]
    for n in (2, 3, 4, 5):
        w.n = n
        context = " ".join("the stock market crashed and investors".split()[1 - n :])
        for row in w.shown.rows:
            if row.word.startswith("·"):
                said = f" {context}{row.word.replace('·', ' ')}"
                assert row.count == sum(text.count(f"{said} ") for text in plain), said
                assert len(row.places) == min(5, row.count)
                for place in row.places:
                    assert place.context == f" {context}"
                    assert place.next == row.word


@pytest.mark.parametrize("smoothing", ["none", "add-k", "interpolated", "backoff"])
def test_probabilities_are_the_models_own(town_text: lab.Corpus, tokenizer: lab.Tokenizer, smoothing: str) -> None:
    w = NGramTable(town_text, tokenizer=tokenizer, prompt="the stock market", smoothing=smoothing, n=4, k=0.2)
    fresh = lab.NGram.fit(town_text.ids(tokenizer), n=4, vocab_size=tokenizer.vocab_size, smoothing=smoothing, k=0.2)
    row = fresh.log_probs(lab.TextModel(fresh, tokenizer).ids("the stock market")[None])[0, -1].exp()
    for shown in w.shown.rows:
        (id_,) = tokenizer.encode(shown.word.replace("·", " ").replace("↵", "\n"))
        assert shown.probabilities[0] == pytest.approx(float(row[id_]), abs=1e-6)
    assert sum(level.weight for level in w.shown.levels) == pytest.approx(1)


def test_perplexity_is_the_exponential_of_the_mean_surprise(
    town_text: lab.Corpus, held_out: lab.Corpus, tokenizer: lab.Tokenizer, random_model: lab.TextModel
) -> None:
    w = NGramTable(town_text, random_model, held_out=held_out, tokenizer=tokenizer, smoothing="interpolated")
    ids = held_out.ids(tokenizer)
    for smoothing, curve in w.shown.perplexity.items():
        for n in (1, 3, 6):
            model = lab.NGram.fit(town_text.ids(tokenizer), n=n, vocab_size=tokenizer.vocab_size, smoothing=smoothing)
            rows = model.log_probs(ids[None])[0]
            nats = [-float(rows[t, ids[t + 1]]) for t in range(len(ids) - 1) if int(ids[t + 1]) != tokenizer.bos_id]
            mean = math.fsum(nats) / len(nats)
            assert curve[n - 1] == (pytest.approx(math.exp(mean), rel=1e-4) if mean < math.inf else None)
    scores = [one.log_prob for text in held_out.documents for one in random_model.score(text)]
    assert w.shown.others == (("random", pytest.approx(math.exp(-sum(scores) / len(scores)), rel=1e-4)),)


def test_on_new_text_perplexity_is_a_u() -> None:
    """Down with the first words of context, up again when they were hardly ever read; without smoothing infinite."""
    corpus, new = (lab.corpus("town", documents=n, seed=n) for n in (1500, 60))
    w = NGramTable(corpus, held_out=new, n=2)
    add_k, mixed = w.shown.perplexity["add-k"], w.shown.perplexity["interpolated"]
    assert add_k[0] > add_k[1] < add_k[2] < add_k[3] < add_k[4] < add_k[5]
    assert min(mixed) == min(mixed[2:5]) < 0.3 * mixed[0]
    assert mixed[5] > min(mixed)
    assert w.shown.perplexity["none"][2] is None
    assert w.sentence.endswith("its perplexity is ∞.")
    w.smoothing = "interpolated"
    assert f"n = {mixed.index(min(mixed)) + 1} does best, with {min(mixed):.2f}" in w.sentence
    w.k = 0.01
    assert w.shown.perplexity["add-k"][1] < add_k[1]


def test_what_was_never_read_says_so(town_text: lab.Corpus) -> None:
    w = NGramTable(town_text, prompt="the golfing stock")
    assert "golfing stock” was never read: a count of 0" in w.sentence
    assert w.sentence.endswith("3-gram has nothing to say. ")
    assert w.shown.silent
    w.smoothing = "backoff"
    assert not w.shown.silent


def test_any_models_stand_side_by_side(
    town_text: lab.Corpus, tokenizer: lab.Tokenizer, trigram: lab.TextModel, random_model: lab.TextModel
) -> None:
    """Also one of another vocabulary: each is asked for the same string."""
    other = lab.train_bpe(town_text.text, 300, specials=lab.RESERVED_SPECIALS)[0]
    pieces = lab.TextModel(lab.NGram.fit(town_text.ids(other), n=9, vocab_size=other.vocab_size), other, name="pieces")
    w = NGramTable(town_text, trigram, random_model, pieces, tokenizer=tokenizer, prompt="the stock market")
    assert w.shown.columns == ("3-gram", "trigram", "random", "pieces")
    for row in w.shown.rows:
        word = row.word.replace("·", " ").replace("↵", "\n")
        for model, p in zip((trigram, random_model, pieces), row.probabilities[1:], strict=True):
            assert p == pytest.approx(math.exp(model.log_prob(word, given="the stock market")), abs=1e-5)


def test_write_again_draws_anew_and_reset_goes_back(town_text: lab.Corpus, tokenizer: lab.Tokenizer) -> None:
    w = NGramTable(town_text, tokenizer=tokenizer, smoothing="interpolated")
    first = w.shown.sample
    w.clicked("again")
    assert w.shown.sample != first
    w.reset()
    assert w.shown.sample == first


def test_what_it_takes(town_text: lab.Corpus, random_model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="up to three text models"):
        NGramTable(town_text, random_model.model)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a int"):
        NGramTable(3)  # type: ignore[arg-type]
