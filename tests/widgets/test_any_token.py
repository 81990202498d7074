"""AnyToken: the row is what the model writes, the picture what the row says, and the flight ends where it ends."""

from __future__ import annotations

import dataclasses
import math
import time

import pytest
import torch

from lmlab.data.any_tokens import AnyVocabulary, lake_codebook, patchify, to_bin
from lmlab.data.lake import THINGS, move_to, picture, scenes
from lmlab.training.any_token import AnyTokenTrial, floor, greedy
from lmlab.widgets import AnyToken
from lmlab.widgets.any_token import Row, any_token_view, sky_ids

WORDS = AnyVocabulary()
SCENE = scenes(1, seed=21)[0]
TRIAL = AnyTokenTrial(seed=2, steps=3)


def right_row(goal_cell: int | None = None) -> Row:
    """What a perfect model would write, with the flight to a cell."""
    ids = WORDS.rows([SCENE], seed=0)[0].tolist()[:27]
    cell = SCENE.sky.index(SCENE.goal + 1) if goal_cell is None else goal_cell
    ids[21:] = [WORDS.first["move"] + to_bin(value) for value in move_to(cell) * 3]
    return Row(tuple(ids), tuple(math.log(0.5) for _ in ids[1:]))


def view(row: Row, sky: tuple[int, ...] = SCENE.sky, goal: int = SCENE.goal, **more: object):
    return any_token_view(row, sky, goal, TRIAL.points[-1], steps=3, seed=2, **more)


def said(shown) -> str:
    return "".join(text for _, text in shown.readout)


def test_a_right_row_is_the_picture_and_reaches_its_goal() -> None:
    shown = view(right_row())
    assert (shown.blank, shown.wrong) == ((), ())
    pixels = torch.tensor(list(shown.pixels)).view(24, 24, 3) / 255
    clean = picture(SCENE.sky)
    assert float((pixels - clean).abs().max()) < 0.05
    assert (
        f"mirrors 8 of 8 patches of this sky, and all of them in {round(96 * TRIAL.points[-1].completed)} of 96"
        in said(shown)
    )
    assert f"fly to the {THINGS[SCENE.goal]} it ends in its square" in said(shown)
    assert shown.goal == SCENE.sky.index(SCENE.goal + 1)
    assert [t.by for t in shown.tokens] == ["given"] + ["you"] * 8 + ["model"] * 8 + ["you"] * 4 + ["model"] * 6
    assert shown.tokens[9].said.endswith("written by the model, which gave it 50\u202f%")
    assert [(k.name, k.floor) for k in shown.losses][:2] == [("patches", floor().patches), ("words", floor().words)]


def test_what_is_wrong_is_marked_and_said() -> None:
    row = right_row(goal_cell=SCENE.sky.index(0))
    ids = list(row.ids)
    ids[9] = WORDS.first["word"]  # no patch
    ids[10] = ids[11] = next(i for i in sky_ids(SCENE.sky))  # a sky in the water
    shown = view(dataclasses.replace(row, ids=tuple(ids)))
    assert shown.blank == (8,)
    assert shown.wrong == (8, 9, 10)
    assert "mirrors 5 of 8" in said(shown)
    assert "it ends in empty sky" in said(shown)
    ids[22] = 3
    shown = view(dataclasses.replace(row, ids=tuple(ids)))
    assert shown.path == ()
    assert "something that is no move" in said(shown)
    missing = next(i for i in range(6) if i + 1 not in SCENE.sky)
    assert f"There is no {THINGS[missing]}; sent there, it flies to empty sky" in said(view(row, goal=missing))


def test_the_model_writes_it_token_by_token_greedily() -> None:
    w = AnyToken(steps=3, seed=2)
    w.train().wait()
    model = AnyTokenTrial(seed=2, steps=3)
    model.advance(3)
    w.sky = list(SCENE.sky)
    w.goal = THINGS[SCENE.goal]
    start = torch.tensor(
        [[WORDS.END, *(lake_codebook().encode(patchify(picture(SCENE.sky)[None]))[0, :8] + 1).tolist()]]
    )
    water = greedy(model.model, start, 8)
    rest = torch.cat([start, water, torch.tensor([WORDS.words(SCENE.goal)])], 1)
    moves = greedy(model.model, rest, 6)
    assert list(w.row.ids) == torch.cat([rest, moves], 1)[0].tolist()
    assert [t.id for t in w.shown.tokens] == list(w.row.ids)
    log_probs = model.model.log_probs(torch.tensor([w.row.ids[:-1]]))[0]
    assert w.row.log_probs == pytest.approx(
        [float(p[i]) for p, i in zip(log_probs, w.row.ids[1:], strict=True)], rel=1e-5
    )
    w.temperature, w.draw = 1.0, 1
    first = w.row.ids
    w.draw = 2
    assert w.row.ids != first
    assert repr(w) == "AnyToken: 3 steps, seed 2: over 90 % of reflections right False, over 60 % of flights False"


def test_it_waits_starts_over_and_resets() -> None:
    w = AnyToken(steps=30)
    assert "Press Train" in w.sentence
    assert repr(w) == "AnyToken: 30 steps, seed 0: patches, words and moves in one row, 280 ids"
    first = list(w.sky)
    w.train()
    w.sky = [0] * 8  # an answer while it trains; nothing there, so nothing can be reached
    w.stop()
    assert not w._error
    assert w.shown.goal == -1
    w.reset()
    assert w.sky == first
    assert w.trial.points[-1].step == 0
    with pytest.raises(ValueError, match="whole number from 1 to 2,000"):
        AnyToken(steps=0)


def test_who_asks_for_the_model_while_it_begins_gets_the_one_that_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    from lmlab.widgets import any_token as module

    made: list[AnyTokenTrial] = []

    def slowly(**settings: int) -> AnyTokenTrial:
        time.sleep(0.1)
        made.append(AnyTokenTrial(**settings))
        return made[-1]

    w = AnyToken(steps=2)
    monkeypatch.setattr(module, "AnyTokenTrial", slowly)
    w.train()
    seen = w.trial
    w.wait()
    assert made == [seen]
    assert w.trial.points[-1].step == 2
