"""The two vocabularies that nobody has to learn: one id a character, and one id a byte.

Between words, which cannot all be listed, and these, which are far too fine, stands byte-pair encoding.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from lmlab.tokenizer.split import SPLIT_NONE
from lmlab.tokenizer.tokenizer import StreamDecoder, Tokenizer
from lmlab.tokenizer.unicode_text import checked_characters

#: Code points of Unicode, of which about one in seven is a character so far.
N_CODE_POINTS = 0x110000


class CharacterTokenizer:
    """One id a character: its number in Unicode. Nothing is unknown, and nothing is short.

    >>> CharacterTokenizer().encode("né")
    [110, 233]
    """

    def __init__(self) -> None:
        self.specials: dict[str, int] = {}
        self.bos_id: int | None = None

    @property
    def vocab_size(self) -> int:
        """V: all code points, 1,114,112."""
        return N_CODE_POINTS

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """The numbers of the characters. A lone surrogate becomes U+FFFD with a warning."""
        del allow_special  # there are none; the parameter is that of every tokenizer
        return list(map(ord, checked_characters(text)))

    def decode(self, ids: Iterable[int]) -> str:
        """The characters of `ids`; ValueError names a number that belongs to no character."""
        return "".join([self.token_text(n) for n in ids])

    def stream(self) -> StreamDecoder:
        """Decodes ids one by one; a character is never held back."""
        return StreamDecoder(self.token_bytes)

    def token_bytes(self, id: int) -> bytes:
        """The character of an id, as UTF-8: one to four bytes."""
        return self.token_text(id).encode("utf-8")

    def token_text(self, id: Any) -> str:
        """The character of an id."""
        whole = not isinstance(id, bool) and hasattr(id, "__index__")
        n = operator.index(id) if whole else -1
        if not 0 <= n < N_CODE_POINTS or 0xD800 <= n < 0xE000:  # halves of surrogate pairs are no characters
            raise ValueError(f"id {id!r} is the number of no character; they go from 0 to {N_CODE_POINTS - 1:,}")
        return chr(n)

    def __len__(self) -> int:
        return self.vocab_size

    def __repr__(self) -> str:
        return f"CharacterTokenizer(V={self.vocab_size:,})"


def byte_tokenizer() -> Tokenizer:
    """A tokenizer that has learned nothing: V = 256, each id the value of a byte."""
    return Tokenizer(token_bytes=[bytes([n]) for n in range(256)], ranks={}, split=SPLIT_NONE, specials={})
