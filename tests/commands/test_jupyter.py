"""`lmlab lab` and `lmlab present`: on this machine alone, on the right page, with autosave off."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lmlab import cli
from lmlab.commands import jupyter
from lmlab.commands.jupyter import Session

ROOT = Path(__file__).parents[2]


@pytest.fixture
def launched(monkeypatch, tmp_path):
    """The sessions that were to be launched, and a student's working folder with labs to copy."""
    sessions: list[Session] = []
    monkeypatch.setattr(jupyter, "_launch", lambda session: sessions.append(session) or 0)
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    for name in ("00_start_here.ipynb", "02_next_word.ipynb", "README.md"):
        (shipped / name).write_text("{}", encoding="utf-8")
    monkeypatch.setattr(jupyter, "labs_folder", lambda: shipped)
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return sessions


def test_lab_copies_the_labs_and_opens_the_tour(launched, tmp_path, capsys):
    assert cli.main(["lab"]) == 0
    (session,) = launched
    assert session == Session(tmp_path / "home" / "lmlab-labs", "00_start_here.ipynb")
    assert sorted(p.name for p in session.root.glob("*.*b")) == ["00_start_here.ipynb", "02_next_word.ipynb"]
    assert "3 files copied" in capsys.readouterr().err


def test_lab_in_place_copies_nothing(launched, tmp_path):
    assert cli.main(["lab", "--in-place", str(tmp_path / "shipped"), "--no-browser", "--port", "9123"]) == 0
    assert launched == [Session(tmp_path / "shipped", "00_start_here.ipynb", browser=False, port=9123)]
    assert list((tmp_path / "home").iterdir()) == []


def test_what_follows_the_dashes_goes_to_jupyter_last(launched):
    assert cli.main(["lab", "--no-browser", "--", "--ServerApp.ip=0.0.0.0"]) == 0
    arguments = launched[0].arguments()
    assert arguments[-1] == "--ServerApp.ip=0.0.0.0"
    assert arguments.index("--ServerApp.ip=127.0.0.1") < len(arguments) - 1


@pytest.mark.parametrize("name", ["02", "02_next_word", "02_next_word.ipynb"])
def test_present_shows_one_lab(launched, tmp_path, name):
    assert cli.main(["present", name]) == 0
    assert launched == [Session(tmp_path / "home" / "lmlab-labs", "02_next_word.ipynb", present=True)]


def test_present_shows_a_file_where_it_lies(launched, tmp_path):
    mine = tmp_path / "home" / "talk ü.ipynb"
    mine.write_text("{}", encoding="utf-8")
    assert cli.main(["present", str(mine)]) == 0
    assert launched == [Session(mine.parent, "talk ü.ipynb", present=True)]
    assert "--LabApp.default_url=/doc/tree/talk%20%C3%BC.ipynb" in launched[0].arguments()


def test_present_names_the_labs_there_are(launched, capsys):
    assert cli.main(["present", "17"]) == 1
    assert "00_start_here, 02_next_word" in capsys.readouterr().err


def test_a_presentation_tells_widgets_and_jupyter_to_be_large(tmp_path):
    environment = Session(tmp_path, None, present=True).environment()
    assert environment["LMLAB_PRESENT"] == "1"
    assert "LMLAB_PRESENT" not in Session(tmp_path, None).environment()
    large, plain = environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)[:2]
    assert "--jp-code-font-size: 22px" in (Path(large) / "custom" / "custom.css").read_text(encoding="utf-8")
    assert settings(plain)["@jupyterlab/docmanager-extension:plugin"] == {"autosave": False}


def settings(folder: str) -> dict:
    return json.loads((Path(folder) / "labconfig" / "default_setting_overrides.json").read_text(encoding="utf-8"))


def test_the_persons_own_jupyter_folders_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/theirs")
    assert Session(tmp_path, None).environment()["JUPYTER_CONFIG_PATH"].endswith(os.pathsep + "/theirs")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="ends the server with a signal")
def test_a_real_server_listens_here_alone_with_autosave_off_and_our_extension(tmp_path):
    labs = tmp_path / "labs"
    labs.mkdir()
    empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (labs / "00_start_here.ipynb").write_text(json.dumps(empty), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment |= {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    environment |= {f"JUPYTERLAB_{kind}_DIR": str(tmp_path / kind) for kind in ("SETTINGS", "WORKSPACES")}
    command = [sys.executable, "-m", "lmlab", "lab", "--in-place", str(labs), "--no-browser"]
    log = (tmp_path / "log").open("w+", encoding="utf-8")
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        address = r"http://127\.0\.0\.1:(\d+)/lab/tree/00_start_here\.ipynb\?token=(\w+)"
        said = wait_for(tmp_path / "log", address, server)
        port, token = re.search(address, said).groups()
        answer = ask(port, token, "lab/api/settings")
        values = {s["id"]: json.loads(json.dumps(s["schema"])) for s in answer["settings"]}
        assert values["@jupyterlab/docmanager-extension:plugin"]["properties"]["autosave"]["default"] is False
        notifications = values["@jupyterlab/apputils-extension:notification"]["properties"]
        assert notifications["fetchNews"]["default"] == "false"
        assert notifications["checkForUpdates"]["default"] is False
        assert re.search(r"lmlab\.server \| extension was successfully loaded", said)
        assert "jupyterlab | extension was successfully loaded" in said
        assert listening_addresses(server.pid) == {"127.0.0.1"}
        assert sorted(p.name for p in labs.iterdir()) == ["00_start_here.ipynb"], "nothing is copied"
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def wait_for(log: Path, pattern: str, server: subprocess.Popen, seconds: float = 60) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = log.read_text(encoding="utf-8")
        if re.search(pattern, said):
            return said
        assert server.poll() is None, said
        time.sleep(0.2)
    raise AssertionError(said)


def ask(port: str, token: str, path: str) -> dict:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers={"Authorization": f"token {token}"})
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return json.load(response)
        except urllib.error.URLError as refused:  # Jupyter prints the address a moment before it listens there
            if not isinstance(refused.reason, ConnectionRefusedError) or time.monotonic() > end:
                raise
            time.sleep(0.1)


def listening_addresses(pid: int) -> set[str]:
    import psutil

    connections = psutil.Process(pid).net_connections(kind="inet")
    return {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
