"""`load`: from a name, a file or a folder to a `TextModel`, without ever opening a connection.

Lecture: "it works offline". What is not on this machine is named, with what is, and with the command that fetches it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmlab.text_model.handle import TextModel

if TYPE_CHECKING:
    from lmlab.models.gguf import GGUFModel
    from lmlab.tokenizer.chat_template import ChatTemplate
    from lmlab.tokenizer.tokenizer import Tokenizer

_FETCHED = ("smollm2",)  # models that `lmlab fetch NAME` brings, besides hub:org/name
_HUB_NAME = re.compile(r"hub:(\w[\w.-]*)/(\w[\w.-]*)")
_PADDED_TO = 64  # a vocabulary is rounded up to a multiple of this, so that its matrix is cut evenly
_MOST_PADDING = 512


def load(name: str | os.PathLike[str], precision: str = "fp32") -> TextModel:
    """Open a model: "town" ships with the lab, and so do the assistants "town-sft" and "town-chat"; a folder, the
    folder of a run, or a .gguf file; "smollm2" and "hub:org/name" once `lmlab fetch` has brought them.

    Never opens a connection: for what is not here, the error says so and what is. Weights of folders are mapped
    into memory, so that kernels share them. `precision` "bf16", "int8" or "int4" holds a smaller copy that writes
    faster and is nearly the same; "auto" measures which is worth it on this machine (`at_precision`).
    Raises FileNotFoundError or ValueError, one sentence each.
    """
    from lmlab.tokenizer.bpe import no_garbage_collection

    text = os.fspath(name)
    path = Path(text).expanduser()
    _check_precision(precision)
    with no_garbage_collection():  # in a process that has torch, half of the time that a vocabulary takes
        opened = _load_gguf(path) if is_gguf(path) else _load_folder(folder_of(text), text)
    return opened if precision == "fp32" else _at_precision(opened, precision)


def is_gguf(path: Path) -> bool:
    """Whether this is a GGUF file, by its name or its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return path.suffix == ".gguf" or file.read(4) == b"GGUF"


def folder_of(name: str) -> Path:
    """The folder that `load` opens for a name. Raises FileNotFoundError or ValueError, one sentence each."""
    from lmlab.assets import asset
    from lmlab.formats.hf_folder import heal

    if not name:
        raise ValueError("load takes the name of a model, such as 'town', or a folder; it was given nothing.")
    if _is_plain(name):
        try:
            return asset(f"models/{name}")
        except FileNotFoundError:
            pass
    path = _cached(name) or Path(name).expanduser()
    heal(path)
    if path.is_dir():
        return _latest_checkpoint(path)
    if path.exists():
        raise ValueError(_why_not_a_file(path))
    raise FileNotFoundError(_what_to_do(name))


def _load_folder(folder: Path, name: str) -> TextModel:
    from lmlab.models.load import load_model
    from lmlab.models.reward import HEAD_FILE
    from lmlab.tokenizer.load import load_tokenizer
    from lmlab.user_folder import cache_folder

    if (folder / HEAD_FILE).is_file():
        raise ValueError(f"{folder} is a reward model: it scores answers and writes none; use lab.RewardModel.load.")
    _check_tokenizer_file(folder)
    # What lies in the cache was compared with its fingerprints when it was fetched, and nobody writes there by hand.
    fetched = folder.absolute().is_relative_to(cache_folder())
    model = load_model(folder, unchecked=fetched)
    tokenizer = _padded(load_tokenizer(folder, unchecked=fetched), model.vocab_size)
    return TextModel(model, tokenizer, name=_display_name(name, folder), chat_template=_template_of(folder, tokenizer))


def _load_gguf(path: Path) -> TextModel:
    from lmlab.models.gguf import open_gguf
    from lmlab.models.load import load_gguf
    from lmlab.tokenizer.load import tokenizer_from_gguf

    opened = open_gguf(path)
    try:
        tokenizer = _padded(tokenizer_from_gguf(opened.file.fields), opened.config.vocab_size)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not opened: its tokenizer is not one that this lab reads ({error}).") from None
    return TextModel(load_gguf(opened), tokenizer, name=path.stem, chat_template=_template_in(opened, tokenizer))


def _check_precision(precision: str) -> None:
    if precision != "fp32":
        from lmlab.models.precision import PRECISIONS

        if precision not in PRECISIONS:
            raise ValueError(f"There is no precision {precision!r}: choose {', '.join(PRECISIONS[:-1])} or auto.")


def _at_precision(opened: TextModel, precision: str) -> TextModel:
    from lmlab.models.precision import at_precision
    from lmlab.models.transformer import Transformer

    assert isinstance(opened.model, Transformer)
    packed = at_precision(opened.model, precision)
    return TextModel(packed, opened.tokenizer, name=opened.name, chat_template=opened.chat_template)


def _padded(tokenizer: Tokenizer, vocab_size: int) -> Tokenizer:
    """The tokenizer with a name for every row of the model's table: Qwen's is longer than its vocabulary.

    The rows stay, since they take part in the softmax that the model was trained with, here as in transformers.
    """
    missing = range(tokenizer.vocab_size, vocab_size)
    if not missing or len(missing) > _MOST_PADDING or vocab_size % _PADDED_TO:
        return tokenizer  # equal, or of another model: TextModel says so
    names = {f"<|unused {n}|>": n for n in missing}
    return type(tokenizer)(
        token_bytes=[tokenizer.token_bytes(n) for n in range(tokenizer.vocab_size)] + [n.encode() for n in names],
        ranks=tokenizer.ranks,
        split=tokenizer.split,
        specials=tokenizer.specials | names,
        normalizer=tokenizer.normalizer,
    )


# ---------------------------------------------------------------- chat templates


def _template_of(folder: Path, tokenizer: Tokenizer) -> ChatTemplate | None:
    """The chat template of a folder: a file of its own, or a line of tokenizer_config.json in older ones."""
    from lmlab.formats.hf_folder import read_json
    from lmlab.tokenizer.chat_template import ChatTemplate

    file, config = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    settings: dict[str, Any] = read_json(config) if config.is_file() else {}
    template: Any = settings.get("chat_template")
    if file.is_file():
        template = file.read_text(encoding="utf-8", errors="replace")
    elif isinstance(template, list):  # several, by name
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get("default")
    if not isinstance(template, str):
        return None
    ids = read_json(folder / "config.json")
    bos, eos = (_mark(settings, ids, name, tokenizer) for name in ("bos", "eos"))
    return ChatTemplate(template, bos, eos)


def _template_in(opened: GGUFModel, tokenizer: Tokenizer) -> ChatTemplate | None:
    from lmlab.tokenizer.chat_template import ChatTemplate

    template = opened.file.fields.get("tokenizer.chat_template")
    if not isinstance(template, str):
        return None
    ids = opened.special_ids
    bos, eos = (_mark({}, ids, name, tokenizer) for name in ("bos", "eos"))
    return ChatTemplate(template, bos, eos)


def _mark(settings: dict[str, Any], ids: dict[str, Any], name: str, tokenizer: Tokenizer) -> str:
    """The text of a folder's bos or eos token, by its name or its id; "" where it has none."""
    named = settings.get(f"{name}_token")
    if isinstance(named, dict):
        named = named.get("content")
    if isinstance(named, str):
        return named
    id_ = ids.get(f"{name}_token_id")
    return tokenizer.token_text(id_) if type(id_) is int and 0 <= id_ < tokenizer.vocab_size else ""


# ---------------------------------------------------------------- names and places


def _cached(name: str) -> Path | None:
    """Where a fetched model of this name lies, if it does."""
    from lmlab.user_folder import cache_folder

    hub = _HUB_NAME.fullmatch(name)
    place = cache_folder() / "hub" / f"{hub[1]}--{hub[2]}" if hub else cache_folder() / name
    return place if (hub or _is_plain(name)) and place.is_dir() else None


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
    for name in ("tokenizer.json", "vocab.json"):
        if (folder / name).exists():
            check_regular_file(folder / name)
            return
    raise FileNotFoundError(
        f"{folder} has a model and no tokenizer.json: open it with lab.load_model and give it its tokenizer, "
        "lab.TextModel(model, tokenizer, name='mine')."
    )


def _why_not_a_file(path: Path) -> str:
    from lmlab.formats.safetensors_file import refuse_pickle

    if path.is_file():
        with path.open("rb") as file:
            refuse_pickle(path, file.read(8))
    return (
        f"{path} is not a folder: a model is a .gguf file, or a folder with config.json, model.safetensors and "
        "tokenizer.json."
    )


def _what_to_do(name: str) -> str:
    from lmlab.assets import assets_folder

    models = assets_folder() / "models"
    there = sorted(p.name for p in models.iterdir() if (p / "config.json").exists()) if models.is_dir() else []
    shipped = f" Shipped with the lab: {', '.join(there)}." if there else ""
    if name in _FETCHED or _HUB_NAME.fullmatch(name):
        return f"{name} is not on this machine: fetch it in a terminal, `lmlab fetch {name}`.{shipped}"
    if name.startswith("hub:"):
        return f"{name!r} names no model: the hub's are called hub:organization/name.{shipped}"
    return f"There is no model, folder or .gguf file {name!r}.{shipped}"


def _display_name(name: str, folder: Path) -> str:
    if hub := _HUB_NAME.fullmatch(name):
        return hub[2]
    return name if _is_plain(name) else Path(name).name or folder.name


def _is_plain(name: str) -> bool:
    return name.replace("-", "").replace("_", "").isalnum()
