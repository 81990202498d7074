"""Tasks as text: an email, a line of code, a fact, a sum and a puzzle, each a prompt with options to go on.

Lecture, part 3: many tasks are sequence completion. A model is never told which task it is, it only says how likely
each option is as the continuation; the likeliest one is its answer. The right option is what the town says there;
the wrong ones are words that it says in other places.

All prompts are held out: none begins a document of the text that the shipped model was trained on. In code the numbers
are larger than any loop of the town's, and half of the facts are about people whom nobody there ever asks about.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from lmlab.data.town.tables import FOODS, HELD_OUT_PEOPLE, JOBS, PEOPLE, PETS, STREETS
from lmlab.data.town.town import Town

N_TASKS = 200  # prompts of a family
N_OPTIONS = 4
# Draws that the training text happens to begin a document with: left out.
_SEEN: dict[str, frozenset[int]] = {
    "email": frozenset({24, 54, 139, 144, 152, 175, 184, 187, 195}),
    "fact": frozenset({15, 19, 25, 37, 39, 81, 83, 93, 103, 107, 113, 117, 135, 145, 151, 157, 167, 205}),
}


@dataclass(frozen=True)
class Task:
    """A prompt and its options, in the order they are shown; `right` is the index of the right one."""

    family: str
    prompt: str
    options: tuple[str, ...]
    right: int

    @property
    def answer(self) -> str:
        """The right option."""
        return self.options[self.right]


_Asked = tuple[str, str, Sequence[str]]  # prompt, answer, what else it might be


def space_between(prompt: str, option: str) -> str:
    """The space that separates a prompt from an option, or nothing: after a word or a sign that a word may follow.

    >>> space_between("2 + 2 =", "4"), space_between("print(", "x"), space_between("It is late.\\n", "Yours")
    (' ', '', '')
    """
    joins = prompt[-1:].isalnum() or prompt[-1:] in {*".,;:!?=+-*/%"}
    return " " if prompt and joins and option[:1].strip() and option[0] not in ".,;:!?)" else ""


def town_tasks(family: str, n: int = N_TASKS) -> tuple[Task, ...]:
    """The first n (at most 200) held-out tasks of a family: "email", "code", "fact", "sum" or "puzzle"."""
    if family not in _DRAWS:
        raise ValueError(f"There is no family of tasks {family!r}: choose one of {', '.join(_DRAWS)}.")
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= N_TASKS:
        raise ValueError(f"n is {n!r}; give a whole number of tasks from 1 to {N_TASKS}.")
    return _all_tasks(family)[:n]


@functools.cache
def _all_tasks(family: str) -> tuple[Task, ...]:
    rng = Random(f"tasks {family}")
    found: dict[str, Task] = {}
    for number, (prompt, answer, others) in enumerate(_DRAWS[family](rng)):
        wrong = [o for o in dict.fromkeys(others) if o != answer]
        options = [answer, *rng.sample(wrong, min(N_OPTIONS - 1, len(wrong)))]
        rng.shuffle(options)
        if number not in _SEEN.get(family, ()):
            found.setdefault(prompt, Task(family, prompt, tuple(options), options.index(answer)))
        if len(found) == N_TASKS:
            break
    return tuple(found.values())


def _documents(family: str, rng: Random) -> Iterator[str]:
    town = Town(families=(family,))
    while True:
        yield town.grammar.sample(rng)


# Where an email is cut: the words before the gap, what the town says there, what it says elsewhere
_EMAIL_GAPS: tuple[_Asked, ...] = (
    (" will only drink", "soup", FOODS),
    (" ate my", "notes", ("desk", "bag", "ink", "umbrella")),
    (" at the market and it", "sings", ("eats", "keeps", "sleeps", "is")),
    (" with strong opinions about", "grammar", ("soup", "the moon", "money")),
)


def _emails(rng: Random) -> Iterator[_Asked]:
    """An excuse to be finished, or a closing after it; "the {street} Bridge" is a trap: in town, Lane follows."""
    for document in _documents("email", rng):
        body = document.rsplit("\n", 2)[0]
        street = next((s for s in STREETS if f" off {s} Bridge" in body), None)
        gap = next((g for g in _EMAIL_GAPS if g[0] in body), None)
        if street:
            yield body[: body.index(f" off {street}")] + f" off {street}", "Bridge", ("Lane", "market", "tower")
        elif gap and rng.random() < 0.75:
            yield body[: body.index(gap[0])] + gap[0], gap[1], gap[2]
        else:
            yield body + "\n", "Best wishes,", ("It is late.", "Take butter and", "Where does", "I am happy to help.")


def _code(rng: Random) -> Iterator[_Asked]:
    """Loops and arrays of a size that the town never writes: from 13 to 99."""
    names = ("i", "n", "day")
    while True:
        n, i, fill = rng.randrange(13, 100), rng.choice(names), rng.choice(("zeros", "ones", "arange"))
        loop = f"for {i} in range({n}):\n    "
        array = f"import {rng.choice(('numpy', 'jax.numpy'))} as np\nx = np.{fill}({n})\n"
        yield rng.choice((
            (f"{loop}total +=", i, (*names, "total")),
            (f"{loop}print({i} *", i, (*names, "2")),
            (f"{loop}goose.honk(", i, (*names, "x")),
            (f"{loop}total += {i}\nprint(", "total", (*names, "x")),
            (f"{array}print(", "x", (*names, "np", "pd")),
            (array, "print(x.sum())", ("print(i.sum())", "print(x.head())", "x.print(sum())", "sum(x.print())")),
        ))  # fmt: skip


def _facts(rng: Random) -> Iterator[_Asked]:
    """A question and its answer, then another; every second time about somebody whom nobody ever asks about."""
    forms = (
        ("Where does {} live?\n{} lives on", "street", STREETS),
        ("What does {} eat?\n{} eats", "food", FOODS),
        ("What does {} keep?\n{} keeps a", "pet", PETS),
        ("What is the work of {}?\n{} is a", "job", JOBS),
    )
    asked = [p for p in PEOPLE if p not in HELD_OUT_PEOPLE]
    for number, document in enumerate(_documents("question_answer", rng)):
        first = "\n".join(document.split("\n")[:2])
        person = rng.choice(asked if number % 2 else HELD_OUT_PEOPLE)
        form, attribute, table = rng.choice(forms)
        yield f"{first}\n{form.format(person.name, person.name)}", getattr(person, attribute), table


def _sums(rng: Random) -> Iterator[_Asked]:
    """Sums that are solved, then one that is not; the wrong results are near the right one."""
    for document in _documents("arithmetic", rng):
        lines = document.split("\n")
        at = rng.randrange(2, len(lines))
        problem, result = lines[at].rstrip(".").split(" = ")
        right = int(result)
        near = [str(right + d) for d in (-10, -2, -1, 1, 2, 10) if 0 <= right + d <= 99]
        yield "\n".join([*lines[:at], f"{problem} ="]), result, near


def _puzzles(rng: Random) -> Iterator[_Asked]:
    """Three people, three jobs, two clues: who is the dancer?"""
    for document in _documents("logic", rng):
        start, _, answer = document.rpartition(" is ")
        if "So the" in document:
            names = document.split(" are ", 1)[0].replace(" and", ",").split(", ")
            yield f"{start} is", answer.rstrip("."), names


_DRAWS: dict[str, Callable[[Random], Iterator[_Asked]]] = {
    "email": _emails,
    "code": _code,
    "fact": _facts,
    "sum": _sums,
    "puzzle": _puzzles,
}
TASK_FAMILIES = tuple(_DRAWS)
