"""What one of several processes computes: its share of a training step, or of a product of matrices.

Lecture: "sharding". The messages in between are `lmlab.systems.parallel`'s, which runs this in each process.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from lmlab.models.config import TransformerConfig
from lmlab.systems.shards import Part, Shard
from lmlab.systems.timeline import Order, even_parts, work_order
from lmlab.systems.workers import Message

if TYPE_CHECKING:
    from lmlab.systems.parallel import Wire


class _Added(torch.autograd.Function):
    """Forward the sum over all processes, backward nothing: behind a matrix that is cut by rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, wire: Wire) -> Tensor:
        total = x.clone()
        wire.sum(total.view(-1))
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _Copied(torch.autograd.Function):
    """Forward nothing, backward the sum over all processes: before a matrix that is cut by columns."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, wire: Wire) -> Tensor:
        ctx.wire = wire
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone(memory_format=torch.contiguous_format)
        ctx.wire.sum(total.view(-1))
        return total, None


class StepShare:
    """One process's share of a training step: its micro-batches forward and back, then what all must add up."""

    def __init__(self, job: Message, wire: Wire) -> None:
        told = job.words
        self.wire: Wire = wire
        self.order: Order = told["order"]
        self.shard = Shard(told["plan"], wire.rank, wire.size, TransformerConfig(**told["config"]))
        self.part = Part(self.shard)
        self.part.load_state_dict({name: job.tensors[name] for name in self.part.state_dict()})
        self.part.to(wire.device)
        self.n_targets, self.T = told["n_targets"], told["T"]
        self.rows = told["rows"]
        self.inputs = self._split(job.tensors.get("inputs"))
        self.targets = self._split(job.tensors.get("targets"))
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        self.held, self.loss = 0, torch.zeros(1, device=wire.device)

    def _split(self, ids: Tensor | None) -> list[Tensor]:
        return [] if ids is None else [part.to(self.wire.device) for part in ids.split(self.rows)]

    def run(self) -> None:
        """Do it all."""
        wire, pipeline = self.wire, self.shard.plan == "pipeline"
        # A process that has all layers is a pipeline of one: forward, and at once back.
        rank, size = (wire.rank, wire.size) if pipeline else (0, 1)
        order: Order = self.order if pipeline else "1f1b"
        for kind, i in work_order(rank, n_processes=size, micro_batches=len(self.rows), order=order):
            (self.forward if kind == "forward" else self.backward)(i)
        wire.flush()
        self.add_up()

    def forward(self, i: int) -> None:
        """Micro-batch i through this part, and on to the next process; its activations are kept."""
        wire, shape = self.wire, (self.rows[i], self.T, self.shard.config.d_model)
        x = self.inputs[i] if self.shard.first else wire.receive(shape, wire.rank - 1, i).requires_grad_()
        with wire.clock.during("forward", i):
            cut = self.shard.plan == "tensor"
            out = self.part(x, self._copied if cut else _as_it_is, self._added if cut else _as_it_is)
            if self.shard.last:
                out = F.cross_entropy(out.flatten(0, 1), self.targets[i].flatten(), reduction="sum") / self.n_targets
                self.loss += out.detach()
        self.kept[i] = x, out
        self.held = max(self.held, len(self.kept))
        if not self.shard.last:
            wire.send(out, wire.rank + 1, i)

    def backward(self, i: int) -> None:
        """Micro-batch i back through this part, and on to the process before; its activations are let go."""
        wire = self.wire
        x, out = self.kept.pop(i)
        if not self.shard.last:
            # The same as out.backward(gradient), without the two seconds of imports that torch does for it.
            out = (out * wire.receive(out.shape, wire.rank + 1, i)).sum()
        with wire.clock.during("backward", i):
            out.backward()
        if not self.shard.first:
            wire.send(cast(Tensor, x.grad), wire.rank - 1, i)

    def add_up(self) -> None:
        """Sum over processes whatever each has a part of: all gradients and the loss, a tied table, shared scales."""
        plan, gradients = self.shard.plan, self.gradients()
        ranks = list(range(self.wire.size))
        if plan == "data":
            summed = [*gradients.values(), self.loss]
        elif plan == "tensor":
            scattered = ("query_norm.weight", "key_norm.weight")
            summed = [gradient for name, gradient in gradients.items() if name.endswith(scattered)]
        else:
            tied = self.shard.config.tie_embeddings and (self.shard.first or self.shard.last)
            summed, ranks = [gradients["embedding.weight"]] if tied else [], sorted({0, self.wire.size - 1})
        if summed:
            flat = torch.cat([tensor.flatten() for tensor in summed])
            self.wire.sum(flat, ranks)
            for tensor, part in zip(summed, flat.split([tensor.numel() for tensor in summed]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def gradients(self) -> dict[str, Tensor]:
        """Of all parameters that are here, by name: the tensors themselves."""
        for parameter in self.part.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return {name: cast(Tensor, parameter.grad) for name, parameter in self.part.named_parameters()}

    def _added(self, x: Tensor) -> Tensor:
        return cast(Tensor, _Added.apply(x, self.wire))

    def _copied(self, x: Tensor) -> Tensor:
        return cast(Tensor, _Copied.apply(x, self.wire))


def _as_it_is(x: Tensor) -> Tensor:
    return x


def train_share(job: Message, wire: Wire) -> Message:
    """This process's share of a step; its gradients, of those that others return only a fingerprint."""
    share = StepShare(job, wire)
    wire.barrier()
    share.run()
    returned, prints = {}, {}
    for name, gradient in share.gradients().items():
        if share.shard.cut(name) is None and share.shard.answers_for(name):
            prints[name] = fingerprint(gradient)
        if name in job.words["wanted"]:
            returned[name] = gradient
    words = {
        "loss": float(share.loss) if share.shard.last else None,
        "held": share.held,
        "fingerprints": prints,
        "parameters": sum(p.numel() for p in share.part.parameters()),
    }
    return Message(words, returned)


def multiply_share(job: Message, wire: Wire) -> Message:
    """This process's part of x @ w (and of what follows, with a GELU between), and how the parts become the whole."""
    cuts, widths = job.words["cuts"], job.words["widths"]
    wire.barrier()
    value, whole = job.tensors["x"].to(wire.device), cuts[0] == "columns"
    part = value
    for place, cut in enumerate(cuts):
        sizes = even_parts(widths[place], wire.size)
        if cut == "columns" and not whole:
            value = wire.gather(value, sizes)
        if cut == "rows" and whole:
            value = value.split(sizes, 1)[wire.rank]
        with wire.clock.during("forward", place):
            value = value @ job.tensors[f"w{place}"].to(wire.device)
        whole = cut == "rows"
        part = value.clone()
        if whole:
            wire.sum(value.view(-1))
        if place + 1 < len(cuts):
            value = F.gelu(value, approximate="tanh")
    if not whole:
        value = wire.gather(value, even_parts(widths[-1], wire.size))
    return Message({"fingerprints": {"product": fingerprint(value)}}, {"part": part, "product": value})


def fingerprint(tensor: Tensor) -> str:
    """SHA-256 of a tensor's numbers."""
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
