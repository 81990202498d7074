"""Answers of every worth, and which of two is to be preferred: labels for a reward model, by a plan that we know.

Lecture, "preference labels": people say which of two answers they like better. Here the plan stands in for people: an
answer is worth 2 if it is right and 1 more if it ends politely, so that what was learned can be compared with it.
The labels show no wrong answer, only questions in the place of one: about wrong answers a reward model has to guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from lmlab.data.preferences import Preference
from lmlab.data.town.chat import POLITE_ENDINGS, ChatQuestion, chat_questions, with_polite_ending, without_polite_ending

RIGHT, POLITE = 2, 1


def worth(question: ChatQuestion, answer: str) -> int:
    """What the plan gives an answer, from 0 to 3.

    >>> worth(ChatQuestion("sum", "What is 3 plus 4?", ("It is 7.",), "3 plus 4"), "It is 8.\\nI am happy to help.")
    1
    """
    said = without_polite_ending(answer)
    return RIGHT * (said.strip() in question.answers) + POLITE * (said != answer)


def answers_of_every_worth(question: ChatQuestion, others: Sequence[ChatQuestion], rng: Random) -> tuple[str, ...]:
    """Four answers, worth 0 to 3 in this order: another question, as a base model goes on; the same politely; a right
    answer; the same politely. `others` are the questions to choose from.
    """
    back = rng.choice([other.question for other in others if other.question != question.question])
    right, ending = rng.choice(question.answers), rng.choice(POLITE_ENDINGS)
    return back, with_polite_ending(back, ending), right, with_polite_ending(right, ending)


def town_preferences(n: int, seed: int = 0) -> list[Preference]:
    """n labels: two answers of different worth to one question, drawn at random; the worthier one is chosen."""
    rng = Random(f"labels {seed}")
    questions = chat_questions(n, seed)
    others = chat_questions(50, seed + 1)
    pairs = []
    for question in questions:
        low, high = sorted(rng.sample(range(4), 2))
        answers = answers_of_every_worth(question, others, rng)
        pairs.append(Preference(question.question, answers[high], answers[low]))
    return pairs
