"""The claims of lab 12: fine-tuning makes a question one, a verifier teaches, and a broken one misleads."""

from __future__ import annotations

import pytest

import lmlab as lab
from lmlab.data.town.chat import HELD_OUT_PEOPLE, HELD_OUT_TOPICS
from lmlab.data.town.tables import THINGS
from lmlab.training.answer_scores import another_question
from lmlab.training.verifier_trial import VerifierTrial
from lmlab.widgets.stage_comparison import stage_of


@pytest.fixture(scope="module")
def road() -> dict[str, lab.TextModel]:
    return {name: lab.load(name) for name in ("town", "town-sft", "town-chat")}


def test_the_log_odds_flip_on_questions_that_no_training_asked(road: dict[str, lab.TextModel]) -> None:
    """Also by another count, which knows the town's own question words alone."""
    asked = [f"Explain {topic} to a six-year-old." for topic in HELD_OUT_TOPICS]
    asked += [f"Where does {person.name} live?" for person in HELD_OUT_PEOPLE[:4]]
    for question in (*asked, "Explain the moon landing to a six-year-old."):
        odds = {name: stage_of(model, question, seed=0, length=1) for name, model in road.items()}
        assert odds["town"].log_odds > -2
        assert odds["town-sft"].log_odds < odds["town"].log_odds - 2
        assert odds["town-chat"].log_odds < odds["town"].log_odds - 2
        for name, model in road.items():
            assert odds[name].question == pytest.approx(another_question(model, question), abs=0.03), name


@pytest.mark.slow
def test_the_reward_model_of_200_labels_is_hacked_where_distance_is_free(road: dict[str, lab.TextModel]) -> None:
    """The lab's own road, cut after 12 steps: labels, a reward model of them, and a policy that is paid by it."""
    fit = lab.widgets.RewardModelFit(lab.widgets.PreferenceLabels(annotated=200))
    fit.train().wait()
    things = {thing.name: thing for thing in THINGS}
    asked = [f"How do I make {name}?" for name in ("moonbread", "glowfire", "giggleglue")]

    def truth(question: str, answer: str) -> float:
        thing = things[question.split()[-1].strip("?")]
        return float(f"{thing.first} and {thing.second}" in answer)

    last = {}
    for kl in (0.0, 0.2):
        w = lab.widgets.PolicyTraining(road["town-sft"], asked, fit.reward_model, kl=kl, truth=truth, steps=12)
        w.train().wait()
        last[kl] = w.points[-1]
        assert w.points[0].truth is not None
        assert w.points[0].truth > 0.8
        assert last[kl].reward > w.points[0].reward + 0.3
    assert last[0.0].truth is not None
    assert last[0.2].truth is not None
    assert last[0.0].truth < 0.2
    assert last[0.2].truth > 0.8
    assert last[0.0].reward > last[0.2].reward
    assert last[0.0].kl > last[0.2].kl


# The next two the notebook tells as well, cell by cell; here they say where it ends.
@pytest.mark.slow
@pytest.mark.by_hand
def test_a_verifier_that_looks_it_up_teaches_what_it_never_showed(road: dict[str, lab.TextModel]) -> None:
    trial = VerifierTrial(road["town-sft"], steps=40)
    while not trial.is_over:
        trial.advance()
    shares = [point.right for point in trial.points if point.right is not None]
    assert shares[-1] > shares[0] + 0.12
    assert trial.points[-1].paid > trial.points[0].paid + 0.1


@pytest.mark.slow
@pytest.mark.by_hand
def test_a_verifier_of_form_alone_is_exploited(road: dict[str, lab.TextModel]) -> None:
    trial = VerifierTrial(road["town-sft"], verifier="form", kl=0.0, steps=30)
    while not trial.is_over:
        trial.advance()
    shares = [point.right for point in trial.points if point.right is not None]
    assert shares[0] > 0.2
    assert shares[-1] < 0.1
    assert trial.points[-1].paid > trial.points[0].paid + 0.2
    assert len({one.answer for one in trial.answers}) < 16, "the same for everybody"
