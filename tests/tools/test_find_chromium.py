"""`make test` finds a Chromium, or installs the one that tests can drive, or says how."""

from __future__ import annotations

import contextlib
import platform
from types import SimpleNamespace

import pytest

from tests.browser import chromium, find_chromium


@pytest.fixture
def machine(monkeypatch):
    """A machine without a Chromium: `machine.there` is where one appears when what is `sold` is installed,
    `machine.run` what was called."""

    class Machine:
        there: str | None = None
        appears: str | None = "/usr/bin/chromium"
        sold = frozenset({"chromium-headless-shell", "chromium"})
        run: list[list[str]]
        fonts = True

    machine = Machine()
    machine.run = []

    def path(_playwright):
        if machine.there is None:
            raise FileNotFoundError("No Chromium for the browser tests. Set LMLAB_CHROMIUM to one, or install it.")
        return machine.there

    def run(command, environment=None, *, capture=False):
        if command[0] == "fc-list":
            return "Noto" if machine.fonts else ""
        machine.run.append(command)
        if machine.sold & set(command):
            machine.there = machine.appears
        return ""

    monkeypatch.delenv("LMLAB_CHROMIUM", raising=False)
    monkeypatch.setattr(find_chromium, "sync_playwright", lambda: contextlib.nullcontext())
    monkeypatch.setattr(find_chromium, "chromium_path", path)
    monkeypatch.setattr(find_chromium, "_run", run)
    monkeypatch.setattr(find_chromium, "root_on_debian", lambda: True)
    monkeypatch.setattr(find_chromium.shutil, "which", lambda name: f"/usr/bin/{name}")
    return machine


def test_one_that_is_there_is_taken_and_nothing_installed(machine, capsys):
    machine.there = "/opt/chromium"
    assert find_chromium.main() == 0
    assert machine.run == []
    assert "/opt/chromium" in capsys.readouterr().out


def test_root_on_debian_gets_debians_with_fonts_after_an_update(machine):
    assert find_chromium.main() == 0
    update, install = machine.run
    assert update[:2] == ["apt-get", "update"]
    assert install[:2] == ["apt-get", "install"]
    assert {"chromium-headless-shell", "fonts-noto-color-emoji", "fonts-noto-cjk"} <= set(install)


def test_a_debian_without_the_one_without_windows_has_the_other(machine):
    machine.sold = {"chromium"}
    assert find_chromium.main() == 0
    assert [
        set(command) & {"chromium-headless-shell", "chromium"} for command in machine.run if "install" in command
    ] == [
        {"chromium-headless-shell"},
        {"chromium"},
    ]


@pytest.mark.parametrize("there", [["chromium"], ["chromium-headless-shell"], ["chromium", "chromium-headless-shell"]])
def test_of_the_systems_the_one_without_windows_comes_first(monkeypatch, tmp_path, there):
    for name in there:
        (tmp_path / name).touch()
    found = {name: str(tmp_path / name) for name in there}
    monkeypatch.delenv("LMLAB_CHROMIUM", raising=False)
    monkeypatch.setattr(chromium.shutil, "which", found.get)
    nowhere = SimpleNamespace(chromium=SimpleNamespace(executable_path=str(tmp_path / "none")))
    assert chromium.chromium_path(nowhere) == found[there[-1]]


def test_everybody_else_gets_playwrights(machine, monkeypatch):
    monkeypatch.setattr(find_chromium, "root_on_debian", lambda: False)
    assert find_chromium.main() == 0
    (command,) = machine.run
    assert command[1:] == ["-m", "playwright", "install", "chromium"]


def test_fonts_alone_are_installed_where_they_alone_are_missing(machine):
    machine.there, machine.fonts = "/usr/bin/chromium", False
    assert find_chromium.main() == 0
    assert "chromium" not in machine.run[-1]
    assert "fonts-noto-cjk" in machine.run[-1]


def test_where_nothing_helps_the_sentence_says_how(machine, capsys):
    machine.appears = None
    assert find_chromium.main() == 1
    assert "LMLAB_CHROMIUM" in capsys.readouterr().err


def test_a_wish_that_is_not_there_is_no_reason_to_install(machine, monkeypatch, capsys):
    monkeypatch.setenv("LMLAB_CHROMIUM", "/nowhere")
    assert find_chromium.main() == 1
    assert machine.run == []
    assert capsys.readouterr().err


@pytest.mark.parametrize(("id", "is_debian"), [("debian", True), ("ubuntu", False), ("fedora", False)])
def test_ubuntus_snap_is_not_taken_for_debians_package(monkeypatch, id, is_debian):
    monkeypatch.setattr(find_chromium.os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(find_chromium.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": id, "ID_LIKE": "debian"})
    assert find_chromium.root_on_debian() is is_debian
    monkeypatch.setattr(find_chromium.os, "geteuid", lambda: 1000, raising=False)
    assert not find_chromium.root_on_debian()
