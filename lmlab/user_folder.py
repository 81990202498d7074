"""What is the student's own: guesses and passed checks, fetched models, runs.

All of it lies in one folder: `LMLAB_HOME` where that is set, else the system's place for user data.

    cache/          fetched models
    progress.json   guesses and passed checks
    runs/           runs that had no other place to be written to

Several kernels write here at once (three notebooks of one student, a home on a network disk). Each change of
progress.json is read, merged and written under a lock that is one file made by exclusive creation, the one
way that every system and network disk agrees on. What cannot be kept costs a warning, never the lesson.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_LOCK_WAIT_SECONDS = 5.0
_LOCK_STALE_SECONDS = 10.0  # the lock is held for milliseconds: older than this, its holder has died


def home() -> Path:
    """The student's folder. It is made when something is first written, not before."""
    chosen = os.environ.get("LMLAB_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("lmlab", appauthor=False))


def cache_folder() -> Path:
    """Where fetched models are kept."""
    return home() / "cache"


def runs_folder() -> Path:
    """Where a run is written that cannot be written beside its notebook."""
    return home() / "runs"


def new_run_folder(name: str) -> Path:
    """An empty folder of this name, or name-2, name-3 …, among the student's own runs: a notebook can be run again.

    Raises ValueError for a name that is more than a name.
    """
    if not name or Path(name).name != name:
        raise ValueError(f"{name!r} is not a plain name; a run folder is named like 'news'.")
    for number in range(1, 100_000):
        place = runs_folder() / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            place.mkdir(parents=True)
            return place
    raise OSError(f"{runs_folder()} holds too many runs named {name}; delete some.")


def place_for(path: Path | str) -> Path:
    """Where to write `path`: as it stands; a relative path in a read-only folder goes to `runs_folder()`.

    A warning names the new place, so that nobody looks for the run beside the notebook.
    """
    path = Path(path).expanduser()
    if path.is_absolute() or _can_write(Path.cwd() / path):
        return path
    parts = [part for part in path.parts if part not in ("..", "runs")]
    place = runs_folder().joinpath(*parts)
    warnings.warn(f"{Path.cwd()} cannot be written to, so {path} goes to {place}", stacklevel=2)
    return place


# ---------------------------------------------------------------- guesses and checks


def save_guess(id: str, guess: Any, *, unit: str | None = None) -> bool:
    """Keep what the student guessed at the prediction `id`; the first guess stays, however often it is run.

    `guess` is a number, a string, a bool or a list of these. True if it is on disk now.
    """

    def keep(progress: dict[str, Any]) -> None:
        progress["guesses"].setdefault(id, {"guess": guess, "unit": unit, "at": _now()})

    return _change(keep)


def guesses() -> dict[str, Any]:
    """The student's guess for each prediction id."""
    return {id: entry["guess"] for id, entry in _read()["guesses"].items()}


def forget_guess(id: str) -> bool:
    """Take the guess at `id` back, so that the next one counts. True if that is on disk now."""
    return _change(lambda progress: progress["guesses"].pop(id, None))


def save_passed(id: str) -> bool:
    """Keep that the student's answer passed the check `id`. True if it is on disk now."""
    return _change(lambda progress: progress["passed"].setdefault(id, {"at": _now()}))


def passed() -> dict[str, str]:
    """The passed checks, each with the time it first passed (ISO 8601, UTC), in that order."""
    entries = _read()["passed"]
    return {id: entries[id]["at"] for id in sorted(entries, key=lambda id: (entries[id]["at"], id))}


# ---------------------------------------------------------------- bytes on disk


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` so that a reader sees the old or the new, whatever dies in between.

    Text is written as UTF-8 with the line ends that it has.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".lmlab-tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
        _replace(Path(name), path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _change(change: Callable[[dict[str, Any]], Any]) -> bool:
    path = home() / "progress.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(path.with_suffix(".lock")):
            before = _read()
            after = json.loads(json.dumps(before))
            change(after)
            if after != before:
                write_atomically(path, json.dumps(after, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
        return True
    except OSError as error:
        reason = error.strerror or str(error)
        warnings.warn(
            f"your progress could not be kept in {path} ({reason}); set LMLAB_HOME to a folder that can be written to",
            stacklevel=3,
        )
        return False


def _read() -> dict[str, Any]:
    """What progress.json says. A file that says nothing sensible is set aside, and we start afresh."""
    empty: dict[str, Any] = {"guesses": {}, "passed": {}}
    path = home() / "progress.json"
    try:
        found = json.loads(_read_patiently(path))
    except (ValueError, RecursionError):  # not JSON, or not UTF-8
        _set_aside(path)
        return empty
    except OSError:  # not there yet, or not readable: a write will say why
        return empty
    if not _is_progress(found):
        _set_aside(path)
        return empty
    return {**empty, **found}


def _is_progress(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    for kind, field in (("guesses", "guess"), ("passed", "at")):
        entries = found.get(kind, {})
        if not isinstance(entries, dict):
            return False
        if not all(isinstance(entry, dict) and field in entry for entry in entries.values()):
            return False
    return all(isinstance(entry["at"], str) for entry in found.get("passed", {}).values())


def _set_aside(path: Path) -> None:
    aside = path.with_name(f"progress-damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:4]}.json")
    with contextlib.suppress(OSError):
        _replace(path, aside)
        message = f"{path} was damaged; it is now {aside.name}, and your progress starts afresh"
        warnings.warn(message, stacklevel=4)


@contextlib.contextmanager
def _locked(lock: Path) -> Iterator[None]:
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError:
            _break_if_stale(lock)
        except PermissionError:  # Windows says this while another process is deleting the file
            if os.name != "nt":
                raise
        if time.monotonic() > deadline:
            raise TimeoutError(f"{lock.name} is held by another program")
        time.sleep(0.005)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()


def _break_if_stale(lock: Path) -> None:
    with contextlib.suppress(OSError):
        if time.time() - lock.stat().st_mtime > _LOCK_STALE_SECONDS:
            # Renamed before it is removed: of two that find it stale, one gets it.
            dead = lock.with_name(f"{lock.name}.{uuid.uuid4().hex}")
            lock.rename(dead)
            dead.unlink()


def _read_patiently(path: Path) -> str:
    return _patiently(lambda: path.read_text(encoding="utf-8"))


def _replace(source: Path, target: Path) -> None:
    _patiently(lambda: os.replace(source, target))


def _patiently(action: Callable[[], Any]) -> Any:
    """Windows refuses to touch a file for the moment in which another process has it open."""
    for attempt in range(20):
        try:
            return action()
        except PermissionError:
            if os.name != "nt" or attempt == 19:
                raise
            time.sleep(0.01)


def _can_write(path: Path) -> bool:
    """Whether `path` could be made: asked of the nearest folder that exists, by trying."""
    while not path.is_dir():
        if path == path.parent:
            return False
        path = path.parent
    try:
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
