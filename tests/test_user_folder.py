"""Guesses and passed checks survive everything that a classroom does to a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from lmlab import user_folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_lmlab_home_wins_over_the_systems_place(home, monkeypatch):
    assert user_folder.home() == home
    monkeypatch.delenv("LMLAB_HOME")
    assert user_folder.home().name == "lmlab"
    assert user_folder.home() != home


def test_asking_makes_no_folder(home):
    assert user_folder.guesses() == {}
    assert user_folder.passed() == {}
    assert not home.exists()


@pytest.mark.parametrize("guess", [27, 0.5, -1e300, "Größe 🦦", True, [1, 2, 3], None])
def test_a_guess_comes_back_as_it_was(guess):
    assert user_folder.save_guess("scale.bytes", guess, unit="TB")
    assert user_folder.guesses() == {"scale.bytes": guess}


def test_the_first_guess_stays_until_it_is_taken_back():
    user_folder.save_guess("a", 1)
    user_folder.save_guess("a", 2)
    assert user_folder.guesses()["a"] == 1
    user_folder.forget_guess("a")
    user_folder.forget_guess("never made")
    assert user_folder.save_guess("a", 2)
    assert user_folder.guesses() == {"a": 2}


def test_passed_checks_are_kept_once_with_their_time():
    user_folder.save_passed("ngram.next_prob")
    first = user_folder.passed()
    user_folder.save_passed("ngram.next_prob")
    assert user_folder.passed() == first
    assert list(first) == ["ngram.next_prob"]


def test_the_file_is_plain_json_that_other_programs_read(home):
    user_folder.save_guess("é", "🦦")
    found = json.loads((home / "progress.json").read_text(encoding="utf-8"))
    assert found["guesses"]["é"]["guess"] == "🦦"
    assert [p.name for p in home.iterdir()] == ["progress.json"], "no lock or half-written file stays"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such mode")
def test_the_folder_is_the_students_alone(home):
    user_folder.save_passed("a")
    assert home.stat().st_mode & 0o077 == 0


DAMAGE = [
    b"",
    b"{",
    b"\x00\x01\xff",
    b"[]",
    b"null",
    b'{"guesses": 3}',
    b'{"guesses": {"a": 3}}',
    b'{"passed": {"a": {"at": 3}}}',
    b"[" * 100_000,
    '{"guesses": {}}'.encode("utf-16"),
]


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_file_is_set_aside_and_named(home, damage):
    home.mkdir()
    (home / "progress.json").write_bytes(damage)
    with pytest.warns(UserWarning, match="damaged"):
        assert user_folder.guesses() == {}
    assert user_folder.save_passed("a")
    assert list(user_folder.passed()) == ["a"]
    (aside,) = home.glob("progress-damaged-*")
    assert aside.read_bytes() == damage, "what was in it is still there for someone to mend"


WRITER = """
import sys
from lmlab import user_folder
me = sys.argv[1]
for i in range(25):
    assert user_folder.save_guess(f"{me}.{i}", i)
    assert user_folder.save_passed(f"{me}.{i}")
"""


def test_four_kernels_at_once_lose_nothing(home):
    root = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root)}
    kernels = [subprocess.Popen([sys.executable, "-c", WRITER, str(k)], env=env) for k in range(4)]
    assert [k.wait(60) for k in kernels] == [0] * 4
    expected = {f"{k}.{i}" for k in range(4) for i in range(25)}
    assert set(user_folder.guesses()) == expected
    assert set(user_folder.passed()) == expected


def test_a_kernel_killed_while_writing_loses_nothing_and_blocks_nobody(home):
    endless = "import itertools\nfrom lmlab import user_folder\n" + (
        "for i in itertools.count():\n    user_folder.save_guess(str(i), i); print(i, flush=True)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    for _ in range(3):
        kernel = subprocess.Popen([sys.executable, "-c", endless], env=env, stdout=subprocess.PIPE, text=True)
        said = [kernel.stdout.readline() for _ in range(20)]
        kernel.kill()
        kernel.wait(10)
        said += kernel.stdout.read().split()
        last = int(said[-1])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert set(map(str, range(last + 1))) <= set(user_folder.guesses())
        (home / "progress.lock").unlink(missing_ok=True)


def test_the_lock_of_a_dead_kernel_is_broken(home):
    home.mkdir()
    lock = home / "progress.lock"
    lock.touch()
    os.utime(lock, (time.time() - 3600,) * 2)
    start = time.monotonic()
    assert user_folder.save_passed("a")
    assert time.monotonic() - start < 1
    assert not lock.exists()


def test_a_living_lock_costs_a_warning_and_not_the_lesson(home, monkeypatch):
    monkeypatch.setattr(user_folder, "_LOCK_WAIT_SECONDS", 0.1)
    home.mkdir()
    (home / "progress.lock").touch()
    with pytest.warns(UserWarning, match="could not be kept"):
        assert not user_folder.save_passed("a")


def test_a_home_that_cannot_be_written_costs_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path / "file" / "home"))
    with pytest.warns(UserWarning, match="LMLAB_HOME"):
        assert not user_folder.save_guess("a", 1)
    assert user_folder.guesses() == {}


def test_a_full_disk_leaves_the_old_file_whole(home, monkeypatch):
    user_folder.save_guess("a", 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.warns(UserWarning, match="No space left"):
            assert not user_folder.save_guess("b", 2)
    assert user_folder.guesses() == {"a": 1}
    assert [p.name for p in home.iterdir()] == ["progress.json"]


def test_a_run_goes_beside_its_notebook_where_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert user_folder.place_for("runs/first") == Path("runs/first")
    assert user_folder.place_for(tmp_path / "x") == tmp_path / "x"
    assert list(tmp_path.iterdir()) == []


def test_a_run_from_a_read_only_folder_goes_home_and_says_so(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(user_folder, "_can_write", lambda path: False)
    with pytest.warns(UserWarning, match="cannot be written"):
        assert user_folder.place_for("runs/first") == home / "runs" / "first"
    with pytest.warns(UserWarning, match="cannot be written"):
        assert home / "runs" in user_folder.place_for("../../x").parents
