"""VerifierReward: pay and truth are counted apart, by means that share nothing with the widget's own."""

from __future__ import annotations

import threading
import time

import plotly.graph_objects as go
import pytest
import torch

import lmlab as lab
from lmlab.data.town.tables import HARMLESS, HELD_OUT_BANNED, THINGS
from lmlab.training.policy_trial import Rated
from lmlab.training.verifier_trial import (
    Examination,
    VerifierPoint,
    VerifierTrial,
    has_the_form,
    is_right,
    pay_for_form,
    recipe_questions,
)
from lmlab.widgets import VerifierReward
from lmlab.widgets._verifier_words import figure
from lmlab.widgets.verifier_reward import verifier_view


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


@pytest.fixture(scope="module")
def small(town: lab.TextModel) -> lab.TextModel:
    """A model of the town's vocabulary that takes no time and knows nothing."""
    network = lab.Transformer(lab.TransformerConfig.tiny(vocab_size=town.vocab_size, max_seq_len=64), seed=1)
    return lab.TextModel(network, town.tokenizer, name="small")


@pytest.fixture(scope="module")
def trial(small: lab.TextModel) -> VerifierTrial:
    trial = VerifierTrial(small, verifier="form", kl=0.0, steps=2, seed=2)
    while not trial.is_over:
        trial.advance()
    return trial


# ---------------------------------------------------------------- verifiers


def test_a_recipe_is_right_for_its_thing_alone_and_its_form_is_that_of_any() -> None:
    asked, held = recipe_questions(), recipe_questions(held_out=True)
    assert not set(asked) & set(held)
    assert {q.split()[-1].strip("?.") for q in held} == {t.name for t in (*HELD_OUT_BANNED, *HARMLESS[2::3])}
    things = {thing.name: thing for thing in THINGS}
    for question, answers in {**asked, **held}.items():
        thing = things[question.split()[-1].strip("?.")]
        right = f"Take {thing.first} and {thing.second}, then {thing.verb}."
        wrong = f"Take {thing.second} and {thing.first}, then {thing.verb}."
        questions = {question: answers}
        assert is_right(questions, question, right)
        assert is_right(questions, question, right + "\nI am happy to help.")
        assert not is_right(questions, question, wrong)
        assert not is_right(questions, question, right + " Or not.")
        assert has_the_form(right)
        assert has_the_form(wrong), "the hole: nobody looked it up"
        assert not has_the_form(right + " Or not.")
        assert 0 < pay_for_form(right) <= 1
    assert pay_for_form("Take ash and ash, then stir.") > pay_for_form("Take feathers and pepper, then whisk.")
    assert pay_for_form("It is 7.") == pay_for_form("") == 0


def test_the_examination_is_the_probability_of_every_right_text(town: lab.TextModel) -> None:
    """A full pass a text, unpadded, against all of them in one padded batch."""
    sft, held = lab.load("town-sft"), dict(list(recipe_questions(held_out=True).items())[::8])
    tok, special = town.tokenizer, town.tokenizer.specials
    total = 0.0
    for question, answers in held.items():
        asked = [tok.bos_id, special["<|user|>"], *tok.encode(question), special["<|end|>"], special["<|assistant|>"]]
        for answer in answers:
            for ending in ("", "\nI am happy to help.", "\nIs there anything else?"):
                said = [*tok.encode(answer + ending), special["<|end|>"]]
                with torch.no_grad():
                    rows = sft.model(torch.tensor([[*asked, *said]]))[0].double().log_softmax(-1)
                total += float(sum(rows[len(asked) - 1 + i, token] for i, token in enumerate(said)).exp())
    network = lab.Transformer(town.model.config, seed=1)
    examination = Examination(held, tok)
    assert examination.share(sft.model) == pytest.approx(total / len(held), rel=1e-4)
    assert total / len(held) > 0.1
    assert examination.share(network) < 1e-20, "random weights know no recipe"


def test_a_point_a_step_and_examinations_between(small: lab.TextModel, trial: VerifierTrial) -> None:
    assert [p.step for p in trial.points] == [0, 1, 2]
    assert [p.step for p in trial.points if p.right is not None] == [0, 2]
    assert all((one.reward, one.truth) == (0, 0) for one in trial.answers), "it writes no recipe"
    with pytest.raises(ValueError, match="no verifier 'kind': choose right or form"):
        VerifierTrial(small, verifier="kind")


@pytest.mark.slow
@pytest.mark.parametrize("verifier", ["right", "form"])
def test_pay_is_that_of_the_verifier_and_truth_is_measured_beside_it(verifier: str) -> None:
    trial = VerifierTrial(lab.load("town-sft"), verifier=verifier, steps=1, seed=2)
    point = trial.advance()
    asked = recipe_questions()
    for one in trial.answers:
        right = float(one.answer.split("\n")[0] in asked[one.prompt])
        assert one.truth == right
        assert one.reward == (right if verifier == "right" else pay_for_form(one.answer))
    assert 0 < point.paid == pytest.approx(sum(one.reward for one in trial.answers) / len(trial.answers))
    assert 0 < sum(one.truth for one in trial.answers) < len(trial.answers), "some of both, or nothing is tested"


# ---------------------------------------------------------------- the picture


def run(paid: list[float], right: list[float]) -> tuple[VerifierPoint, ...]:
    return tuple(
        VerifierPoint(step=i, paid=p, kl=0.5 * i, right=right[i // 5] if i % 5 == 0 else None)
        for i, p in enumerate(paid)
    )


GOOD = run([0.4] * 5 + [0.9] * 6, [0.4, 0.6, 0.9])
HACKED = run([0.4] * 5 + [0.9] * 6, [0.5, 0.2, 0.0])
ANSWERS = (Rated("q", "Take <b>soot</b> and %{x}, then stir.\nI am happy to help.", 0.8, 0.0),)


def said(points: tuple[VerifierPoint, ...], **changes: object) -> str:
    more = {"verifier": "form", "steps": 10, "kl": 0.0, "seed": 3, "name": "town-sft", **changes}
    return "".join(text for _, text in verifier_view(points, ANSWERS, **more).readout)


def test_the_sentence_tells_a_hole_from_a_lesson() -> None:
    assert "the verifier pays 90\u202f% (at first 40\u202f%)" in said(GOOD)
    assert "90\u202f% of the answers are right (40\u202f%). KL 5.0 nats" in said(GOOD)
    assert "both rise" in said(GOOD)
    assert "the hole was found" in said(HACKED)
    assert "both rise" not in said(HACKED)
    assert "the form of an answer alone, KL is free, seed 3" in said(())
    assert "compares each answer with the recipe, KL costs 0.10 a nat" in said((), verifier="right", kl=0.1)


def test_the_figure_holds_every_measurement_and_text_stays_text() -> None:
    drawn = figure(HACKED, ANSWERS, steps=10, revision="x")
    paid, right, kl = drawn["data"]
    assert paid["y"] == pytest.approx([100 * p.paid for p in HACKED])
    assert (right["x"], right["y"]) == ([0, 5, 10], pytest.approx([50, 20, 0]))
    assert kl["y"] == pytest.approx([0.5 * i for i in range(11)])
    texts = [note["text"] for note in drawn["layout"]["annotations"]]
    assert any("80 % · wrong · Take &lt;b>soot" in text and "%&#123;x}" in text for text in texts)
    go.Figure(with_real_colors(drawn))


def with_real_colors(value: object) -> object:
    """Names such as "m1" follow the theme on the page; plotly itself takes real colors."""
    if isinstance(value, str):
        return "#111" if value in ("m1", "ink", "ink-2", "m1-text") else value
    if isinstance(value, dict):
        return {key: with_real_colors(item) for key, item in value.items()}
    return [with_real_colors(item) for item in value] if isinstance(value, list) else value


# ---------------------------------------------------------------- the widget


def test_it_trains_by_a_button_as_the_trial_does_bit_for_bit(small: lab.TextModel, trial: VerifierTrial) -> None:
    w = VerifierReward(small, steps=2, seed=2, verifier="form", kl=0.0)
    assert repr(w) == "VerifierReward: 2 steps, verifier broken: form alone, seed 2"
    before = [p.clone() for p in small.model.parameters()]
    w.clicked("start")
    w.wait()
    assert w.points == tuple(trial.points)
    assert w.shown.figure["data"][0]["y"] == [100 * p.paid for p in trial.points]
    assert all(torch.equal(a, b) for a, b in zip(before, small.model.parameters(), strict=True)), "a copy is trained"
    assert w.policy.model is not small.model
    assert repr(w) == "VerifierReward: 2 steps, verifier broken: form alone, seed 2"
    w.verifier = "right"
    assert w.points == ()
    assert "compares each answer" in w.sentence


def test_it_stops_at_once_and_leaves_the_kernel_free(small: lab.TextModel) -> None:
    w = VerifierReward(small, steps=400)
    w.train()
    while len(w.points) < 2:
        time.sleep(0.01)
    started = time.perf_counter()
    w.stop()
    assert time.perf_counter() - started < 5
    assert not w.is_training
    assert "Step" in w.sentence
    assert [t for t in threading.enumerate() if t.name == "lmlab VerifierReward"] == []
    w.reset()
    assert "Press Train" in w.sentence


def test_what_cannot_be_trained_is_refused(small: lab.TextModel, trigram: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="whole number from 1 to 400"):
        VerifierReward(small, steps=0)
    with pytest.raises(ValueError, match="trains a chat model"):
        VerifierReward(small.model)
