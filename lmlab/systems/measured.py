"""The memory of a live training step, measured: bytes counted while PyTorch runs, no formula of ours.

Lecture: "memory". Parameters, gradients and moments are tensors that can be asked for their size; what the forward
pass keeps for the backward pass goes by a hook, one tensor after another; the peak is the allocator's own record.
"""

from __future__ import annotations

import copy
import gc
import os
from collections.abc import Callable, Iterable
from functools import partial
from threading import Lock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lmlab.models.language_model import check_ids
from lmlab.models.parts import Turn
from lmlab.models.transformer import Transformer
from lmlab.systems.memory import MemoryUse, training_memory

_ONE_AT_A_TIME = Lock()  # the profiler belongs to the whole process
_ERRORS_ALONE = "6"  # the profiler's own log prints a line at every start and stop, at level 5


def measured_memory(model: Transformer, ids: Tensor, *, checkpointing: bool = False) -> MemoryUse:
    """Take two float32 training steps of a copy of the model on ids (B, T), and count the second one's bytes.

    The same named parts as `training_memory(model.config, B=…, T=…, precision="fp32")` predicts, for holding side by
    side. On the CPU the peak adds up the allocator's events under torch's profiler (so nothing else should compute
    meanwhile), on CUDA it is `torch.cuda.max_memory_allocated`. The model itself, and its gradients, stay as they are.
    `checkpointing` wraps each layer in `torch.utils.checkpoint`.

    Raises ValueError, before anything is allocated, where the prediction is more than this machine has free.
    """
    if ids.dim() == 2 and ids.shape[1] <= model.max_seq_len and ids.numel():
        _check_fits(model, ids, checkpointing)
    ids = check_ids(ids, model.vocab_size, max_seq_len=model.max_seq_len)
    with _ONE_AT_A_TIME:
        return _measured(copy.deepcopy(model).float().train(), ids.to(model.device), checkpointing)


def _measured(model: Transformer, ids: Tensor, checkpointing: bool) -> MemoryUse:
    weights = list(model.parameters())
    for weight in weights:
        weight.requires_grad_()
    kept = _Kept([*weights, *model.buffers()])
    turns = model.position.register_forward_hook(kept.see_turns) if checkpointing else None
    if checkpointing:
        for block in model.blocks:  # no dropout, so the second time needs no dice of the first
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
    optimizer = torch.optim.AdamW(weights, fused=True)
    targets = ids.roll(-1, 1)
    gradients = 0

    def step() -> None:
        nonlocal gradients
        loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
        loss.backward()
        gradients = _bytes(weight.grad for weight in weights if weight.grad is not None)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    with torch.autograd.graph.saved_tensors_hooks(kept.see, lambda tensor: tensor):
        step()  # the first one makes the moments
    if turns is not None:
        turns.remove()
    moments = _bytes(value for state in optimizer.state.values() for value in state.values() if value.dim())
    activations = kept.n_bytes
    del kept  # or what the first step kept would be held throughout the second one
    resident = _bytes(weights) + moments
    peak = _peak(step, model.device)
    return MemoryUse(
        weights=_bytes(weights),
        gradients=gradients,
        moments=moments,
        activations=activations,
        peak=resident + peak,
    )


class _Kept:
    """Sees every tensor that autograd keeps, and adds up their storages, each once and the model's own not at all."""

    def __init__(self, own: Iterable[Tensor]) -> None:
        self._seen = {tensor.untyped_storage().data_ptr() for tensor in own}
        self._alive: list[Tensor] = []  # or a freed address would be given to another tensor, and be missed
        self.n_bytes = 0

    def see(self, tensor: Tensor) -> Tensor:
        """Count it if its storage is new."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self._alive.append(tensor)
            self.n_bytes += storage.nbytes()
        return tensor

    def see_turns(self, _: nn.Module, __: tuple[Tensor, ...], out: tuple[Tensor, Turn]) -> None:
        """Count the turns of the positions, which `checkpoint` holds on to out of autograd's sight."""
        for tensor in getattr(out[1], "keywords", {}).values():
            self.see(tensor)


def _bytes(tensors: Iterable[Tensor]) -> int:
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def _peak(step: Callable[[], None], device: torch.device) -> int:
    """The most bytes that a step holds at a time, beyond those held before it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", _ERRORS_ALONE)
    collects = gc.isenabled()
    gc.collect()  # what was allocated before and is let go within would be taken off the count
    gc.disable()
    try:
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
        ) as profile:
            step()
    finally:
        if collects:
            gc.enable()
    results = profile.profiler.kineto_results if profile.profiler is not None else None
    events = [] if results is None else [event for event in results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def _check_fits(model: Transformer, ids: Tensor, checkpointing: bool) -> None:
    B, T = ids.shape
    use = training_memory(model.config, B=B, T=T, precision="fp32", checkpointing=checkpointing)
    if model.device.type == "cuda":
        free = torch.cuda.mem_get_info(model.device)[0]
    else:
        import psutil

        free = psutil.virtual_memory().available
    needed = max(use.peak or 0, use.total) + use.weights  # a copy of the model is what takes the step
    if needed > free:
        raise ValueError(
            f"A training step of {B:,} texts of {T:,} tokens would hold {needed / 1e9:,.1f} GB and "
            f"{free / 1e9:,.1f} GB are free: give fewer or shorter texts."
        )
