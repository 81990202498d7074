"""IsoFLOP: one budget, many sizes: too small a model cannot learn, too large a one does not get to read.

On the left the curves of a published formula, whose lowest points are known in closed form; on the right our own
sweep, with the parabola that is fitted to it and the interval of its lowest point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import traitlets

from lmlab.scaling import (
    SURFACES,
    LossSurface,
    PowerLaw,
    Valley,
    bootstrap_valleys,
    fit_power_law,
    fit_valley,
    interval,
)
from lmlab.training.scaling_study import ScalingPoint, around_the_best, stored_sweep
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView, FigureWidget, plotly_text
from lmlab.widgets._style import NARROW, Span, Spans, bold, model_name, number, spans

LEAST, MOST = 17.0, 26.0  # log10 of the budgets
DECADES = (18, 20, 22, 24, 26)  # whose curves stand behind the chosen one
AROUND = 1.6  # decades of sizes that a curve shows to each side of its lowest point
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class OwnValley:
    """Our runs at one budget near the best size, the parabola through them, and the 90 % interval of its lowest size.

    `refused` says why there is no parabola; `valley` is None then.
    """

    budget: float
    runs: tuple[ScalingPoint, ...]
    valley: Valley | None
    sizes: tuple[float, float]
    refused: str = ""


def own_valleys(points: Sequence[ScalingPoint]) -> tuple[OwnValley, ...]:
    """A valley for each budget of the sweep, the smallest budget first."""
    found = []
    for budget in sorted({point.budget for point in points}):
        runs = around_the_best([point for point in points if point.budget == budget])
        sizes, losses = [float(p.n_params) for p in runs], [p.loss for p in runs]
        try:
            valley = fit_valley(sizes, losses)
            drawn = [v.n_params for v in bootstrap_valleys(sizes, losses)]
            found.append(OwnValley(budget, runs, valley, interval(drawn)))
        except ValueError as error:
            found.append(OwnValley(budget, runs, None, (0.0, 0.0), str(error)))
    return tuple(found)


def growth(own: Sequence[OwnValley]) -> PowerLaw | None:
    """How the best size grows with the budget, where at least two valleys say so: minus its exponent is the power."""
    there = [(each.budget, each.valley.n_params) for each in own if each.valley]
    return fit_power_law([c for c, _ in there], [n for _, n in there]) if len(there) > 1 else None


def power_of_ten(value: float, digits: int = 1) -> str:
    """``1.8×10²¹``.

    >>> power_of_ten(2e10)
    '2.0×10¹⁰'
    """
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def large(value: float) -> str:
    """A large number in three digits: ``1.82 B``, ``14.9 k``."""
    size, unit = next(((s, u) for s, u in _UNITS if value >= 0.9995 * s), (1.0, ""))
    x = value / size
    digits = 2 if x < 9.995 else 1 if x < 99.95 else 0
    return f"{x:,.{digits}f}{NARROW}{unit}".strip(NARROW)


def iso_view(law: str, flops: float, own: Sequence[OwnValley], question: str = "") -> FigureView:
    """What IsoFLOP shows of a formula at a budget, beside our own valleys. Pure."""
    surface = SURFACES[law]
    return FigureView(
        question=question or "How large a model for my budget?",
        about=f"IsoFLOP · {law} · our sweep",
        readout=_said(law, flops, own),
        foot=spans(
            "C = 6·N·D FLOPs, N parameters, D tokens · formula: E + A/N^α + B/D^β, "
            f"E {surface.floor:g}, A {surface.a:g}, B {surface.b:g}, α {surface.alpha:g}, β {surface.beta:g} · "
            "ours: the town, five sizes around the best; bar: the bottom's 90 % bootstrap interval"
        ),
        labels={"log_flops": "Budget, FLOPs", "log_flops:value": power_of_ten(flops)},
        table=[
            ["budget, FLOPs", "source", "parameters", "tokens", "loss, nats a token"],
            *_rows(flops),
            *(
                [power_of_ten(o.budget, 0), "our runs", large(o.valley.n_params),
                 large(o.budget / 6 / o.valley.n_params), number(o.valley.loss)]
                for o in own if o.valley
            ),
        ],
        figure={"data": [*_formula_traces(surface, flops), *_own_traces(own)], "layout": _layout(surface, own)},
        height=345,
    )  # fmt: skip


def _rows(flops: float) -> list[list[str]]:
    best = {name: surface.optimum(flops) for name, surface in SURFACES.items()}
    return [
        [power_of_ten(flops), name, large(at.n_params), large(at.n_tokens), number(at.loss)]
        for name, at in best.items()
    ]


def _said(law: str, flops: float, own: Sequence[OwnValley]) -> Spans:
    best = SURFACES[law].optimum(flops)
    other = next(name for name in SURFACES if name != law)
    said: list[str | Span] = [bold(f"{power_of_ten(flops)} FLOPs"), f", by {law}: "]
    said += [model_name(0, f"{large(best.n_params)} parameters"), f" and {large(best.n_tokens)} tokens, "]
    said += [bold(_ratio(best.tokens_per_param)), f" a parameter; by {other}, "]
    said += [bold(_ratio(SURFACES[other].optimum(flops).tokens_per_param)), "."]
    law_of_ours = growth(own)
    if law_of_ours is not None:
        said += [" In our sweep the best size grows as C to the power ", bold(f"{-law_of_ours.exponent:.2f}"), "."]
    refused = [o for o in own if o.refused]
    if refused:
        said += [f" No bottom at {power_of_ten(refused[0].budget, 0)}: {refused[0].refused}"]
    return spans(*said)


def _ratio(tokens_per_param: float) -> str:
    text = f"{tokens_per_param:,.1f}" if tokens_per_param < 99.95 else f"{tokens_per_param:,.0f}"
    return f"{text} tokens"


def _curve(surface: LossSurface, flops: float) -> tuple[list[float], list[float]]:
    middle = math.log10(surface.optimum(flops).n_params)
    sizes = np.logspace(middle - AROUND, middle + AROUND, 61).tolist()
    return sizes, [surface.at(flops, n) for n in sizes]


def _formula_traces(surface: LossSurface, flops: float) -> list[dict[str, Any]]:
    """The chosen budget's curve, those of every second decade, and the line of their lowest points."""
    traces: list[dict[str, Any]] = []
    line = {"type": "scatter", "mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    for decade in DECADES:
        x, y = _curve(surface, 10.0**decade)
        traces.append({**line, "x": x, "y": y, "line": {"color": "quiet", "width": 1.5}})
    bests = [surface.optimum(10**e) for e in np.linspace(LEAST, MOST, 37)]
    ink = {"color": "ink", "width": 2}
    traces.append({**line, "x": [b.n_params for b in bests], "y": [b.loss for b in bests], "line": ink})
    x, y = _curve(surface, flops)
    said = "%{x:.3s} parameters: %{y:.3f}"
    traces.append({"type": "scatter", "mode": "lines", "x": x, "y": y, "name": f"{power_of_ten(flops)} FLOPs",
                   "line": {"color": "m1", "width": 3}, "hovertemplate": said, "showlegend": False})  # fmt: skip
    best = surface.optimum(flops)
    traces.append({"type": "scatter", "mode": "markers", "x": [best.n_params], "y": [best.loss], "name": "lowest",
                   "marker": {"size": 15, "color": "m1", "line": {"color": "ink", "width": 2}},
                   "hovertemplate": said, "showlegend": False})  # fmt: skip
    return traces


def _own_traces(own: Sequence[OwnValley]) -> list[dict[str, Any]]:
    """For each budget its runs, its parabola, and the lowest point with its interval."""
    traces: list[dict[str, Any]] = []
    axes = {"xaxis": "x2", "yaxis": "y2", "type": "scatter", "showlegend": False}
    for slot, each in enumerate(own):
        color, symbol = f"m{slot % 4 + 1}", ("circle", "square", "triangle-up", "diamond")[slot % 4]
        name = f"{power_of_ten(each.budget, 0)} FLOPs"
        marker = {"color": color, "size": 8, "symbol": symbol}
        runs = {"x": [p.n_params for p in each.runs], "y": [p.loss for p in each.runs], "marker": marker}
        traces.append({**axes, **runs, "mode": "markers", "name": name})
        traces[-1]["hovertemplate"] = "%{x:,} parameters: %{y:.3f}"
        if each.valley is None:
            continue
        sizes = np.geomspace(each.runs[0].n_params, each.runs[-1].n_params, 41).tolist()
        parabola = {"x": sizes, "y": [each.valley.at(n) for n in sizes], "line": {"color": color, "width": 2}}
        traces.append({**axes, **parabola, "mode": "lines", "hoverinfo": "skip"})
        low, high = each.sizes
        best = each.valley.n_params
        bar = {"type": "data", "symmetric": False, "array": [high - best], "arrayminus": [best - low], "color": "ink"}
        traces.append({**axes, "mode": "markers", "x": [best], "y": [each.valley.loss], "error_x": bar,
                       "marker": {"color": color, "size": 12, "symbol": symbol, "line": {"color": "ink", "width": 2}},
                       "name": f"lowest at {name}"})  # fmt: skip
        traces[-1]["hovertemplate"] = f"%{{x:,.0f}} parameters ({low:,.0f} to {high:,.0f})"
    return traces


def _layout(surface: LossSurface, own: Sequence[OwnValley]) -> dict[str, Any]:
    head = {"showarrow": False, "xanchor": "left", "yanchor": "bottom", "x": 0, "y": 1.02, "font": {"color": "ink"}}
    notes: list[dict[str, Any]] = [
        {**head, "text": "<b>The formula</b>: loss, nats", "xref": "x domain", "yref": "y domain"},
        {**head, "text": "<b>Our runs</b>: loss, nats", "xref": "x2 domain", "yref": "y2 domain"},
    ]
    for decade in DECADES:
        x, y = _curve(surface, 10.0**decade)
        place = {"x": math.log10(x[-1]), "y": y[-1], "xref": "x", "yref": "y", "xanchor": "left", "xshift": 3}
        text = f"10{str(decade).translate(_SUPERSCRIPT)}"
        notes.append({**place, "text": text, "showarrow": False, "font": {"color": "ink-2"}})
    for slot, each in enumerate(own):
        last = each.runs[-1]
        notes.append({
            "text": plotly_text(power_of_ten(each.budget, 0)), "x": math.log10(last.n_params), "y": last.loss,
            "xref": "x2", "yref": "y2", "xanchor": "left", "xshift": 8, "showarrow": False,
            "font": {"color": f"m{slot % 4 + 1}-text"},
        })  # fmt: skip
    sizes = [p.n_params for each in own for p in each.runs]
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    lower, upper = (math.log10(surface.optimum(10**e).n_params) for e in (LEAST, MOST))
    ticks = [1e4, 3e4, 1e5, 3e5, 1e6]
    size = {"type": "log", "title": {"text": "N, parameters (log scale)"}, "fixedrange": True, "tickangle": 0}
    decades = [10.0**e for e in range(math.ceil(lower - 1), math.floor(upper + 2) + 1, 2)]
    loss = {"fixedrange": True, "zeroline": False}
    return {
        "xaxis": {**size, "domain": [0, 0.52], "range": [lower - 1, upper + 2.2], "tickvals": decades,
                  "ticktext": [_tick(t) for t in decades]},
        "yaxis": {**loss, "range": [1.5, 5.2]},
        "xaxis2": {**size, "domain": [0.6, 1], "anchor": "y2", "range": [low - 0.08, high + 0.42], "tickvals": ticks,
                   "ticktext": [_tick(t) for t in ticks]},
        "yaxis2": {**loss, "anchor": "x2"},
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "annotations": notes,
    }  # fmt: skip


def _tick(n_params: float) -> str:
    """``20 k``, without digits that say nothing."""
    size, unit = next((s, u) for s, u in _UNITS if n_params >= s)
    return f"{n_params / size:g}{NARROW}{unit}"


class IsoFLOP(FigureWidget):
    """Curves of equal FLOPs: of a published formula (`law` "Hoffmann 2022" or "Besiroglu 2024") at a budget of
    10 ** `log_flops`, and of our own runs, with their fitted lowest points.

    `runs` are other runs than the ones that ship, `question` is another heading. `valleys` are the fits, `best` what
    the formula says is best.
    """

    controls = ("log_flops", "law")

    log_flops = traitlets.Float(21.0, min=LEAST, max=MOST).tag(
        sync=True, control=Control("slider", "Budget, FLOPs", min=LEAST, max=MOST, step=0.1, wide=True)
    )
    law = traitlets.Enum(tuple(SURFACES), next(iter(SURFACES))).tag(
        sync=True, control=Control("segments", "Constants", options=tuple((name, name) for name in SURFACES))
    )

    def __init__(self, runs: Sequence[ScalingPoint] | None = None, *, question: str = "", **traits: Any) -> None:
        self._question = question
        self.valleys = own_valleys(stored_sweep() if runs is None else runs)
        if not self.valleys:
            raise ValueError("IsoFLOP needs at least one run; leave `runs` out for those that ship.")
        super().__init__(**traits)

    @property
    def best(self) -> Any:
        """The best use of the chosen budget, by the chosen formula."""
        return SURFACES[self.law].optimum(10**self.log_flops)

    def compute(self) -> FigureView:
        return iso_view(self.law, 10**self.log_flops, self.valleys, self._question)
