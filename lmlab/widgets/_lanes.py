"""Timelines as lanes: what of a timeline reaches the page, and what each process holds meanwhile."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lmlab.models.transformer import Transformer
from lmlab.systems.activations import layer_bytes, saved_outside_layers
from lmlab.systems.shards import Shard
from lmlab.systems.timeline import Plan, Span, Timeline
from lmlab.widgets._style import n_bytes

KINDS = ("forward", "backward", "send", "reduce", "wait")
COMPUTES = ("forward", "backward")
NARROW_SHARE = 1 / 120  # of the whole time: a shorter span would be a hair, and joins its neighbors
COLUMNS = 6  # numbers of a block


@dataclasses.dataclass(frozen=True)
class Block:
    """A stretch of one lane: what is done from `start` to `end` for a micro-batch, `computing` the share of that time
    in which it is computed and not sent, summed or awaited."""

    process: int
    kind: str
    micro_batch: int | None
    start: float
    end: float
    computing: float


@dataclasses.dataclass(frozen=True)
class Lanes:
    """A timeline for the page: a `name` and a `note` a process, all `seconds`, and its blocks as float32,
    (blocks, 6): process, kind (its place in `KINDS`), micro-batch or −1, start, end, share computing."""

    title: str
    about: str
    names: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float
    blocks: bytes


def blocks_of(timeline: Timeline) -> list[Block]:
    """The spans of a timeline, where hairs of one micro-batch in one direction are joined.

    A tensor parallel step sums sixteen times a micro-batch: what would be stripes of a tenth of a pixel becomes a
    block that says which share of it was computing.
    """
    seconds, begin = timeline.seconds, min((span.start for span in timeline.spans), default=0.0)
    least = seconds * NARROW_SHARE
    of: list[list[Span]] = [[] for _ in range(timeline.n_processes)]
    for span in timeline.spans:
        of[span.process].append(span)
    found: list[Block] = []
    for spans in of:
        runs: list[list[Span]] = []
        direction, all_hairs = "", True  # of the block so far
        for span in spans:
            hair, way = span.seconds < least, span.kind if span.kind in COMPUTES else ""
            last = runs[-1][-1] if runs else None
            same = (
                last is not None and last.micro_batch == span.micro_batch and (way in ("", direction) or not direction)
            )
            if last is not None and same and (last.kind == span.kind or (all_hairs and hair)):
                runs[-1].append(span)
                direction, all_hairs = direction or way, all_hairs and hair
            else:
                runs.append([span])
                direction, all_hairs = way, hair
        found += [_block(run, begin) for run in runs]
        if spans and spans[-1].end < begin + seconds:  # who is done waits for the rest of the step
            found.append(Block(spans[-1].process, "wait", None, spans[-1].end - begin, seconds, 0.0))
    return found


def _block(run: Sequence[Span], begin: float) -> Block:
    spent = {kind: sum(s.seconds for s in run if s.kind == kind) for kind in KINDS}
    kind = next((kind for kind in COMPUTES if spent[kind] > 0), max(spent, key=lambda name: spent[name]))
    start, end = run[0].start - begin, run[-1].end - begin
    computing = (spent["forward"] + spent["backward"]) / (end - start) if end > start else 0.0
    return Block(run[0].process, kind, run[0].micro_batch, start, end, computing)


def lanes_of(timeline: Timeline, title: str, about: str, notes: Sequence[str]) -> Lanes:
    """A timeline under a title, each process with a note."""
    blocks = [
        (b.process, KINDS.index(b.kind), -1 if b.micro_batch is None else b.micro_batch, b.start, b.end, b.computing)
        for b in blocks_of(timeline)
    ]
    packed = np.array(blocks, dtype=np.float32).reshape(-1, COLUMNS)
    names = tuple(f"process {i}" for i in range(timeline.n_processes))
    return Lanes(title, about, names, tuple(notes), timeline.seconds, packed.tobytes())


@dataclasses.dataclass(frozen=True)
class Holding:
    """What one process holds: bytes of weights, and of activations that wait for the way back, at most."""

    weights: float
    activations: float

    def __str__(self) -> str:
        return f"{n_bytes(self.weights)} + {n_bytes(self.activations)}"


def holdings(
    model: Transformer, plan: Plan, held: Sequence[int], *, micro_batches: int, B: int, T: int
) -> list[Holding]:
    """What each process holds in a step on B rows of T positions, `held` micro-batches at once.

    More processes than there are layers or key/value heads are counted as if there were one for each.
    """
    p, K, shares = len(held), model.config.kv_heads, [n / micro_batches for n in held]
    if plan != "tensor" or p <= K:
        return [_holding(model, plan, rank, p, share, B, T) for rank, share in enumerate(shares)]
    one, most = _holding(model, plan, 0, 1, shares[0], B, T), _holding(model, plan, 0, K, shares[0], B, T)
    ends = zip(dataclasses.astuple(one), dataclasses.astuple(most), strict=True)
    # what is cut becomes a p-th, what is not stays: two sizes tell them apart
    cut = [(a - b) / (1 - 1 / K) if K > 1 else 0.0 for a, b in ends]
    return [Holding(one.weights - cut[0] * (1 - 1 / p), one.activations - cut[1] * (1 - 1 / p))] * p


def _holding(model: Transformer, plan: Plan, rank: int, p: int, share: float, B: int, T: int) -> Holding:
    parameters, config = dict(model.named_parameters()), model.config
    if plan == "pipeline" and p > config.n_layers:
        first = {name.removeprefix("blocks.0."): w for name, w in parameters.items() if name.startswith("blocks.0.")}
        parameters |= {f"blocks.{i}.{name}": w for i in range(config.n_layers, p) for name, w in first.items()}
        config = dataclasses.replace(config, n_layers=p)
    shard = Shard(plan, rank, p, config)
    weights = 4.0 * sum(w.numel() for w in shard.take(parameters).values())
    inside = layer_bytes(shard.block_config, B=B, T=T) * len(shard.layers)
    ends = sum(saved.n_bytes for saved in saved_outside_layers(config, B=B, T=T)) if shard.last else 0
    return Holding(weights, (inside + ends) * share / (p if plan == "data" else 1))
