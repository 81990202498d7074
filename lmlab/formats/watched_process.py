"""A child process that downloads into a folder, watched from outside: nothing that it does can hang for ever.

A library's own timeouts leave holes: a name server that is silent, a proxy that takes the connection and says nothing,
retries that add up. From outside there is one question: has anything arrived lately?
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Patience:
    """Seconds without a sign of life (a byte in the folder, a line in the log) until the process is ended."""

    start: float = 60.0  # of Python itself, on a machine that is busy
    contact: float = 3.0  # of the server, until it has sent its first byte
    stall: float = 20.0  # in the middle of a file


def run_watched(
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str],
    most_bytes: int,
    on_bytes: Callable[[int], None],
    patience: Patience,
) -> int:
    """Run a command that writes below `folder`, its words into `log`; returns its exit code.

    `on_bytes` is told again and again how many bytes are there. Raises TimeoutError when nothing arrives any more,
    ValueError when more than `most_bytes` do. However this ends, by Ctrl-C too, the process has ended before.
    """
    began_with = n_bytes_in(folder)
    with log.open("wb") as words:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT, env=dict(environment)
        )
    try:
        life, since = (0, began_with), time.monotonic()
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            there = n_bytes_in(folder)
            on_bytes(there)
            if there > most_bytes:
                raise ValueError(f"more than the {most_bytes / 1e6:,.0f} MB arrived that were announced")
            if life != (life := (log.stat().st_size, there)):
                since = time.monotonic()
            if time.monotonic() - since > _limit(patience, life, began_with):
                raise TimeoutError(f"nothing arrived for {time.monotonic() - since:.0f} seconds")
        return process.returncode
    finally:
        _end(process)


def n_bytes_in(folder: Path) -> int:
    """The bytes of all files below a folder, which may change while we look."""
    total = 0
    with contextlib.suppress(OSError):
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                total += path.lstat().st_size if path.is_file() else 0
    return total


def _limit(patience: Patience, life: tuple[int, int], began_with: int) -> float:
    n_said, there = life
    if there != began_with:
        return patience.stall
    return patience.contact if n_said else patience.start


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
