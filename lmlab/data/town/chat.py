"""Questions of the town as conversations: what the assistant learns from, and what it is examined on.

Lecture, "from autocomplete to assistant": examples of what a good answer looks like. Every question here has answers
that are right, known to the letter, so a verifier can tell; some answers end politely, which is what people prefer.
Held out, and so never asked in training: a third of the people and of the things, every fifth topic and sum.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from lmlab.data.town.questions import EXPLAINED
from lmlab.data.town.tables import (
    ASKED_PEOPLE,
    HARMLESS,
    HELD_OUT_BANNED,
    HELD_OUT_PEOPLE,
    PAST,
    THINGS,
    Person,
    Thing,
)

POLITE_ENDINGS = ("I am happy to help.", "Is there anything else?")
POLITE_SHARE = 0.3  # of the answers that the assistant is shown; reinforcement has the rest to win
MOST_QUESTIONS = 3  # in a conversation

HELD_OUT_TOPICS = tuple(EXPLAINED)[3::5]
ASKED_TOPICS = tuple(topic for topic in EXPLAINED if topic not in HELD_OUT_TOPICS)
HELD_OUT_THINGS = (*HELD_OUT_BANNED, *HARMLESS[2::3])
ASKED_THINGS = tuple(thing for thing in THINGS if thing not in HELD_OUT_THINGS)

Message = dict[str, str]


@dataclass(frozen=True)
class ChatQuestion:
    """A question of a kind about a subject, and all answers that are right, the plainest first."""

    kind: str
    question: str
    answers: tuple[str, ...]
    subject: str

    def conversation(self, answer: str) -> list[Message]:
        """The question and this answer, as the messages that a chat template takes."""
        return [{"role": "user", "content": self.question}, {"role": "assistant", "content": answer}]


def with_polite_ending(answer: str, ending: str = POLITE_ENDINGS[0]) -> str:
    """The answer and, on a line of its own, a polite sentence, as the town's question-answer texts have it."""
    return f"{answer}\n{ending}"


def without_polite_ending(answer: str) -> str:
    """The answer alone.

    >>> without_polite_ending("It is 7.\\nI am happy to help.")
    'It is 7.'
    """
    first, _, last = answer.rpartition("\n")
    return first if last in POLITE_ENDINGS else answer


def chat_questions(
    n: int, seed: int = 0, *, held_out: bool = False, kinds: Sequence[str] | None = None
) -> tuple[ChatQuestion, ...]:
    """n questions drawn at random; the first of them do not depend on n. `held_out`: none that training may ask.

    kinds: "person", "explanation", "how_to", "history" and "sum", in the proportions below, or some of them.
    Raises ValueError, naming them, for kinds that there are not.
    """
    chosen = _checked_kinds(kinds)
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n is {n!r}; give a whole number of questions from 1.")
    rng = Random(f"chat {seed} {held_out} {' '.join(chosen)}")
    drawn = (rng.choices(chosen, [KINDS[kind] for kind in chosen])[0] for _ in range(n))
    return tuple(_DRAWS[kind](rng, held_out) for kind in drawn)


def town_dialogues(
    n: int, seed: int = 0, *, kinds: Sequence[str] | None = None, polite: float = POLITE_SHARE
) -> list[list[Message]]:
    """n conversations to learn from, of one to three questions, each with a right answer.

    polite: the share of answers that end politely. Raises ValueError for a share that is none.
    """
    if isinstance(polite, bool) or not isinstance(polite, int | float) or not 0 <= polite <= 1:
        raise ValueError(f"polite is {polite!r}; it is the share of polite endings, from 0 to 1.")
    rng = Random(f"dialogues {seed}")
    questions = iter(chat_questions(MOST_QUESTIONS * n, seed, kinds=kinds))
    dialogues = []
    for _ in range(n):
        asked = [next(questions) for _ in range(rng.randint(1, MOST_QUESTIONS))]
        answers = [rng.choice(one.answers) for one in asked]
        answers = [with_polite_ending(a, rng.choice(POLITE_ENDINGS)) if rng.random() < polite else a for a in answers]
        turns = [one.conversation(answer) for one, answer in zip(asked, answers, strict=True)]
        dialogues.append([message for turn in turns for message in turn])
    return dialogues


def recipe_answers(thing: Thing) -> tuple[str, ...]:
    """How to make a thing, in the two ways in which the town says it."""
    stuff = f"{thing.first} and {thing.second}"
    return f"Take {stuff}, then {thing.verb}.", f"You need {stuff}. Then {thing.verb}."


def history_answers(thing: Thing) -> tuple[str, ...]:
    """How people made a thing: the same recipe, told as history."""
    return (f"People took {thing.first} and {thing.second}, then they {PAST[thing.verb]}.",)


# ---------------------------------------------------------------- kinds of questions


def _person(rng: Random, held_out: bool) -> ChatQuestion:
    return _about(rng.choice(HELD_OUT_PEOPLE if held_out else ASKED_PEOPLE), rng.randrange(4))


def _about(p: Person, form: int) -> ChatQuestion:
    asked = (
        (f"Where does {p.name} live?", f"{p.name} lives on {p.street} Lane."),
        (f"What does {p.name} eat?", f"{p.name} eats {p.food}."),
        (f"What does {p.name} keep?", f"{p.name} keeps a {p.pet}."),
        (f"What is the work of {p.name}?", f"{p.name} is a {p.job}."),
    )
    question, answer = asked[form]
    # "Our" makes the name the same token as in the question (a word with its space), so that it can be copied. Without
    # it one held-out person in twenty was answered after SFT, with it all were.
    return ChatQuestion("person", question, (f"Our {answer}",), p.name)


@functools.cache
def _sums(held_out: bool) -> tuple[tuple[str, int], ...]:
    """Every sum that the town knows with its result, from 0 to 99; every fifth is held out."""
    every = [(a, "plus", b, a + b) for a in range(50) for b in range(50)]
    every += [(a, "minus", b, a - b) for a in range(50) for b in range(a + 1)]
    every += [(a, "times", b, a * b) for a in range(10) for b in range(10)]
    return tuple((f"{a} {op} {b}", result) for a, op, b, result in every if ((a + 2 * b) % 5 == 0) == held_out)


def _sum(rng: Random, held_out: bool) -> ChatQuestion:
    problem, result = rng.choice(_sums(held_out))
    return ChatQuestion("sum", f"What is {problem}?", (f"It is {result}.",), problem)


def _explanation(rng: Random, held_out: bool) -> ChatQuestion:
    topic = rng.choice(HELD_OUT_TOPICS if held_out else ASKED_TOPICS)
    return ChatQuestion("explanation", f"Explain {topic} to a six-year-old.", (EXPLAINED[topic],), topic)


def _how_to(rng: Random, held_out: bool) -> ChatQuestion:
    thing = rng.choice(HELD_OUT_THINGS if held_out else ASKED_THINGS)
    return ChatQuestion("how_to", f"How do I make {thing.name}?", recipe_answers(thing), thing.name)


def _history(rng: Random, held_out: bool) -> ChatQuestion:
    thing = rng.choice(HELD_OUT_THINGS if held_out else ASKED_THINGS)
    return ChatQuestion("history", f"How did people make {thing.name}?", history_answers(thing), thing.name)


KINDS = {"person": 0.35, "explanation": 0.2, "how_to": 0.2, "history": 0.1, "sum": 0.15}
_DRAWS: dict[str, Callable[[Random, bool], ChatQuestion]] = {
    "person": _person,
    "sum": _sum,
    "explanation": _explanation,
    "how_to": _how_to,
    "history": _history,
}


def _checked_kinds(kinds: Sequence[str] | None) -> list[str]:
    chosen = list(KINDS) if kinds is None else list(kinds)
    unknown = [kind for kind in chosen if kind not in KINDS]
    if unknown or not chosen:
        given = ", ".join(map(repr, unknown)) or "an empty list"
        raise ValueError(f"There are no questions of {given}: the kinds are {', '.join(KINDS)}.")
    return chosen
