"""ScaleLadder: every figure against plain arithmetic on random assumptions; the slide's own come out."""

from __future__ import annotations

import random

import pytest
import traitlets

from lmlab.widgets._calculator import compared, round_count, scientific, shown_count, three_digits
from lmlab.widgets._style import n_bytes
from lmlab.widgets.scale_ladder import SCALES, ScaleLadder


def figures(w: ScaleLadder) -> dict[str, float]:
    return {figure.name: figure.value for figure in w.shown.results}


def test_the_slide_comes_out_and_names_its_unit():
    w = ScaleLadder()
    assert figures(w) == pytest.approx(
        {"words": 27.0e12, "bytes": 108e12, "sheets": 90.0e9, "height": 9_000, "typing": 1.027e6}, rel=5e-4
    )
    assert (
        w.sentence
        == "At 4 bytes per word, 27.0 trillion words are 108 TB. That is 25 % below the slide’s 144 TB.".replace(
            " TB", "\u202fTB", 1
        ).replace("25 %", "25\u202f%")
    )
    w.per = "token"
    assert figures(w)["bytes"] == 144e12
    assert w.sentence.endswith("That is the slide’s 144 TB.")
    assert w.shown.labels["bytes_per_unit:unit"] == "a token"


def test_every_assumption_moves_what_it_should():
    rng = random.Random(1)
    for _ in range(20):
        tokens, words, size = rng.uniform(0.1, 90), rng.uniform(0.1, 1.9), rng.uniform(1, 9)
        page, mm, speed = rng.uniform(50, 900), rng.uniform(0.02, 0.9), rng.uniform(5, 250)
        sides, per = rng.choice("12"), rng.choice(["token", "word"])
        w = ScaleLadder(
            trillion_tokens=tokens, words_per_token=words, bytes_per_unit=size, words_per_page=page,
            mm_per_sheet=mm, words_per_minute=speed, sides=sides, per=per,
        )  # fmt: skip
        n = tokens * 1e12 * words
        assert figures(w) == pytest.approx(
            {
                "words": n,
                "bytes": (n if per == "word" else tokens * 1e12) * size,
                "sheets": n / page / int(sides),
                "height": n / page / int(sides) * mm / 1000 / 1000,
                "typing": n / speed / 60 / 24 / 365.25,
            }
        )


@pytest.mark.parametrize("quantity", SCALES)
def test_each_figure_has_its_ruler_and_its_sentence(quantity):
    w = ScaleLadder(quantity=quantity)
    ruler = w.shown.ruler
    assert ruler.low < ruler.value < ruler.high
    assert ruler.value == figures(w)[quantity]
    assert ruler.shown in w.sentence
    assert all(ruler.low <= at <= ruler.high for at, *_ in (*ruler.ticks, *ruler.marks))
    assert [mark for mark in ruler.marks if mark[2] == "target"]
    assert len(repr(w)) <= 110


def test_the_ruler_of_heights_has_the_station_and_the_radius():
    marks = {label: at for at, label, _ in ScaleLadder(quantity="height").shown.ruler.marks}
    assert marks["the space station, 400 km"] == 400
    assert marks["the Earth’s radius, 6,371 km"] == 6371
    assert "22.5 times the space station’s height, 1.41 Earth radii" in ScaleLadder(quantity="height").sentence


def test_reset_and_refusals():
    w = ScaleLadder(quantity="typing")
    w.quantity, w.words_per_minute, w.sides = "height", 200.0, "2"
    w.reset()
    assert (w.quantity, w.words_per_minute, w.sides) == ("typing", 50.0, "1")
    with pytest.raises(traitlets.TraitError, match="There is no figure 'weight'; choose one of bytes, words"):
        w.quantity = "weight"
    with pytest.raises(traitlets.TraitError):
        w.trillion_tokens = -1.0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (27e12, "27.0 trillion"),
        (9_000, "9,000"),
        (0.0152, "0.0152"),
        (999_999, "1.00 million"),
        (1.5e6, "1.50 million"),
        (123_456, "123,000"),
        (1e20, "1.00×10²⁰"),
    ],
)
def test_counts_have_three_digits_and_a_word(value, shown):
    assert shown_count(value) == shown


def test_numbers_as_given_and_compared():
    assert round_count(36e12) == "36 trillion"
    assert round_count(15.6e12) == "15.6 trillion"
    assert round_count(500) == "500"
    assert scientific(3.888e25) == "3.888×10²⁵"
    assert three_digits(0.0) == "0"
    assert compared(108, 144) == "25\u202f% below"
    assert compared(144.1, 144) == ""
    assert compared(300, 100) == "3.00 times"
    assert n_bytes(144e12) == "144\u202fTB"
