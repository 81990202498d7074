"""Runs whose disk is full for a while: files that may not grow (a limit of the system), or a tiny file system.

    python -m tests.training.full_disk FOLDER limit|room BYTES ...

A process of its own, since the limit holds for all of a process. Prints one JSON object a run.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from lmlab.training.run import TrainingRun
from tests.training.forked_runs import step_of_latest
from tests.training.stand_ins import CountingStream, Pair, small_model

STEPS, FULL_AFTER, FREE_AFTER = 12, 3, 8


class Disk:
    """`fill` leaves so many bytes to each file ("limit") or to all of them together ("room")."""

    def __init__(self, folder: Path, kind: str, n_bytes: int) -> None:
        self.kind, self.n_bytes, self.ballast = kind, n_bytes, folder / "ballast"

    def fill(self) -> None:
        if self.kind == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.n_bytes, resource.RLIM_INFINITY))
            return
        with self.ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                file.truncate(max(0, file.tell() - self.n_bytes))

    def free(self) -> None:
        if self.kind == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.ballast.unlink(missing_ok=True)


class FillingStream(CountingStream):
    """The disk fills up before one batch and is freed before another; notes which checkpoint was there then."""

    def __init__(self, folder: Path, disk: Disk, free_after: int) -> None:
        super().__init__()
        self.folder, self.disk, self.free_after = folder, disk, free_after
        self.seen: list[int] = []

    def __iter__(self) -> Iterator[Pair]:
        for batch in super().__iter__():
            if self.drawn == FULL_AFTER + 1:
                self.disk.fill()
                self.seen.append(step_of_latest(self.folder, STEPS))
            elif self.drawn == self.free_after + 1:
                self.seen.append(step_of_latest(self.folder, STEPS))
                self.disk.free()
            yield batch


def run_on(disk: Disk, folder: Path, free_after: int) -> dict[str, object]:
    stream = FillingStream(folder, disk, free_after)
    run = TrainingRun(small_model(), stream, steps=STEPS, folder=folder, save_every=1).start()
    error = ""
    try:
        run.wait()
    except Exception as failed:  # whatever it is, the test will show it
        error = repr(failed)
    disk.free()
    return {
        "status": run.status,
        "error": error,
        "warnings": run.warnings,
        "metrics_warning": run.log.warning,
        "losses": [p.loss for p in run.log.points],
        "latest": [*stream.seen, step_of_latest(folder, STEPS)],
        "left": sorted(p.name for p in folder.iterdir()),
        "lines": (folder / "metrics.jsonl").read_text(encoding="utf-8").count("\n"),
    }


def main(folder: Path, kind: str, sizes: list[int]) -> None:
    for n, size in enumerate(sizes):
        for free_after in (FREE_AFTER, STEPS):
            place = folder / f"{n}-{free_after}"
            print(json.dumps(run_on(Disk(folder, kind, size), place, free_after)))
            shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [int(size) for size in sys.argv[3:]])
