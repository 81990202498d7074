"""The numbers of a training as a picture needs them: all kept, smoothed as they come, thinned to what is seen."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lmlab.training.metrics import MetricPoint

Numbers = npt.NDArray[np.float64]
MOST = 500  # points of one line on the page


class Curve:
    """Every point of a training, in arrays. `window` is how many steps the smoothed loss looks back, roughly.

    A point whose step is not beyond the last one voids all from that step on: a run that was resumed from a
    checkpoint does some steps again.
    """

    def __init__(self, window: float = 20.0) -> None:
        self.window = window
        self.extra = ""  # the name of a further metric that is kept, once one has been seen
        self._clear()

    def _clear(self) -> None:
        self._columns = {name: array("d") for name in ("step", "loss", "lr", "grad_norm", "tokens", "seconds", "extra")}
        self._smoothed = array("d")

    def __len__(self) -> int:
        return len(self._columns["step"])

    def add(self, points: Iterable[MetricPoint]) -> None:
        """Take further points, in the order in which they were written."""
        steps = self._columns["step"]
        for point in points:
            if steps and point.step <= steps[-1]:
                self._cut(point.step)
            for name in ("step", "loss", "lr", "grad_norm", "tokens", "seconds"):
                self._columns[name].append(float(getattr(point, name)))
            self._columns["extra"].append(point.extra.get(self.extra, float("nan")))
            self._smooth(point.loss)

    def _cut(self, step: int) -> None:
        kept = int(np.searchsorted(np.array(self._columns["step"]), step))
        for column in (*self._columns.values(), self._smoothed):
            del column[kept:]

    def smooth_over(self, window: float) -> None:
        """Let the running mean look back this far."""
        if window != self.window:
            self.window, self._smoothed = window, array("d")
            for loss in self._columns["loss"]:
                self._smooth(loss)

    def _smooth(self, loss: float) -> None:
        """A running mean that looks back further as the training goes on, up to `window` steps."""
        new = 1 / min(self.window, 1 + len(self._smoothed) / 5)
        before = self._smoothed[-1] if self._smoothed else loss
        self._smoothed.append(before + new * (loss - before))

    def __getitem__(self, name: str) -> Numbers:
        """One column: step, loss, lr, grad_norm, tokens, seconds, extra, or smooth."""
        if name == "smooth":
            return np.array(self._smoothed)
        return np.array(self._columns[name])

    def line(self, name: str, most: int = MOST) -> tuple[Numbers, Numbers]:
        """(steps, values) of at most `most` points, the lowest and the highest of every stretch among them."""
        return thinned(self["step"], self[name], most)

    def rate(self, most: int = 100) -> tuple[Numbers, Numbers]:
        """(steps, tokens a second), each over a stretch of the training."""
        steps, tokens, seconds = self["step"], self["tokens"], self["seconds"]
        at = np.unique(np.linspace(0, max(len(steps) - 1, 0), min(most, len(steps) or 1)).astype(int))
        if len(at) < 2:
            return np.empty(0), np.empty(0)
        took = np.maximum(np.diff(seconds[at]), 1e-9)
        return steps[at[1:]], np.diff(tokens[at]) / took


def thinned(x: Numbers, y: Numbers, most: int = MOST) -> tuple[Numbers, Numbers]:
    """At most `most` of the points, in order: of each of equal stretches its lowest and its highest, and both ends.

    >>> x = np.arange(1000.0); y = np.zeros(1000); y[123], y[777] = 5.0, -5.0
    >>> steps, values = thinned(x, y, 20)
    >>> len(steps) <= 20, 123.0 in steps, 777.0 in steps
    (True, True, True)
    """
    n = len(x)
    if n <= most:
        return x, y
    stretches = (most - 2) // 2
    width = -(-n // stretches)
    padded = np.full(stretches * width, np.nan)
    padded[:n] = y
    rows = padded.reshape(stretches, width)
    start = np.arange(stretches) * width
    low = start + np.where(np.isnan(rows), np.inf, rows).argmin(1)
    high = start + np.where(np.isnan(rows), -np.inf, rows).argmax(1)
    at = np.unique(np.concatenate([[0], low, high, [n - 1]]))
    at = at[at < n]
    return x[at], y[at]


def monitor_lines(
    curve: Curve, held_out: Sequence[tuple[int, float]], share: float | None = None
) -> dict[str, tuple[Numbers, Numbers]]:
    """Every line of the picture by its name, thinned: steps and values. `share` makes tokens a second a utilization."""
    pair = np.array(held_out, dtype=float).reshape(-1, 2)
    lines = {
        "loss": curve.line("loss"), "smooth": curve.line("smooth"), "held_out": (pair[:, 0], pair[:, 1]),
        "lr": curve.line("lr", 100), "grad_norm": curve.line("grad_norm", 100), "rate": curve.rate(),
    }  # fmt: skip
    if curve.extra:
        lines["extra"] = curve.line("extra", 100)
    elif share is not None:
        lines["extra"] = (lines["rate"][0], lines["rate"][1] * share)
    else:
        steps, took = curve["step"], curve["seconds"]
        lines["extra"] = (steps, took) if len(steps) < 2 else curve.line("seconds", 100)
    return lines


def pack(lines: Mapping[str, tuple[Numbers, Numbers]]) -> bytes:
    """The lines one after another, steps and then values, as float32."""
    return b"".join(np.asarray(part, np.float32).tobytes() for pair in lines.values() for part in pair)


def ends(losses: Numbers, held_out: Sequence[float], floor: float | None, uniform: float | None) -> tuple[float, float]:
    """The ends of the loss axis, which is logarithmic: with room for the floor's label below it. They widen by steps,
    so that the picture seldom jumps."""
    seen = [float(v) for v in (losses.min(), losses.max())] if len(losses) else []
    values = [max(v, 1e-4) for v in (*seen, *held_out, *([floor] if floor else []), *([uniform] if uniform else []))]
    if not values:
        return 0.1, 10.0
    low, high = min(values) * 0.75, max(values) * 1.08
    step = math.log(2) / 4
    return math.exp(math.floor(math.log(low) / step) * step), math.exp(math.ceil(math.log(high) / step) * step)
