"""A command of a terminal, started from a notebook: the same words, another process, the kernel stays free."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time

_MODULES = {"lmlab": ["lmlab"], "torchrun": ["torch.distributed.run"]}


class OtherProcess:
    """A command that runs beside the notebook. `output()` is what it has written so far; `kill()` is a power cut."""

    def __init__(self, command: str) -> None:
        self.command = command
        words = shlex.split(command, posix=sys.platform != "win32")
        if not words or words[0] not in _MODULES:
            raise ValueError(
                f"{command!r} does not begin with {' or '.join(_MODULES)}; try 'lmlab train recipe.toml --out runs/a'."
            )
        # This Python's own, whatever the PATH of the kernel says; no shell in between.
        argv = [sys.executable, "-m", *_MODULES[words[0]], *(word.strip('"') for word in words[1:])]
        self._written = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._written, stderr=self._written)

    def __repr__(self) -> str:
        return f"OtherProcess({self.command.split()[0]})"

    @property
    def is_running(self) -> bool:
        """Whether it is still alive."""
        return self._process.poll() is None

    def kill(self) -> OtherProcess:
        """End it at once: it can neither save nor say anything (kill -9; TerminateProcess on Windows)."""
        self._process.kill()
        self._process.wait()
        return self

    def wait(self, timeout: float = 600.0) -> int:
        """Its exit code, once it is over; 0 means that all went well. Raises TimeoutError."""
        end = time.monotonic() + timeout
        while self.is_running:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.command!r} had not ended after {timeout:g} seconds; it goes on.")
            time.sleep(0.05)  # in slices, so that an interrupt reaches the cell on every system
        return self._process.wait()

    def output(self) -> str:
        """What it has written so far, as a terminal would show it."""
        self._written.seek(0)
        return self._written.read().decode("utf-8", "replace")


def terminal(command: str) -> OtherProcess:
    """Run `lmlab …` or `torchrun …` as in a terminal, in a process of its own, in the folder of the notebook."""
    return OtherProcess(command)
