"""The policy gradient: everything that a tiny policy can say is listed, so what holds in the mean is exact here."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lmlab.models.transformer import Transformer
from lmlab.training.baselines import LeaveOneOut, NoBaseline, PromptRegression, RunningMean, make_baseline
from lmlab.training.loop import train
from lmlab.training.objectives import answer_log_probs, counted, rows
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.policy_objectives import RolloutBatch, k1, k2, k3, policy_gradient
from lmlab.training.state import TrainState
from tests.training.policies import OneDistribution, all_answers, as_batch, gradient, log_probs_of, tiny_policy

PROMPT = [3, 1]
ANSWERS = all_answers(4, 2)  # 1 + 3 * 4: one that stops at once, twelve of two tokens
REWARDS = torch.randn(len(ANSWERS), generator=torch.Generator().manual_seed(5)).double()
ODDS = torch.tensor([0.11, 0.60, 0.29]).double()  # a bandit of three arms, and what each of them pays
PAYS = torch.tensor([-0.72, 1.19, 0.69]).double()


def in_the_mean(policy: Transformer, advantages: Tensor) -> Tensor:
    """The loss of all answers at once, each as often as the policy says it: what samples tend to."""
    odds = log_probs_of(policy, PROMPT, ANSWERS).exp().detach()
    assert float(odds.sum()) == pytest.approx(1, abs=1e-6), "these are all that can be said"
    weighted = (advantages * odds * len(ANSWERS)).float()
    return policy_gradient(policy, RolloutBatch(*as_batch(PROMPT, ANSWERS), weighted))


@pytest.mark.parametrize("baseline", [0.0, 0.7, -3.0])
def test_it_is_the_gradient_of_the_expected_reward_whatever_the_baseline(baseline: float) -> None:
    policy = tiny_policy(1)
    found = gradient(in_the_mean(policy, REWARDS - baseline), policy)
    expected_reward = (log_probs_of(policy, PROMPT, ANSWERS).exp() * REWARDS).sum()
    exact = gradient(-expected_reward, policy)
    assert float(exact.norm()) > 0.1
    assert torch.allclose(found, exact, atol=1e-5)


def test_k1_in_the_reward_gives_the_gradient_of_the_reverse_kl() -> None:
    policy, reference = tiny_policy(1), tiny_policy(2)
    log_ratio = log_probs_of(policy, PROMPT, ANSWERS) - log_probs_of(reference, PROMPT, ANSWERS).detach()
    kl = (log_ratio.exp() * log_probs_of(reference, PROMPT, ANSWERS).detach().exp() * log_ratio).sum()
    exact = gradient(-(0.3 * -kl), policy)
    found = gradient(in_the_mean(policy, -0.3 * k1(log_ratio.detach())), policy)
    assert float(exact.norm()) > 0.1
    assert torch.allclose(found, exact, atol=1e-5)


def test_k1_and_k3_as_losses_give_other_gradients() -> None:
    """Of k1 nothing at all, in the mean; of k3 the gradient of the forward KL, not of the reverse one."""
    policy, reference = tiny_policy(1), tiny_policy(2)
    log_q = log_probs_of(reference, PROMPT, ANSWERS).detach()

    def slope(of: Callable[[Tensor], Tensor]) -> Tensor:
        return gradient(of(log_probs_of(policy, PROMPT, ANSWERS)).sum(), policy)

    assert float(slope(lambda log_p: log_p.exp().detach() * k1(log_p - log_q)).abs().max()) < 1e-5
    as_loss = slope(lambda log_p: log_p.exp().detach() * k3(log_p - log_q))
    forward = slope(lambda log_p: log_q.exp() * (log_q - log_p))
    reverse = slope(lambda log_p: log_p.exp() * (log_p - log_q))
    assert torch.allclose(as_loss, forward, atol=1e-5)
    assert not torch.allclose(as_loss, reverse, atol=1e-2)


def test_the_loss_is_a_mean_over_answers_of_sums_over_tokens() -> None:
    policy, advantages = tiny_policy(1), torch.linspace(-1, 2, len(ANSWERS))
    batch = RolloutBatch(*as_batch(PROMPT, ANSWERS), advantages)
    expected = -(advantages * log_probs_of(policy, PROMPT, ANSWERS)).mean()
    assert float(policy_gradient(policy, batch).detach()) == pytest.approx(float(expected.detach()), abs=1e-5)
    part = rows(batch, 2, 7)
    assert (counted(batch), counted(part)) == (len(ANSWERS), 5), "an answer counts once, however long it is"
    assert torch.equal(part.advantages, advantages[2:7])


def test_the_log_probability_of_an_answer_is_that_of_its_own_tokens_alone() -> None:
    policy = tiny_policy(1)
    found = answer_log_probs(policy, *as_batch(PROMPT, ANSWERS))
    assert torch.allclose(found.double(), log_probs_of(policy, PROMPT, ANSWERS), atol=1e-5)
    wrapped = answer_log_probs(torch.nn.Sequential(policy), *as_batch(PROMPT, ANSWERS))
    assert torch.allclose(found, wrapped, atol=1e-6), "a module that is no Transformer gives all its logits"


# ---------------------------------------------------------------- baselines


def arm_gradients(advantages: Tensor) -> Tensor:
    """The gradient in the logits from drawing each arm of the bandit once: a row an arm; (3, 3)."""
    policy, found = OneDistribution(ODDS.log()), []
    for arm in range(3):
        batch = RolloutBatch(*as_batch([0], [[arm]]), advantages[arm : arm + 1].float())
        found.append(gradient(policy_gradient(policy, batch), policy).double())
    return torch.stack(found)


VARIANCES = {"none": (0.0, 0.333), "uniform mean": (float(PAYS.mean()), 0.213), "expected": (float(ODDS @ PAYS), 0.277)}


@pytest.mark.parametrize("name", list(VARIANCES))
def test_a_baseline_leaves_the_mean_and_changes_the_variance(name: str) -> None:
    """The closed form: Σ p (r − b)² ‖e − p‖² − ‖∇J‖². The expected reward is not the baseline of least variance."""
    baseline, stated = VARIANCES[name]
    found = arm_gradients(PAYS - baseline)
    exact = -ODDS * (PAYS - ODDS @ PAYS)
    mean = ODDS @ found
    assert torch.allclose(mean, exact, atol=1e-6)
    variance = float(ODDS @ (found - mean).square().sum(1))
    lengths = (torch.eye(3) - ODDS).square().sum(1)
    closed = float((ODDS * (PAYS - baseline).square() * lengths).sum() - exact.square().sum())
    assert variance == pytest.approx(closed, abs=1e-6)
    assert f"{variance:.3f}" == f"{stated:.3f}"


def test_leave_one_out_is_unbiased_over_all_pairs_of_draws_and_the_mean_of_all_is_half_as_long() -> None:
    arms = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    odds, rewards = ODDS[arms].prod(1), PAYS[arms]
    single = arm_gradients(torch.ones(3).double())

    def mean_gradient(expected: Tensor) -> Tensor:
        each = ((rewards - expected)[..., None] * single[arms]).mean(1)
        return odds @ each

    exact = -ODDS * (PAYS - ODDS @ PAYS)
    prompts = [torch.tensor([0])] * len(arms)
    assert torch.allclose(mean_gradient(LeaveOneOut().expected(prompts, rewards)), exact, atol=1e-6)
    assert torch.allclose(mean_gradient(rewards.mean(1, keepdim=True).expand_as(rewards)), exact / 2, atol=1e-6)


def test_leave_one_out_is_the_mean_of_the_others() -> None:
    rewards = torch.randn(3, 5).double()
    found = LeaveOneOut().expected([torch.tensor([0])] * 3, rewards)
    for row in range(3):
        for n in range(5):
            others = [float(r) for m, r in enumerate(rewards[row]) if m != n]
            assert float(found[row, n]) == pytest.approx(sum(others) / 4)


@pytest.mark.parametrize("name", ["none", "mean", "learned"])
def test_what_is_expected_depends_on_no_reward_of_this_batch(name: str) -> None:
    """And so it leaves the gradient's mean alone."""
    baseline, prompts = make_baseline(name, tiny_policy(3)), [torch.tensor([1, 2]), torch.tensor([3])]
    baseline.learn(prompts, torch.tensor([[1.0, 3.0], [8.0, 8.0]]).double())
    first, second = (baseline.expected(prompts, torch.randn(2, 2).double()) for _ in range(2))
    assert torch.equal(first, second)
    assert bool((first != 0).any()) == (name != "none")


def test_the_running_mean_is_that_of_the_batches_before_the_last_counting_most() -> None:
    baseline, now = RunningMean(), torch.zeros(1, 2)
    assert float(baseline.expected([], now)[0, 0]) == 0
    for reward in (1.0, 2.0, 6.0):
        baseline.learn([], torch.full((1, 2), reward))
    expected = (0.81 * 1 + 0.9 * 2 + 6) / (0.81 + 0.9 + 1)
    assert baseline.expected([], now).tolist() == [[pytest.approx(expected)] * 2]


def test_the_learned_baseline_knows_which_prompt_pays_what() -> None:
    """Rewards are a number for each prompt and noise: the number is found, and the mean of all is not enough."""
    prompts = [torch.tensor([2, (n + 1) % 4, n]) for n in range(4)]
    pays, generator = torch.tensor([[0.0], [1.0], [5.0], [-3.0]]).double(), torch.Generator().manual_seed(0)
    baseline = PromptRegression(tiny_policy(3))
    for _ in range(40):
        baseline.learn(prompts, pays + 0.1 * torch.randn(4, 8, generator=generator).double())
    found = baseline.expected(prompts, torch.zeros(4, 8).double())
    assert torch.allclose(found, pays.expand(4, 8), atol=0.3)


@pytest.mark.parametrize("name", ["none", "leave-one-out", "mean", "learned"])
def test_what_a_baseline_learned_can_be_kept(name: str) -> None:
    prompts, rewards = [torch.tensor([1, 2]), torch.tensor([3])], torch.randn(2, 3).double()
    one, other = (make_baseline(name, tiny_policy(3)) for _ in range(2))
    for _ in range(3):
        one.learn(prompts, rewards)
    other.load_state(one.state())
    assert torch.equal(one.expected(prompts, rewards), other.expected(prompts, rewards))


def test_baselines_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="no baseline 'best'; choose from leave-one-out, mean, none, learned"):
        make_baseline("best", tiny_policy(3))
    with pytest.raises(ValueError, match="take another for this policy"):
        make_baseline("learned", OneDistribution(ODDS.log()))
    assert isinstance(make_baseline("none", None), NoBaseline)


# ---------------------------------------------------------------- how far from the reference


def test_estimators_of_the_kl_on_fifty_tokens() -> None:
    generator = torch.Generator().manual_seed(2)
    log_p, log_q = (torch.randn(50, generator=generator).double().log_softmax(0) for _ in range(2))
    p, log_ratio = log_p.exp(), log_p - log_q
    kl = float(torch.distributions.kl_divergence(*(torch.distributions.Categorical(logits=x) for x in (log_p, log_q))))
    means = [float(p @ k(log_ratio)) for k in (k1, k2, k3)]
    assert means[0] == pytest.approx(kl, abs=1e-12)
    assert means[2] == pytest.approx(kl, abs=1e-12)
    assert abs(means[1] - kl) > 0.1 * kl, "k2 is biased"
    assert float(k1(log_ratio).min()) < 0
    assert float(k2(log_ratio).min()) >= 0
    assert float(k3(log_ratio).min()) >= 0
    assert k3(torch.zeros(1)).item() == 0


def test_k3_keeps_its_digits_where_the_policies_are_almost_equal() -> None:
    small = torch.tensor([1e-3, -1e-3])
    assert k3(small).tolist() == pytest.approx([math.exp(-1e-3) - 1 + 1e-3, math.exp(1e-3) - 1 - 1e-3], rel=2e-4)


def test_the_best_policy_under_a_kl_penalty_is_the_reference_times_e_to_the_reward_over_beta() -> None:
    """By the exact gradient: every token is in the batch, as often as the policy says it."""
    generator, beta = torch.Generator().manual_seed(4), 0.5
    log_reference = torch.randn(10, generator=generator).double().log_softmax(0)
    pays = 0.5 * torch.randn(10, generator=generator).double()
    policy = OneDistribution(log_reference)
    for _ in range(300):
        log_p = policy.logits.detach().double().log_softmax(0)
        totals = pays - beta * k1(log_p - log_reference)
        advantages = (totals - log_p.exp() @ totals) * log_p.exp() * 10
        batch = RolloutBatch(*as_batch([0], [[n] for n in range(10)]), advantages.float())
        (slope,) = torch.autograd.grad(policy_gradient(policy, batch), [policy.logits])
        with torch.no_grad():
            policy.logits -= 8.0 * slope
    best = (log_reference + pays / beta).softmax(0)
    found = policy.logits.detach().double().softmax(0)
    assert float((best - log_reference.exp()).abs().max()) > 0.1
    assert torch.allclose(found, best, atol=1e-4)


def test_a_batch_in_parts_is_a_batch_in_one() -> None:
    """Three parts of unequal rows: every answer counts the same, so a part with long ones weighs no more."""

    class Stream:
        def __iter__(self):
            while True:
                yield RolloutBatch(*as_batch(PROMPT, ANSWERS), REWARDS.float(), {"reward": 2.5})

        def state(self):
            return {}

        def load_state(self, state):
            pass

    points = []
    once, parts = (
        TrainState.begin(copy.deepcopy(tiny_policy(1)), steps=2, accumulate=n, settings=OptimizerSettings(clip=None))
        for n in (1, 3)
    )
    for state in (once, parts):
        train(state, Stream(), policy_gradient, 2, lambda _, point: points.append(point))
    assert points[0].loss == pytest.approx(points[2].loss, rel=1e-5)
    assert points[0].grad_norm == pytest.approx(points[2].grad_norm, rel=1e-5)
    assert points[0].extra == {"reward": 2.5}
