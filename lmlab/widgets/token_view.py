"""TokenView: one text under several tokenizers, token by token, with what a model makes of each.

Misspell a word, and what was one token breaks into pieces that the model has hardly ever seen.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets

from lmlab.text_model import TextModel
from lmlab.tokenizer.pieces import Piece, pieces
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, visible
from lmlab.widgets._tokenizers import Given, Named, in_hex, named, shown

CHARACTERS = 400  # of the text that are drawn and scored
TEXT = "the stock market crashed and investors panicked"

Score = Callable[[TextModel, str], Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Strip:
    """A tokenizer's tokens, one entry each: text, id (-1: none), bytes in hex, place, whether it is a part of a
    character, bits. ``head`` says how many they are; ``n_tokens`` and ``total_bits`` are of the whole text."""

    name: str
    head: Spans
    texts: tuple[str, ...]
    ids: tuple[int, ...]
    hexes: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    parts: tuple[bool, ...]
    bits: tuple[float, ...]
    details: tuple[Spans, ...]
    n_tokens: int
    total_bits: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenViewView(View):
    """``strips`` are the tokenizers in their slots; ``top_bits`` is the scale of what hangs below the tokens."""

    strips: tuple[Strip, ...]
    n_characters: int
    hidden: int
    top_bits: float


def misspelled(text: str, n: int) -> str:
    """``text`` with two neighboring letters of one word exchanged: the n-th word from 0, longest first, and around.

    A text without a word of four letters comes back as it is.
    """
    words = [m for m in re.finditer(r"[^\W\d_]{4,}", text) if _swap_at(m[0]) is not None]
    if not words:
        return text
    word = sorted(words, key=lambda m: (-len(m[0]), -m.start()))[n % len(words)]
    at = word.start() + (_swap_at(word[0]) or 0)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _swap_at(word: str) -> int | None:
    """Where two different letters stand side by side, as near to the middle as possible; not the first letter."""
    places = [i for i in range(1, len(word) - 1) if word[i] != word[i + 1]]
    return min(places, key=lambda i: abs(i - (len(word) - 2) / 2), default=None)


def scores(model: TextModel, text: str) -> list[float]:
    """The natural log-probability of each token of a text that has one."""
    return [candidate.log_prob for candidate in model.score(text)]


def bits_of(model_of: Named, text: str, n: int, score: Score = scores) -> tuple[float, ...]:
    """−log2 p of each of the ``n`` tokens given all before it; none where the tokenizer has no model.

    Without a token for the beginning of a text the first token has no probability: NaN.
    """
    if model_of.model is None or not n:
        return ()
    bits = tuple(-log_prob / math.log(2) for log_prob in score(model_of.model, text))
    return (math.nan,) * (n - len(bits)) + bits


def bits_text(bits: float) -> str:
    """A sum of surprises: ``9.5 bits``, ``158 bits``."""
    return f"{number(bits, 1 if bits < 99.95 else 0)} bits"


def strip(slot: int, of: Named, text: str, hidden: int, first: Strip | None, score: Score = scores) -> Strip:
    """One tokenizer's row; ``first`` is its row for the text as first written, if that was another."""
    found = pieces(of.tokenizer, text)
    bits = bits_of(of, text, len(found), score)
    total = sum(b for b in bits if not math.isnan(b)) if bits else None
    return Strip(
        name=of.name,
        head=_head(slot, of, found, text, total, hidden, first),
        texts=tuple(map(shown, found)),
        ids=tuple(-1 if p.id is None else p.id for p in found),
        hexes=tuple(in_hex(p.data) for p in found),
        starts=tuple(p.start for p in found),
        ends=tuple(p.end for p in found),
        parts=tuple(not p.is_text for p in found),
        bits=bits,
        details=tuple(_detail(slot, of, k, p, bits[k] if bits else None) for k, p in enumerate(found)),
        n_tokens=len(found),
        total_bits=total,
    )


def _head(
    slot: int, of: Named, found: Sequence[Piece], text: str, total: float | None, hidden: int, first: Strip | None
) -> Spans:
    V = of.tokenizer.vocab_size
    unknown = sum(p.id is None for p in found)
    size = "" if of.name == f"V = {V:,}" else f" · V = {V:,}"
    parts: list[str | Span] = [model_name(slot, of.name), f"{size} · ", bold(count(len(found), "token"))]
    if found and not unknown:
        parts.append(f" · {number(len(text) / len(found), 1)} characters each")
    if total is not None:
        parts += [" · ", bold(bits_text(total))]
    if unknown:
        parts += [" · ", bold(f"{count(unknown, 'word')} not in the list")]
    if hidden:
        parts.append(" in the part drawn")
    if first is not None:
        bits = "" if first.total_bits is None else f", {bits_text(first.total_bits)}"
        parts.append(f" · as first written {count(first.n_tokens, 'token')}{bits}")
    return spans(*parts)


def _detail(slot: int, of: Named, k: int, piece: Piece, bits: float | None) -> Spans:
    """What the readout says about one token."""
    if piece.id is None:
        said: list[str | Span] = [mono(shown(piece)), " is not in ", model_name(slot, of.name), "’s list of words: "]
        return spans(*said, "it has no id, and no model with this list can read it.")
    said = ["Token ", bold(f"{k}"), " of ", model_name(slot, of.name), " is ", mono(shown(piece)), ", id "]
    said += [bold(f"{piece.id:,}"), f", {count(len(piece.data), 'byte')} ", mono(in_hex(piece.data[:24]))]
    if len(piece.data) > 24:
        said.append(" …")
    if not piece.is_text:
        said.append(": a part of a character, which means nothing alone")
    if bits is not None and not math.isnan(bits):
        said += ["; the model gave it ", bold(percent(2.0**-bits)), f", {number(bits)} bits"]
    return spans(*said, ".")


def drawn_part(text: str) -> tuple[str, int]:
    """The beginning of a text that is drawn, and how many characters are left out."""
    return text[:CHARACTERS], max(0, len(text) - CHARACTERS)


def token_view(rows: Sequence[Named], text: str, *, first: str | None = None, score: Score = scores) -> TokenViewView:
    """What TokenView shows of one text; ``first`` is the text to compare with, as it was before a change."""
    kept, hidden = drawn_part(text)
    was = None if first is None or first == text else drawn_part(first)[0]
    befores = [None if was is None else strip(slot, of, was, 0, None, score) for slot, of in enumerate(rows)]
    strips = [
        strip(k, of, kept, hidden, before, score) for k, (of, before) in enumerate(zip(rows, befores, strict=True))
    ]
    finite = [b for s in strips for b in s.bits if math.isfinite(b)]
    n_bytes = len(text.encode("utf-8", "replace"))
    return TokenViewView(
        question="Where does one token end and the next begin?",
        about=f"TokenView · {count(len(rows), 'tokenizer')}",
        readout=_said(strips, befores, kept),
        foot=_foot(rows, kept, hidden),
        labels={"text": f"Text: {count(len(text), 'character')}, {count(n_bytes, 'byte')}"},
        table=[["tokenizer", "tokens", "how it cuts"], *([s.name, f"{s.n_tokens:,}", _line(s)] for s in strips)],
        strips=tuple(strips),
        n_characters=len(text),
        hidden=hidden,
        top_bits=max(8.0, *finite) if finite else 8.0,
    )


def _line(row: Strip) -> str:
    return "|".join(row.texts[:24]) + ("|…" if len(row.texts) > 24 else "")


def _said(strips: Sequence[Strip], befores: Sequence[Strip | None], text: str) -> Spans:
    """The answer in a sentence, about the first tokenizer that has a model, else about the first one."""
    if not text:
        return spans("An empty text has no token at all. Type something, in any language.")
    slot = next((i for i, s in enumerate(strips) if s.total_bits is not None), 0)
    it = strips[slot]
    said: list[str | Span] = [model_name(slot, it.name), " cuts this text into ", bold(count(it.n_tokens, "token"))]
    if it.total_bits is not None:
        said += [" and is surprised by ", bold(bits_text(it.total_bits))]
    others, before = [s for s in strips if s is not it], befores[slot]
    if before is not None:
        said += ["; as first written it was ", bold(count(before.n_tokens, "token"))]
        if before.total_bits is not None:
            said += [" and ", bold(bits_text(before.total_bits))]
    elif others:
        least = min(others, key=lambda s: s.n_tokens)
        said += ["; ", model_name(strips.index(least), least.name), " needs ", bold(f"{least.n_tokens:,}")]
    return spans(*said, ".")


def _foot(rows: Sequence[Named], text: str, hidden: int) -> Spans:
    parts: list[str | Span] = [mono("ids (T,)"), " · a space is drawn as “·”, a line break as “↵”"]
    parts.append(" · dashed: bytes that are a part of a character")
    name = next((n for of in rows for n in getattr(of.tokenizer, "specials", {}) if n in text), "")
    if name:
        parts += [" · ", mono(visible(name)), " typed in a text is plain text, not the special token"]
    if hidden:
        parts.append(f" · the first {CHARACTERS} characters are drawn, {hidden:,} more are not")
    return spans(*parts)


class TokenView(LabWidget):
    """Any text under one to four tokenizers: boundaries, ids, bytes, and a model's surprise at each token.

    Takes text models, tokenizers, "bytes", "characters", or mappings from names to those. Arrow keys walk the
    tokens, up and down go to the same place of the text in another tokenizer.
    """

    kind = "token_view"
    parts = ("chips",)
    controls = ("text", "show", "misspell")

    text = traitlets.Unicode(TEXT).tag(sync=True, control=Control("text", "Text", wide=True))
    show = traitlets.Unicode("text").tag(
        sync=True,
        control=Control(
            "segments",
            "Tokens as",
            options=(("text", "text"), ("ids", "ids"), ("bytes", "bytes")),
            local=True,
            secondary=True,
        ),
    )
    misspell = traitlets.Unicode().tag(control=Control("button", "Misspell a word", main=True))

    def __init__(self, *tokenizers: Given | Mapping[str, Given], **traits: Any) -> None:
        self._rows = named(tokenizers, "TokenView")
        self.heavy = heavy(*(of.model for of in self._rows if of.model))
        self._began = self._first = str(traits.get("text", TEXT))
        self._made = ""  # what the button made last, from the text as first written
        self._pressed = 0
        super().__init__(**traits)

    def clicked(self, name: str) -> None:
        if name != "misspell":
            return
        if self.text != self._made:  # the student's own text is the one to start from
            self._first, self._pressed = self.text, 0
        self._made = misspelled(self._first, self._pressed)
        self._pressed += 1
        self.text = self._made

    def reset(self) -> None:
        self._first, self._made = self._began, ""
        super().reset()
        self.refresh()

    def compute(self) -> TokenViewView:
        def score(model: TextModel, text: str) -> list[float]:
            return self.remember((model, text), lambda: scores(model, text))

        return token_view(self._rows, self.text, first=self._first, score=score)
