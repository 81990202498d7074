"""A calculator: assumptions with unit and source, the figures that follow, and one of them on a log ruler.

ScaleLadder and TrainingCost are two of them. The page computes nothing: a turned assumption asks the kernel, which
answers from `lmlab.systems.compute`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import traitlets

from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._style import NARROW

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
KNOWN, TARGET = "known", "target"


@dataclass(frozen=True)
class Figure:
    """A figure that follows: its name, what it is, its value, how it is shown, and from what it was computed.

    `uses` names the dials that move it.
    """

    name: str
    label: str
    value: float
    shown: str
    how: str
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Ruler:
    """A log ruler from `low` to `high`: ticks (value, label), marks (value, label, kind), and the figure on it."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    marks: tuple[tuple[float, str, str], ...]
    value: float
    shown: str


@dataclass(frozen=True, kw_only=True)
class CalculatorView(View):
    """`dials` are the traits that may be turned, `results` the figures, `quantity` the one on the `ruler`.

    `idle` names the other controls that change nothing at present; a dial idles where no figure uses it.
    """

    dials: tuple[str, ...]
    idle: tuple[str, ...] = ()
    results: tuple[Figure, ...]
    quantity: str
    ruler: Ruler


@dataclass(frozen=True)
class Scale:
    """What a ruler has before a figure stands on it: title, ends, a formatter of ticks, landmarks."""

    title: str
    low: float
    high: float
    tick: Callable[[float], str]
    marks: tuple[tuple[float, str], ...] = ()
    every: int = 1  # decades from tick to tick

    def with_figure(self, figure: Figure, targets: Sequence[tuple[float, str]] = ()) -> Ruler:
        """The ruler with a figure and what it is to reach."""
        decades = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1, self.every)
        return Ruler(
            title=self.title,
            low=self.low,
            high=self.high,
            ticks=tuple((10.0**d, self.tick(10.0**d)) for d in decades),
            marks=tuple((*m, KNOWN) for m in self.marks) + tuple((*t, TARGET) for t in targets),
            value=figure.value,
            shown=figure.shown,
        )


def dial(label: str, default: float, low: float, high: float, step: float, unit: str) -> Any:
    """An assumption as a trait: a slider and a box to type the exact number in, with its unit.

    `low` is a multiple of `step`, so that the slider's stops are round numbers. A range of more than three decades
    is a log scale, on which an arrow key turns the number by about 1 %, and by `step` at least.
    """
    control = Control("slider", label, min=low, max=high, step=step, suffix=unit)
    return traitlets.Float(default, min=low, max=high).tag(sync=True, control=control)


def shown_count(value: float, noun: str = "") -> str:
    """Three significant digits and a word for the size: `27.0 trillion words`, `9,000 km`, `880,000 days`."""
    if value >= 1e18:
        text = scientific(value, 3)
    else:
        size, word = next(((s, w) for s, w in _SIZES if value >= 0.9995 * s), (1.0, ""))
        text = three_digits(value / size) + (f" {word}" if word else "")
    return f"{text}{' ' if text[-1].isalpha() else NARROW}{noun}" if noun else text


_SIZES = ((1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def round_count(value: float) -> str:
    """A given number as it was given: `36 trillion`, `15.6 trillion`."""
    return _trimmed(shown_count(value))


def tick(shown: Callable[[float], str]) -> Callable[[float], str]:
    """The formatter of a ruler's ticks: as the figures, without zeros that say nothing."""
    return lambda value: _trimmed(shown(value))


def _trimmed(text: str) -> str:
    return re.sub(r"(\d)\.0+(?!\d)|(\.\d*?[1-9])0+(?!\d)", r"\1\2", text)


def three_digits(value: float) -> str:
    """`27.0`, `1.03`, `9,000`, `0.0152`."""
    if not 0 < value < math.inf:
        return "0" if value == 0 else "∞"
    rounded = float(f"{value:.2e}")
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(rounded)))}f}"


def scientific(value: float, digits: int = 4) -> str:
    """`3.888×10²⁵`."""
    head, _, power = f"{value:.{digits - 1}e}".partition("e")
    return f"{head}×10{str(int(power)).translate(_SUPERSCRIPT)}"


def compared(value: float, target: float) -> str:
    """How far a figure is from another: `25 % below`, `1.41 times`, or nothing where they agree to 0.15 %."""
    ratio = value / target
    if abs(ratio - 1) <= 0.0015:
        return ""
    if ratio >= 2:
        return f"{three_digits(ratio)} times"
    if ratio <= 0.5:
        return f"{three_digits(1 / ratio)} times less than"
    percent = 100 * abs(ratio - 1)
    return f"{percent:.{1 if percent < 9.95 else 0}f}{NARROW}% {'above' if ratio > 1 else 'below'}"


class Calculator(LabWidget):
    """Base of the calculators: `dials` names the traits to turn, `quantity` the figure on the ruler."""

    kind = "calculator"
    parts: ClassVar[tuple[str, ...]] = ("ruler",)
    inputs = ("quantity",)
    dials: ClassVar[tuple[str, ...]] = ()
    scales: ClassVar[Mapping[str, Scale]] = {}

    quantity = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._first = traits.setdefault("quantity", next(iter(self.scales)))
        super().__init__(**traits)

    @traitlets.validate("quantity")
    def _known_quantity(self, proposal: Any) -> str:
        if proposal.value not in self.scales:
            raise traitlets.TraitError(
                f"There is no figure {proposal.value!r}; choose one of {', '.join(self.scales)}."
            )
        return str(proposal.value)

    def reset(self) -> None:
        """Back to the cell's assumptions and figure."""
        super().reset()
        self.quantity = self._first
