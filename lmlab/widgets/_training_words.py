"""What TrainingMonitor says: its sentence, its clock, the latest values under the curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lmlab.training.run import Status
from lmlab.widgets._curve import Curve, Numbers
from lmlab.widgets._style import Span, Spans, bold, number, percent, seconds, spans


def said(
    curve: Curve, status: Status, steps: int, floor: float | None, held: float | None, trouble: str, *, can_steer: bool
) -> Spans:
    """The readout: how far, how good, and what can be done now."""
    if not len(curve):
        wait = "Press Start, or call start()" if can_steer else "Waiting for the first step of the other process"
        return spans(f"{trouble} " if trouble else "", wait, f": {steps:,} steps." if steps else ".")
    loss, step = float(curve["smooth"][-1]), int(curve["step"][-1])
    parts: list[str | Span] = ["Step ", bold(f"{step:,}")]
    parts += [f" of {steps:,}" if steps else "", ": loss ", bold(f"{loss:.3f} nats per token")]
    if held is not None:
        parts += [", on text it never reads ", bold(f"{held:.3f}")]
    if floor is not None:
        least = loss if held is None else held
        parts += [", ", bold(number(least - floor, 3)), f" above the floor of {floor:.3f}"]
    parts += [". ", {
        "not started": "", "running": "",
        "paused": "Paused: the weights stand still, and run.snapshot() is a copy to look at.",
        "stopped": "Stopped before its end." if can_steer else "It stopped before its end; --resume goes on.",
        "finished": "Finished.", "failed": "Failed: " + trouble,
    }[status]]  # fmt: skip
    if trouble and status != "failed":
        parts += [" ", trouble]
    if status == "running" and not can_steer:
        parts += ["It belongs to another process: Ctrl-C there stops it, with a checkpoint."]
    return spans(*parts)


def clock(curve: Curve, steps: int, status: Status) -> str:
    """How long it has trained and, while it runs, how long it will go on at the pace of the last fifty steps."""
    if not len(curve):
        return ""
    took, at = curve["seconds"], curve["step"]
    since = max(0, len(at) - 51)
    text = seconds(float(took[-1]))
    if status == "running" and steps and len(at) > since + 1:
        left = (steps - at[-1]) * (took[-1] - took[since]) / max(at[-1] - at[since], 1)
        text += f", about {seconds(float(left))} left"
    return text


def sparks(lines: Mapping[str, tuple[Numbers, Numbers]], utilized: bool) -> list[tuple[str, str]]:
    """The names of the four small pictures and the latest value of each."""

    def last(name: str, form: Any) -> str:
        values = lines[name][1]
        return form(float(values[-1])) if len(values) and math.isfinite(values[-1]) else "–"

    third = ("Utilization", last("extra", percent)) if utilized else ("Seconds in steps", last("extra", seconds))
    return [
        ("Learning rate", last("lr", lambda x: f"{x:.2g}")), ("Gradient norm", last("grad_norm", number)),
        ("Tokens a second", last("rate", lambda x: f"{x:,.0f}")), third,
    ]  # fmt: skip
