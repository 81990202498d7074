"""Baselines: what reward is to be expected, so that an answer is judged by how much better it was.

Lecture: "with a baseline to reduce variance". A baseline never changes the gradient in the mean, as long as it does
not depend on the answer that it is taken from: E[b · grad log π] = b · grad 1 = 0 (Williams 1992). Each one here keeps
to that: it knows the prompt, the batches before, or the other answers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from lmlab.models.transformer import Transformer

MEMORY = 0.9  # what a batch of the past counts for, a batch later


class Baseline(Protocol):
    """Rewards are a matrix with a row for each prompt and a column for each answer to it; so is what is expected."""

    def expected(self, prompts: Sequence[Tensor], rewards: Tensor) -> Tensor:
        """What to take from each reward; must not depend on that very reward. prompts: ids (T,), each its own T."""
        ...

    def learn(self, prompts: Sequence[Tensor], rewards: Tensor) -> None:
        """Take these rewards into account, from the next batch on."""
        ...

    def state(self) -> dict[str, Any]:
        """What was learned, as plain numbers and tensors."""
        ...

    def load_state(self, state: dict[str, Any]) -> None: ...


class NoBaseline:
    """Nothing is expected: REINFORCE as it was first written."""

    def expected(self, prompts: Sequence[Tensor], rewards: Tensor) -> Tensor:
        """Zero for all."""
        return torch.zeros_like(rewards)

    def learn(self, prompts: Sequence[Tensor], rewards: Tensor) -> None:
        """There is nothing to learn."""

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        del state


class LeaveOneOut(NoBaseline):
    """The mean reward of the other answers to the same prompt (Kool et al. 2019; RLOO, Ahmadian et al. 2024).

    The mean of all of them would hold the answer itself, and make the gradient (n − 1)/n times as long.
    """

    def expected(self, prompts: Sequence[Tensor], rewards: Tensor) -> Tensor:
        n = rewards.shape[1]
        return (rewards.sum(1, keepdim=True) - rewards) / (n - 1)


class RunningMean(NoBaseline):
    """One number for all: the mean reward of the batches before, the last ones counting most; 0 in the first."""

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def expected(self, prompts: Sequence[Tensor], rewards: Tensor) -> Tensor:
        return torch.full_like(rewards, self._sum / self._weight if self._weight else 0.0)

    def learn(self, prompts: Sequence[Tensor], rewards: Tensor) -> None:
        self._sum = MEMORY * self._sum + float(rewards.mean())
        self._weight = MEMORY * self._weight + 1.0

    def state(self) -> dict[str, Any]:
        return {"sum": self._sum, "weight": self._weight}

    def load_state(self, state: dict[str, Any]) -> None:
        self._sum, self._weight = float(state["sum"]), float(state["weight"])


class PromptRegression(NoBaseline):
    """A value for each prompt, learned: ridge regression from what `model` makes of the prompt to its rewards so far.

    The features are the residual stream at the prompt's last token, of length one, and a constant; `model` is copied
    and never trained, so a prompt's features stay. Solved exactly at each batch, with nothing to tune.
    """

    RIDGE = 0.03  # measured on the town's model, four kinds of question that pay 0 or 1: a tenth of the others' error

    def __init__(self, model: Transformer) -> None:
        self._model = copy.deepcopy(model).requires_grad_(False).eval()
        size = model.config.d_model + 1
        self._moments, self._sums = torch.zeros(size, size).double(), torch.zeros(size).double()

    def expected(self, prompts: Sequence[Tensor], rewards: Tensor) -> Tensor:
        ridge = self.RIDGE * torch.eye(len(self._sums)).double()
        weights = torch.linalg.solve(self._moments + ridge, self._sums)
        return (self._features(prompts) @ weights).to(rewards.dtype)[:, None].expand_as(rewards)

    def learn(self, prompts: Sequence[Tensor], rewards: Tensor) -> None:
        features = self._features(prompts)
        self._moments = MEMORY * self._moments + features.T @ features
        self._sums = MEMORY * self._sums + features.T @ rewards.double().mean(1)

    def state(self) -> dict[str, Any]:
        return {"moments": self._moments.clone(), "sums": self._sums.clone()}

    def load_state(self, state: dict[str, Any]) -> None:
        self._moments, self._sums = state["moments"].clone(), state["sums"].clone()

    @torch.no_grad()
    def _features(self, prompts: Sequence[Tensor]) -> Tensor:
        """A row for each prompt, of D numbers and a one."""
        last = [self._model.hidden(ids[None].to(self._model.device))[0, -1].double().cpu() for ids in prompts]
        read = torch.nn.functional.normalize(torch.stack(last), dim=1)
        return torch.cat((read, torch.ones(len(prompts), 1).double()), 1)


def make_baseline(name: str, model: Any) -> Baseline:
    """The baseline of this name; `model` reads the prompts of the learned one. Raises ValueError, naming all."""
    if name == "learned":
        if not isinstance(model, Transformer):
            raise ValueError("The learned baseline reads prompts with a Transformer; take another for this policy.")
        return PromptRegression(model)
    plain = {"leave-one-out": LeaveOneOut, "mean": RunningMean, "none": NoBaseline}
    if name not in plain:
        raise ValueError(f"There is no baseline {name!r}; choose from {', '.join(plain)}, learned, or give a Baseline.")
    return plain[name]()
