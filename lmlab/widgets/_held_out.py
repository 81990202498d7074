"""What a change of a model's weights costs: its loss on documents that it was not trained on, within a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmlab.models.language_model import LanguageModel
from lmlab.text_model import TextModel

if TYPE_CHECKING:
    from lmlab.data.town import Town

_TOWN_SEED = 2_026_070  # no recipe draws its training documents from this seed
_MOST_DOCUMENTS = 200
_PAIR = 64  # documents in one batch at most
_LONGEST = 16  # characters that a token is given: what is beyond is not even read


@dataclass(frozen=True)
class HeldOut:
    """Documents as ids (B, T+1) in batches of like length, how many ids of each row are real, and their floor.

    `floor` is the exact entropy rate of these documents in nats a token where the grammar is known, else None.
    """

    batches: tuple[tuple[Tensor, Tensor], ...]
    n_documents: int
    n_tokens: int
    floor: float | None
    source: str

    @torch.no_grad()
    def loss(self, model: LanguageModel) -> float:
        """Mean negative log-probability of a token, in nats, from the start of each document to its end."""
        total = 0.0
        for ids, lengths in self.batches:
            # Rows are filled up on the right: a model that sees only the past is not disturbed by it.
            log_probs = model.log_probs(ids[:, :-1]).gather(2, ids[:, 1:, None])[..., 0]
            real = torch.arange(1, ids.shape[1]) < lengths[:, None]
            total -= float(log_probs[real].double().sum())
        return total / self.n_tokens


def held_out(model: TextModel, text: str | Sequence[str] | None, *, n_tokens: int) -> HeldOut | None:
    """Documents for a model: the town's where `text` is "town", or those given; about `n_tokens` of them.

    None where there is nothing to predict.
    """
    town = text == "town"
    documents: Sequence[str] = _town_documents() if town else [text] if isinstance(text, str) else list(text or ())
    rows: list[list[int]] = []
    kept: list[str] = []
    known = 0
    for document in documents[:_MOST_DOCUMENTS]:
        if known >= n_tokens:
            break
        kept.append(document)
        for piece in _pieces(model, document[: _LONGEST * n_tokens]):
            if known < n_tokens:
                rows.append(piece)
                known += len(piece) - 1
    if not known:
        return None
    floor = sum(map(_floor_of, kept)) / known if town and known else None
    source = f"{len(kept):,} held-out documents of the town" if town else f"{known:,} tokens of your text"
    return HeldOut(_batches(rows), len(kept), known, floor, source)


def _pieces(model: TextModel, document: str) -> list[list[int]]:
    """A document's ids with its beginning and end, cut where it is longer than the model's context."""
    edge = [] if model.tokenizer.bos_id is None else [model.tokenizer.bos_id]
    ids = [*edge, *model.tokenizer.encode(document), *edge]
    context = model.max_seq_len or len(ids)
    pieces = [ids[start : start + context + 1] for start in range(0, max(1, len(ids) - 1), context)]
    return [piece for piece in pieces if len(piece) > 1]


def _batches(rows: list[list[int]]) -> tuple[tuple[Tensor, Tensor], ...]:
    ordered = sorted(rows, key=len)
    batches: list[tuple[Tensor, Tensor]] = []
    start = 0
    while start < len(ordered):
        end = start + 1
        while end < len(ordered) and end - start < _PAIR and len(ordered[end]) <= 1.25 * len(ordered[start]) + 4:
            end += 1
        group = ordered[start:end]
        longest = len(group[-1])
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in group])
        batches.append((ids, torch.tensor([len(row) for row in group])))
        start = end
    return tuple(batches)


@cache
def _town() -> Town:
    from lmlab.data.town import Town

    return Town()


@cache
def _town_documents() -> tuple[str, ...]:
    return tuple(_town().sample(_MOST_DOCUMENTS, seed=_TOWN_SEED))


@cache
def _floor_of(document: str) -> float:
    return -_town().log_prob(document)
