"""The labs in a student's folder: nothing that was changed is ever overwritten."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lmlab.commands.student_labs import MANIFEST, copy_labs


@pytest.fixture
def shipped(tmp_path):
    folder = tmp_path / "shipped"
    write(folder, {"00_start.ipynb": "tour 1", "02_words.ipynb": "words 1", "README.md": "contents 1"})
    write(folder, {"runs/first/model.safetensors": "x", ".ipynb_checkpoints/00_start.ipynb": "x"})
    return folder


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def contents(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in files}


def test_the_first_time_all_labs_are_copied_and_nothing_else(shipped, tmp_path):
    mine = tmp_path / "new" / "mine"
    report = copy_labs(shipped, mine, version="1")
    assert contents(mine) == {"00_start.ipynb": "tour 1", "02_words.ipynb": "words 1", "README.md": "contents 1"}
    assert report.sentences() == ["3 files copied"]


def test_the_second_time_nothing_happens(shipped, tmp_path):
    copy_labs(shipped, tmp_path / "mine", version="1")
    report = copy_labs(shipped, tmp_path / "mine", version="1")
    assert report.sentences() == []
    assert report.kept == ()


def test_an_unchanged_old_copy_is_brought_up_to_date(shipped, tmp_path):
    mine = tmp_path / "mine"
    copy_labs(shipped, mine, version="1")
    write(shipped, {"00_start.ipynb": "tour 2"})
    report = copy_labs(shipped, mine, version="2")
    assert report.updated == ("00_start.ipynb",)
    assert contents(mine)["00_start.ipynb"] == "tour 2"
    assert len(contents(mine)) == 3


def test_changed_work_is_kept_and_the_new_version_lies_beside_it_once(shipped, tmp_path):
    mine = tmp_path / "mine"
    copy_labs(shipped, mine, version="1")
    write(mine, {"00_start.ipynb": "my work"})
    assert copy_labs(shipped, mine, version="1").sentences() == [], "nothing newer ships: nothing is said"
    write(shipped, {"00_start.ipynb": "tour 2"})
    report = copy_labs(shipped, mine, version="2")
    assert report.beside == (("00_start.ipynb", "00_start.lmlab-2.ipynb"),)
    assert contents(mine)["00_start.ipynb"] == "my work"
    assert contents(mine)["00_start.lmlab-2.ipynb"] == "tour 2"
    assert copy_labs(shipped, mine, version="2").sentences() == []


def test_work_on_the_new_version_is_kept_too(shipped, tmp_path):
    mine = tmp_path / "mine"
    copy_labs(shipped, mine, version="1")
    write(mine, {"00_start.ipynb": "my work"})
    write(shipped, {"00_start.ipynb": "tour 2"})
    copy_labs(shipped, mine, version="2")
    write(mine, {"00_start.lmlab-2.ipynb": "more of my work"})
    write(shipped, {"00_start.ipynb": "tour 2b"})
    report = copy_labs(shipped, mine, version="2")
    assert report.beside == (("00_start.ipynb", "00_start.lmlab-2-2.ipynb"),)
    assert contents(mine)["00_start.lmlab-2.ipynb"] == "more of my work"


def test_a_deleted_lab_comes_back_and_a_file_of_ones_own_stays(shipped, tmp_path):
    mine = tmp_path / "mine"
    copy_labs(shipped, mine, version="1")
    (mine / "02_words.ipynb").unlink()
    write(mine, {"notes.md": "mine"})
    assert copy_labs(shipped, mine, version="1").copied == ("02_words.ipynb",)
    assert contents(mine)["notes.md"] == "mine"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"00_start.ipynb": 3}', "\x00"])
def test_without_its_record_everything_that_differs_counts_as_work(shipped, tmp_path, damage):
    mine = tmp_path / "mine"
    copy_labs(shipped, mine, version="1")
    write(mine, {"00_start.ipynb": "my work"})
    write(mine, {MANIFEST: damage})
    write(shipped, {"02_words.ipynb": "words 2"})
    copy_labs(shipped, mine, version="2")
    assert contents(mine)["00_start.ipynb"] == "my work"
    assert contents(mine)["02_words.ipynb"] == "words 1"
    assert contents(mine)["02_words.lmlab-2.ipynb"] == "words 2"


def test_a_file_of_the_same_name_that_was_there_before_is_kept(shipped, tmp_path):
    mine = tmp_path / "mine"
    write(mine, {"README.md": "my own readme"})
    copy_labs(shipped, mine, version="1")
    assert contents(mine)["README.md"] == "my own readme"
    assert contents(mine)["README.lmlab-1.md"] == "contents 1"


def test_an_interrupted_copy_leaves_no_half_lab(shipped, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        copy_labs(shipped, mine, version="1")
    assert list(mine.iterdir()) == []
    monkeypatch.undo()
    copy_labs(shipped, mine, version="1")
    assert len(contents(mine)) == 3


def test_places_that_cannot_be_a_students_folder_are_refused(shipped, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        copy_labs(shipped, tmp_path / "file", version="1")
    with pytest.raises(ValueError, match="shipped labs themselves"):
        copy_labs(shipped, shipped, version="1")
    (tmp_path / "mine" / "00_start.ipynb").mkdir(parents=True)
    with pytest.raises(ValueError, match="in the way"):
        copy_labs(shipped, tmp_path / "mine", version="1")


def test_whatever_happens_no_work_is_lost(shipped, tmp_path):
    """Three hundred days of a student's life: edits, new releases, deletions, in any order."""
    rng = random.Random(0)
    mine = tmp_path / "mine"
    written: set[str] = set()
    for day in range(300):
        event = rng.choice(["release", "edit", "delete", "forget"])
        names = sorted(contents(mine)) if mine.exists() else []
        if event == "release":
            write(shipped, {rng.choice(["00_start.ipynb", "02_words.ipynb"]): f"release {day}"})
        elif event == "edit" and names:
            name = rng.choice(names)
            written.discard(contents(mine)[name])
            write(mine, {name: f"my work {day}"})
            written.add(f"my work {day}")
        elif event == "delete" and names:
            name = rng.choice(names)
            written.discard(contents(mine)[name])
            (mine / name).unlink()
        elif rng.random() < 0.1:
            (mine / MANIFEST).unlink(missing_ok=True)
        copy_labs(shipped, mine, version=str(day // 50))
        assert written <= set(contents(mine).values())
