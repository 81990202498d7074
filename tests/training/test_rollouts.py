"""Rollouts: what the policy itself wrote, what it was worth, and that the same happens again."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lmlab.data.chat import encode_question
from lmlab.models.reward import RewardModel
from lmlab.models.transformer import Transformer
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.loop import train
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.policy_objectives import RolloutBatch, policy_gradient
from lmlab.training.rollouts import Question, RolloutStream, rollouts
from lmlab.training.run import TrainingRun
from lmlab.training.state import TrainState
from tests.training.policies import PROMPTS, OneDistribution, chat_policy, chat_tokenizer
from tests.training.stand_ins import same_bits, weights

SETTINGS: dict[str, Any] = {"B": 8, "n_per_prompt": 4, "max_new_tokens": 5, "seed": 3}


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    return chat_tokenizer()


def length(prompt: Any, answer: str) -> float:
    """A reward that is easy to know: how long the answer is, and a tenth for a question of where."""
    return len(answer) + 0.1 * str(prompt).startswith("Where")


def stream(tok: Tokenizer, policy: Transformer, **changes: Any) -> RolloutStream:
    return rollouts(policy, PROMPTS, length, **{"tok": tok, **SETTINGS, **changes})


def answered(batch: RolloutBatch) -> list[tuple[list[int], list[int]]]:
    """(prompt, answer) of each row, as ids."""
    found = []
    for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
        places = (targets != -100).nonzero().flatten().tolist()
        assert places == list(range(places[0], places[-1] + 1))
        assert torch.equal(inputs[places[1:]], targets[places[:-1]]), "what was written is read on"
        found.append((inputs[: places[0] + 1].tolist(), targets[places].tolist()))
    return found


def log_prob(model: Transformer, prompt: list[int], answer: list[int]) -> float:
    each = model.log_probs(torch.tensor([prompt + answer]))[0].double()
    return float(sum(each[len(prompt) - 1 + n, token] for n, token in enumerate(answer)))


def test_a_batch_has_answers_to_each_prompt_and_nothing_of_the_prompt_counts(tok: Tokenizer) -> None:
    rows = stream(tok, chat_policy(tok))
    for batch in islice(rows, 3):
        asked = [prompt for prompt, _ in answered(batch)]
        assert rows.report is not None
        assert asked == [encode_question(prompt, tok).tolist() for prompt in rows.report.prompts]
        assert asked[:4] == [asked[0]] * 4
        assert asked[4:] == [asked[4]] * 4
        assert asked[0] != asked[4]
        assert all(1 <= len(answer) <= 5 for _, answer in answered(batch))


def test_what_stops_an_answer_is_part_of_it_and_not_of_its_text(tok: Tokenizer) -> None:
    policy = chat_policy(tok)
    eager = encouraged(policy, tok, "<|end|>")
    rows = stream(tok, eager)
    answers = [answer for batch in islice(rows, 4) for _, answer in answered(batch)]
    stopped = [answer for answer in answers if answer[-1] == tok.specials["<|end|>"]]
    assert len(stopped) > 8
    assert all(tok.specials["<|end|>"] not in answer[:-1] for answer in answers)
    assert rows.report is not None
    for text, (_, answer) in zip(rows.report.answers, answered(last(rows, eager, tok)), strict=True):
        assert text == tok.decode([id_ for id_ in answer if id_ != tok.specials["<|end|>"]])


def encouraged(policy: Transformer, tok: Tokenizer, word: str) -> Transformer:
    """The policy with a liking for one special token: its embedding leans towards where all hidden states lie."""
    other = copy.deepcopy(policy)
    with torch.no_grad():
        ids = encode_question(PROMPTS[0], tok)[None]
        hidden = other.hidden(ids)[0, -1]
        other.embedding.weight[tok.specials[word]] = 8.0 * hidden / hidden.square().sum()
    return other


def last(rows: RolloutStream, policy: Transformer, tok: Tokenizer) -> RolloutBatch:
    """The batch that the stream gave last, once more."""
    again = stream(tok, policy)
    again.load_state({**rows.state(), "position": rows.state()["position"] - 1})
    return again.next()


@pytest.mark.parametrize("kl", [0.0, 0.7])
def test_advantages_are_rewards_less_the_kl_less_what_the_others_got(tok: Tokenizer, kl: float) -> None:
    policy, reference = chat_policy(tok, seed=1), chat_policy(tok, seed=2)
    rows = stream(tok, policy, reference=reference, kl=kl)
    batch = rows.next()
    report = rows.report
    assert report is not None
    totals = []
    for n, (prompt, answer) in enumerate(answered(batch)):
        reward = length(report.prompts[n], tok.decode(answer))
        ratio = log_prob(policy, prompt, answer) - log_prob(reference, prompt, answer)
        assert report.rewards[n] == pytest.approx(reward)
        assert report.kls[n] == pytest.approx(ratio, abs=1e-4)
        totals.append(reward - kl * ratio)
    for n, total in enumerate(totals):
        group = [other for m, other in enumerate(totals) if m // 4 == n // 4 and m != n]
        assert float(batch.advantages[n]) == pytest.approx(total - sum(group) / 3, abs=1e-3)
    assert max(map(abs, report.kls)) > 0.1
    assert batch.metrics["reward"] == pytest.approx(sum(report.rewards) / 8)
    assert batch.metrics["kl"] == pytest.approx(sum(report.kls) / 8)
    assert batch.metrics["answer_tokens"] == sum(len(answer) for _, answer in answered(batch)) / 8


def test_it_is_the_policy_of_now_that_answers_and_the_reference_of_then_that_is_compared(tok: Tokenizer) -> None:
    policy, later = chat_policy(tok, seed=1), chat_policy(tok, seed=2)
    rows = stream(tok, policy)
    rows.next()
    assert rows.report is not None
    assert rows.report.kls == pytest.approx([0.0] * 8, abs=1e-5), "no step was made yet"
    policy.load_state_dict(later.state_dict())
    batch = rows.next()
    other = stream(tok, later, reference=chat_policy(tok, seed=1))
    other.next()
    expected = other.next()
    assert torch.equal(batch.inputs, expected.inputs)
    assert torch.equal(batch.advantages, expected.advantages)
    assert max(map(abs, rows.report.kls)) > 0.1


def test_answers_are_drawn_as_often_as_the_policy_says_them() -> None:
    odds = torch.tensor([0.1, 0.2, 0.3, 0.4])
    rows = bandit(OneDistribution(odds.log()), torch.zeros(4), B=500)
    batch = rows.next()
    counts = torch.bincount(torch.tensor([answer[0] for _, answer in answered(batch)]), minlength=4)
    expected = 500 * odds
    assert float(((counts - expected).square() / expected).sum()) < 16.27, "chi squared of 3, one in a thousand"


def bandit(policy: OneDistribution, pays: Tensor, **settings: Any) -> RolloutStream:
    """One question, answered in one token, each of which pays its own."""
    always = {"n_per_prompt": settings["B"], "max_new_tokens": 1, "kl": 0.0}
    questions = [Question("", torch.tensor([0]))]

    def reward(_: Any, answer: str) -> float:
        return float(pays[int(answer)])

    return RolloutStream(
        policy, questions, reward, decode=lambda ids: str(ids[0]), stop_ids=frozenset(), **{**always, **settings}
    )


def test_sampled_answers_lead_to_the_reference_times_e_to_the_reward_over_beta() -> None:
    generator, beta = torch.Generator().manual_seed(4), 0.5
    log_reference = torch.randn(10, generator=generator).log_softmax(0)
    pays = 0.5 * torch.randn(10, generator=generator)
    policy = OneDistribution(log_reference)
    rows = bandit(policy, pays, B=32, kl=beta, seed=1)
    settings = OptimizerSettings(lr=0.1, weight_decay=0.0, warmup=0, clip=None)
    train(TrainState.begin(policy, steps=100, settings=settings), rows, policy_gradient, 100)
    best, found = (log_reference + pays / beta).softmax(0), policy.logits.detach().softmax(0)
    before = float((best - log_reference.exp()).abs().sum()) / 2
    assert before > 0.15
    assert float((best - found).abs().sum()) / 2 < 0.01, "total variation"


def test_a_reward_model_judges_the_ids_as_they_were_written(tok: Tokenizer) -> None:
    policy, judge = chat_policy(tok, seed=1), RewardModel(chat_policy(tok, seed=2))
    torch.nn.init.normal_(judge.head.weight, generator=torch.Generator().manual_seed(3))
    rows = rollouts(policy, PROMPTS, judge, tok=tok, **SETTINGS)
    batch = rows.next()
    assert rows.report is not None
    for (prompt, answer), reward in zip(answered(batch), rows.report.rewards, strict=True):
        ids = torch.tensor([prompt + answer])
        assert reward == pytest.approx(float(judge.scores(ids, torch.tensor([ids.shape[1] - 1])).detach()), abs=1e-5)
    assert len(set(rows.report.rewards)) > 4


def test_the_reward_rises_and_the_books_have_it(tok: Tokenizer) -> None:
    def legible(_: Any, answer: str) -> float:
        return sum(letter.isascii() and letter.isprintable() for letter in answer) / max(1, len(answer))

    policy = chat_policy(tok)
    rows = rollouts(policy, PROMPTS, legible, tok=tok, B=32, n_per_prompt=8, max_new_tokens=3, kl=0.01)
    points = TrainingRun(policy, rows, policy_gradient, steps=20, lr=3e-2).start().wait().log.points
    assert set(points[0].extra) == {"reward", "kl", "answer_tokens"}
    assert json.loads(points[-1].line())["reward"] == points[-1].extra["reward"]
    assert points[0].extra["reward"] < 0.65
    assert sum(point.extra["reward"] for point in points[-5:]) / 5 > 0.8
    assert points[-1].extra["kl"] > 1 > points[0].extra["kl"]


FEW: dict[str, Any] = {"B": 4, "n_per_prompt": 2, "max_new_tokens": 3}


@pytest.mark.parametrize("baseline", ["leave-one-out", "mean", "learned"])
def test_ten_steps_and_ten_more_are_twenty(tok: Tokenizer, baseline: str) -> None:
    def begin() -> tuple[TrainState, RolloutStream]:
        policy = chat_policy(tok)
        state = TrainState.begin(policy, steps=20, settings=OptimizerSettings(lr=1e-2))
        return state, stream(tok, policy, baseline=baseline, **FEW)

    whole, rows = begin()
    train(whole, rows, policy_gradient, 20)
    halves, first = begin()
    train(halves, first, policy_gradient, 10)
    second = stream(tok, halves.model, reference=chat_policy(tok), baseline=baseline, **FEW)  # type: ignore[arg-type]
    second.load_state(first.state())
    train(halves, second, policy_gradient, 20)
    assert same_bits(weights(whole.model), weights(halves.model))
    assert rows.report is not None
    assert second.report == rows.report


@pytest.mark.parametrize("baseline", ["mean", "learned"])
def test_a_run_whose_verifier_broke_goes_on_from_its_folder(tok: Tokenizer, tmp_path: Path, baseline: str) -> None:
    def run(folder: str, breaks_after: int | None = None, **settings: Any) -> TrainingRun:
        policy, judged = chat_policy(tok), iter(range(1000))

        def reward(prompt: Any, answer: str) -> float:
            if next(judged) == breaks_after:
                raise RuntimeError("the verifier is out for lunch")
            return length(prompt, answer)

        rows = rollouts(policy, PROMPTS, reward, tok=tok, baseline=baseline, **FEW)
        place = tmp_path / folder
        return TrainingRun(policy, rows, policy_gradient, steps=6, lr=1e-2, folder=place, **settings)

    whole = run("whole").start().wait()
    with pytest.raises(RuntimeError, match="out for lunch"):
        run("broken", breaks_after=4 * 4 + 1, save_every=2).start().wait()
    again = run("broken", resume=True).start()
    assert len(again.wait().log) == 6
    assert same_bits(weights(whole.model), weights(again.model))


def test_two_seeds_say_different_things_and_one_the_same(tok: Tokenizer) -> None:
    first, same, other = (stream(tok, chat_policy(tok), seed=seed).next().inputs for seed in (3, 3, 4))
    assert torch.equal(first, same)
    assert first.shape != other.shape or not torch.equal(first, other)


def give(value: Any) -> Callable[[Any, str], Any]:
    return lambda prompt, answer: value


def test_what_does_not_fit_is_refused(tok: Tokenizer) -> None:
    policy = chat_policy(tok)
    with pytest.raises(ValueError, match=r"B=8 answers cannot be n_per_prompt=3"):
        stream(tok, policy, n_per_prompt=3)
    with pytest.raises(ValueError, match=r"has no others to be compared with: take n_per_prompt=2"):
        stream(tok, policy, n_per_prompt=1)
    with pytest.raises(ValueError, match=r"A prompt of \d+ tokens and 60 new ones are more than the 64"):
        stream(tok, policy, max_new_tokens=60)
    with pytest.raises(ValueError, match=r"a number from 0, not -1"):
        stream(tok, policy, kl=-1)
    with pytest.raises(ValueError, match=r"prompts is a list of questions"):
        rollouts(policy, "Why?", length, tok=tok)
    with pytest.raises(ValueError, match="give `rollouts` the very model that is trained, no copy"):
        TrainingRun(chat_policy(tok), stream(tok, policy), policy_gradient, steps=1).start().wait()
    for value in (None, "good", float("nan")):
        with pytest.raises(ValueError, match=r"The reward of the answer '.*' is .*; give a finite number"):
            rollouts(policy, PROMPTS, give(value), tok=tok, **SETTINGS).next()
    with pytest.raises(ValueError, match="n_per_prompt=4, but the stream has n_per_prompt=2"):
        stream(tok, policy, n_per_prompt=2).load_state(stream(tok, policy).state())
