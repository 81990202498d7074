"""MemoryBudget: the figures against plain arithmetic on random settings, and a live model's against a measured step."""

from __future__ import annotations

import math
import random

import pytest
import torch
import traitlets

import lmlab as lab
from lmlab.devices import GPUS
from lmlab.systems.published import PUBLISHED
from lmlab.widgets._style import n_bytes
from lmlab.widgets.memory_budget import SCALES, MemoryBudget


def figures(w: MemoryBudget) -> dict[str, float]:
    return {figure.name: figure.value for figure in w.shown.results}


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


def test_the_lecture_s_figures_are_its_first_picture():
    w = MemoryBudget()
    assert figures(w) == {
        "total": 1.12e12, "gpus": 14, "weights": 140e9, "gradients": 140e9, "master": 280e9, "moments": 560e9,
    }  # fmt: skip
    assert "1.12\u202fTB: at least 14 H100s, before any activation" in repr(w)
    assert (1.12e12, "the slide: 1.12 TB", "target") in w.shown.ruler.marks
    w.use = "inference"
    assert figures(w) == {"total": 140e9, "gpus": 2, "weights": 140e9}


def test_random_numbers_of_weights_against_plain_arithmetic():
    rng = random.Random()
    for _ in range(20):
        n, bits, gpu = rng.uniform(0.01, 1900), rng.randint(1, 32), rng.choice(list(GPUS))
        a_weight = rng.choice([("mixed", 16), ("fp32", 16), ("8-bit moments", 10 + 8 / 2048)])
        w = MemoryBudget(billion_params=n, weight_bits=bits, gpu=gpu, precision=a_weight[0])
        total = n * 1e9 * a_weight[1]
        assert figures(w)["total"] == pytest.approx(total)
        assert figures(w)["gpus"] == math.ceil(round(total) / GPUS[gpu].n_bytes)
        w.use = "inference"
        assert figures(w)["total"] == pytest.approx(n * 1e9 * bits / 8)


def test_a_published_shape_brings_its_cache_and_its_activations():
    w = MemoryBudget(of="Llama 3 70B", use="inference", texts=5, tokens=1000)
    assert figures(w)["cache"] == 5 * 1000 * 327_680
    assert w.billion_params == 70.55
    w.use = "training"
    assert figures(w)["gradients"] == 2 * 70_553_706_496
    kept = figures(w)["activations"]
    w.texts = 10
    assert figures(w)["activations"] == pytest.approx(2 * kept, rel=1e-3)
    w.checkpointing = "recompute"
    assert figures(w)["activations"] < kept / 2


def test_a_context_ends_where_the_model_s_does():
    w = MemoryBudget(of="GPT-3 175B", use="inference", tokens=8000)
    assert figures(w)["cache"] == 2 * 96 * 12_288 * 2048 * 2
    assert w.shown.labels["tokens:unit"] == "of 2,048"


def test_turning_the_number_leaves_the_shape_and_choosing_a_shape_sets_the_number():
    w = MemoryBudget(of="Llama 3 8B")
    w.billion_params = 9.0
    assert (w.of, figures(w)["weights"]) == ("a number of weights", 18e9)
    w.of = "SmolLM2 135M"
    assert w.billion_params == 0.1345
    w.reset()
    assert (w.of, w.billion_params) == ("Llama 3 8B", 8.03)


def test_a_live_model_is_measured_beside_its_prediction(town):
    rng = random.Random()
    w = MemoryBudget(town, texts=rng.randint(1, 8), tokens=rng.randint(8, 64))
    assert not any(kind == "target" for _, _, kind in w.shown.ruler.marks)
    w.measure_step()
    for part in ("total", "weights", "gradients", "moments", "activations", "peak"):
        w.quantity = part
        measured = [value for value, label, kind in w.shown.ruler.marks if kind == "target" and "measured" in label]
        assert measured == pytest.approx([figures(w)[part]], rel=0.05), part
        assert "measured: the same." in w.sentence or "what was measured." in w.sentence
    total = sum(weight.numel() for weight in town.model.parameters())
    assert figures(w)["moments"] == 8 * total
    w.texts = w.texts + 1  # what was measured was another step
    assert not any(kind == "target" for _, _, kind in w.shown.ruler.marks)
    assert all(weight.grad is None for weight in town.model.parameters())


def test_what_cannot_be_is_said_in_a_sentence(town):
    with pytest.raises(ValueError, match="no live model"):
        MemoryBudget().measure_step()
    with pytest.raises(ValueError, match="turn texts or tokens down"):
        MemoryBudget(town, texts=1000, tokens=200).measure_step()
    with pytest.raises(TypeError, match="TextModel of a Transformer"):
        MemoryBudget(torch.nn.Linear(2, 2))
    with pytest.raises(traitlets.TraitError, match="choose one of"):
        MemoryBudget(of="Llama 4")
    w = MemoryBudget(billion_params=2000.0, gpu="T4")
    assert figures(w)["gpus"] == 2000  # 2 trillion weights of 16 bytes on 16 GB each, and nothing was allocated


def read(text: str) -> float:
    """Bytes as a person reads them."""
    value, unit = text.replace(",", "").split("\u202f")
    return float(value) * {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}[unit]


def test_the_sum_that_is_shown_never_contradicts_the_gpus():
    w = MemoryBudget(billion_params=70.0001)
    assert (
        "70.0001 billion weights takes 1.12\u202fTB: at least 15 H100s, the last for 1.60\u202fMB, before" in w.sentence
    )
    rng = random.Random()
    for _ in range(60):
        w.gpu = rng.choice(list(GPUS))
        room = GPUS[w.gpu].n_bytes
        full = rng.randint(1, 25_000_000_000 * 64 // room)
        w.billion_params = min(2000.0, full * room / 16e9 * (1 + rng.choice((0, 10 ** rng.uniform(-6, -1)))))
        total, gpus = (next(f for f in w.shown.results if f.name == name) for name in ("total", "gpus"))
        others = (gpus.value - 1) * room
        assert others < total.value <= others + room
        if read(total.shown) > others * (1 + 1e-9):  # what one reads needs that many
            continue
        left = total.value - others
        assert f", the last for {n_bytes(left)}, before" in w.sentence
        assert gpus.how.endswith("the last is full" if left == room else f"in the last, {n_bytes(left)}")


def test_the_boxes_hold_every_byte_in_order_and_only_the_last_has_room():
    rng = random.Random()
    seen = 0
    for _ in range(40):
        w = MemoryBudget(
            of=rng.choice(list(PUBLISHED)), use=rng.choice(("training", "inference")), gpu=rng.choice(list(GPUS)),
            texts=rng.randint(1, 1024), tokens=rng.randint(1, 2048), quantity=rng.choice(("total", "gpus")),
        )  # fmt: skip
        use = {f.name: f.value for f in w.shown.results if f.name not in ("total", "gpus", "peak")}
        boxes, room = w.shown.boxes, GPUS[w.gpu].n_bytes
        if boxes is None:
            assert sum(use.values()) < room / 50
            continue
        seen += 1
        assert [part.name for part in boxes.parts] == list(use)
        assert [part.start for part in boxes.parts[1:]] == [part.end for part in boxes.parts[:-1]]
        for part in boxes.parts:
            assert (part.end - part.start) * boxes.each * room == pytest.approx(use[part.name], rel=1e-6)
        assert boxes.n <= 200
        assert boxes.n == math.ceil(figures(w)["gpus"] / boxes.each)
        assert boxes.n - 1 < boxes.parts[-1].end <= boxes.n
        free = (boxes.n - boxes.parts[-1].end) * boxes.each * room
        assert read(boxes.free.removesuffix(" free")) == pytest.approx(free, rel=6e-3, abs=1e3)
        w.quantity = "weights"
        assert w.shown.boxes is None
    assert seen > 10


def test_the_lecture_s_sum_fills_fourteen_boxes_to_the_last_byte():
    boxes = MemoryBudget().shown.boxes
    assert (boxes.title, boxes.note, boxes.free) == ("14 H100s of 80 GB", "a box each", "")
    assert [(part.name, part.start, part.end) for part in boxes.parts] == [
        ("weights", 0, 1.75), ("gradients", 1.75, 3.5), ("master", 3.5, 7), ("moments", 7, 14),
    ]  # fmt: skip


def test_what_changes_nothing_idles():
    w = MemoryBudget()
    turned = {"texts": 9.0, "tokens": 77.0, "weight_bits": 3.0, "precision": "fp32", "checkpointing": "recompute"}
    for of, use in ((of, use) for of in ("a number of weights", "Llama 3 8B") for use in ("training", "inference")):
        w.of, w.use = of, use
        used = {name for figure in w.shown.results for name in figure.uses}
        idle = {*w.shown.idle, *(name for name in w.dials if name not in used)}
        for name, value in turned.items():
            before, was = [(f.value, f.how) for f in w.shown.results], getattr(w, name)
            setattr(w, name, value)
            assert ([(f.value, f.how) for f in w.shown.results] == before) == (name in idle), (of, use, name)
            setattr(w, name, was)


@pytest.mark.parametrize("quantity", SCALES)
def test_each_figure_has_its_ruler_and_each_sentence_fits(quantity):
    for name in PUBLISHED:
        w = MemoryBudget(of=name, quantity=quantity)
        assert len(repr(w)) <= 110
        assert w.shown.quantity in (quantity, "total")  # a use that has no such part shows the sum
