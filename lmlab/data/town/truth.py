"""The truth as a language model: the town's exact next-token distribution under any byte-level tokenizer.

Words are pre-tokens, so ids before a point are finished words and at most one unfinished. What is possible then is
a handful of hypotheses: the derivations before the unfinished word, and the pieces of it that have been seen. Where
the pieces already are a word, there are two: the word has ended, or it goes on.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from lmlab.data.town.grammar import Live
from lmlab.data.town.nodes import END
from lmlab.data.town.town import Town
from lmlab.models.language_model import check_ids
from lmlab.tokenizer.tokenizer import Tokenizer

_N_KEPT = 2048  # prefixes whose states are remembered, so that a prompt typed on is not parsed again


class Source(Protocol):
    """A town, or any grammar."""

    def live(self) -> Live: ...


class TruthState:
    """(derivations, pieces of the unfinished word, probability), for everything that the ids so far may be."""

    __slots__ = ("_log_probs", "hypotheses")

    def __init__(self, hypotheses: Sequence[tuple[Live, tuple[int, ...], float]]) -> None:
        total = sum(mass for _, _, mass in hypotheses)
        self.hypotheses = tuple((live, pieces, mass / total) for live, pieces, mass in hypotheses)
        self._log_probs: dict[int, float] | None = None

    @property
    def possible(self) -> bool:
        return bool(self.hypotheses)


class TownTruth:
    """A LanguageModel whose probabilities are the town's own. -inf for every token after what the town never says.

    `town` may be any object with `live()`, such as a Grammar. Raises ValueError for a tokenizer without BOS.
    """

    def __init__(self, tokenizer: Tokenizer, town: Source | None = None) -> None:
        if tokenizer.bos_id is None:
            raise ValueError(
                "The truth needs a tokenizer with <|endoftext|>: train one with specials=RESERVED_SPECIALS."
            )
        self.tokenizer, self.vocab_size = tokenizer, tokenizer.vocab_size
        self._bos = tokenizer.bos_id
        self.town = town or Town()
        self._start = TruthState([(self.town.live(), (), 1.0)])
        self._first = self._start.hypotheses[0][0]
        self._pieces: dict[str, tuple[int, ...]] = {END: (self._bos,)}
        self._kept: OrderedDict[tuple[int, ...], TruthState] = OrderedDict()
        self._lock = threading.Lock()

    def _encode(self, word: str) -> tuple[int, ...]:
        pieces = self._pieces.get(word)
        if pieces is None:
            pieces = self._pieces[word] = tuple(self.tokenizer.encode(word))
        return pieces

    def _words(self, live: Live, pieces: tuple[int, ...]) -> list[tuple[str, tuple[int, ...], float]]:
        """The words that begin with these pieces and go on, with their pieces and probabilities."""
        n = len(pieces)
        words = ((word, self._encode(word), p) for word, p in live.words().items())
        return [(word, own, p) for word, own, p in words if len(own) > n and own[:n] == pieces]

    def _after(self, state: TruthState, token: int) -> TruthState:
        hypotheses: list[tuple[Live, tuple[int, ...], float]] = []
        for live, pieces, mass in state.hypotheses:
            words = self._words(live, pieces)
            total = sum(p for _, _, p in words)
            longer = (*pieces, token)
            going_on = 0.0
            for word, own, p in words:
                if own == longer:
                    after = self._first if word == END else live.after(word)
                    assert after is not None
                    hypotheses.append((after, (), mass * p / total))
                elif own[: len(longer)] == longer:
                    going_on += mass * p / total
            if going_on > 0.0:
                hypotheses.append((live, longer, going_on))
        return TruthState(hypotheses)

    def _row(self, state: TruthState) -> dict[int, float]:
        """The log-probabilities of the next tokens that are possible."""
        if state._log_probs is None:
            found: dict[int, float] = {}
            for live, pieces, mass in state.hypotheses:
                words = self._words(live, pieces)
                total = sum(p for _, _, p in words)
                for _, own, p in words:
                    token = own[len(pieces)]
                    found[token] = found.get(token, 0.0) + mass * p / total
            state._log_probs = {token: math.log(p) for token, p in found.items()}
        return state._log_probs

    def _tensor(self, rows: Sequence[dict[int, float]]) -> Tensor:
        """(rows, V) of float32, -inf where a row says nothing."""
        out = torch.full((len(rows), self.vocab_size), -math.inf)
        for row, target in zip(rows, out, strict=True):
            if row:
                target[torch.tensor(list(row))] = torch.tensor(list(row.values()))
        return out

    def _states(self, ids: list[int], state: TruthState | None) -> list[TruthState]:
        """The state after each of the ids. A BOS in front of everything is where a text begins."""
        states: list[TruthState] = []
        for i, token in enumerate(ids):
            if state is None:
                state = self._start if token == self._bos and i == 0 else self._after(self._start, token)
            else:
                state = self._after(state, token)
            states.append(state)
        return states

    def _state_of(self, ids: tuple[int, ...]) -> TruthState:
        """The state after all ids, from the longest prefix that is remembered."""
        with self._lock:
            n = next((n for n in range(len(ids), 0, -1) if ids[:n] in self._kept), 0)
            known = self._kept.get(ids[:n])
        new = self._states(list(ids[n:]), known)
        with self._lock:
            for i, state in enumerate(new, n + 1):
                self._kept[ids[:i]] = state
            while len(self._kept) > _N_KEPT:
                self._kept.popitem(last=False)
        return new[-1] if new else known  # type: ignore[return-value]

    def probabilities(self, ids: Sequence[int]) -> dict[int, float]:
        """The next tokens that are possible after these ids, with their probabilities in double precision."""
        return {token: math.exp(p) for token, p in self._row(self._state_of(tuple(ids))).items()}

    def log_probs(self, ids: Tensor) -> Tensor:
        """(B, T) to (B, T, V), float32: row t predicts token t + 1."""
        ids = check_ids(ids, self.vocab_size)
        rows = [self._row(state) for row in ids.tolist() for state in self._states(row, None)]
        return self._tensor(rows).view(*ids.shape, self.vocab_size)

    def next_log_probs(
        self, ids: Tensor, state: Sequence[TruthState] | None = None
    ) -> tuple[Tensor, tuple[TruthState, ...]]:
        """(B, T) new ids after those that `state` remembers, to (B, V) and the state after them."""
        rows = check_ids(ids, self.vocab_size).tolist()
        if state is None:
            after = tuple(self._state_of(tuple(row)) for row in rows)
        else:
            after = tuple(self._states(row, before)[-1] for row, before in zip(rows, state, strict=True))
        return self._tensor([self._row(one) for one in after]), after
