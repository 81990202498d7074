"""What is learned from preferences: a reward model that agrees with them, or at once a policy that does (DPO).

Lecture: "preference labels and a reward model". Bradley and Terry 1952: people prefer one thing to another with
probability σ(r_chosen − r_rejected), where each has a number r. Rafailov et al. 2023 (arXiv 2305.18290): the optimal
policy under such a reward and a KL penalty is itself a reward model, so it can be fitted directly.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmlab.data.preferences import PairBatch
from lmlab.models.reward import RewardModel
from lmlab.training.objectives import IGNORED, Objective, answer_log_probs


def bradley_terry(model: nn.Module, batch: PairBatch, generator: torch.Generator | None = None) -> Tensor:
    """The mean surprise, in nats, at the labels: −log σ(r_chosen − r_rejected), over the B pairs of a batch.

    ln 2 for a model that knows nothing. `model` is a RewardModel; raises ValueError for another.
    """
    if not isinstance(model, RewardModel):
        raise ValueError(f"bradley_terry trains a RewardModel, not a {type(model).__name__}; for a policy, take dpo.")
    chosen, rejected = model.scores(batch.inputs, batch.ends).chunk(2)
    return -F.logsigmoid(chosen - rejected).mean()


def dpo(reference: nn.Module, beta: float = 0.1) -> Objective:
    """Direct preference optimization: `bradley_terry`, the reward being β log π(answer) / π_ref(answer).

    `reference` is the policy before this training, as it is now: a copy is kept, so it may be the very model that is
    trained. Log-probabilities are those of the answer's own tokens, <|end|> among them, the question given; their sum.
    A small `beta` lets the policy go far from the reference. Raises ValueError for one that is not above 0.
    """
    if isinstance(beta, bool) or not isinstance(beta, int | float) or not 0 < beta < float("inf"):
        raise ValueError(f"beta says how dear it is to leave the reference, a number above 0, not {beta!r}.")
    before = copy.deepcopy(reference).requires_grad_(False).eval()

    def objective(model: nn.Module, batch: PairBatch, generator: torch.Generator | None = None) -> Tensor:
        ids = batch.inputs
        inputs, targets = ids[:, :-1], ids[:, 1:].masked_fill(~batch.answers[:, 1:], IGNORED)
        with torch.no_grad():
            expected = answer_log_probs(before, inputs, targets)
        chosen, rejected = (beta * (answer_log_probs(model, inputs, targets) - expected)).chunk(2)
        return -F.logsigmoid(chosen - rejected).mean()

    return objective
