"""Options scored by log-probability: how a model that only continues text takes a test of many choices.

Nothing is trained here. The model's answer is the option that it finds likeliest after the prompt, as in the harnesses
that measure language models (Gao et al., EleutherAI's evaluation harness): by the sum over the option's tokens, or by
that sum divided by the option's characters, so that long options do not pay for their length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from lmlab.data.town.tasks import Task, space_between
from lmlab.text_model import TextModel


def option_log_probs(model: TextModel, prompt: str, options: Sequence[str]) -> list[float]:
    """Natural log of the probability that each option comes next, spaces put where they belong; in nats."""
    return model.log_probs_each([space_between(prompt, option) + option for option in options], given=prompt)


def a_character(log_probs: Sequence[float], options: Sequence[str]) -> list[float]:
    """Log-probabilities divided by the options' lengths, in nats a character.

    >>> a_character([-2.0, -6.0], ["ab", "abcdef"])
    [-1.0, -1.0]
    """
    return [value / max(1, len(option)) for value, option in zip(log_probs, options, strict=True)]


def wins(scores: Sequence[float], right: int) -> bool:
    """Whether the right option is strictly ahead of all others: a tie is no win."""
    return all(scores[right] > other for i, other in enumerate(scores) if i != right)


def tasks_log_probs(model: TextModel, tasks: Sequence[Task]) -> list[list[float]]:
    """`option_log_probs` of every task; prompts of one length are read together, which takes a tenth of the time."""
    found: list[list[float]] = [[] for _ in tasks]
    by_length: dict[int, list[tuple[int, list[int], list[list[int]]]]] = defaultdict(list)
    for place, task in enumerate(tasks):
        listed = [model.tokenizer.encode(space_between(task.prompt, o) + o) for o in task.options]
        ids = model.ids(task.prompt).tolist()
        if model.max_seq_len and len(ids) + max(map(len, listed)) > model.max_seq_len:
            found[place] = option_log_probs(model, task.prompt, task.options)
        else:
            by_length[len(ids)].append((place, ids, listed))
    for rows in by_length.values():
        sums = _sum_together(model, torch.tensor([ids for _, ids, _ in rows]), [listed for _, _, listed in rows])
        for (place, _, _), row in zip(rows, sums, strict=True):
            found[place] = row
    return found


def _sum_together(model: TextModel, prompts: Tensor, options: Sequence[Sequence[list[int]]]) -> list[list[float]]:
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
