"""Shannon's guessing game: how well you know a language, measured by how often you guess wrong.

Someone guesses the next character of a text until it is right, and so on to the end. The numbers of guesses hold
all of the text: who guesses in the same way could read it back from them. So their entropy bounds the text's.

Source: C. E. Shannon, "Prediction and Entropy of Printed English", Bell System Technical Journal 30 (1951), 50-64;
the bounds are its equation 17. With 27 characters he found 0.6 to 1.3 bits a character, a hundred of them known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

GIVE_UP = "\n"  # the key that asks to be shown the character


@dataclass(frozen=True)
class Guessed:
    """One character found: the keys tried before it, and the number of guesses that it took, the last included."""

    character: str
    rank: int
    tried: str
    shown: bool  # the player gave up


@dataclass(frozen=True)
class Game:
    """A text being guessed from place `start` on: what was `found`, the keys `tried` at the open place, and the
    last key that was `refused` because no text here has it."""

    text: str
    start: int
    found: tuple[Guessed, ...]
    tried: str
    refused: str = ""

    @property
    def place(self) -> int:
        """The place of the character that is asked for."""
        return self.start + len(self.found)

    @property
    def finished(self) -> bool:
        return self.place == len(self.text)

    @property
    def ranks(self) -> list[int]:
        """The number of guesses for each character found."""
        return [one.rank for one in self.found]


def key_of(character: str) -> str:
    """The key that stands for a character: capitals count as their letters, and any white space is the space."""
    return " " if character.isspace() else character.lower()


def alphabet_of(texts: Iterable[str]) -> str:
    """The keys that a text may ask for, the most frequent first; equals in the order of their code points."""
    counts = Counter(key_of(character) for text in texts for character in text)
    return "".join(sorted(counts, key=lambda key: (-counts[key], key)))


def play(text: str, keys: str, *, start: int, alphabet: str) -> Game:
    """The game after these keys: pure, so that any moment of it can be had again.

    A key tried twice at one place, or one that is not in the alphabet, costs nothing. Who gives up is taken to try
    the rest of the alphabet in its order, so that the number of guesses is still one that a player could need.
    """
    found: list[Guessed] = []
    tried = refused = ""
    for pressed in keys:
        place = start + len(found)
        if place == len(text):
            break
        asked, key, refused = key_of(text[place]), pressed if pressed == GIVE_UP else key_of(pressed), ""
        if key == GIVE_UP:
            left = [other for other in alphabet if other not in tried]
            found.append(Guessed(text[place], len(tried) + left.index(asked) + 1, tried, True))
            tried = ""
        elif key == asked:
            found.append(Guessed(text[place], len(tried) + 1, tried, False))
            tried = ""
        elif key not in alphabet:
            refused = pressed
        elif key not in tried:
            tried += key
    return Game(text, start, tuple(found), tried, refused)


def shannon_bounds(ranks: Sequence[int]) -> tuple[float, float]:
    """(lower, upper): bits a character, from the number of guesses that each character took.

    With q_i the share of characters found at guess i, the upper bound is the entropy of the q_i, and the lower
    the sum of i (q_i - q_{i+1}) log2 i. Shannon's ideal player tries the likeliest first, so that q_i falls; where
    a few guesses of a person do not, they are put into this order, without which the bounds could cross.
    Both are estimates: over few characters they come out low.

    >>> shannon_bounds([1, 1, 1, 2])
    (0.5, 0.8112781244591328)
    """
    if not ranks:
        raise ValueError("There are no guesses yet: bounds take at least one character that was found.")
    for rank in ranks:
        if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
            raise ValueError(f"A number of guesses is a whole number from 1 upward, not {rank!r}.")
    shares = sorted((n / len(ranks) for n in Counter(ranks).values()), reverse=True)
    upper = -math.fsum(q * math.log2(q) for q in shares)
    falls = [q - after for q, after in zip(shares, [*shares[1:], 0.0], strict=True)]
    lower = math.fsum(i * fall * math.log2(i) for i, fall in enumerate(falls, 1))
    return max(0.0, lower), max(0.0, upper)
