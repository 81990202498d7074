"""What PolicyTraining and VerifierReward have in common: a copy of a policy is trained on a reward, a point a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import traitlets

from lmlab.text_model import TextModel
from lmlab.training.policy_trial import Rated
from lmlab.widgets._base import Control
from lmlab.widgets._style import visible
from lmlab.widgets._training import TrainingFigure

AVERAGED = 3  # points at each end, of which a rise is told
MOVED = 0.1  # the least change of a mean that counts as one


def went(values: Sequence[float], n: int = AVERAGED) -> str:
    """Whether the mean of the last n values is above, below or near that of the first n; empty for too few to tell.

    >>> went([0, 0, 0, 1, 1, 1]), went([0, 1], n=1), went([0, 1])
    ('rose', 'rose', '')
    """
    if len(values) < 2 * n:
        return ""
    change = (sum(values[-n:]) - sum(values[:n])) / n
    return "rose" if change > MOVED else "fell" if change < -MOVED else "stayed"


def cut(answer: str, longest: int) -> str:
    """An answer as a line has room for it."""
    text = visible(answer.strip()).replace("·", " ")
    return text if len(text) <= longest else text[: longest - 1] + "…"


class Rewarded(TrainingFigure):
    """Base of both: a subclass has a price `kl`, and says in `begin` what is trained at the present settings."""

    seed = traitlets.Int(0, min=0, max=9).tag(sync=True, control=Control("slider", "Seed", max=9, secondary=True))

    _base: TextModel
    _trial: Any = None

    def begin(self) -> Any:
        """A new trial: `advance`, `is_over`, `points`, `answers`, `policy`."""
        raise TypeError(f"{type(self).__name__} does not say what it trains.")

    def forget(self) -> None:
        """Drop the run."""
        self._trial = None

    @traitlets.observe("kl", "seed")
    def _other_run(self, change: Any) -> None:
        self.start_over(change)

    def rounds(self) -> Iterator[None]:
        """A step at a time."""
        self._trial = trial = self.begin()
        while not trial.is_over:
            trial.advance()
            yield

    @property
    def is_over(self) -> bool:
        """Whether a run has come to its end."""
        return self._trial is not None and bool(self._trial.is_over)

    @property
    def answers(self) -> tuple[Rated, ...]:
        """The answers of the last step, with what they were paid and worth."""
        return self._trial.answers if self._trial else ()

    @property
    def policy(self) -> TextModel:
        """The model as it is now."""
        return self._trial.policy if self._trial else self._base
