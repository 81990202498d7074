"""What training leaves behind while it runs: one point a step, in memory for widgets and in a file for everyone."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO

FIELDS = ("step", "loss", "lr", "grad_norm", "tokens", "seconds")
MEASURED = 50  # points that `MetricLog.measure` is shown besides the new one


@dataclass(frozen=True)
class MetricPoint:
    """One step. step: how many are done (the first point says 1). loss: nats a token. grad_norm: before clipping.

    tokens and seconds are totals since the training began (seconds spent in steps: pauses do not count).
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    tokens: int
    seconds: float
    extra: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def line(self) -> str:
        """The point as one line of metrics.jsonl."""
        return json.dumps({name: getattr(self, name) for name in FIELDS} | dict(self.extra))


class MetricLog:
    """A list of points under a lock and, if `path` is given, a JSON-lines file that only ever grows.

    Widgets in other threads read `since(n)`: the points that came after the first n, without copying the rest.
    After a resume the file repeats steps that were done but not checkpointed; the later line is the true one.
    A file that cannot be written (a full disk) never stops the training: `warning` says what happened.
    `measure`, where it is set, adds figures of its own to each point: it is asked with the last points, the new one
    included.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.warning: str | None = None
        self.measure: Callable[[Sequence[MetricPoint]], Mapping[str, float]] | None = None
        self._lock = threading.Lock()
        self._points: list[MetricPoint] = []
        self._file: IO[str] | None = None

    def append(self, point: MetricPoint) -> None:
        """Add the point of one step, to the list first and to the file if that is possible."""
        with self._lock:
            if self.measure is not None:
                more = self.measure([*self._points[-MEASURED:], point])
                point = replace(point, extra=MappingProxyType({**point.extra, **more}))
            self._points.append(point)
            if self.path is None:
                return
            try:
                self._write(point.line() + "\n")
            except OSError as error:
                self._warn(point.step, error)

    def _warn(self, step: int, error: OSError) -> None:
        self.warning = (
            f"{self.path} could not be written at step {step} ({error.strerror}); "
            "the points are kept in memory and training goes on."
        )

    def _write(self, line: str) -> None:
        if self._file is None:
            assert self.path is not None
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torn = self.path.exists() and self.path.read_bytes()[-1:] not in (b"", b"\n")
            self._file = self.path.open("a", encoding="utf-8", newline="\n")
            if torn:  # a killed run may have left half a line; the next must not be glued to it
                self._file.write("\n")
        self._file.write(line)
        self._file.flush()

    def resume_at(self, step: int) -> None:
        """Take over the points of the file up to and including `step`, as a resumed run does."""
        if self.path is not None and self.path.exists():
            with self._lock:
                self._points = [p for p in read_metrics(self.path) if p.step <= step]

    def close(self) -> None:
        """Give the file back; what a full disk kept out of it so far is tried once more."""
        with self._lock:
            file, self._file = self._file, None
            try:
                if file is not None:
                    file.close()
            except OSError as error:
                self._warn(self._points[-1].step, error)

    @property
    def points(self) -> list[MetricPoint]:
        """All points so far, as a list of the caller's own."""
        return self.since(0)

    @property
    def last(self) -> MetricPoint | None:
        with self._lock:
            return self._points[-1] if self._points else None

    def since(self, n: int) -> list[MetricPoint]:
        """The points after the first n."""
        with self._lock:
            return self._points[n:]

    def __len__(self) -> int:
        with self._lock:
            return len(self._points)

    def __iter__(self) -> Iterator[MetricPoint]:
        return iter(self.points)


def parse_line(line: str | bytes) -> MetricPoint | None:
    """The point of one line of metrics.jsonl, or None for a line that a kill has torn."""
    try:
        row = json.loads(line)
        known = {name: row.pop(name) for name in FIELDS}
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    extra = {k: float(v) for k, v in row.items() if isinstance(v, int | float) and math.isfinite(v)}
    return MetricPoint(**known, extra=MappingProxyType(extra))


def read_metrics(path: Path) -> list[MetricPoint]:
    """The points of a metrics.jsonl, one a step; torn lines are skipped, of a repeated step the last counts."""
    by_step: dict[int, MetricPoint] = {}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            point = parse_line(line)
            if point is not None:
                by_step[int(point.step)] = point
    return [by_step[step] for step in sorted(by_step)]
