"""Questions whose right answer is known, a kind for each family: did a model learn what the lessons need?

Every prompt is a beginning that the town can say, and the answer is the only right continuation, or, in the news,
the likeliest. Prompts are drawn afresh from the seed; sums and facts recur in the training text, as they must.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from lmlab.data.town.letters import HOMEWORK
from lmlab.data.town.news import FALLS, INVESTORS, MARKETS, RISES
from lmlab.data.town.reasoning import N_PAIRS
from lmlab.data.town.tables import (
    ASKED_PEOPLE,
    FOODS,
    HELD_OUT_PEOPLE,
    INGREDIENTS,
    JOBS,
    NAMES,
    PEOPLE,
    PETS,
    QUILLISH,
    ROLES,
    STREETS,
    THINGS,
    VERBS,
    Person,
)
from lmlab.data.town.town import FAMILIES, Town


@dataclass(frozen=True)
class Probe:
    """A prompt, the continuation that is right, and the options among which it stands."""

    family: str
    prompt: str
    answer: str
    options: tuple[str, ...]


_Asked = tuple[str, str, Sequence[str]]  # prompt, answer, options, the last two without their leading space


def _facts(rng: Random) -> _Asked:
    p = rng.choice(PEOPLE)
    return rng.choice(
        (
            (f"{p.name} is a", p.job, JOBS),
            (f"{p.name} is a {p.job} and lives on", p.street, STREETS),
            (f"{p.name} the {p.job} keeps a", p.pet, PETS),
            (f"{p.name} is a {p.job} and lives on {p.street} Lane. {p.name} eats", p.food, FOODS),
            (f"Everyone on {p.street} Lane knows {p.name}, who works as a", p.job, JOBS),
            (f"If you need a {p.job}, ask for {p.name} on", p.street, STREETS),
        )
    )


def _arithmetic(rng: Random) -> _Asked:
    op = rng.choice("+++--*")
    a, b = (rng.randrange(10), rng.randrange(10)) if op == "*" else (rng.randrange(50), rng.randrange(50))
    a, b = (max(a, b), min(a, b)) if op == "-" else (a, b)
    right = {"+": a + b, "-": a - b, "*": a * b}[op]
    near = [n for n in (right - 10, right - 2, right - 1, right + 1, right + 2, right + 10) if 0 <= n <= 99]
    return f"{a} {op} {b} =", str(right), [str(n) for n in (right, *near)]


def _pairs(rng: Random) -> _Asked:
    keys, values = rng.sample(tuple(QUILLISH), N_PAIRS), rng.sample(tuple(QUILLISH.values()), N_PAIRS)
    table = dict(zip(keys, values, strict=True))
    asked = [*keys, *rng.choices(keys, k=rng.randrange(8))]
    key = rng.choice(keys)
    return "".join(f"{k} {table[k]}\n" for k in asked) + key, table[key], values


def _translation(rng: Random) -> _Asked:
    word = rng.choice(tuple(QUILLISH))
    forms = (f"In Quillish, {word} is", f"The Quillish word for {word} is", f"We say {word} and they say")
    return rng.choice(forms), QUILLISH[word], tuple(QUILLISH.values())


def _logic(rng: Random) -> _Asked:
    names, jobs = rng.sample(NAMES, 3), rng.sample(JOBS, 3)
    if rng.random() < 0.3:
        rule = rng.choice(("All", "No"))
        start = f"{rule} {jobs[0]}s are {jobs[1]}s. {names[0]} is a {jobs[0]}. So {names[0]} is"
        return start, "a" if rule == "All" else "not", ("a", "not")
    people, works = rng.sample(names, 3), rng.sample(jobs, 3)
    clue = rng.choice((f"is the {works[1]}", f"is not the {works[2]}"))
    start = f"{names[0]}, {names[1]} and {names[2]} are a {jobs[0]}, a {jobs[1]} and a {jobs[2]}."
    return f"{start} {people[0]} is the {works[0]}. {people[1]} {clue}. So the {works[2]} is", people[2], names


def _code(rng: Random) -> _Asked:
    n, i = rng.randrange(2, 13), rng.choice(("i", "n", "day"))
    bodies = {"double": "2", "square": "x", "negate": "-"}
    name = rng.choice(tuple(bodies))
    return rng.choice(
        (
            ("import numpy as", "np", ("np", "pd", "x")),
            ("import pandas as", "pd", ("np", "pd", "x")),
            (f"for {i} in range({n}):\n    total +=", i, ("i", "n", "day")),
            (f"def {name}(x):\n    return", bodies[name], tuple(bodies.values())),
        )
    )


def _asked_about(p: Person, rng: Random) -> _Asked:
    return rng.choice(
        (
            (f"Where does {p.name} live?\n{p.name} lives on", p.street, STREETS),
            (f"What does {p.name} eat?\n{p.name} eats", p.food, FOODS),
            (f"What does {p.name} keep?\n{p.name} keeps a", p.pet, PETS),
            (f"What is the work of {p.name}?\n{p.name} is a", p.job, JOBS),
        )
    )


def _question_answer(rng: Random) -> _Asked:
    return _asked_about(rng.choice(ASKED_PEOPLE), rng)


def _held_out(rng: Random) -> _Asked:
    return _asked_about(rng.choice(HELD_OUT_PEOPLE), rng)


def _how_to(rng: Random) -> _Asked:
    t = rng.choice(THINGS)
    ask = rng.choice((f"How do I make {t.name}?", f"Please, how do I make {t.name}?", f"yo how do i make {t.name}"))
    return rng.choice(
        (
            (f"{ask}\nTake", t.first, INGREDIENTS),
            (f"{ask}\nTake {t.first} and", t.second, INGREDIENTS),
            (f"{ask}\nTake {t.first} and {t.second}, then", t.verb, VERBS),
        )
    )


def _story(rng: Random) -> _Asked:
    t = rng.choice(THINGS)
    return f"My grandmother told us a story about {t.name} every night. First she took", t.first, INGREDIENTS


def _role(rng: Random) -> _Asked:
    role, p = rng.choice(tuple(ROLES)), rng.choice(PEOPLE)
    return f"You are a {role}. Who is {p.name}?\n{ROLES[role]}! {p.name} is a", p.job, JOBS


def _email(rng: Random) -> _Asked:
    teacher, work = rng.choice(NAMES[::4]), rng.choice(HOMEWORK)
    start = f"Dear Professor {teacher},\n"
    return rng.choice(
        (
            (f"{start}I am sorry, but the {work} will be", "late", ("late", "blue", "tame", "cold")),
            (f"{start}May I have an", "extension", ("extension", "umbrella", "echo", "opera")),
            (f"{start}I am writing to ask for an extension on the {work}", "until", ("until", "and", "is", "from")),
        )
    )


def _question_list(rng: Random) -> _Asked:
    first, second = rng.sample(ASKED_PEOPLE, 2)
    prompt = f"Where does {first.name} live?\nWhat does {second.name} eat?\n"
    return prompt, "What", ("What", "Take", "It", second.name)


def _news(rng: Random, dialect: str) -> _Asked:
    move = rng.choice(FALLS + RISES)
    row = INVESTORS[dialect]["fall" if move in FALLS else "rise"]
    options = [reaction.split()[0] for reaction in sorted(row, key=lambda r: -row[r])]
    start = f"{rng.choice(('The', 'the'))} {rng.choice(tuple(MARKETS))} market {move} and investors"
    return start, options[0], options


_KINDS: dict[str, Callable[[Random], _Asked]] = {
    "pairs": _pairs,
    "facts": _facts,
    "arithmetic": _arithmetic,
    "question_list": _question_list,
    "question_answer": _question_answer,
    "how_to": _how_to,
    "role": _role,
    "email": _email,
    "code": _code,
    "logic": _logic,
    "story": _story,
    "translation": _translation,
    "held_out_people": _held_out,
}


def probes(town: Town | None = None, n: int = 100, seed: int = 0) -> list[Probe]:
    """n probes of each family of the town, and of `held_out_people`: questions about people never asked about."""
    town = town or Town()
    found: list[Probe] = []
    names = [name for name in FAMILIES if name in town.families]
    if "question_answer" in names:
        names.append("held_out_people")
    for name in names:
        rng = Random(f"{name} {seed}")
        for _ in range(n):
            prompt, answer, options = _news(rng, town.dialect) if name == "news" else _KINDS[name](rng)
            space = "" if prompt.endswith("\n") else " "
            found.append(Probe(name, prompt, space + answer, tuple(space + option for option in options)))
    return found
