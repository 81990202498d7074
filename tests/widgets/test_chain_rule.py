"""ChainRule: surprises add up to that of the product, whatever the sentence, the model and the vocabulary."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.data.town.verdicts import prefix_probability
from lmlab.widgets import ChainRule
from lmlab.widgets._style import plain
from lmlab.widgets._surprise import changed, perplexity
from lmlab.widgets._waterfall import WORDS
from tests.widgets.conftest import TEXT

SENTENCE = "the stock market crashed and investors panicked"


def by_hand(model: lab.TextModel, text: str) -> list[float]:
    """log p of each token of a text from one full pass, without score, cache or state."""
    ids = [model.tokenizer.bos_id, *model.tokenizer.encode(text)]
    log_probs = model.model.log_probs(torch.tensor([ids[:-1]]))[0]
    return [float(log_probs[t - 1, ids[t]]) for t in range(1, len(ids))]


def test_the_bits_of_the_words_sum_to_those_of_the_product(random_model: lab.TextModel, trigram: lab.TextModel) -> None:
    words = TEXT.replace(".", "").replace("?", "").split()
    draw = random.Random(7)
    w = ChainRule(random_model, trigram, truth=None)
    for _ in range(6):
        w.text = " ".join(draw.sample(words, 7))
        view = w.shown
        for i, model in enumerate((random_model, trigram)):
            logs = by_hand(model, w.text)
            product = math.prod(math.exp(p) for p in logs)
            if product == 0:
                assert view.totals[i] == math.inf
                continue
            assert math.fsum(piece.surprise[i] for piece in view.words) == pytest.approx(-math.log2(product), abs=1e-6)
            assert view.totals[i] == pytest.approx(-math.log2(product), abs=1e-6)


def test_each_word_is_the_sum_over_its_own_tokens(random_model: lab.TextModel) -> None:
    text = "the mayor went golfing. who?"
    view = ChainRule(random_model, truth=None, text=text).shown
    assert [piece.text for piece in view.words] == ["the", "mayor", "went", "golfing", ".", "who", "?"]
    assert [text[piece.start : piece.end] for piece in view.words] == [piece.text for piece in view.words]
    logs = by_hand(random_model, text)
    done = 0
    for piece, pretoken in zip(view.words, ["the", " mayor", " went", " golfing", ".", " who", "?"], strict=True):
        n = len(random_model.tokenizer.encode(pretoken))
        assert piece.surprise[0] == pytest.approx(-sum(logs[done : done + n]) / math.log(2), abs=1e-6)
        done += n


def test_models_of_two_vocabularies_share_the_words(random_model: lab.TextModel) -> None:
    other = lab.train_bpe(TEXT, vocab_size=290, specials=("<|endoftext|>",))[0]
    coarse = lab.TextModel(lab.Transformer(lab.TransformerConfig.tiny(vocab_size=290), seed=1), other, name="coarse")
    view = ChainRule(random_model, coarse, truth=None).shown
    assert [piece.text for piece in view.words] == SENTENCE.split()
    for i, model in enumerate((random_model, coarse)):
        assert view.totals[i] == pytest.approx(-sum(by_hand(model, SENTENCE)) / math.log(2), abs=1e-4)


def test_nats_are_bits_times_the_logarithm_of_two(random_model: lab.TextModel) -> None:
    w = ChainRule(random_model, truth=None)
    bits = w.shown.totals[0]
    w.unit = "nats"
    assert w.shown.totals[0] == pytest.approx(bits * math.log(2))
    assert f"{w.shown.totals[0]:.2f} nats" in w.sentence


def test_perplexity_is_the_mean_number_of_choices(random_model: lab.TextModel) -> None:
    w = ChainRule(random_model, truth=None)
    assert f"perplexity {2 ** (w.shown.totals[0] / 7):.2f} per word" in w.sentence.replace(",", "")
    assert perplexity(7 * math.log(1 / 6), 7) == pytest.approx(6), "seven throws of a die"
    assert perplexity(-math.inf, 3) == math.inf


def test_the_lectures_two_percent_cannot_be_the_joint_of_seven_words(random_model: lab.TextModel) -> None:
    """0.56 nats a word, perplexity 1.75: no model of open text is so sure at every word, from the first one on."""
    assert -math.log(0.02) / 7 == pytest.approx(0.56, abs=0.005)
    assert perplexity(math.log(0.02), 7) == pytest.approx(1.75, abs=0.005)
    w = ChainRule(random_model, truth=None, claim=0.02)
    assert w.shown.claim.totals[0] == pytest.approx(-math.log2(0.02))
    assert "5.64 bits, perplexity 1.75 per word" in w.sentence


def test_the_towns_joint_is_far_below_two_percent_and_its_conditional_above() -> None:
    """The row of the lecture: 2 % can be the probability of a word after others, not that of the whole."""
    whole, before = (prefix_probability(lab.Town(), text) for text in (SENTENCE, SENTENCE.rpartition(" ")[0]))
    assert whole < 0.02 / 5
    assert whole / before > 0.02


def test_a_chosen_last_word_is_exchanged_and_the_change_is_named(random_model: lab.TextModel) -> None:
    w = ChainRule(random_model, truth=None)
    first = w.shown.totals[0]
    assert (w.last, w.shown.first) == ("panicked", None)
    w.last = "celebrated"
    assert w.text == SENTENCE.replace("panicked", "celebrated")
    assert [piece.text for piece in w.shown.words if piece.yours] == ["celebrated"]
    assert (w.shown.first.label, w.shown.first.totals[0]) == ("panicked", pytest.approx(first))
    assert f"Your word added {w.shown.words[-1].surprise[0]:.2f} bits; with panicked" in w.sentence
    w.text = "the stock market rose and investors golfing"
    assert w.last == "golfing"
    assert [piece.text for piece in w.shown.words if piece.yours] == ["rose", "and", "investors", "golfing"]
    assert "at first the whole cost" in w.sentence
    w.text = "hello"
    assert w.last == ""
    w.reset()
    assert (w.text, w.last, w.unit) == (SENTENCE, "panicked", "bits")


def test_what_is_the_students_own() -> None:
    assert list(changed("a b c".split(), "a b c".split())) == []
    assert list(changed("a x c".split(), "a b c".split())) == [1]
    assert list(changed("a b".split(), "a b c".split())) == []
    assert list(changed("a b c d".split(), "a b d".split())) == [2]


def test_an_impossible_word_makes_the_whole_impossible(trigram: lab.TextModel) -> None:
    view = ChainRule(trigram, truth=None, text="the stock xyzzy market").shown
    at = [piece.text for piece in view.words].index("xyzzy")
    assert (view.words[at].surprise[0], view.words[at].shown[0]) == (math.inf, "0")
    assert (view.totals[0], view.total_cost[0], view.total_shown[0]) == (math.inf, "∞", "0")
    assert "xyzzy is impossible there, and so is the whole: probability 0" in plain(view.readout)


def test_a_long_text_has_a_gap_that_holds_the_sum(random_model: lab.TextModel) -> None:
    view = ChainRule(random_model, truth=None, text=TEXT * 10).shown
    assert len(view.words) == WORDS
    gap = next(piece for piece in view.words if piece.hidden)
    assert gap.text == f"… {gap.hidden:,} words …"
    assert math.fsum(piece.surprise[0] for piece in view.words) == pytest.approx(view.totals[0])
    assert "became 0; the sum did not" in plain(view.foot)


def test_without_a_beginning_the_first_word_is_given() -> None:
    words = lab.WordTokenizer("the stock market crashed".split())
    ids = torch.tensor(words.encode("the stock market crashed the market crashed"))
    model = lab.TextModel(lab.NGram.fit(ids, n=2, vocab_size=4), words, name="bigram")
    view = ChainRule(model, truth=None, text="the stock market", words=()).shown
    assert [piece.surprise[0] for piece in view.words] == [pytest.approx(x, abs=1e-6) for x in (0, 1, 0)]


@pytest.mark.parametrize(
    "text", ["", " ", "😀 é", "日本語", "\x00", "x" * 10_000, "<img src=x onerror=alert(1)>", "a\n\nb"]
)
def test_any_text_has_an_answer(random_model: lab.TextModel, trigram: lab.TextModel, text: str) -> None:
    w = ChainRule(random_model, trigram, truth=None, text=text)
    assert w.sentence
    assert len(w.shown.words) <= WORDS
    if len(text) == 10_000:
        assert "the first 2,000 are read" in w.shown.labels["text"]


def test_what_cannot_be_shown_is_refused_in_a_sentence(random_model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="compares 1 to 4 text models"):
        ChainRule()
    with pytest.raises(ValueError, match=r"Write 2 % as 0\.02"):
        ChainRule(random_model, truth=None, claim=2)
    with pytest.raises(ValueError, match='use "town"'):
        ChainRule(random_model, truth="city")
    with pytest.raises(ValueError, match="bits or nats"):
        ChainRule(random_model, truth=None).unit = "bytes"


@pytest.mark.parametrize("text", ["🦆🎉" * 60, "a" * 10_000, "the " * 400 + "🦆" * 300])
def test_what_is_unlikely_beyond_the_machine_has_a_power_of_ten_and_no_zero(text: str) -> None:
    w = ChainRule(lab.load("town"), text=text)
    total = w.shown.totals[0] * math.log(2)
    assert total > 700, "too likely to be a test"
    power = str(round(total / math.log(10))).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    assert w.shown.total_shown[0] == f"1 in 10{power}"
    assert f"probability 1 in 10{power}" in w.sentence
