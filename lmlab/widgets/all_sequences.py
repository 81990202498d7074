"""AllSequences: a model of the next word is a model of all sequences, and here all of them are drawn.

Lecture: "a distribution over sequences". With ten words and three places there are 1,000 sequences. Each is a leaf
whose height is its probability, and the heights sum to one: so at most fifty of them can have 2 % or more, and the
same fifty among the ten million sequences of seven words.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from torch import Tensor

from lmlab.text_model import TextModel
from lmlab.tokenizer.words import WordTokenizer
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._candidates import same_vocabulary
from lmlab.widgets._flow import read_words
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, token_name
from lmlab.widgets.next_token import MODELS
from lmlab.widgets.shape_flow import lecture_model

PLACES = 3  # T: the words of a sequence
LEAVES = 5000  # sequences that are drawn at most
SENTENCE = 7  # words of the lecture's sentence


@dataclasses.dataclass(frozen=True, kw_only=True)
class AllSequencesView(View):
    """``leaves`` are V³ float32: the probability of each sequence of three words after the prompt, the last word
    fastest; ``path`` the beginning that is enlarged; ``slot`` the model's place among the models."""

    vocabulary: tuple[str, ...]
    leaves: bytes
    path: tuple[int, ...]
    start: str
    slot: int
    threshold: float


def all_sequences(model: TextModel, prompt_ids: Tensor) -> Tensor:
    """p of all sequences of three words (V, V, V) after prompt ids (T,), by the chain rule; in double precision."""
    V = model.vocab_size
    words = torch.arange(V)
    pairs = torch.cartesian_prod(words, words)  # (V², 2): every beginning of two words
    rows = model.model.log_probs(torch.cat((prompt_ids.expand(V * V, -1), pairs), 1))[:, -PLACES:].double()
    first = rows[0, 0].exp()  # the same in every row
    second = rows[::V, 1].exp()  # (V, V)
    third = rows[:, 2].exp().view(V, V, V)
    third = torch.where(torch.isnan(third), 0.0, third)
    return first[:, None, None] * second[:, :, None] * third


def most_that_can(threshold: float) -> int:
    """How many sequences, of any length and any model, can have at least this probability: they sum to one."""
    return math.floor(1 / threshold + 1e-9)


def all_sequences_view(
    models: Sequence[TextModel], slot: int, prompt: str, *, threshold: float, path: Sequence[int]
) -> AllSequencesView:
    """What AllSequences shows of one of the models after a prompt: pure."""
    model = models[slot]
    tokenizer = model.tokenizer
    names = tuple(token_name(tokenizer.token_text(i), tokenizer.specials) for i in range(model.vocab_size))
    strange: list[str] = []
    if isinstance(tokenizer, WordTokenizer):
        words, strange = read_words(tokenizer, prompt)
        prompt = " ".join(words)
    head: dict[str, Any] = {
        "question": "How do all sequences share one probability?",
        "about": f"AllSequences · {model.name} · cpu",
        "labels": {"threshold:value": percent(threshold)},
        "vocabulary": names,
        "start": prompt or "the start",
        "slot": slot,
        "threshold": threshold,
    }
    note = spans(f" Not in the dictionary, and so not read: {count(len(strange), 'word')}.") if strange else ()
    if not prompt and tokenizer.bos_id is None:
        said = spans("Type a word to begin after, one of these: ", mono(" ".join(names)))
        return AllSequencesView(leaves=b"", path=(), readout=(*said, *note), **head)
    leaves = all_sequences(model, model.ids(prompt))
    V = len(names)
    order = leaves.flatten().argsort(descending=True, stable=True)[:5].tolist()
    shown = [(" ".join(names[i] for i in (k // V**2, k // V % V, k % V)), float(leaves.flatten()[k])) for k in order]
    return AllSequencesView(
        leaves=leaves.float().numpy().tobytes(),
        path=tuple(path)[: PLACES - 1],
        readout=(*_readout(leaves, shown[0], threshold, model_name(slot, model.name)), *note),
        foot=_foot(model, leaves),
        table=[["sequence", "probability"], *([text, percent(p)] for text, p in shown)],
        **head,
    )


def _readout(leaves: Tensor, best: tuple[str, float], threshold: float, name: Span) -> Spans:
    n = int((leaves >= threshold).sum())
    return spans(
        bold(f"{n:,}"),
        f" of {leaves.numel():,} sequences {'has' if n == 1 else 'have'} at least ",
        bold(percent(threshold)),
        "; more than ",
        bold(f"{most_that_can(threshold):,}"),
        " never can, since all sum to ",
        bold(number(float(leaves.sum()), 3)),
        ". For ",
        name,
        " the likeliest is ",
        mono(best[0]),
        ", ",
        bold(percent(best[1])),
        f". Of {SENTENCE} words there are {leaves.shape[0] ** SENTENCE:,} sequences, and still no more than "
        f"{most_that_can(threshold):,} such.",
    )


def _foot(model: TextModel, leaves: Tensor) -> Spans:
    return spans(
        mono("p(a, b, c) = p(a) · p(b | a) · p(c | a, b)"),
        f" · V {leaves.shape[0]}, T {PLACES} · {leaves.numel():,} leaves, height = probability · all by {model.name}",
    )


class AllSequences(LabWidget):
    """An icicle of every sequence of three words after a prompt, by one of one to four models of a small vocabulary.

    Leaves of at least ``threshold`` are filled. ``zoom`` is a beginning (one or two words) that is enlarged. Without
    a model it shows the lecture's ten words, untrained.
    """

    kind = "all_sequences"
    controls = ("prompt", "model", "threshold")
    inputs = ("zoom",)

    prompt = traitlets.Unicode(".").tag(sync=True, control=Control("text", "After the words"))
    model = traitlets.Unicode().tag(sync=True, control=Control("segments", "Computed by"))
    threshold = traitlets.Float(0.02, min=0.001, max=0.2).tag(
        sync=True, control=Control("slider", "Filled: at least", min=0.001, max=0.2, step=0.001)
    )
    zoom = traitlets.Unicode(help="a beginning that fills the sheet").tag(sync=True)

    def __init__(self, *models: TextModel, **traits: Any) -> None:
        self._models = models or (lecture_model(),)
        if len(self._models) > MODELS or not all(hasattr(m, "next_log_probs") for m in self._models):
            raise ValueError(f"AllSequences compares 1 to {MODELS} text models and got {len(models)}.")
        V = self._models[0].vocab_size
        if V**PLACES > LEAVES:
            raise ValueError(
                f"{self._models[0].name} has {V:,} tokens, so {V**PLACES:,} sequences of {PLACES}: too many to draw. "
                f"Take a model of at most {math.floor(LEAVES ** (1 / PLACES) + 1e-9)} words."
            )
        if not same_vocabulary(self._models):
            raise ValueError("The models of AllSequences must share one vocabulary, word by word.")
        names = tuple(m.name for m in self._models)
        if len(set(names)) < len(names):
            raise ValueError(f"Two models are called {next(n for n in names if names.count(n) > 1)!r}; rename one.")
        options = {"model": {"options": tuple((name, name) for name in names)}}
        first = traits.setdefault("model", names[0])
        if first not in names:
            raise ValueError(f"There is no model {first!r} here; there are {', '.join(names)}.")
        super().__init__(options=options, hidden=() if len(names) > 1 else ("model",), **traits)

    def reset(self) -> None:
        self.zoom = ""
        super().reset()

    def compute(self) -> AllSequencesView:
        names = [m.name for m in self._models]
        if self.model not in names:
            raise ValueError(f"There is no model {self.model!r} here; there are {', '.join(names)}.")
        tokenizer = self._models[0].tokenizer
        path = tokenizer.encode(self.zoom) if self.zoom else []
        return all_sequences_view(
            self._models, names.index(self.model), self.prompt, threshold=self.threshold, path=path
        )
