"""A head start in copying: the first two layers begin as the circuit that training would find last.

Lecture: "input-dependent weights with frozen parameters". To copy "newt jik ... newt ->" a transformer needs two
layers that fit each other: one whose heads look one token back and write down what they saw, and one whose heads look
for a place where the token written down is the current one, and copy what stands there. Each half is useless without
the other, so at this size training wanders for thousands of steps before it finds both (measured: no copying after
three million tokens). Random rotations that fit each other from the start cost nothing and leave everything else to
learn. Sources: Olsson et al. 2022 (induction heads); Trockman and Kolter 2023, arXiv 2305.09828 (mimetic
initialization).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from lmlab.models.transformer import Block, Transformer

BACK = 8.0  # strength of the biases that make a head look one back
WRITTEN = 0.1  # size of what layer 0 writes down, beside the embeddings' 0.1
MATCH = 0.3  # standard deviation of layer 1's query weights
COPIED = 0.6  # size of what layer 1 copies
SLOWEST = 9 / 16  # share of rope's pairs, the slow ones, that may match: the fast ones turn a match away with distance


@torch.no_grad()
def look_back(model: Transformer, seed: int) -> Transformer:
    """Give a fresh model the head start, drawn from the seed, and return it.

    Raises ValueError for a shape that has no room for it: it takes two layers, rope, biases on queries and keys
    (`qkv_bias`), as many key/value heads as query heads, and heads that together are as wide as the model.
    """
    config = model.config
    fits = config.position == "rope" and config.qkv_bias and config.n_layers > 1 and not config.qk_norm
    if not fits or config.n_heads * config.head_width != config.d_model or config.kv_heads != config.n_heads:
        raise ValueError(
            "A model that starts looking back needs rope, qkv_bias = true, two layers or more, no qk_norm, n_kv_heads "
            '= n_heads and n_heads * d_head = d_model: change the model, or leave start = "random".'
        )
    generator = torch.Generator(device="cpu").manual_seed(seed + 1)
    D, H, E = config.d_model, config.n_heads, config.head_width

    def rotation() -> Tensor:
        return torch.linalg.qr(torch.randn(D, D, generator=generator))[0]

    first, second = (cast(Block, block).attention for block in model.blocks[:2])
    angles = model.position.get_buffer("frequencies").cpu()
    # A query of biases alone meets a key of biases alone where rope has turned the key by exactly one position.
    first.query.bias.copy_(BACK * torch.cat((angles.cos(), -angles.sin())).repeat(H))
    first.key.bias.copy_(BACK * torch.cat((torch.ones(E // 2), torch.zeros(E // 2))).repeat(H))
    first.value.weight.copy_(rotation())
    first.output.weight.copy_(WRITTEN * rotation())
    written = first.output.weight @ first.value.weight / WRITTEN

    wanted = torch.randn(D, D, generator=generator) * MATCH
    fast = torch.arange(E // 2) < (1 - SLOWEST) * E // 2
    wanted[torch.cat((fast, fast)).repeat(H)] = 0.0
    second.query.weight.copy_(wanted)
    second.key.weight.copy_(wanted @ written.T)  # what was written down is turned back before it is compared
    second.value.weight.copy_(rotation())
    second.output.weight.copy_(COPIED * second.value.weight.T)  # what is copied comes out as it went in
    return model
