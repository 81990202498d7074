"""The sentences and the chart of VerifierReward: what was paid beside what was right, KL, and answers with both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmlab.training.policy_trial import Rated
from lmlab.training.verifier_trial import VerifierPoint
from lmlab.widgets._figure import plotly_text
from lmlab.widgets._rewarded import cut, went
from lmlab.widgets._style import NARROW, Span, Spans, bold, count, mono, number, percent, spans

Points = Sequence[VerifierPoint]
VERIFIERS = {"right": "looks it up", "form": "broken: form alone"}
SHOWN = 3  # answers on the page
LONGEST = 44  # characters of an answer there


def examined(points: Points) -> list[tuple[int, float]]:
    """(step, share right) of the examinations."""
    return [(p.step, p.right) for p in points if p.right is not None]


def said(points: Points, answers: Sequence[Rated], *, verifier: str, steps: int, kl: float, seed: int) -> Spans:
    """The readout."""
    price = f"KL costs {number(kl)} a nat" if kl else "KL is free"
    if not points:
        what = "compares each answer with the recipe" if verifier == "right" else "looks at the form of an answer alone"
        return spans(
            "Press ", bold("Train"), f": {count(steps, 'step')}, a verifier that {what}, {price}, seed {seed}."
        )
    first, now, exams = points[0], points[-1], examined(points)
    parts: list[str | Span] = [f"Step {now.step} of {steps}: the verifier pays ", ("m1", percent(now.paid))]
    parts += [f" (at first {percent(first.paid)}); about things never asked, ", bold(_share(exams[-1][1]))]
    parts += [f" of the answers are right ({_share(exams[0][1])}). KL ", bold(f"{number(now.kl, 1)} nats"), ". "]
    paid, right = went([p.paid for p in points]), went([r for _, r in exams], n=1)
    if paid == "rose" and right == "fell":
        parts += ["It gets what it is paid for: the hole was found. "]
    elif paid == right == "rose":
        parts += ["What is paid is what is wanted, and both rise. "]
    if answers:
        parts += ["It says: ", mono(cut(answers[0].answer, LONGEST))]
    return spans(*parts)


def _share(value: float) -> str:
    return percent(value) if value == 0 or value >= 1e-4 else f"under 0.01{NARROW}%"


def figure(points: Points, answers: Sequence[Rated], *, steps: int, revision: str) -> dict[str, Any]:
    """A plotly specification: paid and right by step at the left, KL at the right, below it answers."""
    exams, x = examined(points), [p.step for p in points]
    line = {"type": "scatter", "mode": "lines", "showlegend": False}
    traces: list[dict[str, Any]] = [
        {**line, "x": x, "y": [100 * p.paid for p in points], "name": "paid", "line": {"color": "m1", "width": 3},
         "hovertemplate": "step %{x}: paid %{y:.0f} %<extra></extra>"},
        {**line, "x": [s for s, _ in exams], "y": [100 * r for _, r in exams], "name": "right", "mode": "lines+markers",
         "line": {"color": "ink", "width": 3}, "marker": {"size": 8, "symbol": "circle-open"}, "cliponaxis": False,
         "hovertemplate": "step %{x}: right %{y:.0f} %<extra></extra>"},
        {**line, "x": x, "y": [p.kl for p in points], "name": "KL", "xaxis": "x2", "yaxis": "y2",
         "line": {"color": "m1", "width": 2}, "hovertemplate": "step %{x}: %{y:.1f} nats<extra></extra>"},
    ]  # fmt: skip
    return {"data": traces, "layout": _layout(points, exams, answers, steps, revision)}


def _layout(
    points: Points, exams: Sequence[tuple[int, float]], answers: Sequence[Rated], steps: int, revision: str
) -> dict[str, Any]:
    most = max([1.0, *(p.kl for p in points)])
    notes = [
        _words("<b>Of the answers</b>, percent by step", 0, 1.02, "x domain", "y domain"),
        _words("<b>KL</b>, nats an answer", 0, 1.02, "x2 domain", "y2 domain"),
        _words("<b>It says</b>, after what it was paid and what is true", 0, 0.225, "paper", "paper"),
        *_ends(points, exams, steps),
        *_answers(answers),
    ]
    axis = {"zeroline": False, "fixedrange": True}
    return {
        "xaxis": {**axis, "range": [0, steps], "domain": [0, 0.5]},
        "yaxis": {**axis, "range": [0, 104], "domain": [0.48, 1], "tickvals": [0, 25, 50, 75, 100]},
        "xaxis2": {**axis, "range": [0, steps], "domain": [0.66, 1], "anchor": "y2", "nticks": 5},
        "yaxis2": {**axis, "range": [min([-1.0, *(p.kl for p in points)]), 1.1 * most], "domain": [0.48, 1],
                   "anchor": "x2", "nticks": 4},
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8}, "annotations": notes, "datarevision": revision,
    }  # fmt: skip


def _words(text: str, x: float, y: float, xref: str, yref: str, **more: Any) -> dict[str, Any]:
    return {"text": text, "x": x, "y": y, "xref": xref, "yref": yref, "showarrow": False, "xanchor": "left",
            "yanchor": "bottom", **more}  # fmt: skip


def _ends(points: Points, exams: Sequence[tuple[int, float]], steps: int) -> list[dict[str, Any]]:
    """What the lines are, at their ends; apart where these would overlap."""
    if not points:
        return [_words("after Train", 0.5, 0.5, "x domain", "y domain", xanchor="center", font={"color": "ink-2"})]
    paid, right = 100 * points[-1].paid, 100 * exams[-1][1]
    apart = max(0.0, 9 - abs(paid - right)) / 2 * (1 if paid >= right else -1)
    near = {"yanchor": "middle", "xshift": 6}
    return [
        _words("<b>paid</b>", min(points[-1].step, steps), paid + apart, "x", "y", font={"color": "m1-text"}, **near),
        _words("<b>right</b>", min(points[-1].step, steps), right - apart, "x", "y", **near),
    ]


def _answers(answers: Sequence[Rated]) -> list[dict[str, Any]]:
    """Some answers of the last step, one to a prompt: what they were paid, and whether they are right."""
    every = max(1, len(answers) // SHOWN)
    notes = []
    for row, one in enumerate(answers[::every][:SHOWN]):
        mark = "right" if one.truth else "wrong"
        text = f"{100 * one.reward:.0f} % · {mark} · {cut(one.answer, LONGEST)}"
        notes.append(_words(plotly_text(text), 0, 0.145 - 0.075 * row, "paper", "paper",
                            font={"color": "ink" if one.truth else "ink-2"}))  # fmt: skip
    return notes
