"""Distillation: the loss is torch's own, its gradient reaches the student alone, it repeats itself bit for bit."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lmlab.data.batches import Batch, WindowStream
from lmlab.data.corpus import corpus
from lmlab.data.town.town import Town
from lmlab.data.town.truth import TownTruth
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.text_model import TextModel, load
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.distillation import distill
from lmlab.training.distillation_study import ARMS, DistillationTrial, HeldOut, mean_kl, stored_distillation, written
from lmlab.training.loop import train
from lmlab.training.run import TrainingRun
from lmlab.training.state import TrainState
from tests.training.stand_ins import same_bits, weights

V = 29


def model(seed: int, V: int = V, D: int = 16) -> Transformer:
    return Transformer(TransformerConfig(vocab_size=V, max_seq_len=256, d_model=D, n_layers=1, n_heads=2), seed=seed)


def stream(seed: int = 0) -> WindowStream:
    ids = torch.randint(V, (400,), generator=torch.Generator().manual_seed(3))
    return WindowStream(ids, T=12, B=4, seed=seed)


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    return train_bpe(corpus("town", documents=60, seed=0).text, vocab_size=300, specials=RESERVED_SPECIALS)[0]


@pytest.fixture(scope="module")
def town() -> TextModel:
    return load("town")


@pytest.mark.parametrize("tau", [1.0, 2.0, 5.0])
def test_the_loss_and_its_gradient_are_those_of_torch(tau: float) -> None:
    """torch.nn.functional.kl_div, as in Hinton's recipe: batch mean over what counts, times the temperature squared."""
    student, teacher, batch = model(1), model(2, D=24), stream().next()
    targets = batch.targets.clone()
    targets[torch.rand(targets.shape, generator=torch.Generator().manual_seed(5)) < 0.4] = -100
    teacher.requires_grad_(True)
    loss = distill(teacher, tau)(student, Batch(batch.inputs, targets))
    loss.backward()
    mine = [p.grad.clone() for p in student.parameters()]
    assert all(p.grad is None for p in teacher.parameters()), "nothing reaches the teacher"

    student.zero_grad()
    counts = targets != -100
    theirs = F.kl_div(
        F.log_softmax(student(batch.inputs)[counts] / tau, -1),
        F.log_softmax(teacher(batch.inputs)[counts].detach() / tau, -1),
        reduction="batchmean", log_target=True,
    ) * tau**2  # fmt: skip
    theirs.backward()
    assert float(loss.detach()) == pytest.approx(float(theirs.detach()), abs=1e-5)
    for a, p in zip(mine, student.parameters(), strict=True):
        assert torch.allclose(a, p.grad, atol=1e-6)


def test_a_copy_of_the_teacher_has_nothing_to_learn_and_a_far_student_learns() -> None:
    teacher = model(2)
    assert float(distill(teacher, 2.0)(copy.deepcopy(teacher), stream().next()).detach()) == pytest.approx(0, abs=2e-6)
    state, losses = TrainState.begin(model(1), steps=60), []
    train(state, stream(), distill(teacher), 60, lambda _, point: losses.append(point.loss))
    assert losses[-1] < 0.5 * losses[0]


def test_the_truth_can_teach_though_most_words_are_impossible(tok: Tokenizer) -> None:
    truth = TownTruth(tok)
    ids = corpus("town", documents=2, seed=1).ids(tok)[None, :20]
    student = model(0, tok.vocab_size)
    loss = distill(truth)(student, Batch(ids, ids))
    loss.backward()
    p = truth.log_probs(ids).double().exp()
    by_hand = (torch.special.xlogy(p, p) - p * student(ids).detach().double().log_softmax(-1)).sum(-1).mean()
    assert float(loss.detach()) == pytest.approx(float(by_hand), abs=1e-4)
    assert all(bool(torch.isfinite(q.grad).all()) for q in student.parameters())


def test_ten_steps_and_ten_more_are_twenty() -> None:
    objective, start = distill(model(2), 2.0), model(1)
    whole = TrainState.begin(copy.deepcopy(start), steps=20)
    train(whole, stream(), objective, 20)
    halves, first, second = TrainState.begin(copy.deepcopy(start), steps=20), stream(), stream()
    train(halves, first, objective, 10)
    second.load_state(first.state())
    train(halves, second, objective, 20)
    assert not same_bits(weights(whole.model), weights(start))
    assert same_bits(weights(whole.model), weights(halves.model))


def test_a_run_and_a_batch_in_parts_do_the_same() -> None:
    objective = distill(model(2))
    run = TrainingRun(model(1), stream(), objective, steps=6).start().wait()
    alone = TrainState.begin(model(1), steps=6)
    train(alone, stream(), objective, 6)
    assert same_bits(weights(run.model), weights(alone.model))
    parts = TrainState.begin(model(1), steps=6, accumulate=2)
    train(parts, stream(), objective, 6)
    for a, b in zip(weights(alone.model), weights(parts.model), strict=True):
        assert torch.allclose(a, b, atol=2e-4)


def test_what_does_not_fit_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"The student has 31 tokens and its teacher 29: .* one vocabulary"):
        distill(model(2))(model(1, 31), stream().next())
    bad: list[Any] = [0, -1.0, math.inf, True, "much"]
    for temperature in bad:
        with pytest.raises(ValueError, match="give a number above 0"):
            distill(model(2), temperature)
    with pytest.raises(ValueError, match="must be a language model"):
        distill("town")


# ---------------------------------------------------------------- the experiment


def test_the_divergence_is_measured_at_every_place_of_whole_documents(tok: Tokenizer) -> None:
    teacher = TextModel(model(4, tok.vocab_size), tok, name="teacher")
    found = HeldOut(teacher, n=3, seed=8)
    student = model(5, tok.vocab_size)
    truth, total, n = TownTruth(tok), 0.0, 0
    for document in Town().sample(3, 8):
        ids = [tok.bos_id, *tok.encode(document)]
        log_q = student.log_probs(torch.tensor([ids]))[0].double()
        for place in range(len(ids)):
            for token, p in truth.probabilities(ids[: place + 1]).items():
                total += p * (math.log(p) - float(log_q[place, token]))
            n += 1
    assert found.kl(student)[0] == pytest.approx(total / n, abs=1e-4)
    assert found.kl(teacher.model)[1] == pytest.approx(0, abs=1e-5)
    assert mean_kl(torch.tensor([[1.0, 0.0]]), torch.tensor([[math.log(0.25), -math.inf]])) == pytest.approx(
        math.log(4)
    )


def test_an_arm_follows_from_its_seed_and_a_name_that_is_none_is_refused(tok: Tokenizer) -> None:
    teacher = TextModel(model(4, tok.vocab_size), tok, name="teacher")
    trials = [DistillationTrial(teacher, "soft", seed=3, steps=3) for _ in range(2)]
    assert trials[0].advance(3) == trials[1].advance(3)
    assert [p.step for p in trials[0].points] == [0, 3]
    with pytest.raises(ValueError, match="There is no arm 'loud': choose one of hard, soft"):
        DistillationTrial(teacher, "loud")
    text = written(teacher, 4, seed=1)
    assert int((text == tok.bos_id).sum()) == 5
    assert text[0] == text[-1] == tok.bos_id


def test_what_ships_says_that_soft_targets_win_where_text_is_short() -> None:
    kept = stored_distillation()
    assert {*ARMS} < {*kept}
    assert all(len(arm.truth) == 3 for arm in kept.values())
    assert max(kept["soft"].truth) < min(kept["hard"].truth) - 0.8
    assert kept["soft"].mean < kept["soft, temperature 2"].mean < kept["soft, temperature 4"].mean < kept["hard"].mean
    assert abs(kept["soft"].mean - kept["fresh samples"].mean) < 0.15


@pytest.mark.slow
def test_a_short_live_run_shows_the_same(town: TextModel) -> None:
    ends = {}
    for arm in ("soft", "hard"):
        trial = DistillationTrial(town, arm, seed=5, steps=40)
        ends[arm] = trial.advance(40).truth
    assert ends["soft"] < ends["hard"] - 0.4
