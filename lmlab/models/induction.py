"""Copying from context, and the heads that do it: how well, and where they look.

Lecture: "attention computes input-dependent weights with frozen parameters". An induction head finds the place where
the present token stood before, and looks at what came after it. Source: Olsson et al. 2022, arXiv 2209.11895.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer


@dataclass(frozen=True, kw_only=True)
class Copying:
    """How well a model goes on with what it has read before: `accuracy` from 0 to 1, `loss` in nats a token.

    Counted are the positions whose token stood earlier in the row: only there can the next one be known.
    """

    accuracy: float
    loss: float


def followers(ids: Tensor) -> Tensor:
    """Where an induction head should look: bool (B, T, S), true at s if the token before s is the one at t.

    >>> followers(torch.tensor([[7, 8, 9, 7]]))[0, 3].tolist()
    [False, True, False, False]
    """
    same = (ids[:, :, None] == ids[:, None, :]).tril(-1)  # (B, T, S): token t stood at s < t
    return F.pad(same, (1, 0))[:, :, :-1]  # what came after s stands at s + 1


@torch.no_grad()
def copying(model: Transformer, ids: Tensor) -> Copying:
    """How well the model continues rows of ids (B, T) at tokens that stood there before.

    Raises ValueError where no token of the rows is repeated.
    """
    inputs, targets = ids[:, :-1], ids[:, 1:]
    known = followers(inputs).any(-1)
    if not bool(known.any()):
        raise ValueError("No token of these rows stood there before, so there is nothing to copy: repeat something.")
    logits = model(inputs)[known].float()
    wanted = targets[known]
    right = (logits.argmax(-1) == wanted).float().mean()
    return Copying(accuracy=float(right), loss=float(F.cross_entropy(logits, wanted)))


@torch.no_grad()
def induction_scores(model: Transformer, ids: Tensor) -> Tensor:
    """How much of its attention each head gives to what followed the present token before: (L, H), from 0 to 1.

    The mean over all tokens of the rows ids (B, T) that stood there before. A head that looks at random scores
    about 1 / T.
    """
    model(ids, trace=(trace := Trace()))
    wanted = followers(ids)
    known = wanted.any(-1)
    shares = [(layer * wanted[:, None]).sum(-1).transpose(1, 2)[known].mean(0) for layer in trace.attention]
    return torch.stack(shares).cpu()


@torch.no_grad()
def look_back_scores(model: Transformer, ids: Tensor) -> Tensor:
    """How much of its attention each head gives to the token just before: (L, H), from 0 to 1."""
    model(ids, trace=(trace := Trace()))
    return torch.stack([layer.diagonal(-1, 2, 3).mean((0, 2)) for layer in trace.attention]).cpu()
