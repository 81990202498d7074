"""How numbers, tokens and sentences look: the one formatter of every widget.

A sentence on screen is a list of spans, each a ``(style, text)`` pair, so that text from a model, a file
or a student never becomes markup: the front-end puts every text into the page with ``textContent``.
Styles: ``""`` plain, ``"b"`` a number, ``"mono"`` a token, ``"you"`` the student's own, ``"m1"`` to ``"m4"``
a model in its slot, ``"bad"`` what went wrong. The same spans without style are the widget's repr and what
a screen reader says. ``js/base.js`` formats the few numbers that the browser computes by the same rules.
"""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Container, Sequence

Span = tuple[str, str]
Spans = tuple[Span, ...]

NARROW = "\u202f"  # narrow no-break space, before every unit
MINUS = "\u2212"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def spans(*parts: str | Span) -> Spans:
    """Make a sentence: plain strings and ``(style, text)`` pairs, in order."""
    return tuple(("", part) if isinstance(part, str) else part for part in parts)


def bold(text: str) -> Span:
    """A number that carries the sentence."""
    return "b", text


def mono(text: str) -> Span:
    """A token or a piece of code."""
    return "mono", text


def you(text: str) -> Span:
    """What the student typed, guessed or holds."""
    return "you", text


def model_name(slot: int, name: str) -> Span:
    """A model's name in the color and shape of its slot, which counts from 0."""
    return f"m{slot + 1}", name


def plain(sentence: Sequence[Span]) -> str:
    """The sentence without its styles."""
    return "".join(text for _, text in sentence)


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus and comma thousands: ``-1234.5`` is ``−1,234.50``."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{abs(value):,.{digits}f}"
    return (MINUS if value < 0 and float(text.replace(",", "")) != 0 else "") + text


def count(value: int, noun: str = "", plural: str | None = None) -> str:
    """A count with its noun: ``count(1, "token")`` is ``1 token``, ``count(2048, "token")`` ``2,048 tokens``."""
    if not noun:
        return f"{value:,}"
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def percent(probability: float) -> str:
    """A probability to two significant digits; small ones as ``1 in 50,000`` and then ``1 in 10¹¹``."""
    p = probability
    if math.isnan(p):
        return "not a number"
    if p <= 0:
        return "0"
    if p < 1e-4:
        odds = 1 / p if p > 1e-300 else math.inf
        if odds >= 1e6:
            exponent = round(math.log10(odds)) if odds < math.inf else 300
            return "1 in 10" + str(exponent).translate(_SUPERSCRIPT)
        step = 10 ** (len(str(round(odds))) - 2)
        return f"1 in {round(odds / step) * step:,}"
    if p >= 0.9995:
        return f"100{NARROW}%"
    if p >= 0.995:
        return f"{100 * p:.1f}{NARROW}%"
    if p >= 0.0995:
        return f"{100 * p:.0f}{NARROW}%"
    digits = 1 if p >= 0.00995 else 2 if p >= 0.000995 else 3
    return f"{100 * p:.{digits}f}{NARROW}%"


def n_bytes(value: float) -> str:
    """Bytes in decimal units: ``16.4 kB``, ``1.12 TB``."""
    if value < 1000:
        return f"{value:.0f}{NARROW}bytes"
    units = ["kB", "MB", "GB", "TB", "PB"]
    value /= 1000
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{digits}f}{NARROW}{units[0]}"


def seconds(value: float) -> str:
    """A duration: ``8 ms``, ``1.2 s``, ``1 min 52 s``."""
    if value < 0.9995:
        return f"{1000 * value:.0f}{NARROW}ms"
    if value < 59.95:
        return f"{value:.1f}{NARROW}s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}{NARROW}min {rest}{NARROW}s"


_MARKS = {" ": "·", "\n": "↵", "\t": "→", "\r": "␍"}


def visible(text: str) -> str:
    """A token with its whitespace and its invisible characters to be seen: ``" a\\n"`` is ``·a↵``.

    Control and format characters (NUL, a zero-width space, a right-to-left override) become ``⟨U+202E⟩``,
    except the joiner inside an emoji; an empty text is ``∅``.
    """
    if not text:
        return "∅"
    shown = []
    for i, char in enumerate(text):
        joins = char == "\u200d" and 0 < i < len(text) - 1 and ord(text[i - 1]) > 0x2000
        if char in _MARKS:
            shown.append(_MARKS[char])
        elif unicodedata.category(char) in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp") and not joins:
            shown.append(f"⟨U+{ord(char):04X}⟩")
        elif unicodedata.category(char) == "Zs":
            shown.append("⍽")
        else:
            shown.append(char)
    if unicodedata.combining(text[0]):
        shown.insert(0, "◌")
    return "".join(shown)


def token_name(text: str, specials: Container[str] = ()) -> str:
    """A token as a label: ``visible`` text, or ``⟨end⟩``, ``⟨user⟩`` for a special token."""
    if text in specials:
        return "⟨end⟩" if text == "<|endoftext|>" else "⟨" + text.strip("<|>") + "⟩"
    return visible(text)


def ordinal(n: int) -> str:
    """``first`` to ``tenth``, then ``11th``."""
    words = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
    if 1 <= n <= len(words):
        return words[n - 1]
    suffix = "th" if 10 < n % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


def safe_html(sentence: Sequence[Span], table: Sequence[Sequence[str]] = ()) -> str:
    """The text twin of a widget for a page without a kernel: one sentence and a small table, all escaped."""
    tags = {"b": "b", "mono": "code", "you": "mark"}
    said = "".join(
        f"<{tag}>{html.escape(text)}</{tag}>" if (tag := tags.get(style)) else html.escape(text)
        for style, text in sentence
    )
    rows = [list(map(html.escape, row)) for row in table]
    if not rows:
        return f"<p>{said}</p>"
    head = "".join(f"<th>{cell}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<p>{said}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
