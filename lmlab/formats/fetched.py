"""A fetched folder of the cache: there as a whole or not at all, with a record of what it is and where it came from.

cache/smollm2/                  what was fetched, and .fetched.json: its source, and each file's size and sha256
cache/.smollm2.fetching/        while it is on its way
    download/                   stays after an interruption, so that the next attempt goes on from there
cache/.smollm2.lock             whose turn it is
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lmlab.formats.process_birth import birth_of, is_alive
from lmlab.user_folder import write_atomically

RECORD = ".fetched.json"
_ANOTHER_MACHINE_SECONDS = 3600.0  # older than this, a lock of a machine that we cannot ask is nobody's


def write_record(folder: Path, source: Mapping[str, Any]) -> None:
    """Write down what the folder holds; `source` says where it came from, for people and for the next fetch."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.name != RECORD
    }
    record = {"written_by": "lmlab", **source, "files": files}
    write_atomically(folder / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def read_record(folder: Path) -> dict[str, Any] | None:
    """What `write_record` wrote, or None where there is nothing sensible."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        files = record["files"]
        sound = all(Path(name).name == name and {"bytes", "sha256"} <= set(entry) for name, entry in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return record if sound and files else None


def what_is_wrong(folder: Path) -> str | None:
    """Compare each file with the record, to the last byte: None, or the first thing that is wrong, in a few words."""
    record = read_record(folder)
    if record is None:
        return "it is not complete"
    for name, entry in record["files"].items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != entry["bytes"]:
            return f"{name} has {path.stat().st_size:,} bytes, not {entry['bytes']:,}"
        if sha256(path) != entry["sha256"]:
            return f"{name} is not the file that was fetched (its sha256 differs)"
    return None


def sha256(path: Path) -> str:
    """The file's fingerprint in hex. (hf_folder has one too, and torch with it, which fetching can do without.)"""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_space(folder: Path, n_bytes: int) -> None:
    """Raise OSError, in one sentence, where a disk has no room for so many bytes."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < n_bytes:
        raise OSError(
            f"{n_bytes / 1e6:,.0f} MB are needed in {folder}, and {free / 1e6:,.0f} MB are free: make room, "
            "or set LMLAB_HOME to a folder on another disk."
        )


# ---------------------------------------------------------------- one after the other, whole or not at all


@contextlib.contextmanager
def turn(folder: Path, waits: Callable[[str], None]) -> Iterator[None]:
    """One program at a time fetches into `folder`; a second one waits, and `waits` is told for whom.

    Makes the folder above, for its owner alone. Raises OSError in one sentence where nothing can be written.
    """
    cache = folder.parent
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _beside(folder, "lock")
        told = False
        while not _take(lock):
            if not lock.exists():  # a dead program had left it, and it is gone now
                continue
            if not told:
                waits(f"another program is fetching {folder.name}; waiting for it")
                told = True
            time.sleep(0.2)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"{cache} cannot be written to ({reason}): set LMLAB_HOME to a folder that can.") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to download and build in. Nothing of it stays but, where a connection or the
    student's patience broke, `download/`; a full disk is said in one sentence.
    """
    stage = _beside(folder, "fetching")
    _keep_download_alone(stage)
    (stage / "download").mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        yield stage
    except (KeyboardInterrupt, ConnectionError, TimeoutError):
        _keep_download_alone(stage)
        raise
    except OSError as error:
        remove(stage)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OSError(
                f"the disk is full, or your quota of it ({folder.parent}): nothing was installed. "
                "Make room, or set LMLAB_HOME to a folder on another disk."
            ) from None
        raise
    except BaseException:
        remove(stage)
        raise
    remove(stage)


def install(new: Path, folder: Path) -> None:
    """Give a complete folder its name. A damaged or older one under that name goes."""
    old = new.with_name(f"old-{uuid.uuid4().hex[:8]}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() or folder.is_symlink():
        os.replace(folder, old)
    os.replace(new, folder)


def remove(path: Path) -> None:
    """Remove a folder or a file, if it is there; a link's target stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_fetched(folder: Path) -> bool:
    """Remove a fetched folder, and what an interrupted attempt left. Whether there was anything."""
    there = [path for path in (folder, _beside(folder, "fetching")) if path.exists() or path.is_symlink()]
    for path in there:
        remove(path)
    return bool(there)


def _keep_download_alone(stage: Path) -> None:
    for path in stage.iterdir() if stage.is_dir() else ():
        if path.name != "download":
            remove(path)
    with contextlib.suppress(OSError):  # not empty: good
        (stage / "download").rmdir()
        stage.rmdir()


def _beside(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{folder.name}.{kind}")


def _take(lock: Path) -> bool:
    me = {"pid": os.getpid(), "host": socket.gethostname(), "started": birth_of(os.getpid())}
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        if not _is_held(lock):
            with contextlib.suppress(OSError):  # renamed first: of two that find it stale, one gets it
                dead = lock.with_name(f"{lock.name}.{uuid.uuid4().hex}")
                lock.rename(dead)
                dead.unlink()
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(me, file)
    except BaseException:
        lock.unlink(missing_ok=True)
        raise
    return True


def _is_held(lock: Path) -> bool:
    try:
        age = time.time() - lock.stat().st_mtime
        holder = json.loads(lock.read_text(encoding="utf-8"))
        pid, host, started = int(holder["pid"]), str(holder["host"]), float(holder["started"])
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return age < 10  # being written at this moment, or torn by a kill long ago
    if host != socket.gethostname():
        return age < _ANOTHER_MACHINE_SECONDS
    return is_alive(pid, started)
