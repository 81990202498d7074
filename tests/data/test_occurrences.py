"""Strings in a text, against a loop over all places."""

from __future__ import annotations

import random

import pytest
import torch

from lmlab.data.occurrences import beginnings, coverage, first_seen, places


def naive_places(stream: list[int], string: list[int]) -> list[int]:
    return [i for i in range(len(stream) - len(string) + 1) if stream[i : i + len(string)] == string]


@pytest.mark.parametrize("seed", range(4))
def test_places_and_beginnings_are_those_of_a_loop(seed: int):
    draw = random.Random(seed)
    stream = [draw.randrange(3) for _ in range(60)]
    for length in range(1, 9):
        string = [draw.randrange(3) for _ in range(length)]
        assert places(torch.tensor(stream), string).tolist() == naive_places(stream, string)
        expected = [len(naive_places(stream, string[:n])) for n in range(1, length + 1)]
        assert beginnings(torch.tensor(stream), string) == expected


@pytest.mark.parametrize("seed", range(4))
def test_first_seen_says_how_far_one_must_read(seed: int):
    draw = random.Random(seed)
    boundary = 9
    seen, held = ([draw.choice([0, 1, 2, boundary]) for _ in range(n)] for n in (80, 40))
    found = first_seen(torch.tensor(seen), torch.tensor(held), 5, boundary=boundary)
    for n in range(1, 6):
        strings = [held[i : i + n] for i in range(len(held) - n + 1)]
        strings = [string for string in strings if boundary not in string]
        expected = [next(iter(naive_places(seen, string)), len(seen) + 1 - n) + n for string in strings]
        assert found[n - 1].tolist() == expected


def test_coverage_falls_with_length_and_grows_with_the_corpus():
    draw = torch.Generator().manual_seed(0)
    seen, held = torch.randint(0, 5, (2000,), generator=draw), torch.randint(0, 5, (500,), generator=draw)
    shares = [coverage(seen, held, n) for n in range(1, 10)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1
    assert shares[-1] < 0.01, "of 5^9 strings hardly any were read"
    assert coverage(seen[:200], held, 4) < coverage(seen, held, 4)
    naive = {tuple(seen[i : i + 4].tolist()) for i in range(1997)}
    assert coverage(seen, held, 4) == pytest.approx(
        sum(tuple(held[i : i + 4].tolist()) in naive for i in range(497)) / 497
    )


@pytest.mark.parametrize(("n", "words"), [(0, "n counts tokens"), (True, "n counts tokens"), (4, "choose a smaller n")])
def test_what_cannot_be_measured_is_refused(n: int, words: str):
    with pytest.raises(ValueError, match=words):
        coverage(torch.tensor([1, 2, 3]), torch.tensor([1, 2, 3]), n)


def test_a_million_tokens_are_searched_at_once():
    stream = torch.randint(0, 2048, (1_000_000,), generator=torch.Generator().manual_seed(0))
    assert len(places(stream, stream[500_000:500_010].tolist())) == 1
    assert beginnings(stream, stream[:10_000].tolist())[-1] == 1
