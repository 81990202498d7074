"""A corpus that was counted once: places in its text to be read, perplexity on text that it does not
hold, and what other models say at the same prompt."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from torch import Tensor

from lmlab.data.corpus import Corpus
from lmlab.models.ngram import NGram
from lmlab.text_model import TextModel
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.widgets._candidates import Column, column
from lmlab.widgets._style import token_name, visible

LONGEST = 6  # the longest n-gram that is counted
AROUND = 34  # characters shown on either side of a place


@dataclasses.dataclass(frozen=True)
class Place:
    """One place in the corpus: some text before, the context, the token that followed, some text after."""

    before: str
    context: str
    next: str
    after: str


def perplexities(counts: NGram, held_out: Tensor, *, boundary: int | None) -> tuple[float | None, ...]:
    """Perplexity on a held-out stream (T,) for n = 1 to the model's own; None where something there was impossible.

    The mark between documents is read and not scored.
    """
    scored = held_out[1:] != (-1 if boundary is None else boundary)
    found: list[float | None] = []
    for n in range(1, counts.n + 1):
        mean = float(-counts.shorter(n).log_probs_of(held_out[None])[0][scored].double().mean())
        found.append(math.exp(mean) if math.isfinite(mean) else None)
    return tuple(found)


def perplexity_of(model: TextModel, documents: Sequence[str], n_tokens: int) -> float | None:
    """Another model on the same text: its whole surprise, shared among the n-gram's tokens, so that vocabularies
    of different sizes can be compared."""
    total = -math.fsum(one.log_prob for text in documents for one in model.score(text))
    return math.exp(total / n_tokens) if math.isfinite(total) else None


@dataclasses.dataclass(frozen=True)
class Other:
    """Another model at the prompt: what it says comes next, and the word that it puts first. No n changes it."""

    column: Column
    first: str | None


def other_at(model: TextModel, given: str) -> Other:
    """Ask another model once a prompt, however often n is moved there."""
    col = column(model, given)
    first = model.next(given, k=1) if col.log_probs is not None else ()
    names = {id_: name for name, id_ in model.tokenizer.specials.items()}
    return Other(col, next((names.get(one.id) or model.whole_word(given, one.id) for one in first), None))


def without_space(prompt: str) -> str:
    """The prompt without one space at its end, which belongs to the next token."""
    return prompt[:-1] if prompt.endswith(" ") else prompt


class Reader:
    """A corpus that was counted once, and can be asked for places and probabilities."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer) -> None:
        self.corpus, self.tokenizer = corpus, tokenizer
        self.stream = corpus.ids(tokenizer)
        self.counts = NGram.fit(self.stream, n=min(LONGEST, len(self.stream)), vocab_size=tokenizer.vocab_size)
        self._specials = {id_: name for name, id_ in tokenizer.specials.items()}

    def text(self, ids: Sequence[int]) -> str:
        """Ids as they stand in the text, the mark between documents as ⟨start⟩."""
        parts = ["⟨start⟩" if i == self.tokenizer.bos_id else self.tokenizer.token_text(i) for i in ids]
        shown = visible("".join(parts)) if ids else ""
        return shown.replace("·", " ") if shown.strip("·") else shown

    def word(self, id_: int) -> str:
        """One token as a label."""
        name = self._specials.get(id_)
        return token_name(name, self._specials.values()) if name else visible(self.tokenizer.token_text(id_))

    def raw(self, id_: int) -> str:
        """One token as it would be typed; a special one by its name."""
        return self._specials.get(id_) or self.tokenizer.token_text(id_)

    def read_at(self, start: int, length: int) -> Place:
        """The place where a context of ``length`` tokens begins at ``start``."""
        end = start + length
        ids = self.stream[max(0, start - AROUND) : end + AROUND].tolist()
        cut = start - max(0, start - AROUND)
        context, follows = ids[cut : cut + length], ids[cut + length]
        return Place(
            self._side(ids[:cut], -1), self.text(context), self.word(follows), self._side(ids[cut + length + 1 :], 1)
        )

    def _side(self, ids: list[int], way: int) -> str:
        """Up to AROUND characters of the same document, before (-1) or after (1) the place."""
        bos = self.tokenizer.bos_id
        if bos in ids:
            ids = ids[: ids.index(bos)] if way > 0 else ids[len(ids) - ids[::-1].index(bos) :]
        text = self.text(ids)
        if len(text) <= AROUND:
            return text
        return text[:AROUND] + "…" if way > 0 else "…" + text[-AROUND:]
