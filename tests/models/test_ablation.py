"""Ablation: the part is gone and nothing else is; what is left trains and traces, and is not saved."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lmlab.models.ablation import PARTS, ablate, is_ablated, without_heads
from lmlab.models.load import save_model
from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.loop import train
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from tests.training.stand_ins import CountingStream


def small(**changes: object) -> Transformer:
    shape = {"vocab_size": 23, "max_seq_len": 16, "d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 24}
    return Transformer(TransformerConfig(**{**shape, **changes}), seed=5)  # type: ignore[arg-type]


IDS = torch.randint(23, (3, 12), generator=torch.Generator().manual_seed(0))


def by_hand(model: Transformer, part: str) -> torch.Tensor:
    """The logits without a part, from the whole model's own modules, in a loop of its own."""

    def norm(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return x if part == "norm" else module(x)

    x, turn = model.position(model.embedding(IDS), torch.arange(IDS.shape[1]))
    if part == "position":
        x, turn = model.embedding(IDS), lambda q: q
    for block in model.blocks:
        stream = 0 if part == "residual" else 1
        if part != "attention":
            x = stream * x + block.attention(norm(block.attention_norm, x), turn)
        if part != "mlp":
            x = stream * x + block.mlp(norm(block.mlp_norm, x))
    return model.unembedding(norm(model.norm, x))


@pytest.mark.parametrize("position", ["rope", "learned"])
@pytest.mark.parametrize("part", PARTS)
def test_one_part_is_gone_and_nothing_else(part: str, position: str) -> None:
    model = small(position=position)
    before = model(IDS)
    without = ablate(model, part)
    assert torch.allclose(without(IDS), by_hand(model, part), atol=1e-6)
    assert not torch.allclose(without(IDS), before, atol=1e-3)
    assert torch.equal(model(IDS), before), "the model itself is left as it was"


@pytest.mark.parametrize("part", PARTS)
def test_what_is_left_traces_continues_and_keeps_the_mask(part: str) -> None:
    without = ablate(small(), part)
    without(IDS, trace=(trace := Trace()))
    assert len(trace.residual) == 3
    assert len(trace.attention) == (0 if part == "attention" else 2)
    full = without.log_probs(IDS)
    first, state = without.next_log_probs(IDS[:, :5])
    assert torch.allclose(first, full[:, 4], atol=1e-5)
    for t in range(5, 12):
        more, state = without.next_log_probs(IDS[:, t : t + 1], state)
        assert torch.allclose(more, full[:, t], atol=1e-5)
    changed = IDS.clone()
    changed[:, 8] = (changed[:, 8] + 1) % 23
    assert torch.allclose(without.log_probs(changed)[:, :8], full[:, :8], atol=1e-6)


@pytest.mark.parametrize("part", PARTS)
def test_it_trains_and_refuses_to_be_saved(part: str, tmp_path) -> None:
    without = ablate(small(position="rope"), part)
    state = TrainState.begin(without, steps=20, settings=OptimizerSettings(lr=1e-2))
    losses: list[float] = []
    train(state, CountingStream(), next_token, 20, lambda _, point: losses.append(point.loss))
    assert losses[-1] < losses[0]
    assert is_ablated(without)
    with pytest.raises(ValueError, match=r"ablated .* model is for looking at"):
        save_model(without, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_without_position_the_words_before_are_a_bag() -> None:
    """One layer: the last token sees which tokens stand before it and not in what order."""
    without = ablate(small(n_layers=1), "position")
    shuffled = torch.cat([IDS[:, :11].flip(1), IDS[:, 11:]], 1)
    assert torch.allclose(without(IDS)[:, -1], without(shuffled)[:, -1], atol=1e-5)


def test_parts_come_out_one_after_the_other() -> None:
    bare = ablate(ablate(small(), "attention"), "mlp")
    model = small()
    x, _ = model.position(model.embedding(IDS), torch.arange(12))
    assert torch.allclose(bare(IDS), model.unembedding(model.norm(x)), atol=1e-6)
    assert torch.isfinite(ablate(bare, "residual")(IDS)).all()


def test_a_part_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no part 'brain' .* residual, norm, attention, mlp, position"):
        ablate(small(), "brain")


def test_a_silent_head_writes_nothing_and_the_others_the_same() -> None:
    model = small()
    silent = without_heads(model, [(1, 0)])
    attention, x = model.blocks[1].attention, torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(1))
    _, turn = model.position(x, torch.arange(6))
    q, k, v = (part(x).view(2, 6, 2, 8).transpose(1, 2) for part in (attention.query, attention.key, attention.value))
    mixed = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True)
    expected = mixed[:, 1] @ attention.output.weight[:, 8:].T
    assert torch.allclose(silent.blocks[1].attention(x, turn), expected, atol=1e-6)
    assert torch.equal(silent.blocks[0].attention.output.weight, model.blocks[0].attention.output.weight)
    assert not is_ablated(silent)
    with pytest.raises(ValueError, match="no head 2 in layer 1: this model has layers 0 to 1 of heads 0 to 1"):
        without_heads(model, [(1, 2)])
