"""BitsVersusLoss: its points are what a model quantized by hand costs; its sentence is arithmetic on them."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
import torch.nn.functional as F

import lmlab as lab
from lmlab.assets import asset
from lmlab.training.quantization_study import QuantizationPoint, kept_curve
from lmlab.widgets import BitsVersusLoss
from lmlab.widgets._bits_figure import LEAST_EXTRA, SHOW
from lmlab.widgets.bits_versus_loss import GROUPS, bits_view, crossed_pair, fewest_bits
from tests.widgets.test_induction_heads import without_themed_colors

SAID = "the baker sold the goose. investors panicked."
WAYS = [("absmax", 3, "row"), ("minmax", 2, "row"), ("Q8_0", 8, 32)]
FULL = QuantizationPoint("unquantized", 32, None, 32.0, 0.0, 1.0, 4000)


def point(method: str, bits: float, error: float, loss: float, group: object = 32) -> QuantizationPoint:
    return QuantizationPoint(method, math.floor(bits), group, bits, error, loss, 100)  # type: ignore[arg-type]


def drawn(w: BitsVersusLoss, name: str) -> list[tuple[float, float]]:
    trace = next(t for t in w.shown.figure["data"] if t.get("name") == name)
    return list(zip(trace["x"], trace["y"], strict=True))


@pytest.fixture(scope="module")
def measured(random_model: lab.TextModel) -> BitsVersusLoss:
    return BitsVersusLoss(random_model, text=SAID, settings=WAYS, group="row").measure().wait()


def test_a_point_is_what_absmax_by_numpy_costs(random_model: lab.TextModel, measured: BitsVersusLoss) -> None:
    other, error, energy, n_rows, n = copy.deepcopy(random_model.model), 0.0, 0.0, 0, 0
    for name, layer in other.named_modules():
        if not isinstance(layer, torch.nn.Linear) or "blocks." not in name:
            continue
        w = layer.weight.detach().double().numpy()
        scale = (np.abs(w).max(1, keepdims=True) / 3.5).astype(np.float16).astype(float)  # 8 levels from -3.5 to 3.5
        rounded = (np.clip(np.round(w / scale + 3.5), 0, 7) - 3.5) * scale
        error, energy, n_rows, n = (
            error + ((w - rounded) ** 2).sum(),
            energy + (w**2).sum(),
            n_rows + len(w),
            n + w.size,
        )
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(rounded))
    ids = torch.tensor(
        [random_model.tokenizer.bos_id, *random_model.tokenizer.encode(SAID), random_model.tokenizer.bos_id]
    )
    with torch.no_grad():
        loss = float(F.cross_entropy(other(ids[None, :-1])[0], ids[1:]))
    measured.show = "perplexity"
    ((bits, perplexity),) = drawn(measured, "absmax")
    assert bits == pytest.approx(3 + 16 * n_rows / n, rel=1e-6)
    assert math.log(perplexity) == pytest.approx(loss, abs=1e-3)
    measured.show = "error"
    assert drawn(measured, "absmax")[0][1] == pytest.approx(error / energy, rel=1e-3)
    measured.show = "both"
    assert drawn(measured, "absmax")[0][0] == pytest.approx(error / energy, rel=1e-3)


def test_what_was_measured_is_drawn_once_and_said(measured: BitsVersusLoss) -> None:
    measured.show = "perplexity"
    assert len(measured.points) == 3
    assert len(drawn(measured, "GGUF blocks")) == len(drawn(measured, "min-max")) == 1
    assert "; 3 measured here." in repr(measured)
    assert len(repr(measured)) <= 110
    before = measured.points
    measured.measure().wait()
    assert measured.points == before, "the same weights, the same text, the same loss"


def test_the_fewest_bits_are_those_of_the_least_of_all_that_are_near_enough() -> None:
    rng = np.random.default_rng()
    points = [
        point("absmax", b, 0.1, 1 + x) for b, x in zip(rng.uniform(2, 8, 30), rng.uniform(0, 0.3, 30), strict=True)
    ]
    for within in (0.5, 5.0, 20.0):
        near = [p for p in points if math.exp(p.loss) / math.exp(1) - 1 <= within / 100]
        best = fewest_bits(points, FULL, within)
        assert best == (min(near, key=lambda p: p.bits_per_weight) if near else None)
    assert fewest_bits([], FULL, 30) is None


def test_a_crossed_pair_has_less_error_and_more_loss() -> None:
    rng = np.random.default_rng()
    points = [
        point("mse", 3, e, 1 + x) for e, x in zip(rng.uniform(0.01, 1, 12), rng.uniform(0.05, 2, 12), strict=True)
    ]
    found = crossed_pair(points, FULL)
    gaps = {
        (a, b): min(b.error / a.error, (a.loss - 1) / (b.loss - 1))
        for a, b in itertools.permutations(points, 2)
        if b.error > 1.05 * a.error and a.loss - b.loss > 0.03 and (a.loss - 1) / (b.loss - 1) > 1.05
    }
    assert found == (max(gaps, key=lambda pair: gaps[pair]) if gaps else None)
    ordered = [point("mse", 3, e, 1 + e) for e in (0.1, 0.2, 0.4)]
    assert crossed_pair(ordered, FULL) is None
    told = bits_view(
        [point("kmeans", 2, 0.134, 1.331, None), point("minmax", 3, 0.161, 1.234)], FULL, name="m", source="s",
        floor=None, n_weights=10, group="32", show="both", within=1,
    )  # fmt: skip
    said = "".join(text for _, text in told.readout)
    assert said.startswith("Less error, more loss: k-means, 2 bits, whole tensors errs by 0.134 and costs 0.331 nats; ")


@pytest.mark.parametrize("show", SHOW)
@pytest.mark.parametrize("n", [0, 1, 9])
def test_every_picture_is_one_that_plotly_accepts(show: str, n: int) -> None:
    methods = ["absmax", "minmax", "mse", "kmeans", "nf4", "Q4_0", "Q4_1", "Q8_0", "absmax"][:n]
    points = [point(m, 3 + i / 4, 0.3**i, 1 + 0.3**i) for i, m in enumerate(methods)]
    view = bits_view(
        points, FULL if n else None, name="<b>", source="a text", floor=0.7, n_weights=10, group="32", show=show,
        within=1,
    )  # fmt: skip
    go.Figure(without_themed_colors(view.figure))  # raises for a property that does not exist
    assert all(math.isfinite(y) for t in view.figure["data"] for y in t["y"] if y is not None)
    if show == "extra" and n:
        assert min(t["y"][0] for t in view.figure["data"] if t["y"] and t["y"][0]) >= LEAST_EXTRA


def test_before_anything_is_measured_it_says_what_to_do(random_model: lab.TextModel) -> None:
    w = BitsVersusLoss(random_model, text=SAID)
    assert "Nothing is measured yet" in w.sentence
    w.within = 7.0
    assert "7\u202f%" in w.sentence


def test_stored_points_are_shown_of_the_model_that_they_are_of_and_no_other(random_model: lab.TextModel) -> None:
    kept = kept_curve("town")
    w = BitsVersusLoss(lab.load("town"))
    assert w.points == [p for p in kept.points if p.method != "unquantized"]
    assert f"0 measured here, {len(kept.points) - 1} before" in "".join(text for _, text in w.shown.foot)
    assert not BitsVersusLoss(lab.TextModel(random_model.model, random_model.tokenizer, name="town")).points


@pytest.mark.parametrize("name", sorted(path.stem for path in asset("quantization/curves").glob("*.json")))
def test_stored_points_alone_need_no_model(name: str) -> None:
    kept = kept_curve(name)
    full, *points = kept.points
    w = BitsVersusLoss(name, within=5)
    near = [p.bits_per_weight for p in points if p.loss - full.loss <= math.log(1.05)]
    assert f"{min(near):.2f} bits a weight" in w.sentence
    assert f"{min(near):.2f} bits a weight" in repr(w)
    assert len(repr(w)) <= 110
    for group, size in GROUPS.items():
        w.group = group
        shown = [(p.bits_per_weight, p.perplexity) for p in points if p.method == "absmax" and p.group_size == size]
        assert sorted(drawn(w, "absmax")) == sorted(shown)
    with pytest.raises(ValueError, match="these are stored points: open the model"):
        w.measure()


def test_what_has_no_layers_or_no_text_is_refused(random_model: lab.TextModel, trigram: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="no weights in linear layers"):
        BitsVersusLoss(trigram)
    with pytest.raises(ValueError, match="no token to measure"):
        BitsVersusLoss(random_model, text=[])
    with pytest.raises(FileNotFoundError, match="no asset"):
        BitsVersusLoss("otter")


def test_reset_forgets_what_was_measured(random_model: lab.TextModel) -> None:
    w = BitsVersusLoss(random_model, text=SAID, settings=WAYS[:1]).measure().wait()
    assert len(w.points) == 1
    w.reset()
    assert not w.points
