"""The experiment behind BlockAblation: the same short training, each time with one part taken out.

Every arm begins with the same weights, reads the same text in the same order for the same number of steps, and is
measured on the same windows of other documents. So the losses differ by the part alone. `tools/ablation_losses.py`
writes those of seed 0 to assets/ablation/losses.json.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmlab.assets import asset
from lmlab.data.batches import windows
from lmlab.data.corpus import Corpus, corpus
from lmlab.models.ablation import PARTS, ablate
from lmlab.models.ngram import NGram
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.text_model import load
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.training.trial import Trial

STEPS, EVERY = 100, 20
T, B = 64, 12
HELD_OUT = 48  # windows for measuring
D, L, H = 64, 2, 2
ARMS = ("whole", *PARTS)
SETTINGS = OptimizerSettings(optimizer="muon", lr=1e-2, warmup=10)


@dataclass(frozen=True)
class LossPoint:
    """The held-out loss after `step` steps, in nats a token."""

    step: int
    loss: float


class AblationArm(Trial[LossPoint]):
    """A small model without one part ("whole" is without none), trained on the town; all follows from `seed`."""

    def __init__(self, part: str, *, seed: int = 0, steps: int = STEPS) -> None:
        if part not in ARMS:
            raise ValueError(f"There is no arm {part!r}: choose one of {', '.join(ARMS)}.")
        text, tok, self.held_out = _reading()
        config = TransformerConfig(vocab_size=tok.vocab_size, max_seq_len=T, d_model=D, n_layers=L, n_heads=H)
        whole = Transformer(config, seed=seed)
        self.model = whole if part == "whole" else ablate(whole, part)
        self.state = TrainState.begin(self.model, steps=steps, seed=seed, settings=SETTINGS)
        self.stream = windows(text, tok, T=T, B=B, seed=seed)
        self.points = [self._measure()]

    def advance(self, n_steps: int = EVERY, keep_on: Callable[[], bool] = lambda: True) -> LossPoint:
        return super().advance(n_steps, keep_on)

    @torch.no_grad()
    def _measure(self) -> LossPoint:
        logits = self.model(self.held_out[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1).float(), self.held_out[:, 1:].flatten())
        return LossPoint(self.state.step, float(loss))


@functools.cache
def counting_loss() -> float:
    """What a bigram that counts the same text reaches on the same windows, in nats a token."""
    text, tok, held_out = _reading()
    counts = NGram.fit(text.ids(tok), n=2, vocab_size=tok.vocab_size, smoothing="interpolated")
    said = counts.log_probs(held_out[:, :-1]).gather(-1, held_out[:, 1:, None])
    return -float(said.mean())


def stored_losses() -> Mapping[str, tuple[LossPoint, ...]]:
    """The losses of every arm at seed 0 as they ship, each from step 0 to STEPS."""
    kept = json.loads(asset("ablation/losses.json").read_text(encoding="utf-8"))
    return {part: tuple(LossPoint(int(s), float(x)) for s, x in kept["losses"][part]) for part in ARMS}


@functools.cache
def _reading() -> tuple[Corpus, Tokenizer, Tensor]:
    """The text that is read, its tokenizer, and windows of other documents, (B, T + 1) with B = HELD_OUT."""
    tok = load("town").tokenizer
    text = corpus("town", documents=2_000, seed=0)
    other = corpus("town", documents=300, seed=1).ids(tok)[: HELD_OUT * (T + 1)]
    return text, tok, other.view(HELD_OUT, T + 1)
