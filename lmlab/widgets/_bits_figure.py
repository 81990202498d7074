"""The picture of BitsVersusLoss: every way to store the weights as a point, lines for the chosen group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lmlab.quantization.groups import GroupSize
from lmlab.training.quantization_study import BLOCK_BITS, QuantizationPoint
from lmlab.widgets._figure import plotly_text

METHODS = {
    "absmax": "absmax", "integer": "integer", "minmax": "min-max", "mse": "MSE", "kmeans": "k-means", "nf4": "NF4",
}  # fmt: skip
SHOW = {
    "perplexity": "perplexity",
    "extra": "extra loss",
    "error": "error",
    "both": "both",
}
LEAST_EXTRA = 3e-4  # nats a token: less is not told apart from none by a thousand tokens
MOST_TIMES = 1.5  # the perplexity axis ends at this many times the unquantized model's
_MARKS = {
    "absmax": ("m1", "circle"),
    "integer": ("m1", "circle-open"),  # absmax, half a step lower
    "minmax": ("m2", "square"),
    "mse": ("m3", "triangle-up"),
    "kmeans": ("m4", "diamond"),
    "nf4": ("ink", "star"),
}
_HEADS = {
    "perplexity": "<b>Perplexity</b> of the model with these weights",
    "extra": "<b>Extra loss</b>, nats a token (log)",
    "error": "<b>Weight error</b>, mean square over the weights’ own (log)",
    "both": "<b>Extra loss</b>, nats a token (log), by the weights’ error",
}
Place = Callable[[QuantizationPoint], float]
Points = Sequence[QuantizationPoint]


@dataclass(frozen=True)
class Scene:
    """What is drawn: the points, the model as it was, its floor in nats a token where it is known, the choices of
    the student, the one with the fewest bits (None: none is near enough), and a name for where points are from."""

    points: tuple[QuantizationPoint, ...]
    full: QuantizationPoint | None
    floor: float | None
    group: GroupSize
    show: str
    within: float
    best: QuantizationPoint | None


def group_words(group: GroupSize) -> str:
    """A group size in words: 32 is "groups of 32"."""
    return "whole tensors" if group is None else "a scale a row" if group == "row" else f"groups of {group}"


def way(point: QuantizationPoint) -> str:
    """A way to store weights in words: "k-means, 4 bits, groups of 32", or the name of a kind of block."""
    if point.method in BLOCK_BITS:
        return f"{point.method} blocks"
    return f"{METHODS[point.method]}, {point.bits} bit{'s' if point.bits > 1 else ''}, {group_words(point.group_size)}"


def extra(point: QuantizationPoint, full: QuantizationPoint | None) -> float:
    """Nats a token above the unquantized model, not less than what can be told apart from none."""
    return max(LEAST_EXTRA, point.loss - (full.loss if full else 0.0))


def bits_figure(scene: Scene) -> dict[str, Any]:
    """The plotly specification. Pure."""
    return {"data": _traces(scene), "layout": _layout(scene)}


def _axes(scene: Scene) -> tuple[Place, Place]:
    def above(point: QuantizationPoint) -> float:
        return extra(point, scene.full)

    across: Place = (lambda p: p.error) if scene.show == "both" else (lambda p: p.bits_per_weight)
    up = {"perplexity": lambda p: p.perplexity, "error": lambda p: p.error}.get(scene.show, above)
    return across, up


def _traces(scene: Scene) -> list[dict[str, Any]]:
    blocks = [p for p in scene.points if p.method in BLOCK_BITS]
    chosen = [p for p in scene.points if p.method in METHODS and p.group_size == scene.group]
    others = [p for p in scene.points if p.method in METHODS and p.group_size != scene.group]
    traces = [_trace(scene, others, "other groups", {"color": "quiet", "symbol": "circle-open", "size": 7})]
    for method, (color, symbol) in _MARKS.items():
        there = sorted((p for p in chosen if p.method == method), key=lambda p: p.bits)
        dash = "dot" if symbol.endswith("open") else "solid"
        line = {"mode": "lines+markers", "line": {"color": color, "width": 2.5, "dash": dash}} if there[1:] else {}
        traces.append(_trace(scene, there, METHODS[method], {"color": color, "symbol": symbol, "size": 11}) | line)
    marker = {"color": "ink", "symbol": "x-thin", "size": 11, "line": {"color": "ink", "width": 3}}
    traces.append(_trace(scene, blocks, "GGUF blocks", marker))
    ring = {"color": "rgba(0,0,0,0)", "size": 22, "line": {"color": "ink", "width": 2.5}}
    chosen_one = [scene.best] if scene.best else []
    traces.append(_trace(scene, chosen_one, "fewest bits", {**ring, "symbol": "circle"}) | {"hoverinfo": "skip"})
    if not scene.points:  # axes without a single point are not drawn at all
        traces.append({"type": "scatter", "x": [None, 2], "y": [None, 1], "hoverinfo": "skip", "opacity": 0,
                       "showlegend": False})  # fmt: skip
    return traces


def _trace(scene: Scene, points: Points, name: str, marker: dict[str, Any]) -> dict[str, Any]:
    across, up = _axes(scene)
    # An exact copy has no error, and a logarithm no place for it.
    points = [p for p in points if p.error > 0 or scene.show in ("perplexity", "extra")]
    said = [[plotly_text(way(p)), p.bits_per_weight, p.perplexity, p.error] for p in points]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [across(p) for p in points],
        "y": [up(p) for p in points],
        "customdata": said,
        "marker": marker,
        "showlegend": bool(points) and name != "fewest bits",
        "hovertemplate": "%{customdata[0]}: %{customdata[1]:.2f} bits a weight, perplexity %{customdata[2]:.3f}, "
        "error %{customdata[3]:.4f}<extra></extra>",
    }  # fmt: skip


# ---------------------------------------------------------------- axes and lines


def _layout(scene: Scene) -> dict[str, Any]:
    head = {"text": _HEADS[scene.show], "xref": "paper", "yref": "paper", "x": 0, "y": 1.03, "showarrow": False,
            "xanchor": "left", "yanchor": "bottom", "font": {"color": "ink"}}  # fmt: skip
    lines, notes = _references(scene)
    return {
        "xaxis": _across(scene),
        "yaxis": _upward(scene),
        "legend": {"x": 1.02, "y": 1, "xanchor": "left"},
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "dragmode": False,
        "shapes": lines,
        "annotations": [head, *notes],
    }  # fmt: skip


def _across(scene: Scene) -> dict[str, Any]:
    if scene.show == "both":
        return _decades("weight error, mean square over the weights’ own (log scale)", -5, 1.05)
    low = min([1.9, *(p.bits_per_weight for p in scene.points)]) - 0.3
    bits = range(1, 10)
    return {"title": {"text": "bits a weight, scales and tables counted"}, "range": [low, 9.4], "zeroline": False,
            "tickvals": list(bits), "ticktext": [str(b) for b in bits], "fixedrange": True}  # fmt: skip


def _upward(scene: Scene) -> dict[str, Any]:
    if scene.show != "perplexity":
        least = math.log10(LEAST_EXTRA) - 0.12
        return _decades("", -5.2, 1.05) if scene.show == "error" else _decades("", least, 1.15)
    full, least = _spread(scene)
    return {"range": [least, MOST_TIMES * full], "fixedrange": True, "zeroline": False}


def _spread(scene: Scene) -> tuple[float, float]:
    """The unquantized perplexity and the lower end of the axis, a little below the floor and every point."""
    full = scene.full.perplexity if scene.full else 1.0
    lowest = min([full, *(p.perplexity for p in scene.points), *([math.exp(scene.floor)] if scene.floor else [])])
    return full, lowest - 0.06 * full


def _decades(title: str, low: float, high: float) -> dict[str, Any]:
    powers = range(math.ceil(low), math.floor(high) + 1)
    words = {k: f"{10.0**k:g}" if k >= -3 else f"10{'⁻' if k < 0 else ''}{'⁰¹²³⁴⁵⁶⁷⁸⁹'[abs(k)]}" for k in powers}
    return {"type": "log", "range": [low, high], "tickvals": [10.0**k for k in powers], "fixedrange": True,
            "ticktext": list(words.values())} | ({"title": {"text": title}} if title else {})  # fmt: skip


def _references(scene: Scene) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The unquantized model, the floor, and the band that counts as near enough."""
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y"}
    note = {
        "xref": "paper",
        "yref": "y",
        "showarrow": False,
        "x": 0.995,
        "xanchor": "right",
        "font": {"color": "ink-2"},
    }
    if scene.full is None or scene.show == "error":
        return [], []
    if scene.show == "perplexity":
        full, limit = scene.full.perplexity, scene.full.perplexity * (1 + scene.within / 100)
        lines = [{**across, "y0": full, "y1": full, "line": {"color": "ink", "width": 1.5}}]
        notes = [
            {**note, "y": limit, "yanchor": "bottom", "text": f"unquantized {full:.2f}, dots {scene.within:g} % above"}
        ]
        if scene.floor is not None:
            floor = math.exp(scene.floor)
            lines.append({**across, "y0": floor, "y1": floor, "line": {"color": "ink", "width": 1.5, "dash": "dash"}})
            notes.append({**note, "y": floor, "yanchor": "top", "text": f"the town’s floor {floor:.2f}"})
        above = [p.perplexity for p in scene.points if p.perplexity > MOST_TIMES * full and p.group_size == scene.group]
        if above:
            text = f"off the scale: {len(above)} of this group, up to {max(above):,.0f}"
            notes.append({**note, "y": MOST_TIMES * full, "yanchor": "top", "text": text})
    else:
        limit, lines = math.log1p(scene.within / 100), []
        text = f"{scene.within:g} % more perplexity"
        notes = [{**note, "y": math.log10(limit), "yanchor": "bottom", "text": text}]
        notes.append({**note, "y": math.log10(LEAST_EXTRA), "yanchor": "bottom", "text": "no difference measured"})
    lines.append({**across, "y0": limit, "y1": limit, "line": {"color": "ink", "width": 1, "dash": "dot"}})
    return lines, notes
