"""From a distribution to a text: temperature, the three filters, and the loop that writes one token after another.

Lecture: "generation". A model only ever gives a distribution; everything else about its writing is decided here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmlab.models.language_model import LanguageModel, State, check_ids

MAX_NEW_TOKENS = 100_000


@dataclass(frozen=True)
class Sampler:
    """How the next token is chosen: temperature first, then top-k, top-p and min-p, in this order.

    `temperature` 0 takes the likeliest token, 1 the model's own odds, more flattens them. `top_k` keeps the k
    likeliest; `top_p` the fewest likeliest that together reach p; `min_p` those at least min_p times as likely as the
    likeliest. None leaves a filter out. One token always survives: top_k 0, top_p 0 and min_p above 1 keep the
    likeliest alone; top_k above V and top_p above 1 keep all.

    Raises ValueError for a number that is negative, NaN or infinite.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "top_k", "top_p", "min_p"):
            value = getattr(self, name)
            if value is None and name != "temperature":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number from 0 upward, not {value!r}.")
        if self.top_k is not None and self.top_k != int(self.top_k):
            raise ValueError(f"top_k counts tokens, so it must be a whole number, not {self.top_k!r}.")

    def probabilities(self, log_probs: Tensor) -> Tensor:
        """The distribution that is drawn from: log-probabilities (..., V) to probabilities (..., V), float64.

        Raises ValueError where a row holds no valid distribution (NaN, +inf, or -inf alone).
        """
        logits = log_probs.double()
        best = logits.amax(-1, keepdim=True)
        if not bool(torch.isfinite(best).all()):
            raise ValueError("There is no valid distribution to draw from: every token is impossible, or one is NaN.")
        if self.temperature == 0:
            return _likeliest(logits)
        probs = ((logits - best) / self.temperature).softmax(-1)
        if self.top_k is not None:
            probs = _keep(probs, _ranks(probs) < max(1, int(self.top_k)))
        if self.top_p is not None:
            probs = _keep(probs, _mass_above(probs) < max(self.top_p, 1e-300))
        if self.min_p is not None:
            probs = _keep(probs, probs >= min(self.min_p, 1.0) * probs.amax(-1, keepdim=True))
        return probs

    def draw(self, log_probs: Tensor, generator: torch.Generator) -> int:
        """One id from log-probabilities (V,); takes one number from the generator, whatever the settings."""
        return int(self.draw_many(log_probs, 1, generator))

    def draw_many(self, log_probs: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """n ids (n,) from one distribution (V,): the same as n calls of `draw`, in one go."""
        at = torch.rand(n, generator=generator, dtype=torch.float64)
        below = self.probabilities(log_probs).cumsum(-1)
        # The first token whose cumulated mass exceeds the number: never one of probability zero.
        return torch.searchsorted(below, at * below[-1], right=True).clamp(max=_last_possible(below))


GREEDY = Sampler(temperature=0.0)


@dataclass(frozen=True)
class Drawn:
    """One token written: its id, and what the model itself gave it (natural log, before any filter)."""

    id: int
    log_prob: float
    log_probs: Tensor  # (V,), the model's whole distribution at this place


def generate(
    model: LanguageModel,
    ids: Tensor,
    max_new_tokens: int,
    *,
    sampler: Sampler | None = None,
    seed: int = 0,
    stop_ids: Collection[int] = (),
) -> Iterator[Drawn]:
    """Write on after ids (T,), a token at a time, until a stop id was written or the tokens are used up.

    Works for any LanguageModel. A text longer than the model's context is cropped from the left: each token is then
    predicted from the last `max_seq_len` (the state is rebuilt, since every position has moved).
    Raises ValueError at once, not at the first token.
    """
    if ids.dim() == 2 and ids.shape[0] == 1:
        ids = ids[0]
    if ids.dim() != 1:
        raise ValueError(f"generate writes one text, ids (T,), not {tuple(ids.shape)}: see generate_batch for several.")
    check_max_new_tokens(max_new_tokens)
    ids = check_ids(ids, model.vocab_size)[0]
    return _write(model, ids, max_new_tokens, sampler or Sampler(), seed, frozenset(stop_ids))


def generate_batch(
    model: LanguageModel,
    prompts: Sequence[Tensor],
    max_new_tokens: int,
    *,
    sampler: Sampler | None = None,
    seed: int = 0,
    stop_ids: Collection[int] = (),
) -> list[list[Drawn]]:
    """Write on after several texts; prompts of equal length run together, others in turn.

    Each prompt draws from its own generator (of the seed and its place), so its text does not depend on who is
    beside it; prompt 0 writes what `generate` writes.
    """
    check_max_new_tokens(max_new_tokens)
    sampler, stops = sampler or Sampler(), frozenset(stop_ids)
    written: list[list[Drawn]] = [[] for _ in prompts]
    groups: dict[int, list[int]] = {}
    for place, prompt in enumerate(prompts):
        groups.setdefault(prompt.shape[-1], []).append(place)
    for places in groups.values():
        ids = check_ids(torch.stack([prompts[place].reshape(-1) for place in places]), model.vocab_size)
        generators = [_generator(seed, place) for place in places]
        rows = _write_rows(model, ids, max_new_tokens, sampler, generators, stops)
        for place, row in zip(places, rows, strict=True):
            written[place] = row
    return written


def context_of(model: LanguageModel) -> int | None:
    """The most tokens that a model can read at once; None for one without limit (counts)."""
    length: int | None = getattr(model, "max_seq_len", None)
    return length


def check_max_new_tokens(number: int) -> None:
    """Raise ValueError unless this is a whole number of tokens that someone could wait for."""
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_NEW_TOKENS:
        raise ValueError(f"max_new_tokens must be a whole number from 0 to {MAX_NEW_TOKENS:,}, not {number!r}.")


def _write(
    model: LanguageModel, ids: Tensor, max_new_tokens: int, sampler: Sampler, seed: int, stops: frozenset[int]
) -> Iterator[Drawn]:
    generator = _generator(seed, 0)
    reader = _Reader(model, ids[None])
    for _ in range(max_new_tokens):
        log_probs = reader.next_log_probs()[0]
        chosen = sampler.draw(log_probs, generator)
        yield Drawn(chosen, float(log_probs[chosen]), log_probs)
        if chosen in stops:
            return
        reader.append(torch.tensor([[chosen]]))


def _write_rows(
    model: LanguageModel,
    ids: Tensor,
    max_new_tokens: int,
    sampler: Sampler,
    generators: list[torch.Generator],
    stops: frozenset[int],
) -> list[list[Drawn]]:
    rows: list[list[Drawn]] = [[] for _ in generators]
    reader = _Reader(model, ids)
    for _ in range(max_new_tokens):
        if all(row and row[-1].id in stops for row in rows):
            break
        log_probs = reader.next_log_probs()
        chosen = [sampler.draw(row, generator) for row, generator in zip(log_probs, generators, strict=True)]
        for row, id_, distribution in zip(rows, chosen, log_probs, strict=True):
            if not (row and row[-1].id in stops):  # a finished row is still computed, its words no longer kept
                row.append(Drawn(id_, float(distribution[id_]), distribution))
        reader.append(torch.tensor(chosen)[:, None])
    return rows


class _Reader:
    """Reads a growing text (B, T) with a model, telling it only what is new, for as long as the context holds."""

    def __init__(self, model: LanguageModel, ids: Tensor) -> None:
        self.model, self.context = model, context_of(model)
        self.ids = self.new = ids
        self.state: State = None

    def append(self, ids: Tensor) -> None:
        self.ids = torch.cat((self.ids, ids), 1)
        self.new = ids

    def next_log_probs(self) -> Tensor:
        if self.context is not None and self.ids.shape[1] > self.context:
            self.ids = self.new = self.ids[:, -self.context :]
            self.state = None
        log_probs, self.state = self.model.next_log_probs(self.new, self.state)
        return log_probs


def _generator(seed: int, place: int) -> torch.Generator:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"A seed is a whole number from 0 to 2**63 - 1, not {seed!r}.")
    # Places far apart by an odd constant: no two prompts share a generator, and place 0 has the seed itself.
    return torch.Generator().manual_seed((seed + place * 0x9E3779B97F4A7C15) % 2**63)


def _likeliest(logits: Tensor) -> Tensor:
    """All mass on the likeliest token; the lowest id among equals."""
    return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)


def _ranks(probs: Tensor) -> Tensor:
    """Place of each token from the likeliest, 0, downward; the lower id first among equals."""
    order = probs.sort(dim=-1, descending=True, stable=True).indices
    return torch.empty_like(order).scatter_(-1, order, torch.arange(probs.shape[-1]).expand_as(order))


def _mass_above(probs: Tensor) -> Tensor:
    """For each token the mass of those that come before it, likeliest first."""
    sorted_probs, order = probs.sort(dim=-1, descending=True, stable=True)
    before = sorted_probs.cumsum(-1) - sorted_probs
    return torch.empty_like(probs).scatter_(-1, order, before)


def _keep(probs: Tensor, kept: Tensor) -> Tensor:
    probs = probs * kept
    return probs / probs.sum(-1, keepdim=True)


def _last_possible(below: Tensor) -> int:
    """The last token that adds mass to a cumulated distribution (V,): a guard against rounding at its end."""
    return int(torch.searchsorted(below, below[-1], right=False))
