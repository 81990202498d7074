"""A command of a terminal from a notebook: its own words, its own process, killed without a word."""

from __future__ import annotations

import time

import pytest

import lmlab as lab


def test_the_command_runs_and_what_it_writes_is_kept() -> None:
    job = lab.terminal("lmlab --help")
    assert job.wait(60) == 0
    assert "train" in job.output()
    assert not job.is_running
    wrong = lab.terminal("lmlab train nothing.toml --out 'a folder with spaces'")
    assert wrong.wait(60) == 1
    assert "nothing.toml is not a file" in wrong.output()


def test_a_killed_one_is_dead_at_once(tmp_path) -> None:
    job = lab.terminal(f"lmlab train '{lab.asset('models/town/recipe.toml')}' --out '{tmp_path / 'out'}'")
    time.sleep(0.2)
    assert job.is_running
    started = time.monotonic()
    assert not job.kill().is_running
    assert time.monotonic() - started < 5
    assert job.wait() != 0


@pytest.mark.parametrize("command", ["", "rm -rf x", "python -c 1"])
def test_other_commands_are_refused(command: str) -> None:
    with pytest.raises(ValueError, match="does not begin with lmlab or torchrun"):
        lab.terminal(command)


def test_a_new_run_folder_is_new_each_time(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path))
    places = [lab.new_run_folder("news") for _ in range(3)]
    assert [p.relative_to(tmp_path).as_posix() for p in places] == ["runs/news", "runs/news-2", "runs/news-3"]
    assert all(p.is_dir() for p in places)
    for name in ("", "../news", "a/b"):
        with pytest.raises(ValueError, match="is not a plain name"):
            lab.new_run_folder(name)
