"""Bradley-Terry and DPO: closed forms, what they agree on with the labels, and that they repeat themselves."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lmlab.data.preferences import PairBatch, PairStream, Preference, encode_answer, preference_pairs
from lmlab.models.reward import RewardModel
from lmlab.models.transformer import Transformer
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.loop import train
from lmlab.training.objectives import Objective
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.preference_objectives import bradley_terry, dpo
from lmlab.training.state import TrainState
from tests.training.policies import PROMPTS, chat_policy, chat_tokenizer, gradient
from tests.training.stand_ins import same_bits, weights

PAIRS = [Preference(prompt, f"The {n}th lane.", "No." * (n + 1)) for n, prompt in enumerate(PROMPTS)]
NOTHING = torch.Generator()


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    return chat_tokenizer()


def stream(tok: Tokenizer, B: int = 3, pairs: list[Preference] = PAIRS) -> PairStream:
    return preference_pairs(pairs, tok, B=B, seed=1)


def reward_model(tok: Tokenizer, **settings: bool) -> RewardModel:
    model = RewardModel(chat_policy(tok), **settings)
    nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(3))
    return model


def row_by_row(batch: PairBatch, ask: Callable[[Tensor, Tensor], Tensor]) -> list[tuple[Tensor, Tensor]]:
    """(chosen, rejected) of every pair: `ask` of ids (1, T) and the answer's places (1, T), without any padding."""
    found = []
    for n in range(len(batch.chosen)):
        ends = int(batch.chosen_ends[n]) + 1, int(batch.rejected_ends[n]) + 1
        found.append(
            (
                ask(batch.chosen[n : n + 1, : ends[0]], batch.chosen_answers[n : n + 1, : ends[0]]),
                ask(batch.rejected[n : n + 1, : ends[1]], batch.rejected_answers[n : n + 1, : ends[1]]),
            )
        )
    return found


def test_bradley_terry_is_the_mean_of_log_one_plus_e_to_minus_the_difference(tok: Tokenizer) -> None:
    model, batch = reward_model(tok), stream(tok).next()
    scores = row_by_row(batch, lambda ids, _: model.scores(ids, torch.tensor([ids.shape[1] - 1])).double())
    expected = sum(math.log1p(math.exp(float(b.detach() - a.detach()))) for a, b in scores) / 3
    assert float(bradley_terry(model, batch).detach()) == pytest.approx(expected, abs=1e-6)
    untrained = RewardModel(chat_policy(tok))
    assert float(bradley_terry(untrained, batch).detach()) == pytest.approx(math.log(2), abs=1e-7)


def test_scores_move_by_how_wrong_the_model_was(tok: Tokenizer) -> None:
    """The slope in a chosen score is −σ(−difference)/B: a pair that is right already pulls little."""
    model, batch = reward_model(tok), stream(tok).next()
    kept: list[Tensor] = []
    whole = model.scores
    model.scores = lambda ids, ends: kept.append(whole(ids, ends)) or kept[0]  # type: ignore[method-assign]
    loss = bradley_terry(model, batch)
    (slope,) = torch.autograd.grad(loss, kept[0])
    chosen, rejected = kept[0].detach().chunk(2)
    wrong = 1 / (1 + torch.exp(chosen - rejected))
    assert torch.allclose(slope, torch.cat((-wrong, wrong)) / 3, atol=1e-7)


def log_prob(model: Transformer) -> Callable[[Tensor, Tensor], Tensor]:
    """The answer's log-probability after its prompt, one token after another."""

    def ask(ids: Tensor, answers: Tensor) -> Tensor:
        each = model(ids)[0].double().log_softmax(-1)
        return sum(each[t - 1, ids[0, t]] for t in range(1, ids.shape[1]) if answers[0, t])  # type: ignore[return-value]

    return ask


def test_dpo_is_bradley_terry_of_beta_times_the_log_ratios(tok: Tokenizer) -> None:
    policy, reference, batch = chat_policy(tok, seed=1), chat_policy(tok, seed=2), stream(tok).next()
    pairs = zip(row_by_row(batch, log_prob(policy)), row_by_row(batch, log_prob(reference)), strict=True)
    terms = []
    for (chosen, rejected), (chosen_before, rejected_before) in pairs:
        terms.append(torch.log1p(torch.exp(-0.2 * ((chosen - chosen_before) - (rejected - rejected_before)))))
    expected = torch.stack(terms).mean()
    loss = dpo(reference, beta=0.2)(policy, batch, NOTHING)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), abs=2e-6)
    assert torch.allclose(gradient(loss, policy), gradient(expected, policy), atol=1e-5)


def test_where_policy_and_reference_agree_dpo_knows_nothing_and_pulls_by_half_of_beta(tok: Tokenizer) -> None:
    policy, batch = chat_policy(tok), stream(tok).next()
    loss = dpo(policy, beta=0.2)(policy, batch, NOTHING)
    assert float(loss.detach()) == pytest.approx(math.log(2), abs=1e-6)
    differences = [chosen - rejected for chosen, rejected in row_by_row(batch, log_prob(policy))]
    pull = -0.2 / 2 * torch.stack(differences).mean()
    assert torch.allclose(gradient(loss, policy), gradient(pull, policy), atol=1e-6)


def test_the_reference_is_the_policy_as_it_was_when_dpo_was_called(tok: Tokenizer) -> None:
    policy = chat_policy(tok)
    before = copy.deepcopy(policy)
    objective, batch = dpo(policy), stream(tok).next()
    with torch.no_grad():
        for weight in policy.parameters():
            weight += 0.1
    assert float(objective(policy, batch, NOTHING).detach()) == float(dpo(before)(policy, batch, NOTHING).detach())
    assert float(objective(policy, batch, NOTHING).detach()) != pytest.approx(math.log(2), abs=1e-3)


THREE_TO_ONE = [*[Preference(PROMPTS[0], "Up.", "Down.")] * 3, Preference(PROMPTS[0], "Down.", "Up.")]


def difference(tok: Tokenizer, ask: Callable[[Tensor, Tensor], Tensor]) -> float:
    up, down = (encode_answer(PROMPTS[0], answer, tok) for answer in ("Up.", "Down."))
    with torch.no_grad():
        return float(ask(up.ids[None], up.answers[None]) - ask(down.ids[None], down.answers[None]))


def settled(model: nn.Module, batches: PairStream, objective: Objective, steps: int, lr: float) -> None:
    settings = OptimizerSettings(lr=lr, weight_decay=0.0, schedule="cosine", warmup=0)
    train(TrainState.begin(model, steps=steps, settings=settings), batches, objective, steps)


def test_three_of_four_people_prefer_it_so_the_rewards_differ_by_ln_3(tok: Tokenizer) -> None:
    model = reward_model(tok, freeze_trunk=True)
    settled(model, stream(tok, B=4, pairs=THREE_TO_ONE), bradley_terry, 80, lr=3e-2)
    found = difference(tok, lambda ids, _: model.scores(ids, torch.tensor([ids.shape[1] - 1])))
    assert found == pytest.approx(math.log(3), abs=0.01)


def test_and_beta_times_the_log_ratios_do_too_where_the_policy_itself_was_trained(tok: Tokenizer) -> None:
    policy, reference = chat_policy(tok, seed=1), chat_policy(tok, seed=1)
    settled(policy, stream(tok, B=4, pairs=THREE_TO_ONE), dpo(reference, beta=0.5), 100, lr=1e-2)
    found = 0.5 * (difference(tok, log_prob(policy)) - difference(tok, log_prob(reference)))
    assert found == pytest.approx(math.log(3), abs=0.01)


def cases(tok: Tokenizer) -> dict[str, tuple[Callable[[], nn.Module], Objective]]:
    return {
        "bradley_terry": (lambda: reward_model(tok), bradley_terry),
        "a frozen trunk": (lambda: reward_model(tok, freeze_trunk=True), bradley_terry),
        "dpo": (lambda: chat_policy(tok, seed=1), dpo(chat_policy(tok, seed=2))),
    }


@pytest.mark.parametrize("name", ["bradley_terry", "a frozen trunk", "dpo"])
def test_ten_steps_and_ten_more_are_twenty(tok: Tokenizer, name: str) -> None:
    make, objective = cases(tok)[name]
    settings = OptimizerSettings(lr=1e-2)
    whole = TrainState.begin(make(), steps=20, settings=settings)
    train(whole, stream(tok), objective, 20)
    halves, first, second = TrainState.begin(make(), steps=20, settings=settings), stream(tok), stream(tok)
    train(halves, first, objective, 10)
    second.load_state(first.state())
    train(halves, second, objective, 20)
    assert not same_bits(weights(whole.model), weights(make()))
    assert same_bits(weights(whole.model), weights(halves.model))


@pytest.mark.parametrize("name", ["bradley_terry", "dpo"])
def test_a_batch_in_parts_is_a_batch_in_one(tok: Tokenizer, name: str) -> None:
    """Two parts, of one pair and of two: every pair counts the same."""
    make, objective = cases(tok)[name]
    once, parts = (TrainState.begin(make(), steps=2, accumulate=n) for n in (1, 2))
    points: dict[int, list[float]] = {1: [], 2: []}
    for n, state in ((1, once), (2, parts)):
        train(state, stream(tok), objective, 2, lambda _, point, n=n: points[n].append(point.loss))
    assert points[1] == pytest.approx(points[2], rel=1e-6)
    for a, b in zip(weights(once.model), weights(parts.model), strict=True):
        assert torch.allclose(a, b, atol=2e-5)


def test_what_does_not_fit_is_refused(tok: Tokenizer) -> None:
    with pytest.raises(ValueError, match="trains a RewardModel, not a Transformer; for a policy, take dpo"):
        bradley_terry(chat_policy(tok), stream(tok).next())
    bad: list[Any] = [0, -1.0, math.inf, True, "much"]
    for beta in bad:
        with pytest.raises(ValueError, match="a number above 0"):
            dpo(chat_policy(tok), beta=beta)
