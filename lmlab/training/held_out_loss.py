"""What a change of a model's weights costs: its loss on documents that it was not trained on, within a second.

Lecture: "put each weight in the nearest bin under a low-loss metric": this is the loss that counts in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lmlab.models.language_model import LanguageModel
from lmlab.text_model import TextModel

if TYPE_CHECKING:
    from lmlab.data.town import Town

_TOWN_SEED = 2_026_070  # no recipe draws its training documents from this seed
_MOST_DOCUMENTS = 200
_PROSE_FROM = 20_000_000  # parameters: a model of so many was not made by a lab, and never heard of the town
_PAIR = 64  # documents in one batch at most
PROSE = (
    "Every autumn the ferry between the two islands changed its timetable, and every autumn somebody missed it. "
    "This year it was Mrs. Halloran, who stood on the pier with two suitcases, a birdcage and a hat that the wind had "
    "already tried to take from her twice. The boat was a gray shape by now, no larger than a loaf of bread, and the "
    "man who sold the tickets had closed his window. She did not shout. She sat down on the larger of the suitcases, "
    "put the cage beside her out of the wind, and asked the bird what it thought they should do. It was a practical "
    "bird. It looked at the café across the road, where a light had just been switched on, and then at her. So they "
    "went in, and that is how she came to know the baker's brother, who owned a boat of his own and had nothing to do "
    "until the herring came back. He did not like to be paid in money. He asked instead for a story, any story, as "
    "long as he had not heard it before, and he warned her that he was hard to surprise: forty winters on this coast "
    "had brought him every traveler with a tale to tell. She thought for a while, turning the cup in her hands."
)
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


def held_out(
    model: TextModel, text: str | Sequence[str] | None = "held-out", *, n_tokens: int | None = None
) -> HeldOut | None:
    """Documents for a model: the town's where `text` is "town", a page of prose where it is "prose", or those given.

    "held-out" is prose for a model of more than 20 M parameters, which never heard of the town, and else the town.
    About `n_tokens` tokens; by default 1,200, and fewer of a model that needs seconds for so many. None where there
    is nothing to predict.
    """
    n_params = _n_params(model)
    if text == "held-out":
        text = "prose" if n_params > _PROSE_FROM else "town"
    if n_tokens is None:
        n_tokens = max(256, min(1200, 1_300_000_000 // max(1, n_params)))
    town, prose = text == "town", text == "prose"
    given: Sequence[str] = [text] if isinstance(text, str) else list(text or ())
    documents: Sequence[str] = _town_documents() if town else [PROSE] if prose else given
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
    source = f"{len(kept):,} held-out documents of the town" if town else f"{known:,} tokens of "
    if not town:
        source += "a page of prose, written for this lab and so read by no model" if prose else "your text"
    return HeldOut(_batches(rows), len(kept), known, floor, source)


def _n_params(model: TextModel) -> int:
    inside = model.model
    return sum(p.numel() for p in inside.parameters()) if isinstance(inside, nn.Module) else 0


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
