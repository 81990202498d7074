"""The loss that no model can beat: the town's entropy, in nats a token, on whole documents from BOS, EOS included."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lmlab.data.town.nodes import END, split_words
from lmlab.data.town.town import Town
from lmlab.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Floor:
    """nats_per_token, with the standard error that comes from averaging over n_documents sampled ones."""

    family: str
    nats_per_token: float
    standard_error: float
    tokens_per_document: float
    n_documents: int


def surprise(town: Town, document: str) -> tuple[float, float]:
    """(-log p of a document, the sum of the exact entropies of the next word along it), both in nats.

    Both have the document's entropy as their mean; the second scatters far less, so floors are made from it.
    """
    live = town.live()
    nats = entropy = 0.0
    for word in (*split_words(document), END):
        words = live.words()
        if word not in words:
            return math.inf, math.inf
        nats -= math.log(words[word])
        entropy -= sum(p * math.log(p) for p in words.values())
        after = live.after(word)
        assert after is not None
        live = after
    return nats, entropy


def _ratio(family: str, nats: list[float], tokens: list[int]) -> Floor:
    """Mean nats over mean tokens, with the standard error of a ratio of means."""
    n = len(nats)
    mean_nats, mean_tokens = sum(nats) / n, sum(tokens) / n
    floor = mean_nats / mean_tokens
    spread = sum((x - floor * t) ** 2 for x, t in zip(nats, tokens, strict=True)) / max(n - 1, 1)
    return Floor(family, floor, math.sqrt(spread / n) / mean_tokens, mean_tokens, n)


def floors(
    tok: Tokenizer, town: Town | None = None, *, n: int = 200, seed: int = 0, families: Iterable[str] | None = None
) -> dict[str, Floor]:
    """The floor of each family, and of the whole town under "all"; n sampled documents a family.

    A family's floor is that of its documents under the whole town's distribution: what a model that has read
    everything can reach on them, the surprise at which family it is included.
    """
    town = town or Town()
    found: dict[str, Floor] = {}
    for name in families or town.families:
        documents = Town(town.dialect, (name,)).sample(n, seed)
        nats = [surprise(town, document)[1] for document in documents]
        tokens = [len(tok.encode(document)) + 1 for document in documents]
        found[name] = _ratio(name, nats, tokens)
    if set(found) == set(town.families):
        found["all"] = _together(town, found)
    return found


def _together(town: Town, found: dict[str, Floor]) -> Floor:
    share = {name: p * found[name].tokens_per_document for name, p in town.probabilities.items()}
    tokens = sum(share.values())
    floor = sum(share[name] * found[name].nats_per_token for name in share) / tokens
    error = math.sqrt(sum((share[name] / tokens * found[name].standard_error) ** 2 for name in share))
    return Floor("all", floor, error, tokens, sum(f.n_documents for f in found.values()))
