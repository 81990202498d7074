"""Policies small enough to list all that they can say, and short texts to talk about."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.tokenizer import Tokenizer

STOP = 0  # the token that ends an answer of these policies


class OneDistribution(nn.Module):
    """A policy that says every token with the same odds, whatever stood before: V logits are all it has."""

    def __init__(self, log_probs: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(log_probs.clone().float())
        self.vocab_size = len(log_probs)

    def forward(self, ids: Tensor) -> Tensor:
        return self.logits.expand(*ids.shape, -1)

    @torch.no_grad()
    def next_log_probs(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return self.logits.log_softmax(-1).expand(len(ids), -1), state


def tiny_policy(seed: int, vocab_size: int = 4) -> Transformer:
    """A transformer of a few words, and opinions about them."""
    config = TransformerConfig(vocab_size=vocab_size, max_seq_len=16, d_model=8, n_layers=1, n_heads=2, d_ff=8)
    policy = Transformer(config, seed=seed)
    with torch.no_grad():
        policy.norm.get_parameter("weight").fill_(6.0)
    return policy


def all_answers(V: int, n_tokens: int) -> list[list[int]]:
    """Everything that can be said in at most so many tokens: it ends with STOP, or is cut."""
    said = []
    for n in range(1, n_tokens + 1):
        for answer in itertools.product(range(V), repeat=n):
            if STOP not in answer[:-1] and (answer[-1] == STOP or n == n_tokens):
                said.append(list(answer))
    return said


def as_batch(prompt: list[int], answers: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Inputs and targets, both (B, T): each answer after the prompt, -100 where it is not the answer's turn."""
    width = len(prompt) - 1 + max(map(len, answers))
    inputs, targets = torch.zeros(len(answers), width, dtype=torch.int64), torch.full((len(answers), width), -100)
    for row, answer in enumerate(answers):
        whole = prompt + answer
        inputs[row, : len(whole) - 1] = torch.tensor(whole[:-1])
        targets[row, len(prompt) - 1 : len(whole) - 1] = torch.tensor(answer)
    return inputs, targets


def log_probs_of(policy: Transformer, prompt: list[int], answers: list[list[int]]) -> Tensor:
    """log π of each answer (B,), token by token, none of them padded; with its gradient."""
    found = []
    for answer in answers:
        whole = torch.tensor([prompt + answer])
        each = policy(whole[:, :-1])[0].double().log_softmax(-1)
        places = range(len(prompt) - 1, len(prompt) - 1 + len(answer))
        found.append(sum(each[place, token] for place, token in zip(places, answer, strict=True)))
    return torch.stack(found)


def gradient(loss: Tensor, model: nn.Module) -> Tensor:
    """The gradient in all weights, as one long row."""
    each = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    parts = [torch.zeros_like(p) if g is None else g for g, p in zip(each, model.parameters(), strict=True)]
    return torch.cat([part.flatten() for part in parts])


PROMPTS = ["Where does Ada live?", "Who lives on Mill Lane?", "What is 3 plus 4?", "Why?"]


def chat_tokenizer() -> Tokenizer:
    return train_bpe(" ".join(PROMPTS) * 2, vocab_size=280, specials=RESERVED_SPECIALS)[0]


def chat_policy(tok: Tokenizer, seed: int = 0) -> Transformer:
    config = TransformerConfig(vocab_size=tok.vocab_size, max_seq_len=64, d_model=16, n_layers=2, n_heads=2, d_ff=24)
    return Transformer(config, seed=seed)
