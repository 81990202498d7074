"""The transformer: its size, its initialization, its cache and what it shows of itself."""

import math

import pytest
import torch

from lmlab.models.kv_cache import KVCache
from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer, TransformerConfig
from tests.models.models_under_test import FAMILY_SHAPES, V, random_ids, randomized, small_config


@pytest.fixture(params=FAMILY_SHAPES)
def model(request: pytest.FixtureRequest) -> Transformer:
    return randomized(Transformer(small_config(**FAMILY_SHAPES[request.param]), seed=1))


def test_the_config_knows_the_number_of_weights_without_building(model: Transformer):
    assert model.config.n_params == sum(p.numel() for p in model.parameters()) == model.n_params


def test_the_labs_own_size():
    config = TransformerConfig.tiny(vocab_size=2048)
    assert (config.d_model, config.n_layers, config.n_heads, config.max_seq_len) == (128, 4, 4, 256)
    assert config.tie_embeddings
    assert 1.0e6 < config.n_params < 1.1e6
    assert Transformer(config).n_params == config.n_params


# ---------------------------------------------------------------- initialization


def test_one_seed_is_one_model_whatever_torch_drew_before():
    torch.manual_seed(5)
    a = Transformer(small_config(), seed=3)
    torch.rand(100)
    b = Transformer(small_config(), seed=3)
    other = Transformer(small_config(), seed=4)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.embedding.weight, other.embedding.weight)


@pytest.mark.parametrize(("tied", "std"), [(True, 0.1), (False, 0.5)])
def test_embeddings_are_drawn_wide_enough_for_copying_to_emerge(tied: bool, std: float):
    # With the usual 0.02 a model of this size never learned to copy from its context (measured).
    model = Transformer(TransformerConfig.tiny(vocab_size=512, tie_embeddings=tied))
    assert float(model.embedding.weight.detach().std()) == pytest.approx(std, rel=0.02)
    assert (model.unembedding.weight is model.embedding.weight) is tied


@pytest.mark.parametrize("n_layers", [2, 8])
def test_what_writes_into_the_residual_stream_shrinks_with_depth(n_layers: int):
    block = Transformer(TransformerConfig.tiny(vocab_size=512, n_layers=n_layers)).blocks[0]
    weights = {name: weight.detach() for name, weight in block.named_parameters()}
    query, output = float(weights["attention.query.weight"].std()), float(weights["attention.output.weight"].std())
    assert output == pytest.approx(query / math.sqrt(2 * n_layers), rel=0.05)
    down, up = float(weights["mlp.down.weight"].std()), float(weights["mlp.up.weight"].std())
    assert down * math.sqrt(352 / 128) == pytest.approx(up / math.sqrt(2 * n_layers), rel=0.05)


def test_biases_begin_at_zero_and_norms_at_one():
    model = Transformer(small_config(**FAMILY_SHAPES["gpt2"]))
    for name, weight in model.named_parameters():
        if weight.dim() == 1 and name != "norm.weight":
            assert (weight == (0 if name.endswith("bias") else 1)).all(), name


@pytest.mark.parametrize("changes", [{}, {"tie_embeddings": False}, {"d_model": 384}, {"d_model": 64}])
def test_the_loss_of_an_untrained_model_is_ln_V(changes: dict):
    model = Transformer(TransformerConfig.tiny(vocab_size=2048, **changes))
    ids = random_ids(8, 64, vocab_size=2048)
    nats = -model.log_probs(ids)[:, :-1].gather(-1, ids[:, 1:, None]).mean()
    assert float(nats) == pytest.approx(math.log(2048), rel=0.05)


# ---------------------------------------------------------------- trace


def test_the_written_out_attention_equals_the_fused_one(model: Transformer):
    ids = random_ids(2, 30)
    trace = Trace()
    torch.testing.assert_close(model(ids, trace=trace), model(ids), atol=1e-5, rtol=0)
    torch.testing.assert_close(model(ids, trace=Trace(), causal=False), model(ids, causal=False), atol=1e-5, rtol=0)


def test_a_trace_holds_what_its_docstring_says(model: Transformer):
    B, T, H, L, D = 2, 9, model.config.n_heads, model.config.n_layers, model.config.d_model
    trace = Trace()
    logits = model(random_ids(B, T), trace=trace)
    assert [len(kept) for kept in (trace.attention, trace.scores, trace.residual)] == [L, L, L + 1]
    assert all(kept.shape == (B, H, T, T) for kept in trace.attention + trace.scores)
    assert all(kept.shape == (B, T, D) for kept in trace.residual)
    masked = torch.ones(T, T).triu(1).bool()
    for weights, scores in zip(trace.attention, trace.scores, strict=True):
        assert (scores[..., masked] == -math.inf).all()
        assert (weights[..., masked] == 0).all()
        torch.testing.assert_close(weights, scores.softmax(-1))
    torch.testing.assert_close(model.unembedding(model.norm(trace.residual[-1])), logits)
    assert not any(kept.requires_grad for kept in trace.attention + trace.residual)


def test_attention_of_the_first_layer_by_hand():
    """Learned positions, so that nothing is turned: softmax(q.k / sqrt(E)) written with loops."""
    model = randomized(Transformer(small_config(position="learned", n_heads=2, d_model=8, n_layers=1)))
    ids = random_ids(1, 5)
    trace = Trace()
    block = model.blocks[0]
    with torch.no_grad():
        model(ids, trace=trace)
        x = block.attention_norm(trace.residual[0])[0]
        q, k = block.attention.query(x), block.attention.key(x)
    for head in range(2):
        for t in range(5):
            own = slice(4 * head, 4 * head + 4)
            scores = [float(q[t, own] @ k[s, own]) / math.sqrt(4) for s in range(t + 1)]
            total = sum(math.exp(score) for score in scores)
            expected = [math.exp(score) / total for score in scores]
            assert trace.attention[0][0, head, t, : t + 1].tolist() == pytest.approx(expected, abs=1e-6)


def test_without_a_mask_every_position_sees_both_ways(model: Transformer):
    ids = random_ids(1, 10)
    changed = ids.clone()
    changed[0, -1] = (ids[0, -1] + 1) % V
    assert torch.equal(model(ids)[0, 0], model(changed)[0, 0])
    assert not torch.equal(model(ids, causal=False)[0, 0], model(changed, causal=False)[0, 0])


def test_positions_stay_exact_in_a_model_of_half_precision():
    model = randomized(Transformer(small_config(max_seq_len=512), seed=1))
    ids = random_ids(1, 400)
    exact = model(ids).detach()
    model.bfloat16()
    assert model.embedding.weight.dtype == torch.bfloat16
    assert model.position.frequencies.dtype == torch.float32
    assert float((model(ids).detach().float() - exact).abs().mean()) < 0.05 * float(exact.std())


# ---------------------------------------------------------------- cache


def test_a_cache_gives_the_logits_of_the_whole_text(model: Transformer):
    ids = random_ids(2, 20)
    whole = model(ids)
    cache = KVCache()
    parts = [model(part, cache=cache) for part in ids.split([7, 1, 1, 11], dim=1)]
    assert cache.length == 20
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


def test_a_trace_through_a_cache_sees_the_old_keys(model: Transformer):
    ids = random_ids(1, 12)
    cache, trace, whole = KVCache(), Trace(), Trace()
    model(ids[:, :8], cache=cache)
    model(ids[:, 8:], cache=cache, trace=trace)
    model(ids, trace=whole)
    assert trace.attention[0].shape[-2:] == (4, 12)
    torch.testing.assert_close(trace.attention[-1], whole.attention[-1][:, :, 8:], atol=1e-5, rtol=0)


def test_two_branches_stay_alive_after_a_fork(model: Transformer):
    ids, left, right = random_ids(1, 6), random_ids(1, 5, seed=1), random_ids(1, 5, seed=2)
    _, state = model.next_log_probs(ids)
    fork = state.fork()
    for end in range(5):
        a, state = model.next_log_probs(left[:, end : end + 1], state)
        b, fork = model.next_log_probs(right[:, end : end + 1], fork)
        for text, row in ((left, a), (right, b)):
            whole = model.log_probs(torch.cat((ids, text[:, : end + 1]), 1))[:, -1]
            torch.testing.assert_close(row, whole, atol=2e-5, rtol=0)


def test_a_branch_that_was_overwritten_says_so_instead_of_mixing_texts(model: Transformer):
    _, state = model.next_log_probs(random_ids(1, 6))
    _, left = model.next_log_probs(random_ids(1, 2, seed=1), state)
    _, right = model.next_log_probs(random_ids(1, 2, seed=2), state)
    model.next_log_probs(random_ids(1, 1), right)
    with pytest.raises(RuntimeError, match="fork"):
        model.next_log_probs(random_ids(1, 1), left)


def test_a_state_serves_its_own_batch_alone(model: Transformer):
    _, state = model.next_log_probs(random_ids(2, 3))
    with pytest.raises(ValueError, match="batch of 2"):
        model.next_log_probs(random_ids(3, 1), state)


def test_the_cache_counts_its_bytes():
    model = Transformer(small_config(n_kv_heads=2))
    _, state = model.next_log_probs(random_ids(3, 10))
    assert state.n_bytes == 2 * 3 * model.config.n_layers * 2 * 10 * 6 * 4  # K and V, B, L, K, S, E, float32


def test_the_next_distribution_never_builds_one_for_every_position(monkeypatch: pytest.MonkeyPatch):
    model = Transformer(small_config())
    seen = []
    model.unembedding.register_forward_hook(lambda _module, inputs, _out: seen.append(inputs[0].shape))
    model.next_log_probs(random_ids(2, 20))
    assert seen == [(2, 24)]


# ---------------------------------------------------------------- refusals


def test_a_text_longer_than_the_context_is_refused_with_both_numbers(model: Transformer):
    for ask in (model, model.log_probs, model.next_log_probs):
        with pytest.raises(ValueError, match=r"33 tokens.*context of 32"):
            ask(random_ids(1, 33))
    _, state = model.next_log_probs(random_ids(1, 32))
    with pytest.raises(ValueError, match="33 tokens"):
        model.next_log_probs(random_ids(1, 1), state)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_heads": 5}, "24 cannot be shared among 5 heads"),
        ({"n_kv_heads": 3}, "4 query heads cannot share 3"),
        ({"n_layers": 0}, "n_layers must be a whole number of at least 1, not 0"),
        ({"vocab_size": -1}, "vocab_size"),
        ({"d_model": 24.0}, "d_model"),
        ({"n_heads": True}, "n_heads"),
        ({"d_head": 7}, "even"),
        ({"norm": "batch"}, "'rms' or 'layer'"),
        ({"position": "alibi"}, "'rope' or 'learned'"),
        ({"mlp": "relu"}, "'swiglu' or 'gelu'"),
        ({"norm_eps": float("nan")}, "norm_eps"),
    ],
)
def test_impossible_shapes_are_refused_by_name(changes: dict, words: str):
    with pytest.raises(ValueError, match=words):
        small_config(**changes)


def test_fifty_billion_weights_are_refused_from_arithmetic():
    config = TransformerConfig(vocab_size=100_000, d_model=8192, n_layers=62, n_heads=64)
    assert 4.5e10 < config.n_params < 6e10
    with pytest.raises(ValueError, match=r"parameters needs [\d.]+ GB"):
        Transformer(config)
