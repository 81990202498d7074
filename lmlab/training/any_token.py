"""The experiment behind AnyToken: one transformer, one loss, and rows of patches, words and moves.

It reads fresh scenes of the lake (`data/lake.py`) and learns, as a language model does, what comes next: the
reflection from the sky, a goal from what is there, moves from all before. The exact entropy of each kind of token is
the floor under its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmlab.data.any_tokens import N_BINS, N_PATCHES, AnyVocabulary, SceneStream, from_bin
from lmlab.data.lake import MOVES, SKY_CELLS, nearest_cell, scene_entropy, scenes
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.training.trial import Trial

STEPS, EVERY, B = 200, 40, 32
D, L, H = 64, 2, 4
SETTINGS = OptimizerSettings(optimizer="muon", lr=0.02, warmup=10, schedule="wsd")
HELD_OUT, SEED = 96, 5_000  # scenes for measuring; no training draws them
PATCHES, WORDS, ACTIONS = slice(0, 16), slice(16, 20), slice(20, 26)  # places of targets; the last is the end


@dataclass(frozen=True)
class Losses:
    """Nats a token: of all, and of patches, words and moves apart. A measurement, or the floor."""

    all: float
    patches: float
    words: float
    moves: float


@dataclass(frozen=True, kw_only=True)
class AnyTokenPoint:
    """After `step` steps, on scenes never trained on: the losses; the share of pictures whose whole lower half the
    model fills in right (`completed`), and of flights that end in the square of the thing named (`followed`)."""

    step: int
    losses: Losses
    completed: float
    followed: float


def floor() -> Losses:
    """What no model can get below: the exact entropy of a row, shared out among its tokens."""
    sky, goal, moves = scene_entropy(N_BINS)
    n = AnyVocabulary.row - 1
    return Losses((sky + goal + moves) / n, sky / N_PATCHES, goal / 4, moves / (2 * MOVES))


class AnyTokenTrial(Trial[AnyTokenPoint]):
    """A small transformer trained by `next_token` on rows of anything; everything follows from `seed`."""

    def __init__(self, *, seed: int = 0, steps: int = STEPS) -> None:
        self.vocabulary = AnyVocabulary()
        config = TransformerConfig(
            vocab_size=self.vocabulary.V, max_seq_len=self.vocabulary.row, d_model=D, n_layers=L, n_heads=H,
            position="learned",
        )  # fmt: skip
        self.model = Transformer(config, seed=seed)
        self.state = TrainState.begin(self.model, steps=steps, seed=seed, settings=SETTINGS)
        self.stream = SceneStream(B=B, seed=seed)
        self._scenes = scenes(HELD_OUT, seed=SEED)
        self._rows = self.vocabulary.rows(self._scenes, seed=SEED)
        self.points = [self._measure()]

    def advance(self, n_steps: int = EVERY, keep_on: Callable[[], bool] = lambda: True) -> AnyTokenPoint:
        return super().advance(n_steps, keep_on)

    def _measure(self) -> AnyTokenPoint:
        return AnyTokenPoint(
            step=self.state.step,
            losses=losses(self.model, self._rows),
            completed=self._completed(),
            followed=self._followed(),
        )

    def _completed(self) -> float:
        start = 1 + SKY_CELLS
        filled = greedy(self.model, self._rows[:, :start], SKY_CELLS)
        return float((filled == self._rows[:, start : start + SKY_CELLS]).all(1).float().mean())

    def _followed(self) -> float:
        start = 1 + N_PATCHES + 4
        flown = greedy(self.model, self._rows[:, :start], 2 * MOVES)
        ends = [landing(row) for row in flown.tolist()]
        wanted = [scene.sky.index(scene.goal + 1) for scene in self._scenes]
        return sum(a == b for a, b in zip(ends, wanted, strict=True)) / len(ends)


@torch.no_grad()
def losses(model: Transformer, rows: Tensor) -> Losses:
    """The mean surprise at rows (B, T + 1) of scenes, in nats a token, for each kind of token."""
    found = -model(rows[:, :-1]).log_softmax(-1).gather(2, rows[:, 1:, None])[..., 0]
    return Losses(*(float(found[:, part].mean()) for part in (slice(None), PATCHES, WORDS, ACTIONS)))


@torch.no_grad()
def greedy(model: Transformer, ids: Tensor, n: int) -> Tensor:
    """The n ids that the model writes after ids (B, T), the likeliest each time: (B, n)."""
    T = ids.shape[1]
    for _ in range(n):
        ids = torch.cat([ids, model(ids)[:, -1:].argmax(-1)], dim=1)
    return ids[:, T:]


def flight(tokens: Sequence[int]) -> list[tuple[float, float]] | None:
    """Where the drone is before the first move and after each, from six ids; None where one is no move."""
    first = AnyVocabulary.first["move"]
    if any(token < first for token in tokens):
        return None
    values = [from_bin(token - first) for token in tokens]
    places = [(0.0, 0.0)]
    for dx, dy in zip(values[::2], values[1::2], strict=True):
        places.append((places[-1][0] + dx, places[-1][1] + dy))
    return places


def landing(tokens: Sequence[int]) -> int | None:
    """The cell, 0 to 15, where a flight of six ids ends; None where it is no flight."""
    places = flight(tokens)
    return None if places is None else nearest_cell(*places[-1])
