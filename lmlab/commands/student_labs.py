"""The labs in the student's own folder: new ones copied, unchanged ones brought up to date, work kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmlab.user_folder import write_atomically

MANIFEST = ".lmlab-labs.json"
_NOT_LABS = {"runs", "__pycache__", ".ipynb_checkpoints"}


@dataclass(frozen=True)
class CopyReport:
    """What happened to each file, by its path within the student's folder."""

    copied: tuple[str, ...]
    updated: tuple[str, ...]
    kept: tuple[str, ...]  # the student has worked on it, and nothing newer ships
    beside: tuple[tuple[str, str], ...]  # the student has worked on it; the newer one lies beside it as the second

    def sentences(self) -> list[str]:
        """What a student wants to know, one sentence each; empty where nothing happened."""
        said = []
        if self.copied:
            said.append(f"{len(self.copied)} files copied")
        if self.updated:
            said.append(f"{len(self.updated)} unchanged files brought up to date: {', '.join(self.updated)}")
        said += [f"you have worked on {name}: it is kept, the new version is {new}" for name, new in self.beside]
        return said


def copy_labs(shipped: Path, folder: Path, *, version: str) -> CopyReport:
    """Bring the labs in `shipped` into `folder` without overwriting anything that was changed there.

    A file is known to be unchanged by its sha256, kept in `.lmlab-labs.json` from the time it was copied.
    Raises ValueError where `folder` cannot be a student's folder, OSError where it cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder for your copies of the labs")
    if folder.resolve() == shipped.resolve():
        raise ValueError(f"{folder} holds the shipped labs themselves; name another folder, or use --in-place")
    folder.mkdir(parents=True, exist_ok=True)
    known = _read_manifest(folder / MANIFEST)
    copied: list[str] = []
    updated: list[str] = []
    kept: list[str] = []
    beside: list[tuple[str, str]] = []
    for source in _files(shipped):
        name = source.relative_to(shipped).as_posix()
        target = folder / name
        new, was = _sha256(source), known.get(name, {})
        now = _sha256(target) if target.exists() else None
        if now is None:
            _copy(source, target)
            copied.append(name)
        elif now != new and now == was.get("copied"):
            _copy(source, target)
            updated.append(name)
        elif now != new:
            if new in (was.get("copied"), was.get("offered")):
                kept.append(name)
            else:
                place = _free_place(target, version, new)
                _copy(source, place)
                beside.append((name, place.relative_to(folder).as_posix()))
            known[name] = {**was, "offered": new}
            continue
        known[name] = {"copied": new}
    write_atomically(folder / MANIFEST, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return CopyReport(tuple(copied), tuple(updated), tuple(kept), tuple(beside))


def _files(shipped: Path) -> Iterator[Path]:
    for path in sorted(shipped.rglob("*")):
        parts = path.relative_to(shipped).parts
        if path.is_file() and not any(part in _NOT_LABS or part.startswith(".") for part in parts):
            yield path


def _free_place(target: Path, version: str, sha256: str) -> Path:
    """`02_next_word.lmlab-0.2.0.ipynb`, or with a number where another file has that name."""
    for number in range(1, 1000):
        tail = f"-{number}" if number > 1 else ""
        place = target.with_name(f"{target.stem}.lmlab-{version}{tail}{target.suffix}")
        if not place.exists() or _sha256(place) == sha256:
            return place
    raise ValueError(f"{target.parent} is full of versions of {target.name}; move some of them away")


def _copy(source: Path, target: Path) -> None:
    """Whole or not at all: a copy that was interrupted must not look like the student's work."""
    write_atomically(target, source.read_bytes())


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise ValueError(f"{path} is in the way: it is not a file; move it away")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_manifest(path: Path) -> dict[str, dict[str, Any]]:
    """What was copied before. Where that is lost, every file that differs counts as the student's work."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)}
