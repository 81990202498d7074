"""SplitMatrix: one product of matrices, dealt out to processes by columns or by rows. Who makes which number?

Lecture: "sharding: cut the matrices by column or by row and get the same product". The numbers are a corner of the
model's own first MLP. Columns are laid side by side, rows are added; columns and then rows need no message between.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any, cast

import traitlets
from torch import Tensor

from lmlab.systems.sharding import split_mlp, split_product
from lmlab.systems.timeline import Cut
from lmlab.text_model import TextModel
from lmlab.widgets._base import Control, View
from lmlab.widgets._on_processes import OnProcesses
from lmlab.widgets._split_words import (
    PAIRS,
    Piece,
    compared,
    facts_of,
    foot_of,
    owners,
    pairs_of,
    parts_of,
    piece_of,
    rows_of,
    said_of,
)
from lmlab.widgets._style import Spans, count, number, spans

MOST = 4
PROMPT = "the stock market crashed and investors"
CUTS = {"columns": "columns", "rows": "rows"}
Numbers = list[list[float]]


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
    """What real processes made: product (T, F) and their parts, messages and bytes counted, the largest difference
    from the plain product, the same for the whole matrices, and messages and bytes of each way to cut two."""

    product: Tensor
    parts: tuple[Tensor, ...]
    messages: int
    bytes: int
    difference: float
    whole_difference: float
    pairs: tuple[tuple[tuple[Cut, Cut], tuple[int, int]], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitView(View):
    """`x` (T, D) times `w` (D, F) is `product` (T, F); `parts` are what each process makes of it. `whose` says which
    process has each row or column that is cut; `real`: the numbers came from processes."""

    cut: str
    tokens: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    x: Numbers
    w: Numbers
    product: Numbers
    parts: tuple[Numbers, ...]
    whose: tuple[int, ...]
    real: bool
    running: bool
    rows: list[list[str]]
    pairs: list[list[str]]


def split_view(
    piece: Piece, cut: Cut, p: int, at: tuple[int, int], *, made: Made | None = None, running: bool = False,
    name: str = "", question: str = "",
) -> SplitView:  # fmt: skip
    """What SplitMatrix shows of a product over p processes, of which it has the numbers at `at` explained. Pure."""
    at = min(at[0], len(piece.tokens) - 1), min(at[1], len(piece.outputs) - 1)
    parts = made.parts if made else parts_of(piece, cut, p)
    product = made.product if made else piece.x @ piece.w
    rows, pairs = rows_of(piece, cut, p, made), pairs_of(piece, p, made)
    working = [" The processes are at work."] if running else []
    heads = ["", *(f"output {j}" for j in piece.outputs)]
    return SplitView(
        question=question or "Who makes which number?",
        about=f"SplitMatrix · {name} · " + count(p, "process", "processes"),
        readout=spans(*said_of(piece, cut, p, at, parts), *compared(piece, cut, p, made), *working),
        foot=foot_of(piece, name),
        table=[heads, *([t, *map(number, r)] for t, r in zip(piece.tokens, product.tolist(), strict=True))],
        cut=cut, tokens=piece.tokens, inputs=piece.inputs, outputs=piece.outputs,
        x=piece.x.tolist(), w=piece.w.tolist(), product=product.tolist(), parts=tuple(part.tolist() for part in parts),
        whose=owners(piece.w.shape[1 if cut == "columns" else 0], p), real=made is not None, running=running,
        rows=rows, pairs=pairs,
    )  # fmt: skip


def make(piece: Piece, cut: Cut, p: int) -> Made:
    """Have p real processes multiply, the corner and the whole matrices, and both of two, cut in each way."""
    small = split_product(piece.x, piece.w, cut=cut, n_processes=p)
    whole = split_product(piece.whole_x, piece.whole_w, cut=cut, n_processes=p)
    both = [split_mlp(piece.x, piece.w, piece.down, cuts=cuts, n_processes=p) for cuts in PAIRS]
    return Made(
        product=small.product, parts=small.parts, messages=small.messages, bytes=small.bytes,
        difference=float((small.product - piece.x @ piece.w).abs().max()),
        whole_difference=float((whole.product - piece.whole_x @ piece.whole_w).abs().max()),
        pairs=tuple((cuts, (found.messages, found.bytes)) for cuts, found in zip(PAIRS, both, strict=True)),
    )  # fmt: skip


class SplitMatrix(OnProcesses):
    """A product of a model's own numbers, dealt out to processes: predicted at once, made by real ones on a press.

    `cut` is "columns" or "rows" of the weights, `processes` 1 to 4, `at` the (row, column) of the product that is
    explained. `prompt` gives the rows. `run().wait()` has real processes multiply, and `made` holds what they made.
    """

    kind = "split_matrix"
    parts = ("words",)
    controls = ("cut", "processes", "prompt", "start")
    inputs = ("at",)

    cut = traitlets.Enum(tuple(CUTS), "columns").tag(
        sync=True, control=Control("segments", "Cut the weights by", options=tuple(CUTS.items()))
    )
    processes = traitlets.Int(2, min=1, max=MOST).tag(
        sync=True, control=Control("slider", "Processes, p", min=1, max=MOST)
    )
    prompt = traitlets.Unicode(PROMPT).tag(
        sync=True, control=Control("text", "Prompt", wide=True, placeholder="type a text, then press Enter")
    )
    start = traitlets.Unicode().tag(control=Control("button", "▶ Run on real processes", main=True))
    at: traitlets.List[int] = traitlets.List(traitlets.Int(), [2, 1], minlen=2, maxlen=2).tag(sync=True)

    def __init__(self, model: TextModel, *, question: str = "", **traits: Any) -> None:
        if not isinstance(model, TextModel):
            raise ValueError(f"SplitMatrix takes a text model, such as lab.load('town'); got {model!r:.80}.")
        piece_of(model, "")  # says what it cannot multiply
        self._model, self._question = model, question
        super().__init__(**traits)

    @property
    def piece(self) -> Piece:
        """The numbers that are multiplied."""
        return piece_of(self._model, self.prompt)

    @property
    def made(self) -> Made | None:
        """What real processes made in the present state, or None where they have not been asked."""
        found: Made | None = self.measured.get(self._key(self.piece))
        return found

    def _key(self, piece: Piece) -> Hashable:
        """What processes are asked: a model in training is another one after each step."""
        return self.cut, self.processes, piece.x.numpy().tobytes(), piece.w.numpy().tobytes()

    def question_now(self) -> tuple[Hashable, Callable[[], Made]]:
        piece, cut, p = self.piece, cast(Cut, self.cut), self.processes
        return self._key(piece), lambda: make(piece, cut, p)

    def compute(self) -> SplitView:
        row, column = self.at
        if row < 0 or column < 0:
            raise ValueError(f"at={self.at!r} is no number of the product: rows and columns count from 0.")
        return split_view(
            self.piece, cast(Cut, self.cut), self.processes, (row, column), made=self.made, running=self.is_running,
            name=self._model.name, question=self._question,
        )  # fmt: skip

    def reset(self) -> None:
        """Back to what the cell made; what processes have measured is kept."""
        with self.hold_trait_notifications():
            super().reset()
            self.at = [2, 1]

    @property
    def facts(self) -> Spans:
        """What holds on every machine, though sums differ in their last digits."""
        return (
            spans(self._error) if self._error else facts_of(self.piece, cast(Cut, self.cut), self.processes, self.made)
        )
