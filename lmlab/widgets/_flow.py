"""The tensors of a sentence on its way through a model, and shapes as they are guessed and written."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lmlab.models.transformer import Transformer
from lmlab.tokenizer.words import WordTokenizer

WORDS = 8  # of a sentence that are read
STAGES = {  # what is called how, with its shape in the legend's letters
    "ids": "ids (T,)",
    "embeddings": "embeddings (T, D)",
    "next": "logits of the next word (V,)",
    "positions": "logits at every position (T, V)",
    "batch": "logits of a batch (B, T, V)",
}


@dataclasses.dataclass(frozen=True)
class Flow:
    """Every tensor on the way: ``ids`` (T,), ``table`` (V, D), ``embeddings`` (T, D), ``logits`` (T, V), ``batch``
    (B, T, V); ``product`` is one-hot (T, V) times the table, ``alone`` the first sentence without the others."""

    ids: Tensor
    table: Tensor
    embeddings: Tensor
    product: Tensor
    logits: Tensor
    batch: Tensor

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of what each stage shows."""
        tensors = (self.ids, self.embeddings, self.logits[-1], self.logits, self.batch)
        return {stage: tuple(t.shape) for stage, t in zip(STAGES, tensors, strict=True)}


@torch.no_grad()
def flow(model: Transformer, sentences: Sequence[Sequence[int]]) -> Flow:
    """Run the first sentence alone and all of them as a batch; each is a list of ids, all equally long."""
    batch = torch.tensor(sentences)
    ids = batch[0]
    table = model.embedding.weight.detach()
    one_hot = torch.nn.functional.one_hot(ids, model.vocab_size).to(table.dtype)
    return Flow(ids, table, model.embedding(ids), one_hot @ table, model(ids[None])[0], model(batch))


def largest_difference(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference between two tensors of one shape."""
    return float((a - b).abs().max())


def read_words(tokenizer: WordTokenizer, text: str) -> tuple[list[str], list[str]]:
    """The words of a text that the dictionary has, at most ``WORDS`` of them, and those that it has not."""
    words = text.split()
    known = [word for word in words if word in tokenizer.words]
    return known[:WORDS], [word for word in words if word not in tokenizer.words]


def read_shape(guess: str, sizes: Mapping[str, int]) -> str:
    """A guess as a shape: ``6, 4`` and ``T D`` and ``(6,4)`` are ``(6, 4)``; anything else as it was typed."""
    parts = re.findall(r"\d+|[A-Za-z]", re.sub(r"(?<=\d)\s*x\s*(?=\d)", ",", guess))
    if not parts or not all(part.isdigit() or part.upper() in sizes for part in parts):
        return guess
    return shown_shape([int(part) if part.isdigit() else sizes[part.upper()] for part in parts])


def shown_shape(shape: Sequence[int]) -> str:
    """A shape as Python writes it: ``(6,)``, ``(6, 4)``."""
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"
