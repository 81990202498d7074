"""`lab.hint(id)`: three hints, from a nudge to nearly there, one a call."""

from __future__ import annotations

from dataclasses import dataclass

from lmlab.exercises.registry import find

_given: dict[str, int] = {}  # how many hints this kernel has shown, by exercise


@dataclass(frozen=True, repr=False)
class Hint:
    """One hint; its level counts from 1."""

    exercise_id: str
    level: int
    text: str

    def __repr__(self) -> str:
        more = f'  (for the next one: lab.hint("{self.exercise_id}"))' if self.level < 3 else ""
        return f"hint {self.level} of 3: {self.text}{more}"


def hint(exercise_id: str, level: int | None = None) -> Hint:
    """The next hint of an exercise, or hint number `level`, 1 to 3. After the third it stays there."""
    exercise = find(exercise_id)
    if level is None:
        level = min(_given.get(exercise.id, 0) + 1, 3)
    if isinstance(level, bool) or level not in (1, 2, 3):
        raise ValueError(f"an exercise has hints 1, 2 and 3; got {level!r}")
    _given[exercise.id] = max(level, _given.get(exercise.id, 0))
    return Hint(exercise.id, level, exercise.hints[level - 1])
