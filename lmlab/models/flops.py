"""The operations of a training step, counted while the model runs: no formula of ours, torch's own counter.

Lecture: "C = 6 N D". Torch sees every matrix product that a forward and a backward pass really dispatch and counts
two operations for each multiplication in it; what is held against 6 N D here is that count. Products with masked
positions are counted too: written out as on the board, attention computes the whole (T, S) square.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer, TransformerConfig

_ONE_AT_A_TIME = Lock()  # the counter follows modules by hooks that belong to the whole process
PARTS = ("attention weights", "attention T·S", "MLP", "output")


@dataclass(frozen=True)
class FlopCount:
    """Operations of one step over `n_tokens`: `forward` and `backward` by part, of a model of `n_params` weights.

    Parts: the products with attention's own weights; those between positions, (T, S); the MLP; the output layer.
    """

    n_params: int
    n_tokens: int
    forward: Mapping[str, int]
    backward: Mapping[str, int]

    @property
    def total(self) -> int:
        """Forward and backward together."""
        return sum(self.forward.values()) + sum(self.backward.values())

    @property
    def six_n_d(self) -> int:
        """The formula's value for the same step."""
        return 6 * self.n_params * self.n_tokens

    @property
    def ratio(self) -> float:
        """Counted over the formula: 1 where the formula is right."""
        return self.total / self.six_n_d


def counted_flops(model: Transformer, n_positions: int, *, batch: int = 1) -> FlopCount:
    """Run one training step on random ids (B, T) and count it. The model's weights and gradients stay as they are.

    A model on the meta device runs too: shapes pass through it, the same products are dispatched and counted, and
    nothing is multiplied; so the count of a large model takes as long as that of a small one.
    Raises ValueError where T is longer than the context.
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, model.vocab_size, (batch, n_positions + 1), generator=generator).to(model.device)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with _ONE_AT_A_TIME, FlopCounterMode(display=False) as counter:
        # Under a trace attention is written out: the counter does not see into every device's fused kernel.
        logits = model(ids[:, :-1], trace=Trace())
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        forward = _by_part(counter)
        # Not backward(): gradients written into a model that several threads look at crash the process.
        torch.autograd.grad(loss, weights)
        both = _by_part(counter)
    backward = {part: both[part] - forward[part] for part in PARTS}
    return FlopCount(model.config.n_params, batch * n_positions, forward, backward)


def at_width(config: TransformerConfig, d_model: int, *, max_seq_len: int, device: str = "meta") -> Transformer:
    """An untrained model of the same kind at another width: heads as wide as before, the MLP in proportion.

    On the meta device it has shapes and no numbers. Raises ValueError for a width that its heads cannot share.
    """
    width = config.head_width
    if d_model < width or d_model % width:
        raise ValueError(f"d_model must be a multiple of the heads' width, {width}, not {d_model!r}.")
    heads = d_model // width
    other = TransformerConfig(
        vocab_size=config.vocab_size,
        max_seq_len=max_seq_len,
        d_model=d_model,
        n_layers=config.n_layers,
        n_heads=heads,
        norm=config.norm,
        position=config.position,
        mlp=config.mlp,
        bias=config.bias,
        qkv_bias=config.qkv_bias,
        tie_embeddings=config.tie_embeddings,
    )
    with torch.device(device):
        return Transformer(other, seed=None if device == "meta" else 0).to(device)


def _by_part(counter: FlopCounterMode) -> dict[str, int]:
    parts = dict.fromkeys(PARTS, 0)
    for module, operations in counter.get_flop_counts().items():
        where = module.rpartition(".")[2]
        for operation, n in operations.items():
            if where == "attention":
                parts[PARTS[1] if str(operation) == "aten.bmm" else PARTS[0]] += n
            elif where in ("mlp", "unembedding"):
                parts[PARTS[2] if where == "mlp" else PARTS[3]] += n
    return parts
