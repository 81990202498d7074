"""What a widget shows and is asked by: its view, its controls, its errors in words; plain values, no widget."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from lmlab.widgets._style import Spans

HEAVY = 20_000_000  # parameters: one pass over a hundred tokens takes a core a tenth of a second


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """What a widget shows. Each widget adds the arrays that its picture needs.

    ``question`` heads it; ``about`` says widget, models and device; ``readout`` is the answer in one or two
    sentences; ``foot`` holds shapes, sizes and sources; ``labels`` replaces the labels of controls by name;
    ``table`` (a header and rows) is shown where there is no kernel.
    """

    question: str
    about: str
    readout: Spans
    foot: Spans = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    table: Sequence[Sequence[str]] = ()


@dataclasses.dataclass(frozen=True)
class Control:
    """A native HTML input for one trait. ``kind`` is text, slider, segments, select or button."""

    kind: str
    label: str
    min: float = 0
    max: float = 1
    step: float = 1
    options: tuple[tuple[str, str], ...] = ()  # (value, shown) pairs
    main: bool = False  # drawn as the widget's one main button
    wide: bool = False  # takes what room is left in its row
    secondary: bool = False  # left out on a projector
    suffix: str = ""
    placeholder: str = ""
    local: bool = False  # changes the drawing alone: the page redraws, the kernel is not asked
    live: bool = True  # answer while typing or dragging; else on Enter or release
    on_enter: bool = False  # a text that is read on Enter alone, and says so while it is being changed


def to_state(value: Any) -> Any:
    """A view as what JSON and the websocket carry: dicts, lists, finite numbers, bytes as they are."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_state(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_state(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_state(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def sentence_of(error: BaseException, where: str) -> str:
    """The sentence a student reads: our own errors speak for themselves, others name their kind."""
    if isinstance(error, (ValueError, TypeError, traitlets.TraitError)) and str(error):
        return str(error)
    return f"{where} failed: {type(error).__name__}: {error}"


def heavy(*models: Any) -> bool:
    """Whether these models are too large to be asked while a cell waits: a rule of size, not a stopwatch, so that
    what a notebook prints does not depend on the machine."""
    inside = [getattr(model, "model", None) for model in models]
    sizes = (getattr(getattr(one, "config", one), "n_params", 0) for one in inside)
    return sum(size for size in sizes if isinstance(size, int)) > HEAVY
