"""A line with a gap: what a model says that reads to the left of it, and what one says that reads both sides.

Lecture: "objectives". A causal model scores the next token from those before it; a masked one (BERT, 2018) scores a
covered token from all others. Both are the same network: they differ in what a position may look at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lmlab.models.transformer import Transformer
from lmlab.text_model.handle import TextModel, split_trailing_space
from lmlab.tokenizer.tokenizer import Tokenizer

GAP = "___"
MASK = "<|mask|>"


@dataclass(frozen=True)
class Line:
    """The ids left of the gap, BOS in front, and right of it; `cropped` tokens at both ends were left out."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    cropped: int

    def filled(self, id: int) -> Tensor:
        """The whole line as ids (T,), with this token in the gap."""
        return torch.tensor([*self.left, id, *self.right])


def line_with_gap(tokenizer: Tokenizer, text: str, most: int) -> Line:
    """Split a text at its first `___` (at its end where there is none), at most `most` tokens around the gap.

    A space before the gap belongs to the word that is missing.
    """
    before, _, after = text.partition(GAP)
    left, right = tokenizer.encode(split_trailing_space(before)[0]), tokenizer.encode(after)
    if tokenizer.bos_id is not None:
        left = [tokenizer.bos_id, *left]
    keep_right = min(len(right), max(most // 3, most - 1 - len(left)))
    keep_left = min(len(left), most - 1 - keep_right)
    cropped = len(left) - keep_left + len(right) - keep_right
    return Line(tuple(left[len(left) - keep_left :]), tuple(right[:keep_right]), cropped)


@torch.no_grad()
def masked_log_probs(model: TextModel, ids: Tensor) -> Tensor:
    """What a masked model says of every position from all positions: ids (T,) to (T, V), float32 on the CPU.

    Raises ValueError for a model that is no transformer: only attention can look both ways.
    """
    if not isinstance(model.model, Transformer):
        raise ValueError(f"{model.name} is a {type(model.model).__name__}; a masked model is a Transformer.")
    network = model.model
    return network(ids[None].to(network.device), causal=False)[0].float().log_softmax(-1).cpu()


def fill(model: TextModel, line: Line) -> Tensor:
    """A masked model's log-probabilities (V,) of the token in the gap."""
    return masked_log_probs(model, line.filled(model.tokenizer.specials[MASK]))[len(line.left)]


def fill_from_the_left(model: TextModel, line: Line) -> Tensor:
    """A causal model's log-probabilities (V,) of the token in the gap: it does not look to the right."""
    if not line.left:
        raise ValueError(
            f"{model.name}'s tokenizer has no token for the beginning of a text: put words before the gap."
        )
    return model.model.next_log_probs(torch.tensor([line.left]))[0][0]


def fill_by_the_whole_line(model: TextModel, line: Line, *, most: int = 200) -> Tensor:
    """The same causal model, asked how likely the line becomes with each word: log p(word | left, right), (V,).

    Bayes: p(word | left) · p(right | left, word), over its sum. `most` of the likeliest words are tried; exact where
    no more than these are possible, as they are in the town.
    """
    after, state = model.model.next_log_probs(torch.tensor([line.left]))
    after = after[0]
    scores = torch.full_like(after, -math.inf)
    for id_ in after.topk(min(most, len(after))).indices.tolist():
        total, known, now = float(after[id_]), state, id_
        for next_id in line.right:
            if total == -math.inf:
                break
            log_probs, known = model.model.next_log_probs(torch.tensor([[now]]), known)
            total, now = total + float(log_probs[0, next_id]), next_id
        scores[id_] = total
    return scores - scores.logsumexp(-1) if bool(torch.isfinite(scores).any()) else scores


def change_of_outputs(before: Tensor, after: Tensor) -> list[float]:
    """How far each position's answer moved: total variation distance of rows of log-probabilities (T, V), 0 to 1.

    Exactly 0 where not one number differs.
    """
    return (0.5 * (before.double().exp() - after.double().exp()).abs().sum(-1)).tolist()
