"""A trained policy: the loop written out, means by hand, a truth that is never paid for, a reward that is hacked."""

from __future__ import annotations

import pytest
import torch

import lmlab as lab
from lmlab.models.reward import RewardModel
from lmlab.tokenizer.bpe import RESERVED_SPECIALS
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.policy_objectives import policy_gradient
from lmlab.training.policy_trial import PolicyTrial
from lmlab.training.rollouts import rollouts
from lmlab.training.state import TrainState

PROMPTS = ["who?", "why?", "whom"]  # of one length, and so written together
SMALL = {"steps": 4, "lr": 2e-2, "batch": 12, "max_new_tokens": 6}


@pytest.fixture(scope="module")
def policy() -> lab.TextModel:
    tok, _ = lab.train_bpe("the goose sees the cheese " * 9, vocab_size=270, specials=RESERVED_SPECIALS)
    config = lab.TransformerConfig(vocab_size=tok.vocab_size, max_seq_len=32, d_model=16, n_layers=1, n_heads=2)
    return lab.TextModel(lab.Transformer(config, seed=3), tok, name="random")


def paid(prompt: str, answer: str) -> float:
    return answer.count("e")


def wanted(prompt: str, answer: str) -> float:
    return len(set(answer)) / max(1, len(answer))


def run(trial: PolicyTrial) -> PolicyTrial:
    while not trial.is_over:
        trial.advance()
    return trial


def test_it_is_the_one_loop_on_a_copy_of_the_policy(policy: lab.TextModel) -> None:
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    trial = run(PolicyTrial(policy, PROMPTS, paid, kl=0.05, seed=4, **SMALL))
    assert all((weight == before[name]).all() for name, weight in policy.model.state_dict().items())
    model = lab.Transformer(policy.model.config, seed=3)
    stream = rollouts(
        model, PROMPTS, paid, tok=policy.tokenizer, kl=0.05, B=12, n_per_prompt=4, max_new_tokens=6, seed=4
    )
    settings = OptimizerSettings(lr=2e-2, weight_decay=0.0, warmup=0, schedule="constant")
    told: list[float] = []
    lab.train(
        TrainState.begin(model, steps=4, seed=4, settings=settings), stream, policy_gradient, 4,
        lambda _, point: told.append(point.extra["reward"]),
    )  # fmt: skip
    for name, weight in trial.policy.model.state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]), name
    assert [point.reward for point in trial.points[:-1]] == told
    assert [point.step for point in trial.points] == list(range(5))
    assert trial.advance() == trial.points[4], "nothing comes after the end"


def test_a_point_is_the_mean_of_the_answers_written_at_that_step(policy: lab.TextModel) -> None:
    trial = PolicyTrial(policy, PROMPTS, paid, truth=wanted, **SMALL)
    point = trial.advance()
    answers = trial.answers
    assert len(answers) == 12
    assert {one.prompt for one in answers} == set(PROMPTS)
    assert point.reward == pytest.approx(sum(one.answer.count("e") for one in answers) / 12)
    assert point.truth == pytest.approx(sum(wanted("", one.answer) for one in answers) / 12)
    assert [one.reward for one in answers] == [one.answer.count("e") for one in answers]
    assert point.kl == pytest.approx(0, abs=1e-4), "nobody has moved yet"
    assert abs(trial.advance().kl) > 1e-3
    assert 1 <= point.n_tokens <= 6


def test_truth_is_measured_and_never_paid_for(policy: lab.TextModel) -> None:
    one = run(PolicyTrial(policy, PROMPTS, paid, truth=wanted, **SMALL))
    other = run(PolicyTrial(policy, PROMPTS, paid, truth=lambda p, a: -100.0 * len(a), **SMALL))
    none = run(PolicyTrial(policy, PROMPTS, paid, **SMALL))
    for name, weight in one.policy.model.state_dict().items():
        assert torch.equal(weight, other.policy.model.state_dict()[name])
        assert torch.equal(weight, none.policy.model.state_dict()[name])
    assert none.points[0].truth is None
    assert one.points[-1].truth != other.points[-1].truth


def test_a_free_policy_hacks_the_reward_and_a_price_holds_it_back(policy: lab.TextModel) -> None:
    settings = {**SMALL, "steps": 30}
    free = run(PolicyTrial(policy, PROMPTS, paid, truth=wanted, kl=0.0, **settings))
    held = run(PolicyTrial(policy, PROMPTS, paid, truth=wanted, kl=5.0, **settings))
    assert free.points[-1].reward > 3 * free.points[0].reward + 1
    assert free.points[-1].truth < 0.6 * free.points[0].truth
    assert free.points[-1].kl > 5
    assert held.points[-1].kl < 0.5 * free.points[-1].kl
    assert held.points[-1].truth > free.points[-1].truth


def test_a_reward_model_pays_as_well(policy: lab.TextModel) -> None:
    judge = RewardModel(policy.model)
    with torch.no_grad():
        judge.head.weight.normal_(generator=torch.Generator().manual_seed(0))
    trial = PolicyTrial(policy, PROMPTS, judge, **SMALL)
    point = trial.advance()
    rewards = [one.reward for one in trial.answers]
    assert len(set(rewards)) > 6, "answers differ, and so does what they are worth to the judge"
    assert point.reward == pytest.approx(sum(rewards) / 12)
