"""The pictures of EvaluationError: forty tests with their intervals, forty leads, and a leak step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmlab.training.evaluation_error import INTERVALS, Comparison, LeakPoint
from lmlab.widgets._figure import plotly_text

HEIGHT = 360
Rows = Sequence[tuple[float, float, float]]


def tests_figure(rows: Rows, share: float, *, n: int, pool: int) -> dict[str, Any]:
    """A plotly specification: a dot and a bar for each test, those that miss hollow; the pool's share a line in ink."""
    low, high = min(r[1] for r in rows), max(r[2] for r in rows)
    title = f"<b>Right answers</b>, percent, {len(rows)} tests of {n} each"
    data = _dots(rows, lambda row: row[1] <= share <= row[2], "holds it", "misses it")
    return {
        "data": data,
        "layout": _layout(
            title,
            share,
            pool,
            len(rows),
            (min(low, 0.02), max(high, 0.98)),
            "blue: this test · hollow: misses the line",
        ),
    }


def leads_figure(
    found: Sequence[Comparison], lead: float, *, n: int, pool: int, names: Sequence[str]
) -> dict[str, Any]:
    """A plotly specification: the first model's lead in each test; hollow where the interval reaches 0."""
    rows, wide = [(c.difference, *c.paired) for c in found], found[0].apart
    title = f"<b>Lead of {plotly_text(short(names[0]))}</b>, points, {len(rows)} tests of {n}"
    apart = {
        "type": "scatter", "mode": "lines", "x": [1, 1], "y": [100 * end for end in wide],
        "line": {"color": "quiet", "width": 9}, "name": "with questions apart",
        "hovertemplate": "%{y:.1f} points<extra></extra>",
    }  # fmt: skip
    low, high = min(0.0, wide[0], *(r[1] for r in rows)), max(0.0, wide[1], *(r[2] for r in rows))
    layout = _layout(title, lead, pool, len(rows), (low, high), "bar: questions apart · hollow: cannot tell")
    layout["shapes"].append(_line(0, {"color": "ink", "width": 1.5, "dash": "dash"}))
    layout["yaxis"]["ticksuffix"] = ""
    data = _dots(rows, lambda row: not row[1] <= 0 <= row[2], "sees who is ahead", "cannot tell")
    return {"data": [apart, *data], "layout": layout}


def leak_figure(points: Sequence[LeakPoint], n: int, interval: str) -> dict[str, Any]:
    """A plotly specification: right answers by step, to the questions that are trained on and to fresh ones."""
    data = []
    for slot, (key, name) in enumerate((("leaked", "its own test"), ("fresh", "fresh questions"))):
        shares = [getattr(point, key) for point in points]
        ends = [INTERVALS[interval](round(share * n), n) for share in shares]
        rows = [(share, *end) for share, end in zip(shares, ends, strict=True)]
        # Side by side: half a tenth of a step apart.
        x = [point.step + (slot - 0.5) * 0.3 for point in points]
        data.append(_series(x, rows, f"m{slot + 1}", name, symbol=("circle", "square")[slot], width=3))
        data[-1] |= {"mode": "lines+markers", "line": {"color": f"m{slot + 1}", "width": 3}}
        data[-1] |= {"text": [f"step {p.step}" for p in points]}
        data[-1]["hovertemplate"] = "%{text}: %{y:.0f} %<extra></extra>"
    last = points[-1].step
    layout = {
        "xaxis": {"title": {"text": "steps of training on the test’s own questions"}, "zeroline": False,
                  "tickvals": [p.step for p in points], "range": [-last * 0.04, last * 1.3], "showgrid": False},
        "yaxis": {"range": [0, 104], "tickvals": list(range(0, 101, 20)), "ticksuffix": " %"},
        "showlegend": False, "shapes": [], "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "annotations": [_title("<b>Right answers</b>, percent"), *_ends(points, last)],
    }  # fmt: skip
    return {"data": data, "layout": layout}


def short(name: str) -> str:
    """A model's name as a heading has room for it; the readout has all of it."""
    return name if len(name) <= 16 else name[:15] + "…"


def _ends(points: Sequence[LeakPoint], last: int) -> list[dict[str, Any]]:
    """The labels at the ends of the two lines, a line's height apart."""
    high, low = 100 * points[-1].leaked, 100 * points[-1].fresh
    if abs(high - low) < 9:
        middle, sign = (high + low) / 2, 1 if high >= low else -1
        high, low = middle + 4.5 * sign, middle - 4.5 * sign
    places = ((high, "its own test", 1), (low, "fresh questions", 2))
    return [_note(last * 1.04, y, f"<b>{name}</b>", color=f"m{slot}-text") for y, name, slot in places]


def _dots(rows: Rows, good: Any, yes: str, no: str) -> list[dict[str, Any]]:
    """Three series: this test, others of which `good` holds, and others of which it does not."""
    numbered = list(enumerate(rows, 1))
    kinds = (
        (numbered[:1], "m1", "this test", "circle", 4),
        ([(i, r) for i, r in numbered[1:] if good(r)], "quiet", f"another test, {yes}", "circle", 2),
        ([(i, r) for i, r in numbered[1:] if not good(r)], "ink", f"another test, {no}", "circle-open", 3),
    )
    return [
        _series([i for i, _ in some], [r for _, r in some], color, name, symbol=symbol, width=width)
        for some, color, name, symbol, width in kinds
        if some
    ]


def _series(x: Sequence[float], rows: Rows, color: str, name: str, *, symbol: str, width: float) -> dict[str, Any]:
    up, down = [100 * (r[2] - r[0]) for r in rows], [100 * (r[0] - r[1]) for r in rows]
    bars = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": width, "width": 0}
    size = 13 if width == 4 else 9
    return {
        "type": "scatter", "mode": "markers", "x": list(x), "y": [100 * r[0] for r in rows], "name": name,
        "error_y": {**bars, "color": color}, "customdata": [[100 * r[1], 100 * r[2]] for r in rows],
        "marker": {"symbol": symbol, "size": size, "color": color, "line": {"color": color, "width": 2}},
        "hovertemplate": "%{y:.1f}, from %{customdata[0]:.1f} to %{customdata[1]:.1f}<extra></extra>",
    }  # fmt: skip


def _layout(title: str, truth: float, pool: int, n_tests: int, ends: tuple[float, float], marks: str) -> dict[str, Any]:
    room = 0.06 * (ends[1] - ends[0])
    return {
        "xaxis": {"range": [0, n_tests * 1.27], "showgrid": False, "zeroline": False,
                  "tickvals": [1, *range(10, n_tests + 1, 10)], "title": {"text": marks}},
        "yaxis": {"range": [100 * (ends[0] - room), 100 * (ends[1] + room)], "ticksuffix": " %", "zeroline": False},
        "showlegend": False,
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "shapes": [_line(100 * truth, {"color": "ink", "width": 2}, end=n_tests * 1.015)],
        "annotations": [_title(title), _note(n_tests * 1.03, 100 * truth, f"<b>all {pool:,}</b>", color="ink")],
    }  # fmt: skip


def _line(y: float, line: dict[str, Any], *, end: float | None = None) -> dict[str, Any]:
    across = {"xref": "x", "x0": 0, "x1": end} if end else {"xref": "paper", "x0": 0, "x1": 1}
    return {"type": "line", **across, "yref": "y", "y0": y, "y1": y, "line": line}


def _title(text: str) -> dict[str, Any]:
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 1.03, "xanchor": "left", "yanchor": "bottom"}
    return {"text": text, "showarrow": False, **place}


def _note(x: float, y: float, text: str, *, color: str) -> dict[str, Any]:
    place = {"x": x, "y": y, "xanchor": "left", "yanchor": "middle"}
    return {"text": text, "showarrow": False, "font": {"color": color}, **place}
