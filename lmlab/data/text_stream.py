"""Reading text that is larger than memory: the documents that `read_documents` gives, one after another."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from lmlab.data.text_files import (
    LONGEST_DOCUMENT,
    cut_end,
    n_controls,
    refuse_controls,
    refuse_zero,
    text_files,
    utf16_without_mark,
)

BLOCK_BYTES = 1 << 20


def stream_documents(path: Path, *, notes: list[str] | None = None) -> Iterator[str]:
    """The documents of a file, or of all text files of a folder in the order of their names.

    A file is read twice, in blocks: once to see how it is encoded, once for its text. Into `notes` goes what was done
    to read it. Raises ValueError or FileNotFoundError, in one sentence, as `read_documents` does.
    """
    notes, empty = [] if notes is None else notes, True
    files = text_files(path)
    for file in files:
        try:
            encoding, note = _encoding(file)
        except ValueError as error:
            if path.is_file():
                raise
            notes.append(f"left out: {error}")
            continue
        notes += [note] if note else []
        with file.open(encoding=encoding, newline=None) as text:
            for document in documents_in(iter(lambda: text.read(BLOCK_BYTES), "")):
                empty = False
                yield document
    if empty:
        raise ValueError(f"{path.name} is empty: there is nothing to learn from.")


def documents_in(blocks: Iterable[str]) -> Iterator[str]:
    """What `cut_documents` makes of the blocks joined, without joining them."""
    rest, fresh = "", True  # the beginning of a paragraph, or what is left of a long one that was cut
    for block in blocks:
        *ended, rest = (rest + block).split("\n\n")
        for paragraph in ended:
            yield from _pieces(paragraph, fresh)
            fresh = True
        rest = rest.lstrip("\n") if fresh else rest
        start, end = 0, len(rest.rstrip("\n"))
        while end - start > LONGEST_DOCUMENT:
            cut = cut_end(rest, start)
            yield rest[start:cut]
            start, fresh = cut, False
        rest = rest[start:]
    yield from _pieces(rest, fresh)


def text_bytes(path: Path) -> int:
    """How many bytes of text a file or folder has, nothing of it being read."""
    return sum(file.stat().st_size for file in text_files(path))


def fingerprint_of_text(path: Path) -> str:
    """Changes where a file is added, taken away or written to, nothing being read: names, sizes and times."""
    sha = hashlib.sha256()
    for file in text_files(path):
        status = file.stat()
        sha.update(f"{file}\n{status.st_size}\n{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return sha.hexdigest()


def _pieces(paragraph: str, fresh: bool) -> Iterator[str]:
    paragraph = paragraph.strip("\n") if fresh else paragraph.rstrip("\n")
    start = 0
    while len(paragraph) - start > LONGEST_DOCUMENT:
        end = cut_end(paragraph, start)
        yield paragraph[start:end]
        start = end
    if paragraph[start:].strip():
        yield paragraph[start:]


def _encoding(path: Path) -> tuple[str, str | None]:
    """How a file is encoded, and a note where that is not UTF-8; the same judgment as `decode_text`, in blocks."""
    with path.open("rb") as file:
        sample = file.read(4096)
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _checked_utf16(path, "utf-16", f"{path.name}: read as UTF-16")
    if path.stat().st_size % 2 == 0 and (guess := utf16_without_mark(sample)) is not None:
        return _checked_utf16(path, guess, f"{path.name}: read as UTF-16 without a byte-order mark")
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    at, n, controls, bad = 0, 0, 0, None
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK_BYTES)
            refuse_zero(block, path.name, at)
            controls += n_controls(block)
            if bad is None:
                pending = len(decoder.getstate()[0])
                try:
                    n += len(decoder.decode(block, final=not block))
                except UnicodeDecodeError as error:
                    bad = at - pending + error.start
            at += len(block)
            if not block:
                break
    if bad is not None and controls * 100 > at:
        raise ValueError(f"{path.name} is not text (nor UTF-8 from byte {bad:,}): give a text file.")
    refuse_controls(controls, n if bad is None else at, path.name)
    if bad is None:
        return "utf-8-sig", None
    return "latin-1", f"{path.name}: not UTF-8 (byte {bad:,}), so read as Latin-1"


def _checked_utf16(path: Path, encoding: str, note: str) -> tuple[str, str]:
    controls = n = 0
    try:
        with path.open(encoding=encoding) as text:
            while block := text.read(BLOCK_BYTES):
                controls, n = controls + n_controls(block.encode("utf-8", "replace")), n + len(block)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is damaged UTF-16 ({error.reason}): save it as UTF-8.") from None
    refuse_controls(controls, n, path.name)
    return encoding, note
