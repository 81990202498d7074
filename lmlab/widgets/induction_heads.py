"""InductionHeads: a small model of attention alone learns to copy, live and from random weights.

Two models train side by side on random tokens that repeat themselves: one of two layers, one of one layer. When the
training is over, every head can be silenced.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import traitlets

from lmlab.training.copying import LONGEST, SHORTEST, STEPS, CopyPoint, CopyTrial, T, V
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans
from lmlab.widgets._training import TrainingFigure

Points = Sequence[CopyPoint]
PLATEAU, LEARNED = 0.15, 0.95  # accuracy that ends the plateau; accuracy that counts as having learned
HEADS = ("0.0", "0.1", "1.0", "1.1")
SILENCED = {"none": "no head", **{name: f"layer {name[0]}, head {name[2]}" for name in HEADS}, "copiers": "all copiers"}
NAMES = ("two layers", "one layer")
SHAPES = "●■"


def jump(points: Points) -> tuple[int, int] | None:
    """The last step of the plateau and the first at which copying is learned; None before that.

    >>> at = lambda step, accuracy: CopyPoint(step=step, accuracy=accuracy, loss=0.0, induction=0.0)
    >>> jump([at(0, 0.03), at(10, 0.1), at(20, 0.6), at(30, 0.97)])
    (10, 30)
    """
    learned = next((p.step for p in points if p.accuracy >= LEARNED), None)
    if learned is None:
        return None
    return max((p.step for p in points if p.step < learned and p.accuracy < PLATEAU), default=0), learned


def induction_view(
    runs: tuple[Points, Points],
    *,
    steps: int,
    seed: int,
    without: Mapping[str, float],
    silenced: str = "none",
    copiers: Sequence[str] = (),
    looks_back: str = "",
) -> FigureView:
    """What InductionHeads shows of the points of two layers and of one; `without`: accuracy by silenced head. Pure."""
    two = runs[0]
    if not two:
        readout = spans(
            "Press ", bold("Train"), f": {steps} steps from random weights, a few seconds, seed {seed}. Watch ",
            model_name(0, NAMES[0]), ": does it copy a little better at every step? ", model_name(1, NAMES[1]),
            " is the control. Dotted: how much the best head of the two layers looks at what followed before.",
        )  # fmt: skip
    elif silenced != "none":
        readout = _silence_said(two[-1].accuracy, silenced, without, copiers, looks_back)
    else:
        readout = _learning_said(runs, steps, without, copiers, looks_back)
    return FigureView(
        question="When does a model learn to copy what it has read?",
        about="InductionHeads · attention alone, 2 layers and 1 · cpu",
        readout=readout,
        foot=spans(
            mono("ids (B,T) → logits (B,T,V)"),
            f" · random tokens, V {V}: a piece of {SHORTEST} to {LONGEST}, said again and again to T {T} · new rows at "
            f"every step, measured on 64 others where the token stood before · dotted: the most attention that a "
            f"head gives to what followed there · D 32, H 2, no MLP · seed {seed}: expect "
            f"over 95{chr(0x202F)}% by step 250",
        ),
        figure={
            "data": _traces(runs, without, silenced),
            "layout": _layout(steps, bool(without), two[-1].accuracy if two else 0.0),
        },
        height=340,
    )


def _learning_said(
    runs: tuple[Points, Points], steps: int, without: Mapping[str, float], copiers: Sequence[str], looks_back: str
) -> Spans:
    two, one = runs[0][-1], runs[1][-1]
    said: list[str | Span] = [
        f"Step {two.step} of {steps}: ",
        model_name(0, NAMES[0]), " copy ", bold(percent(two.accuracy)), ", ",
        model_name(1, NAMES[1]), " ", bold(percent(one.accuracy)),
        ". " if without else f" of what could be known; a blind guess gets {percent(1 / V)}. ",
    ]  # fmt: skip
    rise = jump(runs[0])
    if rise and without:
        said += ["Until step ", bold(str(rise[0])), " little seemed to happen; ", bold(str(rise[1] - rise[0]))]
        said += [" steps later it could copy. ", *_roles_said(copiers, looks_back)]
    elif not rise and two.step > 20:
        said += ["Its best head gives ", bold(percent(two.induction)), " of its attention to what followed before."]
    return spans(*said)


def _roles_said(copiers: Sequence[str], looks_back: str) -> list[str | Span]:
    """What each head does; one that does neither is the control of the others."""
    many = len(copiers) > 1
    said: list[str | Span] = ["Heads " if many else "Head ", bold(" and ".join(copiers)), " look" if many else " looks"]
    said += [" at what followed before, ", bold(looks_back), " one token back"]
    neither = [name for name in HEADS if name != looks_back and name not in copiers]
    return [*said, ", ", bold(" and ".join(neither)), " at neither: a control."] if neither else [*said, "."]


def _silence_said(
    whole: float, silenced: str, without: Mapping[str, float], copiers: Sequence[str], looks_back: str
) -> Spans:
    name = SILENCED[silenced]
    if silenced not in without:
        return spans("To silence ", bold(name), ", let the training end first.")
    role = ""
    if silenced in copiers:
        role = ", which looks at what followed before,"
    elif silenced == looks_back:
        role = ", which looks at the token just before,"
    elif silenced != "copiers":
        role = ", the control,"
    verb = "copy" if silenced == "copiers" else "copies"
    who = f"Without {name}{role} " + ("the rest " if verb == "copies" else "the others ")
    left = without[silenced] / max(whole, 1e-9)
    kept = ("Hardly anything is lost" if left > 0.9 else "Part of it is lost" if left > 0.5
            else "Most of it is gone" if left > 0.1 else "That is guessing")  # fmt: skip
    return spans(who, verb, " ", bold(percent(without[silenced])), f" instead of {percent(whole)}. {kept}.")


def _traces(runs: tuple[Points, Points], without: Mapping[str, float], silenced: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for slot, points in enumerate(runs):
        x = [p.step for p in points]
        line = {"color": f"m{slot + 1}", "width": 3}
        common = {"type": "scatter", "x": x, "mode": "lines", "line": line, "legendgroup": NAMES[slot]}
        hover = "step %{x}: %{y:.0f} %<extra></extra>"
        lines.append(
            {
                **common,
                "y": [100 * p.accuracy for p in points],
                "name": f"{SHAPES[slot]} {NAMES[slot]}",
                "hovertemplate": hover,
            }
        )
        lines.append({**common, "y": [p.loss for p in points], "xaxis": "x2", "yaxis": "y2", "showlegend": False,
                      "hovertemplate": "step %{x}: %{y:.2f} nats<extra></extra>"})  # fmt: skip
    lines.append({
        "type": "scatter", "mode": "lines", "x": [p.step for p in runs[0]], "y": [100 * p.induction for p in runs[0]],
        "name": "its best head", "line": {"color": "m1", "width": 2, "dash": "dot"},
        "hovertemplate": "step %{x}: %{y:.0f} % of its attention<extra></extra>",
    })  # fmt: skip
    named = [name for name in (*HEADS, "copiers") if name in without]
    shares = [100 * without[name] for name in named]
    lines.append({
        "type": "bar", "x": [name if name in HEADS else "all" for name in named], "y": shares,
        "xaxis": "x3", "yaxis": "y3", "text": [f"{share:.0f}" for share in shares], "textposition": "outside",
        "cliponaxis": False, "marker": {"color": ["m1" if name == silenced else "quiet" for name in named]},
        "showlegend": False, "hovertemplate": "without %{x}: %{y:.0f} %<extra></extra>",
    })  # fmt: skip
    return lines


def _layout(steps: int, done: bool, whole: float) -> dict[str, Any]:
    def words(text: str, x: float, y: float, axis: str = "", on: str = " domain", **more: Any) -> dict[str, Any]:
        return {"text": text, "x": x, "y": y, "xref": f"x{axis}{on}", "yref": f"y{axis}{on}", "showarrow": False,
                "xanchor": "left", "yanchor": "bottom", **more}  # fmt: skip

    def across(y: float, x: str, axis: str) -> dict[str, Any]:
        return {"type": "line", "x0": 0, "x1": steps, "y0": y, "y1": y, "xref": x, "yref": axis,
                "line": {"color": "ink", "width": 1.5, "dash": "dash"}}  # fmt: skip

    guess = 100 / V
    right: dict[str, Any] = {"xanchor": "right", "font": {"color": "ink-2"}}
    notes = [
        words("<b>Copied right</b>, percent", 0, 1.02),
        words("<b>Loss</b>, nats a token", 0, 1.05, "2"),
        words("<b>… with a head silent</b>", 0, 1.05, "3"),
        words(f"a blind guess: {guess:.1f}", steps, guess, on="", **right),
        words(f"ln V = {number(math.log(V))}", steps, math.log(V), "2", on="", **right),
    ]
    if not done:
        notes.append(words("after the training", 0.5, 0.4, "3", xanchor="center", font={"color": "ink-2"}))
    lines = [across(guess, "x", "y"), across(math.log(V), "x2", "y2")]
    if done:
        lines.append({**across(100 * whole, "x3 domain", "y3"), "x1": 1})
    return {
        "xaxis": {"range": [0, steps], "domain": [0, 0.54], "title": {"text": "step"}, "zeroline": False},
        "yaxis": {"range": [0, 104], "zeroline": False},
        "xaxis2": {"range": [0, steps], "domain": [0.64, 1], "anchor": "y2", "zeroline": False},
        "yaxis2": {"range": [0, 4.4], "domain": [0.60, 1], "anchor": "x2", "zeroline": False, "nticks": 4},
        "xaxis3": {"domain": [0.64, 1], "anchor": "y3", "type": "category", "range": [-0.6, 4.6],
                   "categoryarray": [*HEADS, "all"], "tickangle": 0, "title": {"text": "layer.head"}},
        "yaxis3": {"range": [0, 124], "domain": [0, 0.36], "anchor": "x3", "tickvals": [0, 50, 100]},
        "legend": {"x": 0.01, "y": 0.99, "xanchor": "left", "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"},
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "shapes": lines,
        "annotations": notes,
    }  # fmt: skip


class InductionHeads(TrainingFigure):
    """Two layers of attention learn to copy from random weights while you look; one layer beside them does not.

    `seed` decides weights and text; `silenced` names the head to do without, as "1.0" (layer 1, head 0).
    `train()` starts, `stop()` ends after a step, `wait()` returns when it is over. `trials` are the two models.
    `question` is another heading.
    """

    controls = ("start", "halt", "silenced", "seed")

    silenced = traitlets.Enum(tuple(SILENCED), "none").tag(
        sync=True, control=Control("select", "Silence", options=tuple(SILENCED.items()))
    )
    seed = traitlets.Int(0, min=0, max=9).tag(sync=True, control=Control("slider", "Seed", max=9, secondary=True))

    def __init__(self, *, steps: int = STEPS, **traits: Any) -> None:
        if not isinstance(steps, int) or not 10 <= steps <= 2_000:
            raise ValueError(f"steps is {steps!r}; give a whole number from 10 to 2,000, such as {STEPS}.")
        self._steps = steps
        super().__init__(**traits)

    def forget(self) -> None:
        """Drop both models."""
        self.trials: tuple[CopyTrial, CopyTrial] | None = None
        self._without: dict[str, float] = {}
        self._copiers: tuple[str, ...] = ()
        self._looks_back = ""

    @traitlets.observe("seed")
    def _other_seed(self, change: Any) -> None:
        self.start_over(change)

    def rounds(self) -> Iterator[None]:
        """Ten steps of each model in turn; then every head is silenced once."""
        self.trials = trials = (CopyTrial(2, seed=self.seed, steps=self._steps),
                                CopyTrial(1, seed=self.seed, steps=self._steps))  # fmt: skip
        yield
        while not all(trial.is_over for trial in trials):
            for trial in trials:
                trial.advance(keep_on=self.goes_on)
            yield
        two = trials[0]
        copiers = two.copiers()
        without = {name: two.accuracy_without((int(name[0]), int(name[2]))) for name in HEADS}
        if copiers:
            without["copiers"] = two.accuracy_without(*copiers)
        self._copiers, self._looks_back = tuple(_name(*head) for head in copiers), _name(*two.looks_back())
        self._without = without

    def trained(self) -> tuple[CopyTrial, CopyTrial]:
        """Both models at the end of their training: waits for one under way, begins one where there is none."""
        for begin in (False, True):
            if begin and not self._without:
                self.train()
            while self.is_training:  # also one that a button has begun anew
                self.wait()
        self.wait()  # raises what went wrong
        if not (self._without and self.trials):
            raise RuntimeError("The training was stopped before its end; press Train, or run this cell again.")
        return self.trials

    def compute(self) -> FigureView:
        runs = (tuple(self.trials[0].points), tuple(self.trials[1].points)) if self.trials else ((), ())
        return induction_view(
            runs, steps=self._steps, seed=self.seed, without=self._without, silenced=self.silenced,
            copiers=self._copiers, looks_back=self._looks_back,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine."""
        asked = f"{count(self._steps, 'step')}, seed {self.seed}: "
        if not self._without or not self.trials:
            return spans(asked + "two layers of attention and one, from random weights")
        can = ["learned to copy" if t.points[-1].accuracy >= LEARNED else "did not" for t in self.trials]
        return spans(asked + f"two layers {can[0]}, one layer {can[1]}")


def _name(layer: int, head: int) -> str:
    return f"{layer}.{head}"
