"""A text being written, token by token, until something ends it.

Lecture: "generation", as one watches it: each step with its token and what the model thought of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from lmlab.sampling import Drawn

if TYPE_CHECKING:
    from lmlab.tokenizer.tokenizer import Tokenizer

Ended = Literal["stop token", "stop string", "max_new_tokens", "context", "time", "interrupted", "error"]
MAX_STOP_STRINGS = 32
MAX_STOP_CHARACTERS = 1_000


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
    probability can be seen) and no part of the text; nor are stop strings, whose beginnings are held back until they
    turn out to be none. `.ended` says what ended it, and is None while it goes on. Ctrl-C ends it too, and what was
    written stays.

    `stop` are texts to stop before; `max_seconds` what computing may take, looked at before each token; `limit` names
    what it means when no more is drawn. Raises ValueError for stop strings and seconds that are none.
    """

    def __init__(
        self,
        prompt: str,
        drawn: Iterator[Drawn],
        tokenizer: Tokenizer,
        stop_ids: Collection[int],
        *,
        stop: str | Sequence[str] = (),
        max_seconds: float | None = None,
        limit: Ended = "max_new_tokens",
    ) -> None:
        _check_seconds(max_seconds)
        self.prompt = prompt
        self.ended: Ended | None = None
        self._drawn, self._tokenizer, self._stop_ids, self._limit = drawn, tokenizer, stop_ids, limit
        self._bytes, self._text = tokenizer.stream(), StopStrings(stop)
        self._left = math.inf if max_seconds is None else float(max_seconds)
        self._steps: list[Step] = []
        self._rest = ""

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
        """Everything written after the prompt, once it is finished."""
        return "".join(step.text for step in self) + self._rest

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        """What is there so far: to look at it writes nothing."""
        written = "".join(step.text for step in self._steps)[:60]
        return f"Generation({len(self._steps)} tokens, {self.ended or 'not finished'}: {written!r})"

    def _advance(self) -> bool:
        if self.ended is not None:
            return False
        if self._left <= 0:
            return self._end("time")
        start = time.perf_counter()
        try:
            drawn = next(self._drawn, None)
        except BaseException as error:
            self._end("interrupted" if isinstance(error, KeyboardInterrupt) else "error")
            raise
        self._left -= time.perf_counter() - start
        if drawn is None:
            return self._end(self._limit)
        is_stop = drawn.id in self._stop_ids
        text = "" if is_stop else self._text.feed(self._bytes.feed(drawn.id))
        token = self._tokenizer.token_text(drawn.id)
        self._steps.append(Step(drawn.id, token, text, drawn.log_prob, drawn.log_probs))
        if self._text.found:
            self._end("stop string")
        elif is_stop:
            self._end("stop token")
        return True

    def _end(self, why: Ended) -> Literal[False]:
        """Nothing follows; what was held back is written (an unfinished character as U+FFFD). Says False, for short."""
        self.ended = why
        if not self._text.found:
            self._rest = self._text.feed(self._bytes.flush()) + self._text.flush()
            if self._text.found:
                self.ended = "stop string"
        return False


class StopStrings:
    """Lets a text through, piece by piece, up to the first stop string that is complete.

    What may be the beginning of one is held back. Of two that are complete with the same character the longer counts.

    >>> stops = StopStrings(["END"])
    >>> stops.feed("the E"), stops.feed("N"), stops.feed("E"), stops.feed("ND."), stops.found
    ('the ', '', 'EN', '', True)
    """

    def __init__(self, stop: str | Sequence[str]) -> None:
        self._stops = _checked_stops(stop)
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """The part of what was held and what is new that is certain now; nothing once a stop string is found."""
        if self.found:
            return ""
        text = self._held + text
        ends = [(at + len(stop), -len(stop)) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            self.found, self._held = True, ""
            end, minus_length = min(ends)
            return text[: end + minus_length]
        longest = min(max(map(len, self._stops), default=1) - 1, len(text))
        held = next((n for n in range(longest, 0, -1) if any(s.startswith(text[-n:]) for s in self._stops)), 0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> str:
        """What was held back, at the end of the text."""
        rest, self._held = self._held, ""
        return rest


def _checked_stops(stop: str | Sequence[str]) -> tuple[str, ...]:
    listed = (stop,) if isinstance(stop, str) else stop
    if not isinstance(listed, Sequence | set | frozenset) or not all(isinstance(s, str) and s for s in listed):
        raise ValueError(
            f'stop must be a text to stop before, or a list of them, such as ["\\n\\n"], not {stop!r:.60}.'
        )
    if len(listed) > MAX_STOP_STRINGS or any(len(s) > MAX_STOP_CHARACTERS for s in listed):
        raise ValueError(
            f"stop may be {MAX_STOP_STRINGS} texts of {MAX_STOP_CHARACTERS:,} characters; given were {len(listed)}, "
            f"the longest of {max(map(len, listed)):,} characters."
        )
    return tuple(listed)


def _check_seconds(seconds: float | None) -> None:
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise ValueError(f"max_seconds must be a number of seconds above 0, or None for no limit, not {seconds!r}.")
