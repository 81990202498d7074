"""`lmlab labs`: which notebooks are meant, and what its exit code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmlab import cli, notebooks
from lmlab.commands import labs


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What the notebook functions were asked for; `check` finds what is in `asked["amiss"]`."""
    for name in ("00_start_here", "02_next_word", "README"):
        (tmp_path / f"{name}.{'md' if name == 'README' else 'ipynb'}").touch()
    monkeypatch.setattr(labs, "labs_folder", lambda: tmp_path)
    seen: dict[str, list] = {"amiss": []}

    def record(action):
        def act(paths):
            seen[action] = [path.stem for path in paths]
            return list(seen["amiss"]) if action == "check" else [f"{path.stem}: {action}" for path in paths]

        return act

    for action in ("run", "clean", "check"):
        monkeypatch.setattr(notebooks, action, record(action))
    return seen


@pytest.mark.parametrize("action", ["run", "clean", "check"])
def test_without_a_name_all_labs_are_meant(asked, action):
    assert cli.main(["labs", action]) == 0
    assert asked[action] == ["00_start_here", "02_next_word"]


def test_a_name_is_a_number_a_name_or_a_file(asked, tmp_path):
    mine = tmp_path / "mine" / "x.ipynb"
    mine.parent.mkdir()
    mine.touch()
    assert cli.main(["labs", "clean", "02", "00_start_here.ipynb", str(mine)]) == 0
    assert asked["clean"] == ["02_next_word", "00_start_here", "x"]


def test_what_was_done_is_printed(asked, capsys):
    cli.main(["labs", "run", "00"])
    assert capsys.readouterr().out == "00_start_here: run\n"


def test_a_check_that_finds_something_fails(asked, capsys):
    assert cli.main(["labs", "check"]) == 0
    assert "2 notebooks are as they should be" in capsys.readouterr().out
    asked["amiss"] = ["02_next_word: cell 3: 14 lines of code"]
    assert cli.main(["labs", "check"]) == 1
    assert "14 lines of code" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["17", "0", "nowhere/x.ipynb"])
def test_a_name_that_names_no_one_lab_is_refused(asked, name, capsys):
    assert cli.main(["labs", "clean", name]) == 1
    assert "the labs are 00_start_here, 02_next_word" in capsys.readouterr().err


def test_names_are_found_before_anything_is_written(asked):
    with pytest.raises(ValueError, match="names 0 notebooks"):
        labs.labs_command("clean", [Path("02"), Path("17")])
    assert "clean" not in asked
