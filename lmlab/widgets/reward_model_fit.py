"""RewardModelFit: a reward model trained on your labels, and what it makes of answers that nobody labeled.

It learns one number for an answer, so that of two the preferred one gets more (Bradley and Terry 1952). Since the plan
behind the answers is known, you see how far it got, and what it likes for the wrong reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import traitlets

from lmlab.data.preferences import Preference
from lmlab.models.reward import RewardModel
from lmlab.text_model import TextModel, load
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView
from lmlab.widgets._reward_exam import QUESTIONS, STEPS, Features, RewardFit, RewardPoint, exam
from lmlab.widgets._reward_picture import PLAN, ROWS, fit_figure, fit_said
from lmlab.widgets._style import Spans, count, mono, number, percent, spans
from lmlab.widgets._training import TrainingFigure
from lmlab.widgets.preference_labels import PreferenceLabels


def fit_view(
    points: Sequence[RewardPoint], *, n_labels: int, n_fitted: int, name: str, seed: int,
    reading: tuple[int, int] | None = None, few: bool = False,
) -> FigureView:  # fmt: skip
    """What RewardModelFit shows of the examinations so far. Pure."""
    at = points[-1] if points else None
    learned = [*at.worths.values(), *at.fooled.values()] if at else [0.0] * len(ROWS)
    rows = zip(ROWS, learned, strict=True)
    return FigureView(
        question="What does a reward model learn from labels?",
        about="RewardModelFit · trunk frozen · cpu",
        readout=fit_said(points, n_labels, n_fitted, name, seed, reading=reading),
        foot=spans(
            mono("features (B,D) → head (D,1) → reward (B,)"),
            f" · examined on {QUESTIONS} held-out questions, 8 answers each; rewards less the question’s mean · plan: "
            f"right 4, polite 2, brief 1, its shares outlined · ■ a falsehood, ▲ manners alone · seed {seed}",
        ),
        table=[
            ["", "learned", "the plan"],
            *([row, percent(x) if at else "–", percent(PLAN[row]) if row in PLAN else "0"] for row, x in rows),
        ],
        figure=fit_figure(points, exam(), few=few),
        height=400,
    )


class RewardModelFit(TrainingFigure):
    """Train a Bradley–Terry reward model on labels: a list of Preference, or a PreferenceLabels widget, whose labels it
    follows.

    `model` is the language model that the reward model grows from, the town if none is given. `train()` starts,
    `stop()` ends after a step, `wait()` returns when it is over; then `reward_model` scores answers and `tau` says how
    well it orders those of the examination. `seed` orders the labels. `question` is another heading.
    """

    controls = ("start", "halt", "seed")
    inputs = ("presenter",)

    seed = traitlets.Int(0, min=0, max=9).tag(sync=True, control=Control("slider", "Seed", max=9, secondary=True))

    def __init__(
        self, labels: Sequence[Preference] | PreferenceLabels, model: TextModel | None = None, **traits: Any
    ) -> None:
        self._source = labels
        self._model = load("town") if model is None else model
        self._features: Features = {}  # what the trunk has read is read once, however often the head is trained
        super().__init__(**traits)
        if isinstance(labels, PreferenceLabels):
            labels.observe(self._new_labels, names=["picks", "annotated", "noise", "seed"])

    def _new_labels(self, _: Any) -> None:
        self.refresh()

    @property
    def labels(self) -> list[Preference]:
        """The labels as they are now."""
        return self._source.labels if isinstance(self._source, PreferenceLabels) else list(self._source)

    @property
    def reward_model(self) -> RewardModel:
        """The reward model as trained so far. Raises ValueError where nothing was."""
        if self.fit is None or not self.fit.points:
            raise ValueError("Nothing is trained yet: press Train, or call train() and wait().")
        return self.fit.model

    @property
    def tau(self) -> float | None:
        """Kendall's tau with the plan, over answers to one held-out question, the mean; None before any training."""
        return self.fit.points[-1].tau if self.fit is not None and self.fit.points else None

    def forget(self) -> None:
        """Drop what was trained."""
        self.fit: RewardFit | None = None

    @traitlets.observe("seed")
    def _other_seed(self, change: Any) -> None:
        self.start_over(change)

    def rounds(self) -> Iterator[None]:
        """Read the answers, some at a time; then a few steps at a time."""
        self.fit = fit = RewardFit(self._model, self.labels, seed=self.seed, features=self._features)
        for _ in fit.read():
            yield
        while not fit.is_over:
            fit.advance(self.goes_on)
            yield

    def compute(self) -> FigureView:
        fit = self.fit
        points = tuple(fit.points) if fit else ()
        reading = (fit.n_read, fit.n_texts) if fit and not points and self.is_training else None
        return fit_view(
            points, n_labels=len(self.labels), n_fitted=len(fit.labels) if fit else 0, name=self._model.name,
            seed=self.seed, reading=reading, few=self.presenter,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine."""
        asked = f"{count(len(self.labels), 'label')}, {STEPS} steps of the head, seed {self.seed}"
        if self.fit is None or not self.fit.is_over or self.tau is None:
            return spans(asked)
        least = next((t for t in (0.8, 0.6, 0.4) if self.tau >= t), None)
        return spans(f"{asked}: Kendall’s tau with the plan {f'above {number(least, 1)}' if least else 'under 0.4'}")
