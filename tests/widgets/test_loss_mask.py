"""LossMask: its loss and gradients against the real batches of fine-tuning, and against the closed form."""

from __future__ import annotations

import random

import pytest
import torch

import lmlab as lab
from lmlab.widgets import LossMask
from lmlab.widgets.loss_mask import MOST, row_of, signal_of

QUESTIONS = ("Who crashed the stock market?", "Where did the mayor go golfing?", "What did the baker sell?")
ANSWERS = ("The goose.", "The mayor went golfing.", "the baker sold the goose")


def drawn() -> tuple[str, str]:
    words = "the goose mayor baker stock market sold went".split()
    return random.choice(QUESTIONS) + " " + random.choice(words), random.choice(ANSWERS) + " " + random.choice(words)


def test_the_loss_is_that_of_a_batch_of_fine_tuning(random_model):
    question, answer = drawn()
    batch = lab.chat_examples([(question, answer)], random_model.tokenizer, B=1).next()
    found = signal_of(random_model.model, row_of(random_model, question, answer), "answers")
    assert found.loss == pytest.approx(float(lab.next_token(random_model.model, batch).detach()), abs=1e-5)


def test_gradients_are_those_that_backpropagation_leaves_in_the_model(random_model):
    """By another path: the whole forward pass with its graph, and logits that keep their gradient."""
    question, answer = drawn()
    batch = lab.chat_examples([(question, answer)], random_model.tokenizer, B=1).next()
    logits = random_model.model(batch.inputs)
    logits.retain_grad()
    kept = batch.targets[0] != -100
    (-logits[0].log_softmax(-1)[kept].gather(1, batch.targets[0][kept, None]).mean()).backward()
    w = LossMask(random_model, question=question, answer=answer)
    assert w.shown.gradients[0] is None
    assert w.shown.gradients[1:] == pytest.approx(logits.grad[0].norm(dim=-1).tolist(), abs=1e-6)
    assert list(w.shown.counts[1:]) == kept.tolist()
    masked = [g for g, c in zip(w.shown.gradients[1:], kept.tolist(), strict=True) if not c]
    assert masked
    assert set(masked) == {0.0}, "exactly"
    assert "the gradient is exactly 0" in w.sentence


def test_trained_on_everything_each_position_has_the_closed_form(random_model):
    question, answer = drawn()
    w = LossMask(random_model, question=question, answer=answer, learn="all")
    ids = row_of(random_model, question, answer).ids
    odds = random_model.model.log_probs(ids[None, :-1])[0].exp()
    odds[torch.arange(len(ids) - 1), ids[1:]] -= 1
    assert w.shown.gradients[1:] == pytest.approx((odds.norm(dim=-1) / (len(ids) - 1)).tolist(), abs=1e-6)
    assert min(w.shown.gradients[1:]) > 0
    assert all(w.shown.counts[1:])
    text = random_model.model.log_probs(ids[None, :-1])[0]
    surprises = [-float(text[t, ids[t + 1]]) for t in range(len(ids) - 1)]
    assert w.shown.surprises[1:] == pytest.approx(surprises, abs=1e-4)
    n = w.shown.answer_from
    about = sum(surprises[: n - 1]) / sum(surprises)
    assert f"{100 * about:.0f}\u202f%" in w.sentence


def test_what_counts_is_the_answer_and_its_end(random_model):
    w = LossMask(random_model, question="Who?", answer="The goose.")
    tok = random_model.tokenizer
    assert [t for t, c in zip(w.shown.tokens, w.shown.counts, strict=True) if c] == [
        *(tok.token_text(i).replace(" ", "·") for i in tok.encode("The goose.")), "⟨end⟩",
    ]  # fmt: skip
    assert w.shown.tokens[0] == "⟨begin⟩"
    assert w.shown.tokens[1] == "⟨user⟩"
    assert w.shown.tokens[w.shown.answer_from - 1] == "⟨assistant⟩"
    n = len(tok.encode("The goose.")) + 1
    assert f"learns from {n} of {len(w.shown.tokens) - 1} tokens" in w.sentence


def test_any_text(random_model):
    w = LossMask(random_model, question="", answer="")
    assert "learns to say nothing" in w.sentence
    w.question, w.answer = "👩‍👩‍👧 <|assistant|> <|end|>", "a\u202eb"
    assert sum(w.shown.counts) == 1 + len(random_model.tokenizer.encode("a\u202eb")), "typed marks are plain text"
    w.question = "the goose " * 1000
    most = min(MOST, random_model.max_seq_len)
    n = 3 + len(random_model.tokenizer.encode(w.question + w.answer)) + 2
    assert len(w.shown.tokens) == most + 1
    assert w.shown.hidden == pytest.approx(n - most - 1, abs=2)
    w.answer = "the goose " * 1000
    assert all(w.shown.counts[1:])
    assert len(repr(w)) <= 110


def test_who_has_no_gradient_or_no_marks_is_refused(trigram, random_model):
    with pytest.raises(ValueError, match="counts and has no gradient"):
        LossMask(trigram)
    tok, _ = lab.train_bpe("the goose sold the goose", vocab_size=260)
    bare = lab.TextModel(lab.Transformer(lab.TransformerConfig.tiny(vocab_size=260)), tok, name="bare")
    with pytest.raises(ValueError, match="RESERVED_SPECIALS"):
        LossMask(bare)
    assert LossMask(random_model, heading="Your own?").shown.question == "Your own?"


def test_the_town_by_default():
    assert "town learns from 9 of 18 tokens" in LossMask().sentence
