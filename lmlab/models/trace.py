"""A trace: everything a transformer computes on the way, kept for looking at.

Lecture: "inside attention". Hand one to a model, `model(ids, trace=(trace := Trace()))`, and read it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Trace:
    """What one forward pass computed, layer by layer; all tensors detached.

    `scores[l]` (B, H, T, S): scaled query-key products of layer l before the softmax, -inf where masked.
    `attention[l]` (B, H, T, S): the same after the softmax; each row sums to one.
    `residual[l]` (B, T, D): the residual stream that enters layer l; `residual[L]` leaves the last layer, so there
    are L + 1 of them. Attention is computed the explicit way under a trace; it equals the fused one within 1e-5.
    """

    scores: list[Tensor] = field(default_factory=list)
    attention: list[Tensor] = field(default_factory=list)
    residual: list[Tensor] = field(default_factory=list)
