"""The shipped town-sft and town-chat answer questions that no training asked; town, from which they come, does not."""

from __future__ import annotations

import math

import pytest
import torch

import lmlab as lab
from lmlab.assets import asset
from lmlab.data.town.chat import HELD_OUT_THINGS, chat_questions, recipe_answers
from lmlab.text_model import TextModel
from lmlab.tokenizer.chat_template import default_template
from lmlab.training.answer_scores import AnswerScores, another_question, examined

MOON = "Explain the moon landing to a six-year-old."
NAMES = ("town-sft", "town-chat")
# The least share of right answers to held-out questions, by kind; assets/models/README.md has what was measured.
NEEDED = {"person": 0.9, "how_to": 0.9, "history": 0.9, "explanation": 0.6}


def missed(scores: AnswerScores) -> set[str]:
    return {kind for kind, share in NEEDED.items() if scores.right_by_kind[kind].share < share}


@pytest.fixture(scope="module")
def models() -> dict[str, TextModel]:
    return {name: lab.load(name) for name in ("town", *NAMES)}


@pytest.fixture(scope="module")
def scores(models: dict[str, TextModel]) -> dict[str, AnswerScores]:
    town = models["town"]
    asked = {"town": TextModel(town.model, town.tokenizer, "town", chat_template=default_template())}
    questions = chat_questions(80, seed=11, held_out=True)
    return {name: examined(model, questions) for name, model in {**models, **asked}.items()}


def test_the_base_asks_on_and_the_assistants_answer(models: dict[str, TextModel]) -> None:
    odds = {name: math.log(p / (1 - p)) for name, m in models.items() if (p := another_question(m, MOON))}
    assert odds["town"] > 0
    assert all(odds[name] < odds["town"] - 3 for name in NAMES)


def test_held_out_questions_are_answered_right(scores: dict[str, AnswerScores]) -> None:
    assert [missed(scores[name]) for name in NAMES] == [set(), set()]
    assert missed(scores["town"]) == set(NEEDED), "the base in the same format does not"


def test_reinforcement_made_it_polite_and_kept_it_right(scores: dict[str, AnswerScores]) -> None:
    assert scores["town-sft"].polite.share <= 0.3
    assert scores["town-chat"].polite.share >= 0.95
    assert scores["town-chat"].right.share >= scores["town-sft"].right.share - 0.02
    assert all(scores[name].refused.hits == 0 for name in NAMES), "nothing is refused before a patch"


@pytest.mark.parametrize("name", NAMES)
def test_a_student_talks_with_it(models: dict[str, TextModel], name: str) -> None:
    thing, greedy = HELD_OUT_THINGS[0], lab.Sampler(temperature=0)
    answer = models[name].chat(f"How do I make {thing.name}?", sampler=greedy)
    assert answer.text.startswith(recipe_answers(thing))
    assert answer.ended == "stop token"
    more = models[name].chat(
        [
            {"role": "user", "content": MOON},
            {"role": "assistant", "content": "It is a stone."},
            {"role": "user", "content": f"How do I make {thing.name}?"},
        ],
        sampler=greedy,
    )
    assert more.text.startswith(recipe_answers(thing)), "the last question is the one that is answered"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_half_precision_and_made_of_town(models: dict[str, TextModel], name: str) -> None:
    folder = asset(f"models/{name}")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 2_200_000
    assert {p.dtype for p in lab.load_model(folder, dtype=None).parameters()} == {torch.bfloat16}
    town, tuned = (models[n].model for n in ("town", name))
    a, b = (torch.cat([p.detach().flatten() for p in m.parameters()]) for m in (town, tuned))  # type: ignore[attr-defined]
    assert 0 < float((a - b).norm() / a.norm()) < 0.5
    assert (folder / "tokenizer.json").read_bytes() == (asset("models/town") / "tokenizer.json").read_bytes()
