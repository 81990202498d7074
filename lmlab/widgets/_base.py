"""What every widget shares: controls, one picture of the state at a time, errors in words.

A widget is three things. **Traits** are its state: what the student typed, chose or dragged.
A pure **view function** turns that state into a frozen ``View``: sentences, numbers, small arrays.
A **front-end** in ``js/`` draws the view and sets traits; it knows nothing about models.

``LabWidget`` connects them: a change of a trait, from a slider or from code, asks for a new view; the
latest request wins; work marked ``slow`` runs on one worker thread; an error becomes a sentence in the
widget and in its repr, and is raised where ``LMLAB_STRICT`` is set (as it is in the tests).
"""

from __future__ import annotations

import dataclasses
import math
import os
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

from lmlab.widgets._style import Span, Spans, plain, safe_html, spans

_JS = Path(__file__).parent / "js"
_REPR_LENGTH = 110  # nbval compares it, GitHub shows it, a screen reader speaks it


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


def _lines(name: str) -> str:
    """A front-end file without its indentation and whole-line comments: every instance sends it."""
    lines = (line.strip() for line in (_JS / name).read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


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


class LabWidget(anywidget.AnyWidget):
    """Base class of all widgets; see the module's docstring for how the parts meet.

    A subclass names its ``kind`` (the file ``js/KIND.js``) and the ``parts`` that it shares with a few others
    (``js/PART.js``, where ``parts.js`` holds what all have), tags its traits with ``control=Control(…)``,
    lists them in ``controls`` in the order they are shown, lists further traits that change the picture in
    ``inputs``, and implements ``compute() -> View``.
    """

    kind: ClassVar[str] = ""
    parts: ClassVar[tuple[str, ...]] = ()
    controls: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[tuple[str, ...]] = ()
    slow: ClassVar[bool] = False

    view = traitlets.Dict().tag(sync=True)
    presenter = traitlets.Bool(help="big type for a projector").tag(sync=True)
    _name = traitlets.Unicode().tag(sync=True)
    _controls: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    _error = traitlets.Unicode().tag(sync=True)
    _done = traitlets.Int().tag(sync=True)  # the number of answers given, so that the page sees each one
    _live = traitlets.Bool(True).tag(sync=True)  # fast enough to compute at every keystroke
    _clicks: traitlets.List[Any] = traitlets.List().tag(sync=True)  # the last presses, each with its number

    @traitlets.default("presenter")
    def _default_presenter(self) -> bool:
        return os.environ.get("LMLAB_PRESENT") == "1"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "kind" in cls.__dict__:
            files = ("base", "parts", *cls.parts, cls.kind)
            cls._esm = "\n".join(_lines(f"{name}.js") for name in files)
            cls._css = _lines("look.css")
        super().__init_subclass__(**kwargs)

    def __init__(
        self, *, options: Mapping[str, Any] | None = None, hidden: Collection[str] = (), **traits: Any
    ) -> None:
        """``options`` replaces fields of a control for this instance: ``{"layer": {"max": 3}}``; ``hidden``
        names the controls that this instance does not need."""
        self._lock = threading.RLock()  # one computation at a time
        self._gate = threading.Lock()  # guards the two fields below, never held while computing
        self._wanted = 0
        self._heard = 0  # the number of the last press that was acted on
        self._worker: threading.Thread | None = None
        self._raised: Exception | None = None
        self._ready = False
        self.shown: View | None = None
        super().__init__(_name=type(self).__name__, **traits)
        shown = [name for name in self.controls if name not in hidden]
        self._controls = [self._control(name, (options or {}).get(name, {})) for name in shown]
        self._initial = {name: getattr(self, name) for name in self.controls}
        asks = [name for name in self.controls if not self.traits()[name].metadata["control"].local]
        for name in (*asks, *self.inputs):
            self.observe(self._on_change, names=name)
        self.observe(self._on_clicks, names="_clicks")
        self._answer(self._wanted)
        self._ready = True

    def compute(self) -> View:
        """The view of the present state; called with the widget's lock held."""
        raise TypeError(f"{type(self).__name__} has no compute method.")

    def publish(self, view: View) -> None:
        """Hand a view to the page. A widget whose arrays outlive a view puts them into traits of their own here."""
        self.view = to_state(view)

    def clicked(self, name: str) -> None:
        """A button of this widget was pressed."""

    def reset(self) -> None:
        """Back to the state that the cell made: the ``r`` key, between two demonstrations."""
        with self.hold_trait_notifications():
            for name, value in self._initial.items():
                setattr(self, name, value)

    def wait(self, timeout: float = 30.0) -> LabWidget:
        """Return when the picture is that of the present state. Raises TimeoutError after ``timeout`` seconds."""
        with self._gate:  # or it is read between its making and its start
            worker = self._worker
        if worker is not None and worker is not threading.current_thread():
            worker.join(timeout)
            if worker.is_alive():
                raise TimeoutError(f"{type(self).__name__} did not answer within {timeout:g} seconds.")
        error, self._raised = self._raised, None
        if error is not None:
            raise error
        return self

    def refresh(self) -> None:
        """Ask for a new view of the present state."""
        with self._gate:
            self._wanted += 1
            wanted = self._wanted
            threaded = self.slow and self._ready
            if threaded and self._worker is None:
                self._worker = threading.Thread(target=self._work, name=f"lmlab {self._name}", daemon=True)
                self._worker.start()
        if not threaded:
            self._answer(wanted)

    def _control(self, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        control: Control = self.traits()[name].metadata["control"]
        return {"name": name, **to_state(dataclasses.replace(control, **changes))}

    def _on_change(self, _: Any) -> None:
        self.refresh()

    def _on_clicks(self, change: Any) -> None:
        for n, name in change.new:
            if n > self._heard:
                self._heard = n
                self._press(name)

    def _press(self, name: Any) -> None:
        try:
            if name == "reset":
                self.reset()
            elif isinstance(name, str) and name in self.controls:
                self.clicked(name)
        except Exception as error:
            self._fail(error)

    def _work(self) -> None:
        wanted = -1
        while True:
            with self._gate:
                if wanted == self._wanted:
                    self._worker = None
                    return
                wanted = self._wanted
            try:
                self._answer(wanted)
            except Exception as error:
                self._raised = error

    def _answer(self, wanted: int) -> None:
        with self._lock:
            if wanted != self._wanted:
                return  # a later request has made this one stale
            started = time.perf_counter()
            try:
                view = self.compute()
            except Exception as error:
                if wanted == self._wanted:  # else the state changed under it, and a later request answers
                    self._fail(error)
                return
            # two thresholds, so that a borderline widget does not flicker between live and on Enter
            spent = time.perf_counter() - started
            if wanted == self._wanted:
                self.shown = view
                with self.hold_sync():
                    self._live = spent < (0.25 if self._live else 0.12)
                    self._error = ""
                    self.publish(view)
                    self._done += 1

    def _fail(self, error: Exception) -> None:
        with self.hold_sync():
            self._error = sentence_of(error, type(self).__name__)
            self._done += 1
        if os.environ.get("LMLAB_STRICT") == "1":
            raise error

    @property
    def sentence(self) -> str:
        """The readout as plain text: what the widget says about its present state."""
        if self._error:
            return self._error
        return plain(self.shown.readout) if self.shown else "nothing to show yet"

    def __repr__(self) -> str:
        text = f"{type(self).__name__}: {self.sentence}".replace("\n", "↵")
        return text if len(text) <= _REPR_LENGTH else text[: _REPR_LENGTH - 1] + "…"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle or ({"text/plain": repr(self)}, {})
        said: Sequence[Span] = spans(self._error) if self._error or not self.shown else self.shown.readout
        data["text/html"] = safe_html(said, self.shown.table if self.shown else ())
        return data, metadata
