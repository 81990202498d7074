"""FlopsCount: what it says against products written down by hand; the limit that the lecture's formula is."""

from __future__ import annotations

import pytest

import lmlab as lab
from lmlab.widgets.flops_count import FlopsCount


def excess(model: lab.TextModel, T: int) -> float:
    """How much a step costs above 6 N D, from shapes alone: attention between positions, less what is no matrix."""
    c = model.model.config
    vectors = sum(p.numel() for p in model.model.parameters() if p.dim() == 1)
    return (12 * c.n_layers * c.d_model * T**2 - 6 * T * vectors) / (6 * c.n_params * T)


def test_the_live_model_is_counted(random_model):
    w = FlopsCount(random_model, length=64)
    assert w.shown.width == random_model.model.config.d_model == 128
    assert w.shown.ratio == pytest.approx(1 + excess(random_model, 64))
    rows = {part: n for part, n, _ in w.shown.rows}
    assert rows["6·N·D"] == 6 * sum(p.numel() for p in random_model.model.parameters()) * 64
    assert rows["counted"] == sum(n for part, n in rows.items() if part not in ("counted", "6·N·D"))
    assert rows["attention T·S"] == 12 * 4 * 128 * 64**2
    assert f"{w.shown.ratio:.3f} times" in w.sentence
    assert "backward 2.00 times that" in "".join(text for _, text in w.shown.foot)
    assert len(repr(w)) <= 110


def test_the_ratio_falls_to_one_with_width_and_rises_with_positions(random_model):
    w = FlopsCount(random_model, length=128)
    w.clicked("sweep")
    w.wait()
    ratios = {width: ratio for width, T, ratio in w.shown.dots if T == 128}
    assert list(ratios) == [32, 64, 128, 256, 512, 1024]
    assert list(ratios.values()) == sorted(ratios.values(), reverse=True)
    assert 1 < ratios[1024] < 1.03
    before = w.shown.ratio
    w.length = 512
    w.wait()
    assert w.shown.ratio > before
    assert (128, 512) in [(width, T) for width, T, _ in w.shown.dots]


def test_a_step_without_numbers_is_counted_as_one_with_them(random_model, monkeypatch):
    counted = FlopsCount(random_model, width=64).count(64, 40)
    monkeypatch.setattr("lmlab.widgets.flops_count.AT_MOST", 0)
    w = FlopsCount(random_model, width=64, length=40)
    assert w.count(64, 40) == counted
    assert "without numbers" in "".join(text for _, text in w.shown.foot)


def test_reset_forgets_the_dots(random_model):
    w = FlopsCount(random_model, length=16)
    w.width = 64
    w.wait()
    assert len(w.shown.dots) == 2
    w.reset()
    w.wait()
    assert [dot[:2] for dot in w.shown.dots] == [(128, 16)]


def test_what_it_cannot_count_is_refused_in_a_sentence(random_model, trigram):
    with pytest.raises(ValueError, match="FlopsCount needs a transformer"):
        FlopsCount(trigram)
    w = FlopsCount(random_model)
    w.width = 100
    with pytest.raises(ValueError, match="a multiple of the heads' width, 32, not 100"):
        w.wait()
