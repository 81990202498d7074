"""The processes that train one model together, as the loop sees them. Alone, each question has the obvious answer.

`lmlab.training.distributed` has the teams of several processes; nothing else in the package knows of them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lmlab.training.objectives import Scored
    from lmlab.training.state import TrainState

Result = TypeVar("Result")
Moments = dict[str, dict[str, Tensor]]  # of the optimizer, by the parameter's name


class Team:
    """One process: the first of one. Every method that asks other processes is called by all of them, in one order.

    A batch is the same in all of them; each works on its own rows. rank: which process this is, from 0, which alone
    writes and speaks. restarted: whether torchrun started it in the place of one that died, so that resuming goes
    without saying. run_id: by which it knows that a lock is its predecessor's.
    """

    rank, size = 0, 1

    def __init__(self) -> None:
        self.restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
        run_id = os.environ.get("TORCHELASTIC_RUN_ID")
        self.run_id = None if run_id == "none" else run_id  # torchrun's word for a run without a name

    def wrap(self, scored: Scored) -> nn.Module:
        """What a step calls. Parameters may be replaced here by shards, so an optimizer is made afterwards."""
        return scored

    def adapt(self, optimizer: torch.optim.Optimizer) -> None:
        """Teach an optimizer whatever it must know about shards."""

    def generator(self, state: TrainState) -> torch.Generator:
        """For what an objective draws: not the same numbers in two processes."""
        return state.generator

    def on_device(self) -> AbstractContextManager[object]:
        """Within it, this thread works on the team's device."""
        return nullcontext()

    def reducing(self, module: nn.Module, last: bool) -> AbstractContextManager[object]:
        """Around a part's forward and backward pass: only after the last are gradients averaged."""
        return nullcontext()

    def sum(self, value: Tensor) -> float:
        """The sum of a number over all processes."""
        return float(value)

    def norm(self, gradients: list[Tensor]) -> float:
        """The length of the whole gradient."""
        return float(torch.nn.utils.get_total_norm(gradients))

    def any(self, mine: bool) -> bool:
        """Whether one process at least says so."""
        return mine

    def sentence(self, error: BaseException) -> str:
        """An error in one sentence, with its kind where it is not one of the loop's own."""
        kind = type(error).__name__
        return str(error) if kind in ("TrainingDiverged", "BatchesEnded") else f"{kind}: {error}"

    def first(self, work: Callable[[], Result]) -> Result:
        """What `work` gives in the first process, which alone does it; its error is everyone's."""
        return work()

    def whole_model(self, state: TrainState) -> nn.Module:
        """The model with all its weights, in the first process; elsewhere it need not be whole."""
        return state.model

    def whole_moments(self, state: TrainState) -> Moments:
        """What the optimizer remembers, in the first process; elsewhere it may be empty."""
        remembered = {name: state.optimizer.state.get(p, {}) for name, p in state.model.named_parameters()}
        return {name: {k: v for k, v in slot.items() if k != "step"} for name, slot in remembered.items()}

    def put(self, state: TrainState, weights: dict[str, Tensor], moments: Moments, step: int) -> None:
        """Give the state the weights and moments that the first process read, after `step` steps."""
        state.model.load_state_dict(weights)
        parameters = dict(state.model.named_parameters())
        for name, slot in moments.items():
            device = parameters[name].device
            mine = {key: moment.to(device, copy=True) for key, moment in slot.items()}
            state.optimizer.state[parameters[name]] = {**mine, "step": torch.tensor(float(step), device=device)}


ALONE = Team()


@contextmanager
def team_here(parallel: str | None) -> Iterator[Team]:
    """The team of this process: of those that torchrun started, or alone. parallel: "ddp", "fsdp", or None for DDP.

    Within it SIGTERM, which schedulers and torchrun send, is Ctrl-C.
    """
    with _stoppable():
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            yield ALONE
            return
        from lmlab.training.distributed import joined  # half a second, and nobody alone needs it

        with joined("fsdp" if parallel == "fsdp" else "ddp") as team:
            yield team


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM interrupts, and whatever comes after the first signal does not interrupt the stopping."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        if os.environ.get("WORLD_SIZE"):  # torchrun sends again what the terminal has sent already
            for name in before:
                signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {name: signal.signal(name, interrupt) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
