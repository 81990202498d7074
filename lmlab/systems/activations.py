"""What a training step keeps between its forward and its backward pass, tensor by tensor.

Lecture: "memory". The backward pass needs what the forward pass computed: the input of every matrix product, what a
norm divided by, both sides of every product of two numbers. Each line below is one such tensor of our own
`Transformer` as PyTorch's autograd keeps it on the CPU; nothing here is fitted. `measured_memory` counts the same on a
live model.
"""

from __future__ import annotations

from dataclasses import dataclass

from lmlab.models.config import TransformerConfig

ID_BYTES, FULL = 8, 4  # an id is int64; statistics and log-probabilities are float32 in every recipe


@dataclass(frozen=True)
class Saved:
    """One kind of tensor that waits for the backward pass: what it is, how many numbers, bytes each."""

    name: str
    numbers: int
    width: int

    @property
    def n_bytes(self) -> int:
        """Bytes of it."""
        return self.numbers * self.width


def saved_in_layer(config: TransformerConfig, *, B: int, T: int, width: int = 4) -> tuple[Saved, ...]:
    """The tensors that one layer keeps for a batch (B, T), with `width` bytes a number: 4 in float32, 2 in bfloat16."""
    n, F = B * T, config.ff_width
    H, K, E = config.n_heads, config.kv_heads, config.head_width
    heads = [
        Saved("queries, keys and values (B, H + 2K, T, E)", n * (H + 2 * K) * E, width),
        Saved("what attention found (B, H, T, E)", n * H * E, width),
        Saved("sum of the softmax, a row each (B, H, T)", n * H, FULL),
    ]
    if config.qk_norm:  # queries and keys before the norm and after it; of many heads, the result laid side by side
        heads += [
            Saved("queries and keys around their norms", n * (2 * (H + K) + H * (H > 1)) * E, width),
            Saved("lengths of queries and keys", n * (H + K), FULL),
        ]
    wide = 4 if config.mlp == "swiglu" else 2  # gate, silu(gate), up and their product; or before GELU and after
    return (
        *_saved_by_norm(config, n, width),
        *heads,
        *_saved_by_norm(config, n, width),
        Saved("inside the MLP (B, T, F)", n * wide * F, width),
    )


def saved_outside_layers(config: TransformerConfig, *, B: int, T: int, width: int = 4) -> tuple[Saved, ...]:
    """What is kept below the first layer and above the last one for a batch (B, T)."""
    n = B * T
    where = (
        Saved("turns of the positions, cos and sin (T, E)", 2 * T * config.head_width, width)
        if config.position == "rope"
        else Saved("places (T)", T, ID_BYTES)
    )
    return (
        Saved("ids and targets (B, T)", 2 * n, ID_BYTES),
        where,
        *_saved_by_norm(config, n, width),
        Saved("log-probabilities (B, T, V)", n * config.vocab_size, FULL),
        Saved("how many targets count", 1, FULL),
    )


def _saved_by_norm(config: TransformerConfig, n: int, width: int) -> tuple[Saved, ...]:
    """Input, what it was divided by, and result of a norm; RMSNorm keeps what it had before the gain as well."""
    if config.norm == "rms":
        return Saved("around RMSNorm (B, T, D)", 3 * n * config.d_model, width), Saved("lengths (B, T)", n, FULL)
    return (
        Saved("around LayerNorm (B, T, D)", 2 * n * config.d_model, width),
        Saved("means and deviations (B, T)", 2 * n, FULL),
    )


def layer_bytes(config: TransformerConfig, *, B: int, T: int, width: int = 4) -> int:
    """Bytes that one layer keeps for the backward pass of a batch (B, T)."""
    return sum(saved.n_bytes for saved in saved_in_layer(config, B=B, T=T, width=width))


def activation_bytes(config: TransformerConfig, *, B: int, T: int, width: int = 4, checkpointing: bool = False) -> int:
    """Bytes that the whole model keeps for the backward pass of a batch (B, T).

    With `checkpointing` a layer keeps its input alone, (B, T, D), and is computed a second time on the way back
    (Chen et al. 2016, arXiv 1604.06174); while one layer is, all that it keeps exists once. That one is counted by
    `training_memory` in the peak.
    """
    ends = sum(saved.n_bytes for saved in saved_outside_layers(config, B=B, T=T, width=width))
    a_layer = B * T * config.d_model * width if checkpointing else layer_bytes(config, B=B, T=T, width=width)
    return ends + config.n_layers * a_layer


def korthikanti_layer_bytes(*, s: int, b: int, h: int, a: int) -> float:
    """The published count for one layer of a GPT, in 16 bits: s b h (34 + 5 a s / h) bytes.

    s positions, b texts, h the model's width, a heads; attention written out, (T, S) scores and all, and a mask of
    one byte a number wherever dropout acts. Source: Korthikanti et al. 2022, arXiv 2205.05198, equation 1. Ours, for
    the same GPT, has no dropout (2 s b h less) and a fused kernel that never writes the scores (5 a s^2 b less).
    """
    return s * b * h * (34 + 5 * a * s / h)
