"""Rollouts: answers that the policy writes itself, with their rewards, as a stream of batches.

Lecture: "reinforcement learning against the reward model, with the language model as the policy and a generation as
the action". There is no loop for it: `train` asks for a batch, and this stream has the policy write one as it then is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lmlab.data.chat import END, IGNORED, encode_question, padded
from lmlab.data.dealing import DealtStream, Deck
from lmlab.data.preferences import Prompt
from lmlab.models.reward import RewardModel
from lmlab.sampling import check_max_new_tokens, context_of, generate_batch
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.baselines import Baseline, make_baseline
from lmlab.training.objectives import answer_log_probs
from lmlab.training.policy_objectives import RolloutBatch, k1

Reward = Callable[[Any, str], float]


@dataclass(frozen=True)
class Question:
    """A prompt as it was given, and as the ids (T,) after which the policy is to speak."""

    prompt: Prompt
    ids: Tensor


@dataclass(frozen=True)
class Answer:
    """What the policy wrote: ids with the stop token if it came to that, the text without it, log π of all of it."""

    question: Question
    ids: list[int]
    text: str
    log_prob: float


@dataclass(frozen=True)
class RolloutReport:
    """The last batch, for people to look at: an entry for each answer, answers to one prompt side by side.

    rewards: as given. kls: log π/π_ref of each answer, in nats. advantages: reward − β·KL − baseline.
    """

    position: int
    prompts: tuple[Prompt, ...]
    answers: tuple[str, ...]
    rewards: tuple[float, ...]
    kls: tuple[float, ...]
    advantages: tuple[float, ...]
    n_tokens: tuple[int, ...]

    def metrics(self) -> dict[str, float]:
        """Means over the batch: reward, kl in nats an answer, and answer_tokens."""
        columns = {"reward": self.rewards, "kl": self.kls, "answer_tokens": self.n_tokens}
        return {name: sum(values) / len(values) for name, values in columns.items()}


class RolloutStream(DealtStream[RolloutBatch]):
    """Endless batches of B answers of the policy as it is when asked: n_per_prompt to each of B / n_per_prompt prompts.

    Questions come as ids, so any model of ids may be the policy; `rollouts` makes them from texts.
    `decode` makes an answer's text for the reward. `report` is what the last batch was, None before the first.
    """

    def __init__(
        self,
        policy: Any,
        questions: Sequence[Question],
        reward: Reward | RewardModel,
        *,
        decode: Callable[[list[int]], str],
        stop_ids: frozenset[int],
        baseline: str | Baseline = "leave-one-out",
        kl: float = 0.1,
        reference: nn.Module | None = None,
        B: int = 32,
        n_per_prompt: int = 4,
        max_new_tokens: int = 32,
        seed: int = 0,
    ) -> None:
        sizes = {"n_prompts": len(questions), "n_per_prompt": n_per_prompt, "max_new_tokens": max_new_tokens}
        super().__init__(B=B, seed=seed, **sizes)
        check_max_new_tokens(max_new_tokens)
        _check_settings(B, n_per_prompt, kl, baseline)
        _check_room(questions, max_new_tokens, context_of(policy))
        self.policy, self.reward, self.kl = policy, reward, float(kl)
        self.reference = copy.deepcopy(reference or policy).requires_grad_(False).eval()
        self.baseline = make_baseline(baseline, self.reference) if isinstance(baseline, str) else baseline
        self.report: RolloutReport | None = None
        self._questions, self._n, self._max_new_tokens = questions, n_per_prompt, max_new_tokens
        self._decode, self._stop_ids = decode, stop_ids
        self._deck = Deck(len(questions), seed=seed)

    def state(self) -> dict[str, Any]:
        return {**super().state(), **{f"baseline_{name}": value for name, value in self.baseline.state().items()}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go to a saved cursor, and take back what the baseline had learned by then."""
        super().load_state(state)
        learned = {name: value for name, value in state.items() if name.startswith("baseline_")}
        self.baseline.load_state({name.removeprefix("baseline_"): value for name, value in learned.items()})

    def _batch(self, position: int) -> RolloutBatch:
        n = self.B // self._n
        questions = [self._questions[i] for i in self._deck.deal(position * n, n)]
        answers = self._write(questions, position)
        inputs, targets = _rows(answers)
        device = next(self.reference.parameters()).device
        with torch.no_grad():
            expected = answer_log_probs(self.reference, inputs.to(device), targets.to(device)).double().cpu()
        kls = k1(torch.tensor([a.log_prob for a in answers], dtype=torch.float64) - expected)
        rewards = torch.tensor(self._rewards(answers), dtype=torch.float64)
        # The penalty is part of the reward, a constant to the gradient: the gradient of k1 itself is 0 in the mean.
        totals = (rewards - self.kl * kls).view(n, self._n)
        prompts = [question.ids for question in questions]
        advantages = (totals - self.baseline.expected(prompts, totals)).flatten()
        self.baseline.learn(prompts, totals)
        self.report = RolloutReport(
            position=position,
            prompts=tuple(a.question.prompt for a in answers),
            answers=tuple(a.text for a in answers),
            rewards=tuple(rewards.tolist()),
            kls=tuple(kls.tolist()),
            advantages=tuple(advantages.tolist()),
            n_tokens=tuple(len(a.ids) for a in answers),
        )
        return RolloutBatch(inputs, targets, advantages.float(), self.report.metrics(), self.policy)

    def _write(self, questions: Sequence[Question], position: int) -> list[Answer]:
        """Answers drawn at temperature 1, unfiltered: anything else would be those of another policy."""
        asked = [question for question in questions for _ in range(self._n)]
        seed = (self.seed * 1_000_003 + position) % 2**63
        written = generate_batch(
            self.policy, [q.ids for q in asked], self._max_new_tokens, seed=seed, stop_ids=self._stop_ids
        )
        answers = []
        for question, steps in zip(asked, written, strict=True):
            ids = [step.id for step in steps]
            text = self._decode(ids[:-1] if ids[-1] in self._stop_ids else ids)
            answers.append(Answer(question, ids, text, sum(step.log_prob for step in steps)))
        return answers

    def _rewards(self, answers: Sequence[Answer]) -> list[float]:
        if isinstance(self.reward, RewardModel):
            rows = [torch.cat((a.question.ids, torch.tensor(a.ids))) for a in answers]
            with torch.no_grad():
                given = self.reward.scores(padded(rows, 0), torch.tensor([len(row) - 1 for row in rows])).tolist()
        else:
            given = [self.reward(answer.question.prompt, answer.text) for answer in answers]
        for answer, value in zip(answers, given, strict=True):
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"The reward of the answer {answer.text!r:.60} is {value!r}; give a finite number.")
        return [float(value) for value in given]


def rollouts(
    policy: Any,
    prompts: Sequence[Prompt],
    reward: Reward | RewardModel,
    *,
    tok: Tokenizer,
    baseline: str | Baseline = "leave-one-out",
    kl: float = 0.1,
    reference: nn.Module | None = None,
    B: int = 32,
    n_per_prompt: int = 4,
    max_new_tokens: int = 32,
    seed: int = 0,
) -> RolloutStream:
    """Answers of the policy as it is when a batch is asked for, with how good they were, for `policy_gradient`.

    `reward`: a RewardModel, or any function of (prompt, answer's text), such as one that verifies. From it is taken
    `kl` times log π/π_ref of the answer (k1, its tokens summed), which is in the mean KL(π ‖ π_ref); `reference` is
    the policy as it is now, copied, unless another is given. `baseline`: "leave-one-out" (the other answers to the
    prompt), "mean" (the batches before), "learned" (from the prompt), "none", or a Baseline.

    Prompts of equal length are answered together. Raises ValueError, with the numbers, for settings that do not fit
    each other, prompts that leave no room to answer, and a reward that is no finite number.
    """
    if isinstance(prompts, str) or not prompts:
        raise ValueError("prompts is a list of questions that the policy is to answer; give one at least.")
    questions = [Question(prompt, encode_question(prompt, tok)) for prompt in prompts]
    stop_ids = frozenset({tok.specials[END], tok.specials["<|endoftext|>"]})
    return RolloutStream(
        policy, questions, reward, decode=tok.decode, stop_ids=stop_ids, baseline=baseline, kl=kl,
        reference=reference, B=B, n_per_prompt=n_per_prompt, max_new_tokens=max_new_tokens, seed=seed,
    )  # fmt: skip


def _rows(answers: Sequence[Answer]) -> tuple[Tensor, Tensor]:
    """Inputs and targets, both (B, T): what was written counts, what was asked does not."""
    inputs, targets = [], []
    for answer in answers:
        ids = torch.cat((answer.question.ids, torch.tensor(answer.ids)))
        inputs.append(ids[:-1])
        targets.append(ids[1:].masked_fill(torch.arange(1, len(ids)) < len(answer.question.ids), IGNORED))
    return padded(inputs, 0), padded(targets, IGNORED)


def _check_settings(B: int, n_per_prompt: int, kl: float, baseline: str | Baseline) -> None:
    if B % n_per_prompt:
        raise ValueError(f"B={B} answers cannot be n_per_prompt={n_per_prompt} to each prompt: take a multiple of it.")
    if baseline == "leave-one-out" and n_per_prompt < 2:
        raise ValueError("One answer to a prompt has no others to be compared with: take n_per_prompt=2 or more.")
    if isinstance(kl, bool) or not isinstance(kl, int | float) or not 0 <= kl < math.inf:
        raise ValueError(f"kl is what a nat away from the reference costs, a number from 0, not {kl!r}.")


def _check_room(questions: Sequence[Question], max_new_tokens: int, context: int | None) -> None:
    longest = max(len(question.ids) for question in questions)
    if context is not None and longest + max_new_tokens - 1 > context:
        raise ValueError(
            f"A prompt of {longest} tokens and {max_new_tokens} new ones are more than the {context} that the policy "
            "reads at once: take shorter prompts or fewer max_new_tokens."
        )
