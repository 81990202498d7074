"""A chart of a training that runs while you look: a button starts it, another stops it between two steps.

The training has a thread of its own, so the kernel stays free; the chart is drawn a few times a second. What a
notebook stores of it are facts that hold on every machine, not the digits that one machine found.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Any

import traitlets

from lmlab.widgets._base import Control, View
from lmlab.widgets._facts import StoresFacts
from lmlab.widgets._figure import FigureWidget

REDRAW = 0.18  # seconds between two drawings


class Trains(StoresFacts):
    """Base of what trains while you look: a subclass gives `rounds`, `forget` and `facts`, and may add controls.

    `train`, `stop` and `wait` return the widget.
    """

    start = traitlets.Unicode().tag(control=Control("button", "▶ Train", main=True))
    halt = traitlets.Unicode().tag(control=Control("button", "■ Stop"))

    def __init__(self, *, question: str = "", **traits: Any) -> None:
        self._question = question
        self._stopping = threading.Event()
        self._trainer: threading.Thread | None = None
        self.forget()
        super().__init__(**traits)

    def publish(self, view: View) -> None:
        super().publish(dataclasses.replace(view, question=self._question) if self._question else view)

    def rounds(self) -> Iterator[None]:
        """Train a little, then yield, again and again; ask `self.goes_on()` between two steps."""
        raise TypeError(f"{type(self).__name__} has no rounds to train.")

    def forget(self) -> None:
        """Drop what was trained."""

    @property
    def is_training(self) -> bool:
        return self._trainer is not None

    def goes_on(self) -> bool:
        """False once the training should end after this step."""
        return not self._stopping.is_set()

    def train(self) -> Trains:
        """Start, from the first step; a training that is under way is stopped first."""
        self.stop()
        self.forget()
        self._stopping.clear()
        self._trainer = threading.Thread(target=self._train, name=f"lmlab {self._name}", daemon=True)
        self._trainer.start()
        return self

    def stop(self) -> Trains:
        """End the training after the present step; what was measured so far stays."""
        trainer = self._trainer
        self._stopping.set()
        if trainer is not None and trainer is not threading.current_thread():
            trainer.join()
        return self

    def wait(self, timeout: float = 120.0) -> Trains:
        """Return when the training is over and drawn. Raises TimeoutError after `timeout` seconds."""
        trainer, end = self._trainer, time.monotonic() + timeout
        while trainer is not None and trainer.is_alive():
            if time.monotonic() > end:
                raise TimeoutError(f"{self._name} had not finished training after {timeout:g} seconds; it goes on.")
            trainer.join(0.1)  # in slices, so that an interrupt reaches the cell on every system
        super().wait(timeout)
        return self

    def clicked(self, name: str) -> None:
        """Train or Stop."""
        if name == "start":
            self.train()
        elif name == "halt":
            self.stop()

    def reset(self) -> None:
        """Back to the state that the cell made, with nothing trained."""
        self.stop()
        self.forget()
        super().reset()
        self.refresh()

    def start_over(self, _: Any = None) -> None:
        """What was trained does not belong to the new settings: stop, and drop it."""
        if self._ready:
            self.stop()
            self.forget()

    def _train(self) -> None:
        drawn = 0.0
        try:
            for _ in self.rounds():
                if not self.goes_on():
                    break
                if time.monotonic() - drawn > REDRAW:
                    self.refresh()
                    drawn = time.monotonic()
        except Exception as error:
            self._raised = error
            self._trainer = None
            self._say_error(error)
            return
        self._trainer = None
        self.refresh()

    def _say_error(self, error: Exception) -> None:
        """Say the error on the page; `wait` raises it in the student's cell."""
        try:
            self._fail(error)
        except Exception:  # the tests' strict mode raises here too, where nobody could catch it
            return


class TrainingFigure(Trains, FigureWidget):
    """Base of the charts that train."""
