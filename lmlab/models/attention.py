"""Causal self-attention: every position looks back and takes what it needs.

Lecture: "attention". A query asks, keys answer how well they fit, values are what is handed over.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmlab.models.config import TransformerConfig
from lmlab.models.kv_cache import KVCache
from lmlab.models.parts import Linear, Turn
from lmlab.models.trace import Trace


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(E)) V, for H query heads that share K key/value heads; (B, T, D) to (B, T, D).

    Sources: Vaswani et al. 2017, arXiv 1706.03762; grouped heads: Ainslie et al. 2023, arXiv 2305.13245.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        D, H, K, E = config.d_model, config.n_heads, config.kv_heads, config.head_width
        with_bias = config.bias or config.qkv_bias
        self.n_heads, self.n_kv_heads = H, K
        self.query = Linear(D, H * E, bias=with_bias)
        self.key = Linear(D, K * E, bias=with_bias)
        self.value = Linear(D, K * E, bias=with_bias)
        self.output = Linear(H * E, D, bias=config.bias)
        self.query_norm = nn.RMSNorm(E, eps=config.norm_eps) if config.qk_norm else nn.Identity()
        self.key_norm = nn.RMSNorm(E, eps=config.norm_eps) if config.qk_norm else nn.Identity()

    def forward(
        self,
        x: Tensor,
        turn: Turn,
        *,
        layer: int = 0,
        cache: KVCache | None = None,
        trace: Trace | None = None,
        causal: bool = True,
    ) -> Tensor:
        """(B, T, D) to (B, T, D); `turn` rotates queries and keys, `layer` is the place in cache and trace."""
        q, k, v = self.project(x, turn)
        if cache is not None:
            k, v = cache.append(layer, k, v)
        if trace is None:
            mixed = _fused(q, k, v, causal)
        else:
            mixed = _explicit(q, k, v, causal, trace)
        out: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return out

    def project(self, x: Tensor, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, E), keys and values (B, K, T, E) of the stream (B, T, D); the first two turned."""
        H, K = self.n_heads, self.n_kv_heads
        q, k, v = _heads(self.query(x), H), _heads(self.key(x), K), _heads(self.value(x), K)
        return turn(self.query_norm(q)), turn(self.key_norm(k)), v


def _heads(x: Tensor, n_heads: int) -> Tensor:
    """(B, T, H E) to (B, H, T, E)."""
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)


def _fused(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """Attention by torch's fused kernel, which never writes the (T, S) matrix down; (B, H, T, E)."""
    T, S = q.shape[2], k.shape[2]
    # The newest position sees everything, and a square matrix has its own fast path: a mask is for the rest.
    mask = _visible(T, S, q.device) if causal and 1 < T < S else None
    shared = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal and T == S > 1, enable_gqa=shared)


def _explicit(q: Tensor, k: Tensor, v: Tensor, causal: bool, trace: Trace) -> Tensor:
    """The same, written out as on the board, with scores (B, H, T, S) and weights kept in the trace."""
    T, S = q.shape[2], k.shape[2]
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = torch.einsum("bhte,bhse->bhts", q, k) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(~_visible(T, S, q.device), -math.inf)
    weights = scores.softmax(-1, dtype=torch.float32).to(v.dtype)
    trace.scores.append(scores.detach())
    trace.attention.append(weights.detach())
    return torch.einsum("bhts,bhse->bhte", weights, v)


def _visible(T: int, S: int, device: torch.device) -> Tensor:
    """Which of S positions each of the last T may see: itself and all before; bool (T, S)."""
    return torch.ones(T, S, dtype=torch.bool, device=device).tril(S - T)
