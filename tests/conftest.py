"""What every test stands on: a student's folder of its own, one thread, no network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmlab.user_folder import cache_folder

# Before torch is imported: two cores shared by threads are slower than one, and sums stay equal.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# The cache of whoever runs the tests, from before they get a folder of their own: 93 MB are fetched once.
_LASTING_CACHE = cache_folder()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the files, those with slow tests begin: none is left to run alone at the end."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _same_numbers_every_time():
    """torch draws the same numbers in every run, whatever ran before: a test that fails, fails again."""
    import torch

    torch.manual_seed(0)


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


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct: config.json, float32 safetensors, tokenizer.json, and the GGUF of it.

    In the cache of whoever runs the tests, fetched into it where it is not there (a second process waits for the
    first). Where it cannot be had the test is skipped, in continuous integration never.
    """
    folder = _LASTING_CACHE / "smollm2"
    if (folder / ".fetched.json").exists():
        return folder
    from lmlab.commands.fetch import fetch

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMLAB_HOME", str(_LASTING_CACHE.parent))
        try:
            return fetch("smollm2")
        except (OSError, RuntimeError) as reason:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"SmolLM2 is not here: {reason}")


@pytest.fixture
def smollm2_by_name(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`lab.load("smollm2")` finds the model in this test; the student's folder stays the tests' own."""
    monkeypatch.setattr("lmlab.user_folder.cache_folder", lambda: smollm2.parent)
    return smollm2
