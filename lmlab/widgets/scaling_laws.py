"""ScalingLaws: small runs on a line, a guess for the next one, and then the run itself.

On log axes the loss above the floor falls along a straight line. Nobody asked for the right answers beside it: they
come with the loss. A live run of a small budget adds its own point at the other end of the line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import traitlets

from lmlab.scaling import PowerLaw, bootstrap_surfaces, fit_power_law, interval
from lmlab.training.scaling_study import ScalingPoint, ScalingRun, best_of_each_budget, held_out_runs, stored_sweep
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView, Handle
from lmlab.widgets._style import Span, Spans, bold, model_name, number, percent, spans, you
from lmlab.widgets._training import TrainingFigure
from lmlab.widgets.iso_flop import power_of_ten

LIVE_FLOPS = 1e10
RESAMPLED = 200
WIDTHS = ("8", "12", "16", "24")
HIGHEST = 1.5  # of the axis, nats above the floor
LOWEST = 0.1
Runs = Sequence[ScalingPoint]


@dataclass(frozen=True)
class Law:
    """The line through the best run of each budget, and where resampled surfaces put the held-out budget (90 %)."""

    floor: float
    line: PowerLaw
    low: float
    high: float

    def gap(self, flops: float) -> float:
        """Nats above the floor."""
        return self.line.at(flops) - self.floor


def fit_law(runs: Runs, held_out_flops: float) -> Law:
    """From all runs of the sweep; the held-out ones are not among them."""
    floor, best = runs[0].floor, best_of_each_budget(runs)
    line = fit_power_law([p.flops for p in best], [p.loss for p in best], floor=floor)
    drawn = bootstrap_surfaces(
        [p.n_params for p in runs], [p.n_tokens for p in runs], [p.loss for p in runs], floor=floor, n=RESAMPLED
    )
    low, high = interval([surface.optimum(held_out_flops).loss for surface in drawn])
    return Law(floor, line, low, high)


@dataclass(frozen=True)
class Shown:
    """What a student has done: the guess in nats above the floor (0: none yet), whether it is locked in, live runs,
    and how far a live run has come (None: none under way)."""

    guess: float = 0.0
    revealed: bool = False
    live: tuple[ScalingPoint, ...] = ()
    progress: float | None = None


def laws_view(runs: Runs, held_out: ScalingPoint, law: Law, shown: Shown) -> FigureView:
    """What ScalingLaws shows. Pure."""
    rows = [*best_of_each_budget(runs), *((held_out,) if shown.revealed else ()), *shown.live]
    return FigureView(
        question="How good will it be before I train it?",
        about="ScalingLaws · the sweep" + (" · live runs" if shown.live else "") + " · cpu",
        readout=_said(runs, held_out, law, shown),
        foot=spans(
            f"{len(runs)} stored runs, 2 layers, 6 to 128 wide, every token read once · C = 6·N·D, N all parameters · "
            f"floor {law.floor:.3f}: the truth's own loss on the same 300 documents · right answers: mean of "
            f"{len(held_out.accuracy)} families · line: power law through the best "
            f"run of each budget; bar: 90 % of {RESAMPLED} resampled surfaces · live: C {power_of_ten(LIVE_FLOPS, 0)}"
        ),
        labels={"guess": "Your guess, nats above the floor"} | ({} if shown.guess else {"guess:value": "–"}),
        table=[
            ["FLOPs", "parameters", "loss, nats a token", "right answers"],
            *(
                [power_of_ten(p.flops), f"{p.n_params:,}", number(p.loss), percent(p.mean_accuracy)]
                for p in sorted(rows, key=lambda p: p.flops)
            ),
        ],
        figure={"data": _traces(runs, held_out, law, shown), "layout": _layout(held_out)},
        height=380,
        handle=Handle(trait="guess", x=held_out.flops, least=0.01, most=HIGHEST),
    )


def _said(runs: Runs, held_out: ScalingPoint, law: Law, shown: Shown) -> Spans:
    if shown.progress is not None:
        return spans(
            "Training live, ", bold(percent(shown.progress)), " of its budget spent; in the middle it is no point."
        )
    budget = f"{power_of_ten(held_out.budget, 0)} FLOPs"
    if shown.revealed:
        gap = held_out.loss - law.floor
        said: list[str | Span] = ["At ", budget]
        if shown.guess:
            said += [" you said ", you(number(shown.guess)), " above the floor,"]
        else:
            said += [" you made no guess,"]
        said += [f" the line through smaller runs {number(law.gap(held_out.flops))} ({number(law.low - law.floor)} to "]
        said += [
            f"{number(law.high - law.floor)}); ",
            model_name(0, f"trained, it is {number(gap)}"),
            ". Right answers: ",
        ]
        said += [bold(percent(held_out.mean_accuracy)), "."]
    elif shown.guess:
        said = [
            "You say ",
            you(f"{number(shown.guess)} above the floor"),
            f", a loss of {number(law.floor + shown.guess)}",
        ]
        said += [f" at {budget}. ", bold("Lock in and reveal"), " when you are content."]
    else:
        first, last = (best_of_each_budget(runs)[i] for i in (0, -1))
        times = f"{last.budget / first.budget:.0f}"
        said = [f"With {times} times the FLOPs the best run came from ", bold(number(first.loss - law.floor)), " to "]
        said += [
            bold(number(last.loss - law.floor)),
            f" above the floor. Drag the mark on the dotted line: where will {budget} end?",
        ]
    if shown.live:
        said += [" Your live run ended ", bold(number(shown.live[-1].loss - law.floor)), " above it."]
    return spans(*said)


def _traces(runs: Runs, held_out: ScalingPoint, law: Law, shown: Shown) -> list[dict[str, Any]]:
    best = best_of_each_budget(runs)
    points: list[tuple[str, Runs, dict[str, Any]]] = [
        ("a run", runs, {"color": "quiet", "size": 6, "symbol": "circle-open"}),
        ("best of its budget", best, {"color": "m1", "size": 10}),
        ("live", shown.live, {"color": "m1", "size": 12, "symbol": "star"}),
        ("the held-out run", (held_out,) if shown.revealed else (), {"color": "m1", "size": 14,
                                                                       "line": {"color": "ink", "width": 2}}),
    ]  # fmt: skip
    traces: list[dict[str, Any]] = []
    for name, there, marker in points:
        both = {"type": "scatter", "mode": "markers", "x": [p.flops for p in there], "name": name, "marker": marker,
                "customdata": [p.n_params for p in there], "showlegend": False}  # fmt: skip
        said = "%{customdata:,} parameters: "
        traces.append({**both, "y": [p.loss - law.floor for p in there],
                       "hovertemplate": said + "%{y:.3f} above the floor"})  # fmt: skip
        traces.append({**both, "y": [100 * p.mean_accuracy for p in there], "xaxis": "x2", "yaxis": "y2",
                       "hovertemplate": said + "%{y:.0f} % right"})  # fmt: skip
    line = {"type": "scatter", "mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    ends = [LIVE_FLOPS / 1.5, held_out.flops * 1.4 if shown.revealed else best[-1].flops]
    traces.append({**line, "x": ends, "y": [law.gap(c) for c in ends], "line": {"color": "m1", "width": 2}})
    if shown.revealed:
        bar = [law.low - law.floor, law.high - law.floor]
        traces.append({**line, "x": [held_out.flops * 1.12] * 2, "y": bar, "line": {"color": "ink", "width": 3}})
    # Until it is moved the mark waits, empty, at the top, where it says nothing.
    symbol = "diamond" if shown.guess else "diamond-open"
    mark = {
        "color": "you" if shown.guess else "ink",
        "size": 16,
        "symbol": symbol,
        "line": {"color": "ink", "width": 2},
    }
    yours = {"x": [held_out.flops], "y": [shown.guess or HIGHEST], "marker": mark, "name": "your guess"}
    traces.append({"type": "scatter", "mode": "markers", **yours, "showlegend": False})
    traces[-1] |= {"hovertemplate": "%{y:.2f} above the floor"} if shown.guess else {"hoverinfo": "skip"}
    return traces


def _layout(held_out: ScalingPoint) -> dict[str, Any]:
    head = {"showarrow": False, "xanchor": "left", "yanchor": "bottom", "x": 0, "y": 1.02, "font": {"color": "ink"}}
    at = math.log10(held_out.flops)
    place = {
        "xref": "x",
        "yref": "y domain",
        "showarrow": False,
        "xanchor": "right",
        "xshift": -6,
        "font": {"color": "ink-2"},
    }
    notes = [
        {**head, "text": "<b>Above the floor</b>, nats (log)",
         "xref": "x domain", "yref": "y domain"},
        {**head, "text": "<b>Right answers</b>, %", "xref": "x2 domain", "yref": "y2 domain"},
        {**place, "x": at, "y": 0.98, "yanchor": "top", "text": "the next budget"},
    ]  # fmt: skip
    dashed = {"type": "line", "x0": held_out.flops, "x1": held_out.flops, "y0": 0, "y1": 0.9, "yref": "y domain",
              "line": {"color": "ink", "width": 1, "dash": "dot"}}  # fmt: skip
    decades = [1e10, 1e11, 1e12]
    flops = {"type": "log", "title": {"text": "C, FLOPs (log scale)"}, "fixedrange": True,
             "tickvals": decades, "ticktext": ["10¹⁰", "10¹¹", "10¹²"],
             "range": [math.log10(LIVE_FLOPS) - 0.25, at + 0.3]}  # fmt: skip
    ticks = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5]
    return {
        "xaxis": {**flops, "domain": [0, 0.56]},
        "yaxis": {"type": "log", "range": [math.log10(LOWEST), math.log10(2.2)], "tickvals": ticks, "fixedrange": True,
                  "ticktext": [f"{t:g}" for t in ticks]},
        "xaxis2": {**flops, "domain": [0.64, 1], "anchor": "y2"},
        "yaxis2": {"anchor": "x2", "range": [0, 104], "fixedrange": True, "zeroline": False},
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "dragmode": False,
        "shapes": [dashed],
        "annotations": notes,
    }  # fmt: skip


class ScalingLaws(TrainingFigure):
    """The stored sweep, a `guess` (nats above the floor) for the budget that it leaves out, and live runs.

    `reveal()` shows what the held-out run reached. `train()` trains a model `width` wide live on 10¹⁰ FLOPs, a few
    seconds, and adds its point; `stop()` ends it after a step, `wait()` returns when it is over. `points` are the
    live runs, `law` is the fit. `question` is another heading.
    """

    controls = ("guess", "show", "width", "start", "halt")
    inputs = ("revealed",)

    guess = traitlets.Float(0.0, min=0.0, max=HIGHEST).tag(
        sync=True, control=Control("slider", "Your guess, nats above the floor", max=HIGHEST, step=0.01, wide=True)
    )
    show = traitlets.Unicode().tag(control=Control("button", "Lock in and reveal", main=True))
    width = traitlets.Enum(WIDTHS, "12").tag(
        sync=True,
        control=Control("segments", "Live run: width D", options=tuple((w, w) for w in WIDTHS), secondary=True),
    )
    start = traitlets.Unicode().tag(control=Control("button", "▶ Train", secondary=True))
    halt = traitlets.Unicode().tag(control=Control("button", "■ Stop", secondary=True))
    revealed = traitlets.Bool(False).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self._runs, self.held_out = stored_sweep(), held_out_runs()[0]
        self.points: list[ScalingPoint] = []
        super().__init__(**traits)

    @cached_property
    def law(self) -> Law:
        """What the sweep says about the budget that it leaves out."""
        return fit_law(self._runs, self.held_out.flops)

    def forget(self) -> None:
        """Drop the run under way; the points of those that ended stay until `reset`."""
        self._run: ScalingRun | None = None

    def reset(self) -> None:
        self.stop()
        self.points = []
        self.revealed = False
        super().reset()

    def reveal(self) -> ScalingLaws:
        """Show what the held-out run reached."""
        self.revealed = True
        return self

    def clicked(self, name: str) -> None:
        if name == "show":
            self.reveal()
        else:
            super().clicked(name)

    def rounds(self) -> Iterator[None]:
        """A few steps at a time, and the measurement where the budget is spent: before that it is no point."""
        self._run = run = ScalingRun(int(self.width), LIVE_FLOPS, seed=len(self.points))
        yield
        while not run.is_over:
            run.advance(5, self.goes_on)
            yield
        self.points.append(run.measure())
        self._run = None

    def compute(self) -> FigureView:
        run = self._run
        progress = run.state.step / run.state.steps if run and self.is_training else None
        shown = Shown(self.guess, self.revealed, tuple(self.points), progress)
        return laws_view(self._runs, self.held_out, self.law, shown)

    @property
    def facts(self) -> Spans:
        """What holds on every machine."""
        told = _said(self._runs, self.held_out, self.law, Shown(self.guess, self.revealed))
        if not self.points:
            return told
        near = all(abs(math.log((p.loss - p.floor) / self.law.gap(p.flops))) < math.log(2) for p in self.points)
        return spans(*told, f" {len(self.points)} live, within a factor of 2 of the line: {near}.")
