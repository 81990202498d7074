"""The numbers of lab 02 that no widget computes: what knows nothing, what a paper teaches, how far a trigram sees."""

from __future__ import annotations

import math

import pytest
import torch

import lmlab as lab

PROMPT = "the stock market crashed and investors"


@pytest.fixture(scope="module")
def tok() -> lab.Tokenizer:
    corpus = lab.corpus("town", documents=300, seed=0, families=["news"])
    return lab.train_bpe(corpus.text, vocab_size=512, specials=lab.RESERVED_SPECIALS)[0]


def counted(tok: lab.Tokenizer, n: int, dialect: str = "worried") -> lab.TextModel:
    paper = lab.corpus("town", documents=1_500, seed=0, families=["news"], dialect=dialect)
    return lab.TextModel(lab.NGram.fit(paper.ids(tok), n=n, vocab_size=tok.vocab_size), tok, name=f"{n}-gram")


@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_network_is_as_surprised_as_a_die_with_v_faces(tok: lab.Tokenizer, seed: int) -> None:
    network = lab.Transformer(lab.TransformerConfig.tiny(vocab_size=tok.vocab_size), seed=seed)
    scores = lab.TextModel(network, tok).score("\n".join(lab.Town().sample(5, seed=seed)))
    loss = -sum(token.log_prob for token in scores) / len(scores)
    assert loss == pytest.approx(math.log(tok.vocab_size), rel=0.05)


def test_the_order_of_panicked_and_celebrated_is_that_of_the_paper(tok: lab.Tokenizer) -> None:
    """What comes next reflects what has been read: three to one in one paper, one to three in the other."""
    odds = {}
    for dialect in ("worried", "bargain-hunting"):
        model = counted(tok, 12, dialect)
        panicked, celebrated = (model.log_prob(word, given=PROMPT) for word in (" panicked", " celebrated"))
        odds[dialect] = math.exp(panicked - celebrated)
    assert odds["worried"] > 1.5
    assert odds["bargain-hunting"] < 1 / 1.5


def test_a_trigram_sees_two_tokens() -> None:
    words = lab.WordTokenizer("the stock market crashed rose and investors panicked celebrated".split())
    ids = words.encode("the stock market crashed and investors panicked the stock market rose and investors celebrated")
    trigram = lab.TextModel(lab.NGram.fit(ids, n=3, vocab_size=9), words, name="trigram")
    seen = trigram.next_log_probs(PROMPT)
    assert torch.equal(seen, trigram.next_log_probs("the stock market rose and investors"))
    assert not torch.equal(seen, trigram.next_log_probs("the stock market crashed"))
    assert seen.exp()[words.encode("panicked")[0]] == pytest.approx(0.5)


def test_a_real_models_joint_of_seven_words_is_far_from_two_percent() -> None:
    """GPT-2 with 1.5 billion weights on WikiText-103: perplexity 17.48 (Radford and others 2019, table 3)."""
    assert math.isclose(17.48**7, 500e6, rel_tol=0.01)
