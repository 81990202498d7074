"""One safetensors file: its header distrusted first, then its tensors mapped into memory.

Lecture: "weights are a file of numbers". A safetensors file is eight bytes of length, that many bytes of JSON naming
each tensor's type, shape and place, then the numbers. Nothing in it can run. The library that maps the numbers
accepts duplicate names and NaN; we do not.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MAX_HEADER_BYTES = 100_000_000  # the safetensors format's own limit
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "U16": torch.uint16,
    "U32": torch.uint32,
}
_PICKLE_STARTS = {b"PK\x03\x04": "a zip of pickles (torch.save)", b"\x80": "a Python pickle"}


@dataclass(frozen=True)
class TensorInfo:
    """What a header says of one tensor; `start` and `stop` are bytes from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def check_regular_file(path: Path) -> int:
    """Size of a plain file with something in it; refuses everything else without opening it.

    Raises FileNotFoundError or ValueError, in one sentence.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{path} is a directory where a file was expected.")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is a pipe or device, not a file: give the path of a plain file.")
    if status.st_size == 0:
        raise ValueError(f"{path} is empty: copy or fetch it again.")
    return status.st_size


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Names, types, shapes and places of a file's tensors, checked against its size before anything is allocated.

    Raises ValueError for a pickle, a truncated or padded file, an impossible header, duplicates or overlaps.
    """
    return read_layout(path)[0]


def read_layout(path: Path) -> tuple[dict[str, TensorInfo], dict[str, str], int]:
    """What `read_header` gives; then the notes that the writer left, and the byte at which the numbers begin."""
    size = check_regular_file(path)
    with path.open("rb") as file:
        start = file.read(8)
        refuse_pickle(path, start)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
            raise ValueError(
                f"{path} is no safetensors file or is cut short: its header claims {length:,} bytes of {size:,}."
            )
        raw = file.read(length)
    entries = parse_json(raw, path)
    notes = entries.pop("__metadata__", None)
    header = {name: _tensor_info(path, name, entry) for name, entry in entries.items()}
    _check_layout(path, header, size - 8 - length)
    return header, notes if isinstance(notes, dict) else {}, 8 + length


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file by name, memory-mapped (nothing is copied; processes share the pages).

    Writing to such a tensor changes this process's copy, never the file. Raises as `read_header` does.
    """
    header = read_header(path)
    if not header:
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in header}
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read as safetensors ({error}): copy or fetch it again.") from None
    # Windows cannot replace a folder whose files are mapped, and a student saves over what was loaded.
    return {name: tensor.clone() for name, tensor in tensors.items()} if os.name == "nt" else tensors


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name, each once and whole, through to the disk. Raises OSError where the disk is full."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    path.touch()
    mode = path.stat().st_mode  # as this system gives files; the library would let their owner alone read them
    try:
        save_file(plain, str(path), metadata={"format": "pt", **(metadata or {})})
    except SafetensorError as error:
        raise _os_error(error, path) from None
    path.chmod(mode)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_in_turn(path: Path, shapes: Mapping[str, tuple[int, ...]], tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Write float32 tensors as they come, in the order of `shapes`: a model larger than memory can be written.

    The numbers begin at a multiple of 64 bytes, where processors like to read. Raises OSError where the disk is full.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-(8 + len(raw)) % 64)
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        for (name, shape), (found, tensor) in zip(shapes.items(), tensors, strict=True):
            if found != name or tensor.shape != shape or tensor.dtype != torch.float32:
                raise ValueError(f"{found} {list(tensor.shape)} came where {name} {list(shape)} was announced.")
            file.write(tensor.contiguous().numpy().data)
        file.flush()
        os.fsync(file.fileno())


def _os_error(error: Exception, path: Path) -> Exception:
    """What the system said, in its own words again: a full disk is an OSError here as elsewhere."""
    found = re.search(r"(?:os error|code:) (\d+)", str(error))
    code = int(found[1]) if found else None
    return error if code is None else OSError(code, str(error) if os.name == "nt" else os.strerror(code), str(path))


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError naming the first tensor that holds NaN or infinity."""
    for name, tensor in tensors.items():
        # A sum is NaN or infinite if one term is, and costs one pass; the exact question is asked only then.
        if tensor.is_floating_point() and not math.isfinite(float(tensor.sum(dtype=torch.float32))):
            bad = int((~torch.isfinite(tensor)).sum())
            if bad:
                raise ValueError(
                    f"{path}: {name} holds {bad} numbers that are NaN or infinite; it is not a usable model."
                )


def refuse_pickle(path: Path, start: bytes) -> None:
    """Raise ValueError if these first bytes are those of a pickle, whatever the file is called."""
    for magic, what in _PICKLE_STARTS.items():
        # A safetensors length of 0x80 is followed by zeros; a pickle's 0x80 by its protocol number.
        if start.startswith(magic) and (len(magic) > 1 or (len(start) > 1 and 1 <= start[1] <= 5)):
            if magic == b"\x80" and start[2:8] == bytes(6) and path.stat().st_size > int.from_bytes(start, "little"):
                continue
            raise ValueError(
                f"{path} is {what}: opening one runs whatever code its author put in, so this lab never does. "
                "Ask for the model as safetensors."
            )


def parse_json(raw: bytes, path: Path) -> dict[str, Any]:
    """A JSON object from bytes; raises ValueError for anything else and for a key given twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{path} names {twice!r} twice: which one is meant cannot be known.")
        return found

    try:
        entries = json.loads(raw.decode("utf-8"), object_pairs_hook=once)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"{path} does not hold readable JSON ({_first_line(error)}): copy or fetch it again."
        ) from None
    if not isinstance(entries, dict):
        raise ValueError(f"{path} must hold a JSON object, not a {type(entries).__name__}.")
    return entries


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _tensor_info(path: Path, name: str, entry: Any) -> TensorInfo:
    try:
        dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(n) is int and n >= 0 for n in (*shape, start, stop))
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise ValueError(f"{path}: the header's entry for {name!r} is not a type, a shape and two offsets.")
    if dtype not in DTYPES:
        raise ValueError(f"{path}: {name} has type {dtype!r}; this lab reads {', '.join(DTYPES)}.")
    if math.prod(shape) * DTYPES[dtype].itemsize != stop - start:
        raise ValueError(f"{path}: {name} of shape {list(shape)} in {dtype} does not fill its {stop - start:,} bytes.")
    return TensorInfo(dtype, shape, start, stop)


def _check_layout(path: Path, header: Mapping[str, TensorInfo], n_bytes: int) -> None:
    """Tensors must lie end to end and fill the file: no gap, no overlap, nothing missing, nothing after."""
    end = 0
    for name, info in _by_start(header):
        if info.start != end:
            kind = "overlaps the one before it" if info.start < end else "leaves a gap before it"
            raise ValueError(f"{path}: {name} {kind} (byte {info.start:,}, expected {end:,}): the file is damaged.")
        end = info.stop
    if end != n_bytes:
        kind = "cut short" if end > n_bytes else "longer than it says"
        raise ValueError(f"{path} is {kind}: {n_bytes:,} bytes of numbers where its header names {end:,}.")


def _by_start(header: Mapping[str, TensorInfo]) -> Iterable[tuple[str, TensorInfo]]:
    return sorted(header.items(), key=lambda item: (item[1].start, item[1].stop))
