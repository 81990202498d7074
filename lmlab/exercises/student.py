"""The student's function as a check calls it: guarded, timed, its errors told with their line."""

from __future__ import annotations

import contextlib
import copy
import dis
import inspect
import io
import linecache
import sys
import sysconfig
import time
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lmlab.exercises.expect import Wrong, describe, same
from lmlab.exercises.time_limit import TimeIsUp, call_within

_OURS = (str(Path(__file__).resolve().parent.parent),)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_PRINTED = 1000  # letters of the student's own output that are kept


class NotStarted(Exception):
    """The function is still the stub that the notebook came with."""


class OutOfTime(Wrong):
    """The time for all checks is used up; what is left is not run."""


class Student:
    """Calls the student's function on copies of the arguments, within `seconds` for all calls together."""

    def __init__(self, function: Callable[..., Any], takes: tuple[str, ...], *, seconds: float) -> None:
        self._function = function
        self._takes = takes
        self._limit = self._left = seconds
        self._printed = _Kept()

    @property
    def printed(self) -> str:
        """What the function printed, cut to a screenful."""
        return self._printed.getvalue()

    def __call__(self, *args: Any) -> Any:
        """The function's value. Raises NotStarted for a stub, Wrong for an error, a changed input, no end."""
        given = copy.deepcopy(args)
        started = time.perf_counter()
        try:
            with contextlib.redirect_stdout(self._printed), _exit_raises(self._function):
                value = call_within(max(self._left, 0.01), self._function, *given)
        except TimeIsUp:
            raise OutOfTime(self._late(time.perf_counter() - started)) from None
        except NotImplementedError:
            raise NotStarted from None
        except (Exception, SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            raise Wrong(self._told(error)) from None
        self._left -= time.perf_counter() - started
        if value is ...:
            raise NotStarted
        for name, before, after in zip(self._takes, args, given, strict=True):
            if not same(before, after):
                raise Wrong(f"yours changed its input `{name}`: work on a copy, since others still need it.")
        return value

    def _late(self, spent: float) -> str:
        stuck = ""
        if spent > self._limit + 2:
            stuck = " It sat inside one long call; next time interrupt the kernel (■)."
        return f"yours had not finished after {self._limit:g} seconds and was stopped.{stuck}"

    def _told(self, error: BaseException) -> str:
        if isinstance(error, KeyboardInterrupt):
            return "you interrupted it."
        if isinstance(error, SystemExit):
            return f"yours called exit(){_where(error)}; a function answers with `return`."
        if isinstance(error, RecursionError):
            return f"yours called itself without end (RecursionError){_where(error)}."
        text = str(error).strip().splitlines()
        said = f": {text[0][:120]}" if text else ""
        return f"yours raised {type(error).__name__}{said}{_where(error)}."


class _Kept(io.StringIO):
    """Keeps the beginning of what is printed: an endless loop that prints must not fill the notebook."""

    def write(self, text: str, /) -> int:
        room = _PRINTED - self.tell()
        if room > 0:
            super().write(text[:room])
        return len(text)


@contextlib.contextmanager
def _exit_raises(function: Any) -> Iterator[None]:
    """In a notebook `exit()` ends the kernel; while a check runs, it raises SystemExit as elsewhere."""
    names = getattr(function, "__globals__", {})
    own = {name: names[name] for name in ("exit", "quit") if name in names}
    try:
        names.update({name: sys.exit for name, value in own.items() if not inspect.isroutine(value)})
        yield
    finally:
        names.update(own)


def _where(error: BaseException) -> str:
    """`, in line 2: …` of the student's own code: the innermost frame that is not ours or a library's."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.lineno and not frame.filename.startswith((*_OURS, *_LIBRARIES, "<frozen")):
            line = linecache.getline(frame.filename, frame.lineno).strip()
            return f", in line {frame.lineno}: `{line}`" if line else f", in line {frame.lineno}"
    return ""


def is_stub(function: Any) -> bool:
    """Whether a function's body is still `...` (or `pass`): it does nothing and returns nothing."""
    if not isinstance(function, types.FunctionType):
        return False
    steps = [s for s in dis.get_instructions(function) if s.opname not in _IDLE]
    return all(s.opname in _GIVE and s.argval in (None, ..., function.__doc__) for s in steps)


_IDLE = frozenset({"RESUME", "NOP", "RETURN_VALUE", "COPY_FREE_VARS", "MAKE_CELL", "POP_TOP"})
_GIVE = frozenset({"LOAD_CONST", "RETURN_CONST"})


def signature_problem(function: Any, takes: tuple[str, ...]) -> str:
    """Why the function cannot be called with these arguments, or nothing."""
    wanted = f"a function of ({', '.join(takes)})"
    if not callable(function):
        return f"expected {wanted}, got {describe(function)}; pass the function itself, without calling it."
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""  # some built-in functions tell nothing about themselves
    try:
        signature.bind(*takes)
    except TypeError:
        return f"expected {wanted}, got one that takes {signature}."
    return ""
