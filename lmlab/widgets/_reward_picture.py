"""What RewardModelFit draws and says of an examination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmlab.widgets._answer_pool import WORTH, worth
from lmlab.widgets._figure import plotly_text
from lmlab.widgets._reward_exam import STEPS, Exam, RewardPoint
from lmlab.widgets._style import Span, Spans, bold, count, model_name, number, percent, spans

FALSE, MANNERS = "falsehood", "manners"
ROWS = (*WORTH, FALSE, MANNERS)
COLORS = ("m1", "m1", "m1", "m2", "m3")
GAP = " "  # a row without a bar, where the heading of the lower two stands
PLAN = {quality: share / sum(WORTH.values()) for quality, share in WORTH.items()}
SPREAD = 0.5  # how far apart the answers of one worth are drawn


def fit_said(
    points: Sequence[RewardPoint],
    n_labels: int,
    n_fitted: int,
    name: str,
    seed: int,
    *,
    reading: tuple[int, int] | None,
) -> Spans:
    """The sentence: before, while and after a training on `n_fitted` labels; `n_labels` there are now."""
    if reading is not None:
        return spans(f"Reading answers: {reading[0]} of {reading[1]}.")
    if not points:
        said: list[str | Span] = [bold(count(n_labels, "label")), " to learn from. "]
        if not n_labels:
            return spans(*said, "Prefer one of two answers first.")
        return spans(*said, "Press ", bold("Train"), ": ", model_name(0, name), " reads each answer once, and a head ",
                     f"learns for {STEPS} steps, seed {seed}, which of two gets more.")  # fmt: skip
    at = points[-1]
    said = [f"After {count(at.step, 'step')} on ", bold(count(n_fitted, "label")), ", on questions that no label was "]
    said += ["about: ", bold(f"{percent(at.p_better)}"), " on the better of two answers, Kendall’s tau with the plan "]
    said += [bold(number(at.tau)), "."]
    if at.step:
        false, manners = at.fooled[FALSE], at.fooled[MANNERS]
        said += [
            " What it got wrong: a falsehood beats the right answer in ",
            bold(percent(false)),
            " of the questions",
        ]
        said += [", and manners without an answer in ", bold(percent(manners)), "."]
    if n_labels != n_fitted:
        said += [f" There are {count(n_labels, 'label')} now: press Train again."]
    return spans(*said)


def fit_figure(points: Sequence[RewardPoint], exam: Exam, *, few: bool = False) -> dict[str, Any]:
    """Rewards against the plan as dots; P(better > worse) by step; what each quality is worth, and what fools it.
    `few` leaves the steps out, where type is big.
    """
    at = points[-1] if points else None
    learned = [*at.worths.values(), *at.fooled.values()] if at and at.step else [0.0] * len(ROWS)
    bar = {"type": "bar", "orientation": "h", "xaxis": "x3", "yaxis": "y3", "showlegend": False, "y": list(ROWS)}
    data: list[dict[str, Any]] = [
        *(_dots(at, exam) if at else [{"type": "scatter", "x": [], "y": [], "showlegend": False}]),
        {**bar, "x": [100 * abs(x) for x in learned], "width": 0.5, "name": "learned", "marker": {"color": [*COLORS]},
         "hovertemplate": "%{y}, learned: %{x:.0f} percent<extra></extra>"},
        {**bar, "y": list(PLAN), "x": [100 * share for share in PLAN.values()], "width": 0.8, "name": "the plan",
         "marker": {"color": "rgba(0,0,0,0)", "line": {"color": "ink", "width": 2}},
         "hovertemplate": "%{y}, the plan: %{x:.0f} percent<extra></extra>"},
    ]  # fmt: skip
    if not few:
        data.append(_by_step(points))
    return {"data": data, "layout": _layout(at, learned, few)}


def _by_step(points: Sequence[RewardPoint]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines+markers", "name": "P(better > worse)", "xaxis": "x2", "yaxis": "y2",
            "x": [p.step for p in points], "y": [100 * p.p_better for p in points], "marker": {"size": 6},
            "line": {"color": "m1", "width": 3}, "showlegend": False,
            "hovertemplate": "step %{x}: %{y:.0f} percent<extra></extra>"}  # fmt: skip


def _dots(at: RewardPoint, exam: Exam) -> list[dict[str, Any]]:
    """The eight answers to each question, and the two that are worth less than they look; rewards less the mean of the
    question's eight, since only answers to one question compare."""
    n = len(exam.questions)
    middle = at.rewards.mean(1)
    aside = [SPREAD * (i / max(1, n - 1) - 0.5) for i in range(n)]
    asked = [q.question for q in exam.questions]

    def trace(name: str, xs: list[float], ys: list[float], texts: list[str], marker: dict[str, Any]) -> dict[str, Any]:
        return {"type": "scatter", "mode": "markers", "name": name, "x": xs, "y": ys, "showlegend": False,
                "text": [plotly_text(text) for text in texts], "marker": {"size": 7, **marker},
                "hovertemplate": "%{text}<br>reward %{y:.2f}<extra></extra>"}  # fmt: skip

    eight = trace(
        "answers", [k + aside[i] for i in range(n) for k in range(8)],
        (at.rewards - middle[:, None]).flatten().tolist(),
        [f"{asked[i]} {exam.answers[i][k]}" for i in range(n) for k in range(8)], {"color": "m1"},
    )  # fmt: skip
    false = trace(
        FALSE, [worth(q, a) + x for q, a, x in zip(exam.questions, exam.falsehoods, aside, strict=True)],
        (at.falsehoods - middle).tolist(), [f"{q} {a}" for q, a in zip(asked, exam.falsehoods, strict=True)],
        {"color": "m2", "symbol": "square"},
    )  # fmt: skip
    manners = trace(
        MANNERS, [worth(q, exam.manners) + x for q, x in zip(exam.questions, aside, strict=True)],
        (at.manners - middle).tolist(), [f"{q} {exam.manners}" for q in asked],
        {"color": "m3", "symbol": "triangle-up"},
    )  # fmt: skip
    return [eight, false, manners]


def _layout(at: RewardPoint | None, learned: Sequence[float], few: bool) -> dict[str, Any]:
    def words(text: str, x: float, y: Any, ref: tuple[str, str], anchor: str = "left", **more: Any) -> dict[str, Any]:
        return {"text": text, "x": x, "y": y, "xref": ref[0], "yref": ref[1], "xanchor": anchor,
                "showarrow": False, "yanchor": "bottom", **more}  # fmt: skip

    notes = [
        words("<b>Reward</b> by planned worth", 0, 1.03, ("x domain", "y domain")),
        words("<b>Worth</b>, %" if few else "<b>Learned worth</b>, %", -0.3, 1.03, ("x3 domain", "y3 domain")),
        words(f"<b>Beats {'' if few else 'the '}truth</b>, %", -0.3, GAP, ("x3 domain", "y3"), yanchor="middle"),
    ]  # fmt: skip
    if not few:
        notes.append(words("<b>P(better)</b> by step, %", -0.3, 1, ("x2 domain", "y2 domain"), yshift=18))
    if at is not None and at.step:
        notes += [
            words(f"<b>{100 * x:.0f}</b>", 100 * max(abs(x), PLAN.get(row, 0.0)), row, ("x3", "y3"), yanchor="middle",
                  xshift=6, font={"color": f"{color}-text"})
            for row, x, color in zip(ROWS, learned, COLORS, strict=True)
        ]  # fmt: skip
    else:
        notes.append(
            words("nothing learned yet", 0.5, 0.5, ("x domain", "y domain"), "center", font={"color": "ink-2"})
        )
    return {
        "xaxis": {"range": [-0.6, 7.6], "domain": [0, 0.47], "tickvals": list(range(8)), "zeroline": False},
        "yaxis": {"zeroline": True, **({} if at and at.step else {"range": [-2, 2]})},
        "xaxis3": {"domain": [0.7, 1], "anchor": "y3", "range": [0, 118], "tickvals": [0, 50, 100]},
        "yaxis3": {"domain": [0, 1 if few else 0.52], "anchor": "x3", "type": "category", "categoryorder": "array",
                   "categoryarray": [MANNERS, FALSE, GAP, *reversed(WORTH)], "showgrid": False, "dtick": 1},
        **({} if few else {
            "xaxis2": {"domain": [0.7, 1], "anchor": "y2", "range": [0, 1.04 * STEPS], "dtick": STEPS // 2},
            "yaxis2": {"domain": [0.74, 0.93], "anchor": "x2", "range": [40, 100], "tickvals": [50, 100]},
        }),
        "barmode": "overlay",
        "datarevision": f"{at.step if at else -1} {at.p_better if at else 0}",
        "margin": {"l": 8, "r": 12, "t": 36, "b": 8},
        "annotations": notes,
    }  # fmt: skip
