"""A model folder in the Hugging Face shape: config.json, model.safetensors, tokenizer.json, and our manifest.

Lecture: "what a downloaded model is". A folder is replaced as a whole or not at all: the new one is written beside
the old, the old steps aside, the new takes its name. Whoever is killed in between leaves something that the next
reader heals.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lmlab.formats.safetensors_file import (
    check_finite,
    check_regular_file,
    parse_json,
    read_header,
    read_tensors,
    refuse_pickle,
)

MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_JSON_BYTES = 50_000_000
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints"}  # what systems strew, not people

Writer = Callable[[Path], object]


def write_folder(folder: Path, writers: Mapping[str, Writer]) -> Path:
    """Write a folder atomically: each writer is called with the path to write its file at; then the manifest.

    Replaces a folder that lmlab wrote; refuses any other that has something in it, and one of ours that holds files
    which are not in its manifest. A failure (a full disk, say) leaves what stood there untouched.
    Raises ValueError and OSError, each naming the folder.
    """
    folder = Path(folder).absolute()
    heal(folder)
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = _beside(folder, "new"), _beside(folder, "old")
    _remove(new)
    new.mkdir()
    try:
        for name, write in writers.items():
            write(new / name)
        write_json(new / MANIFEST, _manifest(new))
        _swap(folder, new, old)
    except BaseException:
        _remove(new)
        raise
    return folder


def heal(folder: Path) -> None:
    """Finish or undo a replacement that was interrupted; does nothing where all is well."""
    folder = Path(folder).absolute()
    new, old = _beside(folder, "new"), _beside(folder, "old")
    if not old.is_dir():
        return  # a new folder beside a good one was never finished: the next save removes it
    if not folder.exists():
        # The old folder steps aside only when the new one is complete, so the new one is the one to keep.
        os.replace(new if (new / MANIFEST).is_file() else old, folder)
    _remove(old)


def check_manifest(folder: Path, *, sizes_only: bool = False) -> None:
    """Compare every file with the manifest: present, of its size, of its sha256, with its tensors as listed.

    `sizes_only` leaves out the sha256, which takes a second for half a gigabyte.

    A folder without a manifest (others write none) passes. Raises ValueError naming the first file that differs.
    """
    if not (folder / MANIFEST).exists():
        return
    manifest = read_json(folder / MANIFEST)
    files = manifest.get("files")
    if manifest.get("written_by") != "lmlab" or not isinstance(files, dict):
        raise ValueError(f"{folder / MANIFEST} is not a manifest that lmlab wrote: remove it, or save the model again.")
    for name, listed in files.items():
        path = folder / name
        size = check_regular_file(path)
        if Path(name).name != name or not isinstance(listed, dict):
            raise ValueError(f"{folder / MANIFEST} names {name!r}, which is not a file of this folder.")
        if size != listed.get("bytes"):
            raise ValueError(f"{path} has {size:,} bytes, its manifest says {listed.get('bytes'):,}: it is damaged.")
        if not sizes_only and sha256(path) != listed.get("sha256"):
            raise ValueError(
                f"{path} is not the file that was saved (its sha256 differs): it is damaged or was edited."
            )
        if "tensors" in listed and _tensor_list(path) != listed["tensors"]:
            raise ValueError(f"{path} holds other tensors than its manifest lists: save the model again.")


def read_weights(folder: Path, *, unchecked: bool = False) -> dict[str, Tensor]:
    """All tensors of a model folder, in one file or several, memory-mapped; checked to be finite unless `unchecked`.

    Raises FileNotFoundError or ValueError in one sentence; a folder that holds only pickles says why they stay shut.
    """
    if (folder / INDEX).exists() and not (folder / WEIGHTS).exists():
        shards = read_json(folder / INDEX).get("weight_map")
        names = sorted(set(shards.values())) if isinstance(shards, dict) else []
        if not names or any(not isinstance(name, str) or Path(name).name != name for name in names):
            raise ValueError(f"{folder / INDEX} must map each weight to a file of this folder.")
    else:
        _refuse_pickle_folder(folder)
        names = [WEIGHTS]
    tensors: dict[str, Tensor] = {}
    for name in names:
        part = read_tensors(folder / name)
        twice = sorted(part.keys() & tensors.keys())
        if twice:
            raise ValueError(f"{folder / name} holds {twice[0]!r}, which another file of the folder holds too.")
        if not unchecked:
            check_finite(folder / name, part)
        tensors |= part
    return tensors


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a file. Raises FileNotFoundError or ValueError in one sentence."""
    size = check_regular_file(path)
    if size > MAX_JSON_BYTES:
        raise ValueError(f"{path} has {size:,} bytes; a file of settings is expected, of {MAX_JSON_BYTES:,} at most.")
    raw = path.read_bytes()
    refuse_pickle(path, raw[:8])
    return parse_json(raw, path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON as a person would like to read it, through to the disk."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """The file's fingerprint in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.iterdir()):
        files[path.name] = {"sha256": sha256(path), "bytes": path.stat().st_size}
        if path.suffix == ".safetensors":
            files[path.name]["tensors"] = _tensor_list(path)
    return {"written_by": "lmlab", "version": 1, "files": files}


def _tensor_list(path: Path) -> dict[str, str]:
    """A line a tensor: {"model.norm.weight": "BF16 128"}."""
    return {name: f"{info.dtype} {'x'.join(map(str, info.shape))}" for name, info in sorted(read_header(path).items())}


def _swap(folder: Path, new: Path, old: Path) -> None:
    if folder.exists():
        os.replace(folder, old)
        try:
            os.replace(new, folder)
        except OSError:
            os.replace(old, folder)
            raise
        _remove(old)
    else:
        os.replace(new, folder)


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file: give the name of a folder to save into.")
    there = {path.name for path in folder.iterdir()} - _LITTER
    if not there:
        return
    ours = read_json(folder / MANIFEST) if MANIFEST in there else {}
    if ours.get("written_by") != "lmlab":
        raise ValueError(
            f"{folder} holds {sorted(there)[0]!r} and was not written by lmlab: nothing was changed. "
            "Choose the name of a new folder."
        )
    strangers = sorted(there - set(ours.get("files", {})) - {MANIFEST})
    if strangers:
        raise ValueError(
            f"Saving would replace {folder} and with it {strangers[0]!r}, which lmlab did not write: "
            "nothing was changed. Move that file, or choose another folder."
        )


def _refuse_pickle_folder(folder: Path) -> None:
    if (folder / WEIGHTS).exists():
        return
    pickles = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt"))
    if pickles:
        raise ValueError(
            f"{folder} holds its weights as a pickle ({pickles[0]}): opening one runs whatever code its author put "
            "in, so this lab never does. Ask for the model as safetensors."
        )
    raise FileNotFoundError(f"{folder} holds no {WEIGHTS}: it is not a model folder.")


def _beside(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{folder.name}.lmlab-{kind}")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
