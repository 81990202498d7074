"""BlockAblation: take one part out of a small transformer, train it live, and see what the part was for.

The grey bars are stored runs of the same recipe (assets/ablation); the arm that is chosen trains before your eyes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import traitlets

from lmlab.training.ablation_study import ARMS, STEPS, AblationArm, LossPoint, counting_loss, stored_losses
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView
from lmlab.widgets._style import Span, Spans, bold, model_name, mono, number, spans
from lmlab.widgets._training import TrainingFigure

Points = Sequence[LossPoint]
NAMES = {
    "whole": "nothing: the whole model",
    "residual": "the residual stream",
    "norm": "the norms",
    "attention": "attention",
    "mlp": "the MLP",
    "position": "positions",
}
SHORT = {"whole": "whole", **{part: f"no {part}" for part in ARMS[1:]}, "mlp": "no MLP"}
REASONS = {
    "whole": "Nothing is missing",
    "residual": "Each layer must now hand on all that the next one needs, and every gradient must pass through all",
    "norm": "Nothing keeps the numbers in the stream at one size, so no step suits all layers",
    "attention": "No word sees another, so the model can at best know which pairs are common, and so can a count",
    "mlp": "What attention brings together is never worked on",
    "position": "The words before are a bag; the mask alone hints at their order",
}


def ablation_view(
    part: str, live: Points, stored: Mapping[str, Points], *, counted: float, seed: int, done: bool
) -> FigureView:
    """What BlockAblation shows of the chosen arm's points so far, beside the stored arms. Pure."""
    final = {arm: stored[arm][-1].loss for arm in ARMS}
    return FigureView(
        question="What is each part of a transformer for?",
        about=f"BlockAblation · {SHORT[part]} · cpu",
        readout=_said(part, live, final, counted, seed, done),
        foot=spans(
            mono("ids (B,T) → logits (B,T,V)"),
            f" · the town, {STEPS} steps of B 12, T 64 · D 64, L 2, H 2, V 2,048 · grey: stored runs of "
            f"seed 0; live: seed {seed} · longer training narrows the gaps",
        ),
        table=[
            ["model", f"loss after {STEPS} steps, nats a token"],
            *([SHORT[arm], number(final[arm])] for arm in ARMS),
        ],
        figure={"data": _traces(part, live, stored), "layout": _layout(part, live, final, counted)},
        height=330,
    )


def _said(part: str, live: Points, final: Mapping[str, float], counted: float, seed: int, done: bool) -> Spans:
    whole = final["whole"]
    if not live:
        said: list[str | Span] = [f"In {STEPS} steps the whole model reaches ", bold(number(whole)), " nats a token"]
        if part != "whole":
            said += [", ", bold(f"without {NAMES[part]}"), f" {number(final[part])}"]
        return spans(*said, ". Press ", bold("Train"), f" to see it happen, a few seconds, seed {seed}.")
    at = live[-1]
    now: list[str | Span] = [
        f"Step {at.step} of {STEPS}: ",
        model_name(0, SHORT[part]),
        " ",
        bold(f"{number(at.loss)} nats a token"),
    ]
    if not done:
        return spans(*now, ".")
    gap = at.loss - whole
    beside = "" if part == "whole" else f", {number(abs(gap))} {'above' if gap > 0 else 'below'} the whole model"
    count = f" (a bigram that counts reaches {number(counted)})" if part == "attention" else ""
    return spans(*now, f"{beside}. {REASONS[part]}{count}.")


def _traces(part: str, live: Points, stored: Mapping[str, Points]) -> list[dict[str, Any]]:
    rows = [SHORT[arm] for arm in ARMS]
    bars = {"type": "bar", "orientation": "h", "showlegend": False, "hovertemplate": "%{x:.2f}<extra>%{y}</extra>"}
    traces: list[dict[str, Any]] = [
        {**bars, "y": rows, "x": [stored[arm][-1].loss for arm in ARMS], "width": 0.62, "marker": {"color": "quiet"}}
    ]
    if live:  # a loss beyond the scale is a bar to its end; its number stands beside it
        end = min(live[-1].loss, 1.04 * max(stored[arm][-1].loss for arm in ARMS))
        traces.append({**bars, "y": [SHORT[part]], "x": [end], "width": 0.34, "marker": {"color": "m1"}})
    curve = {"type": "scatter", "xaxis": "x2", "yaxis": "y2", "showlegend": False}
    for arms, color in ((ARMS[1:], "quiet"), (ARMS[:1], "ink")):
        points = [(SHORT[arm], p) for arm in arms for p in (*stored[arm], None)]  # a gap ends each line: one trace
        traces.append({
            **curve, "mode": "lines", "x": [p and p.step for _, p in points], "y": [p and p.loss for _, p in points],
            "text": [name for name, _ in points], "line": {"color": color, "width": 1.5},
            "hovertemplate": "%{text}, step %{x}: %{y:.2f}<extra></extra>",
        })  # fmt: skip
    if live:
        traces.append({
            **curve, "mode": "lines+markers", "x": [p.step for p in live], "y": [p.loss for p in live],
            "line": {"color": "m1", "width": 3}, "marker": {"size": 7},
            "hovertemplate": "step %{x}: %{y:.2f}<extra></extra>",
        })  # fmt: skip
    return traces


def _layout(part: str, live: Points, final: Mapping[str, float], counted: float) -> dict[str, Any]:
    most = 1.6 * max(final.values())  # beyond the longest bar stand the numbers

    def words(text: str, x: float, y: Any, ref: tuple[str, str], anchor: str = "right", **more: Any) -> dict[str, Any]:
        return {"text": text, "x": x, "y": y, "xref": ref[0], "yref": ref[1], "xanchor": anchor,
                "yanchor": "middle", "showarrow": False, **more}  # fmt: skip

    head, cells = {"yanchor": "bottom"}, ("x domain", "y")
    notes = [
        words("<b>Loss</b>, nats", 0, 1.02, ("x domain", "y domain"), "left", **head),
        words("stored", 0.84, 1.02, ("x domain", "y domain"), font={"color": "ink-2"}, **head),
        words("live", 1.04, 1.02, ("x domain", "y domain"), font={"color": "m1-text"}, **head),
        words("<b>… by step</b>", 0, 1.02, ("x2 domain", "y2 domain"), "left", **head),
        words(f"counting pairs: {number(counted)}", counted, 0, ("x", "y domain"), "left",
              yanchor="bottom", xshift=4, font={"color": "ink-2"}),
        words("whole", 97, final["whole"], ("x2", "y2"), yanchor="top"),
        *(words(number(final[arm]), 0.84, SHORT[arm], cells) for arm in ARMS),
    ]  # fmt: skip
    if live:
        notes.append(words(f"<b>{number(live[-1].loss)}</b>", 1.04, SHORT[part], cells, font={"color": "m1-text"}))
    line = {"type": "line", "x0": counted, "x1": counted, "y0": 0, "y1": 1, "xref": "x", "yref": "y domain",
            "line": {"color": "ink", "width": 1.5, "dash": "dash"}}  # fmt: skip
    return {
        "xaxis": {"range": [0, most], "tickvals": [0, 1, 2, 3, 4], "domain": [0, 0.6], "zeroline": False},
        "yaxis": {"type": "category", "categoryorder": "array", "categoryarray": [SHORT[a] for a in reversed(ARMS)],
                  "range": [-1.2, 5.5], "showgrid": False, "dtick": 1},
        "xaxis2": {"domain": [0.72, 1], "anchor": "y2", "range": [0, 1.04 * STEPS], "title": {"text": "step"}},
        "yaxis2": {"anchor": "x2", "range": [0, 8], "zeroline": False},
        "barmode": "overlay",
        "datarevision": f"{part} {live}" if live else "stored",  # else a key would draw again what did not change
        "margin": {"l": 8, "r": 12, "t": 40, "b": 8},
        "shapes": [line],
        "annotations": notes,
    }  # fmt: skip


class BlockAblation(TrainingFigure):
    """The same short training with one part switched off: `part` is "whole", "residual", "norm", "attention", "mlp"
    or "position"; `seed` decides weights and order of the text.

    `train()` starts, `stop()` ends after a step, `wait()` returns when it is over. `arm` is what was trained.
    `question` is another heading.
    """

    controls = ("start", "part", "halt", "seed")

    part = traitlets.Enum(ARMS, "attention").tag(
        sync=True, control=Control("select", "Switch off", options=tuple(NAMES.items()))
    )
    seed = traitlets.Int(0, min=0, max=9).tag(sync=True, control=Control("slider", "Seed", max=9, secondary=True))

    def __init__(self, **traits: Any) -> None:
        self._stored, self._counted = stored_losses(), counting_loss()
        super().__init__(**traits)

    def forget(self) -> None:
        """Drop the arm."""
        self.arm: AblationArm | None = None

    @traitlets.observe("part", "seed")
    def _other_arm(self, change: Any) -> None:
        self.start_over(change)

    def rounds(self) -> Iterator[None]:
        """A few steps at a time: five make a round that can be seen."""
        self.arm = arm = AblationArm(self.part, seed=self.seed)
        yield
        while not arm.is_over:
            arm.advance(keep_on=self.goes_on)
            yield

    @property
    def stored(self) -> dict[str, float]:
        """The loss at the end of each stored run, in nats a token, by what was switched off."""
        return {arm: points[-1].loss for arm, points in self._stored.items()}

    def compute(self) -> FigureView:
        arm = self.arm
        points = tuple(arm.points) if arm else ()
        return ablation_view(
            self.part, points, self._stored, counted=self._counted, seed=self.seed,
            done=bool(arm and arm.is_over),
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine."""
        arm, asked = self.arm, f"{STEPS} steps, {SHORT[self.part]}, seed {self.seed}"
        if arm is None or not arm.is_over:
            return spans(asked)
        stored = self._stored[self.part][-1].loss
        near = "near its stored run" if abs(arm.points[-1].loss - stored) < 0.25 else "far from its stored run"
        return spans(f"{asked}: {near}")
