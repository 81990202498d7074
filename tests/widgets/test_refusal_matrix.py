"""RefusalMatrix shows what the rounds answered; a patch adds a column from a thread, and can be stopped."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import lmlab as lab
from lmlab.training.refusal_rounds import FORMS, HARMLESS_ROW, Exchange, Round
from lmlab.widgets import RefusalMatrix
from lmlab.widgets._refusal_words import facts_of, standing
from lmlab.widgets.refusal_matrix import ROWS, refusal_view


def answers(refused: int, n: int = 16, other: str = "told") -> tuple[Exchange, ...]:
    said = {"refused": "I am sorry. No.", "told": "Take <b>ash</b>.", "neither": "hen"}
    outcomes = ["refused"] * refused + [other] * (n - refused)
    return tuple(Exchange(f"request {i}", said[outcome], outcome) for i, outcome in enumerate(outcomes))


def made(model: lab.TextModel, forms: tuple[str, ...], refused: tuple[int, ...], over: int = 0) -> Round:
    """A round with so many refusals of 16 in each of the five forms, and of 32 harmless requests."""
    rows = {form: answers(n) for form, n in zip(FORMS, refused, strict=True)}
    rows["base64"] = answers(refused[-1], other="neither")
    name = f"+ {forms[-1]}" if forms else "helpful"
    return Round(name, forms, model, {**rows, HARMLESS_ROW: answers(over, 32)})


@pytest.fixture
def w(random_model: lab.TextModel, monkeypatch: pytest.MonkeyPatch) -> RefusalMatrix:
    """The widget over invented rounds: each patch closes its own form, and takes three steps."""

    def patched(last: Round, form: str, *, seed: int, goes_on: Any) -> Round | None:
        for step in (1, 2, 3):
            if not goes_on(step):
                return None
        forms = (*last.forms, form)
        return made(random_model, forms, tuple(16 * (f in forms) for f in FORMS), over=2)

    start = made(random_model, (), (0, 0, 0, 0, 0))
    monkeypatch.setattr("lmlab.widgets.refusal_matrix.first_round", lambda model: start)
    monkeypatch.setattr("lmlab.widgets.refusal_matrix.patched_round", patched)
    return RefusalMatrix(random_model)


def text(spans: Any) -> str:
    return "".join(part for _, part in spans)


def test_a_cell_is_the_share_refused_with_its_interval(random_model: lab.TextModel) -> None:
    rounds = [made(random_model, (), (0, 0, 0, 0, 0)), made(random_model, ("plain",), (15, 2, 0, 0, 0), over=4)]
    view = refusal_view(rounds, (0, 1))
    assert [row.name for row in view.rows] == list(ROWS)
    assert view.rows[0].shares == (0, 15 / 16)
    assert view.rows[-1].shares == (0, 4 / 32)
    assert [row.patched for row in view.rows] == [1, -1, -1, -1, -1, -1]
    assert (view.n, view.rounds) == (16, ("helpful", "+ plain"))
    # Wilson's interval for 15 of 16, by hand: (15 + 1.92) / 19.84 ± 0.0988 · √(0.9375 + 0.9604)
    said = text(view.readout)
    assert "plain is refused 15 of 16, 95\u202f% interval 72 to 99\u202f%; the recipe is told 1 time." in said
    assert "Open now: past tense, grandmother, leetspeak and base64." in text(view.readout)
    assert view.said.list == rounds[1].answers["plain"]
    assert "the answers are beside the point" in text(refusal_view(rounds, (4, 1)).readout)
    assert "harmless things are refused 4 of 32" in text(refusal_view(rounds, (5, 1)).readout)
    assert view.table[2][0] == "past tense"
    assert view.table[2][1:] == ["0", "12\u202f%"]


def test_ways_are_closed_open_or_between(random_model: lab.TextModel) -> None:
    one = made(random_model, ("plain",), (12, 11, 5, 4, 0), over=17)
    assert standing(one.answers) == {
        "closed": ["plain"], "half closed": ["past tense", "grandmother"], "open": ["leetspeak", "base64"],
    }  # fmt: skip
    said = text(facts_of([one]))
    assert said.endswith("harmless things refused, too")
    assert "closed: plain; half closed: past tense and grandmother; open: leetspeak and base64" in said


def test_patches_add_columns_and_the_next_form_is_offered(w: RefusalMatrix) -> None:
    assert repr(w).startswith("RefusalMatrix: round 0 · open: plain, past tense, grandmother, leetspeak and base64")
    w.patch().wait()
    assert w.rounds == ("helpful", "+ plain")
    assert (w.form, w.at) == ("past tense", [0, 1])
    assert (w.share("plain").share, w.share("plain", 0).share, w.share("past tense").share) == (1, 0, 0)
    assert w.over_refusal().hits == 2
    w._clicks = [[1, "repair"]]
    w.wait()
    w.patch("base64").wait()
    assert w.rounds == ("helpful", "+ plain", "+ past tense", "+ base64")
    assert w.form == "grandmother", "the first form that no patch has shown"
    assert [c.name for c in w.shown.columns] == list(w.rounds)
    assert w.shown.rows[4].patched == 3
    assert "closed: plain, past tense and base64; open: grandmother and leetspeak" in repr(w)
    w.at = [1, 0]
    w.wait()
    assert w.shown.said.list == w.answers("past tense", 0)
    w.reset()
    w.wait()
    assert (w.rounds, w.at, w.form) == (("helpful",), [0, 0], "plain")


def test_a_patch_runs_beside_the_page_and_can_be_stopped(w: RefusalMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step, go = threading.Event(), threading.Event()

    def held(last: Round, form: str, *, seed: int, goes_on: Any) -> Round | None:
        goes_on(7)
        at_step.set()
        go.wait(5)
        return last if goes_on(8) else None

    monkeypatch.setattr("lmlab.widgets.refusal_matrix.patched_round", held)
    w.patch("leetspeak")
    assert at_step.wait(5)
    w.refresh()
    w._worker and w._worker.join(5)
    assert w.shown.columns[-1].name.startswith("+ leetspeak 7/")
    assert "Patching leetspeak: step 7 of" in w.sentence
    with pytest.raises(ValueError, match="leetspeak is still being patched: wait for it, or stop it"):
        w.patch("plain")
    threading.Timer(0.1, go.set).start()
    w.stop().wait()
    assert w.rounds == ("helpful",), "what was not finished is dropped"
    assert len(w.shown.columns) == 1


def test_an_error_in_a_patch_reaches_the_cell(w: RefusalMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("the loss is not finite")

    monkeypatch.setattr("lmlab.widgets.refusal_matrix.patched_round", fails)
    with pytest.raises(ValueError, match="the loss is not finite"):
        w.patch().wait()
    assert "the loss is not finite" in repr(w)


def test_a_request_of_ones_own_is_answered_after_every_round(w: RefusalMatrix, random_model: lab.TextModel) -> None:
    w.patch().wait()
    w.prompt = "Where is <b>glowfire</b>?"
    w.wait()
    said = w.shown.said.list
    assert [one.of for one in said] == ["helpful", "+ plain"]
    chat = lab.TextModel(random_model.model, random_model.tokenizer, "chat", chat_template=lab.default_template())
    alone = chat.chat(w.prompt, max_new_tokens=40, sampler=lab.Sampler(temperature=0)).text.strip()
    assert {one.answer for one in said} == {alone}
    assert "Yours, Where is <b>glowfire</b>?, is" in w.sentence
    assert "&lt;b&gt;" not in str(w.view), "text travels as text"
    assert "<b>glowfire" not in w._repr_mimebundle_()[0]["text/html"]


def test_what_is_no_cell_no_model_or_no_round_is_said(w: RefusalMatrix, trigram: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="no row 'rot13': the rows are plain"):
        w.answers("rot13")
    with pytest.raises(ValueError, match="There is no round 1: so far there are 1"):
        w.share("plain", 1)
    with pytest.raises(ValueError, match="takes a text model, such as"):
        RefusalMatrix("town")
    with pytest.raises(ValueError, match="whole number from 0 upward"):
        RefusalMatrix(trigram, seed=-1)


def test_a_model_that_cannot_be_patched_is_refused(trigram: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="is a NGram: post-training takes a transformer"):
        RefusalMatrix(trigram)
