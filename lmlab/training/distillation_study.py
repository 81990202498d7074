"""The experiment behind Distillation: one small student, little text, and three things to learn from.

Every arm begins with the same weights and takes as many steps over as many tokens; only what it is told differs.
Measured is how far it is from the truth, which for the town is known exactly: KL(truth ‖ student), nats a token, on
documents that no arm has read. `tools/distillation_kls.py` writes three seeds of each arm to
assets/beyond/distillation.json.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmlab.assets import asset
from lmlab.data.batches import WindowStream
from lmlab.data.corpus import Corpus
from lmlab.data.town.town import Town
from lmlab.data.town.truth import TownTruth
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.sampling import generate_batch
from lmlab.text_model import TextModel
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.distillation import distill, teacher_logits
from lmlab.training.objectives import Objective, next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.training.trial import Trial

HARD, SOFT, SAMPLES, FRESH = "hard", "soft", "samples", "fresh samples"
ARMS = {
    HARD: "the text",
    SOFT: "the teacher's distribution at every place of the text",
    SAMPLES: "as much text, written by the teacher",
    FRESH: "text written by the teacher, none of it read twice",
}
DOCUMENTS, STEPS, EVERY = 150, 100, 10
FRESH_DOCUMENTS = 1_200  # more tokens than all steps read
T, B = 32, 8
D, L, H = 64, 2, 4
SETTINGS = OptimizerSettings(optimizer="muon", lr=0.04, warmup=10)
HELD_OUT = 48  # documents for measuring
READ, MEASURED = 3_000, 2_000  # seeds of the text that is read, from here upward, and of the text that measures


@dataclass(frozen=True)
class KLPoint:
    """After `step` steps, in nats a token over held-out documents: KL(truth ‖ student) and KL(teacher ‖ student)."""

    step: int
    truth: float
    teacher: float


class HeldOut:
    """Documents of the town that nobody reads, as ids (B, T), and what is known at each of their places.

    Rows are padded on the right, which a causal model cannot see, and padding does not count. `truth` and `teacher`
    are probabilities (B, T, V), from BOS to the end of each document.
    """

    def __init__(self, teacher: TextModel, *, n: int = HELD_OUT, seed: int = MEASURED) -> None:
        tok = teacher.tokenizer
        rows = [[bos_of(tok), *tok.encode(document)] for document in Town().sample(n, seed)]
        self.ids = torch.full((n, max(map(len, rows))), bos_of(tok))
        for place, row in enumerate(rows):
            self.ids[place, : len(row)] = torch.tensor(row)
        self.counts = torch.arange(self.ids.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
        self.truth = TownTruth(tok).log_probs(self.ids).exp()[self.counts]
        self.teacher = teacher_logits(teacher.model, self.ids)[self.counts].softmax(-1)

    @torch.no_grad()
    def kl(self, model: Any) -> tuple[float, float]:
        """(KL(truth ‖ model), KL(teacher ‖ model)), nats a token."""
        log_probs = teacher_logits(model, self.ids)[self.counts].log_softmax(-1)
        return mean_kl(self.truth, log_probs), mean_kl(self.teacher, log_probs)


def mean_kl(p: Tensor, log_q: Tensor) -> float:
    """The mean of KL(p ‖ q) over rows: p (B, V), log q (B, V), nats. Where p is zero nothing is added."""
    surprise = -(p * log_q.masked_fill(p == 0, 0.0)).sum(-1)
    return float((surprise - torch.special.entr(p).sum(-1)).double().mean())


@functools.lru_cache(maxsize=2)
def held_out(teacher: TextModel) -> HeldOut:
    """The measuring documents for a teacher, made once."""
    return HeldOut(teacher)


class DistillationTrial(Trial[KLPoint]):
    """A small student of `teacher`'s vocabulary, trained on one of `ARMS`; all follows from the arm and `seed`.

    `temperature` concerns the soft arm alone. Raises ValueError for an arm that there is not, and a teacher whose
    tokenizer has no <|endoftext|>.
    """

    def __init__(
        self, teacher: TextModel, arm: str = SOFT, *, temperature: float = 1.0, seed: int = 0, steps: int = STEPS
    ) -> None:
        if arm not in ARMS:
            raise ValueError(f"There is no arm {arm!r}: choose one of {', '.join(ARMS)}.")
        tok = teacher.tokenizer
        config = TransformerConfig(vocab_size=tok.vocab_size, max_seq_len=512, d_model=D, n_layers=L, n_heads=H)
        self.arm, self.teacher = arm, teacher
        self.model = Transformer(config, seed=seed)
        self.student = TextModel(self.model, tok, name=arm)
        self.state = TrainState.begin(self.model, steps=steps, seed=seed, settings=SETTINGS)
        self.stream = WindowStream(text_of(teacher, arm, seed), T=T, B=B, seed=seed)
        self._told = distill(teacher, temperature) if arm == SOFT else next_token
        self._held_out = held_out(teacher)
        self.points = [self._measure()]

    def advance(self, n_steps: int = EVERY, keep_on: Callable[[], bool] = lambda: True) -> KLPoint:
        return super().advance(n_steps, keep_on)

    def _objective(self) -> Objective:
        return self._told

    def _measure(self) -> KLPoint:
        return KLPoint(self.state.step, *self._held_out.kl(self.model))


def bos_of(tok: Tokenizer) -> int:
    """The id that stands between documents. Raises ValueError where there is none."""
    if tok.bos_id is None:
        raise ValueError("The town's documents begin with <|endoftext|>, which the teacher's tokenizer does not have.")
    return tok.bos_id


def text_of(teacher: TextModel, arm: str, seed: int) -> Tensor:
    """The ids (T,) that an arm reads: documents of the town, or as many that the teacher has written."""
    if arm in (HARD, SOFT):
        return Corpus(tuple(Town().sample(DOCUMENTS, READ + seed))).ids(teacher.tokenizer)
    return written(teacher, FRESH_DOCUMENTS if arm == FRESH else DOCUMENTS, seed)


def written(teacher: TextModel, n: int, seed: int) -> Tensor:
    """(T,) ids of `n` documents that the teacher writes at temperature 1, BOS before each."""
    bos = bos_of(teacher.tokenizer)
    start = [torch.tensor([bos])] * n
    drawn = generate_batch(teacher.model, start, 100, seed=READ + seed, stop_ids=[bos])
    ids = [bos]
    for document in drawn:
        ids += [one.id for one in document]
        ids += [bos] if ids[-1] != bos else []
    return torch.tensor(ids)


@dataclass(frozen=True)
class StoredKL:
    """What an arm reached with each seed: KL(truth ‖ student), nats a token."""

    arm: str
    truth: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return sum(self.truth) / len(self.truth)


def stored_distillation() -> Mapping[str, StoredKL]:
    """All arms of `town`, as they ship; "soft, temperature 2" and 4 among them."""
    kept = json.loads(asset("beyond/distillation.json").read_text(encoding="utf-8"))
    return {arm: StoredKL(arm, tuple(map(float, values))) for arm, values in kept["truth"].items()}
