"""A training step on several processes, simulated: arithmetic alone, no process is started.

The stated model: the work divides evenly over micro-batches and, unless it says otherwise, over processes; a message
takes latency plus bytes over bandwidth and holds its sender as long; nothing is sent while something is computed. Real
systems hide some messages behind computation, and their stages are never quite equal: the last has the unembedding,
for which Llama 3 takes a layer from it (Grattafiori et al. 2024, arXiv 2407.21783, section 3.3.2).
"""

from __future__ import annotations

from typing import get_args

from lmlab.systems.timeline import (
    FLOAT_BYTES,
    FREE,
    Kind,
    Network,
    Order,
    Plan,
    Span,
    Timeline,
    Workload,
    check_counts,
    even_parts,
    most_held,
    ring_messages,
    work_order,
)


def simulated_step(
    plan: Plan, *, n_processes: int, micro_batches: int = 1, work: Workload | None = None, network: Network = FREE,
    order: Order = "gpipe",
) -> Timeline:  # fmt: skip
    """The timeline of one training step under the stated model.

    micro_batches: into how many parts each process's rows are cut, one after the other. Raises ValueError in one
    sentence for counts below 1, and for a pipeline of more processes than layers.
    """
    check_counts(n_processes=n_processes, micro_batches=micro_batches)
    if plan not in get_args(Plan):
        raise ValueError(f"plan is {', '.join(map(repr, get_args(Plan)))}, not {plan!r}.")
    clock = _Clock(n_processes, micro_batches, Workload() if work is None else work, network)
    if plan == "pipeline":
        clock.pipeline(order)
    elif plan == "data":
        clock.data()
    else:
        clock.tensor()
    spans = sorted(clock.spans, key=lambda span: (span.process, span.start))
    return Timeline(tuple(spans), n_processes, clock.messages, clock.bytes, tuple(clock.held))


class _Clock:
    """The clocks of p processes, moved on by what they do."""

    def __init__(self, p: int, m: int, work: Workload, network: Network) -> None:
        self.p, self.m, self.work, self.network = p, m, work, network
        self.now = [0.0] * p
        self.spans: list[Span] = []
        self.messages = self.bytes = 0
        self.held = [1] * p
        shares = work.shares or (1 / p,) * p
        if len(shares) != p or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"{p} processes need {p} shares that add up to 1, not {shares}.")
        self.cost: dict[Kind, list[float]] = {
            "forward": [work.forward_seconds * share / m for share in shares],
            "backward": [work.backward_seconds * share / m for share in shares],
        }

    def spend(self, process: int, kind: Kind, micro_batch: int | None, seconds: float) -> None:
        """One process does something; what takes no time leaves no span."""
        start = self.now[process]
        self.now[process] = start + seconds
        if seconds > 0:
            self.spans.append(Span(process, kind, micro_batch, start, start + seconds))

    def wait_until(self, process: int, micro_batch: int | None, moment: float) -> None:
        self.spend(process, "wait", micro_batch, max(0.0, moment - self.now[process]))

    def reduce(self, processes: list[int], micro_batch: int | None, n_bytes: int) -> None:
        """A ring all-reduce: it begins when the last has come, and takes 2(p - 1) messages of a p-th of the bytes."""
        p = len(processes)
        if p == 1 or not n_bytes:
            return
        together = max(self.now[process] for process in processes)
        for process in processes:
            self.wait_until(process, micro_batch, together)
            self.spend(process, "reduce", micro_batch, 2 * (p - 1) * self.network.seconds(n_bytes / p))
        messages, sent = ring_messages(p, n_bytes)
        self.messages, self.bytes = self.messages + messages, self.bytes + sent

    def data(self) -> None:
        for process in range(self.p):
            for i in range(self.m):
                self.spend(process, "forward", i, self.cost["forward"][process])
                self.spend(process, "backward", i, self.cost["backward"][process])
        self.reduce(list(range(self.p)), None, self.work.gradient_bytes)

    def tensor(self) -> None:
        pieces = 2 * self.work.n_layers  # attention and MLP of each layer
        whole = self.work.activation_bytes
        for i, n_bytes in enumerate(even_parts(whole // FLOAT_BYTES, self.m)):
            for kind in self.cost:
                for _ in range(pieces):
                    for process in range(self.p):
                        self.spend(process, kind, i, self.cost[kind][process] / pieces)
                    self.reduce(list(range(self.p)), i, n_bytes * FLOAT_BYTES)
        self.reduce(list(range(self.p)), None, self.work.scattered_bytes)

    def pipeline(self, order: Order) -> None:
        p, m = self.p, self.m
        if p > self.work.n_layers:
            raise ValueError(
                f"A pipeline of {p} processes needs {p} layers and there are {self.work.n_layers}: "
                f"choose n_processes of at most {self.work.n_layers}."
            )
        steps = [work_order(rank, n_processes=p, micro_batches=m, order=order) for rank in range(p)]
        self.held = [most_held(mine) for mine in steps]
        sizes = [FLOAT_BYTES * n for n in even_parts(self.work.activation_bytes // FLOAT_BYTES, m)]
        arrived: dict[tuple[Kind, int, int], float] = {}  # (kind, the process it is for, micro-batch): when
        waiting = [iter(mine) for mine in steps]
        following = [next(steps_of, None) for steps_of in waiting]
        while any(step is not None for step in following):
            for process, step in enumerate(following):
                if step is not None and self._can(process, step, arrived):
                    self._stage(process, step, arrived, sizes[step[1]])
                    following[process] = next(waiting[process], None)
        self.reduce(sorted({0, p - 1}), None, self.work.tied_bytes)

    def _can(self, process: int, step: tuple[Kind, int], arrived: dict[tuple[Kind, int, int], float]) -> bool:
        first = process == (0 if step[0] == "forward" else self.p - 1)
        return first or (step[0], process, step[1]) in arrived

    def _stage(
        self, process: int, step: tuple[Kind, int], arrived: dict[tuple[Kind, int, int], float], n_bytes: int
    ) -> None:
        kind, i = step
        self.wait_until(process, i, arrived.get((kind, process, i), 0.0))
        self.spend(process, kind, i, self.cost[kind][process])
        to = process + (1 if kind == "forward" else -1)
        if 0 <= to < self.p:
            self.spend(process, "send", i, self.network.seconds(n_bytes))
            arrived[kind, to, i] = self.now[process]
            self.messages, self.bytes = self.messages + 1, self.bytes + n_bytes
