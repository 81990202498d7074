"""BitsVersusLoss: how few bits are enough? Every way to store a model's weights, and what it does to the model.

Points that were measured before are there at once; a button measures on this machine, one way after the other. Least
error of the weights is not least loss of the model: the two can be drawn against each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import traitlets
from torch import nn

from lmlab.models.linear import own_linear_layers
from lmlab.quantization.groups import GroupSize
from lmlab.text_model import TextModel
from lmlab.training.held_out_loss import held_out
from lmlab.training.quantization_study import (
    SETTINGS,
    UNQUANTIZED,
    KeptCurve,
    QuantizationPoint,
    Setting,
    fits,
    kept_curve,
    quantization_curve,
    study_text,
)
from lmlab.widgets._base import Control, heavy
from lmlab.widgets._bits_figure import SHOW, Points, Scene, bits_figure, group_words, way
from lmlab.widgets._figure import FigureView
from lmlab.widgets._quantization_words import shown_error
from lmlab.widgets._style import NARROW, Span, Spans, bold, count, n_bytes, number, spans
from lmlab.widgets._training import TrainingFigure

GROUPS: dict[str, GroupSize] = {"32": 32, "64": 64, "row": "row", "all": None}
TOLD_APART = 0.03  # nats a token: a smaller difference may be that of the thousand tokens it is measured on
SAME = 1e-3  # nats a token by which a model may differ from the one whose points are stored


class Progress(NamedTuple):
    """How far a measurement is: `done` of `n` ways."""

    done: int
    n: int


def fewest_bits(points: Points, full: QuantizationPoint, within: float) -> QuantizationPoint | None:
    """The point of the fewest bits a weight whose perplexity is at most `within` percent above the full model's;
    None where there is none. Of two with equally many bits, that of the lower loss."""
    near = [p for p in points if p.perplexity <= full.perplexity * (1 + within / 100)]
    return min(near, key=lambda p: (round(p.bits_per_weight, 6), p.loss), default=None)


def crossed_pair(points: Points, full: QuantizationPoint) -> tuple[QuantizationPoint, QuantizationPoint] | None:
    """Two ways of which the first has the lower error of the weights and the higher loss; None if there are none.

    Of all such pairs the one where both differ most, by the smaller of the two ratios.
    """
    told = [p for p in points if p.error > 0 and p.loss - full.loss > SAME]
    found, most = None, 1.05
    for a in told:
        for b in told:
            gap = min(b.error / a.error, (a.loss - full.loss) / (b.loss - full.loss))
            if gap > most and a.loss - b.loss > TOLD_APART:
                found, most = (a, b), gap
    return found


def bits_view(
    points: Points, full: QuantizationPoint | None, *, name: str, source: str, floor: float | None, n_weights: int,
    group: str, show: str, within: float, n_here: int = 0, progress: Progress | None = None, question: str = "",
) -> FigureView:  # fmt: skip
    """What BitsVersusLoss shows: `points` of one model, `full` the model as it was, `n_here` of them measured here."""
    best = fewest_bits(points, full, within) if full else None
    scene = Scene(tuple(points), full, floor, GROUPS[group], show, within, best)
    rows = sorted((p for p in points if p.group_size == GROUPS[group]), key=lambda p: (p.bits_per_weight, p.method))
    stored = len(points) - n_here
    return FigureView(
        question=question or "How few bits are enough?",
        about=f"BitsVersusLoss · {name} · cpu",
        readout=_said(points, full, best, show, within, progress),
        foot=spans(
            f"{n_weights:,} weights of the linear layers; the embedding stays as it is · loss on {source}"
            + (f", floor {floor:.3f} nats per token" if floor is not None else "")
            + f" · bits a weight: 8 × all bytes that are stored ÷ weights · {n_here} measured here, {stored} before"
        ),
        table=[
            ["stored as", "bits a weight", "weight error", "perplexity"],
            *([["unquantized", f"{full.bits_per_weight:.2f}", "0", number(full.perplexity, 3)]] if full else []),
            *([way(p), f"{p.bits_per_weight:.2f}", shown_error(p.error), number(p.perplexity, 3)] for p in rows),
        ],
        figure=bits_figure(scene),
        height=400,
    )


def _said(
    points: Points, full: QuantizationPoint | None, best: QuantizationPoint | None, show: str, within: float,
    progress: Progress | None,
) -> Spans:  # fmt: skip
    percent = f"{within:g}{NARROW}%"
    if progress is not None:
        done = f"{progress.done} of {progress.n}"
        return spans("Measuring on this machine, ", bold(done), " ways done; each is the whole model once more.")
    if full is None or not points:
        return spans(
            "Nothing is measured yet. Guess how many bits a weight stay within ", bold(percent),
            " of the full model’s perplexity, then press Measure.",
        )  # fmt: skip
    pair = crossed_pair(points, full) if show == "both" else None
    if pair:
        return spans(*_crossed(*pair, full))
    if best is None:
        nearest = min(points, key=lambda p: p.loss)
        rise = 100 * (nearest.perplexity / full.perplexity - 1)
        return spans(
            f"No way of {count(len(points), 'way')} stays within ", bold(percent), " of the full model’s perplexity, ",
            f"{number(full.perplexity)}; the nearest is {number(rise, 1)}{NARROW}% above it: {way(nearest)}.",
        )  # fmt: skip
    return spans(
        "Within ", bold(percent), f" of the full model’s perplexity, {number(full.perplexity)}, the fewest are ",
        bold(f"{number(best.bits_per_weight)} bits a weight"), f": {way(best)}, {n_bytes(best.n_bytes)} in the place "
        f"of {n_bytes(full.n_bytes)}.",
    )  # fmt: skip


def _crossed(a: QuantizationPoint, b: QuantizationPoint, full: QuantizationPoint) -> list[str | Span]:
    return [
        "Less error, more loss: ", f"{way(a)} errs by ", bold(shown_error(a.error)), " and costs ",
        bold(f"{number(a.loss - full.loss, 3)} nats"), f"; {way(b)} errs by ", bold(shown_error(b.error)),
        " and costs ", bold(f"{number(b.loss - full.loss, 3)}"), ".",
    ]  # fmt: skip


class BitsVersusLoss(TrainingFigure):
    """Perplexity against bits a weight, for every way to store the weights of a model's linear layers.

    `model` is a text model, or "town" or "smollm2" for stored points alone. Points of the shipped models are there
    at once, where the model is the one that they are of. `measure()` measures those of the chosen `group` here, or
    `settings`, (method, bits, group size) each; `stop()` ends it after a point, `wait()` returns when it is over.
    `points` are all points. `text` is what the loss is measured on, as QuantizationBins takes it.
    """

    controls = ("show", "group", "within", "start", "halt")

    show = traitlets.Enum(tuple(SHOW), "perplexity").tag(
        sync=True, control=Control("segments", "Draw", options=tuple(SHOW.items()))
    )
    group = traitlets.Enum(tuple(GROUPS), "32").tag(
        sync=True,
        control=Control("select", "Group", options=tuple((g, group_words(size)) for g, size in GROUPS.items())),
    )
    within = traitlets.Float(1.0, min=0.5, max=30.0).tag(
        sync=True, control=Control("slider", "Near enough", min=0.5, max=30, step=0.5, suffix=f"{NARROW}%")
    )
    start = traitlets.Unicode().tag(control=Control("button", "▶ Measure", main=True))
    halt = traitlets.Unicode().tag(control=Control("button", "■ Stop", secondary=True))

    def __init__(
        self,
        model: TextModel | str,
        *,
        text: str | Sequence[str] = "held-out",
        settings: Iterable[tuple[str, int, GroupSize]] | None = None,
        **traits: Any,
    ) -> None:
        self._here: dict[Setting, QuantizationPoint] = {}
        self._model = None if isinstance(model, str) else model
        self._settings = None if settings is None else [Setting(*one) for one in settings]
        self._kept: KeptCurve | None = None
        self._full: QuantizationPoint | None = None
        self._progress: Progress | None = None
        if isinstance(model, str):
            self._kept = kept_curve(model)
            self._source, self._floor, self._n_weights = self._kept.source, self._kept.floor, self._kept.n_weights
            traits["hidden"] = ("start", "halt")
        else:
            self._begin(model, text)
        if self._kept:
            self._full = next(p for p in self._kept.points if p.method == UNQUANTIZED)
        self._name_of_model = model if isinstance(model, str) else model.name
        super().__init__(**traits)

    def _begin(self, model: TextModel, text: str | Sequence[str]) -> None:
        """What is known of a model before a measurement; what is stored of it, if it is one of the shipped."""
        kept = _kept(model.name) if text == "held-out" else None
        measured = study_text(model) if kept else held_out(model, text)
        as_it_is = quantization_curve(model, [] if measured is None else measured, settings=())  # may refuse
        assert measured is not None
        assert isinstance(model.model, nn.Module)
        self._weights = [layer.weight for layer in own_linear_layers(model.model).values()]
        self._n_weights = sum(weight.numel() for weight in self._weights)
        self._text, self._source, self._floor = measured, measured.source, measured.floor
        if not heavy(model):
            self._full = next(as_it_is)
        if kept is None or kept.n_weights != self._n_weights:
            return
        then = next(p for p in kept.points if p.method == UNQUANTIZED)
        if self._full is None or abs(self._full.loss - then.loss) < SAME:  # else another model of the same name
            self._kept = kept

    @property
    def points(self) -> list[QuantizationPoint]:
        """All ways that were measured, here or before; what was measured here takes the place of what is stored."""
        stored = self._kept.points if self._kept else ()
        before = {_setting(p): p for p in stored if p.method != UNQUANTIZED}
        return list((before | self._here).values())

    @property
    def fewest(self) -> QuantizationPoint | None:
        """The way of the fewest bits a weight that is near enough; None where none is, or nothing is measured."""
        return fewest_bits(self.points, self._full, self.within) if self._full else None

    def measure(self) -> BitsVersusLoss:
        """Measure the ways of the chosen group on this machine, or those that were given."""
        self.train()
        return self

    def train(self) -> TrainingFigure:
        if self._model is None:
            raise ValueError(f'these are stored points: open the model, lab.load("{self._name_of_model}"), to measure.')
        return super().train()

    def rounds(self) -> Iterator[None]:
        """One way after the other; those that were measured before a stop are not measured again."""
        assert self._model is not None
        wanted = self._settings or [
            s for s in SETTINGS if s.group_size == GROUPS[self.group] and fits(s, self._weights)
        ]
        missing = [setting for setting in wanted if setting not in self._here] or wanted
        done = len(wanted) - len(missing)
        self._progress = Progress(done, len(wanted))
        yield
        for point in quantization_curve(self._model, self._text, settings=missing):
            if point.method == UNQUANTIZED:
                self._full = point
                continue
            self._here[_setting(point)] = point
            done += 1
            self._progress = Progress(done, len(wanted))
            yield

    def reset(self) -> None:
        self.stop()
        self._here = {}
        super().reset()

    def compute(self) -> FigureView:
        return bits_view(
            self.points, self._full, name=self._name_of_model, source=self._source, floor=self._floor,
            n_weights=self._n_weights, group=self.group, show=self.show, within=self.within, n_here=len(self._here),
            progress=self._progress if self.is_training else None,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine: stored points as they are; measured ones to a whole bit."""
        near, here = f"within {self.within:g}{NARROW}%", f"; {len(self._here)} measured here" if self._here else ""
        if self.fewest is None:
            return spans(f"none {near}{here}." if self.points else f"nothing measured yet; wanted: {near}.")
        bits = self.fewest.bits_per_weight
        if self._kept:
            return spans(f"{near} {number(bits)} bits a weight: {way(self.fewest)}{here}.")
        return spans(f"{near} at most {math.ceil(bits)} bits a weight{here}.")


def _kept(name: str) -> KeptCurve | None:
    """What is stored of a model of this name, if anything is."""
    try:
        return kept_curve(name) if name.isidentifier() else None
    except FileNotFoundError:
        return None


def _setting(point: QuantizationPoint) -> Setting:
    return Setting(point.method, point.bits, point.group_size)
