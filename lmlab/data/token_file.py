"""A corpus as a file of ids on disk, mapped and not read: it may be larger than memory.

Lecture: "15 trillion tokens". A token file is a safetensors file of one tensor, `ids`, of two bytes a token (four
where the vocabulary has more than 65,536), with a note of which tokenizer wrote it and the fingerprint of its bytes.
`windows` and `whole_documents` draw from it exactly the batches that they would draw from memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from lmlab.data.text_stream import fingerprint_of_text, stream_documents
from lmlab.formats.safetensors_file import parse_json, read_layout
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.user_folder import cache_folder

FORMAT = 1
HEADER_BYTES = 4096  # reserved before the ids, since how many there will be is known only at the end
BUFFER_IDS = 1 << 20
BLOCK_BYTES = 1 << 22
LONG_SLICE = 1 << 16
TYPES: dict[str, np.dtype[Any]] = {"U16": np.dtype("<u2"), "U32": np.dtype("<u4")}


class MappedIds:
    """(T,) ids of a token file. Indexing reads what is asked for, as int64; all else stays on the disk."""

    def __init__(self, path: Path, dtype: np.dtype[Any], start: int, n_ids: int) -> None:
        self._path, self._start = path, start
        self._map = np.memmap(path, dtype=dtype, mode="r", offset=start, shape=(n_ids,))

    def __len__(self) -> int:
        return len(self._map)

    def __getitem__(self, index: Tensor | slice, /) -> Tensor:
        if isinstance(index, Tensor):
            return torch.from_numpy(self._map[index.numpy()].astype(np.int64))
        first, last, step = index.indices(len(self))
        if step == 1 and last - first >= LONG_SLICE:  # read, since mapped pages count as this process's memory
            dtype = self._map.dtype
            at = self._start + first * dtype.itemsize
            return torch.from_numpy(np.fromfile(self._path, dtype, last - first, offset=at).astype(np.int64))
        return torch.from_numpy(self._map[index].astype(np.int64))


class TokenFile:
    """A token file that was opened and found whole: every byte is the one that was written.

    Raises FileNotFoundError or ValueError, in one sentence, for a file that is no token file, cut short or changed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        header, metadata, start = read_layout(self.path)
        note = parse_json(str(metadata.get("lmlab", "{}")).encode(), self.path)
        info = header.get("ids")
        if len(header) != 1 or info is None or info.dtype not in TYPES or note.get("format") != FORMAT:
            raise ValueError(f"{self.path} is not a token file that this lmlab reads; write one with lab.tokenized.")
        if _sha256(self.path, start) != note.get("sha256"):
            raise ValueError(
                f"{self.path} is not the file that was written (its sha256 differs): it is damaged or was "
                "edited; delete it, and it is made again."
            )
        self.tokenizer, self.n_documents = str(note.get("tokenizer")), int(note.get("documents", 0))
        self._ids = MappedIds(self.path, TYPES[info.dtype], start, info.shape[0])

    def __repr__(self) -> str:
        return f"TokenFile({self.path.name!r}, {self.n_documents:,} documents, {len(self):,} tokens)"

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self, tok: Tokenizer) -> MappedIds:
        """(T,) ids, as `Corpus.ids` gives them. Raises ValueError for another tokenizer than the file's."""
        if fingerprint(tok) != self.tokenizer:
            raise ValueError(
                f"{self.path} was written with another tokenizer than this one of {tok.vocab_size:,} tokens: its ids "
                "would mean other words; tokenize the text again with lab.tokenized."
            )
        return self._ids


def tokenized(path: Path | str, tok: Tokenizer) -> TokenFile:
    """The text of a file or folder as a token file, tokenized once and then kept in the student's cache.

    Memory does not grow with the text. A text, or a tokenizer, that has changed since is tokenized anew.
    Raises what `lab.corpus` raises for what cannot be read as text.
    """
    source = Path(path).absolute()
    name = f"{source.stem}-{_key(fingerprint_of_text(source), fingerprint(tok))}.safetensors"
    kept = cache_folder() / "tokens" / name
    if kept.exists():
        try:
            return TokenFile(kept)
        except ValueError:  # damaged: nothing is lost, since the text is still there
            kept.unlink()
    return write_token_file(stream_documents(source), tok, kept)


def write_token_file(documents: Iterable[str], tok: Tokenizer, path: Path | str) -> TokenFile:
    """Encode documents one by one into a file, which appears whole or not at all: BOS before each and one at the end.

    Raises ValueError where there is no document, OSError where the disk is full.
    """
    path = Path(path)
    kind = "U16" if tok.vocab_size <= 1 << 16 else "U32"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(bytes(HEADER_BYTES))
            counted = _Counted(documents)
            n_ids, sha = _write_ids(file, _ids(counted, tok), TYPES[kind])
            if not counted.n:
                raise ValueError(f"{path} would hold no token: there was no document to encode.")
            file.seek(0)
            file.write(_header(kind, n_ids, tok, sha, counted.n))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return TokenFile(path)


def fingerprint(tok: Tokenizer) -> str:
    """What decides which ids a text gets, in 64 hexadecimal digits: tokens, order of merges, split, specials."""
    sha = hashlib.sha256(repr((tok.split, tok.normalizer, sorted(tok.specials.items()))).encode())
    for id in range(tok.vocab_size):
        sha.update(tok.token_bytes(id).hex().encode() + b"\n")
    for token in sorted(tok.ranks, key=tok.ranks.__getitem__):
        sha.update(token.hex().encode() + b" ")
    return sha.hexdigest()


class _Counted:
    """Passes documents on and counts them."""

    def __init__(self, documents: Iterable[str]) -> None:
        self.documents, self.n = documents, 0

    def __iter__(self) -> Iterator[str]:
        for document in self.documents:
            self.n += 1
            yield document


def _ids(documents: Iterable[str], tok: Tokenizer) -> Iterator[list[int]]:
    bos = [] if tok.bos_id is None else [tok.bos_id]
    for document in documents:
        yield bos + tok.encode(document)
    yield bos


def _write_ids(file: BinaryIO, parts: Iterable[list[int]], dtype: np.dtype[Any]) -> tuple[int, str]:
    """Write the ids, a buffer at a time; how many, and the sha256 of their bytes."""
    sha, n_ids, buffer = hashlib.sha256(), 0, list[int]()
    for part in parts:
        buffer += part
        if len(buffer) >= BUFFER_IDS:
            n_ids += _flush(file, buffer, dtype, sha)
    return n_ids + _flush(file, buffer, dtype, sha), sha.hexdigest()


def _flush(file: BinaryIO, buffer: list[int], dtype: np.dtype[Any], sha: Any) -> int:
    data = np.array(buffer, dtype=dtype).tobytes()
    sha.update(data)
    file.write(data)
    n = len(buffer)
    buffer.clear()
    return n


def _header(kind: str, n_ids: int, tok: Tokenizer, sha: str, n_documents: int) -> bytes:
    note = {"format": FORMAT, "tokenizer": fingerprint(tok), "sha256": sha, "documents": n_documents}
    entries = {
        "__metadata__": {"lmlab": json.dumps(note)},
        "ids": {"dtype": kind, "shape": [n_ids], "data_offsets": [0, n_ids * TYPES[kind].itemsize]},
    }
    length = HEADER_BYTES - 8
    return length.to_bytes(8, "little") + json.dumps(entries).encode().ljust(length)


def _sha256(path: Path, start: int) -> str:
    """Of what comes after the header; in blocks, so that a large file takes no memory."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(BLOCK_BYTES):
            sha.update(block)
    return sha.hexdigest()


def _key(*fingerprints: str) -> str:
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()[:16]
