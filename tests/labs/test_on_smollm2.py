"""The tour and lab 11 in a real kernel, with an open-weight model where the shipped one stood."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import lmlab as lab

LABS = Path(__file__).resolve().parents[2] / "labs"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student's folder in which `lmlab fetch smollm2` was given."""
    folder = tmp_path_factory.mktemp("student")
    (folder / "cache").mkdir()
    (folder / "cache" / "smollm2").symlink_to(smollm2, target_is_directory=True)
    return folder


def printed(name: str, home: Path, *, changed: dict[str, str] | None = None) -> str:
    """Everything that a lab's cells say when it is run from top to end; a cell that raises fails the test."""
    notebook = nbformat.read(LABS / f"{name}.ipynb", as_version=4)
    for before, after in (changed or {}).items():
        assert any(before in cell.source for cell in notebook.cells)
        for cell in notebook.cells:
            cell.source = cell.source.replace(before, after)
    client = NotebookClient(notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(home)}})
    client.execute(env={**os.environ, "LMLAB_HOME": str(home), "LMLAB_STRICT": "1", "OMP_NUM_THREADS": "1"})
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return "\n".join(out.get("text") or str(out.get("data", {}).get("text/plain", "")) for out in outputs)


def test_the_tour_runs_on_it(home: Path, smollm2: Path) -> None:
    ends = ('crashed and investors")', "layer=1, head=0)", "bits=2)")
    waiting = {end: f"{end}.wait(120)" for end in ends}  # on a large model a cell ends before its widget has answered
    said = printed("00_start_here", home, changed={'lab.load("town")': 'lab.load("smollm2")', **waiting})
    assert "ready: True" in said
    model = lab.load(smollm2)
    best = model.next("the stock market crashed and investors", k=1)[0]
    first = re.search(r"NextToken: .*?smollm2 puts \W*(\w+) first with (\d+)", said)
    assert first, said[:600]
    assert (first[1], int(first[2])) == (best.text.strip(), round(100 * math.exp(best.log_prob)))
    assert re.search(r"Attention: Layer 1, head 0: the last \W*\w+ gives \d+", said)
    assert "QuantizationBins: Min-max spaces its four levels" in said


@pytest.mark.by_hand
def test_lab_11_runs_with_it(home: Path) -> None:
    said = printed("11_in_context", home)
    assert "lmlab fetch" not in said, "it is there, so nothing has to be fetched"
    assert "The capital of France is Paris" in said
    assert "The capital of Japan is Tokyo" in said
    assert said.count("FewShot: ") >= 3
