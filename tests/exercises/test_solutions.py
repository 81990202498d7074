"""Every exercise accepts its right answer and refuses its wrong ones, saying what is wrong with them."""

import runpy
from pathlib import Path

import pytest

from lmlab.exercises import check
from lmlab.exercises.registry import exercises, find

SOLUTIONS = sorted((Path(__file__).parents[1] / "labs" / "solutions").glob("*.py"))
LOADED = {path.stem: runpy.run_path(str(path)) for path in SOLUTIONS}
RIGHT = [(id, f) for lab in LOADED.values() for id, f in lab["RIGHT"].items()]
WRONG = [(id, f, says) for lab in LOADED.values() for id, many in lab["WRONG"].items() for f, says in many]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path))


@pytest.mark.parametrize(("exercise_id", "function"), RIGHT, ids=lambda v: getattr(v, "__name__", v))
@pytest.mark.parametrize("seed", range(20))
def test_right_answer_passes_every_check_on_any_cases(exercise_id, function, seed):
    result = check(exercise_id, function, seed=seed)
    n = len(find(exercise_id).checks)
    assert result.passed, result
    assert repr(result).startswith(f"{n} of {n} checks passed\n")


@pytest.mark.parametrize(("exercise_id", "function", "says"), WRONG, ids=lambda v: getattr(v, "__name__", None))
@pytest.mark.parametrize("seed", range(3))
def test_wrong_answer_fails_and_is_told_why(exercise_id, function, says, seed):
    result = check(exercise_id, function, seed=seed, seconds=0.3 if "not finished" in says else 5.0)
    assert not result.passed
    assert says in repr(result), result
    assert f"seed={seed})" in repr(result)


def test_registry_and_solutions_name_the_same_exercises_and_each_has_two_wrong_answers():
    ids = {exercise.id for exercise in exercises()}
    assert ids == {id for id, _ in RIGHT}
    for id in ids:
        assert sum(id == wrong_id for wrong_id, _, _ in WRONG) >= 2, id


def test_right_answers_are_nowhere_in_feedback_or_hints():
    """What a failing student reads must not contain the line that would pass."""
    for id, function, _ in WRONG:
        shown = repr(check(id, function, seed=1, seconds=0.3)) + " ".join(find(id).hints)
        for line in ("max(probs, key=probs.get)", "logits - logits.max()", "-sum(math.log2(p)"):
            quoted = f"`return {line}" in shown  # the student's own line may be quoted back
            assert line not in shown or quoted, (id, function.__name__)
