"""Conversations of the town: answers are what the town's own grammar says, and what is held out is never asked."""

from __future__ import annotations

import operator
import re

import pytest

from lmlab.data.town.chat import (
    ASKED_THINGS,
    ASKED_TOPICS,
    HELD_OUT_THINGS,
    HELD_OUT_TOPICS,
    KINDS,
    MOST_QUESTIONS,
    POLITE_ENDINGS,
    ChatQuestion,
    chat_questions,
    town_dialogues,
    with_polite_ending,
    without_polite_ending,
)
from lmlab.data.town.questions import EXPLAINED
from lmlab.data.town.tables import HELD_OUT_PEOPLE, THINGS
from lmlab.data.town.town import Town
from lmlab.tokenizer.chat_template import checked_messages

N = 600


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(families=("question_answer", "how_to"))


def as_the_town_says_it(one: ChatQuestion, answer: str) -> str:
    return f"{one.question}\n{answer.removeprefix('Our ')}"


def test_every_answer_is_one_that_the_grammar_gives(town: Town) -> None:
    for one in chat_questions(N, seed=3):
        assert all(town.can_say(as_the_town_says_it(one, answer)) for answer in one.answers), one
    wrong = {"person": " soup lane", "sum": "It is 100.", "explanation": "Because.", "how_to": "Take soap.",
             "history": "People took salt and salt, then they shook."}  # fmt: skip
    for kind, answer in wrong.items():
        one = chat_questions(1, seed=0, kinds=[kind])[0]
        assert not town.can_say(as_the_town_says_it(one, answer))


def test_sums_are_right_by_pythons_own_reckoning() -> None:
    signs = {"plus": operator.add, "minus": operator.sub, "times": operator.mul}
    for held_out in (False, True):
        for one in chat_questions(N, seed=1, kinds=["sum"], held_out=held_out):
            a, op, b = one.subject.split()
            assert one.answers == (f"It is {signs[op](int(a), int(b))}.",)


def test_what_is_held_out_is_never_asked_in_training_and_nothing_else_is_in_the_examination() -> None:
    seen = {(q.kind, q.subject) for seed in range(3) for q in chat_questions(2 * N, seed)}
    asked = {(q.kind, q.subject) for q in chat_questions(2 * N, seed=0, held_out=True)}
    assert not seen & asked
    people = {person.name for person in HELD_OUT_PEOPLE}
    assert {subject for kind, subject in asked if kind == "person"} == people
    assert {subject for kind, subject in asked if kind == "how_to"} == {thing.name for thing in HELD_OUT_THINGS}
    assert {subject for kind, subject in asked if kind == "explanation"} == set(HELD_OUT_TOPICS)
    text = " ".join(message["content"] for dialogue in town_dialogues(N) for message in dialogue)
    words = set(re.findall(r"\w+", text))
    assert not words & people
    assert not words & {thing.name for thing in HELD_OUT_THINGS}
    assert set(HELD_OUT_THINGS) | set(ASKED_THINGS) == set(THINGS)
    assert set(HELD_OUT_TOPICS) | set(ASKED_TOPICS) == set(EXPLAINED)


def test_questions_come_in_their_proportions_and_the_first_do_not_depend_on_how_many() -> None:
    questions = chat_questions(4_000, seed=2)
    for kind, share in KINDS.items():
        assert sum(q.kind == kind for q in questions) / 4_000 == pytest.approx(share, abs=0.03)
    assert chat_questions(7, seed=2) == questions[:7]
    assert chat_questions(7, seed=3) != questions[:7]
    assert {q.kind for q in chat_questions(50, kinds=["sum", "history"])} == {"sum", "history"}


def test_conversations_have_one_to_three_right_answers_and_three_in_ten_end_politely() -> None:
    by_question = {q.question: q for seed in range(1) for q in chat_questions(MOST_QUESTIONS * N, seed)}
    dialogues = town_dialogues(N)
    lengths = [len(dialogue) // 2 for dialogue in dialogues]
    assert {*lengths} == {1, 2, 3}
    assert min(map(lengths.count, (1, 2, 3))) > N / 4
    polite = 0
    for dialogue in dialogues:
        assert [m["role"] for m in checked_messages(dialogue)] == ["user", "assistant"] * (len(dialogue) // 2)
        for question, answer in zip(dialogue[::2], dialogue[1::2], strict=True):
            assert without_polite_ending(answer["content"]) in by_question[question["content"]].answers
        polite += sum(m["content"] != without_polite_ending(m["content"]) for m in dialogue[1::2])
    assert polite / sum(lengths) == pytest.approx(0.3, abs=0.05)
    assert not any("happy" in m["content"] for d in town_dialogues(50, polite=0) for m in d)


def test_a_polite_ending_is_put_on_and_taken_off() -> None:
    for ending in POLITE_ENDINGS:
        assert without_polite_ending(with_polite_ending("It is 7.", ending)) == "It is 7."
    assert without_polite_ending("It is 7.\nIt is 8.") == "It is 7.\nIt is 8."
    assert without_polite_ending("It is 7. I am happy to help.") == "It is 7. I am happy to help."


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no questions of 'poems'.* the kinds are person"):
        chat_questions(3, kinds=["poems"])
    with pytest.raises(ValueError, match="an empty list"):
        chat_questions(3, kinds=[])
    for n in (0, True, 2.0):
        with pytest.raises(ValueError, match="whole number of questions"):
            chat_questions(n)  # type: ignore[arg-type]
    for polite in (-0.1, 1.5, True):
        with pytest.raises(ValueError, match="share of polite endings"):
            town_dialogues(3, polite=polite)
