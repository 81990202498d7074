"""What a small model can learn from a large one: not the word that came next, but all that could have come.

A text says of each place one word that stood there. A teacher says of the same place how likely every word was, and so
teaches more per token. Lecture: named there as distillation. Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), who
call what a wrong answer's small probability says "dark knowledge".
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmlab.models.language_model import LanguageModel
from lmlab.text_model import TextModel
from lmlab.training.objectives import IGNORED, Batch, Objective


def distill(teacher: TextModel | LanguageModel | nn.Module, temperature: float = 1.0) -> Objective:
    """Match the teacher's distribution: the mean KL divergence KL(teacher ‖ student), in nats, at the batch's places.

    `teacher` is any language model with the student's vocabulary, `TownTruth` too; it is read and never changed, and
    no gradient reaches it. At a `temperature` τ above 1 both distributions are flattened (logits over τ), and the loss
    is multiplied by τ², so that its gradients keep their size (Hinton et al. 2015, section 2). Places whose target is
    -100 do not count; the targets themselves are not read.

    Raises ValueError for a temperature that is not above 0, what is no language model, and, at the first batch, for a
    student with another vocabulary.
    """
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 < temperature < float("inf"):
        raise ValueError(f"temperature is {temperature!r}; give a number above 0: 1 as it is, 2 or 4 to flatten it.")
    source: Any = teacher.model if isinstance(teacher, TextModel) else teacher
    if not isinstance(source, nn.Module) and not hasattr(source, "log_probs"):
        raise ValueError(f"The teacher must be a language model such as lab.load('town'), not {teacher!r:.60}.")
    tau = float(temperature)

    def objective(model: nn.Module, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        counts = batch.targets != IGNORED
        logits: Tensor = model(batch.inputs)
        wanted = teacher_logits(source, batch.inputs)
        if logits.shape[-1] != wanted.shape[-1]:
            raise ValueError(
                f"The student has {logits.shape[-1]:,} tokens and its teacher {wanted.shape[-1]:,}: probabilities can "
                "be matched over one vocabulary alone; give the student the teacher's tokenizer."
            )
        soft = (wanted.to(logits.device)[counts] / tau).softmax(-1)
        entropy = torch.special.entr(soft).sum(-1).mean()
        return tau * tau * (F.cross_entropy(logits[counts].float() / tau, soft) - entropy)

    return objective


@torch.no_grad()
def teacher_logits(model: Any, inputs: Tensor) -> Tensor:
    """What a language model says after each id: (B, T) to (B, T, V), float32, without a gradient.

    Logits, or log-probabilities, which are logits too: of a word that cannot be, -inf.
    """
    if isinstance(model, nn.Module):
        place = next(model.parameters()).device
        logits: Tensor = model(inputs.to(place))
        return logits.float()
    found: Tensor = model.log_probs(inputs.cpu())
    return found.float()
