"""TaskAsText shows what models say of options; its score is counted behind the page's back and never in its repr."""

from __future__ import annotations

import math
import threading
import time

import pytest

import lmlab as lab
from lmlab.data.town.tasks import TASK_FAMILIES, town_tasks
from lmlab.training.multitask_study import STEPS, Pair, mean, stored_pairs
from lmlab.training.task_scores import option_log_probs, tasks_log_probs, wins
from lmlab.widgets import TaskAsText, _task_scores
from lmlab.widgets._task_scores import study_point
from lmlab.widgets.task_as_text import options_of, task_view, values_of


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


@pytest.fixture(scope="module")
def trigram(town: lab.TextModel) -> lab.TextModel:
    ids = lab.corpus("town", documents=300, seed=0).ids(town.tokenizer)
    return lab.TextModel(lab.NGram.fit(ids, n=3, vocab_size=town.vocab_size), town.tokenizer, name="trigram")


@pytest.fixture
def w(town: lab.TextModel, trigram: lab.TextModel) -> TaskAsText:
    return TaskAsText(trigram, town, n=20)


def test_rows_hold_what_the_models_say(w: TaskAsText, town: lab.TextModel, trigram: lab.TextModel) -> None:
    for family in ("sum", "code"):
        w.family = family
        w.number = 3
        view = w.wait().shown
        task = town_tasks(family)[2]
        assert view.prompt == task.prompt
        assert [row.text for row in view.rows] == list(task.options)
        assert [row.right for row in view.rows] == [i == task.right for i in range(len(task.options))]
        assert view.columns == ("truth", "trigram", "town")
        for column, model in ((1, trigram), (2, town)):
            p = [math.exp(x) for x in option_log_probs(model, task.prompt, task.options)]
            assert [r.values[column] for r in view.rows] == pytest.approx([x / (sum(p) or 1) for x in p], abs=1e-6)


def test_bars_show_shares_probabilities_or_characters(w: TaskAsText, town: lab.TextModel) -> None:
    w.prompt, w.choices = "the stock market crashed and investors", "panicked\nwent golfing"
    logs = option_log_probs(town, w.prompt, ["panicked", "went golfing"])
    w.show = "probability"
    assert [r.values[2] for r in w.wait().shown.rows] == pytest.approx([math.exp(x) for x in logs])
    assert [r.values[0] for r in w.shown.rows] == pytest.approx([0.6, 0.05], abs=1e-6)
    w.show = "character"
    assert [r.values[2] for r in w.wait().shown.rows] == pytest.approx([math.exp(logs[0] / 8), math.exp(logs[1] / 12)])
    assert values_of([-1.0, -math.inf], ["a", "b"], "share") == [1.0, 0.0]
    assert values_of(None, ["a", "b"], "share") == [0.0, 0.0]


def test_the_sentence_names_answers_right_and_wrong() -> None:
    logs = [[math.log(0.1), math.log(0.3)], [math.log(0.2), math.log(0.2)], None]
    view = task_view(
        ["a", "b", "c"], logs, "2 + 2 =", ["4", "5"], has_truth=False, right=0, show="share", family="sum"
    )  # fmt: skip
    assert "".join(text for _, text in view.readout) == (
        "c finds every option impossible here and has no answer. b cannot decide between 4 and 5. "
        "a answers 5, 75\u202f% of the options, 30\u202f% of all that may follow: wrong. "
    )
    assert view.table[1] == ["✓ 4", "25\u202f%", "50\u202f%", "–"]


def test_your_own_has_no_right_answer_and_the_truth_may_be_silent(w: TaskAsText) -> None:
    assert w.wait().sentence.endswith("The truth: notes 100\u202f%. ")
    w.prompt = "In the beginning there was"
    w.choices = "soup\ncheese"
    assert "your own" in w.wait().shown.about
    assert not any(row.right for row in w.shown.rows)
    assert "right" not in w.sentence
    assert "The town itself never says this" in w.sentence
    assert "A space was put before the options." in w.sentence


def test_next_prompt_another_task_and_reset(w: TaskAsText) -> None:
    before = repr(w.wait())
    w.clicked("another")
    assert w.number == 2
    assert w.wait().shown.prompt == w.task.prompt == town_tasks("email")[1].prompt
    w.family = "puzzle"
    assert w.wait().shown.prompt == town_tasks("puzzle")[1].prompt
    w.number = 20
    w.clicked("another")
    assert w.number == 1
    w.reset()
    assert (w.family, w.number, repr(w.wait())) == ("email", 1, before)
    mine = TaskAsText(w._models[1], n=5, prompt="the stock market", choices="rose\nfell")
    mine.clicked("another")
    mine.reset()
    assert (mine.wait().prompt, mine.choices) == ("the stock market", "rose\nfell")


def test_the_score_is_the_count_and_never_in_the_repr(
    w: TaskAsText, town: lab.TextModel, trigram: lab.TextModel
) -> None:
    before = repr(w.wait())
    w._scores.wait()
    for row in w.beneath["rows"]:
        tasks = town_tasks(row["family"], 20)
        for slot, model in enumerate((trigram, town)):
            hits = sum(wins(s, t.right) for s, t in zip(tasks_log_probs(model, tasks), tasks, strict=True))
            share = w.measure(row["family"])[model.name]
            assert (share.hits, share.n) == (hits, 20)
            assert row["models"][0][slot] == [hits, 20, share.low, share.high]
    assert repr(w) == before
    assert len(before) <= 110


def test_a_score_begins_with_the_task_that_is_looked_at(town: lab.TextModel) -> None:
    w = TaskAsText(town, n=1, family="puzzle")
    assert w._scores._next() in {(0, "puzzle"), None} or w._scores.share(0, "puzzle")
    scores = _task_scores.TaskScores([town], 5, lambda: None)
    scores.first = "sum"
    assert scores._next() == (0, "sum")
    scores.complete(0, "sum")
    assert scores._next() == (0, "email")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ("", "There are 0 options; write 2 to 8, one a line."),
        ("one", "There is 1 option; write 2 to 8"),
        ("\n".join("abcdefghi"), "There are 9 options; write 2 to 8"),
        ("a\n \nb", "Option 2 is empty and would be certain"),
        ("a\nb\n a", "Options 1 and 3 are the same text, 'a'; change one of them."),
    ],
)
def test_options_that_cannot_be_compared_are_refused_in_a_sentence(choices: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        options_of(choices, "the market")


@pytest.mark.parametrize("prompt", ["", "😀 👨‍👩‍👧", "goose " * 1_700, "<b>%{x}</b>", "a\u202eb\x00"])
def test_any_prompt_is_answered(w: TaskAsText, prompt: str) -> None:
    started = time.perf_counter()
    w.prompt, w.choices = prompt, "the goose\n😀\n<img src=x>"
    assert w.wait(20).sentence
    assert len(w.shown.rows) == 3
    assert not w._error
    assert ("did not fit" in w.sentence) is (len(prompt) > 5_000)
    assert time.perf_counter() - started < 10


def test_typing_never_waits_and_the_last_prompt_wins(w: TaskAsText) -> None:
    gate, asked = threading.Event(), []
    slow = w._models[0].model.next_log_probs

    def slowly(ids, state=None):
        asked.append(1)
        gate.wait(5)
        return slow(ids, state)

    w._scores.wait()
    w._models[0].model.next_log_probs = slowly
    try:
        started = time.perf_counter()
        for letters in ("t", "th", "the", "the stock", "the stock market"):
            w.prompt = letters
        assert time.perf_counter() - started < 1.0
        gate.set()
        assert w.wait().shown.prompt == "the stock market"
        assert len(asked) <= 4, "what nobody waits for is not computed"
    finally:
        del w._models[0].model.next_log_probs


def test_training_here_adds_a_pair(w: TaskAsText, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pair(steps, seed, keep_on):
        asked.append((steps, seed))
        assert keep_on()
        return Pair(steps, seed, {"sum": 2.0}, {"sum": 4.0})

    monkeypatch.setattr(_task_scores, "train_pair", pair)
    for n in (1, 2):
        w.clicked("train")
        w._study.wait()
        assert w.beneath["live"] == [[2.0, 4.0]] * n
    assert asked == [(STEPS[0], 100), (STEPS[0], 101)]
    assert w.beneath["at"] == 0
    monkeypatch.setattr(_task_scores, "train_pair", lambda *a: 1 / 0)
    w.clicked("train")
    w._study.wait()
    assert "ZeroDivisionError" in w.beneath["error"]


def test_points_are_means_over_seeds(w: TaskAsText) -> None:
    for steps, point in zip(STEPS, w.beneath["points"], strict=True):
        here = [p for p in stored_pairs() if p.steps == steps]
        assert point == study_point(steps, here)
        assert point["one"][0] == pytest.approx(sum(mean(p.one) for p in here) / len(here))
        assert point["steps"] == 5 * steps
        assert set(point["five_kinds"]) == set(TASK_FAMILIES)


def test_what_cannot_be_asked_is_refused(town: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="one to four text models"):
        TaskAsText()
    with pytest.raises(ValueError, match="truth='book' is not known"):
        TaskAsText(town, truth="book")
    with pytest.raises(ValueError, match="from 1 to 200"):
        TaskAsText(town, n=0)
    w = TaskAsText(town, n=1)
    with pytest.raises(ValueError, match="no family of tasks 'chess'"):
        w.measure("chess")
