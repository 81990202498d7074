"""GPT-2's alphabet: how 256 byte values are ordered, and how files write them as visible characters.

A byte-level vocabulary is stored as JSON text, so each byte needs a character that no tool mangles.  GPT-2 keeps the
188 bytes that are visible in Latin-1 and moves the other 68 to U+0100 and up: a space is "Ġ", a line break "Ċ".
The order of those characters is also the order in which equal pair counts are decided (see `train_bpe`).
"""

from __future__ import annotations

_VISIBLE = [*range(33, 127), *range(161, 173), *range(174, 256)]

#: The 256 byte values in GPT-2's order: "!" first, then the other visible ones, then the moved ones from 0 up.
BYTES_IN_ORDER = [*_VISIBLE, *(byte for byte in range(256) if byte not in set(_VISIBLE))]

_CHARACTER = {byte: chr(byte) for byte in _VISIBLE} | {
    byte: chr(256 + n) for n, byte in enumerate(BYTES_IN_ORDER[len(_VISIBLE) :])
}
_BYTE = {character: byte for byte, character in _CHARACTER.items()}


def to_visible(token: bytes) -> str:
    """The characters that stand for `token` in a vocabulary file.

    >>> to_visible(b" town\\n")
    'ĠtownĊ'
    """
    return "".join([_CHARACTER[byte] for byte in token])


def from_visible(written: str) -> bytes:
    """The bytes that a vocabulary file's string stands for; KeyError at a character outside the alphabet."""
    return bytes(map(_BYTE.__getitem__, written))
