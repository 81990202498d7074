"""`lmlab fetch hub:ORG/NAME[@REVISION]`: a model from a hub, refused before its weights where we cannot run it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

from lmlab.commands.fetch_progress import Progress, megabytes
from lmlab.formats.fetched import check_space, install, read_record, staging, turn, what_is_wrong, write_record
from lmlab.formats.hub_download import NAME, HubListing, download_model, list_model
from lmlab.user_folder import cache_folder

Say = Callable[[str], None]


def is_hub_name(name: str) -> bool:
    """Whether this asks for a model of a hub."""
    return name.startswith("hub:")


def hub_folder(name: str) -> Path:
    """Where a model of a hub lies; every revision takes the same place. Raises ValueError for what is no such name."""
    owner, model, _ = _parts(name)
    return cache_folder() / "hub" / f"{owner}--{model}"


def fetch_hub(name: str, *, say: Say) -> Path:
    """Bring a model into the cache, or compare what is there; returns its folder. Raises one sentence, as `fetch`."""
    owner, model, revision = _parts(name)
    folder = hub_folder(name)
    with turn(folder, say):
        record = read_record(folder) or {}
        if what_is_wrong(folder) is None and revision in (None, record.get("revision"), record.get("commit")):
            say(f"{name} is already here, verified (commit {str(record.get('commit'))[:12]}): {folder}")
            return folder
        with staging(folder) as stage:
            listing = list_model(f"{owner}/{model}", revision, stage)
            new = _download(listing, stage, folder, say)
            _check(new)
            source = {
                "name": f"hub:{owner}/{model}",
                "license": listing.license,
                "revision": revision,
                "commit": listing.commit,
            }
            write_record(new, source)
            install(new, folder)
    say(f'{name} is here (commit {listing.commit[:12]}): lab.load("hub:{owner}/{model}") opens it. It lies in {folder}')
    return folder


def _parts(name: str) -> tuple[str, str, str | None]:
    match = NAME.fullmatch(name)
    if match is None or any(".." in part or "--" in part for part in match.groups() if part):
        raise ValueError(f"{name!r} names no model: write hub:ORGANIZATION/NAME, or hub:ORGANIZATION/NAME@REVISION.")
    return match[1], match[2], match[3]


def _download(listing: HubListing, stage: Path, folder: Path, say: Say) -> Path:
    (config,) = download_model(listing, ["config.json"], stage, lambda n: None)
    _check_config(config)
    check_space(folder, listing.n_bytes)
    license = f"license: {listing.license}" if listing.license else "it states no license"
    say(f"downloading {megabytes(listing.n_bytes)}, {listing.repository} ({license}), to {folder}")
    with Progress(listing.n_bytes) as progress:
        files = download_model(listing, [file.name for file in listing.files], stage, progress)
    new = stage / "new"
    new.mkdir()
    for file in files:
        os.replace(file, new / file.name)
    return new


def _check_config(config: Path) -> None:
    """Refuse what we do not implement before gigabytes of its weights are on their way."""
    from lmlab.formats.hf_folder import read_json
    from lmlab.models.families import family_of

    settings = read_json(config)
    family_of(settings).to_config(settings)


def _check(folder: Path) -> None:
    """Open the folder once as strictly as any other's: every weight in its place, finite, and a tokenizer to fit."""
    from lmlab.models.load import load_model
    from lmlab.text_model import load

    load_model(folder, dtype=None)
    load(folder)
    gc.collect()  # Windows renames no folder of which a file is still mapped
