"""Quantization: the lecture's figures, theory from the literature, and what is really stored."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch

from lmlab.quantization import METHODS, Quantized, has_bits, quantize, quantize_with_levels
from lmlab.quantization.levels import _NORMAL_CLIP, lloyd_max, nearest_codes, nf4_table
from lmlab.quantization.packing import pack, packed_size, unpack

# Max 1960, table 1, and Lloyd: least squared error of 2, 4, 8 and 16 levels for a normal distribution
LLOYD_MAX = {1: 0.36338, 2: 0.11748, 3: 0.03455, 4: 0.00950}
# The constants printed in QLoRA's appendix E
NF4 = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mean_squared_error(weights: torch.Tensor, quantized: Quantized) -> float:
    return float((quantized.dequantize() - weights).square().mean())


def options() -> list[tuple[str, int]]:
    return [(method, bits) for method in METHODS for bits in range(1, 9) if has_bits(method, bits)]


# ---------------------------------------------------------------- the lecture's figures


@pytest.mark.parametrize("seed", range(3))
def test_two_bits_from_least_to_greatest_are_no_better_than_zeroing_a_million_weights(seed):
    w = gaussian(1_000_000, seed=seed)
    assert 0.95 <= mean_squared_error(w, quantize(w, 2, "minmax")) <= 1.11


@pytest.mark.parametrize("seed", range(3))
def test_in_groups_of_32_the_same_two_bits_lose_a_seventh(seed):
    w = gaussian(1_000_000, seed=seed)
    assert 0.154 <= mean_squared_error(w, quantize(w, 2, "minmax", 32)) <= 0.155


@pytest.mark.parametrize("bits", LLOYD_MAX)
def test_k_means_reaches_the_least_error_that_theory_allows(bits):
    w = gaussian(1_000_000)
    assert mean_squared_error(w, quantize(w, bits, "kmeans")) == pytest.approx(LLOYD_MAX[bits], rel=5e-3)


def test_k_means_finds_the_four_levels_of_max_1960():
    levels = quantize(gaussian(1_000_000), 2, "kmeans").levels
    assert levels.tolist() == pytest.approx([-1.5104, -0.4528, 0.4528, 1.5104], abs=0.01)


@pytest.mark.parametrize("bits", LLOYD_MAX)
def test_on_the_normal_density_itself_the_levels_are_those_of_max_1960(bits):
    """No sample, so no sampling error: each level is its cell's center of mass, and the error is the printed one."""
    x = torch.linspace(-6, 6, 120_001, dtype=torch.float64)
    density = torch.exp(-(x**2) / 2)
    levels = lloyd_max(x, 2**bits, density).numpy()
    cuts = np.concatenate(([-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]))
    normal = NormalDist()
    mass = np.diff([normal.cdf(cut) for cut in cuts])
    moment = -np.diff([math.exp(-(cut**2) / 2) / math.sqrt(2 * math.pi) for cut in cuts])
    assert levels == pytest.approx(moment / mass, abs=2e-3)  # the condition of the optimum, in closed form
    assert 1 - float(np.sum(moment**2 / mass)) == pytest.approx(LLOYD_MAX[bits], abs=6e-6)
    if bits == 2:
        assert levels.tolist() == pytest.approx([-1.5104, -0.4528, 0.4528, 1.5104], abs=2e-4)


def test_nf4_has_the_published_levels():
    assert nf4_table().tolist() == pytest.approx(NF4, abs=2e-6)
    levels = quantize(torch.tensor([-3.0, 1.0, 2.0]), 4, "nf4").levels
    assert levels.tolist() == pytest.approx([3 * v for v in NF4], abs=1e-5)


@pytest.mark.parametrize("bits", range(1, 5))
def test_mse_finds_the_best_range_of_even_levels(bits):
    # independent: error of n even levels on [-c, c] from the normal density by summation, least over c
    x = np.linspace(-8, 8, 40_001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    n = 2**bits
    best = min(
        float((density * np.min((x[:, None] - np.linspace(-c, c, n)) ** 2, axis=1)).sum())
        for c in np.linspace(0.7, 3, 93)
    )
    w = gaussian(1_000_000)
    assert mean_squared_error(w, quantize(w, bits, "mse")) == pytest.approx(best, rel=0.01)


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_start_of_that_search_is_the_optimum_for_a_normal_distribution(bits):
    x = np.linspace(-7, 7, 200_001)
    density = np.exp(-(x**2) / 2)

    def error(c: float) -> float:
        step = 2 * c / (2**bits - 1)
        nearest = np.clip(np.round((x + c) / step), 0, 2**bits - 1) * step - c
        return float((density * (x - nearest) ** 2).sum())

    c = _NORMAL_CLIP[bits - 1]
    assert error(c) < min(error(0.99 * c), error(1.01 * c))


# ---------------------------------------------------------------- levels and codes


@pytest.mark.parametrize(("method", "bits"), options())
@pytest.mark.parametrize("group", [None, "row", 16, 5])
def test_every_weight_goes_to_its_nearest_level(method, bits, group):
    w = gaussian(12, 48, seed=bits) * 0.03 + 0.01
    q = quantize(w, bits, method, group)
    levels = q.levels.double().numpy().reshape(-1, 2**bits)
    size = {None: 12 * 48, "row": 48}.get(group, group)
    columns = np.arange(48)
    for row in range(12):
        per_row = math.ceil(48 / size) if group is not None else 0
        of_weight = levels[row * per_row + columns // size] if group is not None else levels[[0] * 48]
        nearest = of_weight[columns, np.abs(of_weight - w[row].double().numpy()[:, None]).argmin(1)]
        # a weight halfway between two levels may go either way: compare distances
        given = q.dequantize()[row].double().numpy()
        distance = np.abs(given - w[row].double().numpy())
        assert distance == pytest.approx(np.abs(nearest - w[row].double().numpy()), abs=2e-7)
        chosen = of_weight[columns, q.codes[row].numpy()]
        assert given == pytest.approx(chosen, abs=1e-7)


def test_levels_of_the_even_methods_are_what_their_names_say():
    w = torch.tensor([-1.0, 0.2, 3.0])
    assert quantize(w, 2, "absmax").levels.tolist() == pytest.approx([-3, -1, 1, 3])
    assert quantize(w, 2, "minmax").levels.tolist() == pytest.approx([-1, 1 / 3, 5 / 3, 3])
    assert quantize(w, 2, "minmax").codes.tolist() == [0, 1, 3]
    assert quantize(w, 2, "integer").levels.tolist() == pytest.approx([-4, -2, 0, 2])  # the step of absmax


@pytest.mark.parametrize("bits", range(2, 9))
def test_integer_levels_are_those_of_torchs_integer_kernels(bits):
    w = gaussian(9, 70)
    step = w.abs().amax(1) / (2 ** (bits - 1) - 0.5)
    zero = torch.zeros(9, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(w, step, zero, 0, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    q = quantize(w, bits, "integer", "row")
    assert (q.levels == 0).sum() == 9
    off = (q.dequantize() - theirs).abs() / step[:, None]
    # Scales are stored as float16: a weight halfway between two levels may go to the other one.
    assert float(((off > 0.01 * 2**bits) & ((w / step[:, None] % 1 - 0.5).abs() > 0.05)).sum()) == 0
    assert float((off > 0.01 * 2**bits).float().mean()) < 0.02


@pytest.mark.parametrize("seed", [0, 5, 31])  # 5 and 31: two levels once ended up to 5 % worse than symmetric ones
def test_better_methods_are_better_and_more_bits_are_better(seed):
    torch.manual_seed(seed)
    w = torch.distributions.StudentT(4.0).sample((64, 256))
    for group in (None, "row", 32):
        for bits in range(1, 9):
            error = {m: mean_squared_error(w, quantize(w, bits, m, group)) for m in ("kmeans", "mse", "absmax")}
            assert error["kmeans"] <= 1.001 * error["mse"] <= 1.002 * error["absmax"]
        errors = [mean_squared_error(w, quantize(w, bits, "kmeans", group)) for bits in range(1, 9)]
        assert errors == sorted(errors, reverse=True)


def test_one_outlier_spoils_the_whole_tensor_and_only_its_own_group():
    w = gaussian(64, 64)
    w[3, 5] = 1000.0
    assert mean_squared_error(w, quantize(w, 4, "absmax")) > 0.9
    error = (quantize(w, 4, "absmax", 32).dequantize() - w).square()
    assert float(error.flatten().sort().values[:-32].mean()) < 0.02


def test_values_that_hardly_count_draw_no_level_beyond_the_last():
    """Their share is lost in the running sums' rounding: a level at 12.19 came of it once."""
    x = torch.linspace(-9, 9, 180_001, dtype=torch.float64)
    assert lloyd_max(x, 16, torch.exp(-(x**2) / 2)).abs().max() <= 9


def test_k_means_equals_exact_clustering_by_dynamic_programming():
    values = np.sort(np.random.default_rng(1).normal(size=120) ** 3)
    n, k = len(values), 4
    total, square = np.concatenate(([0], values.cumsum())), np.concatenate(([0], (values**2).cumsum()))

    def cost(i: int, j: int) -> float:
        return square[j] - square[i] - (total[j] - total[i]) ** 2 / (j - i)

    best = [0.0] + [math.inf] * n
    for _ in range(k):
        best = [math.inf] + [min(best[i] + cost(i, j) for i in range(j)) for j in range(1, n + 1)]
    levels = lloyd_max(torch.from_numpy(values), k).numpy()
    assert ((values[:, None] - levels) ** 2).min(1).sum() == pytest.approx(best[n], rel=0.05)


def test_few_distinct_weights_are_stored_without_error():
    w = torch.tensor([0.1, -0.7, 0.4])[torch.randint(3, (9, 40), generator=torch.Generator().manual_seed(0))]
    assert quantize(w, 2, "kmeans").dequantize() == pytest.approx(w, abs=1e-7)


def test_looking_up_codes_equals_searching():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = torch.from_numpy(np.sort(rng.normal(size=2 ** (1 + seed % 8)))).float()
        x = torch.cat((torch.from_numpy(rng.normal(size=5000)).float() * 3, (table[1:] + table[:-1]) / 2))
        distance = (x[:, None].double() - table.double()).abs()
        chosen = distance.gather(1, nearest_codes(x, table, even=False).long()[:, None])[:, 0]
        assert (chosen - distance.min(1).values).max() < 1e-6


# ---------------------------------------------------------------- levels set by hand


def test_levels_set_by_hand_are_in_units_of_the_spread():
    w = gaussian(40, 30) * 0.04
    spread = float(w.square().mean().sqrt())
    q = quantize_with_levels(w, [1.51, -1.51, -0.3, 0.45])
    assert (q.bits, q.levels.tolist()) == (2, pytest.approx([v * spread for v in (-1.51, -0.3, 0.45, 1.51)]))
    rms = w.view(-1, 10).square().mean(1).sqrt()
    levels = quantize_with_levels(w, [-1, 0, 1], group_size=10).levels
    assert levels[:, :3].numpy() == pytest.approx((rms[:, None] * torch.tensor([-1, 0, 1])).numpy(), rel=1e-3)


def test_k_means_own_levels_set_by_hand_give_its_own_error():
    w = gaussian(5000)
    best = quantize(w, 3, "kmeans")
    by_hand = quantize_with_levels(w, best.levels / w.square().mean().sqrt())
    assert mean_squared_error(w, by_hand) == pytest.approx(mean_squared_error(w, best), rel=1e-5)


# ---------------------------------------------------------------- what is stored


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("n", [1, 7, 8, 9, 1000, 1003])
def test_packing_round_trips_and_wastes_less_than_a_byte(bits, n):
    codes = torch.randint(2**bits, (n,), dtype=torch.uint8, generator=torch.Generator().manual_seed(n))
    stream = pack(codes, bits)
    assert stream.dtype == torch.uint8
    assert len(stream) == packed_size(n, bits) == math.ceil(n * bits / 8)
    assert torch.equal(unpack(stream, bits, n), codes)
    # independent: the stream read as one little-endian number
    whole = int.from_bytes(stream.numpy().tobytes(), "little")
    assert [(whole >> (bits * i)) & (2**bits - 1) for i in range(n)] == codes.tolist()


@pytest.mark.parametrize(("method", "bits"), options())
@pytest.mark.parametrize("group", [None, "row", 32, 7])
def test_bytes_are_those_of_the_stored_tensors(method, bits, group):
    q = quantize(gaussian(33, 64) * 0.05, bits, method, group)
    parts = [t for t in (q.packed, q.scales, q.offsets, q.table) if t is not None]
    assert q.n_bytes == sum(len(t.numpy().tobytes()) for t in parts)
    assert q.n_bytes == sum(t.untyped_storage().nbytes() for t in parts)  # no view of something larger
    assert q.bits_per_weight == pytest.approx(8 * q.n_bytes / (33 * 64))
    assert len(q.packed) == math.ceil(33 * 64 * bits / 8)
    assert q.dequantize().shape == q.codes.shape == (33, 64)


def test_scales_are_counted_two_bytes_a_group():
    w = gaussian(128, 128)
    assert quantize(w, 4, "absmax", 32).bits_per_weight == 4.5
    assert quantize(w, 4, "minmax", 32).bits_per_weight == 5.0
    assert quantize(w, 2, "absmax").bits_per_weight == pytest.approx(2, abs=0.003)


@pytest.mark.parametrize("scale", [1e-36, 1e-9, 1.0, 1e9, 1e30])
@pytest.mark.parametrize("method", METHODS)
def test_weights_of_any_size_keep_their_relative_error(method, scale):
    w = gaussian(16, 64) * scale
    for group in (None, 32):
        q = quantize(w, 4, method, group)
        assert float(((q.dequantize() - w) / scale).square().mean()) < 0.05


def test_weights_too_small_for_arithmetic_count_as_zero():
    for method in METHODS:
        for group in (None, 4):
            assert quantize(torch.full((2, 8), 1e-42), 4, method, group).dequantize().abs().max() < 1e-37


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
def test_constant_weights_come_back(method, value):
    w = torch.full((4, 32), value)
    tolerance = {"mse": 1e-2, "integer": 0.5 / 7.5 + 1e-3}.get(method, 1e-3)  # integer: half a step from the largest
    for group in (None, "row", 8):
        assert quantize(w, 4, method, group).dequantize() == pytest.approx(w, abs=tolerance * abs(value))


@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 8), (1, 1)])
def test_any_shape_is_kept(shape):
    w = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for method in METHODS:
        for group in (None, "row", 4):
            assert quantize(w, 4, method, group).dequantize().shape == (shape or (1,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_is_taken_and_not_changed(dtype):
    w = gaussian(8, 32).to(dtype)
    before = w.clone()
    assert mean_squared_error(w, quantize(w, 8, "absmax", 32)) < 1e-3
    assert torch.equal(w, before)


def test_rows_are_the_rows_of_the_whole():
    for bits in (2, 3, 5, 8):
        for group in (None, "row", 10):
            q = quantize(gaussian(37, 24), bits, "minmax", group)
            assert torch.equal(torch.cat((q.rows(0, 16), q.rows(16, 37))), q.dequantize())


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((torch.empty(0, 4), 4), "no weights to quantize"),
        ((torch.tensor([1.0, math.nan, math.inf]), 4), "2 of 3 weights are NaN or infinite"),
        ((torch.ones(4), 0), "from 1 to 8, not 0"),
        ((torch.ones(4), 9), "from 1 to 8, not 9"),
        ((torch.ones(4), 2.5), "from 1 to 8, not 2.5"),
        ((torch.ones(4), True), "from 1 to 8, not True"),
        ((torch.ones(4), 4, "magic"), "no method 'magic': choose absmax"),
        ((torch.ones(4), 3, "nf4"), "takes 4 bits, not 3"),
        ((torch.ones(4), 4, "absmax", 0), "group_size must be"),
        ((torch.ones(4), 4, "absmax", "column"), "not 'column'"),
        ((torch.ones(4, dtype=torch.complex64), 4), "must be real numbers"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        quantize(*arguments)


@pytest.mark.parametrize("levels", [[], [1.0], [0.0, math.nan], list(range(257))])
def test_levels_that_cannot_be_are_refused(levels):
    with pytest.raises(ValueError, match="2 to 256 finite numbers"):
        quantize_with_levels(torch.ones(4), levels)


def test_a_group_that_does_not_divide_leaves_a_shorter_last_one():
    w = gaussian(3, 50)
    q = quantize(w, 3, "minmax", 32)
    assert len(q.scales) == 6
    ends = torch.stack([w[:, 32:].amin(1), w[:, 32:].amax(1)], 1)
    assert q.levels.view(3, 2, 8)[:, 1, [0, 7]].numpy() == pytest.approx(ends.numpy(), rel=3e-3)


def test_normal_quantiles_are_where_nf4_comes_from():
    # each positive level is the quantile of equally spaced probabilities, up to the common factor
    table = nf4_table().double().numpy()
    ends = NormalDist().inv_cdf((1 - 1 / 30 + 1 - 1 / 32) / 2)
    above = np.array([NormalDist().cdf(float(v) * ends) for v in table[7:]])
    assert np.diff(above) == pytest.approx(np.diff(above).mean(), abs=1e-6)
