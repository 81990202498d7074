"""Openness shows what the attempts gave; slow ones wait to be asked for; the landscape is a table of text."""

from __future__ import annotations

from typing import Any

import pytest

import lmlab as lab
from lmlab.data.landscape import LANDSCAPE, Published
from lmlab.training.access import DEEDS, Deed, Outcome
from lmlab.widgets import Openness
from lmlab.widgets import openness as module
from lmlab.widgets.openness import openness_view


@pytest.fixture
def w(random_model: lab.TextModel) -> Openness:
    return Openness(random_model)


def test_what_takes_no_time_is_tried_at_once_and_the_rest_on_demand(w: Openness, random_model: lab.TextModel) -> None:
    assert repr(w) == "Openness: of 3 deeds tried, done: closed 1 · open-weight 3 · open-source 3"
    loss = -sum(c.log_prob for c in random_model.score(module.PROMPT)) / len(random_model.score(module.PROMPT))
    assert w.outcome("measure its loss", "open-weight").value == pytest.approx(loss, abs=1e-5)
    assert w.outcome("measure its loss", "closed").result == "refused"
    with pytest.raises(ValueError, match="Nobody has tried to teach it this text yet"):
        w.outcome("teach it this text", "closed")
    w.attempt("teach it this text").wait()
    assert w.outcome("teach it this text", "open-source").value < loss
    assert [row.tints for row in w.shown.rows if row.name == "teach it this text"] == [(0.0, 1.0, 1.0)]


def test_another_text_is_another_attempt(w: Openness, random_model: lab.TextModel) -> None:
    w.attempt("make it smaller").wait()
    w.prompt = "<b>geese</b>"
    w.wait()
    scored = random_model.score("<b>geese</b>")
    loss = -sum(c.log_prob for c in scored) / len(scored)
    assert w.outcome("measure its loss", "open-weight").value == pytest.approx(loss, abs=1e-5)
    with pytest.raises(ValueError, match="Nobody has tried"):
        w.outcome("make it smaller", "closed")
    assert "<b>geese" not in w._repr_mimebundle_()[0]["text/html"]


def test_what_the_weights_allow_is_not_done_twice(w: Openness, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def tries(access: Any, prompt: str, seed: int) -> Outcome:
        done.append(access.kind)
        _ = access.weights
        return Outcome("done", "✓", "It worked.")

    monkeypatch.setattr(module, "DEEDS", (Deed("ask it", "weights", tries), *DEEDS[1:]))
    w.attempt("ask it").wait()
    assert done == ["closed", "open-weight"]
    assert w.outcome("ask it", "open-source").said == "It worked."


def test_an_error_that_is_no_refusal_reaches_the_cell(w: Openness, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(access: Any, prompt: str, seed: int) -> Outcome:
        raise ValueError("the loss is not finite")

    monkeypatch.setattr(module, "DEEDS", (Deed("ask it", "weights", fails), *DEEDS[1:]))
    with pytest.raises(ValueError, match="the loss is not finite"):
        w.attempt("ask it").wait()
    assert "the loss is not finite" in repr(w)


def test_the_landscape_lists_what_was_published() -> None:
    hostile = Published(name="<img>", maker="x", date="2024-01-01", source="a.com/b", license="MIT", weights=True)
    view = openness_view({}, page="open-weight", landscape=(*LANDSCAPE, hostile))
    rows = {row.name: row for row in view.models}
    assert [row.cells[1] for row in view.models] == sorted(row.cells[1] for row in view.models)
    assert set(rows) == {one.name for one in LANDSCAPE if one.access == "open-weight"} | {"<img>"}
    assert rows["Llama 3.1 405B"].cells[2:5] == ("405\u202fB", "15.6\u202fT", "39")
    assert rows["DeepSeek-V3"].cells[2] == "671\u202fB (37\u202fB)"
    assert rows["<img>"].cells[2:5] == ("–", "–", "–")
    assert "8 open-weight models, the largest Kimi K2 with 1 trillion parameters" in "".join(
        part for _, part in view.readout
    )


def test_what_is_no_cell_no_deed_or_no_model_is_said(w: Openness, trigram: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="There is no deed 'sell it': choose from ask it"):
        w.attempt("sell it")
    with pytest.raises(ValueError, match="There is no cell"):
        w.outcome("ask it", "secret")
    with pytest.raises(Exception, match="is no cell: 9 deeds, 3 doors"):
        w.at = [9, 0]
    with pytest.raises(ValueError, match="takes a text model of a transformer"):
        Openness(trigram)
