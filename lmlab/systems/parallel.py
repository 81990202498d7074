"""One of several processes: it waits for jobs, and sends every message between processes by hand.

Lecture: "sharding". Everything that goes from process to process is sent here, one message at a time, and counted as
it is sent; sums over all processes are rings of such messages. `lmlab.systems.sharding` asks from the notebook's side.
Processes on CPUs meet through gloo; on GPUs, one each, through nccl, which has not been tried.

Source of the ring: Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations".
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from lmlab.systems.one_share import multiply_share, train_share
from lmlab.systems.timeline import Kind
from lmlab.systems.workers import Message, read_message, sentence, write_message

PATIENCE = timedelta(seconds=300)  # longer than the notebook's own: that one says who was late


class Clock:
    """What this process does when, by its own clock: spans that follow each other, an inner one cutting the outer."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.spans: list[tuple[Kind, int | None, float, float]] = []
        self._open: list[tuple[Kind, int | None]] = []
        self._since = 0.0

    @contextlib.contextmanager
    def during(self, kind: Kind, micro_batch: int | None = None) -> Iterator[None]:
        """What happens within is of this kind; without a number it belongs to the micro-batch around it."""
        if micro_batch is None and self._open:
            micro_batch = self._open[-1][1]
        self._turn()
        self._open.append((kind, micro_batch))
        yield
        self._turn()
        self._open.pop()

    def _turn(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        if self._open:
            self.spans.append((*self._open[-1], self._since, now))
        self._since = now


class Wire:
    """The connections to the other processes. Every message is sent, and counted, in `_send` or `_pass_on`."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size, self.device = dist.get_rank(), dist.get_world_size(), device
        self.clock = Clock(device)
        self.messages = self.bytes = 0
        self._on_the_way: list[tuple[Any, Tensor]] = []

    def send(self, tensor: Tensor, to: int, micro_batch: int) -> None:
        """Hand a tensor over and go on; `flush` waits until all have arrived."""
        with self.clock.during("send", micro_batch):
            tensor = tensor.detach().contiguous()
            self._count(tensor)
            self._on_the_way.append((dist.isend(tensor, to), tensor))

    def receive(self, shape: Sequence[int], source: int, micro_batch: int) -> Tensor:
        """Wait for a tensor."""
        with self.clock.during("wait", micro_batch):
            tensor = torch.empty(tuple(shape), device=self.device)
            dist.recv(tensor, source)
        return tensor

    def barrier(self) -> None:
        """Wait for all, before the clocks begin; this is not counted."""
        dist.barrier()

    def flush(self) -> None:
        """Wait until all that was sent has arrived."""
        for work, _ in self._on_the_way:
            work.wait()
        self._on_the_way.clear()

    def sum(self, flat: Tensor, ranks: Sequence[int] | None = None) -> None:
        """Ring all-reduce of a vector, in place: the same sum in all processes of `ranks` (all), to the last bit.

        n - 1 times each passes a chunk on, adding what it has: then each has the sum of one chunk; n - 1 times more
        hand the sums round.
        """
        ring = list(range(self.size)) if ranks is None else list(ranks)
        n = len(ring)
        if n == 1 or not flat.numel():
            return
        with self.clock.during("reduce"):
            me = ring.index(self.rank)
            left, right = ring[me - 1], ring[(me + 1) % n]
            chunks = [part.clone() for part in flat.tensor_split(n)]
            for step in range(n - 1):
                coming = chunks[(me - step - 1) % n]
                coming += self._pass_on(chunks[(me - step) % n], right, torch.empty_like(coming), left)
            for step in range(n - 1):
                place = (me - step) % n
                chunks[place] = self._pass_on(chunks[(place + 1) % n], right, torch.empty_like(chunks[place]), left)
            flat.copy_(torch.cat(chunks))

    def gather(self, part: Tensor, widths: Sequence[int]) -> Tensor:
        """Parts (T, F_i) of all processes beside each other, (T, F) in each: n - 1 times the newest is passed on."""
        parts = [torch.empty(part.shape[0], width, device=self.device) for width in widths]
        parts[self.rank] = part.contiguous()
        left, right = (self.rank - 1) % self.size, (self.rank + 1) % self.size
        with self.clock.during("reduce"):
            for step in range(self.size - 1):
                newest, coming = (self.rank - step) % self.size, (self.rank - step - 1) % self.size
                parts[coming] = self._pass_on(parts[newest], right, parts[coming], left)
        return torch.cat(parts, 1)

    def _pass_on(self, give: Tensor, right: int, take: Tensor, left: int) -> Tensor:
        """One message to the right while one comes from the left."""
        self._count(give)
        moves = [dist.P2POp(dist.isend, give, right), dist.P2POp(dist.irecv, take, left)]
        for work in dist.batch_isend_irecv(moves):
            work.wait()
        return take

    def _count(self, tensor: Tensor) -> None:
        self.messages += 1
        self.bytes += tensor.numel() * tensor.element_size()


WORK = {"train": train_share, "multiply": multiply_share}


def meet(told: dict[str, Any], met: str) -> str:
    """Be connected to the processes of this job, unless these have met before; returns where."""
    where = str(told["meet_at"])
    if where != met:
        if dist.is_initialized():
            dist.destroy_process_group()
        store = dist.FileStore(where, told["size"])
        backend = "nccl" if told["device"] == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=told["rank"], world_size=told["size"], timeout=PATIENCE)
    return where


def main() -> None:
    """Do jobs from the standard input until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    torch.set_num_threads(1)
    jobs: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    met = ""
    while True:
        job = jobs.get()
        try:
            met = meet(job.words, met)
            device = torch.device("cuda", job.words["rank"]) if job.words["device"] == "cuda" else torch.device("cpu")
            wire = Wire(device)
            done = WORK[job.words["work"]](job, wire)
            wire_words = {"messages": wire.messages, "bytes": wire.bytes, "spans": wire.clock.spans}
            answer = Message({**done.words, **wire_words}, done.tensors)
        except Exception as error:
            answer = Message({"error": sentence(error)})
        write_message(answers, answer)


def _listen(jobs: queue.Queue[Message]) -> None:
    """Jobs as they come. At their end the notebook is gone, and so is this process, whatever it is doing."""
    where = None
    while (job := read_message(sys.stdin.buffer)) is not None:
        jobs.put(job)
        where = Path(job.words["meet_at"])
    if where is not None:  # a notebook that was killed could not clean up; the last worker finds the folder empty
        with contextlib.suppress(OSError):
            where.unlink(missing_ok=True)
            where.parent.rmdir()
    os._exit(0)


if __name__ == "__main__":
    main()
