"""The curve of bits against loss: each point against the same quantity by another road, and what the kept ones say."""

from __future__ import annotations

import itertools
import json
import math
import random

import gguf
import pytest
import torch
from safetensors.torch import save

import lmlab as lab
from lmlab.models.linear import QuantizedLinear, quantize_model
from lmlab.quantization import METHODS
from lmlab.training.held_out_loss import HeldOut, held_out
from lmlab.training.quantization_study import (
    BLOCK_BITS,
    QUICK_SETTINGS,
    SETTINGS,
    QuantizationPoint,
    Setting,
    fits,
    kept_curve,
    quantization_curve,
    study_text,
)

DOCUMENT = "the stock market crashed and investors panicked ."


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


def small(D: int = 64) -> lab.TextModel:
    """A model of random weights over the town's tokens."""
    tok = lab.load("town").tokenizer
    config = lab.TransformerConfig.tiny(vocab_size=tok.vocab_size, d_model=D, n_layers=2, d_ff=96)
    return lab.TextModel(lab.Transformer(config, seed=3), tok, name="small")


def loss_by_score(model: lab.TextModel, documents: list[str]) -> float:
    """Nats a token over BOS, document and EOS, one document after the other, from the student's own handle."""
    total, n = 0.0, 0
    for document in documents:
        ids = [*model.tokenizer.encode(document), model.tokenizer.bos_id]
        log_probs = model.model.log_probs(torch.tensor([[model.tokenizer.bos_id, *ids[:-1]]]))[0]
        total -= float(log_probs[torch.arange(len(ids)), ids].double().sum())
        n += len(ids)
    return total / n


@pytest.mark.parametrize("seed", range(4))
def test_a_point_is_what_a_model_of_packed_weights_has(seed: int):
    """Loss by layers that compute from codes, bytes by what such a model writes into a file."""
    rng = random.Random(seed)
    documents = lab.Town().sample(5, seed=seed)
    setting = rng.choice([s for s in SETTINGS if s.method not in BLOCK_BITS])
    model = small()
    dense, point = quantization_curve(model, documents, settings=[setting])
    packed = quantize_model(model.model, setting.bits, setting.method, setting.group_size)
    assert point.loss == pytest.approx(loss_by_score(lab.TextModel(packed, model.tokenizer), documents), abs=1e-4)
    assert dense.loss == pytest.approx(loss_by_score(model, documents), abs=1e-4)
    assert (dense.method, dense.error, dense.bits_per_weight) == ("unquantized", 0, 32)
    layers = {name: layer for name, layer in packed.named_modules() if isinstance(layer, QuantizedLinear)}
    stored = {f"{n}.{key}": t for n, layer in layers.items() for key, t in layer.state_dict().items()}
    assert sum(t.untyped_storage().nbytes() for t in stored.values()) == point.n_bytes
    assert 0 < len(save(stored)) - point.n_bytes < 300 * len(stored)  # the file's header
    n_weights = sum(layer.in_features * layer.out_features for layer in layers.values())
    assert point.bits_per_weight == pytest.approx(8 * point.n_bytes / n_weights)
    assert dense.n_bytes == 4 * n_weights
    difference = energy = 0.0
    for name, layer in layers.items():
        weight = model.model.get_submodule(name).weight.detach().double()
        difference += float((layer.quantized.dequantize() - weight).square().sum())
        energy += float(weight.square().sum())
    assert point.error == pytest.approx(difference / energy, rel=1e-6)
    assert point.perplexity == pytest.approx(math.exp(point.loss))


@pytest.mark.parametrize("kind", BLOCK_BITS)
def test_a_point_of_blocks_is_what_the_gguf_library_makes_of_the_weights(kind: str):
    model = small()
    _, point = quantization_curve(model, [DOCUMENT], settings=[(kind, BLOCK_BITS[kind], 32)])
    qtype = gguf.GGMLQuantizationType[kind]
    difference = energy = n_bytes = 0.0
    with torch.no_grad():
        for name, weight in model.model.named_parameters():
            if weight.dim() == 2 and "embedding" not in name:
                raw = gguf.quantize(weight.numpy(), qtype)
                back = torch.from_numpy(gguf.dequantize(raw, qtype))
                difference += float((back.double() - weight).square().sum())
                energy += float(weight.double().square().sum())
                n_bytes += raw.nbytes
                weight.copy_(back)
    assert point.error == pytest.approx(difference / energy, rel=1e-5)
    assert point.n_bytes == n_bytes
    assert point.bits_per_weight == {"Q4_0": 4.5, "Q4_1": 5.0, "Q8_0": 8.5}[kind]
    assert point.loss == pytest.approx(loss_by_score(model, [DOCUMENT]), abs=1e-4)


def test_points_come_one_at_a_time_and_leave_the_model_as_it_was():
    model = small()
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    asked: list[Setting] = []

    class Counting(HeldOut):
        def loss(self, model):  # type: ignore[no-untyped-def]
            asked.append(model)
            return super().loss(model)

    text = held_out(model, [DOCUMENT])
    assert text is not None
    curve = quantization_curve(model, Counting(*vars(text).values()))
    assert asked == []
    points = list(itertools.islice(curve, 3))
    assert len(asked) == 3
    assert [p.method for p in points] == ["unquantized", "Q8_0", "Q4_1"]
    assert all(torch.equal(before[name], value) for name, value in model.model.state_dict().items())


def test_blocks_are_left_out_where_rows_are_not_whole_blocks(monkeypatch: pytest.MonkeyPatch):
    odd = small(D=56)
    four = tuple(s for s in SETTINGS if s.bits == 4 and s.group_size == 32)
    monkeypatch.setattr("lmlab.training.quantization_study.SETTINGS", four)
    methods = {p.method for p in quantization_curve(odd, [DOCUMENT], settings=None) if p.bits == 4}
    assert methods == set(METHODS)
    with pytest.raises(ValueError, match="whole blocks of 32"):
        list(quantization_curve(odd, [DOCUMENT], settings=[("Q4_0", 4, 32)]))


def test_settings_are_distinct_and_the_quick_ones_among_them():
    assert len(set(SETTINGS)) == len(SETTINGS)
    assert set(QUICK_SETTINGS) < set(SETTINGS)
    assert fits(Setting("absmax", 4, 32), [torch.zeros(3, 33)])
    assert not fits(Setting("Q4_0", 4, 32), [torch.zeros(3, 33)])


@pytest.mark.parametrize(
    ("model", "documents", "settings", "sentence"),
    [
        ("town", [DOCUMENT], None, "needs a text model, not 'town'"),
        ("counts", [DOCUMENT], None, "no weights in linear layers"),
        ("small", [], None, "no token to measure"),
        ("small", [DOCUMENT], [("magic", 4, 32)], "no method 'magic'"),
        ("small", [DOCUMENT], [("Q4_0", 8, 32)], "Q4_0 has 4 bits in blocks of 32, not 8 in 32"),
    ],
)
def test_what_has_no_curve_is_refused_in_a_sentence(model, documents, settings, sentence):
    tok = lab.load("town").tokenizer
    models = {
        "town": "town",
        "small": small(),
        "counts": lab.TextModel(lab.NGram.fit([1, 2, 3], n=2, vocab_size=tok.vocab_size), tok, name="counts"),
    }
    with pytest.raises(ValueError, match=sentence):
        list(quantization_curve(models[model], documents, settings=settings))


# ---------------------------------------------------------------- what is kept


@pytest.mark.slow
def test_kept_points_of_the_town_are_measured_again(town):
    kept = kept_curve("town")
    assert [Setting(p.method, p.bits, p.group_size) for p in kept.points[1:]] == list(SETTINGS)
    text = study_text(town)
    assert kept.source == text.source
    assert kept.floor == pytest.approx(text.floor)
    some = random.sample(kept.points[1:], 3)
    settings = [(p.method, p.bits, p.group_size) for p in some]
    for mine, theirs in zip(quantization_curve(town, text, settings=settings), [kept.points[0], *some], strict=True):
        same(mine, theirs)


def same(mine: QuantizationPoint, theirs: QuantizationPoint) -> None:
    assert (mine.method, mine.bits, mine.group_size) == (theirs.method, theirs.bits, theirs.group_size)
    assert mine.n_bytes == theirs.n_bytes
    assert mine.bits_per_weight == pytest.approx(theirs.bits_per_weight, abs=1e-4)
    assert mine.error == pytest.approx(theirs.error, rel=2e-3)
    assert mine.loss == pytest.approx(theirs.loss, abs=2e-3 * max(1, theirs.loss))


@pytest.mark.parametrize("name", ["town", "smollm2"])
def test_what_the_kept_curves_teach(name: str):
    kept = kept_curve(name)
    at = {(p.method, p.bits, p.group_size): p for p in kept.points}
    dense = kept.points[0].loss
    assert at["absmax", 8, 32].loss - dense < 0.01  # eight bits cost nothing
    assert at["absmax", 2, None].loss - dense > 3  # two bits from end to end, everything
    assert at["mse", 4, 32].loss < at["mse", 3, 32].loss < at["mse", 2, 32].loss
    groups = [at["absmax", 4, g].loss for g in (32, "row", None)]
    assert groups == sorted(groups)  # the smaller the groups, the better
    pairs = itertools.permutations(kept.points[1:], 2)
    assert any(a.error < 0.9 * b.error and a.loss > b.loss + 0.01 for a, b in pairs)  # less error, more loss


def test_storing_smollm2_as_its_file_does_loses_nothing():
    """Its file has 4-bit blocks with a minimum: an error of (almost) zero, as the readme of the points says."""
    at = {(p.method, p.bits, p.group_size): p for p in kept_curve("smollm2").points}
    assert at["Q4_1", 4, 32].error < 1e-4
    assert at["Q4_0", 4, 32].error > 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("smollm2_by_name")
def test_kept_points_of_smollm2_are_measured_again():
    model = lab.load("smollm2")
    kept = kept_curve("smollm2")
    text = study_text(model)
    assert text.source == kept.source
    some = random.choice(kept.points[1:])
    points = quantization_curve(model, text, settings=[(some.method, some.bits, some.group_size)])
    for mine, theirs in zip(points, [kept.points[0], some], strict=True):
        same(mine, theirs)


@pytest.mark.parametrize("name", ["llama", "exact_inputs"])
def test_a_model_that_was_not_measured_is_named(name: str):
    with pytest.raises(FileNotFoundError, match=r"curves holds smollm2\.json, town\.json"):
        kept_curve(name)


def test_kept_files_are_small_and_say_what_they_hold():
    for name in ("town", "smollm2"):
        path = lab.asset(f"quantization/curves/{name}.json")
        assert path.stat().st_size < 10_000
        names = list(QuantizationPoint.__dataclass_fields__)
        assert json.loads(path.read_text(encoding="utf-8"))["columns"] == names
