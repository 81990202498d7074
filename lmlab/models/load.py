"""Models to folders and back: the weights under the names that every other program knows them by.

Lecture: "what a downloaded model is". `save_model` writes what transformers and vLLM open; `load_model` opens what
transformers wrote, strictly: every weight in its place, none left over, no setting that we do not understand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmlab.formats.hf_folder import (
    WEIGHTS,
    Writer,
    check_manifest,
    heal,
    read_json,
    read_weights,
    write_folder,
    write_json,
)
from lmlab.formats.safetensors_file import write_tensors
from lmlab.models.ablation import is_ablated
from lmlab.models.families import family_for, family_of
from lmlab.models.family import Family
from lmlab.models.gguf import GGUFModel, open_gguf
from lmlab.models.transformer import Transformer

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def save_model(
    model: Any,
    folder: str | Path,
    *,
    dtype: torch.dtype | None = None,
    settings: Mapping[str, Any] | None = None,
    files: Mapping[str, Writer] | None = None,
) -> Path:
    """Write a Transformer as a folder: config.json, model.safetensors and a manifest, atomically.

    `dtype` is the type on disk (the weights' own if None; torch.bfloat16 halves the file), `settings` are added to
    config.json (bos_token_id, say), `files` are written beside (tokenizer.json, say) by functions that take a path.
    Raises ValueError for a model that no file format can spell, for NaN, and for a folder that lmlab did not write.
    """
    if not isinstance(model, Transformer):
        raise ValueError(
            f"A {type(model).__name__} is not saved: it is counts or a function, made anew in seconds from its text. "
            "A Transformer can be saved."
        )
    family = family_for(model.config)
    weights = _own_weights(model)
    theirs = family.to_theirs(weights, model.config)
    if dtype is not None:
        theirs = {name: tensor.to(dtype) for name, tensor in theirs.items()}
    for name, tensor in theirs.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} holds NaN or infinity, so the model was not saved: its training has diverged.")
    config = {**family.to_hf(model.config), "dtype": _dtype_name(theirs), **(settings or {})}
    writers: dict[str, Writer] = {
        "config.json": lambda path: write_json(path, config),
        WEIGHTS: lambda path: write_tensors(path, theirs),
        **(files or {}),
    }
    return write_folder(Path(folder), writers)


def load_model(
    folder: str | Path, *, dtype: torch.dtype | None = torch.float32, unchecked: bool = False
) -> Transformer:
    """Open a model folder of a known family, whoever wrote it. Nothing in it is run.

    Weights come as `dtype` (None: as they are on disk); those already of that type are memory-mapped, so that
    thirty kernels share one copy. `unchecked` leaves out what reads every number, the fingerprints and the search
    for NaN; sizes, names and shapes are checked always. Raises FileNotFoundError or ValueError, one sentence each.
    """
    folder = Path(folder)
    heal(folder)
    check_is_model_folder(folder)
    settings = read_json(folder / "config.json")
    family = family_of(settings)
    config = family.to_config(settings)
    check_manifest(folder, sizes_only=unchecked)
    tensors = read_weights(folder, unchecked=unchecked)
    if config.n_layers > len(tensors):
        raise ValueError(f"{folder} has {len(tensors)} tensors, and its config.json says {config.n_layers:,} layers.")
    tensors = family.to_ours(tensors, config)
    model = Transformer(config, seed=None)
    _check_same(family, folder, tensors, _own_weights(model))
    return _filled(model, {name: _as_dtype(tensor, dtype) for name, tensor in tensors.items()})


def load_gguf(source: str | Path | GGUFModel, *, dtype: torch.dtype = torch.float32) -> Transformer:
    """Open the model of a GGUF file, dequantized one tensor at a time into memory of this process.

    Raises FileNotFoundError or ValueError, one sentence each, before any number is read where that is possible.
    """
    opened = source if isinstance(source, GGUFModel) else open_gguf(source)
    model = Transformer(opened.config, seed=None)
    weights = {name: tensor.to(dtype) for name, tensor in opened.weights()}
    ours = opened.family.to_ours(weights, opened.config)
    return _filled(model, {name: tensor.contiguous() for name, tensor in ours.items()})


def check_is_model_folder(folder: Path) -> None:
    """Raise FileNotFoundError or ValueError, in one sentence, unless this is a folder with a config.json."""
    if not folder.exists():
        raise FileNotFoundError(f"There is no model folder {folder}.")
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: a model is a folder with config.json and {WEIGHTS}.")
    if not (folder / "config.json").exists():
        raise FileNotFoundError(f"{folder} holds no config.json, so it is not a model folder.")


def _filled(model: Transformer, weights: dict[str, Tensor]) -> Transformer:
    """The model with these very tensors as its weights, not with copies."""
    if model.config.tie_embeddings:
        weights["unembedding.weight"] = weights["embedding.weight"]
    model.load_state_dict(weights, assign=True)
    if model.config.tie_embeddings:
        model.unembedding.weight = model.embedding.weight
    return model


def _own_weights(model: Transformer) -> dict[str, Tensor]:
    """A model's weights by our names, a tied matrix once; refuses a model whose parts were exchanged."""
    weights: dict[str, Tensor] = dict(model.named_parameters())
    expected = [name for row in family_for(model.config).rows(model.config) for name in row.ours]
    changed = sorted(weights.keys() ^ set(expected))
    if not changed and is_ablated(model):  # rotary positions and the residual stream have no weights to miss
        changed = ["a part without weights"]
    if changed:
        raise ValueError(
            f"This model's parts are not those of its config ({changed[0]} first): an ablated or quantized model is "
            "for looking at; save the model that it was made from."
        )
    return weights


def _check_same(family: Family, folder: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Names and shapes must agree; the sentence shows the first three that do not."""
    differences = []
    for name in [*wanted, *sorted(found.keys() - wanted.keys())]:
        if name not in found:
            differences.append(f"{name} is missing")
        elif name not in wanted:
            differences.append(f"{name} is not a weight of this {family.model_type}")
        elif found[name].shape != wanted[name].shape:
            differences.append(f"{name} is {list(found[name].shape)}, config.json says {list(wanted[name].shape)}")
        elif found[name].dtype not in FLOATS:
            differences.append(f"{name} is {found[name].dtype}, which needs a dequantizer that this lab does not have")
    if differences:
        more = f" (and {len(differences) - 3} more)" if len(differences) > 3 else ""
        raise ValueError(f"The weights in {folder} do not fit its config.json: {'; '.join(differences[:3])}{more}.")


def _as_dtype(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    # A transposed or sliced tensor is made contiguous: kernels run on it thousands of times, this once.
    return tensor.to(dtype or tensor.dtype).contiguous()


def _dtype_name(tensors: Mapping[str, Tensor]) -> str:
    return str(next(iter(tensors.values())).dtype).removeprefix("torch.")
