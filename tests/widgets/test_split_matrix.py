"""SplitMatrix: a corner of a real MLP, in pieces that make the product again; what processes make is not believed."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lmlab as lab
from lmlab.systems.sharding import split_mlp
from lmlab.systems.workers import WorkersFailed
from lmlab.widgets import SplitMatrix
from lmlab.widgets._split_words import PAIRS, piece_of

TEXT = "the stock market crashed and investors"


@pytest.fixture
def w(random_model: lab.TextModel) -> SplitMatrix:
    return SplitMatrix(random_model)


def test_the_corner_is_what_the_first_mlp_reads_and_multiplies(random_model: lab.TextModel) -> None:
    seen: dict[str, Tensor] = {}
    up = random_model.model.blocks[0].mlp.up
    hook = up.register_forward_hook(lambda _, args, out: seen.update(x=args[0][0], y=out[0]))
    random_model.model.log_probs(random_model.ids(TEXT)[None])
    hook.remove()
    piece = piece_of(random_model, TEXT)
    assert torch.allclose(piece.whole_x, seen["x"])
    assert torch.allclose(piece.whole_x @ piece.whole_w, seen["y"], atol=1e-5)
    assert torch.equal(piece.x, seen["x"][-3:, list(piece.inputs)])
    weight = up.weight.detach().numpy()
    assert np.array_equal(piece.w.numpy(), weight[np.ix_(piece.outputs, piece.inputs)].T)
    down = random_model.model.blocks[0].mlp.down.weight.detach().numpy()
    assert np.array_equal(piece.down.numpy(), down[np.ix_(piece.inputs, piece.outputs)].T)
    assert (piece.x.shape, piece.w.shape) == ((3, 4), (4, 8))
    assert piece.tokens[-1] == "·investors"


def test_parts_make_the_product_again_side_by_side_or_added(w: SplitMatrix) -> None:
    for p in range(1, 5):
        w.processes = p
        x, weights = np.array(w.shown.x), np.array(w.shown.w)
        plain = np.einsum("td,df->tf", x, weights)
        assert np.allclose(w.shown.product, plain, atol=1e-5)
        w.cut = "columns"
        assert np.allclose(np.concatenate([np.array(part) for part in w.shown.parts], 1), plain, atol=1e-5)
        assert len(w.shown.parts) == p
        for rank, part in enumerate(w.shown.parts):
            mine = np.array(w.shown.whose) == rank
            assert np.allclose(part, x @ weights[:, mine], atol=1e-5)
        w.cut = "rows"
        assert np.allclose(np.sum(w.shown.parts, 0), plain, atol=1e-5)
        for rank, part in enumerate(w.shown.parts):
            mine = np.array(w.shown.whose) == rank
            assert np.allclose(part, x[:, mine] @ weights[mine], atol=1e-5)


def test_the_sentence_says_who_made_the_chosen_number(w: SplitMatrix) -> None:
    w.cut, w.processes, w.at = "rows", 3, [1, 5]
    summands = [part[1][5] for part in w.shown.parts]
    said = " + ".join(f"{x:.2f}".replace("-", "−") for x in summands).replace("−0.00", "0.00")
    assert said in w.sentence
    w.cut = "columns"
    assert w.shown.whose == (0, 0, 0, 1, 1, 1, 2, 2)
    assert "all of it from process 1: columns are laid side by side" in w.sentence
    w.processes = 1
    assert "One process multiplies alone" in w.sentence
    assert "message" not in w.sentence
    with pytest.raises(ValueError, match="is no number of the product"):
        w.at = [-1, 0]


def test_messages_are_those_of_rings(w: SplitMatrix) -> None:
    T, D, F = 3, 4, 8
    for p in (2, 3, 4):
        w.processes = p
        gather, ring = p * (p - 1), 2 * p * (p - 1)  # each part to each other; twice round (Patarasuk and Yuan 2009)
        for cut, messages, size in (("columns", gather, (p - 1) * 4 * T * F), ("rows", ring, 2 * (p - 1) * 4 * T * F)):
            w.cut = cut
            assert [row[1] for row in w.shown.rows[:2]] == [str(messages), f"{size:,}"]
        found = {row[0]: row[1:] for row in w.shown.pairs}
        assert found["columns → rows"] == ["1", str(ring), str(2 * (p - 1) * 4 * T * D)]
        assert found["columns → columns"] == ["2", str(2 * gather), str((p - 1) * 4 * T * (F + D))]
        assert found["rows → rows"] == ["2", str(2 * ring), str(2 * (p - 1) * 4 * T * (F + D))]


def fakes(monkeypatch: pytest.MonkeyPatch, *, wrong: float = 0.0, more: int = 0) -> None:
    """Processes that answer at once, of which the last number and the count are off by so much."""

    def product(x: Tensor, weights: Tensor, *, cut: str, n_processes: int) -> Any:
        made = x @ weights
        made[-1, -1] += wrong
        halves = (made[:, :4], made[:, 4:])
        ring = (2, 96) if cut == "columns" else (4, 192)
        return SimpleNamespace(product=made, parts=halves, messages=ring[0] + more, bytes=ring[1])

    def mlp(x: Tensor, up: Tensor, down: Tensor, *, cuts: tuple[str, str], n_processes: int) -> Any:
        counts = {("columns", "rows"): (4, 96), ("columns", "columns"): (4, 144), ("rows", "rows"): (8, 288)}
        return SimpleNamespace(messages=counts[cuts][0], bytes=counts[cuts][1])

    monkeypatch.setattr("lmlab.widgets.split_matrix.split_product", product)
    monkeypatch.setattr("lmlab.widgets.split_matrix.split_mlp", mlp)


def test_what_processes_make_is_held_against_the_plain_product(w: SplitMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(w) == "SplitMatrix: columns over 2 processes: 2 messages, 96 bytes; not run yet"
    said = "SplitMatrix: product from 2 processes equals the plain one: {}; messages as predicted: {}"
    for off, expected in (({}, (True, True)), ({"wrong": 0.01}, (False, True)), ({"more": 1}, (True, False))):
        fakes(monkeypatch, **off)
        w.run().wait()
        assert repr(w) == said.format(*expected)
        assert len(repr(w)) <= 110
        assert w.shown.real
    assert "sent 3 messages" in w.sentence
    assert "not as predicted (2," in w.sentence
    w.prompt = "who?"
    assert "not run yet" in repr(w)
    assert not w.shown.real
    w.prompt = TEXT
    assert w.shown.real, "what was made once is known"


def test_an_error_of_the_processes_reaches_the_cell(w: SplitMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise WorkersFailed("Process 1 was lost: run again.")

    monkeypatch.setattr("lmlab.widgets.split_matrix.split_product", lost)
    with pytest.raises(ValueError, match="Process 1 was lost"):
        w.run().wait()
    assert repr(w) == "SplitMatrix: Process 1 was lost: run again."
    assert not w.view["running"], "and the button can be pressed again"
    fakes(monkeypatch)
    w._clicks = [[1, "start"]]
    w.wait()
    assert "equals the plain one: True" in repr(w), "the next press works"


def test_any_text_and_only_whole_matrices(random_model: lab.TextModel, trigram: lab.TextModel, w: SplitMatrix) -> None:
    for text in ("", " ", "👩‍👩‍👧 panicked 🦜", "<b>x</b>", "x " * 3000):
        w.prompt = text
        assert len(w.shown.x) == len(w.shown.tokens) <= 3
        assert np.isfinite(w.shown.product).all()
    w.prompt = ""
    assert w.shown.tokens == ("⟨begin⟩",)
    with pytest.raises(ValueError, match="a transformer with whole matrices"):
        SplitMatrix(trigram)
    with pytest.raises(ValueError, match="SplitMatrix takes a text model"):
        SplitMatrix("town")
    quantized = lab.TextModel(lab.quantize_model(random_model.model, bits=4), random_model.tokenizer, name="q4")
    with pytest.raises(ValueError, match="a transformer with whole matrices"):
        SplitMatrix(quantized)


@pytest.mark.slow
def test_real_processes_multiply(w: SplitMatrix) -> None:
    draw = random.Random()
    for cut in ("columns", "rows"):
        w.cut, w.at = cut, [draw.randrange(3), draw.randrange(8)]
        w.run().wait()
        assert repr(w).endswith("equals the plain one: True; messages as predicted: True"), repr(w)
        assert np.allclose(w.shown.product, np.array(w.shown.x) @ np.array(w.shown.w), atol=1e-5)
    piece, cuts = w.piece, PAIRS[0]
    both = split_mlp(piece.x, piece.w, piece.down, cuts=cuts, n_processes=2)
    plain = torch.nn.functional.gelu(piece.x @ piece.w, approximate="tanh") @ piece.down
    assert torch.allclose(both.product, plain, atol=1e-5)
    assert dict(w.made.pairs)[cuts] == (both.messages, both.bytes)
