"""A text that branches: every place keeps what the model remembers there, so going back costs nothing.

Lecture: "predict, choose, append, predict again". A state is a value, and a tree of values is a tree of texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmlab.models.language_model import State
from lmlab.sampling import Sampler
from lmlab.text_model.handle import TextModel, split_trailing_space


@dataclass(frozen=True)
class Branch:
    """One token at one place of the tree; the root, whose id is -1, stands for the prompt.

    `log_probs` holds one number a model: log p(token | the path before it); `totals` their sums along the path.
    """

    parent: int
    id: int
    log_probs: tuple[float, ...]
    totals: tuple[float, ...]
    typed: bool  # written by hand


@dataclass(frozen=True)
class _Place:
    """What a model knows at a branch: the next token's log-probabilities (V,) and its state there."""

    after: Tensor
    state: State


class TextTree:
    """Continuations of one prompt, grown a token at a time by the first model and scored by all of them.

    Models of the first one's vocabulary go on from the state of the branch, which is read once; the second child of a
    branch forks a KV cache, since the first goes on in its buffer. A model of another vocabulary reads the text.
    """

    def __init__(self, models: Sequence[TextModel], prompt: str) -> None:
        self.models = tuple(models)
        self.prompt = split_trailing_space(prompt)[0]
        tokens = [[m.tokenizer.token_bytes(i) for i in range(m.vocab_size)] for m in self.models]
        self._follows = [own == tokens[0] for own in tokens]
        zero = (0.0,) * len(self.models)
        self.branches = [Branch(-1, -1, zero, zero, False)]
        self.children: list[list[int]] = [[]]
        self._places = [tuple(self._begin(m) if f else None for m, f in zip(self.models, self._follows, strict=True))]

    def after(self, branch: int) -> Tensor:
        """Natural log-probabilities (V,) of the token after a branch, by the first model."""
        place = self._places[branch][0]
        assert place is not None
        return place.after

    def path(self, branch: int) -> list[int]:
        """The branches from the first token to this one; empty for the root."""
        found = []
        while branch > 0:
            found.append(branch)
            branch = self.branches[branch].parent
        return found[::-1]

    def ids(self, branch: int) -> list[int]:
        """The tokens of a path."""
        return [self.branches[i].id for i in self.path(branch)]

    def text(self, branch: int) -> str:
        """What a path adds to the prompt."""
        return self.models[0].tokenizer.decode(self.ids(branch))

    def leaves(self) -> list[int]:
        """The branches that nothing follows: no text of one begins with that of another."""
        return [i for i, below in enumerate(self.children) if not below]

    def ended(self, branch: int) -> bool:
        """Whether the text is over here."""
        return self.branches[branch].id in self.models[0].stop_ids

    def grow(self, branch: int, id: int, *, typed: bool = False) -> int:
        """The branch that goes on with this token: the one that exists, or a new one."""
        for child in self.children[branch]:
            if self.branches[child].id == id:
                return child
        parent = self.branches[branch]
        log_probs = tuple(self._log_prob(column, branch, id) for column in range(len(self.models)))
        totals = tuple(a + b for a, b in zip(parent.totals, log_probs, strict=True))
        self._places.append(tuple(self._go_on(column, branch, id) for column in range(len(self.models))))
        self.branches.append(Branch(branch, id, log_probs, totals, typed))
        self.children.append([])
        self.children[branch].append(len(self.branches) - 1)
        return len(self.branches) - 1

    def step(self, branch: int, sampler: Sampler, generator: torch.Generator) -> int:
        """Draw the next token: a new branch, or an old one where the draw has been made before."""
        return branch if self.ended(branch) else self.grow(branch, sampler.draw(self.after(branch), generator))

    def _begin(self, model: TextModel) -> _Place:
        after, state = model.model.next_log_probs(model.ids(self.prompt)[None])
        return _Place(after[0], state)

    def _log_prob(self, column: int, branch: int, id: int) -> float:
        place = self._places[branch][column]
        if place is not None:
            return float(place.after[id])
        ids = [*self.ids(branch), id]
        special = any(i in self.models[0].tokenizer.specials.values() for i in ids)
        text = self.models[0].tokenizer.decode(ids)
        total = self.models[column].log_prob(text, given=self.prompt, allow_special=special)
        before = self.branches[branch].totals[column]
        return total - before if before > float("-inf") else before

    def _go_on(self, column: int, branch: int, id: int) -> _Place | None:
        place, model = self._places[branch][column], self.models[column]
        if place is None:
            return None
        ids = [*model.ids(self.prompt).tolist(), *self.ids(branch), id]
        state: Any = place.state
        if model.max_seq_len is not None and len(ids) > model.max_seq_len:
            new, state = ids[-model.max_seq_len :], None  # every position has moved
        else:
            new = [id]
            if self.children[branch] and hasattr(state, "fork"):
                state = state.fork()  # the first child goes on in this buffer
        after, state = model.model.next_log_probs(torch.tensor([new]), state)
        return _Place(after[0], state)
