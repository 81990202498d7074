"""A lab that someone is working in is named, and tested as committed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import mutate, nbval_labs

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with two committed labs; the second prints a sum."""
    root = tmp_path / "checkout"
    (root / "labs").mkdir(parents=True)
    for name, source in (("00_tour", "print('hello')"), ("02_words", "print(1 + 1)")):
        (root / "labs" / f"{name}.ipynb").write_text(notebook(source), encoding="utf-8")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "labs"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(root), *who, *arguments], check=True)
    monkeypatch.setattr(nbval_labs, "ROOT", root)
    monkeypatch.setattr(nbval_labs, "LABS", root / "labs")
    return root


def notebook(source: str, printed: str | None = None) -> str:
    outputs = [{"output_type": "stream", "name": "stdout", "text": printed}] if printed else []
    cell = {"cell_type": "code", "source": source, "outputs": outputs, "execution_count": 1, "metadata": {}, "id": "a"}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


def test_labs_as_committed_are_not_mentioned(checkout, tmp_path):
    assert nbval_labs.committed_labs(tmp_path / "out") == []
    assert [p.name for p in nbval_labs.choose(tmp_path / "out", [])] == ["00_tour.ipynb", "02_words.ipynb"]


def test_a_changed_lab_is_named_and_tested_as_committed(checkout, tmp_path):
    (checkout / "labs" / "02_words.ipynb").write_text(notebook("print('my work')"), encoding="utf-8")
    (checkout / "labs" / "00_tour.ipynb").unlink()
    (checkout / "labs" / "99_mine.ipynb").write_text("{}", encoding="utf-8")
    assert nbval_labs.committed_labs(tmp_path / "out") == [
        "labs/00_tour.ipynb is not there: tested as committed",
        "labs/02_words.ipynb differs from the committed one: tested as committed",
        "labs/99_mine.ipynb is not committed: not tested",
    ]
    committed = (tmp_path / "out" / "02_words.ipynb").read_text(encoding="utf-8")
    assert "1 + 1" in committed
    assert not (tmp_path / "out" / "99_mine.ipynb").exists()


def test_labs_are_chosen_by_number_or_name(checkout):
    labs = checkout / "labs"
    assert [p.stem for p in nbval_labs.choose(labs, ["02"])] == ["02_words"]
    assert [p.stem for p in nbval_labs.choose(labs, ["labs/00_tour.ipynb"])] == ["00_tour"]
    assert nbval_labs.choose(labs, ["17"]) == []


def test_outside_a_checkout_they_are_tested_as_they_lie(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(nbval_labs, "_git", lambda *_: None)
    assert nbval_labs.committed_labs(tmp_path / "out") == []
    assert len(nbval_labs.choose(tmp_path / "out", [])) == 2


@pytest.mark.slow
def test_a_wrong_output_fails_and_a_right_one_passes(tmp_path):
    right, wrong = tmp_path / "right.ipynb", tmp_path / "wrong.ipynb"
    right.write_text(notebook("print(1 + 1)", "2\n"), encoding="utf-8")
    wrong.write_text(notebook("print(1 + 1)", "3\n"), encoding="utf-8")
    home = tmp_path / "home"
    assert mutate.notices(right, Path(nbval_labs.__file__).parents[1], home=home) == 0
    assert mutate.notices(wrong, Path(nbval_labs.__file__).parents[1], home=home) == 1
