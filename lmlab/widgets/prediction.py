"""Prediction: guess first, then see. The guess is kept, can be made again, and is never scored.

The answer is a value computed in the notebook, or a callable that computes it when the guess is locked in;
until then neither it nor anything near it reaches the page.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import traitlets

from lmlab import user_folder
from lmlab.widgets._base import LabWidget, View
from lmlab.widgets._style import Span, Spans, bold, model_name, number, percent, spans, you

Value = float | str


@dataclasses.dataclass(frozen=True)
class Bar:
    """One line of the answer: who says it, in which style, how far along the scale (None for words), as text."""

    who: str
    style: str
    fraction: float | None
    shown: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionView(View):
    """``bars`` is empty until the guess is locked in; ``low``, ``high``, ``step`` and ``unit`` make the slider,
    ``choices`` a choice instead."""

    bars: tuple[Bar, ...] = ()
    low: float = 0.0
    high: float = 1.0
    step: float = 0.01
    unit: str = ""
    choices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked and how: the same for every guess. ``by`` names who gives the answer."""

    question: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    step: float = 0.01
    by: str = "the answer"
    reason: str = ""
    note: str = "prediction"


def prediction_view(ask: Ask, guess: Value | None, answer: Value | None, truth: Value | None = None) -> PredictionView:
    """The question alone, or with a guess and its answer all on one scale: you, the model, the truth."""
    scale = {"low": ask.low, "high": ask.high, "step": ask.step, "unit": ask.unit, "choices": ask.choices}
    if guess is None or answer is None:
        return PredictionView(
            question=ask.question,
            about=ask.note,
            readout=spans("no guess yet"),
            **scale,  # type: ignore[arg-type]
        )
    rows: list[tuple[str, str, Value]] = [("you", "you", guess), (ask.by, "m1", answer)]
    if truth is not None:
        rows.append(("truth", "truth", truth))
    most = max((abs(v) for _, _, v in rows if not isinstance(v, str)), default=0.0) or 1.0
    bars = tuple(
        Bar(who, style, None if isinstance(v, str) else abs(v) / most, shown(v, ask.unit)) for who, style, v in rows
    )
    return PredictionView(
        question=ask.question,
        about=f"{ask.note} · computed now",
        readout=_sentence(ask, guess, answer, truth),
        table=[["who", "says"], *([bar.who, bar.shown] for bar in bars)],
        bars=bars,
        **scale,  # type: ignore[arg-type]
    )


def shown(value: Value, unit: str) -> str:
    """A value with its unit, as everywhere in the lab."""
    if isinstance(value, str):
        return value
    if unit == "%":
        return percent(value)
    whole = float(value).is_integer()
    digits = 0 if whole or abs(value) >= 1000 else 2 if abs(value) < 10 else 1
    return f"{number(value, digits)}\u202f{unit}".rstrip("\u202f")


def _sentence(ask: Ask, guess: Value, answer: Value, truth: Value | None) -> Spans:
    by: Span = model_name(0, ask.by) if ask.by != "the answer" else ("b", ask.by)
    said: list[str | Span] = ["You said ", you(shown(guess, ask.unit)), "; ", by]
    said += [" says " if ask.by != "the answer" else " is ", bold(shown(answer, ask.unit))]
    if truth is not None:
        said += [" and the truth is ", bold(shown(truth, ask.unit))]
    against = answer if truth is None else truth
    said += [". ", _distance(guess, against, ask.unit), f": {ask.reason}." if ask.reason else "."]
    return spans(*said)


def _distance(guess: Value, value: Value, unit: str) -> str:
    """How far the guess is from what it is compared with; never a judgment."""
    if isinstance(guess, str) or isinstance(value, str):
        return "That is what you said" if guess == value else "That is another one"
    gap = guess - value
    side = "high" if gap > 0 else "low"
    if unit == "%":
        points = 100 * abs(gap)
        if points < 0.5:
            return "You were within half a point"
        return f"You were {points:.0f} point{'' if round(points) == 1 else 's'} {side}"
    if gap == 0:
        return "You said just that"
    if guess > 0 and value > 0 and not 0.5 <= guess / value <= 2:
        return f"You were {number(max(guess / value, value / guess), 0)} times too {side}"
    return f"You were {shown(abs(gap), unit)} too {side}"


class Prediction(LabWidget):
    """A question with a slider (or, with ``choices``, a choice) and one button, *Lock in and reveal*.

    ``answer`` is a number, one of the choices, or a callable that gives it; ``truth``, where there is one,
    likewise. With ``unit="%"`` all are probabilities from 0 to 1. Other numbers need ``scale=(low, high)``.
    ``by`` names the model that answers; ``reason`` ends the sentence after the distance. The guess is kept in
    the student's folder under ``id``; ``guess = 0.45`` in code locks in 45 %.
    """

    kind = "prediction"
    inputs = ("guess",)

    guess = traitlets.Any(None, allow_none=True, help="the student's guess; None until it is locked in").tag(sync=True)

    def __init__(
        self,
        id: str,
        question: str,
        answer: Value | Callable[[], Value],
        *,
        unit: str = "",
        choices: Sequence[str] = (),
        scale: tuple[float, float] | None = None,
        truth: Value | Callable[[], Value] | None = None,
        by: str = "the answer",
        reason: str = "",
        note: str = "prediction",
    ) -> None:
        if scale is None and not choices and unit != "%":
            raise ValueError(f'Prediction {id!r} needs scale=(low, high), choices=(…) or unit="%" to guess on.')
        low, high = scale or (0.0, 1.0)
        if not choices and not low < high:
            raise ValueError(f"Prediction {id!r} got scale=({low}, {high}); the first must be the smaller one.")
        self._id, self._answer_of, self._truth_of = id, answer, truth
        self._ask = Ask(
            question=question, unit=unit, choices=tuple(choices), low=low, high=high, by=by, reason=reason, note=note,
            step=_step(low, high, unit),
        )  # fmt: skip
        kept = user_folder.guesses().get(id)
        super().__init__(guess=kept if kept is not None and not self._problem(kept) else None)

    def compute(self) -> PredictionView:
        if self.guess is None:
            return prediction_view(self._ask, None, None)
        problem = self._problem(self.guess)
        if problem:
            raise ValueError(problem)
        view = prediction_view(self._ask, self.guess, _value(self._answer_of), _value(self._truth_of))
        if user_folder.guesses().get(self._id) != self.guess:
            user_folder.forget_guess(self._id)
            user_folder.save_guess(self._id, self.guess, unit=self._ask.unit or None)
        return view

    def reset(self) -> None:
        """Take the guess back, here and in the student's folder."""
        user_folder.forget_guess(self._id)
        self.guess = None

    def _problem(self, guess: Any) -> str:
        """Why this cannot be a guess, or nothing."""
        ask = self._ask
        if ask.choices:
            return "" if guess in ask.choices else f"Choose one of {', '.join(ask.choices)}; {guess!r} is none of them."
        if isinstance(guess, bool) or not isinstance(guess, int | float) or not math.isfinite(guess):
            return f"A guess here is a number, and {guess!r} is none."
        if not ask.low <= guess <= ask.high:
            hint = " Write 45 % as 0.45." if ask.unit == "%" else ""
            return f"A guess here lies between {ask.low:g} and {ask.high:g}, and {guess!r} does not.{hint}"
        return ""


def _step(low: float, high: float, unit: str) -> float:
    """A hundred to two hundred stops, at round numbers."""
    if unit == "%":
        return 0.01
    return 10.0 ** math.floor(math.log10((high - low) / 100))


def _value(of: Any) -> Value | None:
    """The answer itself: a callable is asked, a number of any library becomes a plain one."""
    value = of() if callable(of) else of
    return value if value is None or isinstance(value, str) else float(value)
