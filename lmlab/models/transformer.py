"""The transformer: embed, then L times attend and think, then predict. The whole model is on this page.

Lecture: "the transformer". Each block reads the residual stream, adds what attention found elsewhere in the text,
then adds what the feed-forward layer makes of it; what nobody changes flows straight through.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lmlab.models.attention import Attention
from lmlab.models.config import TransformerConfig
from lmlab.models.kv_cache import KVCache
from lmlab.models.language_model import State, check_ids
from lmlab.models.parts import Embedding, Linear, Turn, make_mlp, make_norm, make_position
from lmlab.models.trace import Trace

__all__ = ["Block", "Transformer", "TransformerConfig", "initialize"]


class Block(nn.Module):
    """One layer: x + attention(norm(x)), then x + mlp(norm(x)); (B, T, D) to (B, T, D)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm = make_norm(config)
        self.attention = Attention(config)
        self.mlp_norm = make_norm(config)
        self.mlp = make_mlp(config)

    def forward(
        self, x: Tensor, turn: Turn, *, layer: int, cache: KVCache | None, trace: Trace | None, causal: bool
    ) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        found = self.attention(self.attention_norm(x), turn, layer=layer, cache=cache, trace=trace, causal=causal)
        x = x + found
        thought: Tensor = self.mlp(self.mlp_norm(x))
        return x + thought


class Transformer(nn.Module):
    """A decoder-only transformer and a `LanguageModel`; GPT-2, Llama and Qwen differ by config alone.

    `model(ids)` gives logits (B, T, V) for training; `cache=` continues a text, `trace=` keeps what happens inside,
    `causal=False` lets every position see both ways. Weights are drawn from `seed` alone, on the CPU, so one seed
    is one model on every machine; None leaves them unfilled, for a file to fill. Raises ValueError, before any
    allocation, for a model that memory cannot hold.
    """

    precision = "fp32"  # how the weights are held; `at_precision` says what it chose

    def __init__(self, config: TransformerConfig, seed: int | None = 0) -> None:
        super().__init__()
        check_fits_in_memory(config)
        self.config = config
        self.vocab_size, self.max_seq_len = config.vocab_size, config.max_seq_len
        self.embedding = Embedding(config.vocab_size, config.d_model)
        self.position = make_position(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = make_norm(config)
        self.unembedding = Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.unembedding.weight = self.embedding.weight
        if seed is not None:
            initialize(self, seed)

    def hidden(
        self, ids: Tensor, *, cache: KVCache | None = None, trace: Trace | None = None, causal: bool = True
    ) -> Tensor:
        """The residual stream after the last layer and norm, from which logits are read: (B, T) to (B, T, D)."""
        start, T = (cache.length if cache is not None else 0), ids.shape[1]
        if start + T > self.max_seq_len:
            raise ValueError(
                f"{start + T} tokens are longer than the model's context of {self.max_seq_len}: "
                f"keep the last {self.max_seq_len}."
            )
        x, turn = self.position(self.embedding(ids), torch.arange(start, start + T, device=ids.device))
        for layer, block in enumerate(self.blocks):
            if trace is not None:
                trace.residual.append(x.detach())
            x = block(x, turn, layer=layer, cache=cache, trace=trace, causal=causal)
        if trace is not None:
            trace.residual.append(x.detach())
        if cache is not None:
            cache.advance(T)
        out: Tensor = self.norm(x)
        return out

    def forward(
        self, ids: Tensor, *, cache: KVCache | None = None, trace: Trace | None = None, causal: bool = True
    ) -> Tensor:
        """Logits: ids (B, T) to (B, T, V); position t scores every candidate for position t + 1."""
        logits: Tensor = self.unembedding(self.hidden(ids, cache=cache, trace=trace, causal=causal))
        return logits

    @torch.no_grad()
    def log_probs(self, ids: Tensor) -> Tensor:
        """Log-probability of every next token at every position: (B, T) to (B, T, V), float32 on the CPU."""
        ids = check_ids(ids, self.vocab_size, max_seq_len=self.max_seq_len)
        return self(ids.to(self.device)).float().log_softmax(-1).cpu()

    @torch.no_grad()
    def next_log_probs(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Log-probabilities (B, V) after the new ids (B, T), and the KVCache that remembers them."""
        ids = check_ids(ids, self.vocab_size)
        cache = KVCache() if state is None else state.branch()
        last = self.hidden(ids.to(self.device), cache=cache)[:, -1]
        return self.unembedding(last).float().log_softmax(-1).cpu(), cache

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    @property
    def n_params(self) -> int:
        """Number of weights, tied ones counted once."""
        return sum(p.numel() for p in self.parameters())


@torch.no_grad()
def initialize(model: Transformer, seed: int) -> None:
    """Draw all weights from the seed: the scale of the embeddings decides whether the model learns to copy.

    Embeddings: std 0.1 tied, 0.5 untied. With the usual 0.02 copying from context never emerged at this size
    (measured). Other matrices: std 0.5 / sqrt(inputs), which is GPT-2's 0.02 at its width; the two that write into
    the residual stream are divided by sqrt(2L), so that 2L additions leave its scale as it was.
    Biases are zero, norms one; but the last norm of a tied model begins low enough that a token's own logit, which
    is its embedding times itself, is near 4 and not near 13: an untrained model then guesses evenly (loss ln V).
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    embedding_std = 0.1 if model.config.tie_embeddings else 0.5
    depth = math.sqrt(2 * model.config.n_layers)
    for name, weight in model.named_parameters():
        if weight.dim() == 1:
            weight.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        std = 0.5 / math.sqrt(weight.shape[1])
        if name == "embedding.weight":
            std = embedding_std
        elif name == "position.table.weight":
            std = embedding_std / 10  # a place is a hint beside the word, not its rival
        elif name.endswith(("attention.output.weight", "mlp.down.weight")):
            std /= depth
        weight.copy_(torch.randn(weight.shape, generator=generator) * std)
    if model.config.tie_embeddings:
        model.norm.get_parameter("weight").fill_(min(1.0, 38 / model.config.d_model))


def check_fits_in_memory(config: TransformerConfig) -> None:
    """Refuse a model that this machine cannot hold, from arithmetic and before allocating anything."""
    if torch.get_default_device().type == "meta":
        return
    import psutil

    needed, available = 4 * config.n_params, psutil.virtual_memory().available
    if needed > available:
        raise ValueError(
            f"A model of {config.n_params:,} parameters needs {needed / 1e9:,.1f} GB in float32 and this machine has "
            f"{available / 1e9:,.1f} GB free: choose fewer layers, a smaller d_model or a smaller vocabulary."
        )
