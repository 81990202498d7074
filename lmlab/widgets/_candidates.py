"""What several models say comes next: tokens where they share a vocabulary, words where they do not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import torch

from lmlab.text_model import TextModel
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.widgets._style import percent, token_name, visible


@dataclasses.dataclass(frozen=True)
class Row:
    """One word with its probability under each column: the truth first where there is one, then the models."""

    word: str
    probabilities: tuple[float, ...]
    shown: tuple[str, ...]
    raw: str = ""
    id: int = -1  # of the token, where the row is one


@dataclasses.dataclass(frozen=True)
class Column:
    """A model at a prompt: its next-token log-probabilities (V,), None where the prompt is impossible for it."""

    model: TextModel
    log_probs: torch.Tensor | None

    def log_prob(self, prompt: str, word: str, *, special: bool = False) -> float:
        """log p(the text goes on with ``word``), in nats; one token is looked up, more are summed.

        ``special`` lets the name of a special token stand for it: a candidate may be one, typed text never is.
        """
        if self.log_probs is None:
            return -math.inf
        ids = self.model.tokenizer.encode(word, allow_special=special)
        if len(ids) == 1:
            return float(self.log_probs[ids[0]])
        return self.model.log_prob(word, given=prompt, allow_special=special)


def column(model: TextModel, prompt: str) -> Column:
    """Ask one model about one prompt. A truth that cannot say the prompt has no distribution."""
    log_probs = model.next_log_probs(prompt)
    return Column(model, log_probs if bool(torch.isfinite(log_probs).any()) else None)


def same_vocabulary(models: Iterable[TextModel]) -> bool:
    """Whether an id means the same token to all of them."""
    first, *others = (model.tokenizer for model in models)
    return all(other is first or _tokens(other) == _tokens(first) for other in others)


def _tokens(tokenizer: Tokenizer) -> list[bytes]:
    return [tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)]


def likely_tokens(columns: Sequence[Column], k: int) -> list[Row]:
    """The union of every column's ``k`` likeliest tokens, for models of one vocabulary."""
    tokenizer = columns[0].model.tokenizer
    names = {id_: name for name, id_ in tokenizer.specials.items()}
    alive = [c.log_probs for c in columns if c.log_probs is not None]
    ids = dict.fromkeys(int(i) for lp in alive for i in lp.topk(min(k, len(lp))).indices if lp[i] > -math.inf)
    rows = []
    for i in ids:
        p = tuple(0.0 if c.log_probs is None else math.exp(float(c.log_probs[i])) for c in columns)
        data = tokenizer.token_bytes(i)
        raw = "" if i in names or b"\xef\xbf\xbd" in data.decode("utf-8", "replace").encode() else data.decode()
        label = token_name(names[i], names.values()) if i in names else visible(tokenizer.token_text(i))
        rows.append(Row(label, p, shown_percent(columns, p), raw, i))
    return rows


def likely_words(columns: Sequence[Column], prompt: str, k: int) -> list[Row]:
    """The same for several vocabularies: candidates become whole words, and each model is asked for each word."""
    words: dict[str, None] = {}
    for col in columns:
        for candidate in col.model.next(prompt, k=k) if col.log_probs is not None else ():
            words.setdefault(col.model.whole_word(prompt, candidate.id))
    kept: dict[str, list[int]] = {}
    for word in words:  # "in" and "investors" overlap as events only if one token path continues the other
        path = columns[0].model.tokenizer.encode(word, allow_special=True)
        if not any(path[: len(other)] == other for other in kept.values()):
            kept[word] = path
    specials = {name for col in columns for name in col.model.tokenizer.specials}
    rows = []
    for word in kept:
        p = tuple(math.exp(c.log_prob(prompt, word, special=True)) for c in columns)
        rows.append(Row(token_name(word, specials), p, shown_percent(columns, p), "" if word in specials else word))
    return rows


def divergence(truth: Column, model: Column, rows: Sequence[Row], i: int, *, tokens: bool) -> float | None:
    """KL(truth ‖ model) of what comes next in nats: over tokens, or over the words shown by column ``i``."""
    if truth.log_probs is None or model.log_probs is None:
        return None
    if tokens:
        p, q = truth.log_probs.double(), model.log_probs.double()
    else:
        shown = torch.tensor([(row.probabilities[0], row.probabilities[i]) for row in rows], dtype=torch.float64)
        p, q = shown.log().unbind(1)
    there = torch.isfinite(p)
    return max(0.0, float((p[there].exp() * (p[there] - q[there])).sum()))


def shown_percent(columns: Sequence[Column], values: Sequence[float]) -> tuple[str, ...]:
    """One number a column for the eye; a dash where a column has no distribution."""
    return tuple("–" if col.log_probs is None else percent(p) for col, p in zip(columns, values, strict=True))
