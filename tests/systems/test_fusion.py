"""Fused attention: equal to torch's, and every byte counted: by ourselves, by the paper's formula, and by torch."""

from __future__ import annotations

import math
import random

import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from lmlab.systems.fusion import (
    Counted,
    TileStep,
    naive_attention,
    naive_attention_bytes,
    scale_shift_gelu,
    tile_memory_bytes,
    tiled_attention,
    tiled_attention_bytes,
)


def random_shape(draw: random.Random) -> tuple[int, int, int, int, int]:
    """B, H, T, S, E: queries are never more than keys, and no multiple of a tile."""
    S = draw.randrange(1, 70)
    return draw.randrange(1, 4), draw.randrange(1, 4), draw.randrange(1, S + 1), S, draw.choice((1, 4, 16, 24))


def qkv(shape: tuple[int, int, int, int, int], seed: int, dtype=torch.float32) -> tuple[torch.Tensor, ...]:
    B, H, T, S, E = shape
    g = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(B, H, n, E, generator=g).to(dtype) for n in (T, S, S))


def torchs(q, k, v, causal: bool) -> torch.Tensor:
    """scaled_dot_product_attention, in float64."""
    T, S = q.shape[2], k.shape[2]
    mask = torch.ones(T, S, dtype=torch.bool).tril(S - T) if causal else None
    return F.scaled_dot_product_attention(q.double(), k.double(), v.double(), attn_mask=mask)


@pytest.mark.parametrize("causal", [True, False])
def test_naive_and_tiled_are_torchs_attention_for_any_shape_and_tile(causal):
    draw = random.Random()
    for seed in range(40):
        shape = random_shape(draw)
        q, k, v = qkv(shape, seed)
        tiles = {"q_tile": draw.randrange(1, 40), "k_tile": draw.randrange(1, 40)}
        expected = torchs(q, k, v, causal)
        for done in (naive_attention(q, k, v, causal=causal), tiled_attention(q, k, v, causal=causal, **tiles)):
            assert done.output.shape == q.shape
            assert done.output.dtype == torch.float32
            assert (done.output - expected).abs().max() < 1e-5, (shape, tiles)


@pytest.mark.parametrize("causal", [True, False])
def test_logits_of_ten_thousand_neither_overflow_nor_lose_digits(causal):
    g = torch.Generator().manual_seed(1)
    # whole numbers, so that float32 sums them without rounding, in any order; up to 10,000 and many ties
    q, k = (torch.randint(-50, 51, (2, 2, n, 16), generator=g).float() for n in (33, 45))
    q[..., 0], k[..., 0] = 100.0, torch.randint(-4, 5, (2, 2, 45), generator=g).float() * 100
    v = torch.randn(2, 2, 45, 16, generator=g)
    logits = q @ k.transpose(-1, -2) / 4
    assert logits.max() > 1e4 > -1e4 > logits.min()
    done = tiled_attention(q, k, v, causal=causal, q_tile=7, k_tile=4)
    assert (done.output - torchs(q, k, v, causal)).abs().max() < 1e-5
    assert (done.output - naive_attention(q, k, v, causal=causal).output).abs().max() < 1e-5


def test_bf16_inputs_are_summed_in_float32():
    q, k, v = qkv((2, 3, 60, 60, 32), 4, torch.bfloat16)
    exact = torchs(q, k, v, True)
    tiled, naive = tiled_attention(q, k, v, q_tile=16, k_tile=16).output, naive_attention(q, k, v).output
    assert tiled.dtype == naive.dtype == torch.bfloat16
    rounded = (exact.to(torch.bfloat16).double() - exact).abs().max()
    assert (tiled.double() - exact).abs().max() <= 1.01 * rounded, "nothing but the result is rounded"
    assert (naive.double() - exact).abs().max() > 1.5 * rounded, "scores and weights were written down in bf16"


# ---------------------------------------------------------------- bytes


def place(x: object) -> int | None:
    return x.untyped_storage().data_ptr() if isinstance(x, torch.Tensor) else None


class Touched(TorchFunctionMode):
    """Every byte of given tensors that a function of torch reads, whoever counts; views and shapes alone are free."""

    def __init__(self, *tensors: torch.Tensor) -> None:
        super().__init__()
        self.places = {place(t) for t in tensors}
        self.n_bytes = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and func is not torch.empty_like:
            with torch._C.DisableTorchFunction():
                far = [x for x in args if place(x) in self.places and place(x) != place(result)]
                self.n_bytes += sum(x.numel() * x.element_size() for x in far)
        return result


def of(done: Counted, *names: str, kind: str = "read") -> int:
    return sum(move.n_bytes for move in done.moves if move.tensor in names and move.kind == kind)


@pytest.mark.parametrize("causal", [True, False])
def test_torch_sees_the_same_reads_as_the_counter(causal):
    draw = random.Random()
    for seed in range(8):
        q, k, v = qkv(random_shape(draw), seed, draw.choice((torch.float32, torch.bfloat16)))
        for attention in (naive_attention, tiled_attention):
            tiles = {} if attention is naive_attention else {"q_tile": draw.randrange(1, 30), "k_tile": 5}
            with Touched(q, k, v) as seen:
                done = attention(q, k, v, causal=causal, **tiles)
            # k's transpose and the products come after the copy, so nothing but copies touches what lies far away
            assert seen.n_bytes == of(done, "q", "k", "v") > 0
            assert of(done, "output", kind="write") == done.output.numel() * done.output.element_size()
    x, w, b = torch.randn(37, 5), torch.randn(5), torch.randn(5)
    for fused in (False, True):
        with Touched(x, w, b) as seen:
            done = scale_shift_gelu(x, w, b, fused=fused, tile=4)
        assert seen.n_bytes == of(done, "x", "w", "b")


@pytest.mark.parametrize("causal", [True, False])
def test_bytes_are_those_of_the_closed_forms(causal):
    draw = random.Random()
    for seed in range(30):
        B, H, T, S, E = shape = random_shape(draw)
        dtype, itemsize = draw.choice(((torch.float32, 4), (torch.bfloat16, 2)))
        q, k, v = qkv(shape, seed, dtype)
        q_tile, k_tile = draw.randrange(1, 40), draw.randrange(1, 40)
        naive = naive_attention(q, k, v, causal=causal)
        assert naive.moved_bytes == naive_attention_bytes(T, S, E, n_heads=B * H, itemsize=itemsize)
        assert of(naive, "scores", "weights", kind="write") == 2 * B * H * T * S * itemsize
        tiled = tiled_attention(q, k, v, causal=causal, q_tile=q_tile, k_tile=k_tile)
        # by brute force: a tile of keys is read where any of its scores is visible to any of the queries
        visible = torch.ones(T, S, dtype=torch.bool).tril(S - T) if causal else torch.ones(T, S, dtype=torch.bool)
        rows = sum(tile.shape[1] for band in visible.split(q_tile) for tile in band.split(k_tile, 1) if tile.any())
        assert tiled.moved_bytes == B * H * E * itemsize * (2 * T + 2 * rows)
        assert tiled.moved_bytes == tiled_attention_bytes(
            T, S, E, q_tile=q_tile, k_tile=k_tile, causal=causal, n_heads=B * H, itemsize=itemsize
        )
        assert tiled.read_bytes + tiled.written_bytes == tiled.moved_bytes
        assert not of(tiled, "scores", "weights", kind="write")


def test_traffic_grows_as_the_paper_says():
    """Dao et al. 2022, theorem 2: naive Θ(T E + T²), tiled Θ(T² E² / M) where tiles fill a fast memory of M numbers."""
    E, M = 64, 65_536
    tile = M // (4 * E)
    long = {T: tiled_attention_bytes(T, T, E, q_tile=tile, k_tile=tile, causal=False) for T in (2**14, 2**15)}
    assert long[2**15] / long[2**14] == pytest.approx(4, rel=0.02)
    assert long[2**15] == pytest.approx(4 * 8 * 2**30 * E**2 / M, rel=0.02)
    half = tiled_attention_bytes(2**15, 2**15, E, q_tile=2 * tile, k_tile=tile, causal=False)
    assert half / long[2**15] == pytest.approx(0.5, rel=0.02), "twice the fast memory, half the traffic"
    causal = tiled_attention_bytes(2**15, 2**15, E, q_tile=tile, k_tile=tile)
    assert causal / long[2**15] == pytest.approx(0.5, rel=0.02)
    naive = {T: naive_attention_bytes(T, T, E) for T in (2**14, 2**15)}
    assert naive[2**15] / naive[2**14] == pytest.approx(4, rel=0.02)
    assert naive[2**15] / long[2**15] == pytest.approx(M / (2 * E**2), rel=0.02)
    assert tile_memory_bytes(128, 128, 64) <= 227 * 1024, "fits an H100's shared memory of 227 KB a block"


# ---------------------------------------------------------------- the log


def test_every_step_holds_the_softmax_of_the_keys_seen_so_far():
    q, k, v = qkv((1, 2, 23, 30, 8), 7)
    log: list[TileStep] = []
    done = tiled_attention(q, k, v, q_tile=5, k_tile=4, on_step=log.append)
    scores = (q.double() @ k.double().transpose(-1, -2)) / math.sqrt(8)
    scores = scores.masked_fill(~torch.ones(23, 30, dtype=torch.bool).tril(7), -math.inf)
    before: TileStep | None = None
    for step in log:
        rows, seen = slice(step.queries.start, step.queries.stop), slice(0, step.keys.stop)
        part = scores[..., rows, seen]
        assert torch.allclose(step.row_max.double(), part.amax(-1), atol=1e-5)
        assert torch.allclose(step.row_sum.double(), (part - part.amax(-1, keepdim=True)).exp().sum(-1), rtol=1e-5)
        assert torch.allclose(step.output.double(), part.softmax(-1) @ v.double()[..., seen, :], atol=1e-5)
        here = part[..., step.keys.start :]
        assert torch.allclose(step.weights.double(), (here - part.amax(-1, keepdim=True)).exp(), atol=1e-5)
        if step.keys.start == 0:
            assert step.rescale.eq(0).all(), "there was nothing before"
        else:
            assert before is not None
            assert torch.allclose(step.rescale, (before.row_max - step.row_max).exp(), atol=1e-6)
            assert before.moved_bytes < step.moved_bytes
        before = step
    assert (torch.stack([s.rescale.min() for s in log]) < 0.5).any(), "a maximum that moved late"
    seen = {(s.queries.start, s.keys.start) for s in log}
    skipped = [(a, b) for a in range(0, 23, 5) for b in range(0, 30, 4) if (a, b) not in seen]
    assert skipped
    for a, b in skipped:
        assert scores[..., a : a + 5, b : b + 4].isneginf().all()
    assert log[-1].moved_bytes == done.moved_bytes - log[-1].output.numel() * 4, "its output is still to be written"


def test_elementwise_chain_makes_six_trips_or_two():
    g = torch.Generator().manual_seed(0)
    for T, D, tile in ((50, 7, 16), (1, 1, 1), (64, 33, 200)):
        x, w, b = (torch.randn(*shape, generator=g) for shape in ((T, D), (D,), (D,)))
        unfused, fused = (scale_shift_gelu(x, w, b, fused=fused, tile=tile) for fused in (False, True))
        expected = F.gelu(torch.addcmul(b, x, w))
        assert torch.allclose(unfused.output, expected, atol=1e-6)
        assert torch.allclose(fused.output, expected, atol=1e-6)
        assert unfused.moved_bytes == 4 * (6 * T * D + 2 * D)
        assert fused.moved_bytes == 4 * (2 * T * D + 2 * D)
        assert [m.tensor for m in unfused.moves if m.kind == "write"] == ["scaled", "shifted", "output"]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"k": (1, 1, 4, 8), "v": (1, 1, 4, 8)}, "Causal attention with T = 5"),
        ({"v": (1, 1, 6, 4)}, r"takes q \(B, H, T, E\)"),
        ({"q": (1, 5, 8)}, r"takes q \(B, H, T, E\)"),
        ({"q": (1, 1, 0, 8)}, "none of them empty"),
        ({"k": (1, 3, 6, 8), "v": (1, 3, 6, 8)}, "shared heads are repeated first"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_in_a_sentence(change, said):
    shapes = {"q": (1, 1, 5, 8), "k": (1, 1, 6, 8), "v": (1, 1, 6, 8), **change}
    for attention in (naive_attention, tiled_attention):
        with pytest.raises(ValueError, match=said):
            attention(*(torch.zeros(shape) for shape in shapes.values()))


def test_dtypes_and_tiles_that_do_not_fit_are_refused():
    q, k, v = qkv((1, 1, 5, 6, 8), 0)
    with pytest.raises(ValueError, match="share one floating dtype"):
        naive_attention(q, k.double(), v)
    for tile in (0, -1, True, 2.5):
        with pytest.raises(ValueError, match="q_tile is a number of rows from 1"):
            tiled_attention(q, k, v, q_tile=tile)
    with pytest.raises(ValueError, match="takes x"):
        scale_shift_gelu(q[0, 0], k[0, 0], v[0, 0], fused=True)
