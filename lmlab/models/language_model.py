"""The one promise that every model keeps: given ids, log-probabilities of what comes next.

Lecture: "a language model is a conditional distribution, nothing more". Counts, n-grams, networks and the truth of
the town all keep it, so one generation loop, one scorer and every widget serve them all.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

# What a model remembers: the last ids (n-gram), a KVCache (transformer), all ids (sequence counts). A value:
# calling twice with one state and the same ids gives one answer.
State = Any


@runtime_checkable
class LanguageModel(Protocol):
    """Ids (B, T) in, natural log-probabilities out, float32 on the CPU; -inf where impossible, never NaN.

    Ids are dense: no padding reaches a model. The first id is part of the input like any other; a model that wants
    a beginning gets its BOS from the caller.
    """

    vocab_size: int  # V

    def log_probs(self, ids: Tensor) -> Tensor:
        """(B, T) to (B, T, V): row t predicts token t + 1 from tokens 0 to t."""
        ...

    def next_log_probs(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """(B, T) new ids after those that `state` remembers, to (B, V) and the state after them."""
        ...


def check_ids(ids: Tensor, vocab_size: int, *, max_seq_len: int | None = None) -> Tensor:
    """The ids as (B, T) of int64; a single text (T) becomes a batch of one.

    Raises ValueError for another shape or type, for an id outside the vocabulary, or a text that is too long.
    """
    if ids.dim() == 1:
        ids = ids[None]
    if ids.dim() != 2 or ids.shape[1] == 0 or ids.shape[0] == 0:
        raise ValueError(f"Expected ids of shape (B, T) with at least one token, got shape {tuple(ids.shape)}.")
    if ids.is_floating_point() or ids.is_complex() or str(ids.dtype) == "torch.bool":
        raise ValueError(f"Ids are whole numbers, got a tensor of {ids.dtype}: use ids.long() if you mean it.")
    ids = ids.long()
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= vocab_size:
        worst = low if low < 0 else high
        raise ValueError(f"Id {worst} is outside the vocabulary of {vocab_size} tokens (0 to {vocab_size - 1}).")
    if max_seq_len is not None and ids.shape[1] > max_seq_len:
        raise ValueError(
            f"{ids.shape[1]} tokens are longer than the model's context of {max_seq_len}: keep the last {max_seq_len}."
        )
    return ids
