"""Byte-pair encoding as the textbook says it, with no thought of speed: what the fast one is compared with."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from lmlab.tokenizer.byte_order import BYTES_IN_ORDER

Pair = tuple[bytes, bytes]


def naive_merges(words: list[bytes], n_merges: int) -> tuple[list[Pair], list[list[list[bytes]]], list[Counter[Pair]]]:
    """The merges, the words after 0, 1, … merges, and the pair counts before each merge; everything is recounted."""
    age = {bytes([byte]): place for place, byte in enumerate(BYTES_IN_ORDER)}
    split = [[word[n : n + 1] for n in range(len(word))] for word in words]
    merges: list[Pair] = []
    moments, races = [split], []
    for _ in range(n_merges):
        counts = Counter(pair for word in split for pair in pairwise(word))
        if not counts:
            break
        races.append(counts)
        best = min(counts, key=lambda pair: (-counts[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age[best[0] + best[1]] = len(age)
        split = [joined(word, best) for word in split]
        moments.append(split)
    return merges, moments, races


def joined(word: list[bytes], pair: Pair) -> list[bytes]:
    """`word` with every `pair` made one token, from the left."""
    out: list[bytes] = []
    n = 0
    while n < len(word):
        if tuple(word[n : n + 2]) == pair:
            out.append(pair[0] + pair[1])
            n += 2
        else:
            out.append(word[n])
            n += 1
    return out


def naive_encode(data: bytes, merges: list[Pair]) -> list[bytes]:
    """Every merge in its order, over the whole piece."""
    word = [data[n : n + 1] for n in range(len(data))]
    for pair in merges:
        word = joined(word, pair)
    return word
