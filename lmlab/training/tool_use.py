"""The experiment behind ToolUse: a small model learns to call a calculator, and a host that answers its calls.

The model writes text and nothing else. What makes it an agent is the loop around it: the host reads what it writes,
and where a call ends, computes and writes the result into the same text. Sources: Schick et al. 2023 (arXiv
2302.04761, Toolformer); Cobbe et al. 2021 (arXiv 2110.14168, whose models write to a calculator).
`tools/clock_sums.py` writes the shares of several seeds to assets/beyond/tool_use.json.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from lmlab.assets import asset
from lmlab.data.tool_calls import CALL, END, RESULT, STOP, ToolSums, calculate, random_sum, tool_tokenizer
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.text_model import TextModel
from lmlab.training.loop import train
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState

STEPS = 300
D, L, H = 64, 2, 4
MOST_TOKENS = 48  # that model and host write together
SETTINGS = OptimizerSettings(optimizer="muon", lr=2e-2)
HOSTS = ("right", "wrong", "silent")
WRONG_BY = 7  # what the lying host adds


@dataclass(frozen=True)
class Written:
    """One token of a transcript: its id, its text, who wrote it ("you", "model" or "host"), and what the model gave it,
    a natural log (nan for the first, which nothing predicts)."""

    id: int
    text: str
    by: str
    log_prob: float


@dataclass(frozen=True)
class Transcript:
    """Everything that was written. `call` is what the model asked (None: it never called), `result` what the host
    wrote, `refusal` why it could not compute, `answer` what stands between the result and the final stop (None: no
    stop came)."""

    tokens: tuple[Written, ...]
    call: str | None
    result: str | None
    refusal: str
    answer: str | None


@functools.cache
def tool_user(*, tool: bool = True, steps: int = STEPS, seed: int = 0) -> TextModel:
    """A model of two layers that learned to call the calculator (some seconds); without `tool`, to answer at once.

    Both see the same sums, in the same order, for the same number of steps. Asked for again, it is the same model.
    """
    tok = tool_tokenizer()
    config = TransformerConfig(
        vocab_size=tok.vocab_size, max_seq_len=96, d_model=D, n_layers=L, n_heads=H, position="learned"
    )
    model = Transformer(config, seed=seed)
    state = TrainState.begin(model, steps=steps, seed=seed, settings=SETTINGS)
    train(state, ToolSums(tok, tool=tool, seed=seed), next_token, steps)
    return TextModel(model, tok, name="with a calculator" if tool else "without")


@torch.no_grad()
def converse(model: TextModel, prompt: str, *, host: str = "right") -> Transcript:
    """What model and host write after a prompt such as 47*36=, the model greedily.

    host: "right" computes, "wrong" adds 7 to the result, "silent" never answers, so that the model writes on alone.
    Raises ValueError for another host, and for a prompt that leaves no room in the context.
    """
    if host not in HOSTS:
        raise ValueError(f"There is no host {host!r}: choose {', '.join(HOSTS[:-1])} or {HOSTS[-1]}.")
    return _Talk(model, host).about(prompt)


class _Talk:
    """One transcript in the making: the text so far, and what the model expects next."""

    def __init__(self, model: TextModel, host: str) -> None:
        self._model, self._tok, self._host = model.model, model.tokenizer, host
        self._context = model.max_seq_len or 10**9
        self._tokens: list[Written] = []
        self._state: Any = None
        self._expected: Tensor | None = None
        self._call: str | None = None
        self._result: str | None = None
        self._refusal = ""

    def about(self, prompt: str) -> Transcript:
        bos, call, result, end = (self._tok.specials[name] for name in ("<|endoftext|>", CALL, RESULT, END))
        asked = [bos, *self._tok.encode(prompt)]
        if len(asked) + MOST_TOKENS > self._context:
            raise ValueError(
                f"The sum has {len(asked)} tokens and at most {self._context - MOST_TOKENS} leave room for an answer: "
                "shorten it."
            )
        self._add(asked, "you")
        begun, since, stop = None, len(asked), self._tok.encode(STOP)[0]
        answer: str | None = None
        for _ in range(MOST_TOKENS):
            assert self._expected is not None
            chosen = int(self._expected.argmax())
            self._add([chosen], "model")
            if chosen == call:
                begun = len(self._tokens)
            elif chosen == result and begun is not None and self._call is None:
                self._call = "".join(token.text for token in self._tokens[begun:-1])
                since = len(self._tokens)
                if self._host != "silent":
                    self._add([*self._tok.encode(self._reply()), end], "host")
                    since = len(self._tokens)
            elif chosen == end and self._call is not None:  # of a result that the model wrote itself
                since = len(self._tokens)
            elif chosen == stop:
                answer = "".join(token.text for token in self._tokens[since:-1])
                break
            if len(self._tokens) >= len(asked) + MOST_TOKENS:
                break
        return Transcript(tuple(self._tokens), self._call, self._result, self._refusal, answer)

    def _reply(self) -> str:
        try:
            value = calculate(self._call or "") + (WRONG_BY if self._host == "wrong" else 0)
        except ValueError as error:
            self._refusal = str(error)
            return "?"
        self._result = str(value)
        return self._result

    def _add(self, ids: Sequence[int], by: str) -> None:
        """Append tokens one by one: each with what the model gave it before it stood there."""
        for id_ in ids:
            log_prob = math.nan if self._expected is None else float(self._expected[id_])
            self._tokens.append(Written(id_, self._tok.token_text(id_), by, log_prob))
            log_probs, self._state = self._model.next_log_probs(torch.tensor([[id_]]), self._state)
            self._expected = log_probs[0]


def tool_accuracy(
    model: TextModel, digits: int, *, n: int = 50, host: str = "right", seed: int = 0
) -> float:  # fmt: skip
    """The share of n random sums of numbers with this many digits whose answer is right.

    With the host "wrong", the share whose answer is the wrong result, to the digit: how much the model trusts it.
    """
    rng, right = Random(f"examination {digits} {seed}"), 0
    for _ in range(n):
        calculation = random_sum(rng, digits)
        wanted = calculate(calculation) + (WRONG_BY if host == "wrong" else 0)
        right += converse(model, f"{calculation}=", host=host).answer == str(wanted)
    return right / n


@dataclass(frozen=True)
class StoredTool:
    """A stored seed: the shares of right answers by number of digits, with and without the calculator, and how often a
    wrong result for four digits was repeated."""

    seed: int
    with_tool: dict[str, float]
    without: dict[str, float]
    trusted: float


def stored_tool_use() -> tuple[StoredTool, ...]:
    """Three seeds as they ship."""
    kept = json.loads(asset("beyond/tool_use.json").read_text(encoding="utf-8"))
    return tuple(StoredTool(**run) for run in kept["runs"])
