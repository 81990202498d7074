"""Text that every machine has: the documentation and the sources of Python's own standard library.

It is read where it lies and never copied; what was parsed once is kept in the student's cache, since parsing five
hundred files takes seconds. It differs between versions of Python, so no exact loss may be pinned on it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import sys
import sysconfig
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lmlab.user_folder import cache_folder, write_atomically

PARTS = ("crawl", "seed", "held out")  # a module belongs to one of them, whatever the version of Python
_LEFT_OUT = frozenset(  # tests, other people's packages, tables, and what newer Pythons no longer have
    "test tests idlelib lib2to3 site-packages dist-packages encodings pydoc_data tkinter turtledemo distutils msilib "
    "config-3 ensurepip".split()
)
_PAGE_CHARACTERS = 900  # docstrings are gathered until a page has as many
_LONGEST = 3_000
_CODE_CHARACTERS = 1_200
_FORMAT = 1  # of the cache


@dataclass(frozen=True)
class ModuleText:
    """One module: its name with dots, its documentation in pages, and a piece of its source."""

    name: str
    pages: tuple[str, ...]
    code: str

    @property
    def part(self) -> str:
        """Which of `PARTS` it belongs to: six in ten are crawled, two are the seed, two are held out."""
        return (("crawl",) * 6 + ("seed",) * 2 + ("held out",) * 2)[zlib.crc32(self.name.encode()) % 10]


@functools.cache
def standard_library() -> tuple[ModuleText, ...]:
    """Every module of this Python that documents itself, in the order of their names."""
    kept = cache_folder() / f"standard-library-{sys.implementation.cache_tag}-{sys.version_info.micro}-{_FORMAT}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # a damaged cache is parsed anew
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found:
            return tuple(ModuleText(m["name"], tuple(map(str, m["pages"])), str(m["code"])) for m in found)
    modules = tuple(_read())
    if not modules:
        raise FileNotFoundError(
            "This Python has no sources of its standard library, which the pages are made from: use one that was "
            "installed whole, such as python.org's."
        )
    with contextlib.suppress(OSError):  # a full disk costs time, never the lesson
        plain = [{"name": m.name, "pages": m.pages, "code": m.code} for m in modules]
        write_atomically(kept, json.dumps(plain, ensure_ascii=True))
    return modules


def pages_of(part: str) -> tuple[str, ...]:
    """All pages of documentation of one of `PARTS`."""
    if part not in PARTS:
        raise ValueError(f"part is {part!r}; choose one of {', '.join(PARTS)}.")
    return tuple(page for module in standard_library() if module.part == part for page in module.pages)


def _read() -> Iterator[ModuleText]:
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if any(part in _LEFT_OUT or (part.startswith("_") and part != "__init__") for part in parts):
            continue
        with contextlib.suppress(OSError, ValueError, SyntaxError, RecursionError):
            source = path.read_text(encoding="utf-8")
            pages = tuple(_gathered(_docstrings(ast.parse(source))))
            if pages:
                name = ".".join(part for part in parts if part != "__init__")
                yield ModuleText(name, pages, _middle(source))


def _docstrings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            found = (ast.get_docstring(node) or "").strip()
            if len(found) >= 60:  # shorter ones say little: "Return the size."
                yield found


def _gathered(docstrings: Iterator[str]) -> Iterator[str]:
    """Pages of some length out of docstrings of any; the last, if it stays short, is dropped."""
    page = ""
    for docstring in docstrings:
        page = f"{page}\n\n{docstring}" if page else docstring
        if len(page) >= _PAGE_CHARACTERS:
            yield page[:_LONGEST]
            page = ""


def _middle(source: str) -> str:
    """Some lines from the middle of a file, where the code is."""
    start = source.find("\n", len(source) // 2) + 1
    return source[start : start + _CODE_CHARACTERS]
