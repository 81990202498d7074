"""Widgets that predict what several processes will do, and then start them and look."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from lmlab.systems.workers import WorkersFailed
from lmlab.widgets._base import LabWidget
from lmlab.widgets._facts import StoresFacts
from lmlab.widgets._style import number

_TEAM = threading.Lock()  # one team at a time: a machine has few cores, and its processes answer one question at once
NEAR = 1e-5  # a float32 sum in another order
Self = TypeVar("Self", bound="OnProcesses")


def tiny(value: float) -> str:
    """A difference: ``exactly 0``, ``3.1×10⁻⁸``, ``0.020``."""
    if value == 0:
        return "exactly 0"
    if value >= 0.001:
        return number(value, 3)
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}×10" + str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


class OnProcesses(StoresFacts):
    """A widget with a prediction of everything, and a button that has real processes do it.

    A subclass gives `question_now`: a key of the present state, and what the processes are asked. Answers are kept by
    their key in `measured`, so that a state that was measured once is known for good.
    """

    def __init__(self, **traits: Any) -> None:
        self.measured: dict[Hashable, Any] = {}
        self._asking: threading.Thread | None = None  # the last one, which `wait` joins
        self._at_work = False
        super().__init__(**traits)

    def question_now(self) -> tuple[Hashable, Callable[[], Any]]:
        """The key of the present state, and a call that has processes answer it. Raises ValueError where none can."""
        raise TypeError(f"{type(self).__name__} has nothing to ask processes.")

    @property
    def is_running(self) -> bool:
        """Whether processes are at work for this widget."""
        return self._at_work

    def run(self: Self) -> Self:
        """Have real processes do it, in a thread; `wait` returns when they are done.

        Raises ValueError where they are still at work, or where so many processes cannot share this.
        """
        if self._at_work:
            raise ValueError("The processes are still at work: wait for them.")
        key, ask = self.question_now()
        self._asking = threading.Thread(target=self._ask, args=(key, ask), name=f"lmlab {self._name}", daemon=True)
        self._at_work = True
        self.refresh()  # says that they are at work, before they can have answered
        self._asking.start()
        return self

    def wait(self: Self, timeout: float = 120.0) -> Self:
        """Return when the processes are done and their answer is drawn. Raises TimeoutError after `timeout` seconds."""
        asking, end = self._asking, time.monotonic() + timeout
        while asking is not None and asking.is_alive():
            if time.monotonic() > end:
                raise TimeoutError(f"{self._name}: no answer after {timeout:g} seconds; the processes go on.")
            asking.join(0.1)  # in slices, so that an interrupt reaches the cell on every system
        super().wait(timeout)
        return self

    def _ask(self, key: Hashable, ask: Callable[[], Any]) -> None:
        failed: Exception | None = None
        try:
            with _TEAM:
                self.measured[key] = ask()
        except WorkersFailed as lost:
            failed = ValueError(str(lost))  # a sentence of ours already: it needs no name before it
        except Exception as error:
            failed = error
        self._at_work = False
        self.refresh()
        if failed is not None:
            LabWidget.wait(self)  # or the answer that is on its way would wipe the error out
            self._raised = failed
            with contextlib.suppress(Exception):  # the tests' strict mode raises here too, where nobody could catch it
                self._fail(failed)

    def clicked(self, name: str) -> None:
        """Run on real processes; a press while they are at work asks nothing more."""
        if name == "start" and not self._at_work:
            self.run()
