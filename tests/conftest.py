"""What every test stands on: a student's folder of its own, one thread, no network."""

from __future__ import annotations

import os

import pytest

# Before torch is imported: two cores shared by threads are slower than one, and sums stay equal.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session", autouse=True)
def _no_ones_folder(tmp_path_factory: pytest.TempPathFactory):
    """Nothing that a test does reaches the progress of whoever runs it."""
    before = os.environ.get("LMLAB_HOME")
    os.environ["LMLAB_HOME"] = str(tmp_path_factory.mktemp("lmlab_home"))
    yield
    if before is None:
        os.environ.pop("LMLAB_HOME", None)
    else:
        os.environ["LMLAB_HOME"] = before
