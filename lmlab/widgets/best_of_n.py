"""BestOfN: the same model asked again and again, and three ways to choose among its answers.

A vote needs nobody who knows; the model's own confidence neither; "at least one is right" needs a verifier. Where the
right answer is the likeliest one a vote makes it surer, and where it is not, a vote makes it worse: both are on screen,
question by question, with the exact expectation beside what was drawn.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import Any

import torch
import traitlets
from torch import Tensor

from lmlab.data.clock_sums import ASKED, HOURS, WAYS, held_out_sums, written_sums
from lmlab.training.best_of_n import N_SAMPLES, NS, Asked, Chosen, ask, best_of_n_study
from lmlab.training.votes import vote_of_draws
from lmlab.widgets._base import Control
from lmlab.widgets._facts import StoresFacts
from lmlab.widgets._figure import FigureView, FigureWidget
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, you

_SUM = re.compile(r"\s*([0-9]{1,2})\s*\+\s*([0-9]{1,2})\s*\+\s*([0-9]{1,2})\s*=?\s*")
CHOOSERS = (("a vote", "m1", "circle"), ("confident", "m2", "square"), ("a verifier", "m3", "triangle-up"))


def read_sum(text: str) -> Tensor:
    """The three hours of a sum such as 17 + 9 + 20, (1, 3). Raises ValueError for what is none."""
    found = _SUM.fullmatch(text)
    if found is None or any(int(part) >= HOURS for part in found.groups()):
        shown = text if len(text) <= 40 else text[:39] + "…"
        raise ValueError(f"{shown!r} is no sum on this clock: give three hours from 0 to 23, such as 17 + 9 + 20.")
    return torch.tensor([[int(part) for part in found.groups()]])


def best_of_n_view(
    asked: Asked, chosen: Chosen, mine: Asked, *, n: int, way: str, steps: int, temperature: float, question: str = ""
) -> FigureView:
    """What BestOfN shows: all sums, and `mine`, the one that was typed. Pure."""
    tokens = written_sums(asked.sums[:1], way).shape[1] - ASKED
    at = NS.index(n)
    rows = zip(NS, chosen.vote, chosen.confident, chosen.verifier, strict=True)
    return FigureView(
        question=question or "Is it worth asking more than once?",
        about=f"BestOfN · {way}, {count(steps, 'step')} · cpu",
        readout=_said(asked, chosen, mine, n),
        foot=spans(
            mono("ids (B,T) → answers (B,)"),
            f" · {len(asked.sums)} sums that no training showed, {N_SAMPLES} samples each, {tokens} tokens a sample · "
            "lines: mean over all ways to pick N of them · ink: exact, from the probability of every answer · each: "
            f"one sample across, the vote up · temperature {number(temperature)} · ties are broken at random",
        ),
        labels={"log_n": "Samples N", "log_n:value": str(n)},
        table=[
            ["samples", *(name for name, _, _ in CHOOSERS)],
            *([str(k), *map(percent, shares)] for k, *shares in rows),
        ],
        figure={
            "data": [*_curves(chosen, tokens), *_by_sum(asked, chosen, mine, at), *_tally(mine, n)],
            "layout": _layout(chosen, mine, n, tokens),
        },
        height=430,
    )


def _said(asked: Asked, chosen: Chosen, mine: Asked, n: int) -> Spans:
    at, (right,), (top,) = NS.index(n), mine.right, mine.likeliest
    said: list[str | Span] = ["One sample is right ", bold(percent(chosen.exact_vote[0])), " of the time"]
    if n > 1:
        said += ["; of ", bold(str(n)), ", ", model_name(0, f"the vote {percent(chosen.vote[at])}"), ", "]
        said += [model_name(1, f"the most confident {percent(chosen.confident[at])}"), ", "]
        said += [model_name(2, f"at least one {percent(chosen.verifier[at])}")]
    p, voted = float(mine.p_right[0]), float(vote_of_draws(mine.probabilities.numpy(), [right], n)[0])
    said += [". ", you(_text(mine)), f" is {right}: p = ", bold(percent(p))]
    if top == right:
        said += [f", the likeliest answer; a vote of {n} finds it ", bold(percent(voted)), "."]
    else:
        said += [f", but {top} is likelier; a vote of {n} finds it ", bold(percent(voted)), ", one of very many never."]
    return spans(*said)


def _text(asked: Asked) -> str:
    return " + ".join(map(str, asked.sums[0].tolist()))


def _curves(chosen: Chosen, tokens: int) -> list[dict[str, Any]]:
    x = [n * tokens for n in NS]
    common = {"type": "scatter", "x": x, "showlegend": False, "customdata": list(NS)}
    said = "%{customdata} samples: %{y:.1f} % right"
    traces = [
        {**common, "mode": "lines+markers", "y": [100 * s for s in shares], "name": name, "hovertemplate": said,
         "line": {"color": color, "width": 3}, "marker": {"symbol": symbol, "size": 10, "color": color}}
        for (name, color, symbol), shares in zip(
            CHOOSERS, (chosen.vote, chosen.confident, chosen.verifier), strict=True)
    ]  # fmt: skip
    exact = (("a vote, exact", chosen.exact_vote), ("a verifier, exact", chosen.exact_verifier))
    traces += [
        {**common, "mode": "lines", "y": [100 * s for s in shares], "name": name, "hovertemplate": said,
         "line": {"color": "ink", "width": 2, "dash": "dot"}}
        for name, shares in exact
    ]  # fmt: skip
    return traces


def _by_sum(asked: Asked, chosen: Chosen, mine: Asked, at: int) -> list[dict[str, Any]]:
    """One point a sum: right with one sample against right by vote; hollow where another answer is likelier."""
    common = {"type": "scatter", "mode": "markers", "xaxis": "x2", "yaxis": "y2", "showlegend": False,
              "hovertemplate": "one sample %{x:.0f} %, a vote %{y:.0f} %", "cliponaxis": False}  # fmt: skip
    traces: list[dict[str, Any]] = [
        {**common, "mode": "lines", "x": [0, 100], "y": [0, 100], "hoverinfo": "skip",
         "line": {"color": "edge", "width": 1}, "name": "no gain"}
    ]  # fmt: skip
    is_mode = [top == r for top, r in zip(asked.likeliest, asked.right, strict=True)]
    for name, symbol, wanted in (("right is likeliest", "circle", True), ("another is likelier", "circle-open", False)):
        kept = [i for i, mode in enumerate(is_mode) if mode is wanted]
        marker = {"color": "m1", "size": 9, "symbol": symbol, "line": {"width": 2, "color": "m1"}}
        places = {"x": [100 * float(asked.p_right[i]) for i in kept],
                  "y": [100 * float(chosen.by_sum[at, i]) for i in kept]}  # fmt: skip
        traces.append({**common, **places, "name": name, "marker": marker})
    voted = vote_of_draws(mine.probabilities.numpy(), mine.right, NS[at])
    mark = {"color": "you", "size": 14, "symbol": "diamond", "line": {"color": "ink", "width": 2}}
    place = {"x": [100 * float(mine.p_right[0])], "y": [100 * float(voted[0])]}
    traces.append({**common, **place, "name": "your sum", "marker": mark})
    return traces


def _tally(mine: Asked, n: int) -> list[dict[str, Any]]:
    hours = list(range(HOURS))
    first = mine.samples.answers[0, :n].tolist()
    common = {"type": "bar", "x": hours, "xaxis": "x3", "yaxis": "y3", "showlegend": False, "width": 0.8}
    return [
        {**common, "y": [first.count(hour) for hour in hours], "name": "drawn", "marker": {"color": "m1"},
         "hovertemplate": "answer %{x}: %{y} votes"},
        {**common, "y": [n * float(p) if n * p > 0.02 else None for p in mine.probabilities[0]], "name": "expected",
         "hovertemplate": "answer %{x}: %{y:.2f} votes",
         "marker": {"color": "rgba(0,0,0,0)", "line": {"color": "ink", "width": 2}}},
    ]  # fmt: skip


def _layout(chosen: Chosen, mine: Asked, n: int, tokens: int) -> dict[str, Any]:
    head = {"showarrow": False, "xanchor": "left", "yanchor": "bottom", "x": 0, "y": 1.03, "font": {"color": "ink"}}
    right = {"x": 1, "xanchor": "right"}
    titles: tuple[tuple[str, str, dict[str, Any]], ...]
    titles = (("", "<b>Right answers</b>, %", {}), ("2", f"<b>A vote of {n}</b>, %", right),
              ("3", f"<b>{_text(mine)}</b>, ▼ right", right))  # fmt: skip
    notes: list[dict[str, Any]] = [
        {**head, "text": text, "xref": f"x{k} domain", "yref": f"y{k} domain", **place} for k, text, place in titles
    ]
    ends = _apart([100 * shares[-1] for shares in (chosen.vote, chosen.confident, chosen.verifier)])
    notes += [
        {"xref": "x domain", "x": 1.02, "yref": "y", "y": y, "text": f"<b>{name}</b>", "showarrow": False,
         "xanchor": "left", "font": {"color": f"{color}-text"}}
        for (name, color, _), y in zip(CHOOSERS, ends, strict=True)
    ]  # fmt: skip
    most = max(n * float(mine.probabilities.max()), *(mine.samples.answers[0, :n].tolist().count(h) for h in range(24)))
    notes.append({"xref": "x3", "yref": "y3 domain", "x": mine.right[0], "y": 1.0, "yanchor": "top", "text": "▼",
                  "showarrow": False, "font": {"color": "ink"}})  # fmt: skip
    plain = {"fixedrange": True, "zeroline": False}
    share = {**plain, "range": [0, 103], "tickvals": [0, 25, 50, 75, 100]}
    return {
        "xaxis": {**plain, "type": "log", "domain": [0, 0.46], "tickvals": [k * tokens for k in NS],
                  "ticktext": [str(k * tokens) for k in NS], "title": {"text": "tokens an answer (log)"}},
        "yaxis": share,
        "xaxis2": {**share, "domain": [0.77, 1], "anchor": "y2", "tickvals": [0, 50, 100]},
        "yaxis2": {**share, "domain": [0.64, 1], "anchor": "x2", "tickvals": [0, 50, 100]},
        "xaxis3": {**plain, "domain": [0.77, 1], "anchor": "y3", "tickvals": [0, 6, 12, 18, 23],
                   "range": [-0.7, 23.7]},
        "yaxis3": {**plain, "domain": [0, 0.26], "anchor": "x3", "range": [0, 1.4 * max(most, 1)], "nticks": 2},
        "barmode": "overlay",
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "dragmode": False,
        "shapes": [{"type": "line", "x0": n * tokens, "x1": n * tokens, "y0": 0, "y1": 1, "yref": "y domain",
                    "line": {"color": "ink", "width": 1, "dash": "dot"}}],
        "annotations": notes,
    }  # fmt: skip


def _apart(heights: list[float], least: float = 15.0) -> list[float]:
    """The heights of labels, moved so far that none covers another."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = list(heights)
    for below, above in itertools.pairwise(order):
        placed[above] = max(placed[above], placed[below] + least)
    over = max(0.0, placed[order[-1]] - 101)
    return [y - over for y in placed]


class BestOfN(StoresFacts, FigureWidget):
    """A small model is asked each of 32 clock sums 64 times; its answers are put to the vote.

    `log_n` is log2 of the samples N (0 to 6), `temperature` that of drawing, `sum` the sum whose tally is shown.
    `way` is "scratch pad", "dots" or "at once", and `trained` the steps that the model learned for: it trains in some
    seconds, once a kernel. `question` is another heading.
    """

    slow = True
    controls = ("sum", "log_n", "temperature", "way", "trained")

    sum = traitlets.Unicode().tag(
        sync=True, control=Control("text", "Your sum, on a clock of 24 hours", wide=True, on_enter=True)
    )
    log_n = traitlets.Int(3, min=0, max=6).tag(sync=True, control=Control("slider", "Samples N", max=6))
    temperature = traitlets.Float(1.0, min=0.25, max=2.0).tag(
        sync=True,
        control=Control("slider", "Temperature", min=0.25, max=2.0, step=0.25, live=False, secondary=True),
    )
    way = traitlets.Enum(WAYS, "scratch pad").tag(
        sync=True, control=Control("segments", "It writes", options=tuple((way, way) for way in WAYS))
    )
    trained = traitlets.Int(80, min=20, max=180).tag(
        sync=True, control=Control("slider", "Steps trained", min=20, max=180, step=20, secondary=True, live=False)
    )

    def __init__(self, *, seed: int = 0, question: str = "", **traits: Any) -> None:
        self._seed, self._question = seed, question
        traits.setdefault("sum", " + ".join(map(str, held_out_sums()[0].tolist())))
        super().__init__(**traits)

    def compute(self) -> FigureView:
        steps, refusal = max(20, self.trained // 20 * 20), ""
        try:
            sums = read_sum(self.sum)
        except ValueError as error:
            sums, refusal = held_out_sums()[:1], str(error)  # the picture goes on with a sum that is one
        temperature = round(self.temperature, 2)
        asked, chosen = best_of_n_study(self.way, steps, temperature, self._seed)
        self.asked, self.chosen = asked, chosen
        self.mine = ask(sums, way=self.way, steps=steps, temperature=temperature, seed=self._seed)
        view = best_of_n_view(
            asked, chosen, self.mine, n=2**self.log_n, way=self.way, steps=steps, temperature=temperature,
            question=self._question,
        )  # fmt: skip
        return dataclasses.replace(view, readout=spans(refusal)) if refusal else view

    @property
    def facts(self) -> Spans:
        """What holds on every machine."""
        if self.shown is None:
            return spans(self.sentence)
        vote = self.chosen.exact_vote
        worse = bool((self.chosen.by_sum[-1] < self.asked.p_right - 0.01).any())
        return spans(
            f"{self.way}: a vote of 64 beats one sample: {vote[-1] > vote[0]}; for some sums it is worse: {worse}"
        )
