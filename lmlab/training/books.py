"""What a run leaves behind in its folder: metrics, checkpoints, snapshots; and what it finds there when it resumes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lmlab.formats.hf_folder import Writer
from lmlab.models.reward import save_either
from lmlab.training.checkpoint import read_checkpoint, write_checkpoint
from lmlab.training.metrics import MetricLog
from lmlab.training.objectives import BatchStream
from lmlab.training.run_folder import RunFolder, RunFolderError
from lmlab.training.state import TrainState
from lmlab.user_folder import place_for

if TYPE_CHECKING:
    from lmlab.tokenizer.chat_template import ChatTemplate
    from lmlab.tokenizer.tokenizer import Tokenizer


class Books:
    """Keeps a run's books, if `folder` says where; in a team the first process alone writes, and all take part.

    `warnings` lists what went wrong without stopping the run. `last` is the whole model when the books are closed.
    """

    def __init__(
        self,
        state: TrainState,
        batches: BatchStream,
        *,
        folder: Path | str | None,
        save_every: int | None,
        snapshots: Sequence[int],
        tokenizer: Tokenizer | None,
        resume: bool,
    ) -> None:
        self.state, self.batches, self.tokenizer = state, batches, tokenizer
        self.kept = folder is not None
        self._shared = None if folder is None else RunFolder(place_for(folder), run_id=state.team.run_id)
        self.folder = self._shared if state.team.rank == 0 else None
        self.save_every, self.snapshots = save_every, frozenset(snapshots)
        self.resume = resume or state.team.restarted
        self.log = MetricLog(self.folder.metrics if self.folder else None)
        self.warnings: list[str] = []
        self.last: nn.Module | None = None

    def begin(self) -> None:
        """Take the folder, and go to where its latest checkpoint is. Raises RunFolderError or CheckpointError."""
        if not self.kept:
            return
        try:
            latest = self.state.team.first(self._claim)
            if latest is not None:
                asked = self.state.precision
                header = read_checkpoint(latest, self.state, self.batches)
                self.log.resume_at(self.state.step)
                self.warnings += _what_differs(header, self.state, asked)
        except BaseException:
            self._release()
            raise

    def _claim(self) -> Path | None:
        assert self.folder is not None
        self.folder.acquire()
        latest = self.folder.latest()
        if latest is not None and not self.resume:
            raise RunFolderError(
                f"{self.folder.path} already holds a run ({latest.name}); resume it with "
                "resume=True (--resume), or choose another folder."
            )
        if latest is None:
            self.folder.metrics.unlink(missing_ok=True)  # of an attempt that never reached a checkpoint
        return latest

    def after_step(self) -> None:
        """Write what is due after the step that was just done."""
        step = self.state.step
        if step in self.snapshots and self.kept:
            self._snapshot()
        if self.save_every is not None and step % self.save_every == 0 and step < self.state.steps:
            self._checkpoint()

    def close(self, *, whole: bool, failure: str = "") -> None:
        """The last checkpoint, unless the team fell apart (`whole` is False), and the folder is free again.

        `failure`: why the run ended, which any process may write down."""
        try:
            if failure and self._shared is not None:
                self._shared.say_failed(failure)
            if whole:
                self._checkpoint()
                self.last = self.state.team.whole_model(self.state)
        finally:
            self.log.close()
            self._release()

    def _release(self) -> None:
        if self.folder is not None:
            self.folder.release()

    def _snapshot(self) -> None:
        model = self.state.team.whole_model(self.state)
        if self.folder is not None:
            folder, tokenizer = self.folder, self.tokenizer
            self._write(
                "snapshot", folder.add_snapshot, lambda path: write_model(model, path, tokenizer, torch.bfloat16)
            )

    def _checkpoint(self) -> None:
        if not self.kept or self.state.step == 0:
            return
        model, moments = self.state.team.whole_model(self.state), self.state.team.whole_moments(self.state)
        if self.folder is not None:
            self._write(
                "checkpoint",
                self.folder.add_checkpoint,
                lambda path: write_checkpoint(path, self.state, self.batches, self.tokenizer, model, moments),
            )

    def _write(
        self, what: str, publish: Callable[[int, Callable[[Path], None]], Path], write: Callable[[Path], None]
    ) -> None:
        """Write to the run folder; a disk that is full costs this one file and a warning, not the training."""
        try:
            publish(self.state.step, write)
        except OSError as error:
            self.warnings.append(
                f"The {what} of step {self.state.step} could not be written ({error.strerror or error}): "
                "the earlier ones are intact and training goes on."
            )


def write_model(
    model: nn.Module,
    folder: Path,
    tokenizer: Tokenizer | None,
    dtype: torch.dtype | None,
    beside: Sequence[Path] = (),
    template: ChatTemplate | None = None,
) -> None:
    """A model folder with its tokenizer, the template that it was taught to answer in, and copies of files `beside`."""
    files: dict[str, Writer] = {path.name: partial(shutil.copyfile, path) for path in beside}
    settings = {}
    if tokenizer is not None:
        files["tokenizer.json"] = tokenizer.save
        settings = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.bos_id}
    if tokenizer is not None and template is not None:
        files |= {"chat_template.jinja": template.save, "tokenizer_config.json": template.save_marks}
        settings["eos_token_id"] = tokenizer.specials.get(template.eos, tokenizer.bos_id)
    save_either(model, folder, dtype=dtype, settings=settings, files=files)


def _what_differs(header: dict[str, Any], state: TrainState, asked: str) -> list[str]:
    """What a resumed run has otherwise than the checkpoint, as far as it may show in the losses."""
    warnings = []
    now = {"threads": torch.get_num_threads(), "accumulate": state.accumulate, "processes": state.team.size}
    for name, value in now.items():
        was = header.get(name, 1)
        if was != value:
            warnings.append(
                f"The checkpoint was made with {name}={was}, this run has {value}: "
                "losses may differ in the last digits."
            )
    if asked != state.precision:
        warnings.append(f"The checkpoint was made in {state.precision}, and so this run goes on in it, not in {asked}.")
    return warnings
