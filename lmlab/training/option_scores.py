"""Answers to choose from, scored by log-probability: what few-shot prompts and tests of many choices ask a model.

The score of an option is the sum over its tokens, as in the harnesses that measure language models (Gao et al.,
EleutherAI's evaluation harness). Prompts of one length are read together, which takes a tenth of the time.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from lmlab.text_model import TextModel

#: A prompt, and the options as they follow it, with the spaces that belong to them.
Question = tuple[str, Sequence[str]]
_BATCH = 64


def log_probs_of_options(
    model: TextModel, questions: Sequence[Question], *, all_of_them: bool = True
) -> list[list[float]]:
    """For each question the natural log-probability of each of its options, in nats.

    Not `all_of_them`: an option whose first token alone is less likely than another option is not read to its end,
    since the rest can only take away; its number is then the first token's, and which one is largest is the same.
    """
    found: list[list[float]] = [[] for _ in questions]
    by_length: dict[int, list[tuple[int, Tensor, list[list[int]]]]] = defaultdict(list)
    tokens = {option: model.tokenizer.encode(option) for option in {o for _, options in questions for o in options}}
    one_by_one = not all_of_them and any(len(ids) > 1 for ids in tokens.values())
    for place, (prompt, options) in enumerate(questions):
        ids, listed = model.ids(prompt), [tokens[option] for option in options]
        if model.max_seq_len and len(ids) + max(map(len, listed)) > model.max_seq_len:
            found[place] = model.log_probs_each(options, given=prompt)
        elif one_by_one:
            found[place] = _up_to_the_largest(model, ids, listed)
        else:
            by_length[len(ids)].append((place, ids, listed))
    for rows in by_length.values():
        for start in range(0, len(rows), _BATCH):
            places, prompts, options_of = zip(*rows[start : start + _BATCH], strict=True)
            for place, sums in zip(places, _together(model, torch.stack(prompts), options_of), strict=True):
                found[place] = sums
    return found


def _up_to_the_largest(model: TextModel, ids: Tensor, options: Sequence[list[int]]) -> list[float]:
    """Log-probabilities of options after one prompt (T,), the likeliest first token first, until none can win."""
    after, state = model.model.next_log_probs(ids[None])
    scores = [float(after[0, option[0]]) for option in options]
    best = -math.inf
    for i in sorted(range(len(options)), key=lambda i: -scores[i]):
        if scores[i] < best:
            break
        now = state
        for before, token in pairwise(options[i]):
            log_probs, now = model.model.next_log_probs(torch.tensor([[before]]), now)
            scores[i] += float(log_probs[0, token])
        best = max(best, scores[i])
    return scores


def _together(model: TextModel, prompts: Tensor, options: Sequence[Sequence[list[int]]]) -> list[list[float]]:
    """Log-probabilities of options, given as tokens, after prompts (B, T), up to each option's own end."""
    first, state = model.model.next_log_probs(prompts)
    sums: list[list[float]] = [[] for _ in options]
    for which in range(max(map(len, options))):
        listed: list[list[int]] = [one[which] if which < len(one) else [] for one in options]
        totals, after, now = [0.0] * len(listed), first, state
        longest = max(map(len, listed))
        for place in range(longest):
            here = [tokens[min(place, len(tokens) - 1)] if tokens else 0 for tokens in listed]
            for row, tokens in enumerate(listed):
                totals[row] += float(after[row, here[row]]) if place < len(tokens) else 0.0
            if place + 1 < longest:
                after, now = model.model.next_log_probs(torch.tensor(here)[:, None], now)
        for row, total in enumerate(totals):
            sums[row] += [total] * (which < len(options[row]))
    return sums
