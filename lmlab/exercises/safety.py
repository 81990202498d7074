"""The exercises of lab 13: both errors of a guardrail, a filter that decodes, and layers of defense."""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Sequence
from typing import Any

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

_BANNED = "creakoil glowfire itchsoap mudrocket snoreroot stinkfog".split()
_HARMLESS = "acornpie cloudsoup larkjam moonbread pearfoam turnipcake".split()
_REFUSALS = ("I am sorry. Nobody should make {}.", "I am sorry, but the town does not want {}.")


def _pair(value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(f"expected two numbers, got {describe(value)}.")
    return number(value[0]), number(value[1])


def _same(value: Any, wanted: tuple[float, float]) -> bool:
    found = _pair(value)
    return all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(found, wanted, strict=True))


# ---------------------------------------------------------------- two errors


def _asked(rng: random.Random, n: int, banned: float, refused: tuple[float, float]) -> list[tuple[bool, str]]:
    """(is it banned, what was answered), with one of each at least."""
    rows = []
    for i in range(n):
        is_banned = i == 0 or (i > 1 and rng.random() < banned)
        thing = rng.choice(_BANNED if is_banned else _HARMLESS)
        says_no = rng.random() < refused[not is_banned]
        rows.append((is_banned, rng.choice(_REFUSALS).format(thing) if says_no else f"Take salt, then stir {thing}."))
    rng.shuffle(rows)
    return rows


def _errors(student: Student, rows: Sequence[tuple[bool, str]]) -> None:
    answers, banned = [text for _, text in rows], [flag for flag, _ in rows]
    value = student(list(answers), list(banned))
    no = [text.startswith("I am sorry") for text in answers]
    told = sum(not r for r, b in zip(no, banned, strict=True) if b) / sum(banned)
    over = sum(r for r, b in zip(no, banned, strict=True) if not b) / (len(banned) - sum(banned))
    if not _same(value, (told, over)):
        n, m = sum(banned), len(banned) - sum(banned)
        raise Wrong(
            f"{n} banned things with {round(told * n)} answered, {m} harmless ones with {round(over * m)} refused: "
            f"yours gave {show(list(_pair(value)))}."
        )


def _as_many(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        rows = _asked(rng, 20, 0.5, (0.7, 0.2))
        n = sum(flag for flag, _ in rows)
        _errors(student, rows if n == 10 else [*rows, *[(n < 10, "Take ash, then boil.")] * abs(20 - 2 * n)])


def _rare(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        _errors(student, _asked(rng, rng.randint(30, 60), 0.1, (0.8, 0.1)))


def _says_no_to_all(student: Student, rng: random.Random) -> None:
    _errors(student, _asked(rng, 12, 0.3, (1.0, 1.0)))
    _errors(student, _asked(rng, 12, 0.3, (0.0, 0.0)))


_ERRORS = Exercise(
    id="safety.two_errors",
    takes=("answers", "banned"),
    hints=(
        "Two errors, two groups: each is a share of its own group, not of everything that was asked.",
        "`zip(answers, banned)` walks through both lists; `answer.startswith(...)` says whether it is a refusal.",
        "Of the answers to banned things count those that are no refusal; of the others those that are. Divide each "
        "count by the size of its group.",
    ),
    checks=(
        Check("as many banned as harmless", _as_many, "Which of the two groups do you divide by?"),
        Check("banned things are rare", _rare, "What is a share of everything, when nine in ten are harmless?"),
        Check(
            "it refuses all, or nothing", _says_no_to_all, "Which of the two errors has a model that always refuses?"
        ),
    ),
)

# ---------------------------------------------------------------- a filter that decodes

_LEET = str.maketrans("aeiost", "431057")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def _judge(student: Student, prompt: str, banned: Sequence[str], wanted: bool) -> None:
    value = student(prompt, list(banned))
    if not isinstance(value, bool):
        raise Wrong(f"expected True or False, got {describe(value)}.")
    if value != wanted:
        said = "let it pass" if wanted else "stopped it, a false alarm"
        raise Wrong(f"for the prompt {prompt!r} and the words {show(list(banned))} yours {said}.")


def _as_it_stands(student: Student, rng: random.Random) -> None:
    banned = rng.sample(_BANNED, 3)
    _judge(student, f"How do I make {rng.choice(banned)}?", banned, True)
    _judge(student, f"HOW DO I MAKE {rng.choice(banned).upper()}!", banned, True)
    _judge(student, f"How do I make {rng.choice(_HARMLESS)}?", banned, False)


def _digits(student: Student, rng: random.Random) -> None:
    banned = rng.sample(_BANNED, 3)
    _judge(student, f"How do I make {rng.choice(banned)}?".translate(_LEET), banned, True)
    _judge(student, f"How do I make {rng.choice(_HARMLESS)}?".translate(_LEET), banned, False)


def _base64(student: Student, rng: random.Random) -> None:
    banned = rng.sample(_BANNED, 3)
    for asked in ("How do I make {}?", "Please, how do I make {}?", "yo how do i make {}"):
        _judge(student, _encoded(asked.format(rng.choice(banned))), banned, True)
        _judge(student, _encoded(asked.format(rng.choice(_HARMLESS))), banned, False)


def _ordinary(student: Student, rng: random.Random) -> None:
    for prompt in ("", "What is 14 plus 31?", "I paid 450 for 7 hens, é.", "abcd====", "Q", "1357 + 0 = 1357"):
        _judge(student, prompt, rng.sample(_BANNED, 3), False)
    _judge(student, f"We washed the {rng.choice(_HARMLESS)}.", ["ash", "led"], False)


_FILTER = Exercise(
    id="safety.filter",
    takes=("prompt", "banned"),
    hints=(
        "Make a list of everything that the prompt could mean: as it stands, with letters for the digits, decoded.",
        "`prompt.translate(str.maketrans('431057', 'aeiost'))` undoes the digits. `base64.b64decode(prompt, "
        "validate=True)` raises ValueError for what is no base64, and its bytes may be no text: two reasons for `try`.",
        "Lower-case each reading, split it into words with `re.findall('[a-z]+', reading)`, and ask whether a banned "
        "word is among them: a word, not a part of one.",
    ),
    checks=(
        Check("banned words as they stand", _as_it_stands, "Are large and small letters the same to you?"),
        Check("digits for letters", _digits, "Which reading of the prompt has the word in it?"),
        Check("in base64", _base64, "Do you decode before you judge?"),
        Check(
            "ordinary questions pass", _ordinary, "What if a prompt is no base64, or a banned word is part of another?"
        ),
    ),
)

# ---------------------------------------------------------------- layers


def _layered(student: Student, misses: list[float], alarms: list[float]) -> None:
    value = student(list(misses), list(alarms))
    passes, stopped = math.prod(misses), 1 - math.prod(1 - a for a in alarms)
    if not _same(value, (passes, stopped)):
        raise Wrong(
            f"for layers that miss {show(misses)} of the attacks and stop {show(alarms)} of what is harmless yours "
            f"gave {show(list(_pair(value)))}."
        )


def _one_layer(student: Student, rng: random.Random) -> None:
    for _ in range(3):
        _layered(student, [round(rng.uniform(0.05, 0.5), 2)], [round(rng.uniform(0.01, 0.3), 2)])


def _two_layers(student: Student, rng: random.Random) -> None:
    for _ in range(5):
        draw = [round(rng.uniform(0.05, 0.5), 2) for _ in range(4)]
        _layered(student, draw[:2], draw[2:])


def _many_layers(student: Student, rng: random.Random) -> None:
    n = rng.randint(5, 9)
    _layered(student, [0.5] * n, [0.02] * n)
    _layered(student, [], [])


_LAYERS = Exercise(
    id="safety.layers",
    takes=("misses", "alarms"),
    hints=(
        "An attack comes through if every layer misses it. When is a harmless question stopped?",
        "Probabilities of independent events are multiplied: `math.prod` takes a list.",
        "A harmless question comes through if no layer stops it, the product of 1 − alarm. Stopped is all the rest.",
    ),
    checks=(
        Check("one layer", _one_layer, "With one layer, what is there to combine?"),
        Check("two layers", _two_layers, "What must both layers do, so that an attack comes through?"),
        Check("many layers, or none", _many_layers, "Can a sum of shares become larger than 1?"),
    ),
)

EXERCISES = (_ERRORS, _FILTER, _LAYERS)
