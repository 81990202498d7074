"""The numbers that define a transformer, and what follows from them by arithmetic alone.

Lecture: "a model is its configuration and its weights". Nothing here allocates a weight, so a slider may ask
for a model of 50 billion parameters and get its size, not its memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NORMS = ("rms", "layer")
POSITIONS = ("rope", "learned")
MLPS = ("swiglu", "gelu")


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Shape of a decoder-only transformer; a field exists only if one of the four families needs it.

    `n_kv_heads` (K) defaults to `n_heads` (H), `d_head` (E) to D / H, and `d_ff` (F) to 8D/3 for SwiGLU (rounded
    up to a multiple of 32, the block in which weights are quantized) and to 4D for GELU: equal parameters.
    `bias` puts a bias on every linear layer, `qkv_bias` on queries, keys and values alone (Qwen2).

    Raises ValueError naming the field, what was given and what would do.
    """

    vocab_size: int
    max_seq_len: int = 256
    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    n_kv_heads: int | None = None
    d_head: int | None = None
    d_ff: int | None = None
    norm: str = "rms"
    norm_eps: float = 1e-5
    position: str = "rope"
    rope_theta: float = 10_000.0
    rope_scaling: Mapping[str, Any] | None = None
    mlp: str = "swiglu"
    bias: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    tie_embeddings: bool = True

    def __post_init__(self) -> None:
        self._check_counts(("vocab_size", "max_seq_len", "d_model", "n_layers", "n_heads"))
        self._check_choices()
        if self.n_kv_heads is None:
            self._fill("n_kv_heads", self.n_heads)
        if self.d_head is None:
            if self.d_model % self.n_heads:
                raise ValueError(
                    f"d_model {self.d_model} cannot be shared among {self.n_heads} heads: "
                    f"choose n_heads among its divisors, {_divisors(self.d_model)}."
                )
            self._fill("d_head", self.d_model // self.n_heads)
        if self.d_ff is None:
            wide = 4 * self.d_model if self.mlp == "gelu" else 32 * -(-8 * self.d_model // 96)
            self._fill("d_ff", wide)
        self._check_counts(("n_kv_heads", "d_head", "d_ff"))
        if self.n_heads % self.kv_heads:
            raise ValueError(
                f"{self.n_heads} query heads cannot share {self.kv_heads} key/value heads evenly: "
                f"choose n_kv_heads among {_divisors(self.n_heads)}."
            )
        if self.position == "rope" and self.head_width % 2:
            raise ValueError(f"rope turns pairs of numbers, so d_head must be even, not {self.head_width}.")

    @classmethod
    def tiny(cls, vocab_size: int = 2048, **changes: Any) -> TransformerConfig:
        """The lab's own size: about a million parameters, trained in minutes on two cores."""
        return cls(**{"vocab_size": vocab_size, **changes})

    # The three optional fields are always filled in by __post_init__; these give them their plain type.
    @property
    def kv_heads(self) -> int:
        """K, the number of key/value heads."""
        return self.n_kv_heads or self.n_heads

    @property
    def head_width(self) -> int:
        """E, the width of one head."""
        return self.d_head or self.d_model // self.n_heads

    @property
    def ff_width(self) -> int:
        """F, the width of the feed-forward layer."""
        return self.d_ff or 4 * self.d_model

    @property
    def n_params(self) -> int:
        """Number of weights, by arithmetic; a test holds it equal to the count in a built model."""
        norm = self.d_model * (2 if self.norm == "layer" else 1)
        embeddings = self.vocab_size * self.d_model * (1 if self.tie_embeddings else 2)
        if self.position == "learned":
            embeddings += self.max_seq_len * self.d_model
        return embeddings + self.n_layers * (self._attention_params() + self._mlp_params() + 2 * norm) + norm

    def _attention_params(self) -> int:
        queries, keys = self.n_heads * self.head_width, self.kv_heads * self.head_width
        weights = 2 * self.d_model * (queries + keys)
        biases = (queries + 2 * keys) * (self.bias or self.qkv_bias) + self.d_model * self.bias
        return weights + biases + 2 * self.head_width * self.qk_norm

    def _mlp_params(self) -> int:
        matrices = 3 if self.mlp == "swiglu" else 2
        biases = (matrices - 1) * self.ff_width + self.d_model
        return matrices * self.d_model * self.ff_width + biases * self.bias

    def _fill(self, name: str, value: int) -> None:
        object.__setattr__(self, name, value)  # the one write to a frozen value, before anyone has seen it

    def _check_counts(self, names: tuple[str, ...]) -> None:
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}.")

    def _check_choices(self) -> None:
        for name, allowed in (("norm", NORMS), ("position", POSITIONS), ("mlp", MLPS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, not {getattr(self, name)!r}.")
        for name in ("norm_eps", "rope_theta"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a positive number, not {getattr(self, name)!r}.")


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, min(number, 256) + 1) if number % n == 0]
