"""RewardModelFit: the head against the real objective, the measures against scipy and plain counts, the plan found."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kendalltau

import lmlab as lab
from lmlab.data.preferences import encode_pair, pair_batch
from lmlab.widgets import PreferenceLabels, RewardModelFit
from lmlab.widgets._answer_pool import worth
from lmlab.widgets._reward_exam import PLAIN, QUESTIONS, STEPS, FeaturePairs, RewardPoint, exam, head_loss, kendall_tau


@pytest.fixture(scope="module")
def town():
    return lab.load("town")


@pytest.fixture(scope="module")
def fitted(town):
    w = RewardModelFit(PreferenceLabels(annotated=200), town)
    w.train().wait()
    return w


def test_the_head_learns_by_the_objective_of_reward_models(town):
    """A frozen trunk whose features are known beforehand has the loss, and the gradient, of `bradley_terry`."""
    labels = PreferenceLabels(annotated=20).labels[:4]
    model = lab.RewardModel(town.model, freeze_trunk=True)
    torch.nn.init.normal_(model.head.weight)
    batch = pair_batch([encode_pair(label, town.tokenizer, T=256) for label in labels], fill=0)
    real = lab.bradley_terry(model, batch)
    (wanted,) = torch.autograd.grad(real, model.head.weight)
    with torch.no_grad():
        sides = [model.features(batch.chosen, batch.chosen_ends), model.features(batch.rejected, batch.rejected_ends)]
    ours = head_loss(model.head, FeaturePairs(*sides))
    assert float(ours.detach()) == pytest.approx(float(real.detach()), abs=1e-5)
    torch.testing.assert_close(torch.autograd.grad(ours, model.head.weight)[0], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_the_plan_is_found_from_200_labels_with_20_wrong(fitted):
    assert fitted.tau >= 0.8
    last = fitted.fit.points[-1]
    by_scipy = [kendalltau(row, range(8)).statistic for row in last.rewards.tolist()]
    assert fitted.tau == pytest.approx(sum(by_scipy) / QUESTIONS)
    first = fitted.fit.points[0]
    assert (first.step, first.tau, first.p_better) == (0, 0.0, 0.5)
    assert last.step == STEPS
    assert list(last.worths) == ["right", "polite", "brief"]
    assert sorted(last.worths.values()) == list(last.worths.values())[::-1], "in the order of the plan"


@pytest.mark.slow
def test_it_cannot_tell_a_falsehood_from_the_truth(fitted):
    assert 0.2 < fitted.fit.points[-1].fooled["falsehood"] < 0.8
    asked = {q.question for q in exam().questions}
    assert not asked & {label.prompt for label in fitted.labels}, "no label was about a question of the examination"
    for question, falsehood in zip(exam().questions, exam().falsehoods, strict=True):
        assert falsehood not in question.answers
        assert worth(question, falsehood) in (0, 1)


@pytest.mark.slow
def test_the_dots_are_the_scores_of_the_trained_model(fitted, town):
    """By another path: the reward model reads question and answer as texts, one by one."""
    score = lab.text_reward(fitted.reward_model, town.tokenizer)
    last, sat = fitted.fit.points[-1], exam()
    dots = fitted.shown.figure["data"][0]["y"]
    for i in (0, QUESTIONS - 1):
        eight = [score(sat.questions[i].question, answer) for answer in sat.answers[i]]
        assert last.rewards[i].tolist() == pytest.approx(eight, abs=1e-3)
        assert dots[8 * i : 8 * i + 8] == pytest.approx([x - sum(eight) / 8 for x in eight], abs=1e-3)
        false = score(sat.questions[i].question, sat.falsehoods[i])
        assert float(last.falsehoods[i]) == pytest.approx(false, abs=1e-3)


@pytest.mark.slow
def test_labels_the_wrong_way_round_teach_the_opposite(fitted, town):
    wrong = [lab.Preference(x.prompt, x.rejected, x.chosen) for x in fitted.labels]
    w = RewardModelFit(wrong, town)
    w._features = fitted._features  # what the trunk has read does not depend on who labels
    w.train().wait()
    assert w.tau <= -0.8


def test_measures_of_an_examination_are_plain_counts():
    rewards, falsehoods, manners = torch.randn(5, 8), torch.randn(5), torch.randn(5)
    point = RewardPoint(3, rewards, falsehoods, manners, 0.5)
    for row in rewards.tolist():
        other = torch.randn(8).tolist()
        assert kendall_tau(row, other) == pytest.approx(kendalltau(row, other).statistic)
    gains = []
    for bit in (4, 2, 1):
        has = [float(rewards[:, k].mean()) for k in range(8) if k & bit]
        lacks = [float(rewards[:, k].mean()) for k in range(8) if not k & bit]
        gains.append(sum(has) / 4 - sum(lacks) / 4)
    assert list(point.worths.values()) == pytest.approx([g / sum(map(abs, gains)) for g in gains], abs=1e-5)
    for name, rivals in (("falsehood", falsehoods), ("manners", manners)):
        assert point.fooled[name] == pytest.approx(sum(bool(rivals[i] > rewards[i, PLAIN]) for i in range(5)) / 5)
    assert kendall_tau([1, 1, 1], [1, 2, 3]) == 0


@pytest.mark.slow
def test_it_follows_the_labels_of_a_widget(random_model):
    labels = PreferenceLabels(annotated=20)
    w = RewardModelFit(labels, random_model)
    assert w.sentence.startswith("20 labels to learn from")
    w.train().wait()
    assert f"After {STEPS} steps on 20 labels" in w.sentence
    labels.prefer("left")
    assert "There are 21 labels now: press Train again" in w.sentence
    labels.prefer("neither")
    assert "21 labels now" in w.sentence, "neither teaches nothing"
    w.train().wait()
    assert "on 21 labels" in w.sentence
    assert repr(w).startswith("RewardModelFit: 21 labels, 120 steps of the head, seed 0: Kendall’s tau with the plan")
    w.seed = 3
    assert w.fit is None
    assert w.tau is None


def test_nothing_to_learn_from_is_refused(random_model, trigram):
    w = RewardModelFit([], random_model)
    assert "0 labels to learn from" in w.sentence
    with pytest.raises(ValueError, match="no label to learn from"):
        w.train().wait()
    with pytest.raises(ValueError, match="Nothing is trained yet"):
        _ = RewardModelFit([], random_model).reward_model
    label = lab.Preference("Who?", "the goose", "the mayor")
    with pytest.raises(ValueError, match="transformer"):
        RewardModelFit([label], trigram).train().wait()
    long = lab.Preference("Who?", "the goose " * 500, "the mayor")
    with pytest.raises(ValueError, match="leave that label out"):
        RewardModelFit([long], random_model).train().wait()
