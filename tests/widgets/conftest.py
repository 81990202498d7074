"""Small models for widgets: random weights, real tokenizers, no town model."""

from __future__ import annotations

import pytest
import torch

import lmlab as lab

TEXT = (
    "the stock market crashed and investors panicked. the stock market rose and investors celebrated. "
    "the mayor went golfing and the baker sold the goose. who crashed the stock market? the goose. "
)


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A widget's error is raised in the test that caused it."""
    monkeypatch.setenv("LMLAB_STRICT", "1")


@pytest.fixture(scope="session")
def tokenizer() -> lab.Tokenizer:
    from lmlab.tokenizer.bpe import RESERVED_SPECIALS

    return lab.train_bpe(TEXT * 3, vocab_size=256 + 60 + 8, specials=RESERVED_SPECIALS)[0]


@pytest.fixture(scope="session")
def random_model(tokenizer: lab.Tokenizer) -> lab.TextModel:
    config = lab.TransformerConfig.tiny(vocab_size=tokenizer.vocab_size)
    return lab.TextModel(lab.Transformer(config, seed=3), tokenizer, name="random")


@pytest.fixture(scope="session")
def trigram(tokenizer: lab.Tokenizer) -> lab.TextModel:
    ids = torch.tensor([tokenizer.bos_id, *tokenizer.encode(TEXT)])
    return lab.TextModel(lab.NGram.fit(ids, n=3, vocab_size=tokenizer.vocab_size), tokenizer, name="trigram")
