"""`load`: from a name, a folder or a run to a `TextModel`, without ever opening a connection.

Lecture: "it works offline". What is not on this machine is named, with what is.
"""

from __future__ import annotations

import os
from pathlib import Path

from lmlab.text_model.handle import TextModel


def load(name: str | os.PathLike[str]) -> TextModel:
    """Open a model by its shipped name ("town"), its folder, or the folder of a run (its latest checkpoint).

    Never opens a connection: for what is not here, the error says so and what is.
    Raises FileNotFoundError or ValueError, one sentence each.
    """
    from lmlab.models.load import load_model
    from lmlab.tokenizer.load import load_tokenizer

    if is_gguf(path := Path(name).expanduser()):
        return _load_gguf(path)
    folder = folder_of(os.fspath(name))
    _check_tokenizer_file(folder)
    return TextModel(load_model(folder), load_tokenizer(folder), name=_display_name(name, folder))


def is_gguf(path: Path) -> bool:
    """Whether this is a GGUF file, by its name or its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return path.suffix == ".gguf" or file.read(4) == b"GGUF"


def _load_gguf(path: Path) -> TextModel:
    from lmlab.models.gguf import open_gguf
    from lmlab.models.load import load_gguf
    from lmlab.tokenizer.load import tokenizer_from_gguf

    opened = open_gguf(path)
    tokenizer = tokenizer_from_gguf(opened.file.fields)
    return TextModel(load_gguf(opened), tokenizer, name=path.stem)


def folder_of(name: str) -> Path:
    """The folder that `load` opens for a name. Raises FileNotFoundError or ValueError, one sentence each."""
    from lmlab.assets import asset
    from lmlab.formats.hf_folder import heal
    from lmlab.user_folder import cache_folder

    if not name:
        raise ValueError("load takes the name of a model, such as 'town', or a folder; it was given nothing.")
    if _is_plain(name):
        try:
            return asset(f"models/{name}")
        except FileNotFoundError:
            cached = cache_folder() / name
            if cached.is_dir():
                return cached
    path = Path(name).expanduser()
    heal(path)
    if path.is_dir():
        return _latest_checkpoint(path)
    if path.exists():
        raise ValueError(_why_not_a_file(path))
    raise FileNotFoundError(_what_to_do(name))


def _latest_checkpoint(folder: Path) -> Path:
    """A run folder's newest complete checkpoint; any other folder as it is."""
    pointer = folder / "latest"
    if not pointer.is_file() or (folder / "config.json").exists():
        return folder
    name = Path(pointer.read_text(encoding="utf-8").strip()).name
    checkpoint = folder / "checkpoints" / name
    if not name or not checkpoint.is_dir():
        raise ValueError(f"{pointer} names {name!r}, and there is no such checkpoint: the run folder is damaged.")
    return checkpoint


def _check_tokenizer_file(folder: Path) -> None:
    from lmlab.formats.safetensors_file import check_regular_file
    from lmlab.models.load import check_is_model_folder

    check_is_model_folder(folder)
    if not (folder / "tokenizer.json").exists():
        raise FileNotFoundError(
            f"{folder} has a model and no tokenizer.json: open it with lab.load_model and give it its tokenizer, "
            "lab.TextModel(model, tokenizer, name='mine')."
        )
    check_regular_file(folder / "tokenizer.json")


def _why_not_a_file(path: Path) -> str:
    from lmlab.formats.safetensors_file import refuse_pickle

    if path.is_file():
        with path.open("rb") as file:
            refuse_pickle(path, file.read(8))
    return f"{path} is not a folder: a model is a folder with config.json, model.safetensors and tokenizer.json."


def _what_to_do(name: str) -> str:
    from lmlab.assets import assets_folder

    models = assets_folder() / "models"
    there = sorted(p.name for p in models.iterdir() if (p / "config.json").exists()) if models.is_dir() else []
    shipped = f" Shipped with the lab: {', '.join(there)}." if there else ""
    if name.startswith("hub:") or name == "smollm2":
        return f"{name} is not here: load opens no connection, and fetching it comes in a later release.{shipped}"
    return f"There is no model or folder {name!r}.{shipped}"


def _display_name(name: str | os.PathLike[str], folder: Path) -> str:
    text = os.fspath(name)
    return text if _is_plain(text) else Path(text).name or folder.name


def _is_plain(name: str) -> bool:
    return name.replace("-", "").replace("_", "").isalnum()
