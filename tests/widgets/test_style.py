"""The one formatter, and the rule that text is never markup."""

from __future__ import annotations

import html.parser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmlab.widgets._style import (
    bold,
    mono,
    n_bytes,
    number,
    ordinal,
    percent,
    plain,
    safe_html,
    seconds,
    spans,
    token_name,
    visible,
    you,
)  # fmt: skip


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (0, "0"), (0.62, "62\u202f%"), (0.044, "4.4\u202f%"), (0.002, "0.20\u202f%"), (0.0005, "0.050\u202f%"),
        (1 / 50_000, "1 in 50,000"), (1e-11, "1 in 10¹¹"), (1, "100\u202f%"), (0.9961, "99.6\u202f%"),
        (0.0999, "10\u202f%"), (0.00999, "1.0\u202f%"), (1e-300, "1 in 10³⁰⁰"), (5e-324, "1 in 10³⁰⁰"),
        (float("nan"), "not a number"),
    ],
)  # fmt: skip
def test_a_probability_has_two_significant_digits_and_small_ones_are_odds(probability: float, shown: str) -> None:
    assert percent(probability) == shown


@given(st.floats(min_value=1e-4, max_value=1))
def test_a_percentage_is_within_rounding_of_the_probability(p: float) -> None:
    assert float(percent(p).replace("\u202f%", "")) / 100 == pytest.approx(p, rel=0.06)


def test_numbers_have_a_true_minus_and_no_negative_zero() -> None:
    assert number(-1234.5) == "−1,234.50"
    assert number(-0.001) == "0.00"
    assert number(float("inf")) == "∞"


def test_bytes_are_decimal_and_times_have_units() -> None:
    assert [n_bytes(v) for v in (12, 16_400, 1.12e12)] == ["12\u202fbytes", "16.4\u202fkB", "1.12\u202fTB"]
    assert [seconds(v) for v in (0.008, 1.2, 112)] == ["8\u202fms", "1.2\u202fs", "1\u202fmin 52\u202fs"]
    assert [ordinal(n) for n in (2, 11, 22, 113)] == ["second", "11th", "22nd", "113th"]


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" the", "·the"), ("\n\t", "↵→"), ("", "∅"), ("\x00", "⟨U+0000⟩"), ("\u202eabc", "⟨U+202E⟩abc"),
        ("\u200b", "⟨U+200B⟩"), ("\ufeff", "⟨U+FEFF⟩"), ("👩‍👧", "👩‍👧"), ("日本", "日本"), ("\u0301", "◌\u0301"),
    ],
)  # fmt: skip
def test_whitespace_and_the_invisible_can_be_seen(token: str, shown: str) -> None:
    assert visible(token) == shown


def test_a_special_token_is_named_only_where_it_is_one() -> None:
    assert token_name("<|endoftext|>", {"<|endoftext|>"}) == "⟨end⟩"
    assert token_name("<|endoftext|>") == "<|endoftext|>"


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(max_size=60))
def test_no_text_becomes_markup(text: str) -> None:
    page = _Tags()
    page.feed(safe_html(spans(text, mono(text), you(text), bold(text)), [["a"], [text]]))
    assert set(page.tags) <= {"p", "b", "code", "mark", "table", "thead", "tbody", "tr", "th", "td"}
    canary = safe_html(spans(mono("<img src=x onerror=alert(1)>")))
    assert "<img" not in canary
    assert plain(spans(mono("<img>"))) == "<img>"
