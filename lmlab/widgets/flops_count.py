"""FlopsCount: the operations of one training step as torch counts them, beside the formula 6 N D.

Every dot is a model of its own that ran forward and backward under torch's counter; no second formula is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import traitlets

from lmlab.models.flops import PARTS, FlopCount, at_width, counted_flops
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._calculator import scientific, three_digits
from lmlab.widgets._style import Spans, bold, mono, percent, spans

LONGEST = 1024  # positions
WIDEST = 1024
AT_MOST = 1e9  # operations that are really done: what takes more is counted without numbers


@dataclass(frozen=True, kw_only=True)
class FlopsCountView(View):
    """`rows` are (part, operations, as shown); `dots` all counts so far, (width, T, counted over 6 N D)."""

    width: int
    length: int
    ratio: float
    rows: tuple[tuple[str, int, str], ...]
    dots: tuple[tuple[int, int, float], ...]
    widest: int
    narrowest: int


def flops_count_view(
    name: str, width: int, length: int, counts: Mapping[tuple[int, int], FlopCount], *, done: bool, narrowest: int
) -> FlopsCountView:
    """What FlopsCount shows: one count in full, all of them as dots. `done`: its products were really computed."""
    counted = counts[width, length]
    parts = {part: counted.forward[part] + counted.backward[part] for part in PARTS}
    rows = (*parts.items(), ("counted", counted.total), ("6·N·D", counted.six_n_d))
    return FlopsCountView(
        question="Is training 6·N·D operations?",
        about=f"FlopsCount · {name} · cpu",
        readout=_readout(counted, width, length, parts["attention T·S"]),
        foot=_foot(counted, length, done=done),
        table=[["part", "operations"], *([part, scientific(n, 3)] for part, n in rows)],
        width=width,
        length=length,
        ratio=counted.ratio,
        rows=tuple((part, n, scientific(n, 3)) for part, n in rows),
        dots=tuple((w, t, round(count.ratio, 5)) for (w, t), count in sorted(counts.items())),
        widest=WIDEST,
        narrowest=narrowest,
    )


def _readout(counted: FlopCount, width: int, length: int, between: int) -> Spans:
    return spans(
        f"At width {width:,} and T = {length:,} torch counts ",
        bold(f"{scientific(counted.total, 3)} operations"),
        ", ",
        bold(f"{counted.ratio:.3f} times"),
        " 6·N·D; ",
        bold(percent(between / counted.total)),
        " are attention between positions, which the formula leaves out.",
    )


def _foot(counted: FlopCount, length: int, *, done: bool) -> Spans:
    ahead, behind = sum(counted.forward.values()), sum(counted.backward.values())
    how = (
        "the model ran with its numbers"
        if done
        else "the model ran without numbers (its products are dispatched, not done)"
    )
    return spans(
        mono(f"ids (1,{length}) → loss → gradients"),
        f" · N {counted.n_params:,} weights, D {counted.n_tokens:,} tokens · forward {scientific(ahead, 3)}, backward "
        f"{three_digits(behind / ahead)} times that · {how} · a multiplication and its addition are 2 operations",
    )


class FlopsCount(LabWidget):
    """Counted operations of a training step, forward and backward, for this model and for others of its kind.

    `width` and `length` T choose the count that is shown; the model's own width, where it fits, is counted on the
    live model. The button counts six widths at once.
    """

    kind = "flops_count"
    slow = True
    controls = ("width", "length", "sweep")

    width = traitlets.Int(min=1, max=WIDEST).tag(sync=True, control=Control("slider", "Width", max=WIDEST, wide=True))
    length = traitlets.Int(64, min=1, max=LONGEST).tag(
        sync=True, control=Control("slider", "Positions T", min=8, max=LONGEST, step=8, wide=True)
    )
    sweep = traitlets.Bool().tag(sync=True, control=Control("button", "Count six widths", main=True))

    def __init__(self, model: TextModel, **traits: Any) -> None:
        if not isinstance(getattr(model, "model", None), Transformer):
            raise ValueError(f'FlopsCount needs a transformer, not {model!r}: try FlopsCount(lab.load("town")).')
        self._model: Transformer = model.model  # type: ignore[assignment]
        self._name_of_model = model.name
        self._counts: dict[tuple[int, int], FlopCount] = {}
        self._all_widths = False
        step = self._step = self._model.config.head_width
        traits.setdefault("width", min(WIDEST // step * step, self._model.config.d_model))
        super().__init__(options={"width": {"min": step, "max": WIDEST // step * step, "step": step}}, **traits)

    def clicked(self, name: str) -> None:
        """Count the powers of two among the widths."""
        self._all_widths = True
        self.refresh()

    def reset(self) -> None:
        """Forget all counts but the cell's own."""
        super().reset()
        self._counts, self._all_widths = {}, False  # a count that is under way ends in the old ones
        self.refresh()

    def count(self, width: int, length: int, counts: dict[tuple[int, int], FlopCount] | None = None) -> FlopCount:
        """Operations of one step at this width and length, counted once."""
        counts = self._counts if counts is None else counts
        if (width, length) not in counts:
            counts[width, length] = counted_flops(self._for(width, length), length)
        return counts[width, length]

    def compute(self) -> FlopsCountView:
        counts, width, length = self._counts, self.width, self.length
        self.count(width, length, counts)
        if self._all_widths:
            for doubling in range(6):
                other = WIDEST // self._step // 2**doubling * self._step
                self.count(max(self._step, other), length, counts)
            self._all_widths = False
        return flops_count_view(
            self._name_of_model,
            width,
            length,
            dict(counts),
            done=self._runs(width, length),
            narrowest=self._step,
        )

    def _runs(self, width: int, length: int) -> bool:
        """Whether a step is small enough to be done, and not only dispatched."""
        own = self._model.config
        n_params = own.n_params * max(1.0, width / own.d_model) ** 2
        return 6 * n_params * length <= AT_MOST

    def _for(self, width: int, length: int) -> Transformer:
        """The live model at its own width, within its context; else one of its kind."""
        own = self._model.config
        if width == own.d_model and length <= own.max_seq_len and self._runs(width, length):
            return self._model
        device = "cpu" if self._runs(width, length) else "meta"
        return at_width(own, width, max_seq_len=LONGEST, device=device)
