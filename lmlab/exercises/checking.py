"""`lab.check(id, answer)`: run every check of an exercise on the student's function, say what was seen."""

from __future__ import annotations

import html
import random
import secrets
from dataclasses import dataclass
from typing import Any

from lmlab.exercises.expect import Wrong
from lmlab.exercises.registry import Check, Exercise, find
from lmlab.exercises.student import NotStarted, OutOfTime, Student, is_stub, signature_problem
from lmlab.user_folder import save_passed

PASSED, FAILED, NOT_RUN = "✓", "✕", "·"


@dataclass(frozen=True)
class Line:
    """One check's outcome: its mark and what was seen, in words."""

    mark: str
    text: str


@dataclass(frozen=True, repr=False)
class CheckResult:
    """What `lab.check` returns; shown as text, and as a small card in a notebook."""

    exercise_id: str
    headline: str
    lines: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return bool(self.lines) and all(line.mark == PASSED for line in self.lines)

    def __repr__(self) -> str:
        rows = [self.headline, *(f"  {line.mark} {line.text}" for line in self.lines), *self.notes]
        return "\n".join(rows)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<div style="display:flex;gap:.6em"><b style="{_INK[line.mark]}">{line.mark}</b>'
            f"<span>{_prose(line.text)}</span></div>"
            for line in self.lines
        )
        notes = "".join(f'<div style="margin-top:.5em">{_prose(note)}</div>' for note in self.notes)
        return f'<div style="{_CARD}"><b>{_prose(self.headline)}</b>{rows}{notes}</div>'


_CARD = (
    "border:1px solid var(--jp-border-color2,#8A8A8A);border-radius:8px;padding:14px 20px;margin:4px 0;"
    "max-width:60em;font-size:15px;line-height:1.7;white-space:normal;overflow-wrap:anywhere"
)
_INK = {PASSED: "", FAILED: "color:var(--jp-error-color1,#D32F2F)", NOT_RUN: ""}


def _prose(text: str) -> str:
    """Escaped, with what stands between backticks as code: a student's text is never markup."""
    parts = html.escape(text).split("`")
    if len(parts) % 2 == 0:  # a lone backtick, so none of them is a mark
        return "`".join(parts)
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def check(exercise_id: str, answer: Any, *, seed: int | None = None, seconds: float = 5.0) -> CheckResult:
    """Try `answer`, your function, on fresh random cases and say which checks it passes.

    Nothing is graded. A failure names the case and what yours did; `seed` repeats the cases of an earlier
    call. The function runs for at most `seconds` over all cases together.

    Raises ValueError where there is no such exercise.
    """
    exercise = find(exercise_id)
    if answer is ... or is_stub(answer):
        return _not_started(exercise)
    problem = signature_problem(answer, exercise.takes)
    if problem:
        return CheckResult(exercise.id, f"0 of {len(exercise.checks)} checks passed", notes=(problem,))
    seed = secrets.randbelow(10_000) if seed is None else seed
    student = Student(answer, exercise.takes, seconds=seconds)
    lines: list[Line] = []
    out_of_time = False
    for number, one in enumerate(exercise.checks):
        if out_of_time:
            lines.append(Line(NOT_RUN, f"{one.name}: not run"))
            continue
        try:
            lines.append(_line(one, student, random.Random(f"{seed} {number}")))
        except NotStarted:
            return _not_started(exercise)
        except OutOfTime as late:
            lines.append(Line(FAILED, f"{one.name}: {late} What would make it stop?"))
            out_of_time = True
    return _result(exercise, lines, student.printed, seed)


def _line(one: Check, student: Student, rng: random.Random) -> Line:
    try:
        seen = one.probe(student, rng)
    except OutOfTime:
        raise
    except Wrong as wrong:
        return Line(FAILED, f"{one.name}: {wrong} {one.question}")
    return Line(PASSED, f"{one.name}: {seen}" if seen else one.name)


def _result(exercise: Exercise, lines: list[Line], printed: str, seed: int) -> CheckResult:
    n_passed = sum(line.mark == PASSED for line in lines)
    notes = [f"Yours printed: `{' ⏎ '.join(printed.strip().splitlines()[:10])}`"] if printed.strip() else []
    if n_passed == len(lines):
        save_passed(exercise.id)
    else:
        notes.append(
            f'The same cases again: `lab.check("{exercise.id}", …, seed={seed})`. Stuck? `lab.hint("{exercise.id}")`'
        )
    return CheckResult(exercise.id, f"{n_passed} of {len(lines)} checks passed", tuple(lines), tuple(notes))


def _not_started(exercise: Exercise) -> CheckResult:
    todo = f'Replace the `...` and run this cell again. Stuck? `lab.hint("{exercise.id}")`'
    return CheckResult(exercise.id, "not started", notes=(todo,))
