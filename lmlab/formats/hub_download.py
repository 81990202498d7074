"""A model's settings, tokenizer and safetensors from a model hub (huggingface.co, or what HF_ENDPOINT names).

Never a pickle. What is downloaded is one commit's, compared with the fingerprints that the hub lists for it; only
whoever controls the hub itself could exchange it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lmlab.formats.fetched import sha256
from lmlab.formats.watched_process import Patience, run_watched

DEFAULT_ENDPOINT = "https://huggingface.co"
NAME = re.compile(r"hub:([A-Za-z0-9][\w.-]{0,95})/([A-Za-z0-9][\w.-]{0,95})(?:@([A-Za-z0-9][\w./-]{0,199}))?")
_SETTINGS = frozenset(
    "config.json generation_config.json tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json "
    "vocab.json merges.txt chat_template.jinja chat_template.json model.safetensors.index.json".split()
)
_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_MOST_SETTINGS_BYTES = 100_000_000
_MOST_FILES = 500


@dataclass(frozen=True)
class HubFile:
    """One file of a listing, with the fingerprint that the hub states: sha256 for large files, git's for others."""

    name: str
    n_bytes: int
    sha256: str | None
    git: str | None


@dataclass(frozen=True)
class HubListing:
    """One commit of a model on the hub: the files that we read, and no others."""

    repository: str
    commit: str
    license: str | None
    files: tuple[HubFile, ...]

    @property
    def n_bytes(self) -> int:
        """Of all files together."""
        return sum(file.n_bytes for file in self.files)


def list_model(repository: str, revision: str | None, stage: Path) -> HubListing:
    """Ask the hub for a model's files. Raises ConnectionError, TimeoutError, RuntimeError or ValueError, each in one
    sentence, within five seconds where nobody answers.
    """
    said = _ask(["list", repository, revision or ""], repository, stage, most_bytes=10**6, on_bytes=lambda n: None)
    try:
        commit, listed = said["commit"], said["files"]
        files = [HubFile(name, int(x["bytes"]), x["sha256"], x["git"]) for name, x in listed.items() if _is_ours(name)]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConnectionError(_not_a_hub(repository)) from None
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise ConnectionError(_not_a_hub(repository))
    _check_listing(repository, files, listed)
    return HubListing(repository, commit, said.get("license"), tuple(_needed(files)))


def download_model(
    listing: HubListing, names: Sequence[str], stage: Path, on_bytes: Callable[[int], None]
) -> list[Path]:
    """Download files of a listing into `stage`/download, going on from what is there, and compare each with its
    fingerprint. Raises as `list_model`; a file that differs is removed.
    """
    folder = stage / "download"
    arguments = ["get", listing.repository, listing.commit, str(folder), *names]
    wanted = [file for file in listing.files if file.name in names]
    _ask(arguments, listing.repository, stage, most_bytes=2 * listing.n_bytes + 10**7, on_bytes=on_bytes)
    for file in wanted:
        path = folder / file.name
        if path.is_symlink() or not path.is_file() or path.stat().st_size != file.n_bytes or not _is_same(path, file):
            raise ValueError(
                f"{file.name} is not the file that the hub lists for {listing.repository} (its fingerprint differs): "
                "nothing was installed. A network that answers in the hub's place does that; give the command again."
            )
    return [folder / file.name for file in wanted]


def endpoint() -> str:
    """The hub's address."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_ENDPOINT


def _is_ours(name: str) -> bool:
    return name in _SETTINGS or _WEIGHTS.fullmatch(name) is not None


def _needed(files: Sequence[HubFile]) -> list[HubFile]:
    """One file of weights where there is one, else all pieces; never both."""
    whole = any(file.name == "model.safetensors" for file in files)
    return [file for file in files if not (whole and ("-of-" in file.name or file.name.endswith(".index.json")))]


def _check_listing(repository: str, files: Sequence[HubFile], listed: Mapping[str, Any]) -> None:
    names = {file.name for file in files}
    if not any(_WEIGHTS.fullmatch(name) for name in names):
        pickles = sorted(name for name in listed if name.endswith(_PICKLES))
        if pickles:
            raise ValueError(
                f"{repository} keeps its weights as a pickle ({pickles[0]}): opening one runs whatever code its author "
                "put in, so this lab fetches none. Look for the model as safetensors."
            )
        raise ValueError(f"{repository} holds no model.safetensors, so there is nothing that this lab opens.")
    if "config.json" not in names:
        raise ValueError(f"{repository} holds no config.json, so nobody can know what its weights are.")
    if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= names:
        raise ValueError(
            f"{repository} holds no tokenizer.json, nor vocab.json and merges.txt: this lab reads no other tokenizer."
        )
    if len(files) > _MOST_FILES or any(file.n_bytes < 0 for file in files):
        raise ConnectionError(_not_a_hub(repository))
    for file in files:
        if file.name in _SETTINGS and file.n_bytes > _MOST_SETTINGS_BYTES:
            raise ValueError(f"{file.name} of {repository} has {file.n_bytes:,} bytes: it is not a file of settings.")
        if not (file.sha256 or file.git):
            raise ConnectionError(_not_a_hub(repository))


def _is_same(path: Path, file: HubFile) -> bool:
    if file.sha256:
        return sha256(path) == file.sha256
    data = path.read_bytes()  # small: what is large has a sha256
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == file.git


# ---------------------------------------------------------------- the other process, and what its words mean


def _ask(
    arguments: Sequence[str], repository: str, stage: Path, *, most_bytes: int, on_bytes: Callable[[int], None]
) -> dict[str, Any]:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise RuntimeError("hub: needs huggingface_hub: pip install huggingface_hub, then give the same command again.")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        raise RuntimeError("HF_HUB_OFFLINE is set, so nothing is asked of the hub: unset it, then try again.")
    log = stage / "hub.log"
    (stage / "download").mkdir(exist_ok=True, mode=0o700)
    environment = {
        **os.environ,
        "HF_HUB_DISABLE_XET": "1",  # one way to download, the one that is watched and compared here
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_ETAG_TIMEOUT": "10",
        "HF_HUB_DOWNLOAD_TIMEOUT": "10",
        "PYTHONUTF8": "1",
    }
    try:
        run_watched(
            [sys.executable, "-m", "lmlab.formats.hub_child", *arguments],
            folder=stage / "download",
            log=log,
            environment=environment,
            most_bytes=most_bytes,
            on_bytes=on_bytes,
            patience=Patience(),
        )
    except TimeoutError as error:
        raise TimeoutError(f"{error} from {endpoint()}: {_LOOK}") from None
    said: dict[str, Any] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("{"):  # warnings of libraries stand between
            said |= json.loads(line)
    if "error" in said or not ("got" in said or "files" in said):
        _explain(said, repository)
    return said


_LOOK = "look at the network and the proxy, then give the same command again. What is on this machine goes on working."


def _explain(said: Mapping[str, Any], repository: str) -> NoReturn:
    """Raise what an exception of huggingface_hub means for a student."""
    lineage, status = said.get("error", []), said.get("status")
    first = (str(said.get("said", "")).strip().splitlines() or ["it does not say why"])[0]
    if said.get("number") in (28, 122, 27):
        raise OSError(said["number"], "No space left on device")  # staging says it in our words
    if "GatedRepoError" in lineage:
        raise ValueError(
            f"{repository} asks everyone to accept its license first: do so on {endpoint()}/{repository}, then set "
            "HF_TOKEN to a token of your account."
        )
    if "RevisionNotFoundError" in lineage:
        raise ValueError(f"{repository} is on the hub, and has no such revision.")
    if "RepositoryNotFoundError" in lineage or status in (401, 404):
        raise ValueError(f"there is no model {repository} on {endpoint()}, or it is private.")
    if "JSONDecodeError" in lineage or (status is None and {"KeyError", "TypeError"} & set(lineage)):
        raise ConnectionError(_not_a_hub(repository))
    if status is not None:
        raise ConnectionError(f"{endpoint()} answers with error {status}: try again later.")
    if {"ConnectionError", "HTTPError", "TransportError", "TimeoutException", "RequestError"} & set(lineage):
        raise ConnectionError(f"there is no connection to {endpoint()}, or it broke off: {_LOOK}")
    raise ConnectionError(f"{repository} could not be fetched from {endpoint()} ({first}): {_LOOK}")


def _not_a_hub(repository: str) -> str:
    return (
        f"{endpoint()} does not answer as a model hub does when asked for {repository} (a login page of this network, "
        "perhaps): open any page in a browser, then give the same command again."
    )
