"""The head start in copying: there before a single step of training, and only where the model has room for it."""

from __future__ import annotations

import math
import random

import pytest
import torch

from lmlab.models.head_start import look_back
from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer, TransformerConfig

N_KEYS, V = 36, 75


def table(rng: random.Random, n: int = 6) -> list[int]:
    keys, values = rng.sample(range(3, 3 + N_KEYS), n), rng.sample(range(3 + N_KEYS, V), n)
    rows = [*range(n), *(rng.randrange(n) for _ in range(14))]
    return [0, *(i for row in rows for i in (keys[row], values[row], 1))]


def share_copied(model: Transformer) -> float:
    """Of the questions about six pairs drawn anew, those answered right; one in six by luck."""
    rng = random.Random(3)
    ids = torch.tensor([table(rng) for _ in range(40)])
    asked = (ids >= 3) & (ids < 3 + N_KEYS)
    asked &= asked.cumsum(1) > 6
    right = model.log_probs(ids)[:, :-1].argmax(-1) == ids[:, 1:]
    return float(right[asked[:, :-1]].float().mean())


def config(**changes: object) -> TransformerConfig:
    return TransformerConfig(vocab_size=V, **{"qkv_bias": True, **changes})  # type: ignore[arg-type]


def test_an_untrained_model_copies_and_a_plain_one_does_not() -> None:
    copied = [share_copied(look_back(Transformer(config(), seed=seed), seed)) for seed in range(3)]
    assert min(copied) > 0.4, copied
    assert max(share_copied(Transformer(config(), seed=seed)) for seed in range(3)) < 0.1


def test_the_first_layer_looks_one_back() -> None:
    trace = Trace()
    look_back(Transformer(config()), 0)(torch.randint(0, V, (2, 60)), trace=trace)
    one_back = trace.attention[0].diagonal(-1, 2, 3).mean((0, 2))
    assert float(one_back.min()) > 0.7


def test_it_guesses_finite_and_the_seed_decides() -> None:
    first, again, other = (look_back(Transformer(config(), seed=0), seed) for seed in (0, 0, 1))
    ids = torch.randint(0, V, (1, 30))
    assert torch.equal(first(ids), again(ids))
    assert not torch.equal(first(ids), other(ids))
    loss = torch.nn.functional.cross_entropy(first(ids)[0, :-1], ids[0, 1:])
    assert float(loss.detach()) < 2 * math.log(V)


@pytest.mark.parametrize(
    "changes", [{"qkv_bias": False}, {"n_layers": 1}, {"n_kv_heads": 2}, {"d_head": 16}, {"position": "learned"}]
)
def test_a_shape_without_room_for_it_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="starts looking back needs rope"):
        look_back(Transformer(config(**changes)), 0)
