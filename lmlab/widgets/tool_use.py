"""ToolUse: a model that learned to call a calculator, and the host that reads its calls, computes and writes back.

The transcript says of each token who wrote it. The host's tokens are hatched: the loss never asked for them. What the
host writes the model believes, also when the host is wrong; and where nobody answers, it has nothing to go on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import traitlets

from lmlab.data.tool_calls import MOST_DIGITS, calculate
from lmlab.text_model import TextModel
from lmlab.training.tool_use import (
    HOSTS,
    STEPS,
    WRONG_BY,
    StoredTool,
    Transcript,
    Written,
    converse,
    stored_tool_use,
    tool_user,
)
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._facts import StoresFacts
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, percent, spans, token_name, you

MODELS = {"with": "with a calculator", "without": "without one"}
HOST_NAMES = {"right": "computes", "wrong": f"adds {WRONG_BY}", "silent": "is silent"}
PARTS = {"you": "You ask", "model": "The model writes", "host": "The host writes"}
MOST_BYTES = 40  # of a sum; the rest of the context is for call, result and answer
SPECIALS = ("<|endoftext|>", "<|pad|>", "<|mask|>", "<|user|>", "<|assistant|>", "<|end|>", "<|call|>", "<|result|>")


@dataclasses.dataclass(frozen=True)
class Piece:
    """Tokens in a row by one writer: their names, what the model gave each (0 to 1, None for the first of all), what is
    said of each, and whether the loss asks for them."""

    by: str
    name: str
    tokens: tuple[str, ...]
    given: tuple[float | None, ...]
    details: tuple[Spans, ...]
    counts: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToolUseView(View):
    """``pieces`` of the transcript in order; ``shares`` are stored right answers: digits, with and without the tool,
    from 0 to 1."""

    pieces: tuple[Piece, ...]
    shares: tuple[tuple[str, float, float], ...]


def tool_use_view(
    said: Transcript, wanted: int | None, stored: Sequence[StoredTool], *, host: str, model: str, asked: str,
    steps: int, question: str = "",
) -> ToolUseView:  # fmt: skip
    """What ToolUse shows of a transcript; `wanted` is the right answer, None where there is none. Pure."""
    pieces = _pieces(said.tokens)
    n = sum(token.by == "model" for token in said.tokens)
    return ToolUseView(
        question=question or "Why know what you can look up?",
        about=f"ToolUse · {MODELS[model]} · cpu",
        readout=spans(
            *_readout(said, wanted, host, model, asked),
            f" The loss asks for {n} of {count(len(said.tokens), 'token')}.",
        ),
        foot=spans(
            mono("ids (B,T) → logits (B,T,V)"),
            f" · trained for {count(steps, 'step')} on sums of one to four digits, +, - and * · bars: the probability "
            "that the model gave each token · hatched: read, but no target of the loss · the host takes "
            f"two numbers of at most {MOST_DIGITS} digits and nothing else · shares: mean of {len(stored)} stored "
            "seeds, 50 sums each",
        ),
        table=[["who", "wrote"], *([piece.name, "".join(piece.tokens)] for piece in pieces)],
        pieces=pieces,
        shares=tuple(
            (digits, _mean([run.with_tool[digits] for run in stored]), _mean([run.without[digits] for run in stored]))
            for digits in stored[0].with_tool
        ),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _pieces(tokens: Sequence[Written]) -> tuple[Piece, ...]:
    found: list[list[Written]] = []
    for token in tokens:
        if not found or found[-1][0].by != token.by:
            found.append([])
        found[-1].append(token)
    told = 0
    pieces = []
    for group in found:
        again = group[0].by == "model" and told
        told += group[0].by == "host"
        pieces.append(
            Piece(
                by=group[0].by,
                name="The model goes on" if again else PARTS[group[0].by],
                tokens=tuple(_name(token) for token in group),
                given=tuple(None if math.isnan(token.log_prob) else math.exp(token.log_prob) for token in group),
                details=tuple(_detail(token) for token in group),
                counts=group[0].by == "model",
            )
        )
    return tuple(pieces)


def _name(token: Written) -> str:
    return "⟨begin⟩" if token.text == "<|endoftext|>" else token_name(token.text, SPECIALS)


def _detail(token: Written) -> Spans:
    said: list[str | Span] = [mono(_name(token)), " was written by "]
    said.append({"you": you("you"), "model": model_name(0, "the model"), "host": bold("the host")}[token.by])
    if not math.isnan(token.log_prob):
        said += ["; the model gave it ", bold(percent(math.exp(token.log_prob)))]
    return spans(*said, "; a target of the loss." if token.by == "model" else "; no target of the loss.")


def _readout(said: Transcript, wanted: int | None, host: str, model: str, asked: str) -> list[str | Span]:
    who = model_name(0 if model == "with" else 1, "The model")
    verdict = _verdict(said, wanted)
    if said.call is None:
        return [who, " answers ", you(asked), " without a call: ", *verdict]
    begun: list[str | Span] = [who, " writes the call ", mono(_short(said.call))]
    if said.refusal:
        return [*begun, ". ", bold(said.refusal)]
    if host == "silent":
        return [*begun, ", and nobody answers. It writes on alone: ", *verdict]
    told = [", the host computes " if host == "right" else f", the host answers {WRONG_BY} too many: "]
    begun += [*told, bold(str(said.result)), ", and the model says "]
    if said.answer == said.result and host == "wrong":
        return [*begun, "the same. It has no way to know."]
    return [*begun, *verdict]


def _verdict(said: Transcript, wanted: int | None) -> list[str | Span]:
    if said.answer is None:
        return ["it comes to no end."]
    given: list[str | Span] = [bold(_short(said.answer) or "nothing")]
    if wanted is None:
        return [*given, "."]
    return [*given, ", which is right." if said.answer == str(wanted) else f"; right is {wanted}."]


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"


class ToolUse(StoresFacts, LabWidget):
    """A sum, and what the model, which learned to call a calculator, and its host write after it.

    `sum` is any text; `host` is "right", "wrong" (it adds 7) or "silent"; `model` is "with" or "without" the tool. Both
    models train in some seconds, once a kernel; `steps` and `seed` are theirs. `question` is another heading.
    """

    kind = "tool_use"
    parts = ("chips",)
    slow = True
    controls = ("sum", "host", "model", "play")

    sum = traitlets.Unicode("4736+2981").tag(
        sync=True, control=Control("text", "A sum: two numbers and +, - or *", wide=True, on_enter=True)
    )
    host = traitlets.Enum(HOSTS, "right").tag(
        sync=True, control=Control("segments", "The host", options=tuple(HOST_NAMES.items()))
    )
    model = traitlets.Enum(tuple(MODELS), "with").tag(
        sync=True, control=Control("segments", "The model learned", options=tuple(MODELS.items()))
    )
    play = traitlets.Unicode().tag(control=Control("button", "▶ Token by token", secondary=True))

    def __init__(self, *, steps: int = STEPS, seed: int = 0, question: str = "", **traits: Any) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 2000:
            raise ValueError(f"steps is {steps!r}; give a whole number from 1 to 2000, such as {STEPS}.")
        self._steps, self._seed, self._question = steps, seed, question
        self.transcript: Transcript | None = None
        super().__init__(**traits)

    @property
    def text_model(self) -> TextModel:
        """The model that is asked."""
        return tool_user(tool=self.model == "with", steps=self._steps, seed=self._seed)

    def compute(self) -> ToolUseView:
        whole = self.sum.replace(" ", "").rstrip("=")
        asked = whole
        while len(asked.encode("utf-8", "replace")) > MOST_BYTES:
            asked = asked[len(asked) - MOST_BYTES :] if len(asked) > MOST_BYTES else asked[1:]
        self.transcript = said = converse(self.text_model, f"{asked}=", host=self.host)
        view = tool_use_view(
            said, _wanted(asked), stored_tool_use(), host=self.host, model=self.model, asked=_short(asked),
            steps=self._steps, question=self._question,
        )  # fmt: skip
        if asked == whole:
            return view
        cut = f"Only the end of your text fits, {MOST_BYTES} bytes of it. "
        return dataclasses.replace(view, readout=spans(cut, *view.readout))

    @property
    def facts(self) -> Spans:
        """What holds on every machine."""
        said, asked = self.transcript, _short(self.sum)
        if said is None:
            return spans(self.sentence)
        if self.model == "without":
            return spans(f"{asked} without a calculator: a call is written: {said.call is not None}")
        told = said.result is not None and said.answer == said.result
        return spans(f"{asked}, the host {HOST_NAMES[self.host]}: the model says what it was told: {told}")


def _wanted(asked: str) -> int | None:
    try:
        return calculate(asked)
    except ValueError:
        return None
