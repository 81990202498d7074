"""What ParallelPlan says: how long processes idle and why, what they tell each other, what each one holds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from lmlab.models.config import TransformerConfig
from lmlab.systems.timeline import ETHERNET, FREE, NVLINK, ROCE, Network, Order, Plan, Timeline, bubble
from lmlab.widgets._on_processes import NEAR, tiny
from lmlab.widgets._style import MINUS, NARROW, Span, Spans, bold, count, mono, n_bytes, number, spans

if TYPE_CHECKING:
    from lmlab.widgets.parallel_plan import Measured

NEAR_GRADIENTS = 10 * NEAR  # of all of them together, relative
SPEED = 1e12  # operations a second of a predicted process: a round assumption
PLANS = {"data": "data", "pipeline": "pipeline", "tensor": "tensor"}
ORDERS = {"gpipe": "GPipe", "1f1b": "1F1B"}
NETWORKS = {"free": "free", "nvlink": "NVLink", "roce": "Ethernet, 400 Gb/s", "ethernet": "Ethernet, 10 Gb/s"}
STATED = {
    "free": "messages take no time",
    "nvlink": "NVLink 450 GB/s one way (H100 data sheet), 5 µs a message assumed",
    "roce": "Ethernet 400 Gb/s (arXiv 2407.21783), 20 µs a message assumed",
    "ethernet": "Ethernet 10 Gb/s (IEEE 802.3ae), 100 µs a message assumed",
}
BETWEEN: dict[str, Network] = {"free": FREE, "nvlink": NVLINK, "roce": ROCE, "ethernet": ETHERNET}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the controls stand at: who does what, in how many parts, over which network."""

    plan: Plan
    processes: int
    micro_batches: int
    order: Order
    network: str

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What real processes can be asked; the network is this machine's own, and only a pipeline has an order."""
        return self.plan, self.processes, self.micro_batches, self.order if self.plan == "pipeline" else "gpipe"


def duration(value: float) -> str:
    """A short time: ``850 µs``, ``6.4 ms``, ``120 ms``, ``1.2 s``."""
    if value < 0.9995e-3:
        return f"{1e6 * value:.0f}{NARROW}µs"
    if value < 0.9995:
        return f"{1e3 * value:.{1 if value < 9.95e-3 else 0}f}{NARROW}ms"
    return f"{value:.1f}{NARROW}s"


def share(value: float) -> str:
    """A share of time, to a tenth of a percent: ``75 %``, ``15.8 %``, ``0 %``."""
    return f"{100 * max(0.0, value):.1f}".removesuffix(".0") + NARROW + "%"


def speed(alone: float, together: float) -> str:
    """How much sooner a step is done than by one process, which may be later."""
    ratio = alone / together
    if ratio >= 1.05:
        return f"{number(ratio, 1)} times as fast as one process"
    return "no faster than one process" if ratio > 0.95 else f"{number(1 / ratio, 1)} times as slow as one process"


def said_of(setting: Setting, timeline: Timeline, sooner: str, config: TransformerConfig, B: int) -> list[str | Span]:
    """The predicted step, in words: how long processes idle and why, `sooner` as its `speed`, and what is sent."""
    p, m, idle = setting.processes, setting.micro_batches, timeline.idle
    if p == 1:
        return ["One process does it all: it never waits, and has to hold everything."]
    sent = f" {sent_of(timeline)}." if timeline.messages else ""
    drawn = ""
    if setting.plan == "pipeline":
        own, shown = bubble(p, m), f"({p}{MINUS}1)/({m}+{p}{MINUS}1)"
        free = "" if abs(idle - own) < 5e-4 else f"; without messages {share(own)}"
        if p > config.n_layers:
            drawn = f" (Drawn as if it had {p} layers and not {config.n_layers}.)"
        pieces = count(m, "micro-batch", "micro-batches")
        return [
            f"A pipeline of {p} with {pieces} idles ",
            bold(share(idle)),
            f" of the time{free}, {shown}. It is {sooner}.{drawn}{sent}",
        ]
    if setting.plan == "data":
        how = f"Each of {p} processes trains on its own rows, then all sum their gradients: "
        if p * m > B:
            drawn = f" (Drawn as if {B} rows made {p * m} parts.)"
    else:
        how = f"Each of {p} processes has a piece of every matrix, and all sum twice a layer: "
        if p > config.kv_heads:
            drawn = f" (Drawn as if it had {p} heads and not {config.kv_heads}.)"
    return [how, bold(share(idle)), f" idle, {sooner}.{drawn}{sent}"]


def sent_of(timeline: Timeline) -> str:
    """Messages and bytes, all processes together."""
    return f"{count(timeline.messages, 'message')}, {n_bytes(timeline.bytes)}"


def compared(timeline: Timeline, found: Measured) -> list[str | Span]:
    """How long real processes idled, and whether they sent what was predicted and found what one process finds."""
    real, p = found.timeline, found.timeline.n_processes
    sent = sent_of(timeline)
    loss, gradients = found.loss_difference, found.gradient_difference
    if (real.messages, real.bytes) == (timeline.messages, timeline.bytes):
        counted, as_predicted = sent, "as predicted"
    else:
        counted, as_predicted = sent_of(real), f"not {sent}"
    if loss <= NEAR and gradients <= NEAR_GRADIENTS:
        equal = "loss and gradients as alone"
    else:
        equal = f"loss is off by {tiny(loss)}, gradients by {tiny(gradients)}"
    turns = f" They took turns on {count(found.cores, 'core')}." if p > found.cores else ""
    return [
        f"{count(p, 'real process', 'real processes')} idled ", bold(share(real.idle)), ": predicted ",
        bold(share(timeline.idle)), f", with free messages {share(found.unequal)}. {'They' if p > 1 else 'It'} sent ",
        bold(counted), f", {as_predicted}; {equal}.{turns}",
    ]  # fmt: skip


def rows_of(timeline: Timeline, idles: float, seconds: float, found: Measured | None) -> list[list[str]]:
    """The table beside the lanes: a quantity, predicted, measured."""
    real = found.timeline if found else None
    rows = [
        ["idle", share(idles), share(real.idle) if real else "–"],
        ["one step", duration(seconds), duration(real.seconds) if real else "–"],
        ["messages", count(timeline.messages), count(real.messages) if real else "–"],
        ["bytes sent", n_bytes(timeline.bytes), n_bytes(real.bytes) if real else "–"],
    ]
    if found is None:
        return [*rows, ["loss, off by", "0", "–"], ["gradients, off by", "0", "–"]]
    return [
        *rows,
        ["loss, off by", "0", tiny(found.loss_difference)],
        ["gradients, off by", "0", tiny(found.gradient_difference)],
    ]


def foot_of(B: int, T: int, setting: Setting, n_params: int) -> Spans:
    """Sizes, and what the prediction stands on."""
    return spans(
        mono("ids (B,T) → loss, gradients"),
        f" · B {B}, T {T} · {count(n_params)} weights in float32 · predicted: 10¹² operations a second a process, "
        f"backward twice forward, {STATED[setting.network]} · measured: gloo, on this machine’s cores",
    )


def facts_of(setting: Setting, timeline: Timeline, found: Measured | None) -> Spans:
    """What is the same on every machine."""
    p = setting.processes
    if found is None:
        each = count(setting.micro_batches, "micro-batch", "micro-batches")
        told = f"{setting.plan}, {count(p, 'process', 'processes')}, {each}: idle {share(timeline.idle)}, "
        return spans(f"{told}{count(timeline.messages, 'message')}; not run yet")
    real = found.timeline
    counts = (real.messages, real.bytes) == (timeline.messages, timeline.bytes)
    loss, gradients = found.loss_difference <= NEAR, found.gradient_difference <= NEAR_GRADIENTS
    return spans(
        f"{setting.plan} on {p} real: one process’s loss: {loss}, gradients: {gradients}; counts as predicted: {counts}"
    )
