"""The arithmetic of memory: what must fit before anything runs, in training and in use.

Lecture: "memory". 70 billion weights of two bytes are 140 GB, and training them needs eight times as much: weights,
their gradients, a float32 copy of them and two moving averages a weight, 2 + 2 + 4 + 4 + 4 bytes. What the forward
pass keeps for the backward pass, the activations, comes on top: it grows with the text and not with the weights.
Nothing here allocates: a model of a trillion weights costs a multiplication. `measured_memory` counts a live step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lmlab.devices import GPUS
from lmlab.models.config import TransformerConfig
from lmlab.systems.activations import FULL, ID_BYTES, activation_bytes, layer_bytes, saved_outside_layers

_BLOCK = 2048  # 8-bit moments share one float32 among so many; Dettmers et al. 2022


@dataclass(frozen=True)
class StateBytes:
    """Bytes a weight costs in training, by what they are for; `width` is that of a number in an activation."""

    weights: float
    gradients: float
    master: float
    moments: float
    width: int

    @property
    def total(self) -> float:
        """Bytes a weight, all together."""
        return self.weights + self.gradients + self.master + self.moments


# Mixed precision: Micikevicius et al. 2018, arXiv 1710.03740; counted as here in ZeRO, Rajbhandari et al. 2020,
# arXiv 1910.02054, section 3.1. Plain float32 costs the same 16, split otherwise; lmlab trains so on a CPU.
# 8-bit moments: Dettmers et al. 2022, arXiv 2110.02861.
PRECISIONS = {
    "mixed": StateBytes(2, 2, 4, 8, 2),
    "fp32": StateBytes(4, 4, 0, 8, 4),
    "8-bit moments": StateBytes(2, 2, 4, 2 * (1 + 4 / _BLOCK), 2),
}


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """Bytes by what they are for, and their sum, `total`.

    `activations` are what the forward pass keeps for the backward pass, `cache` the keys and values of texts being
    written. `peak` is the most bytes held at any moment of a training step, or None where it was not asked for: fewer
    than `total` where gradients come as activations go, more where a step makes much on the way (of logits, say).
    """

    weights: int = 0
    gradients: int = 0
    master: int = 0
    moments: int = 0
    activations: int = 0
    cache: int = 0
    peak: int | None = None

    @property
    def parts(self) -> dict[str, int]:
        """The parts that are not zero, by name."""
        names = ("weights", "gradients", "master", "moments", "activations", "cache")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.parts.values())


def training_memory(
    model: TransformerConfig | float,
    *,
    B: int = 1,
    T: int | None = None,
    precision: str = "mixed",
    checkpointing: bool = False,
) -> MemoryUse:
    """What one training step of AdamW holds, for a model's config or for a number of weights alone.

    A config brings activations and the peak with it, for a batch of B texts of T tokens (None: its whole context) on
    one device; a number has neither, as in the lecture. `precision` is "mixed" (bf16 and a float32 copy), "fp32" (as
    here on a CPU) or "8-bit moments". `checkpointing` keeps the input of each layer and computes the rest again.

    >>> training_memory(70e9).total, round(training_memory(70e9).total / 140e9, 1)
    (1120000000000, 8.0)

    Raises ValueError in one sentence for what is no batch, length, or number of weights.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"There is no precision {precision!r} to train in: choose one of {', '.join(PRECISIONS)}.")
    state = PRECISIONS[precision]
    n = model.n_params if isinstance(model, TransformerConfig) else _weights(model)
    held = {name: round(n * getattr(state, name)) for name in ("weights", "gradients", "master", "moments")}
    if not isinstance(model, TransformerConfig):
        return MemoryUse(**held)
    B, T = _batch(model, B, T)
    kept = activation_bytes(model, B=B, T=T, width=state.width, checkpointing=checkpointing)
    most = max(_moments_of_a_step(model, B, T, state, checkpointing).values())
    resident = held["weights"] + held["master"] + held["moments"]
    return MemoryUse(**held, activations=kept, peak=resident + round(most))


def inference_memory(
    model: TransformerConfig | float,
    *,
    B: int = 1,
    S: int | None = None,
    weight_bits: float = 16,
    cache_bits: float = 16,
) -> MemoryUse:
    """What a model in use holds: its weights, and keys and values of B texts of S tokens (None: its whole context).

    Raises ValueError in one sentence for what is no batch, length, or number of weights.
    """
    n = model.n_params if isinstance(model, TransformerConfig) else _weights(model)
    bits = {"weight_bits": weight_bits, "cache_bits": cache_bits}
    for name, value in bits.items():
        if isinstance(value, bool) or not 0 < value <= 64:
            raise ValueError(f"{name} must be above 0 and at most 64 bits a number, not {value!r}: try 16, 8 or 4.")
    cache = 0
    if isinstance(model, TransformerConfig):
        B, S = _batch(model, B, S)
        cache = round(kv_cache_bytes(model, B=B, S=S, width=cache_bits / 8))
    return MemoryUse(weights=round(n * weight_bits / 8), cache=cache)


def kv_cache_bytes(config: TransformerConfig, *, B: int = 1, S: int = 1, width: float = 4) -> float:
    """Bytes of keys and values of B texts of S tokens: 2 L K E numbers a token, of `width` bytes each."""
    return 2 * config.n_layers * config.kv_heads * config.head_width * B * S * width


def gpus_needed(n_bytes: float | MemoryUse, gpu: str = "H100") -> int:
    """The fewest GPUs whose memory adds up to that much, were it cut evenly and nothing else needed room.

    >>> gpus_needed(training_memory(70e9))
    14

    Raises ValueError naming the GPUs that are known (`lmlab.devices.GPUS`, with sources).
    """
    if gpu not in GPUS:
        raise ValueError(f"There is no data sheet of {gpu!r} here: choose one of {', '.join(GPUS)}.")
    total = n_bytes.total if isinstance(n_bytes, MemoryUse) else n_bytes
    if not 0 < total < math.inf:
        raise ValueError(f"n_bytes must be a positive, finite number of bytes, not {total!r}.")
    return math.ceil(total / GPUS[gpu].n_bytes)


def _moments_of_a_step(
    config: TransformerConfig, B: int, T: int, state: StateBytes, checkpointing: bool
) -> dict[str, float]:
    """Bytes beyond weights and optimizer at the moments of a step that can be the fullest.

    Going back, activations are let go layer by layer while gradients of weights arrive: which of the two is the larger
    decides when. While a step passes an operation, its result and what it was made from both exist.
    """
    n, D, F, V, width = B * T, config.d_model, config.ff_width, config.vocab_size, state.width
    heads = (config.n_heads + config.kv_heads) * config.head_width
    swiglu, rms = config.mlp == "swiglu", config.norm == "rms"
    one = n * D * width  # a number for each place of each vector
    layer = layer_bytes(config, B=B, T=T, width=width)
    kept = one if checkpointing else layer
    norm, mlp = (3 if rms else 2) * one, (4 if swiglu else 2) * n * F * width
    # What is kept outside the layers, but for ids and targets: they were there before the step.
    outside = sum(saved.n_bytes for saved in saved_outside_layers(config, B=B, T=T, width=width)) - 2 * ID_BYTES * n
    below = outside - FULL * n * V - norm  # once the output layer is done with
    table, matrix = state.gradients * V * D, state.gradients * D * F
    ends = V * (1 if config.tie_embeddings else 2) + (config.max_seq_len if config.position == "learned" else 0)
    a_layer = state.gradients * (config.n_params - ends * D) / config.n_layers
    all_kept, matrices = config.n_layers * kept, (3 if swiglu else 2) * matrix
    found = {
        "loss": all_kept + outside + 2 * FULL * n * V,  # gradients of logits and of log-probabilities
        "output layer": all_kept + outside + table + one,  # the gradient of logits, where log-probabilities were
        "last norm": all_kept + below + table + (6 if rms else 3) * one,  # RMSNorm's way back is six steps
        "embedding": state.gradients * config.n_params + (2 * table if config.tie_embeddings else one),
    }
    for at in {0, config.n_layers - 1}:
        here = below + table + at * kept + (config.n_layers - 1 - at) * a_layer + layer + one
        after = here - mlp + matrices
        found[f"MLP of layer {at}"] = here + mlp / 2 + matrix  # gradients of what it multiplied, and of one matrix
        found[f"input of its MLP, {at}"] = after + n * F * width + (2 if swiglu else 1) * one  # a gradient a matrix
        found[f"norm before it, {at}"] = after + (1 if not rms else 2 if checkpointing else 3) * one
        found[f"attention of layer {at}"] = after - norm + 2 * n * heads * width
        if checkpointing:
            found[f"second pass of layer {at}"] = here + one  # what attention found, not yet let go
    return found


def _weights(n_params: float) -> float:
    if isinstance(n_params, bool) or not isinstance(n_params, int | float) or not 0 < n_params < math.inf:
        raise ValueError(f"Give a model's config or a positive, finite number of weights, not {n_params!r}.")
    return n_params


def _batch(config: TransformerConfig, B: int, T: int | None) -> tuple[int, int]:
    longest = config.max_seq_len
    T = longest if T is None else T
    for name, value in (("B", B), ("the length", T)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}.")
    if longest < T:
        raise ValueError(
            f"A text of {T:,} tokens is longer than the model's context of {longest:,}: "
            f"give a length of at most {longest:,}."
        )
    return B, T
