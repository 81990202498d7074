"""The shapes of published models, to hold arithmetic against: each says which report or configuration it is from.

Cards and their memory are in `lmlab.devices.GPUS`.
"""

from __future__ import annotations

from typing import Any

from lmlab.models.config import TransformerConfig


def _llama3(d_model: int, n_layers: int, n_heads: int, d_ff: int) -> TransformerConfig:
    return TransformerConfig(
        vocab_size=128_256, max_seq_len=8192, d_model=d_model, n_layers=n_layers, n_heads=n_heads, n_kv_heads=8,
        d_ff=d_ff, rope_theta=500_000.0, tie_embeddings=False,
    )  # fmt: skip


_GPT: dict[str, Any] = {"norm": "layer", "position": "learned", "mlp": "gelu", "bias": True}

# Llama 3: Grattafiori et al. 2024, arXiv 2407.21783, table 3, at the 8,192 tokens that it was pre-trained with.
# GPT-3: Brown et al. 2020, arXiv 2005.14165, table 2.1. SmolLM2: config.json of HuggingFaceTB/SmolLM2-135M.
PUBLISHED = {
    "Llama 3 405B": _llama3(16_384, 126, 128, 53_248),
    "GPT-3 175B": TransformerConfig(
        vocab_size=50_257, max_seq_len=2048, d_model=12_288, n_layers=96, n_heads=96, **_GPT
    ),
    "Llama 3 70B": _llama3(8192, 80, 64, 28_672),
    "Llama 3 8B": _llama3(4096, 32, 32, 14_336),
    "SmolLM2 135M": TransformerConfig(
        vocab_size=49_152,
        max_seq_len=8192,
        d_model=576,
        n_layers=30,
        n_heads=9,
        n_kv_heads=3,
        d_ff=1536,
        rope_theta=100_000.0,
    ),
}
