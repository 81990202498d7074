"""What every widget shares: controls, one picture of the state at a time, errors in words.

A widget is three things. **Traits** are its state: what the student typed, chose or dragged.
A pure **view function** turns that state into a frozen ``View``: sentences, numbers, small arrays.
A **front-end** in ``js/`` draws the view and sets traits; it knows nothing about models.

``LabWidget`` connects them: a change of a trait, from a slider or from code, asks for a new view; the
latest request wins; work marked ``slow``, and all work of a widget on ``heavy`` models, runs on one worker thread;
an error becomes a sentence in the widget and in its repr, and is raised where ``LMLAB_STRICT`` is set (as it is in
the tests).
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import anywidget
import traitlets

from lmlab.widgets._style import Span, plain, safe_html, spans
from lmlab.widgets._view import Control, View, heavy, sentence_of, to_state

__all__ = ["Control", "LabWidget", "View", "heavy", "sentence_of", "to_state"]

_JS = Path(__file__).parent / "js"
_REST = 12  # fiftieths of a second without a request, before the longer part of an answer begins
_KEPT = 8  # answers of heavy models that a widget remembers
T = TypeVar("T")
_REPR_LENGTH = 110  # nbval compares it, GitHub shows it, a screen reader speaks it


def _lines(name: str) -> str:
    """A front-end file without its indentation and whole-line comments: every instance sends it."""
    lines = (line.strip() for line in (_JS / name).read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


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
    heavy = False  # set by an instance, before the base class's __init__

    view = traitlets.Dict().tag(sync=True)
    presenter = traitlets.Bool(help="big type for a projector").tag(sync=True)
    _name = traitlets.Unicode().tag(sync=True)
    _controls: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    _error = traitlets.Unicode().tag(sync=True)
    _done = traitlets.Int().tag(sync=True)  # the number of answers given, so that the page sees each one
    _busy = traitlets.Bool().tag(sync=True)  # the worker is at it, so that the page does not give it up
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
        self._memory: dict[Any, Any] = {}
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
        if self.heavy and type(self).complete is not LabWidget.complete:
            self._request()

    def compute(self) -> View:
        """The view of the present state; called with the widget's lock held."""
        raise TypeError(f"{type(self).__name__} has no compute method.")

    def complete(self, view: View) -> View | None:
        """The same view with what takes longer, on heavy models alone: worked out once nothing more is asked for."""
        return None

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
        """Ask for a new view of the present state, and read the models anew."""
        self._memory = {}
        self._request()

    def remember(self, key: Any, make: Callable[[], T]) -> T:
        """What ``make`` gives for this key. Of heavy models the last few answers are kept until ``refresh`` is called:
        going back is free. Light ones are asked each time, since they may be in training."""
        memory = self._memory
        value: T = memory.pop(key) if key in memory else make()
        if self.heavy:
            memory[key] = value
            if len(memory) > _KEPT:
                memory.pop(next(iter(memory)))
        return value

    def _request(self) -> None:
        with self._gate:
            self._wanted += 1
            wanted = self._wanted
            threaded = (self.slow or self.heavy) and self._ready
            if threaded and self._worker is None:
                self._worker = threading.Thread(target=self._work, name=f"lmlab {self._name}", daemon=True)
                self._worker.start()
        if not threaded:
            self._answer(wanted)

    def _control(self, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        control: Control = self.traits()[name].metadata["control"]
        if self.heavy and control.kind == "text":
            control = dataclasses.replace(control, on_enter=True)
        return {"name": name, **to_state(dataclasses.replace(control, **changes))}

    def _on_change(self, _: Any) -> None:
        self._request()

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
        self._busy = True
        while True:
            with self._gate:
                if wanted == self._wanted:
                    self._worker = None
                    break
                wanted = self._wanted
            try:
                self._answer(wanted)
                self._complete(wanted)
            except Exception as error:
                self._raised = error
        self._busy = self._worker is not None

    def _complete(self, wanted: int) -> None:
        if not self.heavy or self._error or type(self).complete is LabWidget.complete:
            return
        for _ in range(_REST):
            time.sleep(0.02)  # what is asked for meanwhile, by a slider that goes on moving, comes first
            if wanted != self._wanted:
                return
        with self._lock:
            try:
                view = self.complete(self.shown) if self.shown else None
            except Exception as error:
                if wanted == self._wanted:
                    self._fail(error)
                return
            if view is not None and wanted == self._wanted:
                self._give(view)

    def _give(self, view: View) -> None:
        self.shown = view
        with self.hold_sync():
            self._error = ""
            self.publish(view)
            self._done += 1

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
                with self.hold_sync():
                    self._live = self.heavy or spent < (0.25 if self._live else 0.12)
                    self._give(view)

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
        if self.heavy and self._worker not in (None, threading.current_thread()):
            return "still computing; wait() returns when it is done"
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
