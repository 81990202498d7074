"""Options scored by log-probability, one by one and together; the shipped model knows its tasks; one model or five."""

from __future__ import annotations

import math

import pytest
import torch

import lmlab as lab
from lmlab.data.town.tasks import TASK_FAMILIES, space_between, town_tasks
from lmlab.training import multitask_study
from lmlab.training.multitask_study import STEPS, TASKS, Pair, mean, mean_and_error, stored_pairs, train_pair
from lmlab.training.shares import Share
from lmlab.training.task_scores import a_character, option_log_probs, tasks_log_probs, wins


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


@pytest.fixture(scope="module")
def trigram(town: lab.TextModel) -> lab.TextModel:
    ids = lab.corpus("town", documents=300, seed=0).ids(town.tokenizer)
    return lab.TextModel(lab.NGram.fit(ids, n=3, vocab_size=town.vocab_size), town.tokenizer, name="trigram")


@pytest.mark.parametrize("family", TASK_FAMILIES)
def test_the_right_option_wins_in_at_least_95_percent_of_200_held_out_prompts(family: str, town: lab.TextModel) -> None:
    tasks = town_tasks(family)
    hits = sum(wins(row, task.right) for row, task in zip(tasks_log_probs(town, tasks), tasks, strict=True))
    assert len(tasks) == 200
    assert hits >= 190
    assert Share(hits, 200).low > 0.9


def test_a_model_of_random_weights_guesses(town: lab.TextModel) -> None:
    """What the test above would say of a model that knows nothing."""
    network = lab.Transformer(town.model.config, seed=0)  # type: ignore[attr-defined]
    random = lab.TextModel(network, town.tokenizer, name="random")
    tasks = town_tasks("sum")
    hits = sum(wins(row, task.right) for row, task in zip(tasks_log_probs(random, tasks), tasks, strict=True))
    assert 20 <= hits <= 90


@pytest.mark.parametrize("family", ["email", "code", "puzzle"])
def test_together_is_one_by_one(family: str, town: lab.TextModel, trigram: lab.TextModel) -> None:
    """Also where options have unequal numbers of tokens."""
    tasks = town_tasks(family, 12)
    for model in (town, trigram):
        for row, task in zip(tasks_log_probs(model, tasks), tasks, strict=True):
            alone = option_log_probs(model, task.prompt, task.options)
            assert row == pytest.approx(alone, abs=2e-4)
            written = [space_between(task.prompt, o) + o for o in task.options]
            assert alone == pytest.approx([model.log_prob(o, given=task.prompt) for o in written], abs=1e-4)


def test_a_prompt_longer_than_the_context_is_asked_alone(town: lab.TextModel) -> None:
    long = lab.Transformer(lab.TransformerConfig.tiny(vocab_size=town.vocab_size, max_seq_len=16), seed=0)
    small = lab.TextModel(long, town.tokenizer, name="small")
    tasks = town_tasks("email", 3)
    assert tasks_log_probs(small, tasks) == [option_log_probs(small, t.prompt, t.options) for t in tasks]


def test_a_tie_is_no_win_and_length_can_be_divided_out() -> None:
    assert wins([-1.0, -2.0], 0)
    assert not wins([-1.0, -1.0], 0)
    assert not wins([-math.inf, -math.inf], 1)
    assert a_character([-2.0, -9.0], ["a", "nine char"]) == pytest.approx([-2.0, -1.0])


# ---------------------------------------------------------------- one model or five


def test_stored_losses_say_what_the_lab_says() -> None:
    pairs = stored_pairs()
    assert {(p.steps, p.seed) for p in pairs} == {(steps, seed) for steps in STEPS for seed in range(4)}
    for steps in STEPS:
        here = [p for p in pairs if p.steps == steps]
        assert all(set(p.one) == set(p.five) == set(TASKS) for p in here)
        one, error = mean_and_error([mean(p.one) for p in here])
        five, other = mean_and_error([mean(p.five) for p in here])
        assert five - one > 2 * math.hypot(error, other), "one model for all is ahead, beyond the seeds' scatter"
    last = [p for p in pairs if p.steps == STEPS[-1]]
    by_kind = {k: sum(p.five[k] - p.one[k] for p in last) / len(last) for k in TASKS}
    assert min(by_kind["sum"], by_kind["fact"]) > 0.03
    assert max(by_kind["email"], by_kind["puzzle"]) < 0, "not everywhere: these two are better alone"


def test_both_sides_read_the_same_and_spend_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def trained(ids: torch.Tensor, steps: int, seed: int, keep_on: object) -> object:
        asked.append((len(ids), steps))
        return "model"

    monkeypatch.setattr(multitask_study, "_trained", trained)
    monkeypatch.setattr(multitask_study, "_loss", lambda model, held_out: 1.0)
    pair = train_pair(7, 0)
    assert isinstance(pair, Pair)
    (text, steps), *own = asked
    assert steps == sum(n for _, n in own) == 35
    assert text == sum(n for n, _ in own) == 5 * multitask_study.N_TOKENS


def test_a_training_can_be_left_and_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    assert train_pair(1, 0, keep_on=lambda: False) is None
    pair = train_pair(2, 0)
    assert pair is not None
    assert mean(pair.one) < mean(pair.five) < 9


@pytest.mark.slow
def test_a_stored_pair_comes_out_of_its_recipe_again() -> None:
    pair, stored = train_pair(STEPS[0], 0), next(p for p in stored_pairs() if (p.steps, p.seed) == (STEPS[0], 0))
    assert pair is not None
    assert mean(pair.one) == pytest.approx(mean(stored.one), abs=0.05)
    assert mean(pair.five) == pytest.approx(mean(stored.five), abs=0.05)
