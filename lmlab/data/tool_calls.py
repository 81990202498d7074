"""Sums that a model hands to a calculator: what it reads, what it writes, what the host writes, and the host itself.

A row is 4736+2981=<|call|>4736+2981<|result|>7717<|end|>7717. with four parts: the question, the model's call, the
host's result, the model's answer. The loss falls on what the model is to write: it never has to predict a result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from lmlab.data.batches import Batch, BatchStream
from lmlab.data.chat import IGNORED, padded
from lmlab.tokenizer.bpe import RESERVED_SPECIALS
from lmlab.tokenizer.split import SPLIT_NONE
from lmlab.tokenizer.tokenizer import Tokenizer

CALL, RESULT, END = "<|call|>", "<|result|>", "<|end|>"
STOP = "."  # ends an answer
OPERATIONS = "+-*"
MOST_DIGITS = 6
_CALCULATION = re.compile(rf"([0-9]{{1,{MOST_DIGITS}}})([+\-*])([0-9]{{1,{MOST_DIGITS}}})")


def calculate(text: str) -> int:
    """The host's calculator: two whole numbers with +, - or * between. The text comes from a model: it is untrusted.

    Nothing is evaluated: what has not exactly this form is refused, ValueError in one sentence.

    >>> calculate("47*36")
    1692
    """
    found = _CALCULATION.fullmatch(text)
    if found is None:
        shown = text if len(text) <= 30 else text[:29] + "…"
        raise ValueError(
            f"The calculator refuses {shown!r}: it takes two whole numbers of at most {MOST_DIGITS} digits with "
            "+, - or * between them, such as 47*36."
        )
    a, b = int(found[1]), int(found[3])
    return {"+": a + b, "-": a - b, "*": a * b}[found[2]]


def tool_tokenizer() -> Tokenizer:
    """One id a byte, and the reserved special tokens: V = 264."""
    names = list(RESERVED_SPECIALS)
    return Tokenizer(
        token_bytes=[*(bytes([n]) for n in range(256)), *(name.encode("utf-8") for name in names)],
        ranks={},
        split=SPLIT_NONE,
        specials={name: 256 + n for n, name in enumerate(names)},
    )


def random_sum(rng: Random, digits: int | None = None) -> str:
    """A sum, a difference or a product of numbers with this many digits, or of one to four, each drawn alike.

    >>> random_sum(Random(0), 3)
    '494-153'
    """

    def number() -> int:
        n = digits or rng.randint(1, 4)
        return rng.randrange(10 ** (n - 1) if n > 1 else 0, 10**n)

    return f"{number()}{rng.choice(OPERATIONS)}{number()}"


@dataclass(frozen=True)
class ToolRow:
    """A row as ids (T,), and which of them (T,) the model is to write itself."""

    ids: Tensor
    by_model: Tensor


def tool_row(calculation: str, tok: Tokenizer, *, tool: bool = True) -> ToolRow:
    """The sum with its call and answer; without `tool` the answer follows at once. ValueError for what is no sum."""
    result = str(calculate(calculation))
    special = {name: [tok.specials[name]] for name in (CALL, RESULT, END)}
    asked = [tok.specials["<|endoftext|>"], *tok.encode(f"{calculation}=")]
    called = [*special[CALL], *tok.encode(calculation), *special[RESULT]] if tool else []
    told = [*tok.encode(result), *special[END]] if tool else []
    answer = tok.encode(result + STOP)
    mine = [False] * len(asked) + [True] * len(called) + [False] * len(told) + [True] * len(answer)
    return ToolRow(torch.tensor([*asked, *called, *told, *answer]), torch.tensor(mine))


class ToolSums(BatchStream):
    """Endless batches (inputs, targets), each (B, T), of sums with numbers of one to four digits.

    Targets are the inputs moved by one where the model writes, and -100 elsewhere: also on the host's result.
    """

    def __init__(self, tok: Tokenizer, *, tool: bool = True, B: int = 24, seed: int = 0) -> None:
        super().__init__(torch.arange(tok.vocab_size), T=64, B=B, seed=seed)
        self._tok, self.tool = tok, tool

    def _shape(self) -> dict[str, Any]:
        return {**super()._shape(), "tool": self.tool}

    def __next__(self) -> Batch:
        rng = Random(f"tool {self.seed} {self._position}")
        self._position += 1
        rows = [tool_row(random_sum(rng), self._tok, tool=self.tool) for _ in range(self.B)]
        inputs = padded([row.ids[:-1] for row in rows], self._tok.specials["<|pad|>"])
        targets = padded([row.ids[1:].masked_fill(~row.by_model[1:], IGNORED) for row in rows], IGNORED)
        return Batch(inputs, targets)
