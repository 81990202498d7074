"""The lecture's dictionary of ten words."""

from __future__ import annotations

import pytest

import lmlab as lab
from lmlab.tokenizer.words import WordTokenizer

TEN = ["the", "stock", "market", "crashed", "and", "investors", "panicked", "celebrated", "lost", "money"]


def test_a_sentence_of_known_words_round_trips():
    tokenizer = WordTokenizer(TEN)
    sentence = "the stock market crashed and investors lost money"
    ids = tokenizer.encode(sentence)
    assert ids == [TEN.index(word) for word in sentence.split()]
    assert tokenizer.decode(ids) == sentence
    assert tokenizer.vocab_size == len(tokenizer) == 10
    assert [sentence[a:b] for a, b in tokenizer.offsets(sentence)] == sentence.split()
    assert tokenizer.encode("") == []


def test_a_text_of_words_can_be_written_on():
    tokenizer = WordTokenizer(TEN)
    network = lab.Transformer(lab.TransformerConfig.tiny(vocab_size=10, d_model=16, n_layers=1), seed=0)
    written = lab.TextModel(network, tokenizer).generate("the stock", 6, seed=1)
    assert written.text == "".join(f" {TEN[step.id]}" for step in written.steps)
    assert tokenizer.encode("the stock" + written.text)[2:] == [step.id for step in written.steps]


def test_a_word_outside_the_list_cannot_be_said():
    with pytest.raises(ValueError, match="'bank' is not among the 10 words: the, stock"):
        WordTokenizer(TEN).encode("the bank crashed")


@pytest.mark.parametrize("bad", [-1, 10, 1.0, True, None])
def test_what_is_no_id_is_named(bad):
    with pytest.raises(ValueError, match=str(bad)):
        WordTokenizer(TEN).decode([bad])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no words"),
        (["a", "a"], "'a' is in the list twice"),
        (["a b"], "'a b'"),
        ([""], "''"),
        ("abc", "from_text"),
    ],
)
def test_a_list_that_is_no_vocabulary_is_refused(words, says):
    with pytest.raises(ValueError, match=says):
        WordTokenizer(words)


def test_the_words_of_a_text_in_the_order_of_appearance():
    tokenizer = WordTokenizer.from_text("b a b c a b", max_words=2)
    assert tokenizer.words == ("b", "a")
    assert WordTokenizer.from_text("b a c a").words == ("b", "a", "c")
    assert WordTokenizer.from_text("b a").decode([1, 0]) == "a b"
