"""Applying merges: both loops give what the textbook gives, and long pieces take no longer than they must."""

from __future__ import annotations

import random
import time

import pytest

from lmlab.tokenizer.bpe import train_bpe
from lmlab.tokenizer.merging import _LONG, boundary_ranks, merge
from tests.tokenizer.naive import naive_encode
from tests.tokenizer.random_text import mixed_text


def learned(seed: int):
    rng = random.Random(seed)
    text = mixed_text(seed, 150) if seed % 2 else "".join(rng.choices("aaab c", k=600))
    return train_bpe(text, vocab_size=256 + 25, specials=(), split="none")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("length", [0, 1, 2, 9, _LONG - 1, _LONG, 300])
def test_short_and_long_pieces_equal_the_naive_loop(seed, length):
    _, log = learned(seed)
    rng = random.Random(seed)
    alphabet = list(b"aaabbc d") if seed % 2 == 0 else list(mixed_text(seed, 150).encode())
    piece = bytes(rng.choices(alphabet, k=length))
    pairs = [(event.left, event.right) for event in log]
    assert merge(piece, log.ranks) == naive_encode(piece, pairs)
    for below in (0, 1, 7, 25):
        assert merge(piece, log.ranks, below=below) == naive_encode(piece, pairs[:below])


@pytest.mark.parametrize("seed", range(6))
def test_one_number_a_boundary_describes_every_moment(seed):
    _, log = learned(seed)
    piece = mixed_text(seed + 100, 40).encode()[:200]
    removed = boundary_ranks(piece, log.ranks)
    assert len(removed) == len(piece) - 1
    for k in range(len(log) + 1):
        tokens = naive_encode(piece, [(event.left, event.right) for event in log[:k]])
        ends = {sum(map(len, tokens[:n])) for n in range(1, len(tokens))}
        assert {n for n, rank in enumerate(removed, 1) if not 0 <= rank < k} == ends


PIECES = {
    "one letter": lambda n: b"a" * n,
    "two in turn": lambda n: b"ab" * (n // 2),
    "spaces": lambda n: b" " * n,
    "random letters": lambda n: bytes(random.Random(1).choices(range(97, 123), k=n)),
    "random bytes": lambda n: random.Random(2).randbytes(n),
    "emoji": lambda n: ("😀👨‍👩‍👧" * n).encode()[:n],
}


@pytest.fixture(scope="module")
def ranks():
    return train_bpe("a" * 500 + " " * 300 + "ab" * 300 + mixed_text(4, 300), vocab_size=500, split="none")[1].ranks


@pytest.mark.parametrize("kind", PIECES)
def test_long_pieces_take_time_in_proportion_to_their_length(kind, ranks):
    seconds = []
    for n in (10_000, 40_000):
        start = time.process_time()
        tokens = merge(PIECES[kind](n), ranks)
        seconds.append(time.process_time() - start)
        assert b"".join(tokens) == PIECES[kind](n)
    assert seconds[1] < 10 * seconds[0] + 0.2  # four times the letters; the textbook's loop needs 16 times
