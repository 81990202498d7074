"""The charts of PolicyTraining: reward and truth, KL and length by step, and in grey a run at another price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lmlab.training.policy_trial import PolicyPoint
from lmlab.widgets._figure import plotly_text
from lmlab.widgets._style import number

Points = Sequence[PolicyPoint]


@dataclass(frozen=True)
class Panel:
    """One quantity: the point's field, its heading and unit, its color, and whether it stands left and below."""

    field: str
    title: str
    unit: str
    color: str
    left: bool
    low: bool


@dataclass(frozen=True)
class EarlierRun:
    """A run that was finished at another price."""

    kl: float
    points: Points


PANELS = (
    Panel("reward", "Reward", "", "m1", left=True, low=False),
    Panel("truth", "Truth", "", "ink", left=True, low=True),
    Panel("kl", "KL", "nats", "m1", left=False, low=False),
    Panel("n_tokens", "Length", "tokens", "m1", left=False, low=True),
)


def policy_figure(
    points: Points, before: EarlierRun | None, *, steps: int, revision: str, truth: bool
) -> dict[str, Any]:
    """A plotly specification with a panel a quantity; without a truth the reward takes its place too."""
    panels = [panel for panel in PANELS if truth or panel.field != "truth"]
    layout: dict[str, Any] = {"margin": {"l": 8, "r": 12, "t": 40, "b": 8}, "annotations": []}
    layout["datarevision"] = revision  # else a key would draw again what did not change
    traces: list[dict[str, Any]] = []
    for k, panel in zip(("", "2", "3", "4"), panels, strict=False):
        tall = panel.left and not truth
        traces += _traces(k, panel, points, before)
        layout[f"xaxis{k}"] = _steps_axis(k, panel, steps, titled=panel.low or tall)
        rows = [0, 1] if tall else [0, 0.40] if panel.low else [0.60, 1]
        ends = _range(_values(panel, points, before))
        layout[f"yaxis{k}"] = {"domain": rows, "anchor": f"x{k}", "zeroline": False, "nticks": 4, "range": ends,
                               "fixedrange": True}  # fmt: skip
        layout["annotations"] += _words(k, panel, points, before, ends)
    return {"data": traces, "layout": layout}


def _values(panel: Panel, points: Points, before: EarlierRun | None) -> list[float]:
    return [getattr(p, panel.field) for p in (*points, *(before.points if before else ()))]


def _steps_axis(k: str, panel: Panel, steps: int, *, titled: bool) -> dict[str, Any]:
    axis = {"domain": [0, 0.38] if panel.left else [0.56, 0.91], "range": [0, steps * 1.02], "anchor": f"y{k}",
            "zeroline": False, "fixedrange": True, "nticks": 5}  # fmt: skip
    return {**axis, "title": {"text": "step"}} if titled else {**axis, "showticklabels": False}


def _traces(k: str, panel: Panel, points: Points, before: EarlierRun | None) -> Iterator[dict[str, Any]]:
    name = panel.title.lower()
    common = {"xaxis": f"x{k}", "yaxis": f"y{k}", "type": "scatter", "showlegend": False,
              "hovertemplate": f"step %{{x}}: %{{y:.2f}} {panel.unit}".rstrip() + "<extra></extra>"}  # fmt: skip
    if before is not None:
        x, y = [p.step for p in before.points], [getattr(p, panel.field) for p in before.points]
        line = {"color": "quiet", "width": 1.5, "dash": "dash"}
        yield {**common, "mode": "lines", "x": x, "y": y, "name": f"{name} at β = {number(before.kl)}", "line": line}
    if points or before is None:
        # Before the first step a point of nothing: plotly draws no axes around no point at all.
        x, y = [p.step for p in points] or [0], [getattr(p, panel.field) for p in points] or [None]
        line = {"color": panel.color, "width": 3}
        yield {**common, "mode": "lines+markers", "x": x, "y": y, "name": name, "line": line, "marker": {"size": 5}}


def _words(
    k: str, panel: Panel, points: Points, before: EarlierRun | None, ends: tuple[float, float]
) -> Iterator[dict[str, Any]]:
    """The panel's heading; the value at its line's end; the other run's price, unless the two would overlap."""
    common = {"xref": f"x{k} domain", "showarrow": False, "xanchor": "left"}
    yield {**common, "yref": f"y{k} domain", "x": 0, "y": 1.03, "yanchor": "bottom",
           "text": f"<b>{panel.title}</b>" + (f", {panel.unit}" if panel.unit else "")}  # fmt: skip
    now = getattr(points[-1], panel.field) if points else None
    if now is not None:
        tone = "ink" if panel.color == "ink" else f"{panel.color}-text"
        said = number(now, 1 if panel.field == "n_tokens" else 2)
        yield {**common, "yref": f"y{k}", "x": 1.02, "y": now, "text": f"<b>{said}</b>", "font": {"color": tone}}
    if before is not None:
        other = getattr(before.points[-1], panel.field)
        if now is None or abs(other - now) > 0.16 * (ends[1] - ends[0]):
            yield {**common, "yref": f"y{k}", "x": 1.02, "y": other, "text": plotly_text(f"β {number(before.kl)}"),
                   "font": {"color": "ink-2"}}  # fmt: skip


def _range(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    room = max(0.08 * (max(values) - min(values)), 0.05)
    return min(values) - room, max(values) + room
