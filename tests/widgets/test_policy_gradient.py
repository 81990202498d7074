"""PolicyGradient: its path by autograd, its numbers by sums written out, and what its sentences claim."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import traitlets

from lmlab.widgets._policy_words import small
from lmlab.widgets.policy_gradient import DRAWN, REFERENCE, REWARDS, STEP_SIZE, STEPS, PolicyGradient, PolicyView

V = len(REFERENCE)


def path_of(view: PolicyView) -> np.ndarray:
    """The policies (steps + 1, V) that the page scrubs through."""
    return np.frombuffer(view.path, np.float32).reshape(view.steps + 1, len(view.words))


def by_autograd(rewards: list[float], beta: float) -> np.ndarray:
    """The exact ascent once more: the objective as it is written, its slope by torch."""
    reference = torch.tensor(list(REFERENCE.values()), dtype=torch.float64)
    logits, found = reference.log(), []
    for _ in range(STEPS + 1):
        logits = logits.detach().requires_grad_()
        log_p = logits.log_softmax(0)
        found.append(log_p.exp().detach().numpy())
        gains = torch.tensor(rewards, dtype=torch.float64) - beta * (log_p - reference.log())
        (log_p.exp() * gains).sum().backward()
        logits = logits + STEP_SIZE * logits.grad
    return np.array(found)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_the_path_is_gradient_ascent_on_reward_less_kl(beta: float) -> None:
    w = PolicyGradient(beta=beta)
    expected = by_autograd(list(REWARDS), beta)
    np.testing.assert_allclose(path_of(w.shown), expected, atol=1e-6)
    w.at = 17
    assert list(w.policy) == list(REFERENCE)
    assert list(w.policy.values()) == pytest.approx(expected[17].tolist(), abs=1e-9)
    earned, kl, *exact = np.frombuffer(w.shown.curves, np.float32).reshape(4, STEPS + 1)
    np.testing.assert_allclose(earned, expected @ np.array(REWARDS), atol=1e-6)
    np.testing.assert_allclose(kl, (expected * np.log(expected / np.array(list(REFERENCE.values())))).sum(1), atol=1e-5)
    np.testing.assert_array_equal([earned, kl], exact)


def test_the_outline_is_the_reference_tilted_by_the_reward() -> None:
    w = PolicyGradient(beta=0.45)
    weights = [p * math.exp(r / 0.45) for p, r in zip(REFERENCE.values(), REWARDS, strict=True)]
    optimum = np.array(weights) / sum(weights)
    assert w.shown.optimum == pytest.approx(optimum.tolist(), rel=1e-9)
    reward, kl = w.shown.best
    assert reward == pytest.approx(float(optimum @ REWARDS))
    assert kl == pytest.approx(float((optimum * np.log(optimum / np.array(list(REFERENCE.values())))).sum()))
    w.at = STEPS
    assert f"the optimum at β = 0.45 earns {reward:.2f}, {kl:.2f} nats away" in w.sentence
    assert abs(path_of(w.shown)[-1] - optimum).max() < 0.02, "and training arrives there"


def test_where_distance_is_free_one_token_takes_all() -> None:
    w = PolicyGradient(beta=0, at=STEPS)
    assert w.shown.optimum == (0, 1, *[0] * 8)
    assert "where distance is free, the optimum says ·celebrated always, 1.97 nats away" in w.sentence  # −ln 0.14
    assert w.policy[" celebrated"] > 0.9
    w.rewards = [1.0, 1.0, *[0.0] * 8]
    assert "the optimum earns 1.00, " in w.sentence
    assert w.shown.optimum[:2] == pytest.approx((0.4 / 0.54, 0.14 / 0.54))


def test_variances_are_those_of_every_pair_of_samples() -> None:
    """All hundred draws of two tokens, at a policy in the middle of the training."""
    w = PolicyGradient(samples="2", at=6, baseline="leave-one-out")
    policy = np.array(list(w.policy.values()))
    returns = np.array(REWARDS) - 0.3 * np.log(policy / np.array(list(REFERENCE.values())))
    scores = np.eye(V) - policy
    taken = {
        "none": lambda a, b: (0, 0),
        "batch mean": lambda a, b: ((a + b) / 2, (a + b) / 2),
        "leave-one-out": lambda a, b: (b, a),
        "learned value": lambda a, b: (policy @ returns, policy @ returns),
    }
    found = {}
    for name, baseline in taken.items():
        odds, estimates = [], []
        for i, j in itertools.product(range(V), repeat=2):
            b = baseline(returns[i], returns[j])
            odds.append(policy[i] * policy[j])
            estimates.append(((returns[i] - b[0]) * scores[i] + (returns[j] - b[1]) * scores[j]) / 2)
        mean = np.array(odds) @ np.array(estimates)
        found[name] = float(np.array(odds) @ ((np.array(estimates) - mean) ** 2).sum(1))
    said = {name: value for name, value, _ in w.shown.variances}
    assert {name: said[name] for name in found} == pytest.approx(found, rel=1e-6)
    assert said["best number"] < min(found["none"], found["learned value"])
    ratio = found["leave-one-out"] / found["none"]
    told = f"{100 * ratio:.0f}\u202f% of that" if ratio < 0.95 else f"{ratio:.1f} times that"
    assert f"Leave-one-out leaves 2 samples a variance of {small(found['leave-one-out'])}, {told}" in w.sentence
    assert w.shown.variances[w.shown.chosen][0] == "leave-one-out"


def test_what_is_said_of_a_baseline_follows_the_choice() -> None:
    w = PolicyGradient(samples="8")
    assert (
        "Without a baseline the estimate from 8 samples has variance 0.033; the best number would leave" in w.sentence
    )
    w.baseline = "mean"
    assert "but gradients 1/8 too short." in w.sentence
    w.baseline = "value"  # on this bandit the true value is no help at first; two higher, it is
    assert "A learned value leaves 8 samples a variance of 0.039, 1.2 times that without a baseline." in w.sentence
    w.taste = "higher"
    assert "0.039, 8.9\u202f% of that without a baseline." in w.sentence
    w.samples = "exact"
    assert (
        f"The gradient is exact, a sum over all tokens; {DRAWN} samples and no baseline would estimate it" in w.sentence
    )
    w.rewards = [0.0] * V
    w.beta = 0
    assert "Every sample says zero: there is nothing to learn here." in w.sentence
    w.rewards, w.samples, w.baseline = [1.0] * V, "8", "none"
    assert "the best number would leave 0 of it" in w.sentence, "equal rewards: only their size is noise"


def test_drawn_paths_follow_from_the_seed_and_stay_near_the_exact_one() -> None:
    w = PolicyGradient(samples="32", baseline="leave-one-out")
    first, exact = path_of(w.shown), by_autograd(list(REWARDS), 0.3)
    assert 0 < abs(first - exact).max() < 0.25
    w.seed = 1
    assert (path_of(w.shown) != first).any()
    w.seed = 0
    np.testing.assert_array_equal(path_of(w.shown), first)
    assert "seed 0" in "".join(text for _, text in w.shown.foot)


def test_rewards_by_name_by_choice_and_by_hand() -> None:
    w = PolicyGradient({"yes": 3, "no": 1}, {"no": 1, "yes": -0.5}, taste="higher", beta=0.5)
    assert w.shown.reference == (0.75, 0.25)
    assert w.shown.rewards == (1.5, 3.0)
    w.taste = "one"
    assert w.shown.rewards == (0.0, 1.0)
    w.rewards = [0.3, 1.0]
    assert (w.taste, w.shown.rewards) == ("own", (0.3, 1.0))
    w.rewards = [-0.5, 1.0]
    w.taste = "given"
    assert w.shown.rewards == (-0.5, 1.0)
    w.at, w.seed = 40, 3
    w.reset()
    assert (w.taste, w.rewards, w.at, w.seed) == ("higher", [1.5, 3.0], 0, 0)
    assert PolicyGradient({"a": 0.5, "b": 0.5}).shown.rewards == (0.0, 1.0), "without rewards, one for the last"


def test_the_page_the_repr_and_the_table() -> None:
    w = PolicyGradient(at=40)
    assert repr(w).startswith("PolicyGradient: After 40 steps the policy earns ")
    assert len(repr(w)) <= 110
    head, first = w.shown.table[0], w.shown.table[1]
    assert head == ["token", "reward", "reference", "policy after 40 steps", "optimum"]
    assert first[:3] == ["·panicked", "−1.00", "40\u202f%"]
    assert w.shown.top >= path_of(w.shown).max() - 1e-6, "no bar outgrows the picture while it plays"
    assert w.shown.words[0] == "·panicked"


def test_what_cannot_be_is_refused_in_a_sentence() -> None:
    for reference, rewards, said in (
        ({"a": 1.0}, None, "reference must give 2 to 10 tokens a probability above 0"),
        ({str(i): 1.0 for i in range(11)}, None, "reference must give 2 to 10 tokens"),
        ({"a": 1.0, "b": 0.0}, None, "no sample would ever find it"),
        ({"a": 1.0, "b": math.nan}, None, "reference must give"),
        ({"a": 1.0, "b": 1.0}, {"a": 1}, "name the same tokens"),
        ({"a": 1.0, "b": 1.0}, [1, 2, 3], "rewards must be 2 numbers from -2 to 2, one for each token"),
        ({"a": 1.0, "b": 1.0}, [0, 2.5], "rewards must be 2 numbers from -2 to 2"),
    ):
        with pytest.raises(ValueError, match=said):
            PolicyGradient(reference, rewards)
    w = PolicyGradient()
    with pytest.raises(ValueError, match="give 10 numbers from -2 to 4, one for each token"):
        w.rewards = [5.0] * V
    with pytest.raises(traitlets.TraitError):
        w.beta = 2.0
