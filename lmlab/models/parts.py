"""The parts between attention layers: normalization, the feed-forward layer, and positions.

Lecture: "what a block is made of". Each variant is a class, chosen once when a model is built; no `forward` asks
which family it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmlab.models.config import TransformerConfig

Turn = Callable[[Tensor], Tensor]


class Linear(nn.Linear):
    """torch's linear layer, born without numbers: `initialize` draws them from a seed, or a file brings them.

    (torch's own drawing takes the global seed along and a second of a large model's loading.)
    """

    def reset_parameters(self) -> None:
        """Leave the weights as memory had them."""


class Embedding(nn.Embedding):
    """torch's embedding table, born without numbers."""

    def reset_parameters(self) -> None:
        """Leave the weights as memory had them."""


def make_norm(config: TransformerConfig) -> nn.Module:
    """RMSNorm (Llama, Qwen) or LayerNorm (GPT-2), over the width D."""
    if config.norm == "layer":
        return nn.LayerNorm(config.d_model, eps=config.norm_eps)
    return nn.RMSNorm(config.d_model, eps=config.norm_eps)


class SwiGLU(nn.Module):
    """Feed-forward layer with a gate: down(silu(gate(x)) * up(x)), (B, T, D) to (B, T, D) through width F.

    Source: Shazeer 2020, arXiv 2002.05202.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.gate = Linear(config.d_model, config.ff_width, bias=config.bias)
        self.up = Linear(config.d_model, config.ff_width, bias=config.bias)
        self.down = Linear(config.ff_width, config.d_model, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        down: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return down


class GeluMLP(nn.Module):
    """The classic feed-forward layer: widen to F, bend with GELU (its tanh form, as GPT-2 has it), narrow to D."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.up = Linear(config.d_model, config.ff_width, bias=config.bias)
        self.down = Linear(config.ff_width, config.d_model, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        down: Tensor = self.down(F.gelu(self.up(x), approximate="tanh"))
        return down


def make_mlp(config: TransformerConfig) -> nn.Module:
    """The feed-forward layer that the config names."""
    return SwiGLU(config) if config.mlp == "swiglu" else GeluMLP(config)


class LearnedPosition(nn.Module):
    """A learned vector for each position, added to the token's embedding once, at the bottom (GPT-2)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.table = Embedding(config.max_seq_len, config.d_model)

    def forward(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Turn]:
        """Embeddings (B, T, D) and positions (T) to embeddings with their place added; queries stay unturned."""
        return x + self.table(positions), _unturned


class RotaryPosition(nn.Module):
    """Rotary position embedding: each pair of a head's numbers is turned by an angle that grows with position.

    Pair i of E/2 turns by position * theta^(-2i/E), so that a query and a key meet at an angle which depends on
    their distance alone. The halves of a head form the pairs (i, i + E/2), as in Hugging Face's files.
    Source: Su et al. 2021, arXiv 2104.09864; the "llama3" scaling as in Llama 3.1.
    """

    frequencies: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        E = config.head_width
        # On the CPU by name: a model that is built on the meta device, to be filled from a file, needs these.
        exponents = torch.arange(0, E, 2, dtype=torch.float32, device="cpu") / E
        frequencies = scaled_frequencies(1.0 / config.rope_theta**exponents, config.rope_scaling)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RotaryPosition:
        # model.to(bfloat16) rounds every number of a module, and a rounded frequency is a wrong angle 100 tokens on.
        exact = self.frequencies
        super()._apply(fn, recurse)
        self.frequencies = exact.to(self.frequencies.device)
        return self

    def forward(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Turn]:
        """Embeddings (B, T, D) unchanged, and the turn that attention gives its queries and keys (B, H, T, E)."""
        angles = positions[:, None].float() * self.frequencies.float()  # (T, E/2)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        return x, partial(rotate, cos=torch.cat((cos, cos), -1), sin=torch.cat((-sin, sin), -1))


def make_position(config: TransformerConfig) -> nn.Module:
    """How the model learns where a token stands."""
    return RotaryPosition(config) if config.position == "rope" else LearnedPosition(config)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + E/2) of x (B, H, T, E) by angles given as cos and signed sin (T, E)."""
    half = x.shape[-1] // 2
    return x * cos + x.roll(half, -1) * sin


def scaled_frequencies(frequencies: Tensor, scaling: Mapping[str, Any] | None) -> Tensor:
    """Stretch rotary frequencies (E/2) for a context longer than the model was first trained on.

    Raises ValueError for a kind of scaling other than "linear" and "llama3", by name.
    """
    if scaling is None:
        return frequencies
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "default":
        return frequencies
    if kind == "linear":
        return frequencies / float(scaling["factor"])
    if kind != "llama3":
        raise ValueError(f"rope scaling {kind!r} is not implemented: this lab knows 'linear' and 'llama3'.")
    # Slow pairs (long waves) are slowed by the factor, fast ones kept, those between blended.
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    turns = float(scaling["original_max_position_embeddings"]) * frequencies / (2 * math.pi)
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return kept * frequencies + (1 - kept) * frequencies / float(scaling["factor"])


def _unturned(x: Tensor) -> Tensor:
    return x
