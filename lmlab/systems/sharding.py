"""One training step, or one product of matrices, on several real processes: equal to one process's, and counted.

Lecture: "sharding: split the data and merge the results; cut the layers across devices, where one waits for the other;
cut the matrices by column or by row and get the same product". The processes are started at the first call, kept, and
end with the notebook. Loss and gradients come from them; nothing is computed here but putting the pieces together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import get_args

import torch
from torch import Tensor

from lmlab.models.ablation import is_ablated
from lmlab.models.language_model import check_ids
from lmlab.models.transformer import Transformer
from lmlab.systems.shards import Shard, put_together
from lmlab.systems.simulation import simulated_step
from lmlab.systems.timeline import Cut, Order, Plan, Span, Timeline, Workload, check_counts, even_parts
from lmlab.systems.workers import MOST, Message, Workers, kept_workers


@dataclass(frozen=True, eq=False, repr=False)
class ParallelResult:
    """A training step as several processes did it.

    loss: mean over all targets, in nats. gradients: whole, by the model's parameter names. timeline: measured by each
    process's own clock; messages and bytes counted where they were sent. predicted: the same step simulated, with each
    process's measured seconds of computing and a free network. parameters: how many numbers each process holds.
    replicas_agree: whether processes that hold the same parameter have the same gradient, to the last bit.
    """

    plan: Plan
    loss: float
    gradients: dict[str, Tensor]
    timeline: Timeline
    predicted: Timeline
    parameters: tuple[int, ...]
    replicas_agree: bool

    def __repr__(self) -> str:
        n = self.timeline.n_processes
        return (
            f"ParallelResult({self.plan}, {n} processes: loss {self.loss:.4f}, {self.timeline.messages:,} messages, "
            f"{self.timeline.bytes:,} bytes)"
        )


@dataclass(frozen=True, eq=False, repr=False)
class SplitResult:
    """A product as several processes made it: `product` (T, F), and what each had before the last messages.

    parts: after a cut by columns some columns of the product, (T, F_i), to be laid beside each other; after a cut by
    rows a summand of all of it, (T, F). seconds: from the first process's start to the last one's end.
    """

    cuts: tuple[Cut, ...]
    product: Tensor
    parts: tuple[Tensor, ...]
    messages: int
    bytes: int
    seconds: float
    replicas_agree: bool

    def __repr__(self) -> str:
        return (
            f"SplitResult({' then '.join(self.cuts)} over {len(self.parts)} processes: {self.messages:,} messages, "
            f"{self.bytes:,} bytes)"
        )


def data_parallel(
    model: Transformer, ids: Tensor, n_processes: int = 2, *, micro_batches: int = 1, team: Workers | None = None
) -> ParallelResult:
    """Each process has the whole model and some rows of ids (B, T); gradients and loss are summed over all.

    Each cuts its rows into micro_batches, one after the other. team: other processes than the kept ones. Raises
    ValueError in one sentence for what cannot be shared out, WorkersFailed where a process is lost.
    """
    return _step("data", model, ids, n_processes, micro_batches, "1f1b", team or kept_workers())


def pipeline_parallel(
    model: Transformer, ids: Tensor, n_processes: int = 2, *, micro_batches: int = 4, order: Order = "gpipe",
    team: Workers | None = None,
) -> ParallelResult:  # fmt: skip
    """Each process has some of the layers; micro-batches of ids (B, T) flow through them forward and back.

    Raises as `data_parallel` does.
    """
    return _step("pipeline", model, ids, n_processes, micro_batches, order, team or kept_workers())


def tensor_parallel(
    model: Transformer, ids: Tensor, n_processes: int = 2, *, micro_batches: int = 1, team: Workers | None = None
) -> ParallelResult:
    """Each process has some heads and some of the MLP's width of every layer, and all of ids (B, T).

    Twice a layer, forward and back, all sum what they have. Raises as `data_parallel` does.
    """
    return _step("tensor", model, ids, n_processes, micro_batches, "1f1b", team or kept_workers())


def split_product(
    x: Tensor, w: Tensor, *, cut: Cut = "columns", n_processes: int = 2, team: Workers | None = None
) -> SplitResult:
    """x (T, D) @ w (D, F) with w cut by "columns" or by "rows" over real processes; a float32 product (T, F).

    Columns: each process has all of x and makes some columns of the product. Rows: each has some columns of x and
    those rows of w, and makes a summand. Raises ValueError in one sentence for shapes and counts that do not fit.
    """
    return _multiply(x, (w,), (cut,), n_processes, team or kept_workers())


def split_mlp(
    x: Tensor, up: Tensor, down: Tensor, *, cuts: tuple[Cut, Cut] = ("columns", "rows"), n_processes: int = 2,
    team: Workers | None = None,
) -> SplitResult:  # fmt: skip
    """gelu(x @ up) @ down for x (T, D), up (D, F), down (F, D), each matrix cut in its own way.

    Rows after columns need no message in between: that is how Megatron-LM cuts. Raises as `split_product` does.
    """
    return _multiply(x, (up, down), tuple(cuts), n_processes, team or kept_workers())


# ---------------------------------------------------------------- a training step


def _step(plan: Plan, model: Transformer, ids: Tensor, p: int, m: int, order: Order, team: Workers) -> ParallelResult:
    check_counts(n_processes=p, micro_batches=m)
    team.check(p)
    if order not in get_args(Order):
        raise ValueError(f"order is 'gpipe' or '1f1b', not {order!r}.")
    if plan == "pipeline" and order == "1f1b" and team.device == "cuda":
        raise ValueError("On GPUs a pipeline runs in order='gpipe': 1F1B has not been tried with nccl.")
    ids = _check_step(plan, model, ids, p, m * p if plan == "data" else m)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    shards = [Shard(plan, rank, p, model.config) for rank in range(p)]
    parameters = {name: tensor.detach() for name, tensor in model.named_parameters()}
    jobs = [job_of(shard, parameters, inputs, targets, m, order) for shard in shards]
    answers = team.run(jobs)

    B, T = inputs.shape
    timeline = _measured(answers)
    seconds = {kind: sum(s.seconds for s in timeline.spans if s.kind == kind) for kind in ("forward", "backward")}
    each = [sum(s.seconds for s in timeline.of(rank) if s.kind in seconds) for rank in range(p)]
    work = replace(
        Workload.of(model.config, B=B, T=T), forward_seconds=seconds["forward"], backward_seconds=seconds["backward"],
        shares=tuple(mine / sum(each) for mine in each),
    )  # fmt: skip
    losses = [answer.words["loss"] for answer in answers if answer.words["loss"] is not None]
    return ParallelResult(
        plan=plan,
        loss=losses[0],
        gradients=put_together(parameters, shards, [answer.tensors for answer in answers]),
        timeline=timeline,
        predicted=simulated_step(plan, n_processes=p, micro_batches=m, work=work, order=order),
        parameters=tuple(answer.words["parameters"] for answer in answers),
        replicas_agree=_agree(answers) and len(set(losses)) == 1,
    )


def job_of(
    shard: Shard, parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor, m: int, order: Order
) -> Message:  # fmt: skip
    """What one process is told and given: its own rows, its own part of the model."""
    if shard.plan == "data":
        rows = even_parts(len(inputs), shard.size)
        inputs, targets = inputs.split(rows)[shard.rank], targets.split(rows)[shard.rank]
        n_targets = targets.shape[1] * sum(rows)
    else:
        n_targets = targets.numel()
    mine = shard.take(parameters)
    wanted = [
        name for name in mine
        if shard.cut(name) is not None
        or not any(Shard(shard.plan, other, shard.size, shard.config).holds(name) for other in range(shard.rank))
    ]  # fmt: skip
    words = {
        "work": "train", "plan": shard.plan, "order": order, "config": asdict(shard.config),
        "rows": even_parts(len(inputs), m), "T": inputs.shape[1], "n_targets": n_targets, "wanted": wanted,
    }  # fmt: skip
    ids = ({"inputs": inputs} if shard.first else {}) | ({"targets": targets} if shard.last else {})
    return Message(words, {**mine, **ids})


def _check_step(plan: Plan, model: Transformer, ids: Tensor, p: int, rows_needed: int) -> Tensor:
    """The ids (B, T) if this step can be shared out among p processes."""
    if not isinstance(model, Transformer):
        raise ValueError(f"A Transformer can be shared out, not a {type(model).__name__}; give .model of a TextModel.")
    whole = not is_ablated(model) and model.n_params == model.config.n_params
    if not whole or any(parameter.dtype != torch.float32 for parameter in model.parameters()):
        raise ValueError("A whole model in float32 can be shared out, not an ablated or quantized one: load it anew.")
    ids = check_ids(ids, model.vocab_size)
    if ids.shape[1] < 2 or ids.shape[1] - 1 > model.max_seq_len:
        raise ValueError(
            f"A row needs 2 to {model.max_seq_len + 1} ids, each but the first a target; these have {ids.shape[1]}."
        )
    if len(ids) < rows_needed:
        raise ValueError(
            f"{len(ids)} rows of ids do not make {rows_needed} parts: give at least {rows_needed} rows, or ask for "
            "fewer processes or micro_batches."
        )
    config = model.config
    most, what = {
        "data": (MOST, "processes"),
        "pipeline": (config.n_layers, "layers"),
        "tensor": (min(config.kv_heads, config.ff_width), "key/value heads, which are not cut"),
    }[plan]
    if p > most:
        raise ValueError(f"{p} processes cannot share {most} {what}: choose n_processes of at most {most}.")
    return ids


# ---------------------------------------------------------------- a product


def _multiply(x: Tensor, matrices: tuple[Tensor, ...], cuts: tuple[Cut, ...], p: int, team: Workers) -> SplitResult:
    check_counts(n_processes=p)
    team.check(p)
    widths = _check_product(x, matrices, cuts, p)
    x, *ws = (tensor.detach().float() for tensor in (x, *matrices))
    jobs = []
    for rank in range(p):
        given = {"x": x if cuts[0] == "columns" else x.split(even_parts(widths[0], p), 1)[rank]}
        for place, (w, cut) in enumerate(zip(ws, cuts, strict=True)):
            along = 1 if cut == "columns" else 0
            given[f"w{place}"] = w.split(even_parts(w.shape[along], p), along)[rank]
        jobs.append(Message({"work": "multiply", "cuts": cuts, "widths": widths}, given))
    answers = team.run(jobs)
    timeline = _measured(answers)
    return SplitResult(
        cuts=cuts,
        product=answers[0].tensors["product"],
        parts=tuple(answer.tensors["part"] for answer in answers),
        messages=timeline.messages,
        bytes=timeline.bytes,
        seconds=timeline.seconds,
        replicas_agree=_agree(answers),
    )


def _check_product(x: Tensor, matrices: Sequence[Tensor], cuts: Sequence[Cut], p: int) -> list[int]:
    """The widths D, F, … of a chain of products that p processes can share."""
    for cut in cuts:
        if cut not in get_args(Cut):
            raise ValueError(f"A matrix is cut by 'columns' or by 'rows', not {cut!r}.")
    shapes = [tuple(tensor.shape) for tensor in (x, *matrices)]
    fits = all(len(shape) == 2 for shape in shapes)
    if not fits or any(a[1] != b[0] for a, b in pairwise(shapes)) or not shapes[0][0]:
        raise ValueError(f"Shapes {' @ '.join(map(str, shapes))} do not multiply: give x (T, D) and w (D, F).")
    for shape, cut in zip(shapes[1:], cuts, strict=True):
        width = shape[1] if cut == "columns" else shape[0]
        if p > width:
            raise ValueError(f"{p} processes cannot share {width} {cut}: choose n_processes of at most {width}.")
    return [shapes[0][1], *(shape[1] for shape in shapes[1:])]


# ---------------------------------------------------------------- both


def _measured(answers: Sequence[Message]) -> Timeline:
    """The processes' own spans on one time axis: on one machine their clocks are the same one."""
    spans = [Span(rank, *span) for rank, answer in enumerate(answers) for span in answer.words["spans"]]
    start = min((span.start for span in spans), default=0.0)
    return Timeline(
        spans=tuple(Span(s.process, s.kind, s.micro_batch, s.start - start, s.end - start) for s in spans),
        n_processes=len(answers),
        messages=sum(answer.words["messages"] for answer in answers),
        bytes=sum(answer.words["bytes"] for answer in answers),
        held=tuple(answer.words.get("held", 0) for answer in answers),
    )


def _agree(answers: Sequence[Message]) -> bool:
    """Whether what several processes have is equal in all of them."""
    prints: dict[str, set[str]] = {}
    for answer in answers:
        for name, said in answer.words["fingerprints"].items():
            prints.setdefault(name, set()).add(said)
    return all(len(said) == 1 for said in prints.values())
