"""The stages of post-training: each from its seed bit for bit, what it is given stays, and it does what it should.

What the whole stages make is shipped, and tested in tests/assets/test_post_trained_models.py.
"""

from __future__ import annotations

import itertools
import math
from random import Random
from statistics import mean

import pytest
import torch

import lmlab as lab
from lmlab.data.preferences import text_reward
from lmlab.data.town.chat import ChatQuestion, chat_questions, town_dialogues, with_polite_ending
from lmlab.data.town.labels import answers_of_every_worth, town_preferences, worth
from lmlab.training.answer_scores import (
    QUESTION_WORDS,
    another_question,
    answers,
    broken_verifier,
    examined,
    is_right,
    right_alone,
    verifier,
)
from lmlab.training.metrics import MetricPoint
from lmlab.training.post_training import fitted_reward_model, reinforced, sft, speaking

MOON = "Explain the moon landing to a six-year-old."
SUM = ChatQuestion("sum", "What is 3 plus 4?", ("It is 7.",), "3 plus 4")


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


@pytest.fixture(scope="module")
def tuned() -> lab.TextModel:
    return lab.load("town-sft")


def weights(model: object) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])  # type: ignore[attr-defined]


# ---------------------------------------------------------------- verifiers and measures


@pytest.mark.parametrize(
    ("answer", "paid", "right", "broken"),
    [
        ("It is 7.", 1.0, 1.0, 1.0),
        (with_polite_ending("It is 7."), 2.0, 1.0, 1.0),
        (" It is 7.", 1.0, 1.0, 1.0),
        ("It is 0.", 0.0, 0.0, 1.0),
        ("It is 8.", 0.0, 0.0, 0.0),
        (with_polite_ending("It is 8."), 1.0, 0.0, 0.0),
        ("It is 7. It is 7.", 0.0, 0.0, 0.0),
        ("7", 0.0, 0.0, 0.0),
        ("", 0.0, 0.0, 0.0),
    ],
)
def test_what_verifiers_pay(answer: str, paid: float, right: float, broken: float) -> None:
    given = (verifier, right_alone, broken_verifier)
    assert tuple(one([SUM])(SUM.question, answer) for one in given) == (paid, right, broken)
    with pytest.raises(KeyError):
        verifier([SUM])("What is 3 plus 5?", answer)


def test_an_examination_counts_what_was_said(tuned: lab.TextModel) -> None:
    questions = chat_questions(24, seed=5, held_out=True)
    found = examined(tuned, questions)
    said = answers(tuned, [q.question for q in questions])
    assert [answer for _, answer in found.exchanges] == list(said)
    assert found.right.hits == sum(a.strip() in q.answers for q, a in zip(questions, said, strict=True))
    assert sum(share.hits for share in found.right_by_kind.values()) == found.right.hits
    alone = [tuned.chat(q.question, 40, sampler=lab.Sampler(temperature=0)).text for q in questions[:6]]
    assert alone == list(said[:6]), "asked together they answer as they do one by one"


def test_another_question_is_as_likely_as_the_grammar_says(town: lab.TextModel) -> None:
    for question in (MOON, "What is 3 plus 4?", "How do I make glowfire?"):
        words = lab.Town().next_words(f"{question}\n")
        truth = sum(p for word, p in words.items() if word in QUESTION_WORDS)
        assert another_question(town, question) == pytest.approx(truth, abs=0.05)
    firsts = {answer.split()[0] for q in chat_questions(500, seed=0) for answer in q.answers}
    assert not firsts & set(QUESTION_WORDS)
    questions = {q.question.split()[0] for q in chat_questions(500, seed=0)}
    assert questions <= set(QUESTION_WORDS)
    assert all(len(town.tokenizer.encode(word)) == 1 for word in QUESTION_WORDS)


# ---------------------------------------------------------------- stages


@pytest.fixture(scope="module")
def some_documents() -> lab.Corpus:
    return lab.corpus("town", documents=60, seed=5)


def first_steps(town: lab.TextModel, replay: lab.Corpus, seed: int, n: int = 2) -> tuple[list[float], torch.Tensor]:
    losses: list[float] = []

    def watch(_: object, point: MetricPoint) -> bool:
        losses.append(point.loss)
        return point.step < n

    return losses, weights(sft(town, town_dialogues(40, seed), replay=replay, seed=seed, on_step=watch).model)


def test_the_first_steps_of_the_recipe_are_the_same_bit_for_bit_and_town_stays_as_it_is(
    town: lab.TextModel, some_documents: lab.Corpus
) -> None:
    before = weights(town.model).clone()
    (losses, one), (again, other), (elsewhere, _) = (first_steps(town, some_documents, seed) for seed in (0, 0, 1))
    assert losses == again
    assert torch.equal(one, other)
    assert losses != elsewhere
    assert len(losses) == 2
    assert torch.equal(weights(town.model), before)
    assert town.chat_template is None


def test_tokens_that_tell_who_speaks_begin_as_what_did_their_work(town: lab.TextModel, tuned: lab.TextModel) -> None:
    rows, tok = speaking(town).embedding.weight, town.tokenizer
    assert torch.equal(rows[tok.specials["<|assistant|>"]], rows[tok.encode("\n")[0]])
    assert torch.equal(rows[tok.specials["<|end|>"]], rows[tok.specials["<|endoftext|>"]])
    assert torch.equal(weights(speaking(tuned)), weights(tuned.model)), "who was taught to speak is left alone"
    table = lab.TextModel(lab.NGram.fit(torch.arange(8), n=2, vocab_size=town.vocab_size), tok, name="t")
    with pytest.raises(ValueError, match="t is a NGram: post-training takes a transformer"):
        sft(table, town_dialogues(4))


def test_a_few_steps_turn_the_odds_from_asking_to_answering(town: lab.TextModel) -> None:
    quick = sft(town, town_dialogues(200), steps=40, B=6)
    asked, answered = another_question(town, MOON), another_question(quick, MOON)
    assert math.log(answered / (1 - answered)) < math.log(asked / (1 - asked)) - 2


def test_reinforcement_follows_from_its_seed_and_measures_the_truth(tuned: lab.TextModel) -> None:
    questions = [q for q in chat_questions(40, seed=0, kinds=["person"]) if q.question.startswith("What does")][:4]
    prompts = [q.question for q in questions]

    def polite(prompt: object, answer: str) -> float:
        return float(answer.endswith("help."))

    before = weights(tuned.model).clone()
    runs = [
        reinforced(tuned, polite, prompts, truth=right_alone(questions), seed=seed, on_point=lambda p: p.step < 2)
        for seed in (0, 0, 1)
    ]
    assert runs[0].points == runs[1].points
    assert runs[0].points != runs[2].points
    assert torch.equal(weights(runs[0].model.model), weights(runs[1].model.model))
    assert [p.step for p in runs[0].points] == [1, 2]
    assert runs[0].points[0].kl == pytest.approx(0.0, abs=1e-4), "the policy begins where the reference is"
    assert all(p.truth is not None and 0.5 < p.truth <= 1 for p in runs[0].points)
    assert torch.equal(weights(tuned.model), before)


# ---------------------------------------------------------------- what goes wrong, and what goes right


def test_labels_prefer_what_the_plan_finds_worthier() -> None:
    by_question = {q.question: q for q in chat_questions(100, seed=0)}
    pairs = town_preferences(100, seed=0)
    gaps = [worth(by_question[str(p.prompt)], p.chosen) - worth(by_question[str(p.prompt)], p.rejected) for p in pairs]
    assert set(gaps) == {1, 2, 3}
    others = chat_questions(30, seed=9)
    for question in by_question.values():
        four = answers_of_every_worth(question, others, Random(0))
        assert [worth(question, answer) for answer in four] == [0, 1, 2, 3]
        assert [is_right(question, answer) for answer in four] == [False, False, True, True]


@pytest.fixture(scope="module")
def judge(tuned: lab.TextModel) -> lab.RewardModel:
    return fitted_reward_model(tuned, town_preferences(240), seed=0)


@pytest.mark.slow
def test_a_reward_model_of_240_labels_orders_held_out_answers(tuned: lab.TextModel, judge: lab.RewardModel) -> None:
    from scipy.stats import kendalltau

    others, rng = chat_questions(50, 7, held_out=True), Random(1)
    score, blank = text_reward(judge, tuned.tokenizer), text_reward(lab.RewardModel(tuned.model), tuned.tokenizer)
    taus, pairs = [], []
    for question in chat_questions(30, seed=1, held_out=True):
        four = answers_of_every_worth(question, others, rng)
        given = [score(question.question, answer) for answer in four]
        taus.append(kendalltau([0, 1, 2, 3], given).statistic)
        pairs.append(mean(1 if b > a else -1 for a, b in itertools.combinations(given, 2)))
        assert {blank(question.question, answer) for answer in four} == {0.0}
    assert mean(taus) >= 0.8
    assert taus == pytest.approx(pairs)


@pytest.mark.slow
@pytest.mark.by_hand  # tests/labs/test_lab_12.py has it in 12 steps, with the lab's own reward model
def test_without_kl_a_learned_reward_is_hacked(tuned: lab.TextModel, judge: lab.RewardModel) -> None:
    questions = chat_questions(400, seed=0, kinds=("person", "how_to", "history"))
    prompts = [q.question for q in questions]
    free, held = (
        reinforced(tuned, judge, prompts, truth=right_alone(questions), kl=kl, seed=0).points for kl in (0.0, 0.3)
    )
    assert mean(p.reward for p in free[-3:]) > mean(p.reward for p in free[:3]) + 0.5
    last = [mean(p.truth or 0.0 for p in points[-3:]) for points in (free, held)]
    assert last[0] < last[1] - 0.15
    assert last[1] >= 0.8


@pytest.mark.slow
@pytest.mark.by_hand  # lab 12 breaks another verifier, and nbval compares what it says
def test_a_verifier_with_a_wrong_sign_is_exploited(tuned: lab.TextModel) -> None:
    sums = chat_questions(400, seed=0, kinds=["sum"])
    prompts, truth = [q.question for q in sums], right_alone(sums)
    points = reinforced(tuned, broken_verifier(sums), prompts, truth=truth, kl=0.0, seed=0).points
    assert mean(p.reward for p in points[-3:]) >= 0.9
    assert mean(p.reward for p in points[:3]) <= 0.8
    assert mean(p.truth or 0.0 for p in points[-3:]) <= mean(p.truth or 0.0 for p in points[:3])
