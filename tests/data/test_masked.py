"""Masked batches: what is covered, what is asked, and where the stream goes on."""

from __future__ import annotations

import pytest
import torch

import lmlab as lab
from lmlab.data.masked import IGNORED, MASK, masked_windows
from lmlab.tokenizer.bpe import RESERVED_SPECIALS


@pytest.fixture(scope="module")
def corpus() -> lab.Corpus:
    return lab.corpus("town", documents=200, seed=0, families=["code"])


@pytest.fixture(scope="module")
def tok(corpus: lab.Corpus) -> lab.Tokenizer:
    return lab.train_bpe(corpus.text, vocab_size=380, specials=RESERVED_SPECIALS)[0]


def test_the_target_is_what_was_under_the_mask_and_nothing_else(corpus: lab.Corpus, tok: lab.Tokenizer) -> None:
    plain = lab.windows(corpus, tok, T=16, B=8, seed=3)
    masked = masked_windows(corpus, tok, T=16, B=8, seed=3)
    for _ in range(30):
        inputs, (seen, targets) = next(plain).inputs, next(masked)
        covered = targets != IGNORED
        assert torch.equal(targets[covered], inputs[covered])
        assert bool((seen[covered] == tok.specials[MASK]).all())
        assert torch.equal(seen[~covered], inputs[~covered])
        assert bool(covered.any(1).all()), "every row asks something"
        assert not bool((inputs[covered] == tok.bos_id).any()), "the beginning of a text is not guessed"


@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_the_share_covered_is_the_rate(corpus: lab.Corpus, tok: lab.Tokenizer, rate: float) -> None:
    stream = masked_windows(corpus, tok, T=16, B=16, rate=rate, seed=0)
    n = covered = 0
    for _ in range(150):
        inputs, targets = next(stream)
        n += int((inputs != tok.bos_id).sum())
        covered += int((targets != IGNORED).sum())
    assert covered / n == pytest.approx(rate, abs=0.015)


def test_the_stream_goes_on_where_it_was_and_masks_anew_each_time(corpus: lab.Corpus, tok: lab.Tokenizer) -> None:
    stream = masked_windows(corpus, tok, T=16, B=8, seed=1)
    batches = [next(stream) for _ in range(4)]
    again = masked_windows(corpus, tok, T=16, B=8, seed=1)
    next(again), next(again)
    third = masked_windows(corpus, tok, T=16, B=8, seed=1)
    third.load_state(again.state())
    assert torch.equal(next(third).inputs, batches[2].inputs)
    masks = [batch.targets != IGNORED for batch in batches]
    assert not any(torch.equal(masks[0], other) for other in masks[1:])


class Wrapped(torch.nn.Module):
    """A module that is no Transformer, as a wrapper for several devices is not."""

    def __init__(self, inner: lab.Transformer) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, ids: torch.Tensor, **settings: bool) -> torch.Tensor:
        return self.inner(ids, **settings)


def small(tok: lab.Tokenizer) -> lab.Transformer:
    config = lab.TransformerConfig.tiny(vocab_size=tok.vocab_size, d_model=32, n_layers=2, max_seq_len=16)
    return lab.Transformer(config, seed=0)


def test_the_loss_is_the_mean_surprise_at_the_covered_places(corpus: lab.Corpus, tok: lab.Tokenizer) -> None:
    model, batch = small(tok), next(masked_windows(corpus, tok, T=16, B=4, seed=2))
    log_probs = model(batch.inputs, causal=False).log_softmax(-1).detach()
    asked = [(b, t) for b in range(4) for t in range(16) if batch.targets[b, t] != IGNORED]
    surprise = -sum(float(log_probs[b, t, batch.targets[b, t]]) for b, t in asked) / len(asked)
    for module in (model, Wrapped(model)):
        assert float(lab.masked_token(module, batch).detach()) == pytest.approx(surprise, abs=1e-5)


def test_five_and_five_steps_are_ten(corpus: lab.Corpus, tok: lab.Tokenizer) -> None:
    def begin() -> tuple[lab.TrainState, object]:
        state = lab.TrainState.begin(small(tok), steps=10, seed=0)
        return state, masked_windows(corpus, tok, T=16, B=4, seed=2)

    state, stream = begin()
    lab.train(state, stream, lab.masked_token, 10)
    halves, first = begin()
    lab.train(halves, first, lab.masked_token, 5)
    again = masked_windows(corpus, tok, T=16, B=4, seed=2)
    again.load_state(first.state())
    lab.train(halves, again, lab.masked_token, 10)
    for a, b in zip(state.model.parameters(), halves.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_cannot_be_is_refused_in_a_sentence(corpus: lab.Corpus, tok: lab.Tokenizer) -> None:
    bare = lab.train_bpe(corpus.text, vocab_size=300, specials=("<|endoftext|>",))[0]
    with pytest.raises(ValueError, match="tokenizer has no "):
        masked_windows(corpus, bare, T=16, B=8)
    for rate in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="share of tokens to cover"):
            masked_windows(corpus, tok, T=16, B=8, rate=rate)
    with pytest.raises(ValueError, match="too few for one batch"):
        masked_windows(corpus, tok, T=16, B=10_000)
