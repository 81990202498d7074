"""What an exercise is, and where to find one by its id.

An exercise has an id like `next_word.softmax` (the lab's file here, then its own name), the names of the
arguments that a student's function takes, three hints that go from a nudge to nearly there, and checks. Each
check has a name in words, a probe that tries the function on fresh random cases, and the question to think
about when it fails. No check holds or shows the answer as text.
"""

from __future__ import annotations

import difflib
import importlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmlab.exercises.student import Student

Probe = Callable[["Student", random.Random], str | None]

LABS = {  # the file of exercises here -> the notebook
    "start_here": "00_start_here",
    "scale": "01_scale",
    "next_word": "02_next_word",
    "sampling": "03_sampling",
    "counting": "04_counting",
    "tokenization": "05_tokenization",
    "neural": "06_neural",
    "attention": "07_attention",
    "training": "08_training",
    "scaling": "09_scaling",
    "data": "10_data",
    "in_context": "11_in_context",
    "post_training": "12_post_training",
    "safety": "13_safety",
    "quantization": "14_quantization",
    "systems": "15_systems",
    "beyond": "16_beyond",
}


@dataclass(frozen=True)
class Check:
    """One line of feedback. `probe` returns what it saw (or None) and raises `Wrong` where it fails."""

    name: str
    probe: Probe
    question: str


@dataclass(frozen=True)
class Exercise:
    """A task for the student's own function; `takes` names its arguments in order."""

    id: str
    takes: tuple[str, ...]
    hints: tuple[str, str, str]
    checks: tuple[Check, ...]

    @property
    def lab(self) -> str:
        """The notebook that sets this exercise."""
        return LABS[self.id.split(".")[0]]


def exercises(lab: str | None = None) -> tuple[Exercise, ...]:
    """All exercises in the order of the labs, or those of one file such as `next_word`."""
    files = LABS if lab is None else (lab,)
    return tuple(e for file in files for e in importlib.import_module(f"lmlab.exercises.{file}").EXERCISES)


def find(exercise_id: str) -> Exercise:
    """The exercise with this id. Raises ValueError with the nearest ids where there is none."""
    by_id = {e.id: e for e in exercises()}
    if exercise_id in by_id:
        return by_id[exercise_id]
    if not isinstance(exercise_id, str):
        raise ValueError(f"expected the id of an exercise, a text like {min(by_id)!r}; got {exercise_id!r}")
    near = difflib.get_close_matches(exercise_id, by_id, n=3, cutoff=0.3) or sorted(by_id)
    raise ValueError(f"there is no exercise {exercise_id!r}; did you mean {' or '.join(map(repr, near))}?")
