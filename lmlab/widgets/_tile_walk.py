"""What FusedAttention works out of one head: its queries, keys and values, and both ways to mix them, byte by byte."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from lmlab.models.attention import Attention as AttentionLayer
from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer
from lmlab.systems.fusion import Counted, TileStep, naive_attention, tiled_attention


@dataclasses.dataclass(frozen=True)
class TileWalk:
    """One head, both ways. `off[i]` is how far the rows of step i stand from naive attention's, were the keys to end
    there; `finished[i]` the same for all rows that are done, None before the first."""

    naive: Counted
    tiled: Counted
    steps: tuple[TileStep, ...]
    off: tuple[float, ...]
    finished: tuple[float | None, ...]
    tile: int

    @property
    def shape(self) -> tuple[int, int]:
        """T (= S) and E."""
        T, E = self.naive.output.shape[-2:]
        return T, E


def head_qkv(model: Transformer, ids: Tensor, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of one head, as they enter attention: ids (T) to three tensors (1, 1, T, E)."""
    block, trace = model.blocks[layer], Trace()
    attention = block.attention
    if not isinstance(attention, AttentionLayer):
        raise ValueError(f"Layer {layer} has no attention: it was taken out. Try another layer or another model.")
    ids = ids[None].to(model.device)
    with torch.no_grad():
        model.hidden(ids, trace=trace)
        _, turn = model.position(model.embedding(ids), torch.arange(ids.shape[1], device=ids.device))
        normed = block.attention_norm(trace.residual[layer])  # type: ignore[operator]
        q, k, v = (x.float().cpu() for x in attention.project(normed, turn))
    shared = head // (attention.n_heads // attention.n_kv_heads)
    return q[:, head : head + 1], k[:, shared : shared + 1], v[:, shared : shared + 1]


def tile_walk(q: Tensor, k: Tensor, v: Tensor, tile: int) -> TileWalk:
    """Both ways through causal attention of one head (1, 1, T, E), in tiles of tile × tile scores."""
    steps: list[TileStep] = []
    naive = naive_attention(q, k, v)
    tiled = tiled_attention(q, k, v, q_tile=tile, k_tile=tile, on_step=steps.append)
    off: list[float] = []
    finished: list[float | None] = []
    for i, step in enumerate(steps):
        rows = slice(step.queries.start, step.queries.stop)
        off.append(float((step.output - naive.output[..., rows, :]).abs().max()))
        before = finished[-1] if finished else None
        last = i + 1 == len(steps) or steps[i + 1].queries != step.queries
        finished.append(max(before or 0.0, off[-1]) if last else before)
    return TileWalk(naive, tiled, tuple(steps), tuple(off), tuple(finished), tile)


def packed(walk: TileWalk) -> bytes:
    """The log as float32, step after step: row_max, row_sum, rescale, the weights row by row, the output row by row."""
    parts = (
        part[0, 0].reshape(-1)
        for step in walk.steps
        for part in (step.row_max, step.row_sum, step.rescale, step.weights, step.output)
    )
    return torch.cat(list(parts)).numpy().astype(np.float32).tobytes()
