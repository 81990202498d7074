"""What a model can do by now, family by family: its loss above the truth's own, and its questions answered right.

The documents and questions are drawn once, and the truth is asked once, for all the snapshots of a training.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from lmlab.data.town import Town
from lmlab.data.town.floors import surprise
from lmlab.data.town.measure import answers, document_nats
from lmlab.data.town.probes import Probe, probes
from lmlab.data.town.town import FAMILIES
from lmlab.text_model import TextModel


@dataclass(frozen=True)
class Skill:
    """Of one family: loss and the truth's loss on the same documents, nats a token; the share of questions right."""

    family: str
    loss: float
    truth_loss: float
    right: float

    @property
    def gap(self) -> float:
        return self.loss - self.truth_loss


@functools.lru_cache(maxsize=64)
def _exam(family: str, dialect: str, n: int, seed: int) -> tuple[tuple[str, ...], float, tuple[Probe, ...]]:
    """n documents of a family that no recipe trains on, the truth's nats for all of them, and n questions."""
    documents = tuple(Town(dialect, (family,)).sample(n, 10_000 + seed))
    town = _town(dialect)
    truth = sum(surprise(town, document)[0] for document in documents)
    return documents, truth, tuple(p for p in probes(Town(dialect, (family,)), n, seed) if p.family == family)


@functools.cache
def _town(dialect: str) -> Town:
    return Town(dialect)


def skills(
    model: TextModel, families: Sequence[str], *, n: int = 16, seed: int = 1, dialect: str = "worried"
) -> dict[str, Skill]:
    """A model's skill in each of the families, on n documents and n questions.

    Raises ValueError for a family that the town lacks, or a tokenizer without <|endoftext|>.
    """
    unknown = [name for name in families if name not in FAMILIES]
    if unknown or not families:
        raise ValueError(f"Unknown families: {', '.join(unknown) or 'none given'}; choose from {', '.join(FAMILIES)}.")
    if model.tokenizer.bos_id is None:
        raise ValueError(f"{model.name} has no <|endoftext|> token, so it cannot read whole documents of the town.")
    found = {}
    for family in families:
        documents, truth, asked = _exam(family, dialect, n, seed)
        mine = document_nats(model.model, model.tokenizer, documents)
        tokens = sum(count for _, count in mine)
        right = answers(model.model, model.tokenizer, asked)[family]
        found[family] = Skill(family, sum(nats for nats, _ in mine) / tokens, truth / tokens, right)
    return found
