"""A training that goes on while you look at it: started, paused, stopped, saved; never printing, never a widget."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import torch
from torch import nn

from lmlab.models.language_model import LanguageModel
from lmlab.models.reward import RewardModel
from lmlab.text_model import TextModel
from lmlab.training.books import Books, write_model
from lmlab.training.loop import BatchesEnded, TrainingDiverged, train
from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import BatchStream, Objective, next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.training.team import ALONE, Team
from lmlab.user_folder import place_for

if TYPE_CHECKING:
    from lmlab.tokenizer.chat_template import ChatTemplate
    from lmlab.tokenizer.tokenizer import Tokenizer

Result = TypeVar("Result")
AGREED = (type(None), TrainingDiverged, BatchesEnded)  # how a run ends in all processes of a team at one step
Status = Literal["not started", "running", "paused", "stopped", "finished", "failed"]


class TrainingRun:
    """Trains `model` in a thread of its own and keeps the books.

    `log` has a MetricPoint for every step. With a `folder` the run also writes metrics.jsonl, a checkpoint every
    `save_every` steps and at the end (the newest two stay), and a model folder at each step named in `snapshots`;
    `resume=True` goes on from the latest checkpoint there, in its precision. `warnings` lists what went wrong without
    stopping it. In a `team` every process has a run, and the first writes. accumulate, precision and compile: see
    `TrainState.begin`. `start`, `pause`, `resume`, `stop` and `wait` return the run.

    Raises ValueError, in one sentence, for settings that cannot train, and RunFolderError for a folder in use.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: BatchStream,
        objective: Objective = next_token,
        *,
        steps: int,
        seed: int = 0,
        lr: float | None = None,
        settings: OptimizerSettings | None = None,
        folder: Path | str | None = None,
        save_every: int | None = None,
        snapshots: Sequence[int] = (),
        tokenizer: Tokenizer | None = None,
        resume: bool = False,
        accumulate: int = 1,
        precision: str = "fp32",
        compile: bool = False,
        team: Team = ALONE,
    ) -> None:
        if lr is not None and settings is not None:
            raise ValueError("lr and settings were both given; put the rate into OptimizerSettings(lr=...) or give lr.")
        if save_every is not None and (not isinstance(save_every, int) or save_every < 1):
            raise ValueError(f"save_every is {save_every!r}; it must be a whole number of steps from 1, or None.")
        if any(not isinstance(step, int) or step < 1 for step in snapshots):
            raise ValueError(f"snapshots is {list(snapshots)!r}; it must be steps from 1, for example [100, 400].")
        settings = settings or (OptimizerSettings() if lr is None else OptimizerSettings(lr=lr))
        self.state = TrainState.begin(
            model,
            steps=steps,
            seed=seed,
            settings=settings,
            accumulate=accumulate,
            precision=precision,
            compile=compile,
            team=team,
        )
        self.batches, self.objective, self.tokenizer = batches, objective, tokenizer
        self._books = Books(
            self.state,
            batches,
            folder=folder,
            save_every=save_every,
            snapshots=snapshots,
            tokenizer=tokenizer,
            resume=resume,
        )
        self.folder, self.log, self.warnings = self._books.folder, self._books.log, self._books.warnings
        self._gate = threading.Condition()
        self._stepping = self._pausing = self._stopping = False
        self._visitors = 0
        self._status: Status = "not started"
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"TrainingRun({self.state.steps:,} steps, seed {self.state.seed})"

    @property
    def model(self) -> nn.Module:
        """The model being trained. It changes while the run is running; `snapshot()` is a copy that does not."""
        return self.state.model

    @property
    def _team(self) -> Team:
        return self.state.team

    @property
    def status(self) -> Status:
        return self._status

    @property
    def error(self) -> BaseException | None:
        """What ended a run that failed; `wait` raises it."""
        return self._error

    @property
    def failure(self) -> str:
        """The same in one sentence; empty where nothing failed."""
        return "" if self._error is None else self._team.sentence(self._error)

    def start(self) -> TrainingRun:
        """Begin, in a thread. A run that was started already is left as it is."""
        if self._thread is not None:
            return self
        self._books.begin()
        self._status = "running"
        # A daemon: a kernel that is shut down takes the training with it, and the last checkpoint stays.
        self._thread = threading.Thread(target=self._work, name="lmlab-training", daemon=True)
        self._thread.start()
        return self

    def pause(self) -> TrainingRun:
        """Stop after the current step until `resume()`."""
        with self._gate:
            if self._status == "running":
                self._pausing, self._status = True, "paused"
        return self

    def resume(self) -> TrainingRun:
        """Go on after `pause()`."""
        with self._gate:
            if self._status == "paused":
                self._pausing, self._status = False, "running"
                self._gate.notify_all()
        return self

    def stop(self) -> TrainingRun:
        """End after the current step, for good; the weights so far stay, and a checkpoint if there is a folder."""
        with self._gate:
            self._stopping = True
            self._gate.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        elif self._thread is None:
            self._status = "stopped"
        return self

    def wait(self) -> TrainingRun:
        """Return when the training is over, raising here the error that ended it, if one did."""
        if self._thread is None:
            raise RuntimeError(f"{self!r} was not started; call start() first.")
        while self._thread.is_alive():
            if self._status == "paused" and not self._stopping:
                raise RuntimeError(f"{self!r} is paused at step {self.state.step}; call resume() before wait().")
            self._thread.join(0.1)  # in slices, so that an interrupt reaches the cell on every system
        if self._error is not None:
            raise self._error
        return self

    def snapshot(self) -> nn.Module:
        """A copy of the model as it is between two steps; the run goes on meanwhile."""
        if self._team.size > 1 and self._books.last is None:
            raise RuntimeError("Several processes train this model; look at its checkpoints, or wait for its end.")
        return self._between_steps(lambda: copy.deepcopy(self._books.last or self.state.model).eval())

    def save(
        self,
        folder: Path | str,
        tokenizer: Tokenizer,
        *,
        dtype: torch.dtype | None = None,
        beside: Sequence[Path] = (),
        chat_template: ChatTemplate | None = None,
    ) -> TextModel:
        """Write a model folder that `lab.load` opens, and return the model with its tokenizer.

        dtype: torch.bfloat16 halves the file; None keeps the weights as they are. beside: files to copy into it.
        chat_template: what a model that was taught to answer reads conversations in (`default_template()`).
        Where the notebook's folder is read-only, a relative path goes to the student's own runs, and a warning says so.
        """
        model, place = self.snapshot(), place_for(folder)
        if isinstance(model, RewardModel):
            raise ValueError("A reward model scores answers and writes none: save it with run.model.save(folder).")
        write_model(model, place, tokenizer, dtype, beside, chat_template)
        return TextModel(cast(LanguageModel, model), tokenizer, name=place.name, chat_template=chat_template)

    def _between_steps(self, work: Callable[[], Result]) -> Result:
        """Run `work` while no step is under way."""
        with self._gate:
            self._visitors += 1
            try:
                self._gate.wait_for(lambda: not self._stepping)
                return work()
            finally:
                self._visitors -= 1
                self._gate.notify_all()

    def _work(self) -> None:
        """The thread: train, then leave a checkpoint and the books in order, whatever happened."""
        ended: Status = "failed"
        try:
            if not self._team.any(not self._enter_step()):
                train(self.state, self.batches, self.objective, self.state.steps, self._after_step)
            ended = "finished" if self.state.step >= self.state.steps else "stopped"
        except BaseException as error:
            self._error = error
        finally:
            self._leave_step()
            try:
                self._books.close(whole=self._team.size == 1 or isinstance(self._error, AGREED), failure=self.failure)
            finally:
                self._status = ended

    def _after_step(self, state: TrainState, point: MetricPoint) -> bool:
        self.log.append(point)
        self._books.after_step()
        self._leave_step()
        return not self._team.any(not self._enter_step())

    def _enter_step(self) -> bool:
        """Wait while paused or while someone reads the model; False says that the run should end."""
        with self._gate:
            self._gate.wait_for(lambda: self._stopping or not (self._pausing or self._visitors))
            self._stepping = True
            return not self._stopping

    def _leave_step(self) -> None:
        with self._gate:
            self._stepping = False
            self._gate.notify_all()
