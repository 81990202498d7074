"""The columns of a waterfall of surprise: a word each, or a gap of many, and the lines across their total."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from lmlab.text_model import TextModel
from lmlab.tokenizer.split import pretokens
from lmlab.widgets._style import number, percent
from lmlab.widgets._surprise import Score, perplexity, shown_word

WORDS = 24  # columns that are drawn; what is between the first and the last of them is one column with its count
SMALLEST = -600.0  # a log-probability below it is beyond the machine's numbers, or soon will be
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
UNITS = {"bits": math.log(2), "nats": 1.0}


@dataclasses.dataclass(frozen=True)
class Piece:
    """A word, or a gap of ``hidden`` words; for each column its surprise in the unit and the probability as shown.

    An impossible word has an infinite surprise and is shown as ``0``; where a column has nothing to say any more the
    probability is shown as a dash.
    """

    text: str
    start: int
    end: int
    surprise: tuple[float, ...]
    cost: tuple[str, ...]
    shown: tuple[str, ...]
    yours: bool = False
    hidden: int = 0


@dataclasses.dataclass(frozen=True)
class Mark:
    """A line across the total: what it says, and where it stands for each model, in the unit."""

    label: str
    totals: tuple[float, ...]
    shown: tuple[str, ...]


def shown_chance(log_prob: float) -> str:
    """A probability given as its natural logarithm: never 0 unless it is, however long the text."""
    if -math.inf < log_prob < SMALLEST:
        return f"1 in {_power_of_ten(-log_prob)}"
    return percent(math.exp(log_prob))


def shown_perplexity(total: float, n: int) -> str:
    """The perplexity of ``n`` words with this log-probability together; a power of ten where it is beyond reading."""
    return _power_of_ten(-total / n) if -math.inf < total / n < -25 else number(perplexity(total, n))


def _power_of_ten(nats: float) -> str:
    return "10" + str(round(nats / math.log(10))).translate(_SUPERSCRIPT)


def shown_cost(log_prob: float, unit: str) -> str:
    """What a word of this log-probability adds, in `unit` (a key of UNITS)."""
    return number(-log_prob / UNITS[unit])


def mark_at(label: str, logs: Sequence[float], unit: str) -> Mark:
    """A mark at these log-probabilities, one a model, in `unit`."""
    return Mark(label, tuple(-p / UNITS[unit] for p in logs), tuple(shown_cost(p, unit) for p in logs))


def pieces_of(words: Sequence[tuple[str, list[float]]], yours: range, unit: str, *, start: int) -> list[Piece]:
    """The waterfall's steps from `words`, each with its log-probability in every model; what follows an impossible
    word has no number. `yours`: those that the student changed. `start`: where in the text the first one begins."""
    pieces, at, silent = [], start, [False] * (len(words[0][1]) if words else 0)
    for i, (word, logs) in enumerate(words):
        shown = ["–" if silent[k] and p == -math.inf else shown_chance(p) for k, p in enumerate(logs)]
        silent = [was or p == -math.inf for was, p in zip(silent, logs, strict=True)]
        surprise = tuple(-p / UNITS[unit] for p in logs)
        costs = tuple("–" if p == "–" else number(value) for p, value in zip(shown, surprise, strict=True))
        begin = at + (word.startswith(" ") and len(word) > 1)
        pieces.append(Piece(shown_word(word), begin, at + len(word), surprise, costs, tuple(shown), i in yours))
        at += len(word)
    return pieces


def gapped(pieces: list[Piece], unit: str) -> list[Piece]:
    """At most ``WORDS`` columns: the words between the first and the last ones are one, with their sum."""
    if len(pieces) <= WORDS:
        return pieces
    head, tail = WORDS // 2, len(pieces) - WORDS // 2 + 1
    gone = pieces[head:tail]
    surprise = tuple(math.fsum(piece.surprise[i] for piece in gone) for i in range(len(gone[0].surprise)))
    gap = Piece(
        f"… {len(gone):,} words …",
        gone[0].start,
        gone[-1].end,
        surprise,
        tuple(number(value) for value in surprise),
        tuple(shown_chance(-value * UNITS[unit]) for value in surprise),
        any(piece.yours for piece in gone),
        len(gone),
    )
    return [*pieces[:head], gap, *pieces[tail:]]


def before_change(
    models: Sequence[TextModel],
    first: str,
    words: Sequence[tuple[str, list[float]]],
    yours: range,
    unit: str,
    score: Score,
) -> Mark:
    """What the whole cost at first: named by the word that stood there, where one word alone was exchanged."""
    logs = [math.fsum(p for _, p in score(model, first.strip(" "))) for model in models]
    was = pretokens(first.strip(" "))
    one = len(yours) == 1 and len(was) == len(words)
    return mark_at(shown_word(was[yours[0]]) if one else "at first", logs, unit)
