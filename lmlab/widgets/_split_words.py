"""What SplitMatrix multiplies, and what it says: who holds what, who made this number, what had to be sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from lmlab.models.transformer import Block, Transformer
from lmlab.systems.timeline import Cut, even_parts, product_messages
from lmlab.text_model import TextModel
from lmlab.widgets._on_processes import NEAR, tiny
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, n_bytes, number, spans, token_name

if TYPE_CHECKING:
    from lmlab.widgets.split_matrix import Made

T, D, F = 3, 4, 8  # rows and columns that are shown: every number has to be read from the back of a room
LONGEST = 64  # tokens of a prompt that are multiplied
PAIRS: tuple[tuple[Cut, Cut], ...] = (("columns", "rows"), ("columns", "columns"), ("rows", "rows"))


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """A corner of a model's first MLP, small enough to be read: tokens' activations x (T, D), weights w (D, F) that
    they meet, and `down` (F, D), the way back. The `whole_` ones are what it was taken from."""

    tokens: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    x: Tensor
    w: Tensor
    down: Tensor
    whole_x: Tensor
    whole_w: Tensor


def piece_of(model: TextModel, prompt: str) -> Piece:
    """The last tokens of a prompt, the inputs of the first MLP that are largest there, and its heaviest outputs.

    Raises ValueError for a model that has no such MLP in float32.
    """
    network = model.model
    mlp = network.blocks[0].mlp if isinstance(network, Transformer) else None
    up, down = getattr(mlp, "up", None), getattr(mlp, "down", None)
    if not isinstance(network, Transformer) or not isinstance(up, nn.Linear) or not isinstance(down, nn.Linear):
        raise ValueError(
            f"SplitMatrix takes a transformer with whole matrices, such as lab.load('town'); got {model!r:.80}."
        )
    ids = model.ids(prompt)[-LONGEST:]
    whole_x = _mlp_input(network, ids)
    whole_w, whole_down = up.weight.detach().float().cpu().T, down.weight.detach().float().cpu().T
    inputs = _largest(whole_x[-T:].abs().mean(0), D)
    outputs = _largest(whole_w[inputs].norm(dim=0), F)
    tok, rows = model.tokenizer, ids[-T:].tolist()
    names = tuple("⟨begin⟩" if i == tok.bos_id else token_name(tok.token_text(i), tok.specials) for i in rows)
    return Piece(
        names, tuple(inputs.tolist()), tuple(outputs.tolist()), whole_x[-T:][:, inputs].contiguous(),
        whole_w[inputs][:, outputs].contiguous(), whole_down[outputs][:, inputs].contiguous(), whole_x, whole_w,
    )  # fmt: skip


@torch.no_grad()
def _mlp_input(network: Transformer, ids: Tensor) -> Tensor:
    """What the first MLP reads at each position: (T,) to (T, D). No later layer is computed."""
    places = torch.arange(len(ids), device=network.device)
    x, turn = network.position(network.embedding(ids[None].to(network.device)), places)
    block = cast(Block, network.blocks[0])
    x = x + block.attention(block.attention_norm(x), turn, layer=0, cache=None, trace=None, causal=True)
    read: Tensor = block.mlp_norm(x)[0]
    return read.float().cpu()


def _largest(sizes: Tensor, n: int) -> Tensor:
    """The places of the n largest, in order."""
    return sizes.topk(min(n, len(sizes))).indices.sort().values


def parts_of(piece: Piece, cut: Cut, p: int) -> tuple[Tensor, ...]:
    """What each of p processes computes: columns of the product, (T, F_i), or a summand of all of it, (T, F)."""
    if cut == "columns":
        return tuple(piece.x @ w for w in piece.w.split(even_parts(piece.w.shape[1], p), 1))
    widths = even_parts(piece.w.shape[0], p)
    return tuple(x @ w for x, w in zip(piece.x.split(widths, 1), piece.w.split(widths, 0), strict=True))


def owners(size: int, p: int) -> tuple[int, ...]:
    """Whose each of `size` columns or rows is."""
    return tuple(rank for rank, n in enumerate(even_parts(size, p)) for _ in range(n))


def sent_by(piece: Piece, cut: Cut, p: int) -> tuple[int, int]:
    """Messages and bytes until every process has the whole product."""
    rows, (width, out) = len(piece.x), piece.w.shape
    return product_messages(rows, (width, out), cuts=(cut,), n_processes=p)


def sent_by_pair(piece: Piece, cuts: tuple[Cut, Cut], p: int) -> tuple[int, int]:
    """The same for two matrices, one after the other: up to F and down to D."""
    rows, (width, out) = len(piece.x), piece.w.shape
    return product_messages(rows, (width, out, width), cuts=cuts, n_processes=p)


def said_of(piece: Piece, cut: Cut, p: int, at: tuple[int, int], parts: Sequence[Tensor]) -> list[str | Span]:
    """Who made the chosen number."""
    i, j = at
    value, where = bold(_shown(float((piece.x @ piece.w)[i, j]))), mono(piece.tokens[i])
    if p == 1:
        return ["One process multiplies alone: ", where, f", output {piece.outputs[j]}, is ", value, "."]
    if cut == "columns":
        owner = owners(len(piece.outputs), p)[j]
        said: list[str | Span] = [where, f", output {piece.outputs[j]}, is ", value, ", all of it from "]
        return [*said, model_name(owner, f"process {owner}"), ": columns are laid side by side, nothing is added."]
    said = [where, f", output {piece.outputs[j]}: "]
    for rank, part in enumerate(parts):
        said += [" + " if rank else "", model_name(rank, _shown(float(part[i, j])))]
    return [*said, " = ", value, ": a summand from each, and all must be added."]


def compared(piece: Piece, cut: Cut, p: int, made: Made | None) -> list[str | Span]:
    """What must be sent, and what real processes sent and found."""
    messages, size = sent_by(piece, cut, p)
    if made is None:
        return [f" {count(messages, 'message')}, {n_bytes(size)}."] if messages else []
    same = (made.messages, made.bytes) == (messages, size)
    said: list[str | Span] = [f" {count(p, 'real process', 'real processes')} sent "]
    said += [
        bold(f"{count(made.messages, 'message')}, {n_bytes(made.bytes)}"),
        ", as predicted" if same else ", not as",
    ]
    said += [] if same else [f" predicted ({count(messages)}, {n_bytes(size)})"]
    if made.difference == 0:
        return [*said, "; the product is ", bold("exactly"), " the plain one."]
    return [*said, "; the product is off by ", bold(tiny(made.difference)), "."]


def _shown(value: float) -> str:
    return number(value, 1 if abs(value) >= 10 else 2)


def rows_of(piece: Piece, cut: Cut, p: int, made: Made | None) -> list[list[str]]:
    """What is sent, predicted and counted, and how far the product is from the plain one."""
    messages, size = sent_by(piece, cut, p)
    return [
        ["messages", count(messages), count(made.messages) if made else "–"],
        ["bytes", count(size), count(made.bytes) if made else "–"],
        ["product, off by", "0", tiny(made.difference) if made else "–"],
        ["whole, off by", "0", tiny(made.whole_difference) if made else "–"],
    ]


def pairs_of(piece: Piece, p: int, made: Made | None) -> list[list[str]]:
    """Ways to cut up and down: how often all meet, and messages and bytes, counted where they were sent."""
    counted = dict(made.pairs) if made else {cuts: sent_by_pair(piece, cuts, p) for cuts in PAIRS}
    return [
        [" → ".join(cuts), count(meetings(cuts) * (p > 1)), count(counted[cuts][0]), count(counted[cuts][1])]
        for cuts in PAIRS
    ]


def meetings(cuts: tuple[Cut, Cut]) -> int:
    """How often all processes must meet: rows after columns need what is there already, all else the whole between."""
    return 1 if cuts == ("columns", "rows") else 2


def foot_of(piece: Piece, name: str) -> Spans:
    """Shapes, and where the numbers are from."""
    rows, (d, f) = len(piece.x), piece.w.shape
    wide, out = piece.whole_w.shape
    return spans(
        mono("X (T,D) · W (D,F) → Y (T,F)"),
        f" · T {rows}, D {d}, F {f} of the {wide} × {out} of {name}’s first MLP: inputs "
        f"{', '.join(map(str, piece.inputs))}, the largest here; “whole” is all of it · float32",
    )


def facts_of(piece: Piece, cut: Cut, p: int, made: Made | None) -> Spans:
    """What is the same on every machine."""
    messages, size = sent_by(piece, cut, p)
    if made is None:
        each = "process" if p == 1 else "processes"
        return spans(f"{cut} over {p} {each}: {count(messages, 'message')}, {count(size)} bytes; not run yet")
    equal = max(made.difference, made.whole_difference) <= NEAR
    counts = (made.messages, made.bytes) == (messages, size)
    counts = counts and all(sent == sent_by_pair(piece, cuts, p) for cuts, sent in made.pairs)
    each = "process" if p == 1 else "processes"
    return spans(f"product from {p} {each} equals the plain one: {equal}; messages as predicted: {counts}")
