"""What fetching stands on: members of hostile wheels, whole folders or none, a child that is watched, listings."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from lmlab.formats import fetched, hub_download
from lmlab.formats.fetched import check_space, install, remove_fetched, staging, turn, what_is_wrong, write_record
from lmlab.formats.hub_download import NAME, list_model
from lmlab.formats.watched_process import Patience, run_watched
from lmlab.formats.wheel_members import take_members

# ---------------------------------------------------------------- members of a wheel


def make_wheel(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return path


def take(wheel: Path, into: Path, *, pattern: str = "data/*.md", count: int = 1, most_bytes: int = 1000) -> list[Path]:
    into.mkdir(exist_ok=True)
    return take_members(wheel, pattern, into, count=count, most_bytes=most_bytes)


def test_only_the_named_members_are_unpacked(tmp_path):
    members = [("data/a.md", b"one"), ("data/deep/b.md", b"two"), ("data/code.py", b"raise"), ("a.md", b"not this")]
    wheel = make_wheel(tmp_path / "x.whl", members)
    files = take(wheel, tmp_path / "out", count=2)
    assert {path.name: path.read_bytes() for path in files} == {"a.md": b"one", "b.md": b"two"}
    assert sorted(os.listdir(tmp_path / "out")) == ["a.md", "b.md"]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("data/../../evil.md", b"x")], "leads out"),
        ([("data/a.md", b"x"), ("../evil.py", b"x")], "leads out"),
        ([("/data/a.md", b"x")], "leads out"),
        ([("data\\..\\..\\a.md", b"x")], "leads out"),
        ([("C:/data/a.md", b"x")], "leads out"),
        ([("data/a.md", b"x"), ("data/b/A.md", b"y")], "twice"),
        ([("data/a.md", b"x"), ("data/b.md", b"y")], "2 of the files"),
        ([("other/a.md", b"x")], "0 of the files"),
        ([("data/a.md", bytes(10_000_000))], "would unpack to 10,000,000 bytes"),
    ],
)
def test_a_hostile_wheel_is_refused_and_leaves_nothing(tmp_path, members, says):
    wheel = make_wheel(tmp_path / "x.whl", members)
    with pytest.raises(ValueError, match=says):
        take(wheel, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["out", "x.whl"]


def test_a_link_is_refused(tmp_path):
    info = zipfile.ZipInfo("data/a.md")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ValueError, match="as a link"):
        take(tmp_path / "x.whl", tmp_path / "out")


def test_a_size_that_lies_does_not_fill_the_disk(tmp_path):
    """The directory of the archive says 10 bytes, and its data go on to ten million."""
    wheel = make_wheel(tmp_path / "x.whl", [("data/a.md", bytes(10_000_000))])
    raw = bytearray(wheel.read_bytes())
    at = raw.rindex(b"PK\x01\x02") + 24
    raw[at : at + 4] = (10).to_bytes(4, "little")
    wheel.write_bytes(raw)
    with pytest.raises(ValueError, match=r"damaged|more bytes"):
        take(wheel, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 0.9])
def test_a_damaged_wheel_is_one_sentence(tmp_path, at):
    """Cut off, and with a bit turned."""
    raw = make_wheel(tmp_path / "x.whl", [("data/a.md", os.urandom(900))]).read_bytes()
    (tmp_path / "cut.whl").write_bytes(raw[: int(at * len(raw))])
    turned = bytearray(raw)
    turned[100 + int(at * 800)] ^= 8
    (tmp_path / "turned.whl").write_bytes(turned)
    for name in ("cut.whl", "turned.whl"):
        with pytest.raises(ValueError, match=r"damaged .*: fetch it again"):
            take(tmp_path / name, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


# ---------------------------------------------------------------- whole or not at all


def installed(folder: Path) -> Path:
    with staging(folder) as stage:
        (stage / "new").mkdir()
        (stage / "new" / "a.txt").write_text("text", encoding="utf-8")
        write_record(stage / "new", {"from": "a test"})
        install(stage / "new", folder)
    return folder


def test_each_damage_is_named(tmp_path):
    folder = installed(tmp_path / "thing")
    assert what_is_wrong(folder) is None
    for damage, says in (
        (lambda: (folder / "a.txt").write_text("test", encoding="utf-8"), "sha256 differs"),
        (lambda: (folder / "a.txt").write_text("longer", encoding="utf-8"), "has 6 bytes, not 4"),
        (lambda: (folder / "a.txt").unlink(), "a.txt is missing"),
        (lambda: (folder / ".fetched.json").write_text('{"files": {"../x": {}}}', encoding="utf-8"), "not complete"),
        (lambda: (folder / ".fetched.json").write_text("<html>", encoding="utf-8"), "not complete"),
    ):
        damage()
        assert says in (what_is_wrong(folder) or "")
    installed(folder)
    assert what_is_wrong(folder) is None
    assert [path.name for path in tmp_path.iterdir()] == ["thing"], "the damaged one is gone, nothing lies beside"


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (KeyboardInterrupt(), True),
        (TimeoutError("late"), True),
        (ConnectionError("gone"), True),
        (ValueError("bad"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
    ],
)
def test_a_failure_installs_nothing_and_keeps_what_the_next_attempt_can_use(tmp_path, error, stays):
    folder = tmp_path / "thing"

    def fail() -> None:
        with staging(folder) as stage:
            (stage / "download" / "half").write_bytes(b"half")
            (stage / "new").mkdir()
            (stage / "new" / "a").write_bytes(b"a")
            raise error

    with pytest.raises(type(error)) as raised:
        fail()
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    where = ".thing.fetching/download"
    assert left == ([".thing.fetching", where, f"{where}/half"] if stays else [])
    if getattr(error, "errno", None):
        assert "the disk is full" in str(raised.value)
        assert "LMLAB_HOME" in str(raised.value)
    assert remove_fetched(folder) is stays
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(OSError, match=r"1,000,000,000 MB are needed in .*LMLAB_HOME"):
        check_space(tmp_path / "not" / "yet", 10**15)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"cannot be written to .*set LMLAB_HOME"), turn(tmp_path / "file" / "x", print):
        pass


def test_one_after_the_other(tmp_path):
    folder, heard, inside = tmp_path / "thing", [], []

    def second() -> None:
        with turn(folder, heard.append):
            inside.append("second")

    with turn(folder, heard.append):
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 10
        while not heard and time.monotonic() < deadline:
            time.sleep(0.01)
        inside.append("first")
    thread.join(10)
    assert inside == ["first", "second"]
    assert heard == ["another program is fetching thing; waiting for it"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("holder", ["dead", "reborn", "torn", "of another machine"])
def test_the_lock_of_one_who_is_gone_holds_nobody_up(tmp_path, holder):
    lock = tmp_path / ".thing.lock"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    content = {"pid": gone.pid, "host": fetched.socket.gethostname(), "started": time.time()}
    if holder == "reborn":
        content |= {"pid": os.getpid(), "started": 1.0}
    if holder == "of another machine":
        content["host"] = "elsewhere"
    lock.write_text("{" if holder == "torn" else json.dumps(content), encoding="utf-8")
    if holder in ("torn", "of another machine"):
        os.utime(lock, (time.time() - 7200,) * 2)
    with turn(tmp_path / "thing", pytest.fail):
        assert json.loads(lock.read_text(encoding="utf-8"))["pid"] == os.getpid()


# ---------------------------------------------------------------- the watched child


def watch(tmp_path: Path, code: str, *, most_bytes: int = 10**6, seen: list[int] | None = None, **patience) -> int:
    folder = tmp_path / "child"
    folder.mkdir()
    return run_watched(
        [sys.executable, "-c", f"import os, sys, time\nos.chdir({str(folder)!r})\n{code}"],
        folder=folder,
        log=tmp_path / "log",
        environment=os.environ,
        most_bytes=most_bytes,
        on_bytes=(seen if seen is not None else []).append,
        patience=Patience(**{"start": 30.0, "contact": 0.5, "stall": 0.5, **patience}),
    )


SPEAK = "print('ready', flush=True)\n"
PID = "open('pid', 'w').write(str(os.getpid()))\n"


def test_a_child_that_works_is_left_alone(tmp_path):
    seen: list[int] = []
    work = "for n in range(8):\n open('data', 'ab').write(bytes(1000)); time.sleep(0.2)\nsys.exit(3)"
    assert watch(tmp_path, SPEAK + work, seen=seen, contact=1.2, stall=1.2) == 3  # each of its pauses is far shorter
    assert len(set(seen) & {1000 * n for n in range(1, 9)}) > 0


@pytest.mark.parametrize("code", ["time.sleep(60)", "open('data', 'wb').write(bytes(9))\ntime.sleep(60)"])
def test_a_child_from_which_nothing_comes_is_ended(tmp_path, code):
    before = time.monotonic()
    with pytest.raises(TimeoutError, match="nothing arrived for"):
        watch(tmp_path, PID + SPEAK + code)
    assert time.monotonic() - before < 10
    assert not psutil.pid_exists(int((tmp_path / "child" / "pid").read_text(encoding="utf-8")))


def test_a_child_that_brings_too_much_is_ended(tmp_path):
    with pytest.raises(ValueError, match="more than the 1 MB"):
        watch(tmp_path, "while True:\n open('data', 'ab').write(bytes(100_000)); time.sleep(0.01)")


# ---------------------------------------------------------------- a hub's listing


@pytest.mark.parametrize("name", ["hub:org/name", "hub:org/na.me-1@main", "hub:o_1/n@refs/pr/1"])
def test_names_of_models(name):
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["hub:name", "hub:../name", "hub:org/", "hub:org/name@", "hub:a/b/c", "hub:a/b\n"])
def test_names_of_nothing(name):
    assert not NAME.fullmatch(name)


GIT = {"sha256": None, "git": "0" * 40, "bytes": 10}
WHOLE = dict.fromkeys(("config.json", "tokenizer.json", "model.safetensors"), GIT)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"config.json": GIT, "tokenizer.json": GIT, "pytorch_model.bin": GIT}, "as a pickle"),
        ({"config.json": GIT, "tokenizer.json": GIT}, "no model.safetensors"),
        (dict.fromkeys(("tokenizer.json", "model.safetensors"), GIT), "no config.json"),
        (dict.fromkeys(("config.json", "tokenizer.model", "model.safetensors"), GIT), "no tokenizer.json"),
        (WHOLE | {"config.json": GIT | {"bytes": 10**12}}, "not a file of settings"),
        (WHOLE | {"config.json": GIT | {"bytes": -1}}, "does not answer as a model hub"),
        (WHOLE | {"config.json": GIT | {"git": None}}, "does not answer as a model hub"),
        (WHOLE | {"config.json": "text"}, "does not answer as a model hub"),
        ([], "does not answer as a model hub"),
    ],
)
def test_a_listing_without_what_we_open_is_refused(tmp_path, monkeypatch, files, says):
    monkeypatch.setattr(hub_download, "_ask", lambda *_, **__: {"commit": "a" * 40, "files": files})
    with pytest.raises((ValueError, ConnectionError), match=says):
        list_model("org/name", None, tmp_path)


def test_of_a_listing_only_what_is_read_is_taken(tmp_path, monkeypatch):
    pieces = {f"model-0000{n}-of-00002.safetensors": GIT for n in (1, 2)} | {"model.safetensors.index.json": GIT}
    strangers = dict.fromkeys(("pytorch_model.bin", "../config.json", "x/model.safetensors", "modeling.py"), GIT)

    def names(files: dict) -> set[str]:
        monkeypatch.setattr(hub_download, "_ask", lambda *_, **__: {"commit": "a" * 40, "files": files})
        return {file.name for file in list_model("org/name", None, tmp_path).files}

    assert names(WHOLE | strangers | pieces) == set(WHOLE)
    in_pieces = dict.fromkeys(("config.json", "tokenizer.json"), GIT) | pieces
    assert names(in_pieces | strangers) == set(in_pieces)
