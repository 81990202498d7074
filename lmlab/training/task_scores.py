"""Options scored by log-probability: how a model that only continues text takes a test of many choices.

Nothing is trained here. The model's answer is the option that it finds likeliest after the prompt, as in the harnesses
that measure language models (Gao et al., EleutherAI's evaluation harness): by the sum over the option's tokens, or by
that sum divided by the option's characters, so that long options do not pay for their length.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmlab.data.town.tasks import Task, space_between
from lmlab.text_model import TextModel
from lmlab.training.option_scores import log_probs_of_options


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
    """`option_log_probs` of every task, prompts of one length read together."""
    return log_probs_of_options(
        model, [(task.prompt, [space_between(task.prompt, o) + o for o in task.options]) for task in tasks]
    )
