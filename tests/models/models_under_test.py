"""Small models of every kind, on random data, for tests that hold for all of them."""

from __future__ import annotations

import torch

from lmlab.models.bigram import NeuralBigram
from lmlab.models.counts import SequenceCounts
from lmlab.models.language_model import LanguageModel
from lmlab.models.mlp import MLP
from lmlab.models.ngram import NGram
from lmlab.models.transformer import Transformer, TransformerConfig

V = 23


def random_ids(*shape: int, seed: int = 0, vocab_size: int = V) -> torch.Tensor:
    return torch.randint(0, vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def small_config(**changes: object) -> TransformerConfig:
    shape = {"vocab_size": V, "max_seq_len": 32, "d_model": 24, "n_layers": 3, "n_heads": 4, "d_ff": 32}
    return TransformerConfig(**{**shape, **changes})  # type: ignore[arg-type]


FAMILY_SHAPES = {
    "llama": {"n_kv_heads": 2},
    "llama untied": {"tie_embeddings": False},
    "llama one key head": {"n_kv_heads": 1, "d_head": 8},
    "qwen2": {"qkv_bias": True, "n_kv_heads": 2},
    "qwen3": {"qk_norm": True, "d_head": 10},
    "gpt2": {"norm": "layer", "position": "learned", "mlp": "gelu", "bias": True},
}


def randomized(model: Transformer, seed: int = 0) -> Transformer:
    """Norms and biases drawn too, so that a misplaced one shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return model


def every_model() -> dict[str, LanguageModel]:
    stream = random_ids(4000, seed=1)
    models: dict[str, LanguageModel] = {
        f"transformer {name}": randomized(Transformer(small_config(**shape), seed=2))
        for name, shape in FAMILY_SHAPES.items()
    }
    for smoothing in ("backoff", "none", "add-k", "interpolated"):
        models[f"n-gram {smoothing}"] = NGram.fit(stream, n=3, vocab_size=V, smoothing=smoothing, k=0.5)
    models["unigram"] = NGram.fit(stream, n=1, vocab_size=V)
    models["flat network"] = MLP(V, d_model=8, max_seq_len=32, seed=3)
    models["flat network, hidden layer"] = MLP(V, d_model=8, max_seq_len=32, d_hidden=48, seed=3)
    models["windowed network"] = MLP(V, d_model=8, window=4, d_hidden=32, seed=3)
    models["table"] = table = NeuralBigram(V)
    torch.nn.init.normal_(table.table.weight, generator=torch.Generator().manual_seed(4))
    models["sequence counts"] = SequenceCounts.fit(stream, vocab_size=V, bos_id=0)
    return models
