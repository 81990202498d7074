"""ParameterGrowth: a longer text, and how many weights two kinds of network need for it.

The flat network's matrix is drawn as an area, the transformer at the same scale beside it. Both are built, without
memory, at the length on the slider, and counted; the curves behind are the formulas, which a test holds equal.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
import traitlets

from lmlab.models.mlp import MLP, n_weights
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._style import Span, Spans, bold, model_name, mono, number, spans

_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
FLAT, TRANSFORMER = "flat MLP", "transformer"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """Widths of both networks: D, V, the hidden layer's H; layers and heads of the transformer; lengths offered."""

    D: int
    V: int
    d_hidden: int
    n_layers: int
    n_heads: int
    start: int
    most: int

    def config(self, T: int) -> TransformerConfig:
        """The transformer of this size in GPT-2's style, whose positions are learned: T·D weights of their own."""
        return TransformerConfig(
            vocab_size=self.V, max_seq_len=T, d_model=self.D, n_layers=self.n_layers, n_heads=self.n_heads,
            norm="layer", position="learned", mlp="gelu", bias=True,
        )  # fmt: skip

    def flat(self, T: int, hidden: bool) -> int:
        """Weights of the flat network's matrices for texts of T tokens."""
        return n_weights(T * self.D, T * self.V, self.d_hidden if hidden else None)


SIZES = {
    "the slide": Size(D=4, V=10, d_hidden=16, n_layers=1, n_heads=1, start=6, most=24),
    "town": Size(D=128, V=2048, d_hidden=512, n_layers=4, n_heads=4, start=64, most=256),
    "GPT-2": Size(D=768, V=50_257, d_hidden=3072, n_layers=12, n_heads=12, start=1024, most=1024),
}


@dataclasses.dataclass(frozen=True)
class Curve:
    """One network's weights at the lengths ``lengths`` of the view; ``slot`` is its color, ``dashed`` not chosen."""

    name: str
    slot: int
    weights: tuple[int, ...]
    dashed: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrowthView(View):
    """``flat`` and ``transformer`` are counted at ``T``, ``half`` (0 where T is odd) is the flat one at T / 2;
    ``full`` fills the picture; ``power`` says how the flat one grows, as T¹ or T²."""

    T: int
    most: int
    flat: int
    half: int
    transformer: int
    full: int
    power: int
    shown: dict[str, str]
    lengths: tuple[int, ...]
    curves: tuple[Curve, ...]


def big(n: int) -> str:
    """A count in full below a billion, then ``4.05×10¹³``."""
    if n < 1e9:
        return f"{n:,}"
    power = math.floor(math.log10(n))
    return f"{n / 10**power:.2f}×10{str(power).translate(_DIGITS)}"


@lru_cache(256)
def counted(size: Size, T: int, hidden: bool) -> tuple[int, int]:
    """Weights of a live flat network's matrices and of a live transformer, built where nothing is stored."""
    with torch.device("meta"):
        flat = MLP(size.V, d_model=size.D, max_seq_len=T, d_hidden=size.d_hidden if hidden else None, seed=None)
        transformer = Transformer(size.config(T), seed=None)
    return flat.n_matrix_weights, transformer.n_params


def growth_view(name: str, T: int, *, hidden: bool, size: Size | None = None) -> GrowthView:
    """What ParameterGrowth shows of one size at one length: pure."""
    size = size or SIZES[name]
    flat, transformer = counted(size, T, hidden)
    half = size.flat(T // 2, hidden) if T % 2 == 0 else 0
    lengths = sorted({2**k for k in range(size.most.bit_length())} | {size.most})
    curves = (
        Curve(FLAT, 2, tuple(size.flat(n, False) for n in lengths), hidden),
        Curve("with a hidden layer", 2, tuple(size.flat(n, True) for n in lengths), not hidden),
        Curve(TRANSFORMER, 1, tuple(size.config(n).n_params for n in lengths), False),
    )
    return GrowthView(
        question="What happens to the number of weights when the text gets twice as long?",
        about=f"ParameterGrowth · {name} · counted on live networks",
        readout=_readout(size, T, flat, transformer, half),
        foot=_foot(size, T, hidden),
        table=[["weights at", FLAT, TRANSFORMER], *_table(size, T, hidden)],
        T=T, most=size.most, flat=flat, half=half, transformer=transformer,
        full=size.flat(size.most, False), power=1 if hidden else 2,
        shown={"flat": big(flat), "half": big(half), "transformer": big(transformer)},
        lengths=tuple(lengths), curves=curves,
    )  # fmt: skip


def _readout(size: Size, T: int, flat: int, transformer: int, half: int) -> Spans:
    said: list[str | Span] = ["At T = ", bold(f"{T:,}"), " the ", model_name(1, FLAT), " has ", bold(big(flat))]
    said += [" weights"]
    before = size.config(T // 2).n_params if half else 0
    if half:
        said += [f", {number(flat / half, 0)} times as many as at T = {T // 2:,}; the "]
        said += [model_name(0, TRANSFORMER), " ", bold(big(transformer)), f", {transformer - before:,} more, "]
        said += [f"which are the learned positions of {count_new(T - T // 2)}. "]
    else:
        said += ["; the ", model_name(0, TRANSFORMER), " ", bold(big(transformer)), ". "]
    if flat > 100 * transformer:
        said += [f"Of such transformers {big(flat // transformer)} would fit into the one matrix."]
    return spans(*said)


def count_new(n: int) -> str:
    """``6 new places``."""
    return f"{n:,} new place" + ("" if n == 1 else "s")


def _foot(size: Size, T: int, hidden: bool) -> Spans:
    D, V, H = f"{size.D:,}", f"{size.V:,}", f"{size.d_hidden:,}"
    if hidden:
        shape = f"(T·D + T·V)·H = ({T:,}·{D} + {T:,}·{V})·{H}"
    else:
        shape = f"(T·D, T·V) = ({T * size.D:,}, {T * size.V:,})"
    return spans(
        mono(shape),
        f" · D = {D}, V = {V} · the embedding table, {size.D * size.V:,}, is counted with the transformer alone · of "
        "the flat one’s weights, those from later to earlier words are held at zero",
    )


def _table(size: Size, T: int, hidden: bool) -> list[list[str]]:
    lengths = [n for n in (T // 2, T, 2 * T) if n]
    return [[f"T = {n:,}", big(size.flat(n, hidden)), big(size.config(n).n_params)] for n in lengths]


class ParameterGrowth(LabWidget):
    """Drag T, the length of the text: the flat network's matrix grows as a square, the transformer hardly at all.

    ``size`` is "the slide" (D = 4, V = 10), "town" or "GPT-2"; ``sizes={"mine": (64, 500)}`` adds a D and a V of your
    own. ``layers="hidden"`` gives the flat network a hidden layer of fixed width, and then it grows in a line.
    """

    kind = "parameter_growth"
    controls = ("T", "size", "layers")

    T = traitlets.Int(6, min=1).tag(sync=True, control=Control("slider", "Length of the text, T", min=1, max=1024))
    size = traitlets.Unicode("the slide").tag(sync=True, control=Control("segments", "D and V of"))
    layers = traitlets.Unicode("one").tag(
        sync=True,
        control=Control("segments", "The flat MLP has", options=(("one", "one matrix"), ("hidden", "a hidden layer"))),
    )

    def __init__(
        self, size: str = "the slide", *, sizes: Mapping[str, tuple[int, int]] | None = None, **traits: Any
    ) -> None:
        own = {
            name: Size(D=D, V=V, d_hidden=4 * D, n_layers=4, n_heads=1, start=64, most=256)
            for name, (D, V) in (sizes or {}).items()
        }
        self._sizes = {**SIZES, **own}
        options = {"size": {"options": tuple((name, name) for name in self._sizes)}}
        super().__init__(options=options, size=size, **{"T": self._chosen(size).start, **traits})
        self.observe(self._start_again, names="size")

    def _chosen(self, name: str) -> Size:
        if name not in self._sizes:
            raise ValueError(f"size={name!r} is not known: use one of {', '.join(map(repr, self._sizes))}.")
        return self._sizes[name]

    def _start_again(self, _: Any) -> None:
        self.T = self._chosen(self.size).start

    def reset(self) -> None:
        super().reset()
        self.T = self._initial["T"]

    def publish(self, view: View) -> None:
        assert isinstance(view, GrowthView)
        if view.most < self.T:
            self.T = view.most
        super().publish(view)

    def compute(self) -> GrowthView:
        size = self._chosen(self.size)
        if self.layers not in ("one", "hidden"):
            raise ValueError(f'layers={self.layers!r} is not known: use "one" or "hidden".')
        return growth_view(self.size, min(self.T, size.most), hidden=self.layers == "hidden", size=size)
