"""The sweep behind lab 09: one recipe at many widths and budgets, to ask how good the next size will be.

Every run reads text that it has not seen before, exactly as much as its budget pays for: n_tokens = C / (6 n_params),
where n_params counts all weights. The embedding table is among them because it is tied: it is multiplied with the
last hidden state, which is most of the work at these widths. The schedule ends where the run ends: a loss read off in
the middle of a longer run is too high, one reason why the published laws disagree (Hoffmann et al. 2022).
`tools/scaling_sweep.py` writes the runs to assets/models/scaling/runs.json.
"""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

from lmlab.assets import asset
from lmlab.data.corpus import Corpus, corpus
from lmlab.data.packing import whole_documents
from lmlab.data.town.floors import surprise
from lmlab.data.town.measure import answers, document_nats
from lmlab.data.town.probes import Probe, probes
from lmlab.data.town.town import Town
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.text_model import load
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.loop import train
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState

T, B, LAYERS = 128, 4, 2
READ, MEASURED = 1_000, 1_001  # seeds of the text that is read and of the text that measures
HELD_OUT_FLOPS = 2e12  # the budget that no fit of lab 09 sees
DOCUMENTS, PROBES = 300, 15  # of fresh whole documents, and of questions a family
TOKENS_A_DOCUMENT = 25.8  # mean of the town in its own tokenizer, its BOS included


@dataclass(frozen=True)
class ScalingPoint:
    """What a run cost and reached.

    n_params: all weights. n_tokens: read so far, each once. loss and floor: nats a token on the same fresh whole
    documents, the floor by the town's exact probabilities. accuracy: of greedy answers, a family. seconds: of
    processor time, training alone.
    """

    d_model: int
    seed: int
    lr: float
    n_params: int
    n_tokens: int
    loss: float
    floor: float
    accuracy: Mapping[str, float]
    seconds: float

    @property
    def flops(self) -> float:
        """6 n_params n_tokens."""
        return 6.0 * self.n_params * self.n_tokens

    @property
    def budget(self) -> float:
        """The FLOPs that were asked for: `flops` to one digit, since whole steps never spend a budget exactly."""
        return float(f"{self.flops:.0e}")

    @property
    def mean_accuracy(self) -> float:
        """Over the town's families, each counted once."""
        return sum(self.accuracy.values()) / len(self.accuracy)


def shape(d_model: int, vocab_size: int = 2048) -> TransformerConfig:
    """The sweep's model at a width: two layers, heads about 16 wide, a feed-forward layer three times the width."""
    if isinstance(d_model, bool) or not isinstance(d_model, int) or not 4 <= d_model <= 256 or d_model % 2:
        raise ValueError(f"d_model must be an even whole number from 4 to 256, such as 24, not {d_model!r}.")
    return TransformerConfig(
        vocab_size=vocab_size,
        max_seq_len=256,
        d_model=d_model,
        n_layers=LAYERS,
        n_heads=max(h for h in range(1, max(1, d_model // 16) + 1) if d_model % (2 * h) == 0),
        d_ff=3 * d_model,
        qkv_bias=True,
    )


def learning_rate_at(d_model: int) -> float:
    """The peak rate: a power law in the width, through the best of three rates in 200 steps at widths 8, 24 and 96."""
    return 0.05 * (24 / d_model) ** 0.6


def steps_for(d_model: int, flops: float) -> int:
    """Steps of B rows of T tokens that a budget of FLOPs pays for at a width."""
    steps = round(flops / (6 * shape(d_model).n_params * T * B))
    if steps < 20:
        raise ValueError(
            f"{flops:.1e} FLOPs buy {steps} steps of training at d_model {d_model}, and 20 are the least that say "
            "anything: take a smaller width or a larger budget."
        )
    return steps


class ScalingRun:
    """A model of the sweep in training; all follows from width, budget and seed.

    `lr` is the rule's unless it is given. Raises ValueError for a budget that buys next to nothing.
    """

    def __init__(self, d_model: int, flops: float, *, seed: int = 0, lr: float | None = None) -> None:
        config, steps = shape(d_model), steps_for(d_model, flops)
        self.d_model, self.seed, self.lr = d_model, seed, lr or learning_rate_at(d_model)
        self.n_params = config.n_params
        self.model = Transformer(config, seed=seed)
        settings = OptimizerSettings(
            optimizer="muon",
            lr=self.lr,
            betas=(0.9, 0.98),
            warmup=min(50, steps // 10),
            schedule="wsd",
            decay_fraction=0.4,
        )
        self.state = TrainState.begin(self.model, steps=steps, seed=seed, settings=settings)
        self.stream = whole_documents(_text(steps * T * B), _tokenizer(), T=T, B=B, seed=seed)
        self.seconds = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        return self.state.step >= self.state.steps

    def advance(self, n_steps: int | None = None, keep_on: Callable[[], bool] = lambda: True) -> ScalingRun:
        """Train n_steps more (all that are left), or until `keep_on` says no, which is asked after each."""
        started = time.thread_time()
        until = self.state.steps if n_steps is None else min(self.state.steps, self.state.step + n_steps)
        train(self.state, self.stream, next_token, until, lambda state, point: keep_on())
        self.seconds += time.thread_time() - started
        return self

    def measure(self) -> ScalingPoint:
        """What the model knows now. Only where the budget is spent is it a point of a law."""
        documents, floor, asked = _exam()
        found = document_nats(self.model, _tokenizer(), documents)
        return ScalingPoint(
            d_model=self.d_model,
            seed=self.seed,
            lr=self.lr,
            n_params=self.n_params,
            n_tokens=self.state.tokens,
            loss=sum(nats for nats, _ in found) / sum(n for _, n in found),
            floor=floor,
            accuracy=answers(self.model, _tokenizer(), asked),
            seconds=self.seconds,
        )


def stored_sweep() -> tuple[ScalingPoint, ...]:
    """The runs that ship, the held-out ones left out."""
    return tuple(point for point in _stored() if point.budget < HELD_OUT_FLOPS)


def held_out_runs() -> tuple[ScalingPoint, ...]:
    """The runs at the budget that lab 09 predicts before it looks, the best first."""
    return tuple(sorted((p for p in _stored() if p.budget == HELD_OUT_FLOPS), key=lambda p: p.loss))


def best_of_each_budget(points: Sequence[ScalingPoint]) -> tuple[ScalingPoint, ...]:
    """The run of lowest loss at each budget, the smallest budget first."""
    budgets = sorted({point.budget for point in points})
    return tuple(min((p for p in points if p.budget == budget), key=lambda p: p.loss) for budget in budgets)


def around_the_best(points: Sequence[ScalingPoint], n_sizes: int = 5) -> tuple[ScalingPoint, ...]:
    """Of runs at one budget those of the `n_sizes` sizes next to the best, the smallest size first: near the bottom of
    a valley a parabola fits, and further up it does not."""
    best = min(points, key=lambda p: p.loss)
    sizes = sorted({p.n_params for p in points}, key=lambda n: abs(math.log(n / best.n_params)))[:n_sizes]
    return tuple(sorted((p for p in points if p.n_params in sizes), key=lambda p: p.n_params))


@functools.cache
def _stored() -> tuple[ScalingPoint, ...]:
    rows = json.loads(asset("models/scaling/runs.json").read_text(encoding="utf-8"))["runs"]
    return tuple(ScalingPoint(**{f.name: row[f.name] for f in fields(ScalingPoint)}) for row in rows)


def _text(n_tokens: int) -> Corpus:
    # A power of two of documents, so that many runs share one corpus; more than are read, so that none is read twice.
    return _corpus(2 ** math.ceil(math.log2(1.3 * n_tokens / TOKENS_A_DOCUMENT)))


@functools.lru_cache(maxsize=2)
def _corpus(documents: int) -> Corpus:
    return corpus("town", documents=documents, seed=READ)


@functools.cache
def _tokenizer() -> Tokenizer:
    return load("town").tokenizer


@functools.cache
def _exam() -> tuple[tuple[str, ...], float, tuple[Probe, ...]]:
    """Fresh documents, the truth's own loss on them in nats a token, and questions of every family."""
    tok, town = _tokenizer(), Town()
    documents = town.sample(DOCUMENTS, MEASURED)
    nats = sum(surprise(town, document)[0] for document in documents)
    floor = nats / sum(len(tok.encode(document)) + 1 for document in documents)
    asked = tuple(probe for probe in probes(town, PROBES, MEASURED) if probe.family in town.families)
    return tuple(documents), floor, asked
