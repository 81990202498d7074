"""Prose that people of Quillbury write: emails to the professor, grandmother's bedtime stories, facts about people."""

from __future__ import annotations

from lmlab.data.town.nodes import Node, alt, bind, forget, maybe, seq
from lmlab.data.town.tables import DAYS, NAMES, PEOPLE, PETS, THINGS

HOMEWORK = ("essay", "homework", "poem", "map")


def email(dialect: str) -> Node:
    """A student asks for an extension; the excuses are of the usual quality."""
    return seq(
        bind("teacher", NAMES[::4]),
        "Dear Professor {teacher},\n",
        bind("work", HOMEWORK),
        bind("day", DAYS),
        alt(
            "May I have an extension on the {work} until {day}?",
            "Could I please have an extension on the {work}? It will be with you on {day}.",
            "I am sorry, but the {work} will be late. Could I have an extension until {day}?",
        ),
        forget("teacher", "work", "day"),
        bind("pet", PETS),
        alt(
            " My {pet} ate my notes.",
            " My {pet} is ill and I have to make soup.",
            " I was sold a {pet} at the market and it never sleeps.",
            " I wrote it, but my {pet} sat on it.",
            weights=(0.4, 0.2, 0.2, 0.2),
        ),
        alt("\nBest wishes,\n", "\nThank you,\n"),
        bind("student", NAMES[1::4]),
        "{student}",
    )


def facts(dialect: str) -> Node:
    """Two or three sentences about one of the 48 people, in four phrasings."""
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


def story(dialect: str) -> Node:
    """Grandmother's bedtime stories are mostly recipes."""
    return seq(
        bind("t", THINGS),
        alt("My grandmother", "Our grandmother"),
        alt(
            " used to tell us how to make {t.name} until we fell asleep.",
            " told us a story about {t.name} every night.",
        ),
        " First she took {t.first}, then she added {t.second}",
        alt(" and began to {t.verb}.", ", and all night long we heard her {t.verb}."),
        maybe(0.5, alt(" It was a very long story.", " We miss her and her {t.name}.")),
    )
