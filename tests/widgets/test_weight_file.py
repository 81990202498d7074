"""WeightFile: areas, bytes, counts and losses against torch, safetensors and a model edited by hand."""

from __future__ import annotations

import copy
import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import traitlets
from safetensors import safe_open

import lmlab as lab
from lmlab.widgets._checkpoint import file_size, parts_of, window
from lmlab.widgets._treemap import grouped, squarified
from lmlab.widgets.weight_file import WeightFile

SAID = "the baker sold the goose. investors panicked."
UP = "blocks.1.mlp.up.weight"


def widget(model: lab.TextModel, **traits: object) -> WeightFile:
    return WeightFile(model, **{"text": SAID, **traits})


def loss_by_hand(model: lab.TextModel, edits: dict[str, list[int] | None]) -> float:
    other = copy.deepcopy(model.model)
    with torch.no_grad():
        for name, rows in edits.items():
            other.get_parameter(name)[slice(None) if rows is None else rows] = 0
        ids = torch.tensor([model.tokenizer.bos_id, *model.tokenizer.encode(SAID), model.tokenizer.bos_id])
        return float(F.cross_entropy(other(ids[None, :-1])[0], ids[1:]))


# ---------------------------------------------------------------- the treemap


def test_areas_are_sizes_and_nothing_overlaps():
    rng = random.Random(4)
    for _ in range(20):
        sizes = [rng.choice([1, 5, 100]) * rng.uniform(0.5, 2) for _ in range(rng.randint(1, 40))]
        boxes = squarified(sizes, (0.0, 0.0, 2.0, 1.0))
        for size, (_, _, w, h) in zip(sizes, boxes, strict=True):
            assert w * h == pytest.approx(2 * size / sum(sizes))
        grid = np.zeros((200, 400), dtype=int)
        for x, y, w, h in boxes:
            grid[round(200 * y) : round(200 * (y + h)), round(200 * x) : round(200 * (x + w))] += 1
        assert (grid == 1).all()


def test_a_group_stays_together():
    for group, area in zip(grouped([[1, 2, 3], [4], [5, 5]], (0.0, 0.0, 4.0, 5.0)), (6, 4, 10), strict=True):
        assert sum(w * h for _, _, w, h in group) == pytest.approx(area)
        left, top = min(b[0] for b in group), min(b[1] for b in group)
        right, bottom = max(b[0] + b[2] for b in group), max(b[1] + b[3] for b in group)
        assert (right - left) * (bottom - top) == pytest.approx(area)


# ---------------------------------------------------------------- counts and bytes


def test_numbers_are_counted_as_the_formula_says(random_model):
    parts = parts_of(random_model.model)
    assert sum(part.numel for part in parts) == random_model.model.config.n_params
    assert sum(part.numel for part in parts) == sum(p.numel() for p in random_model.model.parameters())
    assert sum(part.box[2] * part.box[3] for part in parts) == pytest.approx(1 / 1.7)


def test_the_file_less_its_header_is_two_bytes_a_number():
    path = lab.asset("models/town/model.safetensors")
    size, town = file_size(path), lab.load("town")
    numbers = sum(p.numel() for p in town.model.parameters())
    with safe_open(str(path), framework="pt") as file:
        assert sum(file.get_tensor(name).nbytes for name in file.keys()) == size.numbers  # noqa: SIM118
    assert size.header == 8 + int.from_bytes(path.read_bytes()[:8], "little")
    assert size.numbers == path.stat().st_size - size.header == 2 * numbers == 2 * town.model.config.n_params


def test_the_shipped_file_says_what_it_holds():
    w = WeightFile("town")
    n = sum(p.numel() for p in lab.load("town").model.parameters())
    assert w.sentence.startswith(f"town is {n:,} numbers in ")
    foot = "".join(text for _, text in w.shown.foot)
    assert f"numbers counted {n:,} = {n:,} by the formula" in foot
    assert f"= 2 × {n:,}" in foot
    assert "held-out documents of the town, floor 0." in foot


def test_a_model_that_was_never_saved_has_no_file(random_model):
    w = widget(random_model)
    assert "on disk" not in w.sentence
    assert dict(w.shown.facts)["bytes in the file"] == "166\u202fkB"  # 324 x 128 numbers of four bytes
    assert len(repr(w)) <= 110


# ---------------------------------------------------------------- values and losses


def test_the_row_and_its_picture_are_the_numbers(random_model):
    rng = random.Random(5)
    for name in (UP, "embedding.weight", "norm.weight", "blocks.0.mlp.down.weight"):
        tensor = random_model.model.get_parameter(name).detach()
        row = rng.randrange(tensor.shape[0])
        w = widget(random_model, tensor=name, row=row)
        assert w.shown.numbers == pytest.approx(tensor[row].reshape(-1)[:12].tolist(), rel=1e-3)
        rows, cols = np.frombuffer(w._window[:8], dtype="<i4")
        shades = np.frombuffer(w._window[8:], dtype=np.uint8).reshape(rows, cols)
        spread = tensor.square().mean().sqrt()
        step = math.ceil(tensor.reshape(tensor.shape[0], -1).shape[1] / 128)
        values = (tensor.reshape(tensor.shape[0], -1)[row, ::step] / spread).clamp(-3, 3).numpy()
        assert shades[row - w.shown.first_row] / 255 * 6 - 3 == pytest.approx(values, abs=0.013)


def test_a_window_of_a_tall_tensor_holds_its_row():
    tall = torch.arange(1000.0)[:, None].repeat(1, 300)
    data = np.frombuffer(window(tall, 500, 500.0)[8:], dtype=np.uint8).reshape(128, 100)
    assert data[0, 0] == round((500 / 500 + 3) / 6 * 255)


def test_a_zeroed_row_costs_what_a_model_edited_by_hand_loses(random_model):
    w = widget(random_model, tensor=UP, row=3)
    before = loss_by_hand(random_model, {})
    assert w.shown.losses[:2] == pytest.approx((before, before), abs=1e-4)
    w.clicked("zero_row")
    w.wait()
    w.tensor, w.row = "embedding.weight", 40
    w.clicked("zero_row")
    w.wait()
    assert w.edits == [[UP, 3], ["embedding.weight", 40]]
    assert w.shown.losses[1] == pytest.approx(loss_by_hand(random_model, {UP: [3], "embedding.weight": [40]}), abs=1e-4)
    n = sum(random_model.model.get_parameter(name).shape[1] for name in (UP, "embedding.weight"))
    assert w.sentence.startswith(f"{n:,} of ")
    assert w.shown.numbers == (0.0,) * 12
    assert w.shown.edited == (UP, "embedding.weight")


def test_without_its_last_norm_a_model_knows_nothing(random_model):
    """128 numbers of a million: all logits are zero, and the loss is that of a fair die with V faces."""
    w = widget(random_model, tensor="norm.weight")
    w.clicked("zero_all")
    w.wait()
    assert w.shown.losses[1] == pytest.approx(math.log(random_model.vocab_size), abs=1e-5)
    assert w.shown.losses[1] == pytest.approx(loss_by_hand(random_model, {"norm.weight": None}), abs=1e-4)


def test_restore_and_reset_put_everything_back(random_model):
    kept = {name: value.clone() for name, value in random_model.model.state_dict().items()}
    w = widget(random_model, edits=[[UP, -1]])
    edited = w.shown.losses[1]
    w.clicked("restore")
    w.wait()
    assert w.edits == []
    assert w.shown.losses[0] == w.shown.losses[1] != edited
    w.reset()
    w.wait()
    assert w.edits == [[UP, -1]]
    assert w.shown.losses[1] == edited
    assert all(torch.equal(kept[name], value) for name, value in random_model.model.state_dict().items())


def test_one_row_twice_is_one_row(random_model):
    w = widget(random_model, tensor=UP)
    w.clicked("zero_row")
    w.clicked("zero_row")
    w.wait()
    assert w.edits == [[UP, 0]]
    w.clicked("zero_all")
    w.wait()
    assert w.sentence.startswith(f"{random_model.model.get_parameter(UP).numel():,} of ")


# ---------------------------------------------------------------- refusals


def test_what_is_no_file_of_weights_is_refused_in_a_sentence(random_model, trigram):
    with pytest.raises(ValueError, match=r"trigram \(NGram\) is no file of weights"):
        WeightFile(trigram)
    with pytest.raises(FileNotFoundError, match=r"There is no model, folder or \.gguf file 'village'"):
        WeightFile("village")
    with pytest.raises(traitlets.TraitError, match=r"random has no tensor 'layers.9'; it has embedding.weight"):
        widget(random_model, tensor="layers.9")
    w = widget(random_model)
    w.edits = [["norm.weight", 5000]]
    with pytest.raises(ValueError, match=r"edits are \(tensor, row\) pairs"):
        w.wait()


def test_without_a_text_there_is_no_loss(random_model):
    w = WeightFile(random_model, text=None, edits=[[UP, 1]])
    assert w.shown.losses is None
    assert "There is no text to measure the loss on" in w.sentence
