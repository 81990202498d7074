"""Processes that wait for work, started from a notebook: words as JSON, numbers as safetensors, over their own pipes.

No fork (the kernel's threads would not survive it), no pickle (it runs what it reads), no shell. A worker ends when its
input does, so it never outlives the notebook, however that ends. It is a session of its own: Ctrl-C in the notebook
reaches the notebook alone, which then ends its workers; the next call starts new ones.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import psutil
import torch
from safetensors.torch import load, save
from torch import Tensor

MODULE = "lmlab.systems.parallel"
MOST = 16  # processes
WORKER_BYTES = 200_000_000  # which each takes for torch alone
KILLED = -9  # SIGKILL, as a return code
_HEAD = struct.Struct(">QQ")  # bytes of JSON, bytes of safetensors


class Message(NamedTuple):
    """What goes over a pipe, in either direction."""

    words: dict[str, Any]
    tensors: Mapping[str, Tensor] = {}


class WorkersFailed(RuntimeError):
    """The work was not done; the message says why, and the workers have been ended."""


def write_message(pipe: IO[bytes], message: Message) -> None:
    """Write a message whole."""
    words = json.dumps(message.words).encode("utf-8")
    # Copies, since safetensors refuses two views of one memory: the inputs and targets of a single row are that.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in message.tensors.items()
    }
    numbers = save(tensors) if tensors else b""
    pipe.write(_HEAD.pack(len(words), len(numbers)))
    pipe.write(words)
    pipe.write(numbers)
    pipe.flush()


def read_message(pipe: IO[bytes]) -> Message | None:
    """The next message; None where the other side has ended, in the middle of one too."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    n_words, n_numbers = _HEAD.unpack(head)
    words, numbers = pipe.read(n_words), pipe.read(n_numbers)
    if len(words) < n_words or len(numbers) < n_numbers:
        return None
    return Message(json.loads(words.decode("utf-8")), load(numbers) if numbers else {})


def sentence(error: Exception) -> str:
    """An error as part of one sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


class Workers:
    """A team of processes, of one thread each; more are started when a call asks for more.

    `run` gives each of the first n a job and returns their answers. timeout: seconds until a call is given up.
    rest_seconds: after so long without a call they are ended, since thirty notebooks share a classroom's machine.
    device: "cpu", or "cuda" for a GPU each. module: what a process runs, which reads jobs and writes answers.
    """

    def __init__(
        self, *, timeout: float = 120.0, rest_seconds: float = 600.0, device: str = "cpu", module: str = MODULE
    ) -> None:
        if device not in ("cpu", "cuda"):
            raise ValueError(f"Workers compute on device 'cpu' or 'cuda', not {device!r}.")
        self.timeout, self.rest_seconds, self.device, self.module = timeout, rest_seconds, device, module
        self._rest: threading.Timer | None = None
        self._workers: list[_Worker] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._groups = 0
        self._size = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Workers({len(self._workers)} processes)"

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers that the system gave the processes."""
        return tuple(worker.process.pid for worker in self._workers)

    def check(self, n: int) -> None:
        """Raise ValueError, in one sentence, for more processes than this machine can have."""
        if n > MOST:
            raise ValueError(f"{n} processes are too many for one machine: choose n_processes of at most {MOST}.")
        needed, free = WORKER_BYTES * (n - len(self._workers)), psutil.virtual_memory().available
        if needed > free:
            raise ValueError(
                f"{n} processes need {needed / 1e9:.1f} GB more and this machine has {free / 1e9:.1f} GB free: choose "
                "fewer processes, or close other notebooks."
            )
        there = torch.cuda.device_count() if self.device == "cuda" else n
        if n > there:
            raise ValueError(f"{n} processes need a GPU each and this machine has {there}: use Workers() on CPUs.")

    def run(self, jobs: Sequence[Message]) -> list[Message]:
        """Job i to process i, all at once; their answers, in order.

        Raises WorkersFailed, in one sentence, for a process that dies, cannot do its job or takes too long. Whatever
        ends a call early, by Ctrl-C too, ends the processes.
        """
        with self._lock:
            self._wake()
            try:
                self._start(len(jobs))
                answers: queue.Queue[tuple[int, Message | None]] = queue.Queue()
                meeting = {"size": len(jobs), "device": self.device, "meet_at": self._meeting_place(len(jobs))}
                for rank, (worker, job) in enumerate(zip(self._workers, jobs, strict=False)):
                    told = Message({**job.words, **meeting, "rank": rank}, job.tensors)
                    threading.Thread(target=worker.ask, args=(rank, told, answers), daemon=True).start()
                done = self._collect(len(jobs), answers)
                self._rest = threading.Timer(self.rest_seconds, self._let_go)
                self._rest.daemon = True
                self._rest.start()
                return done
            except BaseException:
                self._end()
                raise

    def close(self) -> None:
        """End the processes, whatever they are doing. The team can be used again: it starts new ones."""
        for worker in tuple(self._workers):  # a call under way then ends too: at exit nobody waits for it
            worker.process.kill()
        with self._lock:
            self._end()

    def _wake(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _let_go(self) -> None:
        with self._lock:
            if self._rest is threading.current_thread():  # no call came in between
                self._end()

    def _start(self, n: int) -> None:
        if any(worker.process.poll() is not None for worker in self._workers):
            self._end()  # one was ended between two calls, and the others are connected to it
        # All are started before any is waited for: importing torch takes a second or two, side by side.
        while len(self._workers) < n:
            try:
                self._workers.append(_Worker(self.module))
            except OSError as error:
                raise WorkersFailed(f"This machine starts no more processes ({error}): ask for fewer.") from error

    def _meeting_place(self, n: int) -> str:
        """The file through which n processes find each other; a new one whenever others are to meet."""
        if self._folder is None:
            self._folder, self._size = tempfile.TemporaryDirectory(prefix="lmlab-", ignore_cleanup_errors=True), 0
        if n != self._size:
            self._groups, self._size = self._groups + 1, n
        return str(Path(self._folder.name) / f"meeting-{self._groups}")

    def _collect(self, n: int, answers: queue.Queue[tuple[int, Message | None]]) -> list[Message]:
        got: dict[int, Message] = {}
        end, failed = time.monotonic() + self.timeout, ""
        while len(got) < n:
            try:
                rank, answer = answers.get(timeout=0.1)  # in slices, so that an interrupt reaches the cell everywhere
            except queue.Empty:
                if time.monotonic() > end:
                    late = [rank for rank in range(n) if rank not in got]
                    raise WorkersFailed(failed or _too_late(late, n, self.timeout)) from None
                continue
            if answer is None:
                raise WorkersFailed(f"Process {rank} of {n} {self._workers[rank].last_words()}")
            if "error" in answer.words and not failed:
                # Where one dies, the others lose their connection, and may say so first: the dead has the reason.
                failed = f"Process {rank} of {n}: {answer.words['error']}"
                end = min(end, time.monotonic() + 1.0)
            got[rank] = answer
        if failed:
            raise WorkersFailed(failed)
        return [got[rank] for rank in range(n)]

    def _end(self) -> None:
        self._wake()
        for worker in self._workers:
            worker.end()
        self._workers = []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _too_late(late: list[int], n: int, seconds: float) -> str:
    return (
        f"Processes {', '.join(map(str, late))} of {n} had no answer after {seconds:g} seconds, so all were ended: "
        "call again, with a smaller batch where this happens twice."
    )


class _Worker:
    """One process and its pipes; it owns no state that would be lost with it."""

    def __init__(self, module: str) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, "OMP_NUM_THREADS": "1", **_loopback()},
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

    def ask(self, rank: int, job: Message, answers: queue.Queue[tuple[int, Message | None]]) -> None:
        """Hand over a job and wait for the answer, which goes into the queue; None for a process that ended."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        answer = None
        try:
            write_message(stdin, job)
            answer = read_message(stdout)
        except (OSError, ValueError):  # a pipe that breaks, or is closed by `end`
            pass
        except Exception as error:
            answer = Message({"error": sentence(error)})
        answers.put((rank, answer))

    def last_words(self) -> str:
        """Why it is not there any more, for a sentence that begins with its name."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5.0)
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        code = self.process.returncode
        because = lines[-1][:200] if lines else "killed, as a system without memory does" if code == KILLED else ""
        because = f" ({because})" if because else ""
        return f"ended in the middle of its work, code {code}{because}: call again, for new ones."

    def end(self) -> None:
        """Kill it and wait for that."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self._said):
            with contextlib.suppress(OSError, ValueError):
                if pipe is not None:
                    pipe.close()


def _loopback() -> dict[str, str]:
    """Gloo asks a name server for this machine's address, which a laptop without a network has not: say it."""
    if os.name == "nt" or "GLOO_SOCKET_IFNAME" in os.environ:
        return {}
    names = [name for name, found in psutil.net_if_addrs().items() if any(a.address == "127.0.0.1" for a in found)]
    return {"GLOO_SOCKET_IFNAME": names[0]} if names else {}


_kept = Workers()
close = _kept.close
atexit.register(close)


def kept_workers() -> Workers:
    """The team that all calls of this process share: started by the first, ended by `close()` or at exit."""
    return _kept
