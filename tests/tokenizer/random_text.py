"""Random text of many kinds, for tests that compare two implementations: no example is anyone's favorite."""

from __future__ import annotations

import random
import unicodedata

_WORDS = "the stock market crashed and investors panicked it's don't WE'LL I'd 3.14 1234567 naïve Straße".split()
_CODE = ["def f(x):\n    return x  # ok\n", "\tif (a&&b) {\r\n", "x = [i**2 for i in range(10)]\n\n\n", "'''", "</div>"]
_OTHER = [
    "世界",
    "你好，",
    "こんにちは",
    "안녕",
    "Привет ",
    "مرحبا ",
    "שלום",
    "नमस्ते",
    "ไทย",
    "Ω≈ç√",
    "e\u0301",
    "\u200b",
    "\ufeff",
]
_EMOJI = ["😀", "👨‍👩‍👧‍👦", "🇩🇪", "👍🏽", "❤️"]
_SPACE = [" ", "  ", "\n", "\n\n", "\t", " \n ", "\r\n", "     ", "\u00a0", "\u3000", "\x0b", "\x85", "\x1c", "\u2028"]
_STRANGE = ["\x00", "\x07", "\x1b[0m", "<|endoftext|>", "'S", "'ſ", "ǅ", "²", "Ⅷ", "٣", "\u202e", "�"]


def mixed_text(seed: int, n: int = 200) -> str:
    """`n` pieces of words, code, scripts, emoji, white space, control characters and random code points."""
    rng = random.Random(seed)
    kinds = [_WORDS, _CODE, _OTHER, _EMOJI, _SPACE, _STRANGE]
    weights = [rng.random() ** 2 for _ in kinds]
    pieces = []
    for _ in range(n):
        piece = rng.choice(rng.choices(kinds, weights)[0]) if rng.random() < 0.95 else _any_character(rng)
        pieces.append(piece + rng.choice(["", " ", " ", " "]))
    return "".join(pieces)


def _any_character(rng: random.Random) -> str:
    code = rng.choice([rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x110000)])
    # Unassigned code points (and surrogates) are left out: which are letters depends on a library's Unicode version.
    return "?" if unicodedata.category(chr(code)) in ("Cn", "Cs") else chr(code)


def malformed_text(seed: int, n: int = 60) -> str:
    """What is read out of damaged files: bytes cut, lost, exchanged, of another encoding, read as UTF-8 or Latin-1."""
    rng = random.Random(seed)
    damaged = bytearray(mixed_text(seed, n).encode(rng.choice(["utf-8", "utf-8", "utf-16", "utf-16-be"])))
    for _ in range(rng.randrange(1, 20)):
        at = rng.randrange(len(damaged))
        damaged[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
    text = bytes(damaged).decode(rng.choice(["utf-8", "latin-1"]), "replace")
    return "".join("?" if unicodedata.category(character) == "Cn" else character for character in text)
