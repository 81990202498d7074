"""The experiment behind CurationFunnel: the same short training on what is left after each filter.

Every arm begins with the same weights, takes the same number of steps of the same size, and is measured on the same
clean text of other modules. So the losses differ by what was read alone. A model of bytes has no tokenizer, and its
loss is bits a byte as it stands. `tools/curation_losses.py` writes those of three seeds to
assets/curation/losses.json. Lecture: "what web pages look like", and why Common Crawl is not read as it is.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmlab.assets import asset
from lmlab.data.batches import WindowStream
from lmlab.data.curation import STAGES, Funnel
from lmlab.data.pages import Page
from lmlab.data.standard_library import pages_of
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.training.trial import Trial

UNCURATED, ORACLE = "uncurated", "oracle"
ARMS = (UNCURATED, *STAGES, ORACLE)  # the pages left after each stage; the oracle reads the good ones alone
STEPS, EVERY = 240, 40
T, B = 64, 24
HELD_OUT = 192  # windows for measuring
D, L, H = 64, 2, 2
SETTINGS = OptimizerSettings(optimizer="muon", lr=3e-2, warmup=10)
SEPARATOR = 0  # the byte between two pages, which no text has


@dataclass(frozen=True)
class BitsPoint:
    """The held-out loss after `step` steps, in bits a byte."""

    step: int
    bits: float


class CurationTrial(Trial[BitsPoint]):
    """A small model of bytes, trained on `pages`; all follows from them and `seed`.

    Raises ValueError where the pages are too few for one batch.
    """

    def __init__(self, pages: Iterable[Page], *, seed: int = 0, steps: int = STEPS) -> None:
        config = TransformerConfig(vocab_size=256, max_seq_len=T, d_model=D, n_layers=L, n_heads=H)
        self.model = Transformer(config, seed=seed)
        self.state = TrainState.begin(self.model, steps=steps, seed=seed, settings=SETTINGS)
        self.stream = WindowStream(as_bytes(page.text for page in pages), T=T, B=B, seed=seed)
        self.held_out = _held_out()
        self.points = [self._measure()]

    def advance(self, n_steps: int = EVERY, keep_on: Callable[[], bool] = lambda: True) -> BitsPoint:
        return super().advance(n_steps, keep_on)

    @torch.no_grad()
    def _measure(self) -> BitsPoint:
        logits = self.model(self.held_out[:, :-1])
        nats = F.cross_entropy(logits.flatten(0, 1).float(), self.held_out[:, 1:].flatten())
        return BitsPoint(self.state.step, float(nats) / math.log(2))


def arm_pages(arm: str, funnel: Funnel) -> tuple[Page, ...]:
    """What an arm reads. Raises ValueError for an arm that there is not."""
    if arm not in ARMS:
        raise ValueError(f"There is no arm {arm!r}: choose one of {', '.join(ARMS)}.")
    if arm == ORACLE:
        return tuple(page for page in funnel.pages if page.good)
    return tuple(funnel.pages[i] for i in funnel.after[arm]) if arm in funnel.after else funnel.pages


def as_bytes(texts: Iterable[str]) -> Tensor:
    """(T,) ids of all texts as UTF-8 bytes, a zero between them."""
    joined = bytes([SEPARATOR]).join(text.encode("utf-8", "replace") for text in texts)
    return torch.tensor(list(joined), dtype=torch.int64)


@dataclass(frozen=True)
class StoredLoss:
    """What an arm reached with each seed, in bits a byte."""

    arm: str
    bits: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return sum(self.bits) / len(self.bits)

    @property
    def error(self) -> float:
        """The standard error of the mean over the seeds."""
        n, mean = len(self.bits), self.mean
        return math.sqrt(sum((x - mean) ** 2 for x in self.bits) / (n - 1) / n) if n > 1 else math.nan


def stored_curation() -> Mapping[str, StoredLoss]:
    """All arms as they ship, at the default thresholds."""
    kept = json.loads(asset("curation/losses.json").read_text(encoding="utf-8"))
    return {arm: StoredLoss(arm, tuple(map(float, kept["bits"][arm]))) for arm in ARMS}


@functools.cache
def _held_out() -> Tensor:
    """Windows (B, T + 1), B = HELD_OUT, of clean pages that stand in no crawl, spread over all of them."""
    ids = as_bytes(dict.fromkeys(pages_of("held out")))
    n_windows = len(ids) // (T + 1)
    if n_windows < HELD_OUT:
        raise ValueError(f"The held-out text has {n_windows} windows of {T + 1} bytes; {HELD_OUT} are needed.")
    windows = ids[: n_windows * (T + 1)].view(n_windows, T + 1)
    return windows[torch.linspace(0, n_windows - 1, HELD_OUT).long()]
