"""WeightFile: a checkpoint as what it is, a file of numbers; look at any of them, set a row to zero, see what it costs.

The areas are the tensors of the live model; the loss is measured on text that it was not trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import traitlets
from torch import nn

from lmlab.formats.hf_folder import WEIGHTS
from lmlab.text_model import TextModel, load
from lmlab.text_model.opening import folder_of
from lmlab.training.held_out_loss import HeldOut, held_out
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._checkpoint import (
    ALL,
    WINDOW,
    Edit,
    FileSize,
    Part,
    file_size,
    n_zeroed,
    parts_of,
    sampled,
    spread_of,
    window,
    with_zeros,
    zeroed,
)
from lmlab.widgets._style import Span, Spans, bold, count, mono, n_bytes, number, percent, spans, token_name

NUMBERS = 12  # of a row, written out


@dataclass(frozen=True, kw_only=True)
class WeightFileView(View):
    """`tensor` and `row` are chosen; `first_row` is the first of the window; `numbers` begin the row; `edited` names
    the tensors that are changed; `losses` are before and after, in nats per token, with the text's floor."""

    tensor: str
    shape: tuple[int, ...]
    row: int
    n_rows: int
    first_row: int
    row_name: str
    numbers: tuple[float, ...]
    edited: tuple[str, ...]
    losses: tuple[float, float, float | None] | None
    facts: tuple[tuple[str, str], ...]


def weight_file_view(
    model: TextModel, parts: Sequence[Part], size: FileSize | None, text: HeldOut | None, *,
    tensor: str, row: int, edits: Sequence[Edit], losses: tuple[float, float] | None,
) -> WeightFileView:  # fmt: skip
    """What WeightFile shows; `losses` are those of the model as loaded and as edited."""
    inside: Any = model.model
    part = next(part for part in parts if part.name == tensor)
    values = zeroed(inside.get_parameter(tensor), tensor, edits).float()
    n_rows, total = part.shape[0], sum(part.numel for part in parts)
    first = max(0, min(row - WINDOW // 2, n_rows - WINDOW))
    floor = text.floor if text else None
    return WeightFileView(
        question="What is in the file?" if not edits else "Which numbers matter?",
        about=f"WeightFile · {model.name} · cpu",
        readout=_edited(parts, edits, losses) or _whole(model, parts, size, part, row, losses),
        foot=_foot(inside, total, size, text),
        labels={"row:value": f"{row:,} of {n_rows:,}"},
        table=[["tensor", "shape", "numbers"], *([p.name, _times(p.shape), f"{p.numel:,}"] for p in parts[:8])],
        tensor=tensor,
        shape=part.shape,
        row=row,
        n_rows=n_rows,
        first_row=first,
        row_name=_row_name(model, part, row),
        numbers=tuple(float(f"{x:.4g}") for x in values[row].reshape(-1)[:NUMBERS].tolist()),
        edited=tuple(dict.fromkeys(name for name, _ in edits)),
        losses=(*losses, floor) if losses else None,
        facts=(
            ("numbers", f"{part.numel:,}"),
            ("share of all", percent(part.numel / total)),
            ("bytes in the file", n_bytes(part.numel * (size.numbers / total if size else 4))),
            ("spread", f"{spread_of(values):.3g}"),
        ),
    )


def _times(shape: Sequence[int]) -> str:
    return " × ".join(f"{n:,}" for n in shape)


def _row_name(model: TextModel, part: Part, row: int) -> str:
    """Whose row it is, where that has a name: in the embedding, a token's."""
    if part.name in ("embedding.weight", "unembedding.weight") and part.shape[0] == model.vocab_size:
        return token_name(model.tokenizer.token_text(row), model.tokenizer.specials)
    return ""


def _whole(
    model: TextModel, parts: Sequence[Part], size: FileSize | None, part: Part, row: int,
    losses: tuple[float, float] | None,
) -> Spans:  # fmt: skip
    """What the file is, and which of its numbers are chosen."""
    total = sum(p.numel for p in parts)
    said: list[str | Span] = [model.name, " is ", bold(f"{total:,} numbers"), f" in {count(len(parts), 'tensor')}"]
    if size:
        said += [": ", bold(n_bytes(size.n_bytes)), f" on disk, {n_bytes(size.header)} of them a table of names"]
    n = part.numel // part.shape[0]
    holds = "is one number" if n == 1 else f"holds {n:,} of them"
    said += [". Row ", f"{row:,} of ", mono(part.name.removesuffix(".weight")), f" {holds}. "]
    if losses:
        said += ["With all in place the loss is ", bold(f"{number(losses[0], 3)} nats per token"), "."]
    return spans(*said)


def _edited(parts: Sequence[Part], edits: Sequence[Edit], losses: tuple[float, float] | None) -> Spans:
    """What is zero and what it costs; nothing where nothing is zero."""
    if not edits:
        return ()
    total, n = sum(part.numel for part in parts), n_zeroed(parts, edits)
    whose: Span = mono(edits[-1][0].removesuffix(".weight"))
    said: list[str | Span] = [
        bold(f"{n:,} of {total:,} numbers"),
        f" are zero ({percent(n / total)}), the last in ",
        whose,
        ". ",
    ]
    if losses is None:
        return spans(*said, "There is no text to measure the loss on.")
    before, after = losses
    if number(before, 3) == number(after, 3):
        return spans(*said, f"The loss does not move from {number(before, 3)}.")
    moved = f"The loss {'rises' if after > before else 'falls'} from {number(before, 3)} to "
    return spans(*said, moved, bold(f"{number(after, 3)} nats per token"), ".")


def _foot(inside: Any, total: int, size: FileSize | None, text: HeldOut | None) -> Spans:
    said = []
    if hasattr(inside, "config"):
        formula = inside.config.n_params
        agrees = "=" if formula == total else "≠"
        said.append(f"numbers counted {total:,} {agrees} {formula:,} by the formula from V, D, L, H, F")
    if size:
        each = size.numbers / total
        said.append(f"file {size.n_bytes:,} bytes − header {size.header:,} = {each:g} × {total:,}")
    if text:
        floor = f", floor {number(text.floor, 3)}" if text.floor is not None else ""
        said.append(f"loss on {text.source}{floor}")
    return spans(" · ".join(said))


class WeightFile(LabWidget):
    """The numbers of a checkpoint, as areas and one by one; any row can be set to zero, and put back.

    `model` is the name or folder of a model, whose file is then measured too, or a `TextModel` as it is in memory.
    `text` is what the loss is measured on: "town" (held-out documents), texts of your own, or None. `tensor` and
    `row` are shown; `edits` lists what is zero, (tensor, row) pairs, where row -1 is the whole tensor.
    """

    kind = "weight_file"
    slow = True
    controls = ("tensor", "row", "zero_row", "zero_all", "restore")
    inputs = ("edits",)

    tensor = traitlets.Unicode().tag(sync=True, control=Control("select", "Tensor"))
    row = traitlets.Int(0, min=0).tag(sync=True, control=Control("slider", "Row", wide=True))
    zero_row = traitlets.Bool().tag(sync=True, control=Control("button", "Zero this row", main=True))
    zero_all = traitlets.Bool().tag(sync=True, control=Control("button", "Zero all of it", secondary=True))
    restore = traitlets.Bool().tag(sync=True, control=Control("button", "Restore"))
    edits: traitlets.List[Any] = traitlets.List(
        help="(tensor, row) pairs that are zero; row -1 is the whole tensor"
    ).tag(sync=True)
    _parts: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _dots = traitlets.Bytes().tag(sync=True)
    _window = traitlets.Bytes().tag(sync=True)

    def __init__(
        self, model: TextModel | str | Path = "town", *, text: str | Sequence[str] | None = "town", **traits: Any
    ) -> None:
        self._size = None
        if not isinstance(model, TextModel):
            weights = folder_of(str(model)) / WEIGHTS
            self._size = file_size(weights) if weights.is_file() else None
            model = load(model)
        if not isinstance(model.model, nn.Module):
            kind = type(model.model).__name__
            raise ValueError(f"{model.name} ({kind}) is no file of weights; try lab.widgets.WeightFile('town').")
        self._model, self._inside = model, model.model
        self._tensors = {part.name: part for part in parts_of(model.model)}
        total = sum(part.numel for part in self._tensors.values())
        self._text = held_out(model, text, n_tokens=max(256, min(2000, 2_100_000_000 // total)))
        self._losses: dict[tuple[Edit, ...], float] = {}
        traits.setdefault("tensor", next(iter(self._tensors)))
        self._first_edits = list(traits.get("edits", []))
        options = {"tensor": {"options": tuple((n, n.removesuffix(".weight")) for n in self._tensors)}}
        dots = {p.name: sampled(model.model.get_parameter(p.name), p) for p in self._tensors.values()}
        parts = [[p.name, _times(p.shape), p.numel, [round(x, 5) for x in p.box], *dots[p.name].shape]
                 for p in self._tensors.values()]  # fmt: skip
        packed = b"".join(shades.numpy().tobytes() for shades in dots.values())
        super().__init__(options=options, _parts=parts, _dots=packed, **traits)

    @traitlets.validate("tensor")
    def _known_tensor(self, proposal: Any) -> str:
        if proposal.value not in self._tensors:
            known = ", ".join(list(self._tensors)[:3])
            raise traitlets.TraitError(f"{self._model.name} has no tensor {proposal.value!r}; it has {known}, …")
        return str(proposal.value)

    def clicked(self, name: str) -> None:
        """Zero what is chosen, or put everything back."""
        edit = [self.tensor, ALL if name == "zero_all" else self._shown_row()]
        self.edits = [] if name == "restore" else [e for e in self.edits if list(e) != edit] + [edit]

    def reset(self) -> None:
        """Back to the cell's choice and zeros."""
        super().reset()
        self.edits = list(self._first_edits)

    def _shown_row(self) -> int:
        return min(self.row, self._tensors[self.tensor].shape[0] - 1)

    def _loss(self, edits: tuple[Edit, ...]) -> float | None:
        if self._text is None:
            return None
        key = tuple(sorted(set(edits)))
        if key not in self._losses:
            changed: Any = with_zeros(self._inside, key) if key else self._inside
            self._losses[key] = self._text.loss(changed)
        return self._losses[key]

    def compute(self) -> WeightFileView:
        edits = tuple(self._checked(edit) for edit in self.edits)
        before, after = self._loss(()), self._loss(edits)
        view = weight_file_view(
            self._model,
            list(self._tensors.values()),
            self._size,
            self._text,
            tensor=self.tensor,
            row=self._shown_row(),
            edits=edits,
            losses=None if before is None or after is None else (before, after),
        )
        tensor = zeroed(self._inside.get_parameter(view.tensor), view.tensor, edits)
        self._seen = window(tensor, view.first_row, self._tensors[view.tensor].spread)
        return view

    def _checked(self, edit: Any) -> Edit:
        name, row = edit if isinstance(edit, (list, tuple)) and len(edit) == 2 else (edit, None)
        part = self._tensors.get(name) if isinstance(name, str) else None
        if part is None or not isinstance(row, int) or not ALL <= row < part.shape[0]:
            raise ValueError(f"edits are (tensor, row) pairs such as {[self.tensor, 0]}, and {edit!r} is none.")
        return str(name), row

    def publish(self, view: View) -> None:
        """The picture of the numbers goes beside the view, and only when it changes."""
        self._window = self._seen
        super().publish(view)
