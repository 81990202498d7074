"""What several models say comes next: tokens where they share a vocabulary, words where they do not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import torch

from lmlab.models.kv_cache import KVCache
from lmlab.models.language_model import State
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel, split_trailing_space
from lmlab.text_model.whole_word import LONGEST_WORD, whole_word
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
    """A model at a prompt: its next-token log-probabilities (V,), None where the prompt is impossible for it.

    It goes on from there without reading the prompt again, and remembers what it said; ``before`` are the ids that
    stand before a continuation where the context has no room for the prompt and a word.
    """

    model: TextModel
    log_probs: torch.Tensor | None
    state: State = None
    before: tuple[int, ...] = ()
    _after: dict[tuple[int, ...], torch.Tensor] = dataclasses.field(default_factory=dict)
    _sums: dict[tuple[str, bool], float] = dataclasses.field(default_factory=dict)

    def after(self, path: tuple[int, ...]) -> torch.Tensor:
        """Log-probabilities (V,) of what follows the prompt and then these ids."""
        if path not in self._after:
            model, new = self.model.model, torch.tensor([(*self.before, *path)])
            if isinstance(self.state, KVCache) and isinstance(model, Transformer):  # all of the path in one pass
                with torch.no_grad():
                    rows = model(new.to(model.device), cache=self.state.branch())[0].float().log_softmax(-1).cpu()
                self._after.update((path[: end + 1], row) for end, row in enumerate(rows))
            else:
                self._after[path] = model.next_log_probs(new, self.state)[0][0]
        return self._after[path]

    def log_prob(self, prompt: str, word: str, *, special: bool = False) -> float:
        """log p(the text goes on with ``word``), in nats; one token is looked up, more are summed.

        ``special`` lets the name of a special token stand for it: a candidate may be one, typed text never is.
        """
        if self.log_probs is None:
            return -math.inf
        if (word, special) not in self._sums:
            ids = self.model.tokenizer.encode(word, allow_special=special)
            if len(ids) > LONGEST_WORD:
                total = self.model.log_prob(word, given=prompt, allow_special=special)
            else:
                total = float(self.log_probs[ids[0]]) if ids else 0.0
                if len(ids) > 1:
                    self.after(tuple(ids[:-1]))
                for place in range(1, len(ids)):
                    if total > -math.inf:
                        total += float(self.after(tuple(ids[:place]))[ids[place]])
            self._sums[word, special] = total
        return self._sums[word, special]


def column(model: TextModel, prompt: str) -> Column:
    """Ask one model about one prompt. A truth that cannot say the prompt has no distribution."""
    ids, room = model.ids(split_trailing_space(prompt)[0]), model.max_seq_len
    log_probs, state = model.model.next_log_probs(ids[None])
    if bool(log_probs.isnan().any()):
        raise ValueError(f"{model.name} gives no valid distribution (NaN): its weights are damaged or have diverged.")
    if not bool(torch.isfinite(log_probs).any()):
        return Column(model, None)
    if room is not None and len(ids) + LONGEST_WORD > room:
        return Column(model, log_probs[0], before=tuple(ids[-max(1, room - LONGEST_WORD) :].tolist()))
    return Column(model, log_probs[0], state)


def same_vocabulary(models: Iterable[TextModel]) -> bool:
    """Whether an id means the same token to all of them."""
    first, *others = (model.tokenizer for model in models)
    return all(
        other is first or (other.vocab_size == first.vocab_size and _tokens(other) == _tokens(first))
        for other in others
    )


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
        best = () if col.log_probs is None else col.log_probs.sort(descending=True, stable=True).indices[:k].tolist()
        for id_ in best:
            if col.log_probs is not None and col.log_probs[id_] > -math.inf:
                words.setdefault(whole_word(col.model, prompt, id_, col.after))
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
