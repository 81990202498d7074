"""Which part of a transformer each process holds, and how the parts' gradients make the whole one.

Lecture: "sharding". Data: everything, everywhere. Pipeline: some blocks; the embedding is at the first process and the
unembedding at the last. Tensor: of every block some heads and some of the MLP's width: query, key, value, gate and up
are cut by columns, output and down by rows (a torch weight lies transposed, so columns of the matrix are its rows).

Source: Shoeybi et al. 2019 (Megatron-LM), arXiv 1909.08053. Unlike there, the vocabulary is not cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from lmlab.models.config import TransformerConfig
from lmlab.models.parts import Embedding, Linear, Turn, make_norm, make_position
from lmlab.models.transformer import Block
from lmlab.systems.timeline import Plan, even_parts

Join = Callable[[Tensor], Tensor]
COLUMN_CUT = ("attention.query", "attention.key", "attention.value", "mlp.gate", "mlp.up")
ROW_CUT = ("attention.output", "mlp.down")


@dataclass(frozen=True)
class Shard:
    """What one of `size` processes holds; `layers` are the blocks, `heads` the key/value heads, `width` of F."""

    plan: Plan
    rank: int
    size: int
    config: TransformerConfig

    @property
    def first(self) -> bool:
        """Whether it reads ids."""
        return self.plan != "pipeline" or self.rank == 0

    @property
    def last(self) -> bool:
        """Whether it has the loss."""
        return self.plan != "pipeline" or self.rank == self.size - 1

    @property
    def layers(self) -> range:
        return self._mine("pipeline", self.config.n_layers)

    @property
    def heads(self) -> range:
        return self._mine("tensor", self.config.kv_heads)

    @property
    def width(self) -> range:
        return self._mine("tensor", self.config.ff_width)

    def _mine(self, plan: Plan, n: int) -> range:
        if self.plan != plan:
            return range(n)
        edges = list(pairwise(accumulate(even_parts(n, self.size), initial=0)))
        return range(*edges[self.rank])

    @property
    def block_config(self) -> TransformerConfig:
        """A block with these heads and this width is an ordinary block of a narrower model."""
        group = self.config.n_heads // self.config.kv_heads
        K = len(self.heads)
        return replace(
            self.config, n_heads=group * K, n_kv_heads=K, d_head=self.config.head_width, d_ff=len(self.width)
        )

    def holds(self, name: str) -> bool:
        """Whether a parameter, or a piece of it, is here."""
        if name.startswith("blocks."):
            return int(name.split(".")[1]) in self.layers
        if name == "embedding.weight":
            return self.first or (self.last and self.config.tie_embeddings)
        return self.first if name.startswith("position.") else self.last

    def cut(self, name: str) -> tuple[int, range] | None:
        """The dimension along which a parameter is cut and the places that are here; None for one that is whole."""
        if self.plan != "tensor" or not name.startswith("blocks."):
            return None
        module, kind = name.removesuffix(".weight").removesuffix(".bias"), name.rsplit(".", 1)[1]
        part = module.split(".", 2)[2]
        if part not in COLUMN_CUT + ROW_CUT or (part in ROW_CUT and kind == "bias"):
            return None
        places = self.width
        if part.startswith("attention."):
            rows_a_head = self.config.head_width
            if part in ("attention.query", "attention.output"):
                rows_a_head *= self.config.n_heads // self.config.kv_heads
            places = range(self.heads.start * rows_a_head, self.heads.stop * rows_a_head)
        return (0 if part in COLUMN_CUT else 1), places

    def take(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What this process needs of the whole model's parameters, and no more."""
        mine = {}
        for name, tensor in parameters.items():
            if not self.holds(name):
                continue
            cut = self.cut(name)
            piece = tensor if cut is None else tensor.narrow(cut[0], cut[1].start, len(cut[1]))
            # A bias that is added after the sum must be added once.
            mine[name] = torch.zeros_like(piece) if self.rank and self._is_added_once(name) else piece
        return mine

    def answers_for(self, name: str) -> bool:
        """Whether the gradient of this whole parameter is complete here: not that of a bias which is another's."""
        return not (self.rank and self._is_added_once(name))

    def _is_added_once(self, name: str) -> bool:
        return self.plan == "tensor" and name.endswith(tuple(f"{part}.bias" for part in ROW_CUT))


class Part(nn.Module):
    """The blocks of a shard, with the embedding and the unembedding where they are; the whole model's names."""

    def __init__(self, shard: Shard) -> None:
        super().__init__()
        config = shard.config
        self.shard, self.rotary = shard, config.position == "rope"
        if shard.first or (shard.last and config.tie_embeddings):
            self.embedding = Embedding(config.vocab_size, config.d_model)
        if shard.first or self.rotary:
            self.position = make_position(config)
        self.blocks = nn.ModuleDict({str(layer): Block(shard.block_config) for layer in shard.layers})
        if shard.last:
            self.norm = make_norm(config)
            if not config.tie_embeddings:
                self.unembedding = Linear(config.d_model, config.vocab_size, bias=False)

    def forward(self, x: Tensor, copy: Join, add: Join) -> Tensor:
        """Ids (B, T) or the stream (B, T, D) to the stream (B, T, D) or logits (B, T, V), as the shard stands.

        copy, add: what is done to the stream before a matrix that is cut by columns and after one cut by rows.
        """
        x = self.embedding(x) if self.shard.first else x
        turn: Turn = _unturned
        if self.shard.first or self.rotary:
            x, turn = self.position(x, torch.arange(x.shape[1], device=x.device))
        for block in self.blocks.values():
            assert isinstance(block, Block)
            x = x + add(block.attention(copy(block.attention_norm(x)), turn))
            x = x + add(block.mlp(copy(block.mlp_norm(x))))
        if not self.shard.last:
            return x
        table = self.embedding.weight if self.shard.config.tie_embeddings else self.unembedding.weight
        return nn.functional.linear(self.norm(x), table)


def _unturned(x: Tensor) -> Tensor:
    return x


def put_together(
    wanted: Mapping[str, Tensor], shards: Sequence[Shard], parts: Sequence[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """The whole model's tensors from what each process returned: pieces joined, of copies the first one.

    Raises RuntimeError for a tensor that does not come back whole.
    """
    whole = {}
    for name, tensor in wanted.items():
        there = [(shard, part[name]) for shard, part in zip(shards, parts, strict=True) if name in part]
        if not there:
            raise RuntimeError(f"{name} came back from no process.")
        cut = there[0][0].cut(name)
        joined = there[0][1] if cut is None else torch.cat([piece for _, piece in there], cut[0])
        if joined.shape != tensor.shape:
            raise RuntimeError(f"{name} of shape {tuple(tensor.shape)} came back as {tuple(joined.shape)}.")
        whole[name] = joined
    return whole
