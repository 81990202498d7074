"""SkillCurves: what a training teaches first, and what last, family by family.

Every snapshot is measured live on the same documents and questions of the town, beside the truth's own loss.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from lmlab.text_model import TextModel
from lmlab.training.skills import Skill, skills
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView, FigureWidget, plotly_text
from lmlab.widgets._snapshots import snapshots_of
from lmlab.widgets._style import Span, Spans, bold, model_name, mono, number, percent, spans

FAMILIES = ("facts", "story", "logic", "arithmetic")
MARKS = ("circle", "square", "triangle-up", "diamond")
SHOW = {"right": "questions right", "gap": "loss above the floor"}
Curves = Mapping[str, Sequence[Skill]]


def learned_at(steps: Sequence[int], found: Sequence[Skill], share: float) -> int | None:
    """The first step from which on at least this share of questions is right; None where that has not come.

    >>> learned_at([1, 2, 3], [Skill("a", 1, 1, r) for r in (1.0, 0.5, 0.9)], 0.9)
    3
    """
    last = None
    for step, skill in zip(steps, found, strict=True):
        last = None if skill.right < share else step if last is None else last
    return last


def skill_view(
    steps: Sequence[int], labels: Sequence[str], curves: Curves, *, show: str, learned: int, n: int, name: str,
    question: str = "",
) -> FigureView:  # fmt: skip
    """What SkillCurves shows of the skills at every step. Pure."""
    return FigureView(
        question=question or "What does it learn first, and what last?",
        about=f"SkillCurves · {len(steps)} snapshots · {name}",
        readout=_said(steps, labels, curves, learned),
        foot=spans(
            mono("ids (T,) → log_probs (T,V)"), f" · {n} documents and {n} questions a family, the same for every "
            "snapshot; none was trained on · a question is right if its answer is what the model writes greedily"
            " · floor: the loss of the town’s exact grammar on the same documents",
        ),
        table=[["family", *labels], *[[f, *[percent(s.right) for s in found]] for f, found in curves.items()]],
        figure={"data": _traces(steps, labels, curves, show), "layout": _layout(steps, labels, show, learned)},
        height=330,
    )  # fmt: skip


def _said(steps: Sequence[int], labels: Sequence[str], curves: Curves, learned: int) -> Spans:
    when = {family: learned_at(steps, found, learned / 100) for family, found in curves.items()}
    slots = {family: slot for slot, family in enumerate(curves)}
    parts: list[str | Span] = [f"At least {learned}{chr(0x202F)}% right: "]
    for family in sorted((f for f in when if when[f] is not None), key=lambda f: when[f] or 0):
        parts += [model_name(slots[family], family), " by ", bold(labels[list(steps).index(when[family] or 0)]), ", "]
    never = [f for f in when if when[f] is None]
    for family in never:
        parts += [model_name(slots[family], family), " not yet, "]
    parts[-1] = str(parts[-1])[:-2] + ". " if isinstance(parts[-1], str) else ". "
    last = {family: found[-1] for family, found in curves.items()}
    worst = max(last, key=lambda f: last[f].gap)
    parts += ["At the end ", model_name(slots[worst], worst), " is farthest from its floor: ",
              bold(f"{number(last[worst].gap, 3)} nats per token"), "."]  # fmt: skip
    return spans(*parts)


def _traces(steps: Sequence[int], labels: Sequence[str], curves: Curves, show: str) -> list[dict[str, Any]]:
    lines = []
    for slot, (family, found) in enumerate(curves.items()):
        y = [100 * s.right if show == "right" else s.gap for s in found]
        lines.append({
            "type": "scatter", "mode": "lines+markers", "x": list(steps), "y": y,
            "name": plotly_text(family), "line": {"color": f"m{slot + 1}", "width": 3},
            "marker": {"symbol": MARKS[slot], "size": 10, "color": f"m{slot + 1}"},
            "text": [plotly_text(x) for x in labels],
            "hovertemplate": "%{text}: %{y:.0f} %<extra></extra>" if show == "right" else
            "%{text}: %{y:.3f} nats<extra></extra>",
        })  # fmt: skip
    return lines


def _layout(steps: Sequence[int], labels: Sequence[str], show: str, learned: int) -> dict[str, Any]:
    right = show == "right"
    at, title = (
        (learned, "<b>Questions right</b>, percent") if right else (0.0, "<b>Loss above the floor</b>, nats a token")
    )
    ends = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": at, "y1": at}
    note = f"counts as learned: {learned}" if right else "the floor: the truth’s own loss"
    return {
        "xaxis": {"type": "log", "title": {"text": "step, log scale"}, "tickvals": list(steps), "tickangle": 0,
                  "ticktext": [plotly_text(label.removeprefix("step ")) for label in labels], "zeroline": False},
        "yaxis": {"range": [-3, 106]} if right else {"rangemode": "tozero", "zeroline": False},
        "legend": {"x": 1.02, "y": 1, "xanchor": "left"},
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "shapes": [{**ends, "line": {"color": "ink", "width": 1.5, "dash": "dash" if right else "solid"}}],
        "annotations": [
            {"text": title, "xref": "paper", "yref": "paper", "x": 0, "y": 1.03, "showarrow": False,
             "xanchor": "left", "yanchor": "bottom"},
            {"text": note, "xref": "paper", "yref": "y", "x": 0.01, "y": at, "showarrow": False, "xanchor": "left",
             "yanchor": "top" if right else "bottom", "font": {"color": "ink-2"}},
        ],
    }  # fmt: skip


class SkillCurves(FigureWidget):
    """The share of questions right, or the loss above its floor, of up to four families at every snapshot.

    Snapshots are text models, model folders, or a run's folder with its snapshots/; without any, the shipped model's.
    `families` are names of the town's; `n` documents and questions each. `curves` holds the measurements.
    """

    controls = ("show", "learned")

    show = traitlets.Enum(tuple(SHOW), "right").tag(
        sync=True, control=Control("segments", "Show", options=tuple(SHOW.items()))
    )
    learned = traitlets.Int(90, min=10, max=100).tag(
        sync=True, control=Control("slider", "Counts as learned from", min=10, max=100, step=5, suffix="\u202f%")
    )

    def __init__(
        self,
        *snapshots: TextModel | str | os.PathLike[str],
        families: Sequence[str] = FAMILIES,
        n: int = 16,
        question: str = "",
        **traits: Any,
    ) -> None:
        if isinstance(families, str) or not 1 <= len(families) <= len(MARKS):
            raise ValueError(f"families is {families!r}; give one to four names, such as {list(FAMILIES)}.")
        if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= 500:
            raise ValueError(f"n is {n!r}; give a whole number of documents and questions from 1 to 500.")
        self._snapshots = snapshots_of(snapshots, "SkillCurves")
        self._families, self._n, self._question = tuple(families), n, question
        super().__init__(**traits)

    @functools.cached_property
    def curves(self) -> Curves:
        """For each family its skill at every snapshot; measured once, a few seconds."""
        at = [skills(s.model, self._families, n=self._n) for s in self._snapshots]
        return {family: [found[family] for found in at] for family in self._families}

    @property
    def families(self) -> tuple[str, ...]:
        """The families that are measured."""
        return self._families

    @property
    def steps(self) -> list[int]:
        """The step of every snapshot; its number, from 1, where nobody knows."""
        known = all(s.step > 0 for s in self._snapshots)
        return [s.step if known else i for i, s in enumerate(self._snapshots, 1)]

    def compute(self) -> FigureView:
        return skill_view(
            self.steps, [s.label for s in self._snapshots], self.curves, show=self.show, learned=self.learned,
            n=self._n, name=self._snapshots[-1].model.name, question=self._question,
        )  # fmt: skip
