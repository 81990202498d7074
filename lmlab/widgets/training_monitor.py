"""TrainingMonitor: a training while it runs, against the least loss that is possible.

It watches a TrainingRun of this notebook, which it can pause and stop, or the folder of a run in another process. The
points come from the run's own log, or from metrics.jsonl, and are thinned to what the picture can show; the page
receives a few kilobytes at most five times a second, however long the training is.
"""

from __future__ import annotations

import dataclasses
import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from lmlab.data.corpus import Corpus
from lmlab.data.town import Town
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.following import RunHere, follow
from lmlab.training.run import Status, TrainingRun
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._curve import Curve, ends, monitor_lines, pack
from lmlab.widgets._style import mono, safe_html, spans
from lmlab.widgets._training_words import clock, said, sparks
from lmlab.widgets._watching import Looks

REDRAW = 0.25  # seconds between two drawings
MARKS: dict[Status, str] = {
    "not started": "○", "running": "▶", "paused": "❚❚", "stopped": "■", "finished": "✓", "failed": "✕",
}  # fmt: skip
UTILIZATION = ("mfu", "utilization")  # what a run may call its share of the hardware's speed


@dataclasses.dataclass(frozen=True, kw_only=True)
class MonitorView(View):
    """``lines`` are the names and lengths of the float32 pairs (steps, values) packed in the trait ``curve``;
    ``sparks`` the small charts, each with its last value as text; ``low`` and ``high`` the ends of the loss axis."""

    status: Status
    mark: str
    step: int
    steps: int
    time: str
    toggle: str
    can_steer: bool
    floor: float | None
    uniform: float | None
    low: float
    high: float
    last: str
    held_out: str
    trouble: str
    prompt: str
    samples: Sequence[tuple[int, str]]
    sparks: Sequence[tuple[str, str]]
    lines: Sequence[tuple[str, int]]


def monitor_view(
    curve: Curve, *, status: Status, steps: int | None, name: str, can_steer: bool, lines: Mapping[str, Any],
    floor: float | None = None, uniform: float | None = None, trouble: str = "", prompt: str = "",
    samples: Sequence[tuple[int, str]] = (), held_out: Sequence[tuple[int, float]] = (), about: str = "",
    utilized: bool = False,
) -> MonitorView:  # fmt: skip
    """What the page shows of a training with these points. Pure."""
    low, high = ends(curve["loss"], [loss for _, loss in held_out], floor, uniform)
    last = float(curve["smooth"][-1]) if len(curve) else math.nan
    held = held_out[-1][1] if held_out else None
    toggle = {"not started": "▶ Start", "paused": "▶ Resume"}.get(status, "❚❚ Pause")
    return MonitorView(
        question="How close can it get to the text's own entropy?" if floor else "How far does the loss fall?",
        about=f"TrainingMonitor · {name}",
        readout=said(curve, status, steps or 0, floor, held, trouble, can_steer=can_steer),
        foot=spans(
            mono("ids (B,T) → logits (B,T,V)"),
            f" · {about}thin: each batch; thick: their mean; {len(lines['loss'][0]):,} of {len(curve):,} points",
            " · floor: the exact entropy of the town, averaged over sampled documents" if floor else "",
        ),
        table=[["", ""], *[[a, b] for a, b in sparks(lines, bool(curve.extra) or utilized)]],
        status=status, mark=MARKS[status], step=int(curve["step"][-1]) if len(curve) else 0, steps=steps or 0,
        time=clock(curve, steps or 0, status), toggle=toggle if can_steer else "Pause: only where it runs",
        can_steer=can_steer, floor=floor, uniform=uniform, low=low, high=high,
        last="" if math.isnan(last) else f"{last:.3f}", held_out="" if held is None else f"{held:.3f}",
        trouble=trouble, prompt=prompt, samples=_three(samples), sparks=sparks(lines, bool(curve.extra) or utilized),
        lines=[(key, len(pair[0])) for key, pair in lines.items()],
    )  # fmt: skip


def _three(samples: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """The first text, one from the middle, the latest."""
    if len(samples) <= 3:
        return list(samples)
    return [samples[0], samples[len(samples) // 2], samples[-1]]


class TrainingMonitor(LabWidget):
    """Watch a training: a TrainingRun, or the folder that `lmlab train --out` or torchrun writes.

    `floor` is the least possible loss in nats a token, or the Town whose entropy it is; a folder's own recipe may say
    it. `held_out` is a Corpus that the training does not read. `prompt` begins the texts that the model writes now and
    then, for which a run needs a `tokenizer`. `points()` are (step, loss) as drawn, `held_out_losses` and `samples`
    what was found so far. `wait()` returns when the training is over and drawn, and raises what ended it.
    """

    kind = "training_monitor"
    controls = ("toggle", "halt", "smoothing")

    toggle = traitlets.Unicode().tag(control=Control("button", "▶ Start", main=True))
    halt = traitlets.Unicode().tag(control=Control("button", "■ Stop"))
    smoothing = traitlets.Int(8, min=1, max=200).tag(
        sync=True, control=Control("slider", "Smoothing, in steps", min=1, max=200, secondary=True)
    )
    curve = traitlets.Bytes().tag(sync=True)

    def __init__(
        self,
        run: TrainingRun | os.PathLike[str] | str,
        *,
        floor: float | Town | None = None,
        tokenizer: Tokenizer | None = None,
        held_out: Corpus | None = None,
        prompt: str = "the",
        **traits: Any,
    ) -> None:
        if floor is not None and not isinstance(floor, (int, float, Town)):
            raise ValueError(f"floor is {floor!r}; give nats per token, such as 0.7, or the lab.Town that is read.")
        self._source = follow(run, tokenizer)
        traits.setdefault("smoothing", max(3, min(200, (self._source.steps or 320) // 40)))
        self._curve = Curve()
        self._looks = Looks(self._source, prompt, held_out, floor)
        self._signature: object = None
        super().__init__(**traits)
        self._watcher = threading.Thread(target=self._watch, name="watching a training", daemon=True)
        self._watcher.start()

    # ------------------------------------------------------------ what it knows

    @property
    def floor(self) -> float | None:
        """The least possible loss, in nats a token, where it is known; the first time it takes about a second."""
        return self._looks.floor()

    @property
    def status(self) -> Status:
        """not started, running, paused, stopped, finished or failed."""
        return self._source.status

    def points(self) -> list[tuple[int, float]]:
        """(step, loss) of every step seen so far."""
        with self._lock:
            return [(int(s), float(x)) for s, x in zip(self._curve["step"], self._curve["loss"], strict=True)]

    @property
    def held_out_losses(self) -> list[tuple[int, float]]:
        """(step, loss) on text that is not trained on."""
        return list(self._looks.held_out)

    @property
    def samples(self) -> list[tuple[int, str]]:
        """(step, text) that the model wrote."""
        return list(self._looks.samples)

    # ------------------------------------------------------------ watching

    def _watch(self) -> None:
        """Look at the training a few times a second for as long as this widget is open."""
        while self.comm is not None:
            try:
                over = self._look()
            except Exception as error:  # the page must say so; there is no cell to raise it in
                self._raised = error
                over = False
            if over and self._source.can_steer:
                return
            time.sleep(REDRAW if not over else 4 * REDRAW)

    def _look(self) -> bool:
        """Take what is new, and draw if anything is; True when nothing more is to be expected."""
        status = self._source.status
        with self._lock:
            fresh = self._source.fresh()
            if fresh and not self._curve.extra:
                self._curve.extra = next((name for name in UTILIZATION if name in fresh[-1].extra), "")
            self._curve.add(fresh)
            step = int(self._curve["step"][-1]) if len(self._curve) else 0
            ended = status in ("finished", "stopped", "failed")
            over = self._looks.maybe(ended=ended)
            looks = self._looks
            seen = (looks.samples[-1:], len(looks.held_out), looks.known_floor, looks.failed)
            signature = (len(self._curve), step, status, self._source.trouble, seen)
            new, self._signature = signature != self._signature, signature
        if new:
            self.refresh()
        return over and status == self._source.status

    def wait(self, timeout: float = 600.0) -> TrainingMonitor:
        """Return when the training is over and drawn, raising here the error that ended it. One that has not been
        started, or is paused, is not waited for; a folder only while another process writes to it."""
        end = time.monotonic() + timeout
        while self._source.status == "running":
            if time.monotonic() > end:
                raise TimeoutError(f"The training had not finished after {timeout:g} seconds; it goes on.")
            time.sleep(0.05)  # in slices, so that an interrupt reaches the cell on every system
        while self._source.status in ("finished", "stopped", "failed") and not self._look():
            time.sleep(0.02)
        super().wait()
        if isinstance(self._source, RunHere) and self._source.run.error is not None:
            self._source.run.wait()
        return self

    def wait_for(self, step: int, timeout: float = 600.0) -> TrainingMonitor:
        """Return when the training has come this far, or goes no further for now."""
        end, begun = time.monotonic() + timeout, False
        while not len(self._curve) or self._curve["step"][-1] < step:
            with self._lock:
                self._curve.add(self._source.fresh())  # sooner than the next drawing
            begun = begun or self._source.status != "not started"
            if time.monotonic() > end:
                raise TimeoutError(f"Step {step:,} was not reached within {timeout:g} seconds.")
            if begun and self._source.status not in ("running", "not started"):
                break
            time.sleep(0.02)
        self._look()
        return self

    # ------------------------------------------------------------ steering

    def clicked(self, name: str) -> None:
        """Start, Pause, Resume or Stop, where the training is one of this notebook."""
        if not isinstance(self._source, RunHere):
            raise ValueError("This training belongs to another process: press Ctrl-C there; it leaves a checkpoint.")
        run, status = self._source.run, self._source.status
        if name == "halt":
            run.stop()
        elif status == "not started":
            run.start()
        elif status == "paused":
            run.resume()
        elif status == "running":
            run.pause()
        self._look()

    def compute(self) -> MonitorView:
        source, looks, steps, share = self._source, self._looks, self._source.steps, self._looks.share
        self._curve.smooth_over(self.smoothing)
        lines = monitor_lines(self._curve, looks.held_out, share)
        self._packed = pack(lines)
        tokenizer = source.tokenizer
        batches: Any = source.run.batches if isinstance(source, RunHere) else None
        about = f"B {batches.B}, T {batches.T} · " if hasattr(batches, "B") else ""
        return monitor_view(
            self._curve, status=source.status, steps=steps, name=source.name, can_steer=source.can_steer, lines=lines,
            floor=looks.known_floor, uniform=math.log(tokenizer.vocab_size) if tokenizer else None, about=about,
            trouble=source.trouble or looks.failed, prompt=looks.prompt, samples=looks.samples,
            held_out=looks.held_out, utilized=share is not None,
        )  # fmt: skip

    def publish(self, view: View) -> None:
        """The points travel as float32 in a trait of their own."""
        self.curve = self._packed
        super().publish(view)

    @property
    def facts(self) -> str:
        """What was asked: true on every machine, at every moment."""
        if isinstance(self._source, RunHere):
            return f"{self._source.run.state.steps:,} steps, seed {self._source.run.state.seed}"
        return f"the run in {self._source.name}"

    def __repr__(self) -> str:
        return f"{self._name}: {self.facts}"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        data["text/html"] = safe_html(spans(self.facts))
        return data, metadata
