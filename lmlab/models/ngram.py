"""The n-gram: predict the next token from the n - 1 before it, by counting.

Lecture: "can we just count?". Counts are kept as sorted arrays, one for each length of n-gram: the n-grams that
continue one context stand side by side, so a distribution is two binary searches and a slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmlab.models.language_model import State, check_ids

SMOOTHINGS = ("backoff", "none", "add-k", "interpolated")


@dataclass(frozen=True)
class Evidence:
    """What the corpus says after one context: how often each token followed, likeliest first, and out of how many.

    `weight` is the share that this context has in the model's answer; over all contexts they sum to at most one
    (the rest is spread evenly over the vocabulary, or nothing where the model is silent).
    """

    context: tuple[int, ...]
    total: int
    continuations: tuple[tuple[int, int], ...]
    weight: float


class NGram:
    """An n-gram `LanguageModel`. Make one with `NGram.fit(ids, n=3, vocab_size=V)`.

    `smoothing` says what to do about contexts and tokens that were never seen:
    "backoff" takes the longest context that was seen, and its counts as they are; "none" the full context or nothing
    (-inf for all after an unseen one); "add-k" adds k to every count; "interpolated" mixes all lengths, each trusted
    by C / (C + D), C the times its context was seen and D the different tokens after it (Witten and Bell 1991).
    """

    def __init__(
        self,
        keys: Sequence[Tensor],
        counts: Sequence[Tensor],
        *,
        vocab_size: int,
        smoothing: str = "backoff",
        k: float = 1.0,
    ) -> None:
        if smoothing not in SMOOTHINGS:
            raise ValueError(f"smoothing must be one of {', '.join(map(repr, SMOOTHINGS))}, not {smoothing!r}.")
        if not 0 < k < float("inf"):
            raise ValueError(f"k must be a positive number, not {k!r}; for none at all, smoothing='none'.")
        self.vocab_size, self.n = vocab_size, len(keys)
        self.smoothing, self.k = smoothing, k
        # keys[m - 1]: all m-grams, sorted, each as V * (place of its first m - 1 ids in keys[m - 2]) + its last id.
        self._keys, self._counts = list(keys), list(counts)

    @classmethod
    def fit(
        cls,
        ids: Tensor | Sequence[int],
        n: int = 3,
        *,
        vocab_size: int,
        smoothing: str = "backoff",
        k: float = 1.0,
    ) -> NGram:
        """Count all m-grams, m = 1 to n, of a stream of ids (T,). Raises ValueError for one shorter than n."""
        stream = torch.as_tensor(ids)
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n counts tokens, from 1 upward, not {n!r}.")
        if stream.dim() != 1 or len(stream) < n:
            raise ValueError(f"Counting {n}-grams takes a stream of at least {n} ids, not {tuple(stream.shape)}.")
        stream = check_ids(stream, vocab_size)[0]
        keys: list[Tensor] = []
        counts: list[Tensor] = []
        places = torch.zeros(len(stream) + 1, dtype=torch.int64)  # of the m-gram that begins at each position
        for m in range(n):
            grams = places[: len(stream) - m] * vocab_size + stream[m:]
            unique, places, count = torch.unique(grams, return_inverse=True, return_counts=True)
            keys.append(unique)
            counts.append(count)
        return cls(keys, counts, vocab_size=vocab_size, smoothing=smoothing, k=k)

    def __repr__(self) -> str:
        return f"NGram(n={self.n}, V={self.vocab_size}, {self.smoothing}, {len(self._keys[-1]):,} different)"

    def with_smoothing(self, smoothing: str, *, k: float = 1.0) -> NGram:
        """The same counts under another smoothing; nothing is counted again."""
        return NGram(self._keys, self._counts, vocab_size=self.vocab_size, smoothing=smoothing, k=k)

    def shorter(self, n: int) -> NGram:
        """The same counts cut to n-grams of fewer tokens; nothing is counted again."""
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= self.n:
            raise ValueError(f"n must be from 1 to {self.n}, the length that was counted, not {n!r}.")
        kept = self._keys[:n], self._counts[:n]
        return NGram(*kept, vocab_size=self.vocab_size, smoothing=self.smoothing, k=self.k)

    def log_probs_of(self, ids: Tensor) -> Tensor:
        """Log-probability of each token that stands there, given those before it: (B, T) to (B, T - 1).

        The same as picking them out of `log_probs`, without ever building a row of V numbers.
        """
        ids = check_ids(ids, self.vocab_size)
        probs = torch.full(ids.shape, 1 / self.vocab_size, dtype=torch.float64)
        context = torch.zeros_like(ids)  # the place of the m tokens before each token, -1 if they were never seen
        for m in range(self.n):
            keys, counts = self._keys[m], self._counts[m]
            gram = _places_in(keys, context, ids, self.vocab_size)
            count = torch.where(gram >= 0, counts[gram.clamp(min=0)], 0).double()
            start = torch.searchsorted(keys, context * self.vocab_size)
            stop = torch.searchsorted(keys, (context + 1) * self.vocab_size)
            below = torch.cat((torch.zeros(1, dtype=counts.dtype), counts.cumsum(0)))
            seen, total = context >= 0, torch.where(context >= 0, below[stop] - below[start], 0).double()
            different = torch.where(seen, stop - start, 0)
            new = self._mixed(probs, count, total, different)
            there = torch.arange(ids.shape[1]) >= m  # the first tokens of a text have less before them
            probs = torch.where(there, new, probs)
            context = torch.cat((torch.full_like(gram[:, :1], -1), gram[:, :-1]), 1)
        return probs[:, 1:].log().float()

    def _mixed(self, shorter: Tensor, count: Tensor, total: Tensor, different: Tensor) -> Tensor:
        """The probability with one more token of context, from that without it and the counts after the context."""
        if self.smoothing == "interpolated":
            return torch.where(total > 0, (count + different * shorter) / (total + different).clamp(min=1), shorter)
        if self.smoothing == "add-k":
            return (count + self.k) / (total + self.k * self.vocab_size)
        share = count / total.clamp(min=1)
        return torch.where(total > 0, share, shorter) if self.smoothing == "backoff" else share

    def log_probs(self, ids: Tensor) -> Tensor:
        """(B, T) to (B, T, V): each row from the last n - 1 ids alone; equal contexts are looked up once."""
        ids = check_ids(ids, self.vocab_size)
        rows: dict[tuple[int, ...], Tensor] = {}
        result = torch.empty(*ids.shape, self.vocab_size)
        for b, text in enumerate(ids.tolist()):
            for t in range(len(text)):
                context = tuple(text[max(0, t - self.n + 2) : t + 1]) if self.n > 1 else ()
                if context not in rows:
                    rows[context] = self._row(context)
                result[b, t] = rows[context]
        return result

    def next_log_probs(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """New ids (B, T) to (B, V); the state is the last n - 1 ids (B, n - 1)."""
        ids = check_ids(ids, self.vocab_size)
        if state is not None:
            ids = torch.cat((state, ids), 1)
        remembered = ids[:, max(0, ids.shape[1] - self.n + 1) :].clone()
        return torch.stack([self._row(tuple(context)) for context in remembered.tolist()]), remembered

    def explain(self, prefix: Sequence[int] | Tensor) -> list[Evidence]:
        """The counts behind the prediction after these ids, longest context first, down to no context at all."""
        context = self._context(prefix)
        weights = self._weights(context)
        evidence = []
        for length in range(len(context), -1, -1):
            suffix = context[len(context) - length :]
            ids, counts = self._continuations(suffix)
            order = counts.sort(descending=True, stable=True).indices
            pairs = tuple(zip(ids[order].tolist(), counts[order].tolist(), strict=True))
            evidence.append(Evidence(suffix, int(counts.sum()), pairs, weights[length]))
        return evidence

    def _context(self, prefix: Sequence[int] | Tensor) -> tuple[int, ...]:
        ids = [int(id_) for id_ in prefix]
        return tuple(ids[max(0, len(ids) - self.n + 1) :])

    def _row(self, context: tuple[int, ...]) -> Tensor:
        """Log-probabilities (V,) after a context of at most n - 1 ids."""
        probs = torch.zeros(self.vocab_size, dtype=torch.float64)
        weights = self._weights(context)
        for length, weight in enumerate(weights):
            if weight > 0:
                ids, counts = self._continuations(context[len(context) - length :])
                probs[ids] += weight * counts / counts.sum()
        if self.smoothing in ("add-k", "interpolated"):
            probs += (1 - sum(weights)) / self.vocab_size  # what no context claims goes to all alike
        return probs.log().float()

    def _weights(self, context: tuple[int, ...]) -> list[float]:
        """The share of each context in the answer, by its length: from none to the whole."""
        seen = [self._continuations(context[len(context) - length :])[1] for length in range(len(context) + 1)]
        totals = [int(counts.sum()) for counts in seen]
        weights = [0.0] * len(seen)
        if self.smoothing == "interpolated":
            left = 1.0
            for length in reversed(range(len(seen))):
                trust = totals[length] / (totals[length] + len(seen[length])) if totals[length] else 0.0
                weights[length] = left * trust
                left -= weights[length]
        elif self.smoothing == "add-k":
            weights[-1] = totals[-1] / (totals[-1] + self.k * self.vocab_size)
        else:
            chosen = len(seen) - 1
            while self.smoothing == "backoff" and not totals[chosen]:
                chosen -= 1
            weights[chosen] = 1.0 if totals[chosen] else 0.0
        return weights

    def _continuations(self, context: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Ids that followed the context, and how often each did; both empty if it was never seen."""
        place = 0
        for m, id_ in enumerate(context):
            key = place * self.vocab_size + id_
            place = int(torch.searchsorted(self._keys[m], key))
            if place == len(self._keys[m]) or int(self._keys[m][place]) != key:
                return self._keys[0][:0], self._counts[0][:0]
        keys, first = self._keys[len(context)], place * self.vocab_size
        start, stop = int(torch.searchsorted(keys, first)), int(torch.searchsorted(keys, first + self.vocab_size))
        return keys[start:stop] - first, self._counts[len(context)][start:stop]


def _places_in(keys: Tensor, context: Tensor, ids: Tensor, vocab_size: int) -> Tensor:
    """Where each context's gram with its id stands among the sorted keys; -1 where it does not."""
    wanted = context * vocab_size + ids
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where((context >= 0) & (keys[place] == wanted), place, -1)
