"""A text being written, token by token.

Lecture: "generation", as one watches it: each step with its token and what the model thought of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from lmlab.sampling import Drawn

if TYPE_CHECKING:
    from lmlab.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Step:
    """One token written: `token` for display, `text` what it added (empty while a character is incomplete)."""

    id: int
    token: str
    text: str
    log_prob: float  # the model's own, before temperature and filters
    log_probs: Tensor  # (V,), the whole distribution that it was drawn from


class Generation(Iterable[Step]):
    """A text being written: iterate to watch it, `.text` for all that is written after `prompt`.

    Every step is computed once, when first asked for; iterating again replays. A stop token is a step (so that its
    probability can be seen) and no part of the text.
    """

    def __init__(self, prompt: str, drawn: Iterator[Drawn], tokenizer: Tokenizer, stop_ids: Collection[int]) -> None:
        self.prompt = prompt
        self._drawn, self._tokenizer, self._stop_ids = drawn, tokenizer, stop_ids
        self._stream = tokenizer.stream()
        self._steps: list[Step] = []
        self._rest: str | None = None

    def __iter__(self) -> Iterator[Step]:
        place = 0
        while place < len(self._steps) or self._advance():
            yield self._steps[place]
            place += 1

    @property
    def steps(self) -> list[Step]:
        """All steps, once the text is finished."""
        return list(self)

    @property
    def text(self) -> str:
        """Everything written after the prompt."""
        written = "".join(step.text for step in self)
        return written + (self._rest or "")

    def __str__(self) -> str:
        return self.text

    def _advance(self) -> bool:
        drawn = next(self._drawn, None)
        if drawn is None:
            if self._rest is None:
                self._rest = self._stream.flush()  # an unfinished character, as U+FFFD
            return False
        text = "" if drawn.id in self._stop_ids else self._stream.feed(drawn.id)
        token = self._tokenizer.token_text(drawn.id)
        self._steps.append(Step(drawn.id, token, text, drawn.log_prob, drawn.log_probs))
        return True
