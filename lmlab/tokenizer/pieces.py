"""Any tokenizer's view of a text: which stretch each token stands for, with nothing left out.

Works for whatever encodes text and knows the bytes of its ids. A dictionary of words leaves spaces out and cannot
say a word that it does not list; such a word is a piece without an id.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lmlab.tokenizer.unicode_text import checked_characters
from lmlab.tokenizer.words import WordTokenizer


@runtime_checkable
class Encodes(Protocol):
    """What every tokenizer here has."""

    vocab_size: int

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""

    def token_bytes(self, id: int) -> bytes:
        """The bytes of an id."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A token in its place: it touches text[start:end] and stands for the bytes `data`; no `id` where unknown."""

    id: int | None
    data: bytes
    start: int
    end: int

    @property
    def is_text(self) -> bool:
        """Whether its bytes are whole characters."""
        try:
            self.data.decode("utf-8")
        except UnicodeDecodeError:
            return False
        return True


def pieces(tokenizer: Any, text: str) -> list[Piece]:
    """The tokens of `text` in order. Tokens that hold parts of one character all point at that character.

    Their bytes, put together, are the text's (for a `WordTokenizer`, but for white space). ValueError where a
    tokenizer's tokens are not in its text.
    """
    text = checked_characters(text)
    if isinstance(tokenizer, WordTokenizer):
        return _words(tokenizer, text)
    normal = getattr(tokenizer, "normalizer", None)
    unsayable = getattr(tokenizer, "unsayable", b"")  # what the vocabulary lacks, and encode leaves out
    characters = list(unicodedata.normalize(normal, text) if normal else text)
    spelled = [character.encode("utf-8").translate(None, unsayable) for character in characters]
    data = b"".join(spelled)
    owner = [n for n, spelling in enumerate(spelled) for _ in spelling]
    found: list[Piece] = []
    at = 0
    for n in tokenizer.encode(text):
        token = tokenizer.token_bytes(n)
        start = data.find(token, at)
        if start < 0 or not token:
            raise ValueError(f"token {len(found)}, {token!r}, does not stand in the text: this tokenizer changes it")
        at = start + len(token)
        found.append(Piece(n, token, owner[start], owner[at - 1] + 1))
    return found


def _words(tokenizer: WordTokenizer, text: str) -> list[Piece]:
    ids = {word: n for n, word in enumerate(tokenizer.words)}
    return [
        Piece(ids.get(match[0]), match[0].encode("utf-8"), match.start(), match.end())
        for match in re.finditer(r"\S+", text)
    ]
