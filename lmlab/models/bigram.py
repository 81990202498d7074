"""The smallest network: one table of V x V logits, learned by gradient descent instead of counted.

Lecture: "a neural network trained by gradient descent on the text shifted by one position". With a table there is
nothing to share between words, so the best it can do is known: the counts of the bigram.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmlab.models.language_model import State, check_ids


class NeuralBigram(nn.Module):
    """A `LanguageModel` whose row of logits is looked up by the last token alone.

    It begins at zero, where every token is equally likely and the loss is ln V.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        if isinstance(vocab_size, bool) or not isinstance(vocab_size, int) or not 1 <= vocab_size <= 20_000:
            raise ValueError(f"A table of V x V logits takes a V from 1 to 20,000, not {vocab_size!r}.")
        self.vocab_size = vocab_size
        self.table = nn.Embedding(vocab_size, vocab_size, _weight=torch.zeros(vocab_size, vocab_size))

    def forward(self, ids: Tensor) -> Tensor:
        """Logits: ids (B, T) to (B, T, V), each row from its own token alone."""
        logits: Tensor = self.table(ids)
        return logits

    @torch.no_grad()
    def log_probs(self, ids: Tensor) -> Tensor:
        """(B, T) to (B, T, V), float32 on the CPU."""
        logits: Tensor = self(check_ids(ids, self.vocab_size).to(self.table.weight.device))
        return logits.float().log_softmax(-1).cpu()

    def next_log_probs(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """New ids (B, T) to (B, V); nothing needs remembering, so the state is always empty."""
        return self.log_probs(ids[:, -1:])[:, 0], ()
