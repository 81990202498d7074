"""A run's folder: recipe.toml, metrics.jsonl, lock, snapshots/, checkpoints/step-000300/, `latest`, which names one;
and after a failure error.txt, which says why in one sentence.

At any moment, a power cut included, `latest` names a complete checkpoint: new checkpoints get new names, and only
when one is whole is the little text file swapped for another.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from lmlab.formats.process_birth import birth_of, is_alive
from lmlab.user_folder import write_atomically

STEP_NAME = re.compile(r"step-(\d{6,})")


class RunFolderError(RuntimeError):
    """The folder cannot be used for this run, and why."""


class RunFolder:
    """Paths and promises of one run's folder; `keep` is how many checkpoints stay.

    run_id: of a run whose processes somebody starts again when one dies. A lock with the same is a predecessor's, on
    whichever machine it was taken.
    """

    def __init__(self, path: Path | str, *, keep: int = 2, run_id: str | None = None) -> None:
        self.path = Path(path)
        self.keep, self.run_id = keep, run_id
        self.checkpoints = self.path / "checkpoints"
        self.snapshots = self.path / "snapshots"
        self.metrics = self.path / "metrics.jsonl"
        self.recipe = self.path / "recipe.toml"
        self._error = self.path / "error.txt"
        self._latest = self.path / "latest"
        self._lock = self.path / "lock"

    def strangers(self) -> list[str]:
        """What the folder holds that no run puts there; hidden files, what a kill left among them, do not matter."""
        ours = {"checkpoints", "snapshots", "metrics.jsonl", "recipe.toml", "latest", "lock", "model", "error.txt"}
        names = [p.name for p in self.path.iterdir()] if self.path.is_dir() else []
        return sorted(name for name in names if name not in ours and not name.startswith("."))

    def latest(self) -> Path | None:
        """The newest complete checkpoint, or None where there is none yet."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            name = self._latest.read_text(encoding="utf-8").strip()
            if STEP_NAME.fullmatch(name) and (self.checkpoints / name).is_dir():
                return self.checkpoints / name
        return None

    def add_checkpoint(self, step: int, write: Callable[[Path], None]) -> Path:
        """Let `write` make a folder named after the step, whole or not at all; point `latest` at it; drop the oldest.

        Raises OSError (a full disk, say) with the earlier checkpoints untouched.
        """
        final = self.checkpoints / f"step-{step:06d}"
        if self.latest() == final:
            return final
        if final.exists():  # of an earlier attempt, killed before `latest` named it or resumed from before it
            shutil.rmtree(final)
        write(final)
        write_atomically(self._latest, final.name + "\n")
        self._prune(final)
        return final

    def add_snapshot(self, step: int, write: Callable[[Path], None]) -> Path:
        """A model folder that stays: snapshots/step-000300. One of an earlier attempt at the same step is replaced."""
        final = self.snapshots / f"step-{step:06d}"
        write(final)
        return final

    def _prune(self, newest: Path) -> None:
        steps = {
            path: int(match[1]) for path in self.checkpoints.iterdir() if (match := STEP_NAME.fullmatch(path.name))
        }
        older = sorted((p for p in steps if p != newest and steps[p] < steps[newest]), key=lambda p: steps[p])
        beyond = [p for p in steps if steps[p] > steps[newest]]  # from an attempt that was resumed before this point
        unfinished = [p for p in self.checkpoints.iterdir() if p.name.startswith(".")]
        for path in [*older[: max(0, len(older) - self.keep + 1)], *beyond, *unfinished]:
            shutil.rmtree(path, ignore_errors=True)

    def acquire(self) -> None:
        """Take the lock: at most one training writes here. A lock whose process is gone is taken over.

        Raises RunFolderError naming the process that holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        me = {"pid": os.getpid(), "host": socket.gethostname(), "started": birth_of(os.getpid()), "run": self.run_id}
        for _ in range(2):
            try:
                with self._lock.open("x", encoding="utf-8") as file:
                    json.dump(me, file)
                self._clear()
                return
            except FileExistsError:
                holder = self.holder()
                if holder is not None:
                    raise RunFolderError(
                        f"{self.path} is in use by {holder}; wait for it, stop it, or choose another folder."
                    ) from None
                self._lock.unlink(missing_ok=True)
        raise RunFolderError(
            f"{self.path / 'lock'} changes while we look at it; another run is starting: choose another folder."
        )

    def _clear(self) -> None:
        """Remove the sentence of an earlier failure, and what a kill left of files that were being written."""
        self._error.unlink(missing_ok=True)
        for unfinished in self.path.glob(".*.lmlab-tmp"):
            unfinished.unlink(missing_ok=True)

    def say_failed(self, sentence: str) -> None:
        """Leave the reason why a run ended here; of several processes the first to say so was the cause."""
        with contextlib.suppress(OSError):  # a full disk: the terminal says it
            if not self._error.exists():
                write_atomically(self._error, sentence + "\n")

    def failure(self) -> str:
        """Why the latest run failed, in one sentence; empty where none did."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self._error.read_text(encoding="utf-8")[:2000].strip()
        return ""

    def release(self) -> None:
        """Give the lock back, if it is ours."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if json.loads(self._lock.read_text(encoding="utf-8")).get("pid") == os.getpid():
                self._lock.unlink(missing_ok=True)

    def holder(self) -> str | None:
        """Who holds the lock, in words, or None where nobody alive does."""
        try:
            lock = json.loads(self._lock.read_text(encoding="utf-8"))
            pid, host, started = int(lock["pid"]), str(lock["host"]), float(lock["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # torn by a kill while it was written: nobody's
        if self.run_id is not None and lock.get("run") == self.run_id:
            return None
        if host != socket.gethostname():
            return f"process {pid} on {host} (if that machine is gone, delete {self._lock})"
        alive = is_alive(pid, started)
        return (f"process {pid}" if pid != os.getpid() else "another run of this kernel") if alive else None
