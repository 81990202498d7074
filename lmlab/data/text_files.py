"""Reading a student's own text: whatever encoding it has, or one sentence that says why not."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

LARGEST_FILE_BYTES = 200_000_000
LONGEST_DOCUMENT = 100_000  # characters; longer ones are cut, at a space where there is one
_TEXT_SUFFIXES = frozenset(".txt .md .rst .py .csv .tsv .json .html .tex .js .c .h .java .toml .yaml .yml".split())


def decode_text(data: bytes, name: str) -> tuple[str, str | None]:
    """Text with plain line breaks, and a note where it was not UTF-8. Raises ValueError for what is no text."""
    note = None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding, note = "utf-16", f"{name}: read as UTF-16"
    elif (guess := utf16_without_mark(data)) is not None:
        encoding, note = guess, f"{name}: read as UTF-16 without a byte-order mark"
    else:
        encoding = "utf-8-sig"
        refuse_zero(data, name)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise ValueError(f"{name} is damaged UTF-16 (byte {error.start:,}): save it as UTF-8.") from None
        if n_controls(data) * 100 > len(data):
            raise ValueError(f"{name} is not text (nor UTF-8 from byte {error.start:,}): give a text file.") from None
        text, note = data.decode("latin-1"), f"{name}: not UTF-8 (byte {error.start:,}), so read as Latin-1"
    refuse_controls(n_controls(text.encode("utf-8", "replace")), len(text), name)
    return text.replace("\r\n", "\n").replace("\r", "\n"), note


def refuse_zero(data: bytes, name: str, at: int = 0) -> None:
    """Raise ValueError for a byte that is zero, which no text has; `data` begins at byte `at` of the file."""
    zero = data.find(b"\0")
    if zero >= 0:
        raise ValueError(f"{name} is not text: byte {at + zero:,} is zero. Give a text file (UTF-8 is best).")


def refuse_controls(controls: int, n_characters: int, name: str) -> None:
    """Raise ValueError where more than one character in twenty is a control character."""
    if controls * 20 > n_characters:
        raise ValueError(f"{name} is not text: it is full of control characters. Give a text file.")


def n_controls(data: bytes) -> int:
    """How many bytes no text has: control characters but tab, line breaks and form feed."""
    return len(data) - len(data.translate(None, bytes(b for b in range(32) if b not in b"\t\n\r\f\x1b")))


def utf16_without_mark(data: bytes) -> str | None:
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
            end = cut_end(rest, start)
            documents.append(rest[start:end])
            start = end
        if rest[start:].strip():
            documents.append(rest[start:])
    return documents


def cut_end(text: str, start: int) -> int:
    """Where the piece of a long paragraph that begins at `start` ends: at a space where there is one."""
    end = start + LONGEST_DOCUMENT
    space = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
    return space if space > start else end


def read_file(path: Path) -> tuple[str, str | None]:
    """The text of one file, and a note on its encoding."""
    n_bytes = path.stat().st_size
    if n_bytes > LARGEST_FILE_BYTES:
        limit = LARGEST_FILE_BYTES // 1_000_000
        raise ValueError(
            f"{path.name} has {n_bytes / 1e6:,.0f} MB, more than the {limit} MB that are read into "
            "memory: cut it, or give it to lab.tokenized."
        )
    return decode_text(path.read_bytes(), path.name)


def read_documents(path: Path) -> tuple[list[str], list[str]]:
    """(documents, notes) of a file, or of all text files of a folder, in the order of their names."""
    if path.is_file():
        text, note = read_file(path)
        documents = cut_documents(text)
        if not documents:
            raise ValueError(f"{path.name} is empty: there is nothing to learn from.")
        return documents, [note] if note else []
    return _read_folder(path)


def text_files(path: Path) -> list[Path]:
    """The file itself, or the text files of a folder in the order of their names, hidden ones left out.

    Raises FileNotFoundError or ValueError, in one sentence, for what is neither and for a folder without text.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        if path.exists():
            raise ValueError(f"{path} is neither a file nor a folder, so it cannot be read as text.")
        raise FileNotFoundError(f'There is no file or folder {path}: give "town" or the path of your own text.')
    files = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in _TEXT_SUFFIXES and file.is_file()]
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    return files or _no_text(path)


def _no_text(folder: Path) -> NoReturn:
    known = " ".join(sorted(_TEXT_SUFFIXES))
    raise ValueError(f"{folder} holds no text that could be read (files ending in {known}).")


def _read_folder(folder: Path) -> tuple[list[str], list[str]]:
    documents: list[str] = []
    notes: list[str] = []
    for file in text_files(folder):
        try:
            text, note = read_file(file)
        except ValueError as error:
            notes.append(f"left out: {error}")
            continue
        documents += cut_documents(text)
        notes += [note] if note else []
    return (documents, notes) if documents else _no_text(folder)
