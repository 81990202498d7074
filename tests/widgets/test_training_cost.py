"""TrainingCost: the figures against plain arithmetic on random runs; the hidden utilizations are found by search."""

from __future__ import annotations

import random

import pytest

from lmlab.widgets.training_cost import AIMS, SCALES, TrainingCost


def figures(w: TrainingCost) -> dict[str, float]:
    return {figure.name: figure.value for figure in w.shown.results}


def search(w: TrainingCost, quantity: str) -> float:
    """Turn the utilization, in steps of a tenth of a percent as the slider does, until the aim is nearest."""
    target = AIMS[w.aim][quantity][0]
    best = (float("inf"), 0.0)
    for tenth in range(200, 700):
        w.utilization_percent = tenth / 10
        best = min(best, (abs(figures(w)[quantity] - target), tenth / 10))
    return best[1]


@pytest.mark.parametrize(
    ("aim", "c_from", "tokens", "percent"),
    [
        ("slide", "formula", 16, 51.7),
        ("slide", "slide", 16, 51.8),
        ("meta", "formula", 15.6, 34.5),
        ("meta", "meta", 15.6, 34.6),
    ],
)
def test_the_hidden_utilization_is_found_by_turning(aim, c_from, tokens, percent):
    w = TrainingCost(aim=aim, c_from=c_from, trillion_tokens=tokens)
    assert search(w, "days") == percent
    assert search(w, "hours") == percent
    w.utilization_percent = percent
    assert "That is the slide’s 880,000 days." in w.sentence or "That is Meta’s 1.29 million days." in w.sentence


def test_every_assumption_moves_what_it_should():
    rng = random.Random(2)
    for _ in range(20):
        n, d, peak = rng.uniform(1, 1900), rng.uniform(1, 90), rng.uniform(1, 4000)
        share, price, gpus = rng.uniform(1, 99), rng.uniform(0.1, 19), rng.randint(1, 100_000)
        w = TrainingCost(
            billion_params=n, trillion_tokens=d, dense_tflops=peak, utilization_percent=share,
            usd_per_gpu_hour=price, n_gpus=gpus, peak=rng.choice(["dense", "sparse"]),
        )  # fmt: skip
        flops = 6 * n * 1e9 * d * 1e12
        seconds = flops / (peak * 1e12 * share / 100 * (2 if w.peak == "sparse" else 1))
        assert figures(w) == pytest.approx(
            {
                "flops": flops,
                "days": seconds / 86_400,
                "hours": seconds / 3_600,
                "calendar": seconds / 86_400 / gpus,
                "usd": seconds / 3_600 * price,
            }
        )
        assert ("Faster than the dense peak" in w.sentence) == (w.peak == "sparse" and share > 50.01)


def test_each_figure_names_its_c():
    w = TrainingCost()
    assert all("C = 6·N·D = 3.888×10²⁵" in f.how for f in w.shown.results if f.name != "flops")
    w.c_from = "meta"
    assert all("Meta’s C = 3.8×10²⁵" in f.how for f in w.shown.results if f.name != "flops")
    w.c_from = "slide"
    assert w.shown.results[0].label == "the slide’s C, in FLOPs"
    assert "With the slide’s C = 3.9×10²⁵ FLOPs at 50\u202f% of 989.5 TFLOP/s, one GPU needs" in w.sentence


def test_the_dollars_of_the_slide_and_of_meta():
    assert figures(TrainingCost())["usd"] == pytest.approx(43.7e6, rel=2e-3)  # a clean half of the peak
    assert figures(TrainingCost(utilization_percent=51.8, c_from="slide"))["usd"] == pytest.approx(42.2e6, rel=2e-3)
    assert AIMS["meta"]["usd"][0] == pytest.approx(61.68e6)


def test_a_laptop_of_650_000_years():
    w = TrainingCost(dense_tflops=1.9, utilization_percent=100)
    assert figures(w)["days"] / 365.25 == pytest.approx(650_000, rel=5e-3)


@pytest.mark.parametrize("quantity", SCALES)
@pytest.mark.parametrize("aim", AIMS)
def test_each_figure_has_its_ruler_and_its_sentence(quantity, aim):
    w = TrainingCost(quantity=quantity, aim=aim)
    ruler = w.shown.ruler
    assert ruler.low < ruler.value < ruler.high
    assert ruler.shown.split(" ")[0] in w.sentence
    assert bool([m for m in ruler.marks if m[2] == "target"]) == (quantity in AIMS[aim])
    assert len(repr(w)) <= 110
