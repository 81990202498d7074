"""`lab.reveal(id, guess, value)`: a prediction in text, where `lab.widgets.Prediction` is too much.

The guess is kept with your other guesses; it can be made again and is never scored.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

from lmlab.user_folder import forget_guess, guesses, save_guess


@dataclass(frozen=True, repr=False)
class Reveal:
    """A guess beside its answer, as one sentence."""

    id: str
    guess: Any
    value: Any
    unit: str = ""

    def __repr__(self) -> str:
        if self.guess is None or self.guess is ...:
            return f"no guess yet: put yours in place of the dots, lab.reveal({self.id!r}, …, …)"
        said = f"You said {_shown(self.guess, self.unit)}; the answer is {_shown(self.value, self.unit)}"
        return f"{said}{_distance(self.guess, self.value, self.unit)}."


def reveal(id: str, guess: Any, value: Any, *, unit: str = "") -> Reveal:
    """Your `guess` and the answer `value`, which may be a number, a text, or a function that computes it.

    `guess` may be `...` for "not yet"; then the answer stays hidden. With `unit="%"` both are probabilities
    from 0 to 1. Raises ValueError for a guess of another kind than the answer.
    """
    if guess is None or guess is ...:
        return Reveal(id, guess, None, unit)
    answer = value() if callable(value) else value
    _same_kind(guess, answer, unit)
    if guesses().get(id, ...) != _plain(guess):
        forget_guess(id)
        save_guess(id, _plain(guess), unit=unit or None)
    return Reveal(id, _plain(guess), _plain(answer), unit)


def _plain(value: Any) -> Any:
    """A number of any library as a plain one, so that it can be kept."""
    if isinstance(value, (bool, str, int)):
        return value
    return float(value) if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, numbers.Real) or getattr(value, "shape", None) == ()


def _same_kind(guess: Any, answer: Any, unit: str) -> None:
    if _is_number(answer) != _is_number(guess):
        wanted = "a number" if _is_number(answer) else f"one of the answers, a {type(answer).__name__}"
        raise ValueError(f"expected {wanted} as the guess, got {guess!r}")
    if _is_number(guess) and not math.isfinite(float(guess)):
        raise ValueError(f"expected a finite number as the guess, got {guess!r}")
    if unit == "%" and not 0 <= float(guess) <= 1:
        raise ValueError(f"a probability lies between 0 and 1: write 45 % as 0.45, not {guess!r}")


def _shown(value: Any, unit: str) -> str:
    if not _is_number(value):
        return repr(value) if isinstance(value, str) else str(value)
    if unit == "%":
        return f"{100 * float(value):.2g} %" if float(value) < 0.995 else f"{100 * float(value):.3g} %"
    text = f"{value:,}" if isinstance(value, int) else _three_digits(float(value))
    return f"{text} {unit}".rstrip()


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.12g}"


def _distance(guess: Any, value: Any, unit: str) -> str:
    if not _is_number(value):
        return ", as you said" if guess == value else ""
    gap = float(guess) - float(value)
    if gap == 0:
        return ": the same"
    side = "high" if gap > 0 else "low"
    if unit == "%":
        points = f"{100 * abs(gap):.2g}" if abs(gap) < 0.1 else f"{100 * abs(gap):.0f}"
        return f": you were {points} points {side}"
    if guess > 0 and value > 0 and not 0.5 <= guess / value <= 2:
        return f": {_three_digits(max(guess / value, value / guess))} times too {side}"
    return f": you were {_shown(abs(gap), unit)} too {side}"
