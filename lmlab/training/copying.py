"""The experiment behind InductionHeads: from random weights, a model of attention alone learns to copy.

The text is random tokens that repeat themselves (`data/repeats.py`), so copying is all there is to learn: with two
layers it appears suddenly, after a stretch in which nothing seems to happen; one layer cannot do it. Source: Olsson
et al. 2022, arXiv 2209.11895, who found both the sudden change and the need for two layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lmlab.data.repeats import RepeatStream
from lmlab.models.ablation import ablate, without_heads
from lmlab.models.induction import copying, induction_scores, look_back_scores
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.training.trial import Trial

V, T, B = 32, 48, 32  # a vocabulary of 32, rows of 48, of which a batch has 32
SHORTEST, LONGEST = 8, 24  # tokens in the piece that a row repeats
STEPS, EVERY = 300, 10
COPIER = 1 / 3  # the share of attention from which a head counts as one that copies
HELD_OUT = 64  # rows for measuring, never trained on
SETTINGS = OptimizerSettings(lr=1e-2, weight_decay=0.0, warmup=10, schedule="constant")


@dataclass(frozen=True, kw_only=True)
class CopyPoint:
    """One measurement: accuracy (0 to 1) and loss (nats a token) at tokens that stood there before; the largest
    share of its attention that a head gives to what followed them (`induction`)."""

    step: int
    accuracy: float
    loss: float
    induction: float


class CopyTrial(Trial[CopyPoint]):
    """An attention-only model of `n_layers` that learns to copy; everything follows from `seed`.

    `advance` trains a few steps and measures; `points` are all measurements, the first before any training.
    """

    def __init__(self, n_layers: int = 2, *, seed: int = 0, steps: int = STEPS) -> None:
        config = TransformerConfig(
            vocab_size=V, max_seq_len=T + 1, d_model=32, n_layers=n_layers, n_heads=2, tie_embeddings=False
        )
        self.model = ablate(Transformer(config, seed=seed), "mlp")
        self.state = TrainState.begin(self.model, steps=steps, seed=seed, settings=SETTINGS)
        self.stream = RepeatStream(V=V, T=T, B=B, shortest=SHORTEST, longest=LONGEST, seed=seed)
        self.held_out = RepeatStream(V=V, T=T, B=HELD_OUT, shortest=SHORTEST, longest=LONGEST, seed=1_000 + seed).rows()
        self.points = [self._measure()]

    def advance(self, n_steps: int = EVERY, keep_on: Callable[[], bool] = lambda: True) -> CopyPoint:
        return super().advance(n_steps, keep_on)

    def scores(self) -> Tensor:
        """The induction score of every head, (L, H), from 0 to 1."""
        return induction_scores(self.model, self.held_out)

    def copiers(self) -> list[tuple[int, int]]:
        """The heads, as (layer, head), that give more than a third of their attention to what followed before."""
        return [
            (layer, head)
            for layer, row in enumerate(self.scores().tolist())
            for head, x in enumerate(row)
            if x > COPIER
        ]

    def looks_back(self) -> tuple[int, int]:
        """The head that looks most at the token just before, as (layer, head)."""
        return divmod(int(look_back_scores(self.model, self.held_out).argmax()), self.model.config.n_heads)

    def accuracy_without(self, *heads: tuple[int, int]) -> float:
        """Accuracy with these heads, as (layer, head), silenced; from 0 to 1."""
        return copying(without_heads(self.model, heads), self.held_out).accuracy

    def _measure(self) -> CopyPoint:
        measured = copying(self.model, self.held_out)
        return CopyPoint(
            step=self.state.step,
            accuracy=measured.accuracy,
            loss=measured.loss,
            induction=float(self.scores().max()),
        )
