"""The lecture's arithmetic: every row of the digest that belongs to scale, recomputed in other ways than ours."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest

from lmlab.systems.compute import (
    EARTH_RADIUS_KM,
    H100_DENSE,
    LLAMA3_GPU_HOURS,
    LLAMA3_PARAMS,
    LLAMA3_REPORTED_FLOPS,
    LLAMA3_TOKENS,
    SLIDE_FLOPS,
    SLIDE_GPU_DAYS,
    STATION_KM,
    bytes_per_unit,
    gpu_days,
    n_sheets,
    n_words,
    rental_usd,
    stack_km,
    sustained_flops,
    text_bytes,
    training_flops,
    typing_years,
    utilization,
    wall_clock_days,
)

TOKENS = 36e12  # Qwen 3
SIX_N_D = training_flops(LLAMA3_PARAMS, 16e12)

# ---------------------------------------------------------------- the slides


def test_36_trillion_tokens_are_27_trillion_words():
    assert n_words(TOKENS) == 27.0e12
    assert n_words(TOKENS, words_per_token=0.876) == pytest.approx(31.5e12, rel=2e-3)


def test_144_terabytes_need_four_bytes_per_token_and_not_per_word():
    assert text_bytes(n_words(TOKENS)) == 108e12
    assert text_bytes(TOKENS) == 144e12
    assert bytes_per_unit(144e12, n_units=n_words(TOKENS)) == pytest.approx(16 / 3)
    assert text_bytes(TOKENS, bytes_per_unit=4.33) == pytest.approx(155.9e12, rel=1e-3)


def test_a_stack_of_ninety_billion_sheets_is_nine_thousand_kilometers_high():
    sheets = n_sheets(n_words(TOKENS))
    assert sheets == 90.0e9
    assert stack_km(sheets) == pytest.approx(9_000)
    assert stack_km(sheets) / STATION_KM == pytest.approx(22.5)
    assert stack_km(sheets) / EARTH_RADIUS_KM == pytest.approx(1.41, abs=0.005)
    assert stack_km(n_sheets(n_words(TOKENS), sides=2)) == pytest.approx(4_500)


def test_typing_them_takes_a_million_years():
    assert typing_years(n_words(TOKENS)) == pytest.approx(1.027e6, rel=5e-4)
    minutes = timedelta(days=365.25) / timedelta(minutes=1)
    assert typing_years(50 * minutes) == pytest.approx(1)


def test_flops_of_llama_3():
    assert pytest.approx(3.888e25) == SIX_N_D
    assert training_flops(LLAMA3_PARAMS, LLAMA3_TOKENS) == pytest.approx(3.791e25, rel=2e-4)
    assert f"{SIX_N_D:.1e}" == f"{SLIDE_FLOPS:.1e}"
    assert f"{training_flops(LLAMA3_PARAMS, LLAMA3_TOKENS):.1e}" == f"{LLAMA3_REPORTED_FLOPS:.1e}"


@pytest.mark.parametrize(("flops", "percent"), [(SIX_N_D, 51.7), (SLIDE_FLOPS, 51.8)])
def test_880_000_days_hide_a_utilization(flops, percent):
    assert 100 * utilization(flops, gpu_days=SLIDE_GPU_DAYS) == pytest.approx(percent, abs=0.05)


def test_the_days_of_the_slide_are_513_teraflops_and_42_million_dollars():
    assert sustained_flops(SLIDE_FLOPS, days=SLIDE_GPU_DAYS) == pytest.approx(513e12, rel=1e-3)
    assert rental_usd(SLIDE_GPU_DAYS) == pytest.approx(42.2e6, rel=2e-3)
    assert rental_usd(gpu_days(SIX_N_D, utilization=0.5)) == pytest.approx(43.7e6, rel=2e-3)


@pytest.mark.parametrize(
    ("flops", "percent"), [(training_flops(LLAMA3_PARAMS, LLAMA3_TOKENS), 34.5), (LLAMA3_REPORTED_FLOPS, 34.6)]
)
def test_the_gpu_hours_that_meta_reports_hide_another(flops, percent):
    assert 100 * utilization(flops, gpu_days=LLAMA3_GPU_HOURS / 24) == pytest.approx(percent, abs=0.05)
    assert rental_usd(LLAMA3_GPU_HOURS / 24) == pytest.approx(61.7e6, rel=1e-3)


@pytest.mark.parametrize(("tokens", "teraflops"), [(16e12, 1.90), (LLAMA3_TOKENS, 1.85)])
def test_650_000_years_on_a_laptop_hide_its_speed(tokens, teraflops):
    flops = training_flops(LLAMA3_PARAMS, tokens)
    assert sustained_flops(flops, days=650_000 * 365.25) == pytest.approx(teraflops * 1e12, rel=3e-3)


def test_the_peak_is_the_dense_one():
    assert pytest.approx(989.5e12) == H100_DENSE


# ---------------------------------------------------------------- both ways


def test_solving_for_the_assumption_undoes_the_sum():
    rng = random.Random(3)
    for _ in range(50):
        flops, share, peak = 10 ** rng.uniform(18, 27), rng.uniform(0.01, 1), 10 ** rng.uniform(12, 16)
        days = gpu_days(flops, peak_flops=peak, utilization=share)
        assert utilization(flops, gpu_days=days, peak_flops=peak) == pytest.approx(share)
        assert days * 86_400 * share * peak == pytest.approx(flops)
        assert wall_clock_days(days, n_gpus=16_384) * 16_384 == pytest.approx(days)
        units = 10 ** rng.uniform(3, 14)
        assert bytes_per_unit(text_bytes(units, bytes_per_unit=share), n_units=units) == pytest.approx(share)


def test_doubling_an_assumption_doubles_or_halves_its_figure():
    assert n_sheets(1e6, words_per_page=600) == n_sheets(1e6) / 2
    assert stack_km(1e6, mm_per_sheet=0.2) == 2 * stack_km(1e6)
    assert typing_years(1e6, words_per_minute=100) == typing_years(1e6) / 2
    assert rental_usd(10, usd_per_gpu_hour=4) == 2 * rental_usd(10)
    assert training_flops(2, 3) == 36


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "36"])
def test_what_is_no_quantity_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"n_tokens must be a positive, finite number"):
        n_words(value)
    with pytest.raises(ValueError, match=r"utilization"):
        gpu_days(1e20, utilization=value)


def test_more_than_the_peak_and_three_sides_are_refused():
    with pytest.raises(ValueError, match=r"write 50 % as 0.5"):
        gpu_days(1e20, utilization=50)
    with pytest.raises(ValueError, match="sides=1 or sides=2"):
        n_sheets(100, sides=3)
