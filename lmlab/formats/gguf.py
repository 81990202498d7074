"""A GGUF file, the container of llama.cpp: fields that describe a model, then its tensors, most of them quantized.

Lecture: "a downloaded model is a file of numbers". Everything that the file claims about its own lengths is compared
with its size before anything is allocated: a hostile file costs one sentence and no memory. Tensors are read one at a
time and come as float32, so that opening a model never holds it twice.

Source: github.com/ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmlab.formats.gguf_blocks import BLOCKS, decode_blocks
from lmlab.formats.safetensors_file import check_finite, check_regular_file, refuse_pickle

MAX_FIELDS = 1 << 12
MAX_TENSORS = 1 << 16
MAX_ITEMS = 1 << 20  # of one list; the largest vocabulary in use has 262,144 tokens
MAX_STRING_BYTES = 1 << 20
MAX_KEY_BYTES = 256
MAX_NAME_BYTES = 64  # ggml's own limit
MAX_ALIGNMENT = 1 << 20

_STRING, _LIST = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_LEAST_BYTES = {**{kind: struct.calcsize(code) for kind, code in _SCALARS.items()}, _STRING: 8}


@dataclass(frozen=True)
class GGUFTensor:
    """What the header says of one tensor: rows first, as torch counts; `start` is a byte of the file."""

    kind: str
    shape: tuple[int, ...]
    start: int
    n_bytes: int


@dataclass(frozen=True)
class GGUFFile:
    """A GGUF file whose header was read: `fields` as plain numbers, strings and lists, `tensors` by name."""

    path: Path
    fields: dict[str, Any]
    tensors: dict[str, GGUFTensor]

    def read(self, name: str) -> Tensor:
        """One tensor as float32, whatever its type on disk. Raises ValueError where it holds NaN or infinity."""
        entry = self.tensors[name]
        raw = np.empty(entry.n_bytes, dtype=np.uint8)
        with self.path.open("rb", buffering=0) as file:
            file.seek(entry.start)
            n_read = file.readinto(raw.data)  # not mapped: pages that are read once would stay counted
        if n_read != entry.n_bytes:
            raise ValueError(f"{self.path} became shorter while it was read: copy or fetch it again.")
        tensor = decode_blocks(torch.from_numpy(raw), entry.kind).reshape(entry.shape)
        check_finite(self.path, {name: tensor})
        return tensor


def read_gguf(path: str | Path) -> GGUFFile:
    """Read and check everything in a GGUF file but the numbers.

    Raises FileNotFoundError or ValueError, one sentence each, for what is no GGUF file, is cut short, or claims
    something impossible: lengths beyond its end, tensors that overlap, names given twice, types that nobody knows.
    """
    path = Path(path)
    size = check_regular_file(path)
    with path.open("rb") as file:
        start = file.read(8)
        refuse_pickle(path, start)
        if start[:4] != b"GGUF":
            raise ValueError(f"{path} is no GGUF file: it begins with {start[:4]!r}, not with b'GGUF'.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            walk = _Walk(path, content, min(size, len(content)))
            fields, entries = walk.header()
            return GGUFFile(path, fields, _place(path, entries, walk.at, fields, walk.size))


class _Walk:
    """A place in the header that moves forward, never past the end of the file."""

    def __init__(self, path: Path, content: mmap.mmap, size: int) -> None:
        self.path, self.content, self.size, self.at = path, content, size, 4

    def header(self) -> tuple[dict[str, Any], list[tuple[str, int, tuple[int, ...], int]]]:
        version = self.number(4)
        if version not in (2, 3):
            kind = "of big-endian machines" if version in (2 << 24, 3 << 24) else "this lab reads 2 and 3"
            raise ValueError(f"{self.path} is GGUF version {version}: {kind}.")
        n_tensors = self.count("tensors", MAX_TENSORS, least_bytes=24)
        n_fields = self.count("fields", MAX_FIELDS, least_bytes=13)
        fields: dict[str, Any] = {}
        for _ in range(n_fields):
            key = self.name("the name of a field", MAX_KEY_BYTES)
            if key in fields:
                raise ValueError(f"{self.path} names the field {key!r} twice: which one is meant cannot be known.")
            fields[key] = self.value(key, self.number(4))
        return fields, [self.tensor() for _ in range(n_tensors)]

    def tensor(self) -> tuple[str, int, tuple[int, ...], int]:
        """Name, type, shape (the fastest dimension first, as the file has it) and offset of the next tensor."""
        name = self.name("the name of a tensor", MAX_NAME_BYTES)
        n_dims = self.number(4)
        if not 1 <= n_dims <= 4:
            raise ValueError(f"{self.path}: the tensor {name!r} has {n_dims} dimensions; 1 to 4 are possible.")
        shape = tuple(self.number(8) for _ in range(n_dims))
        return name, self.number(4), shape, self.number(8)

    def name(self, what: str, most: int) -> str:
        name = self.string(what, most)
        if not name.isprintable() or not name:
            raise ValueError(f"{self.path}: {what} is {name!r}, which no program writes: the file is damaged.")
        return name

    def value(self, key: str, kind: int) -> Any:
        if kind == _STRING:
            return self.string(key)
        if kind == _LIST:
            return self.values(key)
        return struct.unpack("<" + self.code(key, kind), self.take(_LEAST_BYTES[kind], key))[0]

    def values(self, key: str) -> list[Any]:
        kind = self.number(4)
        if kind == _LIST:
            raise ValueError(f"{self.path}: the field {key!r} is a list of lists, which this lab does not read.")
        if kind != _STRING:
            code = self.code(key, kind)
            n = self.count(f"items in {key!r}", MAX_ITEMS, least_bytes=_LEAST_BYTES[kind])
            return list(struct.unpack(f"<{n}{code}", self.take(n * _LEAST_BYTES[kind], key)))
        return self.strings(key, self.count(f"items in {key!r}", MAX_ITEMS, least_bytes=8))

    def code(self, key: str, kind: int) -> str:
        if kind not in _SCALARS:
            raise ValueError(f"{self.path}: the field {key!r} has type {kind}, which GGUF does not have.")
        return _SCALARS[kind]

    def strings(self, key: str, n: int) -> list[str]:
        """As `string` does, without its calls: a vocabulary has a hundred thousand of them."""
        found, at, content, length_at = [], self.at, self.content, struct.Struct("<Q").unpack_from
        for _ in range(n):
            stop = at + 8 + length_at(content, at)[0] if at + 8 <= self.size else self.size + 1
            if stop > self.size:
                self.at = at
                self.string(key, most=self.size)  # says what is wrong
            found.append(content[at + 8 : stop])
            at = stop
        self.at = at
        try:
            return [raw.decode("utf-8") for raw in found]
        except UnicodeDecodeError:
            raise ValueError(f"{self.path}: {key} holds what is not UTF-8 text: the file is damaged.") from None

    def string(self, what: str, most: int = MAX_STRING_BYTES) -> str:
        length = self.number(8)
        if length > most:
            raise ValueError(f"{self.path}: {what} claims {length:,} bytes; at most {most:,} are read.")
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{self.path}: {what} is not UTF-8 text: the file is damaged.") from None

    def count(self, what: str, most: int, *, least_bytes: int) -> int:
        n = self.number(8)
        if n > most or n * least_bytes > self.size - self.at:
            left = f"{self.size - self.at:,} bytes are left and at most {most:,} are read"
            raise ValueError(f"{self.path} claims {n:,} {what}, and {left}: it is damaged or cut short.")
        return n

    def number(self, n_bytes: int) -> int:
        return int.from_bytes(self.take(n_bytes, "the header"), "little")

    def take(self, n_bytes: int, what: str) -> bytes:
        stop = self.at + n_bytes
        if stop > self.size:
            raise ValueError(f"{self.path} ends inside {what} ({self.size:,} bytes): copy or fetch it again.")
        raw = self.content[self.at : stop]
        self.at = stop
        return raw


def _place(
    path: Path, entries: list[tuple[str, int, tuple[int, ...], int]], header_end: int, fields: dict[str, Any], size: int
) -> dict[str, GGUFTensor]:
    """Where each tensor lies in the file: after the header, aligned, inside the file, none over another."""
    alignment = fields.get("general.alignment", 32)
    if type(alignment) is not int or not 1 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise ValueError(
            f"{path} aligns its tensors to {alignment!r} bytes; a power of two up to 1,048,576 is possible."
        )
    begin = -(-header_end // alignment) * alignment
    placed: dict[str, GGUFTensor] = {}
    for name, type_id, dims, offset in entries:
        if name in placed:
            raise ValueError(f"{path} holds the tensor {name!r} twice: which one is meant cannot be known.")
        if type_id not in BLOCKS:
            raise ValueError(f"{path}: the tensor {name!r} has type {type_id}, which this lab does not read.")
        kind, block_items, block_bytes = BLOCKS[type_id]
        n_items = math.prod(dims)
        if n_items == 0 or dims[0] % block_items:
            raise ValueError(f"{path}: {name!r} has shape {list(dims)}, and {kind} comes in blocks of {block_items}.")
        n_bytes = n_items // block_items * block_bytes
        if offset % alignment or begin + offset + n_bytes > size:
            claim = f"{n_bytes:,} bytes from byte {begin + offset:,}"
            raise ValueError(f"{path}: {name!r} claims {claim} of {size:,}: the file is damaged or cut short.")
        placed[name] = GGUFTensor(kind, dims[::-1], begin + offset, n_bytes)
    _check_apart(path, placed)
    return placed


def _check_apart(path: Path, tensors: dict[str, GGUFTensor]) -> None:
    end, before = 0, ""
    for name, entry in sorted(tensors.items(), key=lambda item: item[1].start):
        if entry.start < end:
            raise ValueError(f"{path}: the tensors {before!r} and {name!r} overlap: the file is damaged.")
        end, before = entry.start + entry.n_bytes, name
