"""A task of one rule, learned while you wait: name the one rare word among seven small ones, wherever it stands.

Three networks learn it: one attention layer (our transformer), the lecture's flat network, the same with a hidden
layer of ReLUs. In training each rare word never stands in one of the eight places, a place of its own; what a network
says there shows whether it learned a rule or a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from lmlab.data.batches import Batch
from lmlab.models.mlp import MLP
from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.loop import train
from lmlab.training.objectives import IGNORED, next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState

SMALL = ("the", "and", "of", "to", "a", "in", "on", "it")
RARE = ("goose", "tulips", "comet", "walrus", "saffron", "thunder", "velvet", "zeppelin", "origami", "cello", "lantern",
        "pretzel")  # fmt: skip
WORDS = (*SMALL, *RARE, "?", "none")
PLACES = 8
ASK, NONE = len(WORDS) - 2, len(WORDS) - 1  # "?" ends each sentence and asks; "none" is the answer where none is rare
STEPS, BATCH, WIDTH, HIDDEN = 200, 64, 16, 144
ATTENTION, LINEAR, RELU = "attention", "flat, one matrix", "flat, with ReLU"


def never_at(word: int) -> int:
    """The place, 0 to 7, where this rare word (its number in RARE) never stands in training."""
    return (word * 5 + 3) % PLACES


def sentences(words: Tensor, places: Tensor, generator: torch.Generator) -> Tensor:
    """Small words drawn at random, a rare word (its number in RARE, -1 for none) set in; (B) and (B) to (B, 9) ids."""
    ids = torch.randint(0, len(SMALL), (len(words), PLACES + 1), generator=generator)
    ids[:, -1] = ASK
    rows = torch.arange(len(words))[words >= 0]
    ids[rows, places[rows]] = len(SMALL) + words[rows]
    return ids


def placements(n: int, generator: torch.Generator, *, where: str = "trained") -> tuple[Tensor, Tensor]:
    """Rare words (B) and places (B): where they stood in "training", where they "never" did, or "anywhere"."""
    words = torch.randint(0, len(RARE), (n,), generator=generator)
    never, move = (words * 5 + 3) % PLACES, torch.randint(1, PLACES, (n,), generator=generator)
    places = {"trained": (never + move) % PLACES, "never": never}.get(where)
    return words, torch.randint(0, PLACES, (n,), generator=generator) if places is None else places


class _Sentences:
    """Batches of sentences whose one target is the rare word, asked for at the end; one in ten has none."""

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(1)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            words, places = placements(BATCH, self._generator)
            words[: BATCH // 10] = -1
            inputs = sentences(words, places, self._generator)
            targets = torch.full_like(inputs, IGNORED)
            targets[:, -1] = torch.where(words < 0, NONE, len(SMALL) + words)
            yield Batch(inputs, targets)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Every training begins at the first batch."""


@cache
def trained() -> dict[str, nn.Module]:
    """The three networks, trained now: about two seconds on one core, once a kernel."""
    config = TransformerConfig(
        vocab_size=len(WORDS), max_seq_len=PLACES + 1, d_model=WIDTH, n_layers=1, n_heads=1, d_ff=32,
        position="learned", tie_embeddings=False,
    )  # fmt: skip
    flat = {"d_model": WIDTH, "max_seq_len": PLACES + 1}
    networks: dict[str, nn.Module] = {
        ATTENTION: Transformer(config, seed=0),
        LINEAR: MLP(len(WORDS), **flat),
        RELU: MLP(len(WORDS), d_hidden=HIDDEN, **flat),
    }
    settings = OptimizerSettings(lr=0.015, weight_decay=0.01)
    for network in networks.values():
        state = TrainState.begin(network, steps=STEPS, seed=0, settings=settings)
        train(state, _Sentences(), next_token, STEPS)
    return networks


@torch.no_grad()
def answers(network: nn.Module, ids: Tensor) -> Tensor:
    """What a network says at the question mark: ids (B, T) to probabilities (B, V)."""
    probs: Tensor = network(ids)[:, -1].softmax(-1)
    return probs


def weights(name: str, ids: Tensor) -> Tensor:
    """How much each of the eight places counts for the answer, as shares (B, 8) that sum to one.

    attention: the weights with which the question mark looks at the words, what it gives itself left out. One
    matrix: the length of the block of weights that carries a place to the answer; the same for every sentence.
    With ReLU: how far the answer's score moves with the word at a place, which depends on the units that are on.
    """
    network = trained()[name]
    if isinstance(network, Transformer):
        trace = Trace()
        with torch.no_grad():
            network(ids, trace=trace)
        found = trace.attention[0][:, 0, -1, :PLACES]
    elif name == LINEAR:
        assert isinstance(network, MLP)
        last = network.matrices[0].detach()[-len(WORDS) :].reshape(len(WORDS), PLACES + 1, WIDTH)
        found = last.square().sum((0, 2)).sqrt()[:PLACES].expand(len(ids), -1)
    else:
        found = _reach(network, ids)
    return found / found.sum(-1, keepdim=True)


@torch.no_grad()
def units_on(ids: Tensor) -> int:
    """Of the hidden units of the network with ReLUs, how many are above zero for this sentence (1, T)."""
    network = trained()[RELU]
    assert isinstance(network, MLP)
    x = network.embedding(ids).flatten(1)
    places = torch.arange(x.shape[1]) // WIDTH
    unit = torch.arange(HIDDEN) * (PLACES + 1) // HIDDEN
    return int((x @ (network.matrices[0] * (unit[:, None] >= places)).T > 0).sum())


def _reach(network: nn.Module, ids: Tensor) -> Tensor:
    """Length of the gradient of the winning score with respect to each word's embedding: (B, T) to (B, 8)."""
    assert isinstance(network, MLP)
    with torch.enable_grad():
        x = network.embedding(ids).detach().requires_grad_()
        score = network.from_embeddings(x)[:, -1].amax(-1).sum()
        (gradient,) = torch.autograd.grad(score, x)
    return gradient.norm(dim=-1)[:, :PLACES]


@dataclass(frozen=True)
class Measured:
    """Of 200 random placements, how often a network's largest weight stands on the rare word; and how often it names
    the word, of 200 placements as in training and 200 never seen there."""

    follows: int
    named: float
    named_elsewhere: float


@cache
def measured(n: int = 200, seed: int = 2) -> dict[str, Measured]:
    """Each network on the same random placements."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {where: placements(n, generator, where=where) for where in ("anywhere", "trained", "never")}
    ids = {where: sentences(*pair, generator) for where, pair in drawn.items()}
    result = {}
    for name, network in trained().items():
        follows = int((weights(name, ids["anywhere"]).argmax(-1) == drawn["anywhere"][1]).sum())
        right = {
            where: float((answers(network, ids[where]).argmax(-1) == len(SMALL) + drawn[where][0]).float().mean())
            for where in ("trained", "never")
        }
        result[name] = Measured(follows, right["trained"], right["never"])
    return result
