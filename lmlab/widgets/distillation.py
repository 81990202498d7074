"""Distillation: two small students, live, one told the next word and one told all that the teacher thinks could follow.

Same weights to begin with, same text, same number of steps. The curves are their distance from the town's exact
truth; the bars are what truth, teacher and students say after a prompt. Other ways to learn stand beside the curves as
stored ends. Source: Hinton, Vinyals and Dean 2015, arXiv 1503.02531.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
import traitlets

from lmlab.data.town.truth import TownTruth
from lmlab.text_model import TextModel
from lmlab.training.distillation_study import (
    DOCUMENTS,
    EVERY,
    HARD,
    SAMPLES,
    SOFT,
    STEPS,
    B,
    DistillationTrial,
    KLPoint,
    StoredKL,
    T,
    held_out,
    stored_distillation,
)
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView, plotly_text
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, token_name
from lmlab.widgets._training import TrainingFigure

Points = Sequence[KLPoint]
PROMPT = "The stock market crashed and investors"
SHOWN = 5  # words with bars, at most
SLOTS = {SOFT: 0, HARD: 1, "teacher": 2}
FRESH = "fresh samples"


@dataclasses.dataclass(frozen=True)
class Bar:
    """A word that may follow, and its probability under whoever has been asked: truth, teacher, soft, hard."""

    word: str
    shares: Mapping[str, float]


def distillation_view(
    runs: Mapping[str, Points], bars: Sequence[Bar], *, floor: float, stored: Mapping[str, StoredKL] | None = None,
    steps: int = STEPS, temperature: float = 1.0, prompt: str = PROMPT, cropped: int = 0, name: str = "town",
    seed: int = 0, over: bool = False,
) -> FigureView:  # fmt: skip
    """What Distillation shows of both runs so far; `floor` is the teacher's own distance from the truth. Pure."""
    asked = [who for who in ("truth", "teacher", SOFT, HARD) if bars and who in bars[0].shares]
    return FigureView(
        question="What does a teacher tell that a text does not?",
        about=f"Distillation · teacher {name} · cpu",
        readout=spans(*_learned(runs, floor, steps, over), *_says(bars, prompt)),
        foot=spans(
            mono("logits (B,T,V)"), f" · soft: τ² KL(teacher ‖ student) at every place of {DOCUMENTS} documents, τ = "
            f"{temperature:g} · hard: the word that stood there · B {B}, T {T}, seed {seed} · measured: KL(truth ‖ "
            "student) at every place of 48 documents that nobody read"
            + (f" · ◇ stored, means of 3 seeds at {STEPS} steps; samples: the teacher’s text, fresh: read once"
               if stored else ""),
        ),
        labels={
            "temperature:value": f"τ = {temperature:g}",
            "prompt": f"prompt ({count(cropped, 'token')} cropped)" if cropped else "prompt",
        },
        table=[["after the prompt", *asked], *([b.word, *(percent(b.shares[who]) for who in asked)] for b in bars)],
        figure={"data": [*_curves(runs, stored or {}, steps), *_bars(bars, asked)],
                "layout": _layout(runs, floor, steps, stored or {})},
        height=390,
    )  # fmt: skip


def _learned(runs: Mapping[str, Points], floor: float, steps: int, over: bool) -> list[str | Span]:
    soft, hard = runs.get(SOFT, ()), runs.get(HARD, ())
    if not soft or not hard:
        return [
            "Press ", bold("Train"), f": two students with the same weights read the same {DOCUMENTS} documents, "
            f"{steps} steps. ", model_name(0, SOFT), " is told the teacher’s whole distribution, ",
            model_name(1, HARD), " the word that stood there. ",
        ]  # fmt: skip
    said: list[str | Span] = [] if over else [f"Step {soft[-1].step} of {steps}: "]
    said += [model_name(0, SOFT), " is ", bold(number(soft[-1].truth)), " nats a token from the truth, "]
    said += [model_name(1, HARD), " ", bold(number(hard[-1].truth)), f"; their teacher {number(floor, 3)}. "]
    return said


def _says(bars: Sequence[Bar], prompt: str) -> list[str | Span]:
    said = f"“{prompt[-60:]}”" if prompt else "the beginning of a text"
    if not bars or not any(bar.shares.get("truth") for bar in bars):
        return ["The town never says ", mono(said), ": there is no truth to compare with."]
    best = max(bars, key=lambda bar: bar.shares["truth"])
    told: list[str | Span] = ["After ", said, ", ", mono(best.word), " has ", bold(percent(best.shares["truth"]))]
    for who in ("teacher", SOFT, HARD):
        if who in best.shares:
            told += [", ", model_name(SLOTS[who], who), " ", percent(best.shares[who])]
    return [*told, "."]


def _curves(runs: Mapping[str, Points], stored: Mapping[str, StoredKL], steps: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for who, shape in ((SOFT, "●"), (HARD, "■")):
        points = runs.get(who, ())
        lines.append({
            "type": "scatter", "mode": "lines", "x": [p.step for p in points] or [0],
            "y": [p.truth for p in points] or [None], "name": f"{shape} {who}", "showlegend": False,
            "line": {"color": f"m{SLOTS[who] + 1}", "width": 3}, "hovertemplate": "step %{x}: %{y:.2f} nats",
        })  # fmt: skip
    there = [stored[arm] for arm in (HARD, SAMPLES, SOFT, FRESH) if arm in stored]
    lines.append({
        "type": "scatter", "mode": "markers", "x": [steps] * len(there) or [None],
        "y": [arm.mean for arm in there] or [None], "customdata": [arm.arm for arm in there], "name": "stored",
        "marker": {"color": "ink-2", "size": 10, "symbol": "diamond-open", "line": {"width": 2}}, "showlegend": False,
        "hovertemplate": "%{customdata}: %{y:.2f} nats",
    })  # fmt: skip
    return lines


def _bars(bars: Sequence[Bar], asked: Sequence[str]) -> list[dict[str, Any]]:
    words = [plotly_text(bar.word) for bar in bars]
    found: list[dict[str, Any]] = []
    for who in asked:
        marker: dict[str, Any] = {"color": f"m{SLOTS[who] + 1}"} if who in SLOTS else {
            "color": "rgba(0,0,0,0)", "line": {"color": "ink", "width": 2}}  # fmt: skip
        found.append({
            "type": "bar", "orientation": "h", "x": [100 * bar.shares[who] for bar in bars], "y": words, "name": who,
            "marker": marker, "xaxis": "x2", "yaxis": "y2", "showlegend": False,
            "hovertemplate": "%{y}: %{x:.1f} %",
        })  # fmt: skip
    return found


def _layout(runs: Mapping[str, Points], floor: float, steps: int, stored: Mapping[str, StoredKL]) -> dict[str, Any]:
    head = {"showarrow": False, "xanchor": "left", "yanchor": "bottom", "x": 0, "y": 1.02}
    highest = max((p.truth for points in runs.values() for p in points), default=6.0)
    place = {"showarrow": False, "xref": "x", "yref": "y", "xanchor": "left", "font": {"color": "ink-2"}}
    notes = [
        {**head, "text": "<b>From the truth</b>, nats", "xref": "x domain", "yref": "y domain"},
        {**head, "text": "<b>The next word</b>, %", "xref": "x2 domain", "yref": "y2 domain", "x": 1,
         "xanchor": "right"},
        {**place, "text": "teacher", "x": 0, "y": floor, "yanchor": "bottom"},
        *({**place, "text": arm.removesuffix(" " + SAMPLES), "x": steps, "xshift": 12, "y": stored[arm].mean}
          for arm in (SAMPLES, FRESH) if arm in stored),
        *(_named(who, runs[who], above=who == HARD) for who in (HARD, SOFT) if runs.get(who)),
    ]  # fmt: skip
    dashed = {"type": "line", "xref": "x", "yref": "y", "x0": 0, "x1": steps, "y0": floor, "y1": floor,
              "line": {"color": "ink", "width": 2}}  # fmt: skip
    return {
        "xaxis": {"range": [0, steps * (1.45 if stored else 1.02)], "domain": [0, 0.5], "title": {"text": "step"},
                  "zeroline": False, "fixedrange": True,
                  "tickvals": [round(steps * i / 4) for i in range(5)]},
        "yaxis": {"range": [0, max(4.0, math.ceil(highest))], "zeroline": False, "fixedrange": True},
        "xaxis2": {"domain": [0.7, 1], "anchor": "y2", "rangemode": "tozero", "fixedrange": True, "zeroline": False,
                   "nticks": 5},
        "yaxis2": {"anchor": "x2", "type": "category", "autorange": "reversed", "fixedrange": True,
                   "ticks": "", "showgrid": False},
        "barmode": "group", "bargap": 0.25, "bargroupgap": 0.05, "dragmode": False,
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "shapes": [dashed], "annotations": notes,
    }  # fmt: skip


def _named(who: str, points: Points, *, above: bool) -> dict[str, Any]:
    """What a curve is, above it or below, where it has become flat."""
    middle = points[3 * len(points) // 4]
    return {
        "text": f"<b>{who}</b>", "showarrow": False, "xref": "x", "yref": "y", "x": middle.step, "y": middle.truth,
        "xanchor": "center", "yanchor": "bottom" if above else "top", "font": {"color": f"m{SLOTS[who] + 1}-text"},
    }  # fmt: skip


class Distillation(TrainingFigure):
    """Two students of `teacher` (a text model of the town, such as `lab.load("town")`) learn side by side.

    `train()` starts, `stop()` ends after a step, `wait()` returns when it is over. `temperature` flattens what the soft
    student is told; `prompt` is what the bars follow. `trials` are both students by name, `bars` the numbers of the
    right picture. `question` is another heading.
    """

    controls = ("start", "halt", "prompt", "temperature")
    inputs = ("seed",)

    prompt = traitlets.Unicode(PROMPT).tag(sync=True, control=Control("text", "prompt", wide=True))
    temperature = traitlets.Float(1.0, min=1.0, max=4.0).tag(
        sync=True, control=Control("slider", "Temperature τ", min=1, max=4, step=0.5)
    )
    seed = traitlets.Int(0, min=0)

    def __init__(self, teacher: TextModel, *, steps: int = STEPS, question: str = "", **traits: Any) -> None:
        if not isinstance(teacher, TextModel) or teacher.tokenizer.bos_id is None:
            raise ValueError(
                f"Distillation takes a text model of the town, such as lab.load('town'); got {teacher!r:.60}."
            )
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 1_000:
            raise ValueError(f"steps is {steps!r}; give a whole number from 1 to 1,000, such as {STEPS}.")
        self._teacher, self._steps = teacher, steps
        super().__init__(question=question, **traits)

    def forget(self) -> None:
        """Drop both students."""
        self.trials: dict[str, DistillationTrial] = {}

    @traitlets.observe("temperature", "seed")
    def _other_run(self, change: Any) -> None:
        self.start_over(change)

    def rounds(self) -> Iterator[None]:
        """Some steps of each student in turn."""
        trials = {
            arm: DistillationTrial(self._teacher, arm, temperature=self.temperature, seed=self.seed, steps=self._steps)
            for arm in (SOFT, HARD)
        }
        self.trials = trials
        yield
        while not all(trial.is_over for trial in trials.values()):
            for trial in trials.values():
                trial.advance(min(EVERY, max(1, self._steps // 4)), self.goes_on)
            yield

    @property
    def is_over(self) -> bool:
        """Whether both students have taken all steps."""
        return bool(self.trials) and all(trial.is_over for trial in self.trials.values())

    @cached_property
    def _truth(self) -> TextModel:
        return TextModel(TownTruth(self._teacher.tokenizer), self._teacher.tokenizer, name="truth")

    @cached_property
    def _floor(self) -> float:
        return held_out(self._teacher).kl(self._teacher.model)[0]

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The likeliest words after the prompt: by the truth, or by the teacher of what the town never says."""
        speakers = {"teacher": self._teacher, **{arm: trial.student for arm, trial in self.trials.items()}}
        said = {who: model.next_log_probs(self.prompt).exp() for who, model in speakers.items()}
        truth = torch.zeros_like(said["teacher"])
        if not self._teacher.n_cropped(self.prompt):  # no text of the town is longer than its model reads
            truth = self._truth.next_log_probs(self.prompt).exp()
        said = {"truth": truth, **said}
        by = said["truth" if bool(truth.any()) else "teacher"]
        order = [i for i in by.sort(descending=True, stable=True).indices[:SHOWN].tolist() if by[i] > 0]
        tok = self._teacher.tokenizer
        return tuple(
            Bar(_word(tok.decode([i]), tok.specials), {who: float(p[i]) for who, p in said.items()}) for i in order
        )

    def compute(self) -> FigureView:
        stored = stored_distillation() if self._teacher.name == "town" and self._steps == STEPS else None
        return distillation_view(
            {arm: tuple(trial.points) for arm, trial in self.trials.items()}, self.bars, floor=self._floor,
            stored=stored, steps=self._steps, temperature=self.temperature, prompt=self.prompt,
            cropped=self._teacher.n_cropped(self.prompt), name=self._teacher.name, seed=self.seed, over=self.is_over,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine."""
        asked = f"{count(self._steps, 'step')} each, τ = {self.temperature:g}, seed {self.seed}"
        if not self.is_over:
            return spans(f"{asked}: a soft and a hard student of {self._teacher.name}"[:90])
        soft, hard = (self.trials[arm].points[-1].truth for arm in (SOFT, HARD))
        return spans(f"{asked}: the soft student ends nearer to the truth: {soft < hard}")


def _word(text: str, specials: Mapping[str, int]) -> str:
    shown = token_name(text, specials)
    return shown.removeprefix("·") or shown
