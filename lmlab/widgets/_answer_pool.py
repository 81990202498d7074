"""Pairs of answers to label, and what each is worth by plan: right before polite before brief.

A reward model is learned from labels alone. Here the plan behind the labels is known, so what it learned can be
compared with what it should have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Literal

from lmlab.data.preferences import Preference
from lmlab.data.town.chat import (
    POLITE_ENDINGS,
    ChatQuestion,
    chat_questions,
    with_polite_ending,
    without_polite_ending,
)
from lmlab.sampling import Sampler
from lmlab.text_model import TextModel

FILLER = "Well, that is a good question, and here is what the town says. "
WORTH = {"right": 4, "polite": 2, "brief": 1}  # any two answers that differ in a quality differ in worth
BRIEF_WORDS = 12  # no answer is wordy for fewer, nor for no more than the right one has
_BOTH = (False, True)
_ASKED_BACK = 997  # a seed of its own for the questions that stand where an answer should
ANSWER_TOKENS = 40

Choice = Literal["left", "right", "neither"]
Qualities = tuple[bool, bool, bool]  # right, polite, brief


@dataclasses.dataclass(frozen=True)
class AnswerPair:
    """Two answers to one question, in the order in which they are shown."""

    question: ChatQuestion
    left: str
    right: str

    def preference(self, choice: Choice) -> Preference | None:
        """The label that this choice gives; None for neither."""
        if choice == "neither":
            return None
        chosen, rejected = (self.left, self.right) if choice == "left" else (self.right, self.left)
        return Preference(self.question.question, chosen, rejected)


def judged(question: ChatQuestion, answer: str) -> Qualities:
    """Whether an answer is right, polite and brief.

    >>> judged(ChatQuestion("sum", "What is 3 plus 4?", ("It is 7.",), "3 plus 4"), FILLER + "It is 7.")
    (True, False, False)
    """
    body = without_polite_ending(answer)
    said = body.removeprefix(FILLER)
    enough = max(BRIEF_WORDS, *(len(right.split()) for right in question.answers))
    brief = said == body and len(said.split()) <= enough
    return said in question.answers, body != answer or answer in POLITE_ENDINGS, brief


def worth(question: ChatQuestion, answer: str) -> int:
    """What an answer is worth by plan, from 0 to 7: 4 for right, 2 for polite, 1 for brief."""
    return sum(w for w, has in zip(WORTH.values(), judged(question, answer), strict=True) if has)


def planned(pair: AnswerPair) -> Choice:
    """The choice that the plan makes."""
    left, right = worth(pair.question, pair.left), worth(pair.question, pair.right)
    return "left" if left > right else "right" if right > left else "neither"


def answer_with(question: ChatQuestion, qualities: Qualities, other: str) -> str:
    """An answer with these qualities; one that is not right asks `other`, a question, instead."""
    right, polite, brief = qualities
    text = question.answers[0] if right else other
    text = text if brief else FILLER + text
    return with_polite_ending(text) if polite else text


def all_answers(question: ChatQuestion, other: str) -> tuple[str, ...]:
    """An answer for each of the eight combinations of qualities, worth 0 to 7 in this order."""
    return tuple(answer_with(question, mix, other) for mix in product(_BOTH, _BOTH, _BOTH))


def asked_back(questions: Sequence[ChatQuestion], seed: int, *, held_out: bool = False) -> list[str]:
    """For each question another one, as a base model would go on."""
    others = chat_questions(len(questions) + 8, seed + _ASKED_BACK, held_out=held_out)
    return [
        next(o.question for o in (*others[i:], *others) if o.question != q.question) for i, q in enumerate(questions)
    ]


def preset_pair(question: ChatQuestion, other: str, rng: Random) -> AnswerPair:
    """Two answers that differ in one quality, or, in every second pair, in any; a coin decides which is left."""
    mixes = list(product(_BOTH, _BOTH, _BOTH))
    first = rng.choice(mixes)
    near = [mix for mix in mixes if sum(a != b for a, b in zip(first, mix, strict=True)) == 1]
    second = rng.choice(near if rng.random() < 0.5 else [mix for mix in mixes if mix != first])
    answers = [answer_with(question, mix, other) for mix in (first, second)]
    rng.shuffle(answers)
    return AnswerPair(question, *answers)


def preset_pairs(n: int, seed: int) -> tuple[AnswerPair, ...]:
    """n pairs; the first of them do not depend on n."""
    questions = chat_questions(n, seed)
    backs = asked_back(questions, seed)
    return tuple(
        preset_pair(question, other, Random(f"pair {seed} {i}"))
        for i, (question, other) in enumerate(zip(questions, backs, strict=True))
    )


def annotated(pairs: Sequence[AnswerPair], noise: float, seed: int) -> tuple[Choice, ...]:
    """The plan's choices, of which a share, rounded to whole labels, is the wrong way round."""
    wrong = set(Random(f"annotator {seed}").sample(range(len(pairs)), round(noise * len(pairs))))
    other: dict[Choice, Choice] = {"left": "right", "right": "left", "neither": "neither"}
    return tuple(other[c] if i in wrong else c for i, c in enumerate(map(planned, pairs)))


def sampled_pair(model: TextModel, question: ChatQuestion, seed: int) -> AnswerPair:
    """Two different answers that a model gives to one question, as it comes; a base model goes on after the line.

    Raises ValueError where it says the same twenty times.
    """
    said: list[str] = []
    for k in range(20):
        answer = _asked(model, question.question, 20 * seed + k)
        if answer and answer not in said:
            said.append(answer)
        if len(said) == 2:
            return AnswerPair(question, *said)
    raise ValueError(
        f"{model.name} gives the same answer each time ({(said or [''])[0]!r:.60}): there is nothing to prefer. Leave "
        "the model out for ready pairs."
    )


def _asked(model: TextModel, question: str, seed: int) -> str:
    sampler = Sampler(temperature=1.0)
    if model.chat_template is not None:
        return model.chat(question, ANSWER_TOKENS, sampler=sampler, seed=seed).text.strip()
    return model.generate(question + "\n", ANSWER_TOKENS, sampler=sampler, seed=seed, stop="\n").text.strip()
