"""The labs as files: run them and keep what they print, put them into one normal form, say what is amiss.

A notebook is its own only source, outputs included. `run` is the only thing that makes outputs; `clean` is a
pure function of the file; both write in one step, so that an interrupted run leaves the old file.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from lmlab.user_folder import write_atomically

MAX_CODE_LINES = 12
MAX_PROSE_WORDS = 120
MAX_BYTES = 200_000
CELL_SECONDS = 120
IGNORED = "nbval-ignore-output"  # the tag of the one cell whose output differs from machine to machine

_LIVE = ("application/vnd.jupyter.widget-view+json", "application/vnd.plotly.v1+json")
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(paths: Sequence[Path]) -> list[str]:
    """Execute each notebook from its top in a fresh kernel and write it with its cleaned outputs.

    The kernel has an empty LMLAB_HOME, no CUDA device and one thread, as under test. Returns a sentence for
    each. Raises RuntimeError at the first cell that raises; that notebook is left as it was.
    """
    said = []
    for path in paths:
        notebook = _read(path)
        with tempfile.TemporaryDirectory(prefix="lmlab-home-") as home:
            _execute(notebook, path, home)
        _write(cleaned(notebook), path)
        said.append(f"{path.name}: {sum(c.cell_type == 'code' for c in notebook.cells)} cells run")
    return said


def clean(paths: Sequence[Path]) -> list[str]:
    """Put each notebook into its normal form without running it. Returns a sentence for each that changed."""
    said = []
    for path in paths:
        notebook = cleaned(_read(path))
        if path.read_text(encoding="utf-8") != _text(notebook):
            _write(notebook, path)
            said.append(f"{path.name}: cleaned")
    return said


def check(paths: Sequence[Path]) -> list[str]:
    """What is not as it should be in each notebook, one sentence each; an empty list where all is well.

    This reads the files alone. That the stored outputs are true is a matter for nbval (`make notebooks`).
    """
    said = []
    for path in paths:
        notebook = _read(path)
        if path.read_text(encoding="utf-8") != _text(cleaned(notebook)):
            said.append(f"{path.name}: not in normal form; run `lmlab labs clean {path}`")
        size = path.stat().st_size
        if size > MAX_BYTES:
            said.append(f"{path.name}: {size:,} bytes, and {MAX_BYTES:,} are the limit ({_largest(notebook)})")
        said += [f"{path.name}, cell {i}: {s}" for i, cell in enumerate(notebook.cells) for s in _amiss(cell)]
    return said


def cleaned(notebook: NotebookNode) -> NotebookNode:
    """The notebook's normal form: counts 1 to n, stable cell ids, nothing of widgets' state; a new object."""
    cells: list[NotebookNode] = []
    taken: set[str] = set()
    count = 0
    for number, cell in enumerate(notebook.cells):
        new = nbformat.from_dict({"cell_type": cell.cell_type, "source": _source(cell)})
        new.metadata = nbformat.from_dict({"tags": sorted(cell.metadata.tags)} if cell.metadata.get("tags") else {})
        new.id = _id(cell, number, taken)
        if cell.get("attachments"):
            new.attachments = cell.attachments
        if cell.cell_type == "code":
            count += 1
            new.execution_count = count
            # what is never compared says something about one machine alone, so it is not stored either
            new.outputs = [] if IGNORED in new.metadata.get("tags", []) else _outputs(cell.get("outputs", []), count)
        cells.append(new)
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": _METADATA, "cells": cells})


def _source(cell: NotebookNode) -> str:
    if cell.cell_type == "markdown":  # two spaces at a line's end break it
        return cell.source.strip("\n")
    return "\n".join(line.rstrip() for line in cell.source.split("\n")).rstrip()


def _id(cell: NotebookNode, number: int, taken: set[str]) -> str:
    """The cell's own id; one made from its place and text where it has none or another cell has the same."""
    own = str(cell.get("id", ""))
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", own) or own in taken:
        own = hashlib.sha256(f"{number} {cell.source}".encode()).hexdigest()[:8]
    taken.add(own)
    return own


def _outputs(outputs: Sequence[NotebookNode], count: int) -> list[NotebookNode]:
    kept: list[Any] = []
    for output in outputs:
        new = {k: v for k, v in output.items() if k in ("output_type", "name", "text", "ename", "evalue", "traceback")}
        if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
            kept[-1]["text"] += output.text  # how a kernel cuts a stream is chance
            continue
        if output.output_type in ("execute_result", "display_data"):
            new |= {"data": {k: v for k, v in output.data.items() if k not in _LIVE}, "metadata": {}}
            if not new["data"]:
                continue
        if output.output_type == "execute_result":
            new["execution_count"] = count
        kept.append(nbformat.from_dict(new))
    return kept


def _amiss(cell: NotebookNode) -> list[str]:
    if cell.cell_type == "code":
        n = len(cell.source.splitlines())
        said = [f"{n} lines of code; at most {MAX_CODE_LINES}"] if n > MAX_CODE_LINES else []
        said += [f"it stopped with {o.ename}" for o in cell.outputs if o.output_type == "error"]
        if IGNORED in cell.metadata.get("tags", []) and "lab.doctor(" not in cell.source:
            said.append(f"tagged {IGNORED}, which is for the doctor's table alone")
        return said
    words = len(re.findall(r"[^\W_][\w’'-]*", re.sub(r"\]\([^)]*\)", "]", cell.source)))
    return [f"{words} words of prose; at most {MAX_PROSE_WORDS}"] if words > MAX_PROSE_WORDS else []


def _largest(notebook: NotebookNode) -> str:
    sizes = {i: len(str(c.get("outputs", ""))) + len(c.source) for i, c in enumerate(notebook.cells)}
    largest = max(sizes, key=lambda i: sizes[i], default=0)
    return f"the largest is cell {largest}"


def _execute(notebook: NotebookNode, path: Path, home: str) -> None:
    import lmlab

    try:
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ImportError as error:
        raise RuntimeError(f"running notebooks needs nbclient ({error}): pip install nbclient") from None
    package = str(Path(lmlab.__file__).resolve().parent.parent)
    environment = {
        **os.environ,
        "LMLAB_HOME": home,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
    }
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        store_widget_state=False,
        resources={"metadata": {"path": str(path.resolve().parent)}},
    )
    try:
        client.execute(env=environment)
    except CellExecutionError as error:
        raise RuntimeError(f"{path.name} stopped with {error.ename}: {error.evalue}") from error
    except (CellTimeoutError, DeadKernelError) as error:
        raise RuntimeError(f"{path.name} stopped: {type(error).__name__}") from error


def _read(path: Path) -> NotebookNode:
    try:
        notebook = nbformat.read(str(path), as_version=4)
    except FileNotFoundError:
        raise ValueError(f"there is no notebook {path}") from None
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} cannot be read as a notebook: {reason[:100]}") from None
    return notebook


def _text(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def _write(notebook: NotebookNode, path: Path) -> None:
    nbformat.validate(notebook)
    write_atomically(path, _text(notebook))
    path.chmod(0o644)  # a private file is what a temporary one begins as
