"""How well a model learns from its prompt alone: the share of right answers by the number of examples, and the heads
that do it.

A model answers by what it finds likeliest among the options: the sum of the log-probabilities of their tokens. Nothing
is trained here. Source of the task: Brown et al. 2020, arXiv 2005.14165; of the heads: Olsson et al. 2022, arXiv
2209.11895.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from lmlab.data.few_shot import FewShotPrompt
from lmlab.models.ablation import without_heads
from lmlab.models.induction import followers
from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel
from lmlab.training.option_scores import log_probs_of_options
from lmlab.training.shares import Share

COPIER = 1 / 3  # the share of its attention from which a head counts as one that copies


@dataclass(frozen=True)
class Answered:
    """How often a model gave what the mapping says (`right`) and what its examples say (`shown`; None where none of
    the prompts shows the question)."""

    right: Share
    shown: Share | None


def answered(model: TextModel, prompts: Sequence[FewShotPrompt]) -> Answered:
    """Ask the model all prompts: its answer is the option with the largest log-probability."""
    right, shown, n_shown = 0.0, 0.0, 0
    for prompt, scores in zip(prompts, option_log_probs(model, prompts, all_of_them=False), strict=True):
        best = [option for option, score in zip(prompt.options, scores, strict=True) if score == max(scores)]
        right += (prompt.answer in best) / len(best)
        if prompt.shown is not None:
            n_shown += 1
            shown += (prompt.shown in best) / len(best)
    return Answered(Share(right, len(prompts)), Share(shown, n_shown) if n_shown else None)


def option_log_probs(
    model: TextModel, prompts: Sequence[FewShotPrompt], *, all_of_them: bool = True
) -> list[list[float]]:
    """For each prompt the natural log-probability of each of its options; as `log_probs_of_options` has it."""
    questions = [(prompt.text, [f" {option}" for option in prompt.options]) for prompt in prompts]
    return log_probs_of_options(model, questions, all_of_them=all_of_them)


@torch.no_grad()
def copying_scores(model: TextModel, prompts: Sequence[FewShotPrompt]) -> Tensor:
    """How much of its attention each head gives, at the question, to what followed the same token before: (L, H).

    Raises ValueError for a model without heads, or where no prompt shows its question.
    """
    network = _transformer(model)
    total, n = torch.zeros(network.config.n_layers, network.config.n_heads), 0
    for prompt in prompts:
        ids = model.ids(prompt.text)[None].to(network.device)
        wanted = followers(ids)[0, -1]
        if bool(wanted.any()):
            network.hidden(ids, trace=(trace := Trace()))
            total += torch.stack([layer[0, :, -1, wanted].sum(-1) for layer in trace.attention]).cpu()
            n += 1
    if not n:
        raise ValueError("In none of these prompts does the question stand among the examples: give some that do.")
    return total / n


def copying_heads(scores: Tensor) -> list[tuple[int, int]]:
    """The heads, as (layer, head), with a score above a third, the largest first."""
    order = scores.flatten().argsort(descending=True).tolist()
    return [divmod(i, scores.shape[1]) for i in order if scores.flatten()[i] > COPIER]


def other_heads(scores: Tensor, n: int, *, seed: int = 0) -> list[tuple[int, int]]:
    """The control: up to n heads that do not copy, as (layer, head), drawn from the seed."""
    L, H = scores.shape
    copiers = set(copying_heads(scores))
    others = [(layer, head) for layer in range(L) for head in range(H) if (layer, head) not in copiers]
    return sorted(Random(seed).sample(others, min(n, len(others))))


def silenced(model: TextModel, heads: Iterable[tuple[int, int]]) -> TextModel:
    """The same text model with these heads, as (layer, head), silent."""
    return TextModel(without_heads(_transformer(model), heads), model.tokenizer, name=model.name)


def _transformer(model: TextModel) -> Transformer:
    if not isinstance(model.model, Transformer):
        raise ValueError(f"{model.name} is a {type(model.model).__name__} and has no heads: give a transformer.")
    return model.model
