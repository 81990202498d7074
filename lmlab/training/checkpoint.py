"""One checkpoint: a model folder that anyone can open, and beside it what only a resumed training needs.

A checkpoint is `config.json`, `model.safetensors`, `tokenizer.json` as in every model folder, and
`train_state.safetensors`: AdamW's moments by parameter name, random generators, and a JSON header with step, schedule,
data cursor, versions, device and threads. No pickle goes in or out.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from lmlab.formats.hf_folder import Writer, check_manifest
from lmlab.formats.safetensors_file import parse_json, read_tensors, write_tensors
from lmlab.models.reward import RewardModel, load_either, save_either
from lmlab.training.objectives import BatchStream
from lmlab.training.optimizer import OptimizerSettings, learning_rate
from lmlab.training.precision import as_precision
from lmlab.training.state import TrainState
from lmlab.training.team import Moments

if TYPE_CHECKING:
    from lmlab.tokenizer.tokenizer import Tokenizer

STATE_FILE = "train_state.safetensors"
FORMAT = 1
MOMENTS = {True: ("momentum",), False: ("exp_avg", "exp_avg_sq")}  # by whether Muon moves the parameter


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, and why."""


def write_checkpoint(
    folder: Path,
    state: TrainState,
    batches: BatchStream,
    tokenizer: Tokenizer | None = None,
    model: nn.Module | None = None,
    moments: Moments | None = None,
) -> None:
    """Write a complete checkpoint into `folder`, which appears all at once or not at all.

    model and moments: where the state holds shards of them, the whole as the team gathered it.
    """
    tensors, cursor = _tensors(state, batches, state.team.whole_moments(state) if moments is None else moments)
    header = {"lmlab": json.dumps(_header(state, cursor))}
    files: dict[str, Writer] = {STATE_FILE: lambda path: write_tensors(path, tensors, metadata=header)}
    settings = {}
    if tokenizer is not None:
        files["tokenizer.json"] = tokenizer.save
        settings = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.bos_id}
    save_either(model or state.model, folder, settings=settings, files=files)


def read_checkpoint(folder: Path, state: TrainState, batches: BatchStream) -> dict[str, Any]:
    """Put everything back: weights, moments and generators into `state`, the cursor into `batches`; returns the header.

    `state` is a fresh one with the settings asked for. They may differ from the checkpoint's only where no step that
    was already done would have been another (a longer plan under the constant schedule, say). Precision is the
    checkpoint's, whatever `state` had.
    Raises CheckpointError naming what does not fit.
    """
    large: list[tuple[dict[str, Tensor], Moments]] = []

    def read() -> tuple[dict[str, Any], dict[str, Tensor]]:
        header, tensors = _read_state_file(folder / STATE_FILE)
        _check_same_plan(header, state, folder)
        saved = load_either(folder)
        kinds = {isinstance(model, RewardModel) for model in (saved, state.model)}
        if len(kinds) > 1 or saved.config != getattr(state.model, "config", None):
            raise CheckpointError(
                f"{folder} holds another kind or shape of model than this run's; start a new run folder."
            )
        large.append((saved.state_dict(), _moments(state, header, tensors, folder)))
        return header, {name: t for name, t in tensors.items() if name.startswith(("rng/", "cursor/"))}

    header, tensors = state.team.first(read)
    weights, moments = large[0] if large else ({}, {})
    state.team.put(state, weights, moments, header["step"])
    state.generator.set_state(tensors["rng/generator"].clone())
    # Before precision was written down, a card always computed in bf16.
    before = "bf16" if header["device"].startswith("cuda") else "fp32"
    state.precision = as_precision(header.get("precision", before))
    state.step, state.tokens, state.seconds = header["step"], header["tokens"], header["seconds"]
    batches.load_state(
        {
            **header["cursor"],
            **{name.removeprefix("cursor/"): tensor for name, tensor in tensors.items() if name.startswith("cursor/")},
        }
    )
    return header


def _tensors(state: TrainState, batches: BatchStream, moments: Moments) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {"rng/generator": state.generator.get_state()}
    for name, slot in moments.items():
        for key, moment in slot.items():
            tensors[f"{key}/{name}"] = moment.detach().cpu().contiguous()
    cursor = {}
    for name, value in batches.state().items():
        if isinstance(value, Tensor):
            tensors[f"cursor/{name}"] = value.contiguous()
        else:
            cursor[name] = value
    return tensors, cursor


def _header(state: TrainState, cursor: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "step": state.step,
        "steps": state.steps,
        "tokens": state.tokens,
        "seconds": state.seconds,
        "seed": state.seed,
        "settings": asdict(state.settings),
        "cursor": cursor,
        "precision": state.precision,
        "accumulate": state.accumulate,
        "processes": state.team.size,
        "device": str(state.device),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def _moments(state: TrainState, header: dict[str, Any], tensors: dict[str, Tensor], folder: Path) -> Moments:
    """The moments of every parameter, by its name, as the file has them; each of the parameter's shape."""
    moments: Moments = {}
    if header["step"] == 0:
        return moments
    names = {parameter: name for name, parameter in state.model.named_parameters()}
    for parameter, muon in [(p, group["muon"]) for group in state.optimizer.param_groups for p in group["params"]]:
        name = names[parameter]
        moments[name] = {}
        for key in MOMENTS[muon]:
            moment = tensors.get(f"{key}/{name}")
            if moment is None or moment.shape != parameter.shape:
                got = "missing" if moment is None else f"of shape {tuple(moment.shape)}"
                raise CheckpointError(
                    f"{folder / STATE_FILE}: {key}/{name} is {got}, "
                    f"expected {tuple(parameter.shape)}; resume from another checkpoint."
                )
            moments[name][key] = moment
    return moments


def _check_same_plan(header: dict[str, Any], state: TrainState, folder: Path) -> None:
    old: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in header["settings"].items()}
    settings, done = OptimizerSettings(**old), header["step"]
    differences = [
        f"{name} {old[name]!r}, now {value!r}"
        for name, value in asdict(state.settings).items()
        if name in ("optimizer", "betas", "eps", "weight_decay", "clip") and old[name] != value
    ]
    if header["seed"] != state.seed:
        differences.append(f"seed {header['seed']}, now {state.seed}")
    if done > state.steps:
        differences.append(f"{done} steps done, now {state.steps} planned")
    elif any(
        learning_rate(s, header["steps"], settings) != learning_rate(s, state.steps, state.settings)
        for s in range(done)
    ):
        differences.append(
            f"{header['steps']} steps of {settings.schedule} at {settings.lr:g}, now "
            f"{state.steps} of {state.settings.schedule} at {state.settings.lr:g}"
        )
    if differences:
        raise CheckpointError(
            f"{folder} was trained with {'; '.join(differences)}. "
            "Resume with the settings it had, or start a new run folder."
        )


def _read_state_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors, or one sentence about what is wrong with the file."""
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: this is a model, not a checkpoint that training can resume from.")
    check_manifest(path.parent)
    tensors = read_tensors(path)
    with safe_open(str(path), framework="pt") as file:
        header = parse_json((file.metadata() or {}).get("lmlab", "{}").encode(), path)
    if header.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {header.get('format')!r}, this lmlab reads {FORMAT}.")
    return header, tensors
