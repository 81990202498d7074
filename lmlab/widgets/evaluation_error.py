"""EvaluationError: a test's score, forty other tests like it, and what they all tell about one model.

A pool of a thousand questions says what the model can do; tests of n questions are really drawn from it, so that
whether an interval keeps its promise is counted. Two models on the same questions, and a test that leaked, beside it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import traitlets

from lmlab.assets import asset
from lmlab.text_model import TextModel, load
from lmlab.training.evaluation_error import (
    POOL,
    LeakTrial,
    Right,
    answered_right,
    questions,
)
from lmlab.widgets._base import Control
from lmlab.widgets._evaluation_view import EvaluationView, leak_view, one_view, two_view
from lmlab.widgets._figure import FigureWidget
from lmlab.widgets._style import Spans, plain, safe_html, spans

SHOW = {"one": "one model", "two": "two models", "leaked": "a leak"}
INTERVALS = {"wilson": "Wilson", "naive": "naive"}
FAMILIES = ("logic", "arithmetic", "facts", "translation")


class EvaluationError(FigureWidget):
    """How sure a score on n questions of the town is; which of two models is better; and what a leak is worth.

    Give one or two text models that know the town; without any, the shipped model at two early steps of its
    training, where not all is right yet. `family` is one of ``families``; ``seed`` draws the tests; ``interval`` is
    "wilson", of two models Newcombe's, or "naive".
    """

    slow = True
    controls = ("show", "family", "n", "interval", "again")
    inputs = ("seed",)

    show = traitlets.Enum(tuple(SHOW), "one").tag(
        sync=True, control=Control("segments", "Show", options=tuple(SHOW.items()))
    )
    family = traitlets.Unicode(FAMILIES[0]).tag(sync=True, control=Control("select", "Questions on"))
    n = traitlets.Int(50, min=10, max=500).tag(
        sync=True, control=Control("slider", "Questions in a test, n", min=10, max=500, step=10)
    )
    interval = traitlets.Enum(tuple(INTERVALS), "wilson").tag(
        sync=True, control=Control("segments", "Interval", options=tuple(INTERVALS.items()))
    )
    again = traitlets.Bool().tag(sync=True, control=Control("button", "Draw others", secondary=True))
    seed = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(
        self, *models: TextModel, families: Sequence[str] = FAMILIES, question: str = "", **traits: Any
    ) -> None:
        if len(models) > 2 or not all(isinstance(model, TextModel) for model in models):
            raise ValueError(f'EvaluationError takes one or two text models, not {models!r:.80}: try lab.load("town").')
        if isinstance(families, str) or not families:
            raise ValueError(f"families is {families!r}; give names of the town’s, such as {list(FAMILIES)}.")
        for name in families:
            questions(name, 1)
        self._models = models or shipped()
        self._families, self._question = tuple(families), question
        self._first_seed = traits.get("seed", 0)
        shown = SHOW if len(self._models) == 2 else {key: name for key, name in SHOW.items() if key != "two"}
        options = {
            "family": {"options": tuple((name, name) for name in families)},
            "show": {"options": tuple(shown.items())},
        }
        super().__init__(options=options, **{"family": self._families[0], **traits})

    def clicked(self, name: str) -> None:
        """The one button: other tests of the same size."""
        self.seed += 1

    def reset(self) -> None:
        """Back to what the cell made."""
        with self.hold_trait_notifications():
            super().reset()
            self.seed = self._first_seed

    def right(self, slot: int, family: str) -> Right:
        """Which questions of the pool the model in this slot answers right, (1,000,) bool; measured once."""
        return pool_right(self._models[slot], family)

    def compute(self) -> EvaluationView:
        if self.family not in self._families:
            raise ValueError(f"family is one of {', '.join(self._families)}, not {self.family!r}.")
        names, drawn = [model.name for model in self._models], {"n": self.n, "seed": self.seed}
        if self.show == "leaked":
            trial = leaked(self._models[0], self.family, **drawn)
            view = leak_view(names[0], self.family, trial, interval=self.interval)
        elif self.show == "two":
            if len(names) < 2:
                raise ValueError("two models are compared, and there is one here: EvaluationError(mine, another).")
            rights = [self.right(slot, self.family) for slot in (0, 1)]
            view = two_view(names, self.family, rights, interval=self.interval, **drawn)
        else:
            view = one_view(names[0], self.family, self.right(0, self.family), interval=self.interval, **drawn)
        return dataclasses.replace(view, question=self._question or view.question)

    def __repr__(self) -> str:
        """Of a leak facts alone: it has just been trained, and its digits differ between machines."""
        if not self._leaked():
            return super().__repr__()
        return f"{type(self).__name__}: {plain(self._fact())}"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        if self._leaked():
            data["text/html"] = safe_html(self._fact())
        return data, metadata

    def _leaked(self) -> bool:
        return isinstance(self.shown, EvaluationView) and self.shown.show == "leaked" and not self._error

    def _fact(self) -> Spans:
        assert isinstance(self.shown, EvaluationView)
        return spans("it answers the questions that it has read better than fresh ones: ", str(self.shown.share > 0))


@functools.lru_cache(16)
def pool_right(model: TextModel, family: str) -> Right:
    """Which questions of the pool a model answers right; a second or two, and remembered."""
    return answered_right(model, questions(family, POOL))


@functools.lru_cache(8)
def leaked(model: TextModel, family: str, n: int, seed: int) -> LeakTrial:
    """A copy of the model that has read the test: trained here, and remembered."""
    trial = LeakTrial(model, family, n, seed=seed)
    while not trial.is_over:
        trial.advance()
    return trial


def shipped() -> tuple[TextModel, TextModel]:
    """The shipped model at two moments of its training, the later one first: neither is right on everything yet."""
    folder = asset("models/town-steps")
    later, earlier = (_named(load(str(folder / f"step-{step:06d}")), f"step {step:,}") for step in (2_000, 1_200))
    return later, earlier


def _named(model: TextModel, name: str) -> TextModel:
    return TextModel(model.model, model.tokenizer, name)
