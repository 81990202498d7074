"""`lab.progress()`: which exercises you have passed and how many guesses you have made, on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from lmlab.exercises.registry import LABS, exercises
from lmlab.user_folder import guesses, passed


@dataclass(frozen=True, repr=False)
class Standing:
    """For each lab its exercises with whether they have passed, and the number of guesses made."""

    labs: tuple[tuple[str, tuple[tuple[str, bool], ...]], ...]
    n_guesses: int

    def __repr__(self) -> str:
        marks = [done for _, tasks in self.labs for _, done in tasks]
        made = f"{self.n_guesses} prediction{'' if self.n_guesses == 1 else 's'} made"
        rows = [f"{sum(marks)} of {len(marks)} exercises passed, {made}"]
        for lab, tasks in self.labs:
            rows.append(f"  {lab}: " + "  ".join(f"{'✓' if done else '○'} {task}" for task, done in tasks))
        return "\n".join(rows)


def progress() -> Standing:
    """Where you stand. Kept in your own folder, LMLAB_HOME or your system's place for such; never sent."""
    done = set(passed())
    labs = tuple((notebook, tuple((e.id, e.id in done) for e in exercises(file))) for file, notebook in LABS.items())
    return Standing(labs, len(guesses()))
