"""Reading a student's own text: whatever encoding it has, or one sentence that says why not."""

from __future__ import annotations

from pathlib import Path

LARGEST_FILE_BYTES = 200_000_000
LONGEST_DOCUMENT = 100_000  # characters; longer ones are cut, at a space where there is one
_TEXT_SUFFIXES = frozenset(".txt .md .rst .py .csv .tsv .json .html .tex .js .c .h .java .toml .yaml .yml".split())


def decode_text(data: bytes, name: str) -> tuple[str, str | None]:
    """Text with plain line breaks, and a note where it was not UTF-8. Raises ValueError for what is no text."""
    note = None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding, note = "utf-16", f"{name}: read as UTF-16"
    elif (guess := _utf16_without_mark(data)) is not None:
        encoding, note = guess, f"{name}: read as UTF-16 without a byte-order mark"
    else:
        encoding = "utf-8-sig"
        zero = data.find(b"\0")
        if zero >= 0:
            raise ValueError(f"{name} is not text: byte {zero:,} is zero. Give a text file (UTF-8 is best).")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise ValueError(f"{name} is damaged UTF-16 (byte {error.start:,}): save it as UTF-8.") from None
        if _n_controls(data) * 100 > len(data):
            raise ValueError(f"{name} is not text (nor UTF-8 from byte {error.start:,}): give a text file.") from None
        text, note = data.decode("latin-1"), f"{name}: not UTF-8 (byte {error.start:,}), so read as Latin-1"
    if _n_controls(text.encode("utf-8", "replace")) * 20 > len(text):
        raise ValueError(f"{name} is not text: it is full of control characters. Give a text file.")
    return text.replace("\r\n", "\n").replace("\r", "\n"), note


def _n_controls(data: bytes) -> int:
    """How many bytes no text has: control characters but tab, line breaks and form feed."""
    return len(data) - len(data.translate(None, bytes(b for b in range(32) if b not in b"\t\n\r\f\x1b")))


def _utf16_without_mark(data: bytes) -> str | None:
    """Latin text in UTF-16 has a zero in nearly every second byte and in few of the others."""
    sample = data[:4096]
    if len(sample) < 4 or len(data) % 2:
        return None
    even, odd = (sample[start::2].count(0) / len(sample[start::2]) for start in (0, 1))
    if odd > 0.7 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.7 and odd < 0.05 else None


def cut_documents(text: str) -> list[str]:
    """The paragraphs of a text (between blank lines), those beyond the limit cut in several."""
    documents: list[str] = []
    for paragraph in text.split("\n\n"):
        rest = paragraph.strip("\n")
        start = 0
        while len(rest) - start > LONGEST_DOCUMENT:
            end = start + LONGEST_DOCUMENT
            space = max(rest.rfind(" ", start + 1, end), rest.rfind("\n", start + 1, end))
            end = space if space > start else end
            documents.append(rest[start:end])
            start = end
        if rest[start:].strip():
            documents.append(rest[start:])
    return documents


def read_file(path: Path) -> tuple[str, str | None]:
    """The text of one file, and a note on its encoding."""
    n_bytes = path.stat().st_size
    if n_bytes > LARGEST_FILE_BYTES:
        limit = LARGEST_FILE_BYTES // 1_000_000
        raise ValueError(f"{path.name} has {n_bytes / 1e6:,.0f} MB, more than the {limit} MB read here: cut it.")
    return decode_text(path.read_bytes(), path.name)


def read_documents(path: Path) -> tuple[list[str], list[str]]:
    """(documents, notes) of a file, or of all text files of a folder, in the order of their names."""
    if path.is_file():
        text, note = read_file(path)
        documents = cut_documents(text)
        if not documents:
            raise ValueError(f"{path.name} is empty: there is nothing to learn from.")
        return documents, [note] if note else []
    if not path.is_dir():
        if path.exists():
            raise ValueError(f"{path} is neither a file nor a folder, so it cannot be read as text.")
        raise FileNotFoundError(f'There is no file or folder {path}: give "town" or the path of your own text.')
    return _read_folder(path)


def _read_folder(folder: Path) -> tuple[list[str], list[str]]:
    documents: list[str] = []
    notes: list[str] = []
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if hidden or not file.is_file() or file.suffix.lower() not in _TEXT_SUFFIXES:
            continue
        try:
            text, note = read_file(file)
        except ValueError as error:
            notes.append(f"left out: {error}")
            continue
        documents += cut_documents(text)
        notes += [note] if note else []
    if not documents:
        known = " ".join(sorted(_TEXT_SUFFIXES))
        raise ValueError(f"{folder} holds no text that could be read (files ending in {known}).")
    return documents, notes
