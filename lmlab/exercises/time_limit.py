"""Call a student's function in the cell's own thread, and stop it when it never comes back.

A timer thread raises an exception in the waiting thread (`PyThreadState_SetAsyncExc`), which works the same
on every system, needs no signal and no fork, and leaves the kernel alive. It takes effect between two
instructions of Python: one long call into C is stopped only when it returns.

A loop may swallow it with a bare `except:`. The next exceptions therefore also make Python's line tracing
raise at the following line, which is inside that handler and so no longer guarded by it.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_AGAIN_SECONDS = 0.2


class TimeIsUp(BaseException):
    """Raised inside the student's function; not an Exception, so `except Exception` lets it pass."""


class _TimeIsUpAgain(TimeIsUp):
    """The same for a function that swallowed the first one; made by Python in the student's thread."""

    def __init__(self) -> None:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != __file__:
            frame.f_trace = _stop_at_next_line
            sys.settrace(_leave_new_frames_alone)
            frame = frame.f_back  # type: ignore[assignment]


def _stop_at_next_line(frame: FrameType, event: str, arg: Any) -> Any:
    if event == "line":
        raise TimeIsUp
    return _stop_at_next_line


def _leave_new_frames_alone(frame: FrameType, event: str, arg: Any) -> None:
    return None


def call_within(seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`, stopped after `seconds`. Raises TimeIsUp, and whatever the function raises."""
    thread_id = threading.get_ident()
    fence = threading.Lock()  # never raise in the thread once the function is done
    done = threading.Event()
    here = sys._getframe()

    def watch() -> None:
        wait = seconds
        error: type[BaseException] = TimeIsUp
        while not done.wait(wait):
            with fence:
                if not done.is_set() and _stands_in(here, thread_id):
                    _raise_in(thread_id, error)
            wait, error = _AGAIN_SECONDS, _TimeIsUpAgain

    watcher = threading.Thread(target=watch, name="lmlab time limit", daemon=True)
    tracing = sys.gettrace()
    try:
        watcher.start()
        return function(*args)
    finally:
        while not done.is_set():
            try:
                _close(done, fence, thread_id)
            except TimeIsUp:  # it came at the very entrance, where nothing guards yet
                continue
        if sys.gettrace() is not tracing:
            sys.settrace(tracing)


def _close(done: threading.Event, fence: threading.Lock, thread_id: int) -> None:
    """Let no exception arrive after the call; one that arrives in here is a moment late and is dropped."""
    while True:
        try:
            with fence:
                done.set()
                _raise_in(thread_id, None)
            return
        except TimeIsUp:
            continue


def _stands_in(frame: FrameType, thread_id: int) -> bool:
    """Whether the thread still is in this call: what would be raised after it nobody could catch."""
    now = sys._current_frames().get(thread_id)
    while now is not None and now is not frame:
        now = now.f_back
    return now is not None


def _raise_in(thread_id: int, error: type[BaseException] | None) -> None:
    """Set, or with None clear, the exception that waits for a thread."""
    waiting = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), waiting)
