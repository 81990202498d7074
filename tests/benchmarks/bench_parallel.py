"""A step on two processes against torch's own ways to share one: DDP, DTensor's tensor parallelism, its pipelines.

`python -m tests.benchmarks.bench_parallel` starts two processes with torchrun; in them both sides run in turn, with the
same weights, rows and gloo. Ours sends every message by hand, to be seen and counted; torch's are what one would use.
Loss and gradients of both are compared; the ratio is of processor seconds, in which waiting is nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.systems.one_share import StepShare
from lmlab.systems.parallel import Wire
from lmlab.systems.sharding import job_of
from lmlab.systems.shards import Part, Shard
from lmlab.systems.timeline import Order, Plan

SIZES = {
    "small": {"vocab_size": 64, "d_model": 32, "n_layers": 4, "T": 16, "B": 8},
    "large": {"vocab_size": 2048, "d_model": 256, "n_layers": 4, "T": 128, "B": 8},
}
MICRO_BATCHES = 4
Gradients = dict[str, Tensor]
Step = Callable[[], tuple[float | None, Gradients]]


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def ours(plan: Plan, order: Order, model: Transformer, inputs: Tensor, targets: Tensor) -> Step:
    shard = Shard(plan, dist.get_rank(), dist.get_world_size(), model.config)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    m = MICRO_BATCHES if plan == "pipeline" else 1
    share = StepShare(job_of(shard, parameters, inputs, targets, m, order), Wire(torch.device("cpu")))

    def step() -> tuple[float | None, Gradients]:
        share.part.zero_grad()
        share.loss.zero_()
        share.run()
        return float(share.loss) if shard.last else None, share.gradients()

    return step


def ddp(model: Transformer, inputs: Tensor, targets: Tensor) -> Step:
    wrapped, rank, n = DistributedDataParallel(model), dist.get_rank(), dist.get_world_size()
    x, y = inputs.tensor_split(n)[rank], targets.tensor_split(n)[rank]

    def step() -> tuple[float | None, Gradients]:
        model.zero_grad()
        loss = mean_loss(wrapped(x), y)
        loss.backward()
        total = loss.detach().clone()
        dist.all_reduce(total)
        return float(total) / n, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    return step


def dtensor(model: Transformer, inputs: Tensor, targets: Tensor) -> Step:
    n = dist.get_world_size()
    columns = ("attention.query", "attention.key", "attention.value", "mlp.gate", "mlp.up")
    plan = {name: ColwiseParallel() for name in columns} | {
        name: RowwiseParallel() for name in ("attention.output", "mlp.down")
    }
    mesh = init_device_mesh("cpu", (n,))
    for block in model.blocks:
        parallelize_module(block, mesh, plan)
        block.attention.n_heads //= n
        block.attention.n_kv_heads //= n

    def mine(gradient: Tensor) -> Tensor:
        return gradient.to_local() if hasattr(gradient, "to_local") else gradient

    def step() -> tuple[float | None, Gradients]:
        model.zero_grad()
        loss = mean_loss(model(inputs), targets)
        loss.backward()
        return loss.item(), {name: mine(p.grad) for name, p in model.named_parameters() if p.grad is not None}

    return step


class Stage(nn.Module):
    """Some of the layers, as torch's pipelines take them."""

    def __init__(self, shard: Shard, model: Transformer) -> None:
        super().__init__()
        self.part = Part(shard)
        weights = model.state_dict()
        self.part.load_state_dict({name: weights[name].clone() for name in self.part.state_dict()})

    def forward(self, x: Tensor) -> Tensor:
        return self.part(x, nn.Identity(), nn.Identity())


def torch_pipeline(order: Order, model: Transformer, inputs: Tensor, targets: Tensor) -> Step:
    rank, n = dist.get_rank(), dist.get_world_size()
    shard = Shard("pipeline", rank, n, model.config)
    module = Stage(shard, model)
    stage = PipelineStage(module, rank, n, torch.device("cpu"))
    kind = ScheduleGPipe if order == "gpipe" else Schedule1F1B
    schedule = kind(stage, MICRO_BATCHES, loss_fn=mean_loss)

    def step() -> tuple[float | None, Gradients]:
        module.zero_grad()
        losses: list[Tensor] = []
        given = (inputs,) if shard.first else ()
        schedule.step(*given, **({"target": targets, "losses": losses} if shard.last else {}))
        loss = torch.stack(losses).mean().item() if shard.last else None
        return loss, {name: p.grad for name, p in module.part.named_parameters() if p.grad is not None}

    return step


def processor_seconds(step: Step) -> float:
    dist.barrier()
    before = time.process_time()
    step()
    spent = torch.tensor(time.process_time() - before)
    dist.all_reduce(spent)
    return float(spent)


def compare(mine: Step, peers: Step, rounds: int) -> dict[str, float]:
    """Largest differences over both processes, and our processor seconds over the peer's, in turn."""
    (loss, gradients), (their_loss, theirs) = mine(), peers()
    assert gradients.keys() == theirs.keys()
    assert len(gradients) > 10
    difference = max(float((gradients[name] - theirs[name]).abs().max()) for name in theirs)
    size = max(float(gradient.abs().max()) for gradient in theirs.values())
    apart = abs(loss - their_loss) if loss is not None and their_loss is not None else 0.0
    worst = torch.tensor([apart, difference, size])
    dist.all_reduce(worst, dist.ReduceOp.MAX)
    seconds = [(processor_seconds(mine), processor_seconds(peers)) for _ in range(rounds)]
    return {
        "loss": float(worst[0]), "gradient": float(worst[1]), "largest": float(worst[2]),
        "ratio": median(a for a, _ in seconds) / median(b for _, b in seconds),
    }  # fmt: skip


def process(size: str, rounds: int) -> None:
    """What each of torchrun's processes does; the first prints."""
    dist.init_process_group("gloo")
    torch.set_num_threads(1)
    shape = dict(SIZES[size])
    T, B = shape.pop("T"), shape.pop("B")
    config = TransformerConfig(**shape, max_seq_len=T, tie_embeddings=False)

    def fresh() -> Transformer:
        return Transformer(config, seed=3)

    ids = torch.randint(config.vocab_size, (B, T + 1), generator=torch.Generator().manual_seed(4))
    batch = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    rows = {
        "data, DDP": (ours("data", "1f1b", fresh(), *batch), ddp(fresh(), *batch)),
        "tensor, DTensor": (ours("tensor", "1f1b", fresh(), *batch), dtensor(fresh(), *batch)),
        "pipeline, ScheduleGPipe": (
            ours("pipeline", "gpipe", fresh(), *batch), torch_pipeline("gpipe", fresh(), *batch)),
        "pipeline, Schedule1F1B": (
            ours("pipeline", "1f1b", fresh(), *batch), torch_pipeline("1f1b", fresh(), *batch)),
    }  # fmt: skip
    for name, (mine, peers) in rows.items():
        found = compare(mine, peers, rounds)
        if dist.get_rank() == 0:
            print(json.dumps({"work": name, **found}), flush=True)
    dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="large")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    if "RANK" in os.environ:
        process(asked.size, asked.rounds)
        return
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.benchmarks.bench_parallel", "--size", asked.size, "--rounds", str(asked.rounds)]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
