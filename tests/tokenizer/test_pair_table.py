"""Places and counts of pairs stay right while pairs are joined, one by one or all at once."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest

from lmlab.tokenizer import pair_table
from lmlab.tokenizer.merge_log import PAIR_BITS
from lmlab.tokenizer.pair_table import PairTable


def joined(word: list[int], left: int, right: int, new: int) -> list[int]:
    """The textbook's way: walk from the left and build the word again."""
    out, n = [], 0
    while n < len(word):
        if word[n : n + 2] == [left, right]:
            out.append(new)
            n += 2
        else:
            out.append(word[n])
            n += 1
    return out


def counted(corpus: dict[tuple[int, ...], int]) -> Counter[int]:
    """How often each pair stands in words of at least two symbols."""
    counts: Counter[int] = Counter()
    for word, n in corpus.items():
        for left, right in pairwise(word):
            counts[left << PAIR_BITS | right] += n
    return counts


@pytest.mark.parametrize("many", [1, 3, 10**9], ids=["all at once", "mixed", "one by one"])
@pytest.mark.parametrize("seed", range(6))
def test_counts_equal_a_recount_after_every_join(many: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_table, "_MANY", many)
    rng = random.Random(seed)
    words = {bytes(rng.choices(b"abc", k=rng.randint(1, 12))): rng.randint(1, 9) for _ in range(60)}
    table, corpus = PairTable(words), Counter({tuple(word): n for word, n in words.items()})
    for new in range(256, 286):
        pair = rng.choice([pair for pair, n in counted(corpus).items() if n > 0] or [0])
        left, right = pair >> PAIR_BITS, pair & (1 << PAIR_BITS) - 1
        made = table.join(pair, new)
        corpus = _rejoin(corpus, left, right, new)
        recount = counted(corpus)
        assert {p: n for p, n in table.counts.items() if n} == recount
        assert table.n_tokens == sum(len(word) * n for word, n in corpus.items())
        assert {p for p in recount if new in (p >> PAIR_BITS, p & (1 << PAIR_BITS) - 1)} <= made


def _rejoin(corpus: dict[tuple[int, ...], int], left: int, right: int, new: int) -> Counter[tuple[int, ...]]:
    after: Counter[tuple[int, ...]] = Counter()
    for word, n in corpus.items():
        after[tuple(joined(list(word), left, right, new))] += n
    return after
