"""`lmlab fetch hub:ORG/NAME` against a hub on the loopback address, with the faults that networks have."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from lmlab import cli
from lmlab.commands import fetch_hub
from lmlab.commands.fetch import fetch
from lmlab.formats import hub_download
from lmlab.formats.fetched import read_record, what_is_wrong
from lmlab.formats.watched_process import Patience
from lmlab.text_model import load
from tests.commands.what_is_left import cache, without_progress
from tests.formats.fake_servers import COMMIT, FakeServer

pytestmark = pytest.mark.slow  # each runs the hub's client in a process of its own

TOWN = Path(__file__).parents[2] / "assets" / "models" / "town"


@pytest.fixture
def hub(server) -> FakeServer:
    """The town's model on a hub, with a pickle beside."""
    server.offer_model("org/town", TOWN, extra={"pytorch_model.bin": b"pickle", "README.md": b"text"})
    return server


def test_a_model_of_a_hub(hub, tmp_path, capsys):
    assert cli.main(["fetch", "hub:org/town"]) == 0
    said = capsys.readouterr().out
    assert "license: apache-2.0" in said
    assert 'lab.load("hub:org/town")' in said
    folder = tmp_path / "home" / "cache" / "hub" / "org--town"
    assert sorted(os.listdir(folder)) == [".fetched.json", "config.json", "model.safetensors", "tokenizer.json"]
    assert (read_record(folder) or {})["commit"] == COMMIT
    assert not any(word in path for path in hub.asked for word in (".bin", "README", "manifest"))
    assert load("hub:org/town").next("the stock market")[0] == load("town").next("the stock market")[0]
    hub.asked.clear()
    assert cli.main(["fetch", f"hub:org/town@{COMMIT}"]) == 0
    assert "already here, verified" in capsys.readouterr().out
    assert hub.asked == []
    assert cli.main(["fetch"]) == 0
    assert "hub:org/town, 2.2 MB" in capsys.readouterr().out
    assert cli.main(["fetch", "hub:org/town@other"]) == 1
    assert "no such revision" in capsys.readouterr().err
    assert cli.main(["fetch", "hub:org/nothing"]) == 1
    assert "there is no model org/nothing" in capsys.readouterr().err
    assert what_is_wrong(folder) is None, "what was there stays"


@pytest.mark.parametrize(
    ("fault", "says", "within"),
    [
        ("hangs", "nothing arrived for", 5),
        ("trickles", "nothing arrived for", 5),
        ("is not there", "there is no connection to", 5),
        ("a proxy that hangs", "nothing arrived for", 5),
        ("is a login page", "does not answer as a model hub does", 5),
        ("is broken", "answers with error 503", 5),
        ("exchanges files", "fingerprint differs", 10),
        ("stops midway", "nothing arrived for", 20),
    ],
)
def test_a_faulty_hub_costs_one_sentence(hub, monkeypatch, tmp_path, capsys, fault, says, within):
    hub.fault = "hangs" if "proxy" in fault else fault
    if "proxy" in fault:
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
        monkeypatch.setenv("HTTP_PROXY", hub.url)
    if fault == "is not there":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    if fault == "stops midway":
        monkeypatch.setattr(hub_download, "Patience", lambda: Patience(stall=2.0))
    spent = time.process_time(), time.monotonic()
    assert cli.main(["fetch", "hub:org/town"]) == 1
    assert time.monotonic() - spent[1] < within * max(1.0, os.getloadavg()[0] / 2 if os.name == "posix" else 1.0)
    (said,) = without_progress(capsys.readouterr().err)
    assert says in said
    assert cache(tmp_path) == ["hub"]


def test_a_download_from_a_hub_goes_on_where_it_broke_off(hub, monkeypatch, tmp_path):
    hub.fault = "stops midway"
    monkeypatch.setattr(hub_download, "Patience", lambda: Patience(stall=1.0))
    with pytest.raises(TimeoutError):
        fetch("hub:org/town")
    hub.fault = ""
    hub.asked.clear()
    monkeypatch.setattr(hub_download, "Patience", Patience)
    assert what_is_wrong(fetch("hub:org/town")) is None
    assert not any("tokenizer.json" in path for path in hub.asked), "that one was here"
    assert os.listdir(tmp_path / "home" / "cache" / "hub") == ["org--town"]


def test_what_we_do_not_implement_is_refused_before_its_weights_come(hub, tmp_path):
    strange = tmp_path / "strange"
    shutil.copytree(TOWN, strange)
    settings = json.loads((strange / "config.json").read_text(encoding="utf-8"))
    (strange / "config.json").write_text(json.dumps(settings | {"model_type": "mamba"}), encoding="utf-8")
    hub.offer_model("org/strange", strange)
    with pytest.raises(ValueError, match="mamba"):
        fetch("hub:org/strange")
    assert not any("safetensors" in path for path in hub.asked)
    assert cache(tmp_path) == ["hub"]


def test_what_does_not_open_is_refused_and_removed(hub, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(TOWN, damaged)
    raw = bytearray((damaged / "model.safetensors").read_bytes())
    raw[-2:] = b"\xc0\x7f"  # NaN in bfloat16
    (damaged / "model.safetensors").write_bytes(raw)
    hub.offer_model("org/damaged", damaged)
    with pytest.raises(ValueError, match="NaN"):
        fetch("hub:org/damaged")
    assert [path.name for path in (tmp_path / "home" / "cache" / "hub").iterdir()] == []


def test_the_hub_needs_its_library_and_leave(server, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert cli.main(["fetch", "hub:org/town"]) == 1
    assert "HF_HUB_OFFLINE is set" in capsys.readouterr().err
    monkeypatch.setattr(hub_download.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["fetch", "hub:org/town"]) == 1
    assert "pip install huggingface_hub" in capsys.readouterr().err
    assert server.asked == []


def test_every_revision_of_a_model_lies_in_one_place():
    assert fetch_hub.hub_folder("hub:a/b@main") == fetch_hub.hub_folder("hub:a/b")
    assert fetch_hub.hub_folder("hub:a/b").name == "a--b"
    assert fetch_hub.is_hub_name("hub:a/b")
    assert not fetch_hub.is_hub_name("smollm2")
