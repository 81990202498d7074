"""The arithmetic of scale: from tokens to words, bytes, paper and years; from FLOPs to days and dollars.

Lecture: "how big is big?". Every figure of a slide is a product of two or three numbers, and one of them is often an
assumption that the slide does not name. Here each assumption is a keyword argument with its unit and its source; the
defaults are the lecture's. Nothing is rounded: that is for whoever shows it.
"""

from __future__ import annotations

import math

TRILLION = 1e12
MINUTES_A_YEAR = 365.25 * 24 * 60  # Julian years, as astronomers count them
SECONDS_A_DAY = 86_400.0

# Distances to hold a stack of paper against, in km.
STATION_KM = 400.0  # the International Space Station's height above ground; NASA: 370 to 460 km
EARTH_RADIUS_KM = 6_371.0  # mean radius; IUGG

# An H100 SXM's bf16 peak in FLOP/s. NVIDIA's data sheet prints 1,979 TFLOP/s "with sparsity", which skips half of
# all multiplications in matrices that are zero in two of every four places; ours are not, and get half of it.
H100_SPARSE = 1_979e12
H100_DENSE = H100_SPARSE / 2

LLAMA3_PARAMS = 405e9  # Llama 3.1 405B; Grattafiori et al. 2024, arXiv 2407.21783
LLAMA3_TOKENS = 15.6e12  # the same report; the lecture rounds to 16e12
LLAMA3_REPORTED_FLOPS = 3.8e25  # the same report, section 3.2
LLAMA3_GPU_HOURS = 30.84e6  # H100-hours of the 405B model; Meta's model card of Llama 3.1
SLIDE_FLOPS = 3.9e25  # the lecture's rounded 6 * 405e9 * 16e12
SLIDE_GPU_DAYS = 880_000.0  # the lecture's days on one H100


# ---------------------------------------------------------------- text


def n_words(n_tokens: float, *, words_per_token: float = 0.75) -> float:
    """Words in that many tokens.

    `words_per_token`: 0.75 is a rule of thumb for English (OpenAI's help pages); DCLM-baseline's own counts give 0.876.
    """
    return _positive("n_tokens", n_tokens) * _positive("words_per_token", words_per_token)


def text_bytes(n_units: float, *, bytes_per_unit: float = 4.0) -> float:
    """Bytes of text in that many units: give tokens with bytes per token, or words with bytes per word.

    `bytes_per_unit`: 4 is the lecture's; DCLM-baseline measures 4.33 bytes per token.
    """
    return _positive("n_units", n_units) * _positive("bytes_per_unit", bytes_per_unit)


def n_sheets(n_words: float, *, words_per_page: float = 300.0, sides: int = 1) -> float:
    """Sheets of paper that hold that many words.

    `words_per_page`: 300 is a typed page, double-spaced. `sides`: 1 or 2 printed sides of a sheet.
    """
    if sides not in (1, 2):
        raise ValueError(f"A sheet has sides=1 or sides=2 to print on, not {sides!r}.")
    return _positive("n_words", n_words) / (_positive("words_per_page", words_per_page) * sides)


def stack_km(n_sheets: float, *, mm_per_sheet: float = 0.1) -> float:
    """Height in km of a stack of sheets. `mm_per_sheet`: 0.1 is ordinary paper of 80 g a square meter (0.10 mm)."""
    return _positive("n_sheets", n_sheets) * _positive("mm_per_sheet", mm_per_sheet) / 1e6


def typing_years(n_words: float, *, words_per_minute: float = 50.0) -> float:
    """Years to type that many words without a pause, day and night. `words_per_minute`: 50 is a practiced typist."""
    return _positive("n_words", n_words) / _positive("words_per_minute", words_per_minute) / MINUTES_A_YEAR


# ---------------------------------------------------------------- training


def training_flops(n_params: float, n_tokens: float, *, flops_per_param: float = 6.0) -> float:
    """C, the floating-point operations of one pass over the tokens: 6 * N * D.

    `flops_per_param`: for each weight and token a multiplication and an addition forward, and twice that backward
    (for the gradient of the input and of the weight). Attention between positions is left out; see `counted_flops`
    for what it adds. Source: Kaplan et al. 2020, arXiv 2001.08361, section 2.1.
    """
    flops = _positive("flops_per_param", flops_per_param)
    return flops * _positive("n_params", n_params) * _positive("n_tokens", n_tokens)


def gpu_days(flops: float, *, peak_flops: float = H100_DENSE, utilization: float = 0.5) -> float:
    """Days that one device needs for that many operations.

    `peak_flops`: FLOP/s on its data sheet (989.5e12: H100 SXM, bf16, dense). `utilization`: the share of the peak that
    a run really gets; Llama 3 reports 0.38 to 0.43 (arXiv 2407.21783, table 4), while it runs.
    """
    sustained = _positive("peak_flops", peak_flops) * _share("utilization", utilization)
    return _positive("flops", flops) / sustained / SECONDS_A_DAY


def wall_clock_days(gpu_days: float, *, n_gpus: float = 1) -> float:
    """Days on the calendar where `n_gpus` devices share the work evenly and never wait for each other."""
    return _positive("gpu_days", gpu_days) / _positive("n_gpus", n_gpus)


def rental_usd(gpu_days: float, *, usd_per_gpu_hour: float = 2.0) -> float:
    """Dollars for that many device-days, by the hour. `usd_per_gpu_hour`: 2 is the lecture's price of an H100."""
    return _positive("gpu_days", gpu_days) * 24 * _positive("usd_per_gpu_hour", usd_per_gpu_hour)


# ---------------------------------------------------------------- the same, solved for the assumption


def utilization(flops: float, *, gpu_days: float, peak_flops: float = H100_DENSE) -> float:
    """The share of the peak at which that many operations take that many device-days: `gpu_days` solved for it.

    Above 1 no device can do it: the days are too few for the peak.
    """
    return sustained_flops(flops, days=gpu_days) / _positive("peak_flops", peak_flops)


def sustained_flops(flops: float, *, days: float) -> float:
    """FLOP/s that do that many operations in that many days: what an unnamed laptop must have had."""
    return _positive("flops", flops) / (_positive("days", days) * SECONDS_A_DAY)


def bytes_per_unit(n_bytes: float, *, n_units: float) -> float:
    """Bytes that each token or word must have taken: `text_bytes` solved for its assumption."""
    return _positive("n_bytes", n_bytes) / _positive("n_units", n_units)


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive, finite number, not {value!r}.")
    return float(value)


def _share(name: str, value: float) -> float:
    if _positive(name, value) > 1:
        raise ValueError(f"{name} is a share of the peak, between 0 and 1, not {value!r}: write 50 % as 0.5.")
    return float(value)
