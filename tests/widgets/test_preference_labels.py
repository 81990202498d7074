"""PreferenceLabels: what is kept of each choice, and the plan behind the ready pairs."""

from __future__ import annotations

import math
import random

import pytest

import lmlab as lab
from lmlab.data.town.chat import chat_questions
from lmlab.widgets import PreferenceLabels
from lmlab.widgets._answer_pool import (
    FILLER,
    AnswerPair,
    all_answers,
    annotated,
    asked_back,
    planned,
    preset_pairs,
    sampled_pair,
    worth,
)
from lmlab.widgets.preference_labels import FIRST, agreement, tastes_of

POLITE = "\nI am happy to help."


def by_hand(pair: AnswerPair, answer: str) -> int:
    """The worth of a ready answer, read off its letters."""
    polite = answer.endswith(POLITE)
    body = answer.removesuffix(POLITE)
    brief = not body.startswith(FILLER)
    right = body.removeprefix(FILLER) in pair.question.answers
    return 4 * right + 2 * polite + brief


@pytest.fixture(scope="module")
def pairs():
    return preset_pairs(2_400, seed=random.randrange(1000))


def test_the_plan_is_right_before_polite_before_brief(pairs):
    for pair in pairs:
        left, right = by_hand(pair, pair.left), by_hand(pair, pair.right)
        assert (worth(pair.question, pair.left), worth(pair.question, pair.right)) == (left, right)
        assert left != right
        assert planned(pair) == ("left" if left > right else "right")
    questions = chat_questions(30, random.randrange(1000), held_out=True)
    for question, other in zip(questions, asked_back(questions, 0, held_out=True), strict=True):
        assert [worth(question, a) for a in all_answers(question, other)] == list(range(8))


def test_the_side_tells_nothing(pairs):
    n = sum(planned(pair) == "left" for pair in pairs)
    assert abs(n - 1_200) < 6.2 * math.sqrt(2_400) / 2  # wrong once in a billion times
    assert preset_pairs(20, seed=3) == preset_pairs(50, seed=3)[:20], "the first do not depend on how many"
    assert preset_pairs(20, seed=3) != preset_pairs(20, seed=4)


def test_an_annotator_is_wrong_as_often_as_is_said(pairs):
    for noise, wrong in ((0.0, 0), (0.1, 20), (0.5, 100)):
        choices = annotated(pairs[:200], noise, seed=1)
        assert sum(c != planned(p) for c, p in zip(choices, pairs[:200], strict=True)) == wrong
    w = PreferenceLabels(annotated=200)
    assert len(w.labels) == 200
    assert all(label.chosen != label.rejected for label in w.labels)
    assert "an annotator adds 200 labels, 20 of them against" in w.sentence.lower()


def test_labels_are_the_choices():
    w = PreferenceLabels(seed=random.randrange(100))
    picks = random.choices(["left", "right", "neither"], k=15)
    for pick in picks:
        pair = w.pair(len(w.picks))
        assert (w.shown.left, w.shown.right, w.shown.prompt) == (pair.left, pair.right, pair.question.question)
        w.prefer(pick)
    expected = []
    for i, pick in enumerate(picks):
        pair = w.pair(i)
        if pick != "neither":
            a, b = (pair.left, pair.right) if pick == "left" else (pair.right, pair.left)
            expected.append(lab.Preference(pair.question.question, a, b))
    assert w.labels == expected
    assert w.shown.undecided == picks.count("neither")
    before = w.shown
    w.prefer("left").undo()
    assert w.shown == before
    w.reset()
    assert w.labels == []


def test_the_comparison_comes_on_request_and_after_ten_labels():
    w = PreferenceLabels()
    for i in range(FIRST + 3):
        assert "plan" not in w.sentence
        assert w.shown.tastes == ()
        if i < FIRST:
            w.clicked("compare")
            assert f"shown after {FIRST} labels" in w.sentence
            assert w.shown.agreed == w.shown.ordered == 0
        w.prefer(random.choice(["left", "right"]))
    w.clicked("compare")
    pairs = [w.pair(i) for i in range(FIRST + 3)]
    right = sum(planned(p) == c for p, c in zip(pairs, w.picks, strict=True))
    assert (w.shown.agreed, w.shown.ordered) == (right, FIRST + 3)
    assert f"agree with the plan in {right} of {FIRST + 3}" in w.sentence
    w.prefer("left")
    assert w.shown.tastes == (), "the next label is not judged before you ask"


def test_what_you_prefer_is_counted_where_the_answers_differ(pairs):
    polite = [("left" if p.left.endswith(POLITE) else "right") for p in pairs]
    found = {taste.quality: taste for taste in tastes_of(pairs, polite)}
    differ = sum(p.left.endswith(POLITE) != p.right.endswith(POLITE) for p in pairs)
    assert (found["polite"].preferred, found["polite"].n) == (differ, differ)
    assert 0.3 < found["right"].preferred / found["right"].n < 0.8
    assert agreement(pairs, ["neither"] * len(pairs)) == (0, 0)


def test_two_answers_of_a_model(random_model):
    w = PreferenceLabels(random_model)
    pair = w.pair(0)
    assert pair.left != pair.right
    said = [
        random_model.generate(
            pair.question.question + "\n", 40, sampler=lab.Sampler(temperature=1.0), seed=k, stop="\n"
        ).text.strip()
        for k in range(4)
    ]
    assert [pair.left, pair.right] == list(dict.fromkeys(filter(None, said)))[:2]
    assert "sampled from random" in "".join(text for _, text in w.shown.foot)


def test_a_model_that_says_one_thing_is_refused(trigram, monkeypatch):
    monkeypatch.setattr("lmlab.widgets._answer_pool._asked", lambda *_: "the goose")
    with pytest.raises(ValueError, match="the same answer each time"):
        sampled_pair(trigram, chat_questions(1)[0], 0)


def test_what_is_no_choice_is_refused():
    w = PreferenceLabels(question="Whose?")
    assert w.shown.question == "Whose?"
    with pytest.raises(ValueError, match="neither"):
        w.prefer("both")
    w.picks = ["left"] * 1000
    with pytest.raises(ValueError, match="all are labeled"):
        w.prefer("left")
    w.seed = 5
    assert w.picks == [], "other pairs, other labels"
    assert len(repr(w)) <= 110
