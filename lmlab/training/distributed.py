"""Several processes train one model: the same loop, the same recipe, started by torchrun.

DDP keeps the whole model in each process and averages gradients; FSDP2 keeps a shard of every matrix in each and puts
a block together only while it is needed. Both are torch's own. A batch of B rows is the team's: every process draws
the same batch and works on its rows, so losses, cursor and checkpoints are those of one process with that batch.

Sources: Li et al. 2020, arXiv 2006.15704 (DDP); Zhao et al. 2023, arXiv 2304.11277 (FSDP).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from lmlab.models.transformer import Transformer
from lmlab.training.loop import BatchesEnded, TrainingDiverged
from lmlab.training.muon import MuonAdamW, orthogonal
from lmlab.training.objectives import Scored
from lmlab.training.state import TrainState
from lmlab.training.team import Moments, Result, Team

Parallel = Literal["ddp", "fsdp"]
COULD_NOT = 1
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
FROM_FIRST = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)


class FirstFailed(RuntimeError):
    """The first process could not do what all wait for; its own message says why."""


class Processes(Team):
    """The processes of torch's default group, this being one of them."""

    def __init__(self, parallel: Parallel, device: torch.device) -> None:
        super().__init__()
        self.parallel, self.device = parallel, device
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def wrap(self, scored: Scored) -> nn.Module:
        """Move the model to the team's device; DDP wraps it, FSDP2 shards it in place, block by block."""
        scored.to(self.device)
        if self.parallel == "ddp":
            return DistributedDataParallel(scored, gradient_as_bucket_view=True)
        if not isinstance(scored.model, Transformer):
            raise ValueError(f"FSDP shards a Transformer, not a {type(scored.model).__name__}; use parallel = 'ddp'.")
        mesh = init_device_mesh(self.device.type, (self.size,))
        for block in scored.model.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(scored, mesh=mesh)
        return scored

    def adapt(self, optimizer: torch.optim.Optimizer) -> None:
        """Muon needs whole matrices: each process puts them together, and keeps its rows of the result."""
        if self.parallel == "fsdp" and isinstance(optimizer, MuonAdamW):
            optimizer.directions = _directions_of_shards

    def generator(self, state: TrainState) -> torch.Generator:
        """The first draws from the state's generator; the others from the seed, the step and their rank."""
        if self.rank == 0:
            return state.generator
        place = (state.step * self.size + self.rank) * 1_000_003
        return torch.Generator().manual_seed((state.seed + place) % 2**63)

    def on_device(self) -> AbstractContextManager[object]:
        return torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()

    def reducing(self, module: nn.Module, last: bool) -> AbstractContextManager[object]:
        if isinstance(module, FSDPModule):
            module.set_requires_gradient_sync(last)
        elif not last:
            return cast(DistributedDataParallel, module).no_sync()
        return nullcontext()

    def sum(self, value: Tensor) -> float:
        total = value.clone()
        dist.all_reduce(total)
        return float(total)

    def norm(self, gradients: list[Tensor]) -> float:
        norm = torch.nn.utils.get_total_norm(gradients)
        return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)

    def any(self, mine: bool) -> bool:
        said = torch.tensor(float(mine), device=self.device)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return bool(said)

    def first(self, work: Callable[[], Result]) -> Result:
        told: list[Any] = [None, False]
        failure: Exception | None = None
        if self.rank == 0:
            try:
                told = [work(), True]
            except Exception as error:
                failure = error
        dist.broadcast_object_list(told, src=0, device=self.device)
        if failure is not None:
            raise failure
        if not told[1]:
            raise FirstFailed("The first process of this training could not go on; its message says why.")
        return cast(Result, told[0])

    def sentence(self, error: BaseException) -> str:
        agreed = isinstance(error, TrainingDiverged | BatchesEnded)
        return str(error) if agreed else f"Process {self.rank} of {self.size}: {_sentence(error)}"

    def whole_model(self, state: TrainState) -> nn.Module:
        if self.parallel == "ddp":
            return state.model
        weights = get_model_state_dict(state.model, options=WHOLE)
        if self.rank > 0:
            return state.model
        whole = Transformer(cast(Transformer, state.model).config, seed=None)
        whole.load_state_dict(weights)
        return whole.eval()

    def whole_moments(self, state: TrainState) -> Moments:
        if self.parallel == "ddp":
            return super().whole_moments(state)
        gathered = get_optimizer_state_dict(state.model, state.optimizer, options=WHOLE)
        remembered = cast(Moments, gathered.get("state", {}))
        return {name: {k: v for k, v in slot.items() if k != "step"} for name, slot in remembered.items()}

    def put(self, state: TrainState, weights: dict[str, Tensor], moments: Moments, step: int) -> None:
        set_model_state_dict(state.model, dict(weights), options=FROM_FIRST)
        everything: dict[str, Any] = dict(get_optimizer_state_dict(state.model, state.optimizer))
        # Each parameter has a counter of its own: the optimizer counts on in place.
        slots = {name: {**slot, "step": torch.tensor(float(step))} for name, slot in moments.items()}
        set_optimizer_state_dict(state.model, state.optimizer, everything | {"state": slots}, options=FROM_FIRST)


def _directions_of_shards(gradients: list[Tensor]) -> list[Tensor]:
    """`orthogonal` of matrices that are sharded, as shards."""
    shards = cast(list[DTensor], gradients)
    whole = orthogonal(torch.stack([shard.full_tensor() for shard in shards]))
    return [
        distribute_tensor(matrix, shard.device_mesh, shard.placements, src_data_rank=None)
        for matrix, shard in zip(whole, shards, strict=True)
    ]


@contextmanager
def joined(parallel: Parallel) -> Iterator[Processes]:
    """The team of the processes that torchrun started, to which this one belongs; one GPU for each, or CPUs.

    What all processes know is said by the first alone; an error of one says whose it is.
    """
    device = _device()
    store, rank, size = next(iter(dist.rendezvous("env://")))
    if os.environ.get("LOCAL_WORLD_SIZE") == str(size):
        # On one machine torchrun keeps the store when it starts processes again, with the addresses of the dead in it.
        store = dist.PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    cuda = device.type == "cuda"
    dist.init_process_group(
        "nccl" if cuda else "gloo", store=store, rank=rank, world_size=size, device_id=device if cuda else None
    )
    team = Processes(parallel, device)
    team.restarted = team.any(team.restarted)  # torchrun counts for each machine apart
    try:
        yield team
    except (TrainingDiverged, BatchesEnded, FirstFailed):
        if team.rank == 0:
            raise
        raise SystemExit(COULD_NOT) from None
    except (ValueError, OSError, RuntimeError) as error:
        raise RuntimeError(f"Process {team.rank} of {team.size}: {_sentence(error)}") from error
    dist.destroy_process_group()


def _device() -> torch.device:
    """One GPU for each process of this machine where there are GPUs, the CPU elsewhere."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= there:
        raise ValueError(f"This machine has {there} GPUs, too few for process {local + 1}: --nproc-per-node {there}.")
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _sentence(error: BaseException) -> str:
    """What a person needs of an error; of a torn connection, that another process has the reason."""
    torn = isinstance(error, dist.DistError) or any(word in str(error) for word in ("gloo", "NCCL", "closed by peer"))
    return "another process of this training ended, so this one did; its message says why." if torn else str(error)
