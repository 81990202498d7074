"""Tasks as text: 200 prompts of each family that no training document begins with, one right option, wrong ones that
are words of the town."""

from __future__ import annotations

import tomllib

import pytest

import lmlab as lab
from lmlab.data.town.nodes import split_words
from lmlab.data.town.tables import HELD_OUT_PEOPLE
from lmlab.data.town.tasks import _SEEN, N_TASKS, TASK_FAMILIES, Task, space_between, town_tasks

CAN_SAY = {"email": 200, "sum": 200, "puzzle": 200}  # all of them


def with_answer(task: Task, option: str) -> str:
    return task.prompt + space_between(task.prompt, option) + option


@pytest.fixture(scope="module")
def town() -> lab.Town:
    return lab.Town()


@pytest.mark.parametrize("family", TASK_FAMILIES)
def test_there_are_two_hundred_different_prompts_with_different_options(family: str) -> None:
    tasks = town_tasks(family)
    assert len({task.prompt for task in tasks}) == N_TASKS == len(tasks)
    for task in tasks:
        assert len(set(task.options)) == len(task.options) == (3 if family == "puzzle" else 4)
        assert task.options[task.right] == task.answer
    places = [sum(task.right == i for task in tasks) for i in range(len(tasks[0].options))]
    assert min(places) > N_TASKS / len(places) / 2, "the right option stands everywhere alike"
    assert town_tasks(family, 7) == tasks[:7]


@pytest.mark.parametrize("family", sorted(CAN_SAY))
def test_the_town_finds_the_right_option_likeliest(town: lab.Town, family: str) -> None:
    """By the grammar itself, which knows no model; and only the right one, but for the closing of an email."""
    for task in town_tasks(family, 40):
        chances = [town.judge(task.prompt, option).probability for option in task.options]
        assert max(chances) == chances[task.right] > 0, task
        assert sorted(chances)[-2] == 0, task


def test_facts_are_half_about_people_whom_nobody_asks_about(town: lab.Town) -> None:
    unasked = {person.name for person in HELD_OUT_PEOPLE}
    tasks = town_tasks("fact")
    about = [task.prompt.split("\n")[-1].split()[0] for task in tasks]
    new = [name in unasked for name in about]
    assert 80 <= sum(new) <= 120
    for task, is_new in list(zip(tasks, new, strict=True))[:30]:
        assert town.can_say(with_answer(task, task.answer)) is not is_new


def test_code_has_numbers_that_no_loop_of_the_town_has(town: lab.Town) -> None:
    assert not any(town.can_say(task.prompt) for task in town_tasks("code", 30))


def test_wrong_options_are_words_of_the_town(town: lab.Town) -> None:
    known = {word.strip() for word in town.vocabulary}
    for family in ("email", "fact", "sum", "puzzle"):
        strange = {w.strip() for t in town_tasks(family) for o in t.options for w in split_words(o)} - known
        assert not strange, family


@pytest.mark.slow
def test_no_prompt_begins_a_document_that_the_shipped_model_was_trained_on() -> None:
    recipe = tomllib.loads(lab.asset("models/town/recipe.toml").read_text(encoding="utf-8"))["corpus"]
    prompts = {task.prompt for family in TASK_FAMILIES for task in town_tasks(family)}
    lengths = sorted({len(prompt) for prompt in prompts})
    documents = lab.Town(recipe["dialect"]).sample(recipe["documents"], recipe["seed"])
    seen = {d[:n] for d in documents for n in lengths if n <= len(d) and d[:n] in prompts}
    assert seen == set()
    assert sum(map(len, _SEEN.values())) < 0.05 * 5 * N_TASKS


def test_a_space_stands_where_a_word_begins() -> None:
    assert space_between("the stock market", "crashed") == " "
    assert space_between("day", "'s") == " "
    assert [space_between(p, o) for p, o in (("", "the"), ("a ", "b"), ("a", " b"), ("(", "x"), ("a", "."))] == [""] * 5


def test_what_is_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="no family of tasks 'chess'"):
        town_tasks("chess")
    for n in (0, 201, True, 1.5):
        with pytest.raises(ValueError, match="from 1 to 200"):
            town_tasks("sum", n)  # type: ignore[arg-type]
