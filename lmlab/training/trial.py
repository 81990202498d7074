"""A short training that is measured as it goes: what a widget shows while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from lmlab.training.loop import train
from lmlab.training.objectives import BatchStream, Objective, next_token
from lmlab.training.state import TrainState


class Point(Protocol):
    """A measurement after `step` steps."""

    @property
    def step(self) -> int: ...


P = TypeVar("P", bound=Point)


class Trial(Generic[P]):
    """`state` trained on `stream`; `points` are all measurements, the first before any training.

    A subclass sets the three, says in `_measure` what is measured, and may say in `_objective` what is asked for.
    """

    state: TrainState
    stream: BatchStream
    points: list[P]

    def _measure(self) -> P:
        raise TypeError(f"{type(self).__name__} does not say what it measures.")

    def _objective(self) -> Objective:
        return next_token

    @property
    def is_over(self) -> bool:
        """Whether all steps are taken."""
        return self.state.step >= self.state.steps

    def advance(self, n_steps: int, keep_on: Callable[[], bool] = lambda: True) -> P:
        """Train `n_steps` more, or until `keep_on` says no, which is asked after each; the measurement after them."""
        until = min(self.state.steps, self.state.step + n_steps)
        train(self.state, self.stream, self._objective(), until, lambda state, point: keep_on())
        point = self._measure()
        if point.step > self.points[-1].step:
            self.points.append(point)
        return point
