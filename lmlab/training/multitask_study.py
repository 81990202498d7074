"""The experiment behind TaskAsText: one model for five kinds of text, or a model for each, at equal compute.

All models have the same shape. The one model trains five times as many steps as each of the five, on the same text, the
five kinds mixed; so both sides read the same tokens and spend the same FLOPs, and the five keep five times the
weights. `tools/multitask_losses.py` writes the losses of several seeds to assets/multitask/losses.json.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmlab.assets import asset
from lmlab.data.batches import WindowStream
from lmlab.data.corpus import corpus
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.text_model import load
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.loop import train
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState

# the kinds, each a family of the town
TASKS = {"email": "email", "code": "code", "fact": "facts", "sum": "arithmetic", "puzzle": "logic"}
STEPS = (10, 40, 160)  # of each of the five; the one takes five times as many
T, B = 64, 12
N_TOKENS, N_HELD_OUT = 120_000, 32  # of every kind: tokens to read, windows to be measured on
D, L, H = 64, 2, 2
SETTINGS = OptimizerSettings(optimizer="muon", lr=1e-2)
Losses = Mapping[str, float]  # of each kind, nats a token


@dataclass(frozen=True)
class Pair:
    """Of one budget and one seed: the held-out loss of every kind under the one model, and under its own model."""

    steps: int
    seed: int
    one: Losses
    five: Losses


def mean(losses: Losses) -> float:
    """Of all kinds, each counted alike."""
    return sum(losses.values()) / len(losses)


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """The mean over seeds and its standard error; nan for the error of a single one.

    >>> mean_and_error([1.0, 3.0])
    (2.0, 1.0)
    """
    n, middle = len(values), sum(values) / len(values)
    if n < 2:
        return middle, math.nan
    return middle, math.sqrt(sum((x - middle) ** 2 for x in values) / (n - 1) / n)


def train_pair(steps: int, seed: int, keep_on: Callable[[], bool] = lambda: True) -> Pair | None:
    """Both sides of one budget; `keep_on` is asked after each step, and None is the answer if it said no."""
    text, held_out = _reading()
    mixed = torch.cat(list(text.values()))
    one = _trained(mixed, steps * len(TASKS), seed, keep_on)
    five = {task: keep_on() and _trained(ids, steps, seed, keep_on) for task, ids in text.items()}
    if not keep_on():
        return None
    return Pair(
        steps,
        seed,
        {task: _loss(one, held_out[task]) for task in TASKS},
        {task: _loss(model, held_out[task]) for task, model in five.items() if model},
    )


def stored_pairs() -> tuple[Pair, ...]:
    """All budgets and seeds as they ship."""
    kept = json.loads(asset("multitask/losses.json").read_text(encoding="utf-8"))
    return tuple(Pair(p["steps"], p["seed"], p["one"], p["five"]) for p in kept["pairs"])


def _trained(ids: Tensor, steps: int, seed: int, keep_on: Callable[[], bool]) -> Transformer:
    config = TransformerConfig(vocab_size=_tokenizer().vocab_size, max_seq_len=T, d_model=D, n_layers=L, n_heads=H)
    model = Transformer(config, seed=seed)
    state = TrainState.begin(model, steps=steps, seed=seed, settings=SETTINGS)
    stream = WindowStream(ids, T=T, B=B, seed=seed)
    train(state, stream, next_token, steps, lambda state, point: keep_on())
    return model


@torch.no_grad()
def _loss(model: Transformer, held_out: Tensor) -> float:
    """Nats a token on windows (B, T + 1), but not of a document's first word: it says only which kind it will be."""
    inputs, targets = held_out[:, :-1], held_out[:, 1:]
    nats = F.cross_entropy(model(inputs).flatten(0, 1).float(), targets.flatten(), reduction="none")
    return float(nats[inputs.flatten() != _tokenizer().bos_id].mean())


@functools.cache
def _tokenizer() -> Tokenizer:
    return load("town").tokenizer


@functools.cache
def _reading() -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Of every kind: (N_TOKENS,) ids to read, and windows (N_HELD_OUT, T + 1) of other documents."""

    def stream(family: str, n_tokens: int, seed: int) -> Tensor:
        return corpus("town", documents=n_tokens // 18, seed=seed, families=[family]).ids(_tokenizer())[:n_tokens]

    text = {task: stream(family, N_TOKENS, 0) for task, family in TASKS.items()}
    n = N_HELD_OUT * (T + 1)
    return text, {task: stream(family, n, 1).view(N_HELD_OUT, T + 1) for task, family in TASKS.items()}
