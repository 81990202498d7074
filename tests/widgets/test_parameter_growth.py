"""ParameterGrowth: counts of live networks, and the pictures that follow from them."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from lmlab.widgets import ParameterGrowth
from lmlab.widgets.parameter_growth import SIZES, big, counted, growth_view


def by_hand(D: int, V: int, L: int, T: int) -> int:
    """GPT-2's weights, layer by layer: a block has 12·D² in matrices and 13·D in biases and norms."""
    return V * D + T * D + L * (12 * D * D + 13 * D) + 2 * D


@pytest.mark.parametrize("name", SIZES)
def test_live_networks_have_the_weights_of_the_curves(name: str):
    size = SIZES[name]
    for T in (1, size.start, random.Random().randint(2, size.most)):
        for hidden in (False, True):
            flat, transformer = counted(size, T, hidden)
            H = size.d_hidden
            assert flat == ((T * size.D + T * size.V) * H if hidden else size.D * size.V * T**2), (T, hidden)
            assert flat == size.flat(T, hidden)
            assert transformer == by_hand(size.D, size.V, size.n_layers, T) == size.config(T).n_params


def test_the_lectures_numbers():
    w = ParameterGrowth()
    assert (w.T, w.shown.flat) == (6, 1_440)
    w.T = 12
    assert (w.shown.flat, w.shown.half) == (5_760, 1_440)
    assert "4 times as many as at T = 6" in w.sentence
    assert "24 more, which are the learned positions of 6 new places" in w.sentence
    w.size = "GPT-2"
    assert (w.T, w.shown.flat, w.shown.transformer) == (1024, 40_472_282_136_576, 124_439_808)
    assert "has 4.05×10¹³ weights" in w.sentence
    assert "325,235 would fit" in w.sentence


def test_twice_the_length_is_four_times_the_matrix_and_twice_with_a_hidden_layer():
    for hidden, times in ((False, 4), (True, 2)):
        view = growth_view("town", 100, hidden=hidden)
        assert view.flat == times * view.half
        flat, bent, transformer = view.curves
        assert (flat.dashed, bent.dashed) == (hidden, not hidden)
        steps = list(zip(view.lengths, (bent if hidden else flat).weights, transformer.weights, strict=True))
        for (T, a, x), (S, b, y) in pairwise(steps):
            assert b == a * (S // T) ** (1 if hidden else 2)
            assert y - x == (S - T) * 128


def test_an_odd_length_has_no_half_and_says_so_in_one_sentence():
    w = ParameterGrowth(T=7)
    assert w.shown.half == 0
    assert "times as many" not in w.sentence
    assert len(repr(w)) <= 110


def test_a_length_beyond_the_slider_is_its_end_and_reset_goes_back():
    w = ParameterGrowth(T=9)
    w.T = 10_000
    assert w.shown.T == 24
    w.size, w.layers = "GPT-2", "hidden"
    w.reset()
    assert (w.size, w.layers, w.T, w.shown.T) == ("the slide", "one", 9, 9)


def test_large_counts_are_powers():
    assert big(999_999_999) == "999,999,999"
    assert big(1_000_000_000) == "1.00×10⁹"
    assert big(768 * 50_257 * 1024**2) == "4.05×10¹³"
    assert math.isclose(float(big(123_456_789_000).split("×")[0]), 1.23)


def test_an_unknown_size_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="'GPT-9' is not known: use one of 'the slide', 'town', 'GPT-2'"):
        ParameterGrowth("GPT-9")


def test_widths_of_ones_own():
    w = ParameterGrowth("mine", sizes={"mine": (64, 500)}, T=10)
    assert w.shown.flat == 64 * 500 * 10**2
    assert w.shown.transformer == by_hand(64, 500, 4, 10)
    with pytest.raises(ValueError, match="d_model must be a whole number of at least 1, not 0"):
        ParameterGrowth("mine", sizes={"mine": (0, 500)})
