"""ScaleLadder: what a model has read, in words, bytes, paper, height and years of typing.

A slide gives the figures; the widget names what they assume. Turn the assumptions until a slide comes out, and you
know what its author assumed.
"""

from __future__ import annotations

from typing import Any

import traitlets

from lmlab.systems.compute import (
    EARTH_RADIUS_KM,
    STATION_KM,
    TRILLION,
    n_sheets,
    n_words,
    stack_km,
    text_bytes,
    typing_years,
)
from lmlab.widgets._base import Control
from lmlab.widgets._calculator import (
    Calculator,
    CalculatorView,
    Figure,
    Scale,
    compared,
    dial,
    round_count,
    shown_count,
    three_digits,
    tick,
)
from lmlab.widgets._style import Span, Spans, bold, n_bytes, spans

# Landmarks; the slides' own figures come as targets.
SCALES = {
    "bytes": Scale(
        "Raw text, bytes", 1e6, 1e15, tick(n_bytes),
        ((5.0e6, "Shakespeare’s plays, 5 MB"), (24e9, "English Wikipedia, 24 GB"), (1e12, "a laptop’s disk, 1 TB")),
    ),
    "words": Scale(
        "Words", 1e5, 1e15, tick(shown_count),
        ((884_647, "Shakespeare’s plays, 885,000"), (5.0e9, "English Wikipedia, 5 billion")),
    ),
    "sheets": Scale(
        "Sheets of paper", 1e2, 1e12, tick(shown_count), ((500, "a ream, 500"), (240e3, "a pallet, 240,000"))
    ),
    "height": Scale(
        "Height of the stack, km", 1e-3, 1e6, tick(three_digits),
        ((8.849, "Mount Everest, 8.85 km"), (STATION_KM, "the space station, 400 km"),
         (EARTH_RADIUS_KM, "the Earth’s radius, 6,371 km"), (384_400.0, "the Moon, 384,400 km")),
    ),
    "typing": Scale(
        "Years of typing", 1.0, 1e8, tick(shown_count),
        ((80.0, "a life, 80 years"), (5_000.0, "the first writing, 5,000 ago"),
         (300_000.0, "the first humans, 300,000 ago")),
    ),
}  # fmt: skip
SLIDE = {  # the lecture's figures for 36 trillion tokens
    "words": (27e12, "the slide: 27 trillion"),
    "bytes": (144e12, "the slide: 144 TB"),
    "sheets": (90e9, "the slide: 90 billion"),
    "height": (9_000.0, "the slide: 9,000 km"),
    "typing": (1e6, "the slide: 1 million years"),
}


def ladder_figures(
    *, tokens: float, words_per_token: float, per: str, bytes_per_unit: float, words_per_page: float,
    mm_per_sheet: float, sides: int, words_per_minute: float,
) -> tuple[Figure, ...]:  # fmt: skip
    """The five figures, each with what it was computed from."""
    words = n_words(tokens, words_per_token=words_per_token)
    units = tokens if per == "token" else words
    size = text_bytes(units, bytes_per_unit=bytes_per_unit)
    sheets = n_sheets(words, words_per_page=words_per_page, sides=sides)
    height = stack_km(sheets, mm_per_sheet=mm_per_sheet)
    years = typing_years(words, words_per_minute=words_per_minute)
    printed = "one side" if sides == 1 else "two sides"
    read = ("trillion_tokens", "words_per_token")
    counted = (*(read if per == "word" else read[:1]), "bytes_per_unit")
    return (
        Figure("words", "words", words, shown_count(words), f"{round_count(tokens)} tokens × {words_per_token:g}",
               read),
        Figure("bytes", "raw text", size, n_bytes(size), f"{shown_count(units)} {per}s × {bytes_per_unit:g} bytes",
               counted),
        Figure("sheets", "sheets of paper", sheets, shown_count(sheets), f"{words_per_page:g} words a page, {printed}",
               (*read, "words_per_page")),
        Figure("height", "height of the stack", height, shown_count(height, "km"), f"{mm_per_sheet:g} mm a sheet",
               (*read, "words_per_page", "mm_per_sheet")),
        Figure("typing", "years to type it", years, shown_count(years), f"{words_per_minute:g} words a minute",
               (*read, "words_per_minute")),
    )  # fmt: skip


def scale_ladder_view(*, name: str, quantity: str, per: str, **assumptions: Any) -> CalculatorView:
    """What ScaleLadder shows for a set of assumptions; `per` is "token" or "word"."""
    figures = ladder_figures(per=per, **assumptions)
    by_name = {figure.name: figure for figure in figures}
    chosen = by_name[quantity]
    return CalculatorView(
        question=f"How much text is {round_count(assumptions['tokens'])} tokens?",
        about=f"ScaleLadder · what {name} read",
        readout=_readout(by_name, quantity, per, assumptions),
        foot=spans(
            "Sources: 36 trillion tokens, Qwen3 report (2025) · 0.75 words a token, a rule of thumb for English; "
            "DCLM-baseline counts 0.876 words and 4.33 bytes a token · paper of 80 g a square meter is 0.1 mm thick · "
            "years of 365.25 days"
        ),
        table=[["figure", "value", "from"], *([f.label, f.shown, f.how] for f in figures)],
        labels={"bytes_per_unit:unit": f"a {per}"},
        dials=ScaleLadder.dials,
        results=figures,
        quantity=quantity,
        ruler=SCALES[quantity].with_figure(chosen, [SLIDE[quantity]]),
    )


def _readout(by_name: dict[str, Figure], quantity: str, per: str, given: dict[str, Any]) -> Spans:
    figure, words = by_name[quantity], by_name["words"]
    by_figure: dict[str, list[str | Span]] = {
        "words": [f"{round_count(given['tokens'])} tokens are ", bold(f"{figure.shown} words"), ". "],
        "bytes": [f"At {given['bytes_per_unit']:g} bytes per {per}, ", f"{figure.how.split(' × ')[0]} are ",
                  bold(figure.shown), ". "],
        "sheets": [f"{words.shown} words fill ", bold(f"{figure.shown} sheets"), f", {figure.how}. "],
        "height": [f"Stacked, {by_name['sheets'].shown} sheets are ", bold(f"{figure.shown} high"), ": ",
                   bold(three_digits(figure.value / STATION_KM)), " times the space station’s height, ",
                   bold(three_digits(figure.value / EARTH_RADIUS_KM)), " Earth radii. "],
        "typing": [f"{words.shown} words take ", bold(f"{figure.shown} years"), " to type without a pause. "],
    }  # fmt: skip
    said = by_figure[quantity]
    target, label = SLIDE[quantity]
    far = compared(figure.value, target)
    return spans(*said, f"That is {far} {label.replace(':', '’s')}." if far else f"That is {label.replace(':', '’s')}.")


class ScaleLadder(Calculator):
    """What a model has read, as words, bytes, sheets, a stack and years; every assumption can be turned.

    `name` says whose text it is. `quantity` is the figure on the ruler: "bytes", "words", "sheets", "height" or
    "typing". `per` says whether the bytes are counted a token or a word.
    """

    scales = SCALES
    dials = (
        *("trillion_tokens", "words_per_token", "bytes_per_unit", "words_per_page", "mm_per_sheet"),
        "words_per_minute",
    )
    controls = ("per", "sides", *dials)

    per = traitlets.Enum(["token", "word"], "word").tag(
        sync=True,
        control=Control("segments", "Bytes are counted", options=(("word", "per word"), ("token", "per token"))),
    )  # fmt: skip
    sides = traitlets.Enum(["1", "2"], "1").tag(
        sync=True, control=Control("segments", "Paper is printed on", options=(("1", "one side"), ("2", "two sides")))
    )
    trillion_tokens = dial("tokens", 36.0, 0.1, 100.0, 0.1, "trillion")
    words_per_token = dial("words a token", 0.75, 0.05, 2.0, 0.01, "")
    bytes_per_unit = dial("bytes", 4.0, 0.5, 12.0, 0.01, "a word")
    words_per_page = dial("words a page", 300.0, 20.0, 1000.0, 10.0, "")
    mm_per_sheet = dial("a sheet", 0.1, 0.01, 1.0, 0.01, "mm")
    words_per_minute = dial("words a minute", 50.0, 1.0, 300.0, 1.0, "")

    def __init__(self, name: str = "Qwen 3", **traits: Any) -> None:
        self._name_of_model = name
        super().__init__(**traits)

    def compute(self) -> CalculatorView:
        return scale_ladder_view(
            name=self._name_of_model,
            quantity=self.quantity,
            per=self.per,
            tokens=self.trillion_tokens * TRILLION,
            words_per_token=self.words_per_token,
            bytes_per_unit=self.bytes_per_unit,
            words_per_page=self.words_per_page,
            mm_per_sheet=self.mm_per_sheet,
            sides=int(self.sides),
            words_per_minute=self.words_per_minute,
        )
