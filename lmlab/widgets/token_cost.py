"""TokenCost: what the same text costs in six languages, and what digits, code and white space cost, in tokens.

A tokenizer spends its vocabulary on what it was trained on; everybody else pays. The bars say how much.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from lmlab.assets import asset
from lmlab.tokenizer.pieces import pieces
from lmlab.tokenizer.words import WordTokenizer
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, spans, you
from lmlab.widgets._tokenizers import Given, Named, named, shown

LANGUAGES = ("English", "German", "Spanish", "Arabic", "Hindi", "Chinese")
OTHERS = ("digits", "code", "whitespace")
YOURS = "yours"
UNITS = {"text": "same text", "word": "word", "character": "character", "byte": "byte"}
DRAWN = 24  # tokens of the chosen text that are drawn
UNSPACED = ("Chinese",)  # written without spaces: there are no words to count


@dataclasses.dataclass(frozen=True)
class Cost:
    """A text's counts, and for each tokenizer its tokens, tokens a unit and that as a multiple of English; None where
    there is nothing to compare. ``shown`` is what stands in the columns, ``said`` what a screen reader says."""

    name: str
    n_characters: int
    n_bytes: int
    n_words: int
    n_tokens: tuple[int, ...]
    values: tuple[float | None, ...]
    ratios: tuple[float | None, ...]
    shown: tuple[str, ...]
    said: str


@dataclasses.dataclass(frozen=True)
class Cut:
    """The beginning of a text as one tokenizer cuts it; ``more`` tokens follow."""

    name: str
    texts: tuple[str, ...]
    sizes: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    parts: tuple[bool, ...]
    more: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenCostView(View):
    """``costs`` are the rows; ``cuts`` show the ``chosen`` one; ``heading`` names what the bars measure."""

    costs: tuple[Cost, ...]
    columns: tuple[str, ...]
    heading: str
    against: bool
    chosen: int
    cuts: tuple[Cut, ...]


def shipped_texts() -> dict[str, str]:
    """The texts that ship with the lab: of each language the paragraph to measure, then digits, code, white space."""
    texts = {name: _read(name) for name in (*LANGUAGES, *OTHERS)}
    return {name: text.rsplit("\n\n", 1)[-1] if name in LANGUAGES else text for name, text in texts.items()}


def _read(name: str) -> str:
    return asset(f"texts/{name.lower()}.txt").read_text(encoding="utf-8").rstrip("\n")


def units(text: str, unit: str, name: str) -> int | None:
    """How many units a text has to share its tokens among; None where that says nothing.

    "text" is 1 for the six languages, which say the same; nothing else is the same text.
    """
    if unit == "text":
        return 1 if name in LANGUAGES else None
    if unit == "word":
        return None if name in UNSPACED else len(text.split()) or None
    return (len(text) if unit == "character" else len(text.encode("utf-8", "replace"))) or None


def costs(rows: Sequence[Named], texts: Mapping[str, str], unit: str, *, against: bool) -> tuple[Cost, ...]:
    """The cost of every text under every tokenizer; ``against`` shows ratios against the first text."""
    first: tuple[float | None, ...] = ()
    made = []
    for name, text in texts.items():
        n = tuple(n_tokens(of, text) for of in rows)
        among = units(text, unit, name)
        values = tuple(k / among if among else None for k in n)
        first = first or values
        ratios = tuple(v / e if v is not None and e else None for v, e in zip(values, first, strict=True))
        cells = tuple(_cell(v, unit, against=against) for v in (ratios if against else values))
        said = f"{name}: " + ", ".join(f"{of.name} {cell}" for of, cell in zip(rows, cells, strict=True))
        n_bytes = len(text.encode("utf-8", "replace"))
        made.append(Cost(name, len(text), n_bytes, len(text.split()), n, values, ratios, cells, said))
    return tuple(made)


def n_tokens(of: Named, text: str) -> int:
    """How many tokens a text has; a word that a dictionary lacks counts as one, although nothing can read it."""
    if isinstance(of.tokenizer, WordTokenizer):
        return len(pieces(of.tokenizer, text))
    return len(of.tokenizer.encode(text))


def _cell(value: float | None, unit: str, *, against: bool) -> str:
    if value is None:
        return "–"
    if against:
        return f"{number(value, 1 if value < 9.95 else 0)}×"
    return f"{value:,.0f}" if unit == "text" else number(value, 2 if value < 9.95 else 1)


def cut(of: Named, text: str) -> Cut:
    """The first tokens of a text."""
    found = pieces(of.tokenizer, text[: 8 * DRAWN])
    few = found[: DRAWN if len(found) > DRAWN else None]
    return Cut(
        name=of.name,
        texts=tuple(map(shown, few)),
        sizes=tuple(len(p.data) for p in few),
        starts=tuple(p.start for p in few),
        ends=tuple(p.end for p in few),
        parts=tuple(not p.is_text for p in few),
        more=n_tokens(of, text) - len(few),
    )


def cost_view(
    rows: Sequence[Named], texts: Mapping[str, str], *, unit: str = "text", against: bool = False, chosen: str = ""
) -> TokenCostView:
    """What TokenCost shows; the text named ``chosen`` is drawn token by token (the dearest language by default)."""
    listed = costs(rows, texts, unit, against=against)
    names = [cost.name for cost in listed]
    at = names.index(chosen) if chosen in names else names.index(_dearest(listed).name)
    heading = "Tokens for the same text" if unit == "text" else f"Tokens a {unit}"
    return TokenCostView(
        question="Who pays more for saying the same?",
        about=f"TokenCost · {count(len(rows), 'tokenizer')}",
        readout=_said(rows, listed, at, unit),
        foot=spans(
            mono("tokens (T,)"),
            f" · languages: one paragraph of ours, {listed[0].n_words} words in {listed[0].name}, the same in each",
            " · – : nothing to compare (no parallel text, or no spaces between words)",
        ),
        table=[["text", *(of.name for of in rows)], *([cost.name, *cost.shown] for cost in listed)],
        costs=listed,
        columns=tuple(of.name for of in rows),
        heading=heading + (f", as a multiple of {names[0]}" if against else ""),
        against=against,
        chosen=at,
        cuts=tuple(cut(of, texts[names[at]]) for of in rows),
    )


def _dearest(listed: Sequence[Cost]) -> Cost:
    languages = [cost for cost in listed if cost.name in LANGUAGES and cost.values[0] is not None] or listed[:1]
    return max(languages, key=lambda cost: cost.values[0] or 0)


def _said(rows: Sequence[Named], listed: Sequence[Cost], at: int, unit: str) -> Spans:
    """About the chosen text, under each tokenizer: its tokens, and how many times English that is."""
    cost = listed[at]
    name = you(cost.name) if cost.name == YOURS else bold(cost.name)
    said: list[str | Span] = [name, f" ({count(cost.n_characters, 'character')}, {count(cost.n_bytes, 'byte')}): "]
    for slot, of in enumerate(rows):
        said += ["" if not slot else "; ", model_name(slot, of.name), " ", bold(count(cost.n_tokens[slot], "token"))]
        ratio = cost.ratios[slot]
        if at and ratio is not None:
            per = "" if unit == "text" else f" per {unit}"
            said.append(f", {number(ratio, 1)} times {listed[0].name}{per}")
    return spans(*said, ".")


class TokenCost(LabWidget):
    """Bars of tokens for the same text in six languages, and for digits, code and white space, under one to four
    tokenizers. Your own text is one more row.

    Takes text models, tokenizers, "bytes", "characters", or mappings from names to those. ``texts`` replaces the
    shipped ones by name; the first is what the others are compared with.
    """

    kind = "token_cost"
    parts = ("chips",)
    controls = ("per", "numbers", "text")
    inputs = ("chosen",)

    per = traitlets.Unicode("text").tag(
        sync=True, control=Control("segments", "Tokens for each", options=tuple(UNITS.items()))
    )
    numbers = traitlets.Unicode("tokens").tag(
        sync=True,
        control=Control(
            "segments", "Numbers", options=(("tokens", "tokens"), ("ratio", "times English")), secondary=True
        ),
    )
    text = traitlets.Unicode().tag(
        sync=True,
        control=Control("text", "Your own text, one more row", placeholder="in any language", wide=True),
    )
    chosen = traitlets.Unicode(help="the text drawn token by token; empty: yours, else the dearest language").tag(
        sync=True
    )

    def __init__(
        self, *tokenizers: Given | Mapping[str, Given], texts: Mapping[str, str] | None = None, **traits: Any
    ) -> None:
        self._rows = named(tokenizers, "TokenCost")
        self._texts = dict(texts or shipped_texts())
        first = next(iter(self._texts))
        options = {"numbers": {"options": (("tokens", "tokens"), ("ratio", f"times {first}"))}}
        super().__init__(options=options, **traits)

    @traitlets.observe("text")
    def _yours_is_chosen(self, _: Any) -> None:
        self.chosen = ""

    def reset(self) -> None:
        self.chosen = ""
        super().reset()

    def compute(self) -> TokenCostView:
        texts = self._texts | ({YOURS: self.text} if self.text else {})
        chosen = self.chosen or (YOURS if self.text else "")
        return cost_view(self._rows, texts, unit=self.per, against=self.numbers == "ratio", chosen=chosen)
