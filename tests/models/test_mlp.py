"""The flat network and the windowed one: how many weights, what they may see, that they learn."""

from __future__ import annotations

import math

import pytest
import torch

from lmlab.models.mlp import MLP, n_weights
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.objectives import next_token
from tests.models.models_under_test import random_ids

GPT2 = TransformerConfig(
    vocab_size=50_257, max_seq_len=1024, d_model=768, n_layers=12, n_heads=12, norm="layer", position="learned",
    mlp="gelu", bias=True,
)  # fmt: skip


def on_meta(**sizes: int) -> MLP:
    with torch.device("meta"):
        return MLP(sizes.pop("V"), seed=None, **sizes)


def test_the_lectures_numbers_are_those_of_live_networks():
    """D·V·T²: doubling the text quadruples the matrix; at GPT-2's size 325,000 GPT-2s would fit into it."""
    assert on_meta(V=10, d_model=4, max_seq_len=6).n_matrix_weights == 1_440
    assert on_meta(V=10, d_model=4, max_seq_len=12).n_matrix_weights == 5_760
    huge = on_meta(V=50_257, d_model=768, max_seq_len=1024).n_matrix_weights
    assert huge == 768 * 50_257 * 1024**2 == n_weights(1024 * 768, 1024 * 50_257)
    assert f"{huge:.2e}" == "4.05e+13"
    assert GPT2.n_params == 124_439_808
    assert 325_000 < huge / GPT2.n_params < 326_000


@pytest.mark.parametrize("T", [1, 5, 6, 12, 128])
def test_with_a_hidden_layer_it_grows_in_a_line(T: int):
    D, V, H = 4, 10, 32
    model = on_meta(V=V, d_model=D, max_seq_len=T, d_hidden=H)
    assert model.n_matrix_weights == (T * D + T * V) * H
    assert model.n_params == model.n_matrix_weights + V * D
    assert on_meta(V=V, d_model=D, max_seq_len=T).n_matrix_weights == D * V * T**2


def test_a_window_does_not_grow_with_the_text():
    model = MLP(10, d_model=4, window=3, d_hidden=32)
    assert model.n_matrix_weights == (3 * 4 + 10) * 32
    assert model.log_probs(random_ids(1, 500, vocab_size=10)).shape == (1, 500, 10)


def test_a_transformer_grows_by_its_positions_alone():
    for T in (64, 128):
        with torch.device("meta"):
            a, b = (Transformer(TransformerConfig(vocab_size=10, d_model=8, max_seq_len=n, position="learned",
                                                  n_layers=2, n_heads=2), seed=None) for n in (T, 2 * T))  # fmt: skip
        assert b.n_params - a.n_params == T * 8


def test_the_flat_network_is_the_sum_over_pairs_of_places():
    """Written out: the scores at t add up one D × V block for each place s up to t."""
    V, D, T = 7, 3, 5
    model = MLP(V, d_model=D, max_seq_len=T, seed=4)
    ids = random_ids(2, T, seed=1, vocab_size=V)
    blocks = model.matrices[0].detach().reshape(T, V, T, D)
    for length in (T, 3):
        logits = model(ids[:, :length])
        for t in range(length):
            by_hand = sum(model.embedding.weight[ids[:, s]] @ blocks[t, :, s].T for s in range(t + 1))
            torch.testing.assert_close(logits[:, t], by_hand)


@pytest.mark.parametrize("sizes", [{"max_seq_len": 16}, {"max_seq_len": 16, "d_hidden": 64}, {"window": 4}])
def test_what_a_prediction_depends_on(sizes: dict):
    """Every word up to its place for the flat network, the last four for a window of four; never a later one."""
    model = MLP(9, d_model=8, seed=1, **sizes)
    ids = random_ids(1, 16, seed=2, vocab_size=9)
    rows = model.log_probs(ids)[0]
    for place in range(16):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % 9
        moved = (model.log_probs(changed)[0] - rows).abs().amax(-1) > 1e-6
        last = min(16, place + 4) if "window" in sizes else 16
        assert moved.tolist() == [place <= t < last for t in range(16)]


@pytest.mark.parametrize("sizes", [{"max_seq_len": 8, "d_hidden": 96}, {"window": 2, "d_hidden": 48}])
def test_it_begins_at_ln_v_and_learns(sizes: dict):
    V = 12
    stream = torch.arange(400) * 5 % V  # each token has one successor
    ids = torch.stack([stream[i : i + 9] for i in range(64)])
    model = MLP(V, d_model=8, seed=0, **sizes)
    batch = type("Batch", (), {"inputs": ids[:, :-1], "targets": ids[:, 1:]})()
    assert abs(next_token(model, batch).item() / math.log(V) - 1) < 0.1
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(120):
        optimizer.zero_grad()
        next_token(model, batch).backward()
        optimizer.step()
    assert next_token(model, batch).item() < 0.05


def test_one_seed_is_one_network():
    make = lambda seed: MLP(9, d_model=4, window=3, d_hidden=8, seed=seed).matrices[0]  # noqa: E731
    before = torch.random.get_rng_state()
    assert torch.equal(make(1), make(1))
    assert not torch.equal(make(1), make(2))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({}, "Give one of max_seq_len"),
        ({"max_seq_len": 6, "window": 3}, "Give one of max_seq_len"),
        ({"window": 0}, "window must be a whole number of at least 1, not 0"),
        ({"window": 2, "d_hidden": -4}, "d_hidden must be"),
        ({"window": 2, "d_model": 2.5}, "d_model must be"),
        ({"window": True}, "window must be"),
        ({"max_seq_len": 1024, "vocab_size": 50_257, "d_model": 768}, "needs 161,889.3 GB in float32"),
    ],
)
def test_impossible_sizes_are_refused_before_anything_is_allocated(sizes: dict, words: str):
    with pytest.raises(ValueError, match=words):
        MLP(sizes.pop("vocab_size", 10), **{"d_model": 4, **sizes})


def test_a_flat_network_reads_no_longer_text():
    model = MLP(9, d_model=4, max_seq_len=6)
    _, state = model.next_log_probs(random_ids(1, 6, vocab_size=9))
    with pytest.raises(ValueError, match="7 tokens are longer than the model's context of 6"):
        model.next_log_probs(torch.tensor([[0]]), state)
