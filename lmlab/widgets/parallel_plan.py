"""ParallelPlan: one training step on several processes. Who computes when, who waits, who tells whom how much?

Lecture: "sharding". Rows of the batch (data), layers (pipeline), or pieces of every matrix (tensor) are dealt out.
The prediction is arithmetic and moves with the sliders; a button has real processes train the same step, and draws
what their clocks and counters say beneath it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any, cast

import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor

from lmlab.data.batches import windows
from lmlab.data.corpus import corpus
from lmlab.devices import n_cores
from lmlab.models.transformer import Transformer
from lmlab.systems.sharding import ParallelResult, data_parallel, pipeline_parallel, tensor_parallel
from lmlab.systems.simulation import simulated_step
from lmlab.systems.timeline import Order, Plan, Timeline, Workload
from lmlab.text_model import TextModel
from lmlab.widgets._base import Control, View
from lmlab.widgets._lanes import Lanes, holdings, lanes_of
from lmlab.widgets._on_processes import OnProcesses
from lmlab.widgets._parallel_words import (
    BETWEEN,
    NETWORKS,
    ORDERS,
    PLANS,
    SPEED,
    Setting,
    compared,
    duration,
    facts_of,
    foot_of,
    rows_of,
    said_of,
    speed,
)
from lmlab.widgets._style import Spans, count, spans

MOST_PROCESSES, MOST_PARTS = 8, 32


@dataclasses.dataclass(frozen=True)
class Measured:
    """What real processes did: their timeline, and how far loss and gradients (relative) are from one process's.

    unequal: the idle share that is predicted for a free network from what each process really computed. cores: of this
    machine; more processes than that take turns.
    """

    timeline: Timeline
    loss_difference: float
    gradient_difference: float
    unequal: float
    cores: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParallelView(View):
    """`lanes` are those predicted, then those measured, if they were; `rows` a quantity, predicted, measured.
    `running`: processes are at work."""

    lanes: tuple[Lanes, ...]
    rows: list[list[str]]
    running: bool
    idle: float


def parallel_view(
    model: Transformer, setting: Setting, *, B: int, T: int, found: Measured | None = None, running: bool = False,
    name: str = "", question: str = "",
) -> ParallelView:  # fmt: skip
    """What ParallelPlan shows of a step on B rows of T positions. Pure."""
    work = work_of(model, setting, B=B, T=T)
    timeline = predicted(work, setting)
    idle, seconds = timeline.idle, timeline.seconds  # each walks over all spans, thousands of them
    if found is None:
        said = said_of(setting, timeline, speed(work.forward_seconds + work.backward_seconds, seconds), model.config, B)
    else:
        said = compared(timeline, found)
    lanes = [lanes_of(timeline, "Predicted", duration(seconds), _notes(model, setting, timeline, B, T))]
    if found is not None:
        real = found.timeline
        lanes.append(lanes_of(real, "Measured", duration(real.seconds), _notes(model, setting, real, B, T)))
    rows = rows_of(timeline, idle, seconds, found)
    return ParallelView(
        question=question or "Who waits for whom?",
        about=f"ParallelPlan · {name} · " + count(setting.processes, "process", "processes"),
        readout=spans(*said, *([" The processes are at work."] if running else [])),
        foot=foot_of(B, T, setting, model.n_params),
        table=[["", "predicted", "measured"], *rows],
        lanes=tuple(lanes), rows=rows, running=running, idle=idle,
    )  # fmt: skip


def _notes(model: Transformer, setting: Setting, timeline: Timeline, B: int, T: int) -> list[str]:
    parts = setting.micro_batches
    return list(map(str, holdings(model, setting.plan, timeline.held, micro_batches=parts, B=B, T=T)))


def work_of(model: Transformer, setting: Setting, *, B: int, T: int) -> Workload:
    """The step's costs: two operations a weight and position forward, at the stated speed."""
    forward = 2.0 * model.n_params * B * T / SPEED
    work = Workload.of(model.config, B=B, T=T, forward_seconds=forward)
    if setting.plan == "pipeline" and setting.processes > work.n_layers:
        return dataclasses.replace(work, n_layers=setting.processes)  # the readout says so
    return work


def predicted(work: Workload, setting: Setting) -> Timeline:
    """The timeline by arithmetic."""
    return simulated_step(
        setting.plan, n_processes=setting.processes, micro_batches=setting.micro_batches, work=work,
        network=BETWEEN[setting.network], order=setting.order,
    )  # fmt: skip


def asked(model: Transformer, ids: Tensor, setting: Setting) -> ParallelResult:
    """One training step on ids (B, T + 1), by real processes. Raises ValueError for what they cannot share."""
    p, m = setting.processes, setting.micro_batches
    if setting.plan == "pipeline":
        return pipeline_parallel(model, ids, p, micro_batches=m, order=setting.order)
    share_out = data_parallel if setting.plan == "data" else tensor_parallel
    return share_out(model, ids, p, micro_batches=m)


def alone(model: Transformer, ids: Tensor) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of the same step, in this process and at once."""
    names = dict(model.named_parameters())
    wanted = [p for p in names.values() if p.requires_grad]
    with torch.enable_grad():
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        found = torch.autograd.grad(loss, wanted)
    return float(loss.detach()), dict(zip((n for n, p in names.items() if p.requires_grad), found, strict=True))


def measure(model: Transformer, ids: Tensor, setting: Setting) -> Measured:
    """Have real processes train a step on ids (B, T + 1), and this one, and hold them against each other."""
    result, (loss, gradients) = asked(model, ids, setting), alone(model, ids)
    off = sum(float((result.gradients[name] - g).square().sum()) for name, g in gradients.items())
    size = sum(float(g.square().sum()) for g in gradients.values())
    relative = (off / size) ** 0.5 if size else off
    return Measured(result.timeline, abs(result.loss - loss), relative, result.predicted.idle, n_cores())


class ParallelPlan(OnProcesses):
    """A training step dealt out to processes: predicted from arithmetic, and measured on real ones.

    `plan` is "pipeline", "data" or "tensor"; `processes` (1 to 8) share a step of `rows` rows, each process's in
    `micro_batches` (1 to 32) parts; `order` ("gpipe", "1f1b") is a pipeline's, `network` ("free", "nvlink", "roce",
    "ethernet") what the prediction assumes between them. `run().wait()` starts real processes; `predicted` and
    `measured_now` hold the two timelines.
    """

    kind = "parallel_plan"
    parts = ("words", "lanes")
    controls = ("plan", "processes", "micro_batches", "order", "network", "start")

    plan = traitlets.Enum(tuple(PLANS), "pipeline").tag(
        sync=True, control=Control("segments", "Plan", options=tuple(PLANS.items()))
    )
    processes = traitlets.Int(4, min=1, max=MOST_PROCESSES).tag(
        sync=True, control=Control("slider", "Processes, p", min=1, max=MOST_PROCESSES)
    )
    micro_batches = traitlets.Int(4, min=1, max=MOST_PARTS).tag(
        sync=True, control=Control("slider", "Micro-batches, m", min=1, max=MOST_PARTS)
    )
    order = traitlets.Enum(tuple(ORDERS), "gpipe").tag(
        sync=True, control=Control("segments", "Order", options=tuple(ORDERS.items()), secondary=True)
    )
    network = traitlets.Enum(tuple(NETWORKS), "free").tag(
        sync=True, control=Control("select", "Network", options=tuple(NETWORKS.items()))
    )
    start = traitlets.Unicode().tag(control=Control("button", "▶ Run on real processes", main=True))

    def __init__(
        self, model: TextModel, *, rows: int = 32, length: int = 32, question: str = "", **traits: Any
    ) -> None:
        if not isinstance(model, TextModel) or not isinstance(model.model, Transformer):
            raise ValueError(
                f"ParallelPlan takes a text model that is a transformer, such as lab.load('town'); got {model!r:.80}."
            )
        for name, value, most in (("rows", rows, 256), ("length", length, model.model.max_seq_len)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name}={value!r} must be a whole number from 1 to {most}.")
        self._text_model, self._transformer = model, model.model
        self._rows, self._length, self._question = rows, length, question
        super().__init__(**traits)

    @property
    def setting(self) -> Setting:
        """What the controls stand at."""
        plan, order = cast(Plan, self.plan), cast(Order, self.order)
        return Setting(plan, self.processes, self.micro_batches, order, self.network)

    @property
    def predicted(self) -> Timeline:
        """The simulated timeline of the present state."""
        return predicted(work_of(self._transformer, self.setting, B=self._rows, T=self._length), self.setting)

    @property
    def measured_now(self) -> Measured | None:
        """What real processes did in the present state, or None where they have not been asked."""
        found: Measured | None = self.measured.get(self.setting.key)
        return found

    def question_now(self) -> tuple[Hashable, Callable[[], Measured]]:
        setting = self.setting
        return setting.key, lambda: measure(self._transformer, self.ids, setting)

    @property
    def ids(self) -> Tensor:
        """The batch that real processes train on: rows of the town's news, (B, T + 1)."""
        documents = max(400, self._rows * self._length // 10)  # which have twenty tokens and more, each
        text = corpus("town", documents=documents, seed=0)
        batch = windows(text, self._text_model.tokenizer, T=self._length, B=self._rows, seed=0).next()
        return torch.cat([batch.inputs, batch.targets[:, -1:]], 1)

    def compute(self) -> ParallelView:
        return parallel_view(
            self._transformer, self.setting, B=self._rows, T=self._length, found=self.measured_now,
            running=self.is_running, name=self._text_model.name, question=self._question,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine, though clocks differ."""
        return spans(self._error) if self._error else facts_of(self.setting, self.predicted, self.measured_now)
