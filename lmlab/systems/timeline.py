"""When each of several processes computes, sends and waits, and what they tell each other: values and counts.

Lecture: "sharding". One training step is shared in three ways: each process takes rows of the batch (data), some of
the layers (pipeline), or a piece of every matrix (tensor). `lmlab.systems.simulation` computes a timeline,
`lmlab.systems.sharding` measures one on real processes; their messages and bytes are equal.

Sources: GPipe, Huang et al. 2019, arXiv 1811.06965; 1F1B, Narayanan et al. 2019 (PipeDream) and 2021, arXiv 2104.04473;
tensor cuts, Shoeybi et al. 2019 (Megatron-LM), arXiv 1909.08053; ring all-reduce, Patarasuk and Yuan 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from lmlab.models.config import TransformerConfig

Plan = Literal["data", "pipeline", "tensor"]
Order = Literal["gpipe", "1f1b"]
Kind = Literal["forward", "backward", "send", "reduce", "wait"]
Cut = Literal["columns", "rows"]
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Network:
    """What lies between two processes: a message of n bytes takes latency_seconds + n / bytes_per_second."""

    latency_seconds: float = 0.0
    bytes_per_second: float = float("inf")

    def __post_init__(self) -> None:
        if not 0 <= self.latency_seconds < float("inf") or not self.bytes_per_second > 0:
            raise ValueError(
                "A network has latency_seconds of 0 or more and bytes_per_second above 0, not "
                f"{self.latency_seconds!r} and {self.bytes_per_second!r}."
            )

    def seconds(self, n_bytes: float) -> float:
        """How long one message takes."""
        return self.latency_seconds + n_bytes / self.bytes_per_second


FREE = Network()
# Bandwidths are the vendors', one way; the latencies are round assumptions of ours, since nobody prints them.
NVLINK = Network(5e-6, 450e9)  # NVIDIA H100 data sheet: 900 GB/s in both directions together
ROCE = Network(20e-6, 50e9)  # 400 Gb/s Ethernet to each GPU: Grattafiori et al. 2024, arXiv 2407.21783, section 3.3.1
ETHERNET = Network(100e-6, 1.25e9)  # 10 Gb/s: IEEE 802.3ae


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One training step: what it costs one process that does it alone, and what several must tell each other.

    forward_seconds, backward_seconds: the whole batch through the whole model; backward is twice forward by default.
    gradient_bytes: of all parameters, which data parallelism sums (with the loss).
    activation_bytes: of the residual stream of the whole batch, (B, T, D).
    tied_bytes: of an embedding that is the unembedding too, which both ends of a pipeline hold.
    scattered_bytes: of parameters that every process holds and each uses for its own heads alone (qk_norm).
    shares: of the computing that each process does, one a process; empty where all do as much.
    """

    n_layers: int = 32
    forward_seconds: float = 1.0
    backward_seconds: float = 2.0
    gradient_bytes: int = 0
    activation_bytes: int = 0
    tied_bytes: int = 0
    scattered_bytes: int = 0
    shares: tuple[float, ...] = ()

    @classmethod
    def of(
        cls, config: TransformerConfig, *, B: int, T: int, forward_seconds: float = 1.0,
        backward_seconds: float | None = None,
    ) -> Workload:  # fmt: skip
        """The step of this package's Transformer on B rows of T positions, in float32."""
        embedding = config.vocab_size * config.d_model
        return cls(
            n_layers=config.n_layers,
            forward_seconds=forward_seconds,
            backward_seconds=2 * forward_seconds if backward_seconds is None else backward_seconds,
            gradient_bytes=FLOAT_BYTES * (config.n_params + 1),
            activation_bytes=FLOAT_BYTES * B * T * config.d_model,
            tied_bytes=FLOAT_BYTES * embedding * config.tie_embeddings,
            scattered_bytes=FLOAT_BYTES * 2 * config.head_width * config.n_layers * config.qk_norm,
        )


@dataclass(frozen=True)
class Span:
    """What one process does from `start` to `end`, in seconds since the first began."""

    process: int
    kind: Kind
    micro_batch: int | None
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start


@dataclass(frozen=True)
class Timeline:
    """The spans of all processes, each process's in order; messages and bytes between them, all together.

    held: for each process the most micro-batches whose activations it had to keep at once.
    """

    spans: tuple[Span, ...]
    n_processes: int
    messages: int
    bytes: int
    held: tuple[int, ...]

    def __repr__(self) -> str:
        return (
            f"Timeline({self.n_processes} processes, {self.seconds:.3g} s, idle {self.idle:.1%}, "
            f"{self.messages:,} messages, {self.bytes:,} bytes)"
        )

    @cached_property  # a slider asks for it several times, of thousands of spans
    def seconds(self) -> float:
        """From the first span's start to the last one's end."""
        if not self.spans:
            return 0.0
        return max(span.end for span in self.spans) - min(span.start for span in self.spans)

    def share(self, *kinds: Kind) -> float:
        """Share of all processes' time that goes into spans of these kinds."""
        spent = sum(span.seconds for span in self.spans if span.kind in kinds)
        return spent / (self.n_processes * self.seconds) if self.seconds else 0.0

    @property
    def idle(self) -> float:
        """Share of all processes' time in which nothing is computed: they wait, send or reduce."""
        return 1.0 - self.share("forward", "backward")

    def of(self, process: int) -> tuple[Span, ...]:
        """The spans of one process, in order."""
        return tuple(span for span in self.spans if span.process == process)


def bubble(n_processes: int, micro_batches: int) -> float:
    """Share of a pipeline's time that is waiting: (p - 1) / (m + p - 1), for equal stages and a free network.

    The first micro-batch needs p - 1 stages' time before the last process has work, and the last one as long back.
    """
    check_counts(n_processes=n_processes, micro_batches=micro_batches)
    return (n_processes - 1) / (micro_batches + n_processes - 1)


def work_order(rank: int, *, n_processes: int, micro_batches: int, order: Order) -> list[tuple[Kind, int]]:
    """In which order one stage of a pipeline runs its micro-batches forward and back.

    gpipe: all forward, then all back. 1f1b: as soon as a stage can go back it does, so that it keeps the activations
    of at most p - rank micro-batches; the bubble is the same.
    """
    if order not in get_args(Order):
        raise ValueError(f"order is 'gpipe' or '1f1b', not {order!r}.")
    ahead = micro_batches if order == "gpipe" else min(micro_batches, n_processes - 1 - rank)
    done: list[tuple[Kind, int]] = [("forward", i) for i in range(ahead)]
    for i in range(micro_batches - ahead):
        done += [("forward", ahead + i), ("backward", i)]
    return done + [("backward", i) for i in range(micro_batches - ahead, micro_batches)]


def most_held(steps: list[tuple[Kind, int]]) -> int:
    """The most micro-batches that were forward and not yet back."""
    held = most = 0
    for kind, _ in steps:
        held += 1 if kind == "forward" else -1
        most = max(most, held)
    return most


def ring_messages(n_processes: int, n_bytes: int) -> tuple[int, int]:
    """Messages and bytes of a ring all-reduce, of all processes together: 2p(p - 1) messages, 2(p - 1) times the bytes.

    Each of p processes sends a p-th of the data 2(p - 1) times: once round to sum it, once round to hand it out.
    """
    return 2 * n_processes * (n_processes - 1), 2 * (n_processes - 1) * n_bytes


def product_messages(
    T: int, widths: tuple[int, ...], *, cuts: tuple[Cut, ...], n_processes: int
) -> tuple[int, int]:  # fmt: skip
    """Messages and bytes of products (T, widths[0]) @ (widths[0], widths[1]) @ ... whose matrices are cut.

    Columns leave each process some columns of the product: to have it whole, all gather, p(p - 1) messages. Rows leave
    each a summand of the whole product: all reduce. Rows after columns need no message in between.
    """
    check_counts(n_processes=n_processes)
    messages = n_bytes = 0
    cut_before: Cut | None = None
    p = n_processes
    for place, cut in enumerate(cuts):
        if cut not in get_args(Cut):
            raise ValueError(f"A matrix is cut by 'columns' or by 'rows', not {cut!r}.")
        if cut == "columns" and cut_before == "columns":
            messages, n_bytes = messages + p * (p - 1), n_bytes + (p - 1) * FLOAT_BYTES * T * widths[place]
        if cut == "rows":
            more = ring_messages(p, FLOAT_BYTES * T * widths[place + 1])
            messages, n_bytes = messages + more[0], n_bytes + more[1]
        cut_before = cut
    if cut_before == "columns":
        messages, n_bytes = messages + p * (p - 1), n_bytes + (p - 1) * FLOAT_BYTES * T * widths[-1]
    return messages, n_bytes


def even_parts(n: int, m: int) -> list[int]:
    """n things in m parts that differ by one at most, the larger ones first, as torch.tensor_split has them."""
    return [n // m + (i < n % m) for i in range(m)]


def check_counts(**counts: int) -> None:
    """Raise ValueError for a count that is no whole number from 1, naming it."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} is a whole number of at least 1, not {count!r}.")
