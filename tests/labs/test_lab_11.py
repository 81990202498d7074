"""The claims of lab 11 about a real model: what it knows, what its examples do, and what they cannot do."""

from __future__ import annotations

import math

import pytest

import lmlab as lab
from lmlab.data.few_shot import few_shot_prompts, few_shot_task, own_prompt
from lmlab.training.few_shot import answered

pytestmark = pytest.mark.slow
CAPITALS = few_shot_task("capitals")
N = 12  # prompts at each k; the words of the other tasks are several tokens long, and cost more: half as many


@pytest.fixture(scope="module")
def real(smollm2) -> lab.TextModel:
    return smollm2 if isinstance(smollm2, lab.TextModel) else lab.load(smollm2)


def right(model: lab.TextModel, task: str, k: int, *, seed: int = 1, shuffled: bool = False) -> float:
    n = N if task == "capitals" else N // 2
    return answered(model, few_shot_prompts(few_shot_task(task), k, n, seed=seed, shuffled=shuffled)).right.share


def test_it_knows_its_capitals_and_answers_a_question(real: lab.TextModel) -> None:
    for country, capital in list(zip(CAPITALS.sources, CAPITALS.targets, strict=True))[:8]:
        scores = real.log_probs_each([f" {c}" for c in CAPITALS.targets[:8]], given=f"The capital of {country} is")
        assert CAPITALS.targets[scores.index(max(scores))] == capital
    paris = real.next("The capital of France is", k=1)[0]
    assert (paris.text, real.next("Water freezes at 0 degrees", k=1)[0].text) == (" Paris", " Celsius")
    assert math.exp(paris.log_prob) > 0.5
    said = real.chat("What is the capital of France?", max_new_tokens=24, sampler=lab.Sampler(temperature=0)).text
    assert "Paris" in said


def test_examples_say_which_task_is_meant_also_with_shuffled_labels(real: lab.TextModel) -> None:
    assert right(real, "capitals", 0) <= 0.25
    assert right(real, "capitals", 1) >= 0.5
    assert right(real, "capitals", 4) >= 0.8
    assert right(real, "capitals", 4, shuffled=True) >= 0.8


def test_it_copies_a_mapping_that_it_cannot_know(real: lab.TextModel) -> None:
    assert right(real, "pairs", 0) <= 0.3
    assert right(real, "pairs", 8) >= 0.4


def test_the_lectures_prompt_fails_at_this_size(real: lab.TextModel) -> None:
    typed = "sea otter => loutre de mer, peppermint => menthe poivrée, plush giraffe => girafe peluche, cheese"
    prompt = own_prompt(few_shot_task("french"), typed)
    assert prompt.text.endswith("plush giraffe => girafe peluche\ncheese =>")
    assert math.exp(real.log_prob(" fromage", given=prompt.text)) < 1e-3
    likeliest = real.next(prompt.text, k=1)[0]
    assert likeliest.text in (" cheese", " che"), "its own word, or the first half of it"
    assert real.log_prob(" cheese", given=prompt.text) > real.log_prob(" fromage", given=prompt.text) + math.log(100)
    assert right(real, "french", 3) <= 0.6
