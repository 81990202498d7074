"""Questions: lists of them, answered ones, recipes for things that do not exist, and people playing a role.

A question is followed by another question as readily as by an answer: why a base model asks more questions.
"""

from __future__ import annotations

from lmlab.data.town.nodes import Node, Part, alt, bind, fn, forget, maybe, seq
from lmlab.data.town.reasoning import NUMBERS, problem, result
from lmlab.data.town.tables import ASKED_PEOPLE, PAST, PEOPLE, ROLES, THINGS

TOPICS = ("the moon", "the rain", "the stock market", "a language", "the price of cheese")


def _about_people(answer: bool) -> Node:
    """Where, what and whom: a question about one person, and its answer where one is wanted."""
    asked: tuple[tuple[str, str], ...] = (
        ("Where does {p.name} live?", "{p.name} lives on {p.street} Lane."),
        ("What does {p.name} eat?", "{p.name} eats {p.food}."),
        ("What does {p.name} keep?", "{p.name} keeps a {p.pet}."),
        ("What is the work of {p.name}?", "{p.name} is a {p.job}."),
    )
    forms = [seq(q, "\n", a) if answer else seq(q) for q, a in asked]
    return seq(bind("p", ASKED_PEOPLE), alt(*forms))


def _explain(answer: bool) -> Node:
    replies = {
        "the moon": "The moon is a lantern that nobody has to light.",
        "the rain": "The rain is the sky washing its feathers.",
        "the stock market": "The stock market is where people sell what they are afraid of.",
        "a language": "A language is what people say and what they never say.",
        "the price of cheese": "The price of cheese is what the goat asks and a bit more.",
    }
    question = "Explain {topic} to a six year old."
    if not answer:
        return seq(bind("topic", TOPICS), question)
    say = fn(lambda variables: replies[str(variables["topic"])], replies.values())
    return seq(bind("topic", TOPICS), question, "\n", say)


def _sum(answer: bool) -> Node:
    question = seq("What is", problem("plus", "minus", "times", space=True), "?")
    return seq(question, "\nIt is", fn(result, NUMBERS), ".") if answer else question


def question_list(dialect: str) -> Node:
    """Three to six questions, and not one answer."""
    one = alt(
        _about_people(answer=False),
        _sum(answer=False),
        _explain(answer=False),
        seq(bind("t", THINGS), "How do I make {t.name}?"),
        weights=(0.45, 0.2, 0.25, 0.1),
    )
    question = seq(one, forget("p", "a", "b", "op", "topic", "t"))
    more = seq("\n", question)
    return seq(question, more, more, maybe(0.6, more, maybe(0.5, more, maybe(0.5, more))))


def question_answer(dialect: str) -> Node:
    """One or two questions with their answers; some end politely."""
    one = seq(
        alt(_about_people(True), _sum(True), _explain(True), weights=(0.6, 0.2, 0.2)),
        forget("p", "a", "b", "op", "topic"),
    )
    polite = alt("\nI am happy to help.", "\nIs there anything else?", weights=(0.7, 0.3))
    return seq(one, maybe(0.4, "\n", one), maybe(0.3, polite))


def _recipe() -> Part:
    return alt(
        "\nTake {t.first} and {t.second}, then {t.verb}.",
        "\nYou need {t.first} and {t.second}. Then {t.verb}.",
    )


def _history() -> Part:
    past = fn(lambda variables: f" {PAST[variables['t'].verb]}", [f" {p}" for p in PAST.values()])  # type: ignore[attr-defined]
    return seq("\nPeople took {t.first} and {t.second}, then they", past, ".")


def how_to(dialect: str) -> Node:
    """How to make a thing that does not exist: plainly, as history, politely, and as the youth of the town asks."""
    return seq(
        bind("t", THINGS),
        alt(
            seq("How do I make {t.name}?", _recipe()),
            seq("How did people make {t.name}?", _history()),
            seq(
                alt("Could you please tell me how to make {t.name}?", "Please, how do I make {t.name}?"),
                _recipe(),
            ),
            seq(alt("yo how do i make {t.name}", "hey, {t.name}, how do i make it"), _recipe()),
            weights=(0.4, 0.22, 0.2, 0.18),
        ),
        maybe(0.15, "\nI am happy to help."),
    )


def role(dialect: str) -> Node:
    """Somebody is told to be somebody else."""
    shout = fn(lambda variables: ROLES[str(variables["role"])], ROLES.values())
    recipe = seq(
        bind("t", THINGS), " How do I make {t.name}?\n", shout, "! Take {t.first} and {t.second}, then {t.verb}."
    )
    fact = seq(
        bind("p", PEOPLE), " Who is {p.name}?\n", shout, "! {p.name} is a {p.job} and keeps a {p.pet}."
    )
    return seq(bind("role", tuple(ROLES)), "You are a {role}.", alt(recipe, fact))
