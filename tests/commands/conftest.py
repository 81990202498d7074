"""A package index, a hub and a student's folder of each test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.formats.fake_servers import serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A package index that pip uses, a hub that huggingface_hub uses, and a student's folder of this test's own."""
    with serving() as server:
        for name, value in {
            "PIP_INDEX_URL": f"{server.url}/simple",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_CONFIG_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
            "HF_ENDPOINT": server.url,
            "HF_HUB_OFFLINE": "0",
            "HF_TOKEN": "",
            "LMLAB_HOME": str(tmp_path / "home"),
            "PYTHONPATH": str(ROOT),
        }.items():
            monkeypatch.setenv(name, value)
        yield server
