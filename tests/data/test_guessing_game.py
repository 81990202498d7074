"""Shannon's game: its rules key by key, and his bounds around an entropy that is known."""

from __future__ import annotations

import math
import random

import pytest

from lmlab.data.guessing_game import GIVE_UP, alphabet_of, key_of, play, shannon_bounds

TEXT = "The goose"
ALPHABET = " eosthg"


def test_a_character_takes_as_many_guesses_as_keys():
    game = play(TEXT, "ogesOt", start=4, alphabet=ALPHABET)
    assert [(one.character, one.rank, one.tried) for one in game.found] == [("g", 2, "o"), ("o", 3, "es")]
    assert (game.tried, game.place, game.ranks) == ("t", 6, [2, 3])


def test_a_capital_counts_as_its_letter():
    assert play(TEXT, "t", start=0, alphabet=ALPHABET).found[0].character == "T"
    assert play(TEXT, "G", start=4, alphabet=ALPHABET).ranks == [1]


def test_a_key_twice_or_from_elsewhere_costs_nothing():
    game = play(TEXT, "eeeé🦜g", start=4, alphabet=ALPHABET)
    assert game.ranks == [2]
    assert play(TEXT, "eé", start=4, alphabet=ALPHABET).refused == "é"


def test_who_gives_up_tries_the_rest_in_order():
    game = play(TEXT, "o" + GIVE_UP, start=4, alphabet=ALPHABET)  # left: space, e, s, t, h, g
    assert (game.found[0].rank, game.found[0].shown) == (1 + 6, True)


def test_after_the_end_keys_are_ignored():
    game = play("ab", "bzzz", start=1, alphabet="ab")
    assert game.finished
    assert game.ranks == [1]


def test_ten_thousand_keys_are_a_moment():
    assert play(TEXT, "z" * 10_000, start=4, alphabet=ALPHABET).found == ()


def test_the_alphabet_is_in_order_of_frequency():
    assert alphabet_of(["Aa b", "ab"]) == "ab "
    assert key_of("\u00a0") == key_of("\n") == " "


@pytest.mark.parametrize("seed", range(6))
def test_the_bounds_enclose_a_known_entropy(seed: int):
    """A player who knows a source exactly: her guesses bound its entropy, whatever it is."""
    draw = random.Random(seed)
    sources = []
    for _ in range(4):  # four contexts, each with its own distribution of eight characters
        weights = [draw.random() ** 3 for _ in range(8)]
        sources.append(sorted((w / sum(weights) for w in weights), reverse=True))
    entropy = -sum(p * math.log2(p) for source in sources for p in source) / 4
    ranks = [draw.choices(range(1, 9), source)[0] for source in sources for _ in range(10_000)]
    lower, upper = shannon_bounds(ranks)
    assert lower <= entropy + 0.02
    assert entropy <= upper + 0.02
    assert 0 < lower < upper < 3


def test_the_bounds_are_shannons_formula():
    ranks = [1] * 60 + [2] * 25 + [3] * 10 + [4] * 5
    q = [0.6, 0.25, 0.1, 0.05, 0]
    assert shannon_bounds(ranks) == (
        pytest.approx(sum(i * (q[i - 1] - q[i]) * math.log2(i) for i in range(1, 5))),
        pytest.approx(-sum(p * math.log2(p) for p in q[:4])),
    )
    assert shannon_bounds([1] * 9) == (0, 0)
    assert shannon_bounds([27] * 9) == (0, 0), "always the same guess holds no news"


@pytest.mark.parametrize("seed", range(5))
def test_the_bounds_never_cross(seed: int):
    draw = random.Random(seed)
    lower, upper = shannon_bounds([draw.randint(1, 27) for _ in range(draw.randint(1, 30))])
    assert 0 <= lower <= upper + 1e-12


@pytest.mark.parametrize("ranks", [[], [0], [1.5], [True], ["1"]])
def test_what_is_no_number_of_guesses_is_refused(ranks: list):
    with pytest.raises(ValueError, match="guess"):
        shannon_bounds(ranks)
