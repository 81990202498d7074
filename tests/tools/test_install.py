"""`make lab` and `make test` install by themselves, once, from the sources that the machine's owner has chosen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools import install

OWN_SOURCES = [
    "global.index-url='https://pypi.example.org/simple'",
    "site.extra-index-url='https://pypi.example.org/simple'",
    "user.find-links='/opt/wheels'",
    ":env:.find-links='/opt/wheels'",
    "install.no-index='true'",
]


def wants(*, platform="linux", environment=None, config="", nvidia=False):
    return install.wants_cpu_index(platform, environment or {}, config, nvidia)


def test_linux_without_a_card_takes_the_cpu_build():
    assert wants()
    assert wants(config="global.timeout='60'\nglobal.cert='/etc/ssl/certs/x.crt'")


@pytest.mark.parametrize("config", OWN_SOURCES)
def test_a_source_of_ones_own_is_a_decision(config):
    assert not wants(config=f"global.timeout='60'\n{config}")


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "CI"])
def test_the_environment_is_a_decision_too(name):
    assert not wants(environment={name: "x"})
    assert wants(environment={name: ""})


@pytest.mark.parametrize("other", [{"platform": "darwin"}, {"platform": "win32"}, {"nvidia": True}])
def test_elsewhere_the_usual_build_is_the_right_one(other):
    assert not wants(**other)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a Python in its .venv, and the commands that would have been run."""
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("torch", encoding="utf-8")
    python = tmp_path / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(install, "_quiet", lambda command: "")
    commands: list[list[str]] = []

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, run.code)

    run.code = 0
    monkeypatch.setattr(install.subprocess, "run", run)
    return commands, run, tmp_path


def make(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["install.py", *arguments])
    return install.main()


def test_the_second_time_nothing_is_run(checkout, monkeypatch):
    commands, _, _ = checkout
    assert make(monkeypatch) == 0
    assert len(commands) == 1
    assert commands[0][-4:] == ["-c", "constraints.txt", "-e", "."]
    assert make(monkeypatch) == 0
    assert len(commands) == 1


def test_the_development_tools_include_what_the_labs_need(checkout, monkeypatch):
    commands, _, _ = checkout
    make(monkeypatch, "--extras", "dev")
    assert commands[0][-1] == ".[dev]"
    make(monkeypatch)
    assert len(commands) == 1
    make(monkeypatch, "--extras", "bench,dev")
    assert commands[1][-1] == ".[bench,dev]"


@pytest.mark.parametrize("ci", ["", "true"])
def test_where_it_is_used_once_nothing_is_compiled_ahead(checkout, monkeypatch, ci):
    commands, _, _ = checkout
    monkeypatch.setenv("CI", ci)
    make(monkeypatch, "--extras", "dev")
    assert ("--no-compile" in commands[0]) is bool(ci)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_setting_installs_again(checkout, monkeypatch, name):
    commands, _, folder = checkout
    make(monkeypatch)
    (folder / name).write_text("numpy", encoding="utf-8")
    make(monkeypatch)
    assert len(commands) == 2


def test_an_installation_that_failed_is_not_taken_for_one(checkout, monkeypatch, capsys):
    commands, run, _ = checkout
    run.code = 1
    assert make(monkeypatch) == 1
    assert "Run the same command to go on" in capsys.readouterr().err
    run.code = 0
    assert make(monkeypatch) == 0
    assert len(commands) == 2


def test_an_old_python_is_told_so(checkout, monkeypatch, capsys):
    monkeypatch.setattr(install.sys, "version_info", (3, 10, 1))
    assert make(monkeypatch) == 1
    assert "3.11 or newer" in capsys.readouterr().err
