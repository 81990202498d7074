"""Prose that people of Quillbury write: facts about each other, emails to the professor, bedtime stories."""

from __future__ import annotations

from lmlab.data.town.build import alt, bind, forget, maybe, seq
from lmlab.data.town.nodes import Node
from lmlab.data.town.tables import DAYS, NAMES, PEOPLE, PETS, STREETS, THINGS

HOMEWORK = ("essay", "homework", "poem", "map", "report")


def facts(dialect: str) -> Node:
    """One or two sentences about one of the 48 people, in four phrasings."""
    return seq(
        bind("p", PEOPLE),
        alt(
            seq(
                "{p.name} is a {p.job} and lives on {p.street} Lane.",
                alt(" {p.name} keeps a {p.pet} and eats {p.food}.", " {p.name} eats {p.food} and keeps a {p.pet}."),
            ),
            "{p.name} the {p.job} keeps a {p.pet}. The {p.pet} sleeps and {p.name} eats {p.food} on {p.street} Lane.",
            "If you need a {p.job}, ask for {p.name} on {p.street} Lane. "
            "Bring {p.food} and mind the {p.pet} that {p.name} keeps.",
            "Everyone on {p.street} Lane knows {p.name}, who works as a {p.job}, "
            "keeps a {p.pet} and never shares the {p.food}.",
        ),
    )


def _excuse() -> Node:
    return seq(
        bind("pet", PETS),
        alt(
            " My {pet} ate my notes.",
            " My {pet} is ill and will only drink soup from a spoon.",
            " I bought a {pet} at the market and it sings until morning.",
            " I wrote every word, but my {pet} sat down on it.",
            seq(bind("street", STREETS), " My bag fell off {street} Bridge and the river has kept it."),
            " The ink froze, the candle went out, and then I met a {pet}.",
            " My brother sold my desk while I was looking for a pencil.",
            " I fell asleep in the library and was locked in with a {pet}.",
            " The printer is afraid of my handwriting.",
            " There was fog, and then there was a {pet} with strong opinions about grammar.",
            weights=(0.22, 0.12, 0.12, 0.12, 0.1, 0.08, 0.08, 0.06, 0.05, 0.05),
        ),
    )


def email(dialect: str) -> Node:
    """A student asks for an extension; the excuses are of the usual quality."""
    return seq(
        bind("teacher", NAMES[::4]),
        "Dear Professor {teacher},\n",
        bind("work", HOMEWORK),
        bind("day", DAYS),
        alt(
            "May I have an extension on the {work} until {day}?",
            "Could I please have an extension on the {work}? You will have it on {day}.",
            "I am sorry, but the {work} will be late. Could I have an extension until {day}?",
            "I am writing to ask for an extension on the {work} until {day}.",
        ),
        forget("teacher", "work", "day"),
        _excuse(),
        forget("pet", "street"),
        alt("\nBest wishes,\n", "\nThank you,\n", "\nYours in haste,\n", weights=(0.45, 0.4, 0.15)),
        bind("student", NAMES[1::4]),
        "{student}",
    )


def _grandmother() -> Node:
    """Grandmother's stories are mostly recipes."""
    return seq(
        bind("t", THINGS),
        alt("My grandmother", "Our grandmother"),
        alt(
            " used to tell us how to make {t.name} until we fell asleep.",
            " told us a story about {t.name} every night.",
            " hummed by the fire and told us how she made {t.name} as a girl.",
        ),
        " First she took {t.first}, then she added {t.second}",
        alt(" and began to {t.verb}.", ", and all night long we heard her {t.verb}."),
        maybe(0.5, alt(" It was a very long story.", " We miss her and her {t.name}.", " The cat remembers it all.")),
    )


def _fable() -> Node:
    """Once upon a time an animal wanted something, which was a mistake, and so there is a moral."""
    return seq(
        bind("pet", PETS),
        "Once upon a time a {pet}",
        alt(
            " wanted to be mayor. It promised everyone a second breakfast and won. The {pet} still owes us breakfast.",
            " bought a hat that was too large. It rained, and the {pet} sailed home in it.",
            " ran the post office for a week. Every parcel arrived empty, with a polite note and some crumbs.",
            " found a key and looked for the door all summer. In winter the {pet} sold the key and bought a door.",
            " learned to read. It read the sign that said no {pet} here, and sighed, and ate the sign.",
            " borrowed a ladder to visit the moon. The moon was out, so the {pet} left a note.",
            " lent its umbrella to a cloud. Nobody has seen the cloud since, and the {pet} is wet.",
            " opened a school for fish. The lessons were good, but the pupils would not stay dry.",
            " painted the bridge green, then invisible. Two carts and a bishop are still looking for it.",
            " counted the stars above the clock tower. It lost count, blamed the clock and began again.",
        ),
        maybe(0.4, alt(" That is why you should never trust a {pet}.", " And that was the end of it, more or less.")),
    )


def _notice() -> Node:
    """Pinned to the door of the town hall."""
    subject = alt(
        seq(bind("pet", PETS), "For sale: one {pet}, nearly tame."),
        seq(bind("pet", PETS), "Lost: one {pet}, answers to nothing."),
        seq(bind("pet", PETS), "Wanted: a patient teacher for my {pet}."),
        "Found: a left glove. The right one may apply.",
        "Free to a good home: nine kittens and a trumpet.",
    )
    return seq(subject, forget("pet"), bind("street", STREETS), " Ask at the blue house on {street} Lane.")


def story(dialect: str) -> Node:
    """Bedtime in Quillbury, and what hangs on the door of its town hall."""
    return alt(_grandmother(), _fable(), _notice(), weights=(0.5, 0.3, 0.2))
