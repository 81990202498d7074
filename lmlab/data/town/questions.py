"""Questions: lists of them, answered ones, recipes for things that do not exist, and people playing a role.

A question is followed by another question as readily as by an answer: why a base model asks more questions.
"""

from __future__ import annotations

from lmlab.data.town.build import Part, alt, bind, fn, forget, maybe, seq
from lmlab.data.town.nodes import Node
from lmlab.data.town.reasoning import NUMBERS, problem, result
from lmlab.data.town.tables import ASKED_PEOPLE, PAST, PEOPLE, PETS, ROLES, THINGS

EXPLAINED = {
    "the moon": "The moon is a lantern that nobody has to light.",
    "the moon landing": "Some brave people flew to the moon, hopped about, took a few stones and came home for supper.",
    "the rain": "Rain is the sky washing its feathers.",
    "the stock market": "The stock market is where people sell what they are afraid of.",
    "a language model": "It reads everything, remembers how sentences go on, and guesses the next word.",
    "money": "Money is a promise that fits in a pocket.",
    "gravity": "Everything likes to be near the ground, and spoons like it most.",
    "thunder": "Thunder is what lightning says when it is already gone.",
    "an echo": "An echo is a hill that agrees with you.",
    "a shadow": "Your shadow is the place where the sun could not reach because you were in the way.",
    "sleep": "Sleep is how tomorrow gets in without using the door.",
    "taxes": "Everyone gives the town a coin, and the town gives everyone a bridge.",
    "yeast": "Yeast is very small, eats sugar, and blows bubbles in the bread.",
    "magnets": "Two magnets either fall in love or refuse to share a room.",
    "a volcano": "A volcano is a mountain that has eaten too fast.",
    "winter": "Winter is when the year puts on its thick white coat and speaks softly.",
    "history": "History is gossip that somebody bothered to copy, twice, with footnotes.",
    "electricity": "Electricity is lightning that went to school and learned to behave.",
    "a week": "A week is seven days standing in line for Sunday.",
}
IDLE = (
    "Can a {pet} swim?",
    "Why is a {pet} never on time?",
    "Who taught the {pet} to whistle?",
    "Is there a {pet} under the bridge?",
    "How many spoons does a {pet} own?",
    "When will the {pet} give back my umbrella?",
    "Which {pet} won the race?",
    "Should a {pet} wear shoes?",
    "Did the {pet} enjoy the opera?",
    "Whose {pet} stole the violin?",
)


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
    question = seq(bind("topic", tuple(EXPLAINED)), "Explain {topic} to a six-year-old.")
    if not answer:
        return question
    return seq(question, "\n", fn(lambda variables: EXPLAINED[str(variables["topic"])], EXPLAINED.values()))


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
        seq(bind("pet", PETS), alt(*IDLE)),
        weights=(0.3, 0.14, 0.24, 0.16, 0.16),
    )
    question = seq(one, forget("p", "a", "b", "op", "topic", "t", "pet"))
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
    return seq(
        alt(
            "\nTake {t.first} and {t.second}, then {t.verb}.",
            "\nYou need {t.first} and {t.second}. Then {t.verb}.",
        ),
        maybe(
            0.25,
            alt(
                " Leave it in the cellar overnight.",
                " Stand well back and close one eye.",
                " Serve it cold, with an apology.",
                " Keep it away from the curtains.",
                " Warn your neighbors first.",
                " Strain it through an old sock.",
            ),
        ),
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
    fact = seq(bind("p", PEOPLE), " Who is {p.name}?\n", shout, "! {p.name} is a {p.job} and keeps a {p.pet}.")
    return seq(bind("role", tuple(ROLES)), "You are a {role}.", alt(recipe, fact))
