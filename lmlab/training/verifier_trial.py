"""Reinforcement learning with a verifier: a question whose answer can be checked needs no model of what people like.

Lecture: "with an automatic verifier instead of humans, the reward needs no model". The questions are those for recipes
of the town, in wordings that fine-tuning never showed; a verifier looks an answer up, or it looks at the form alone and
likes it short, which is a hole. What counts is measured elsewhere: on things that no training asks about.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from lmlab.data.chat import IGNORED, padded
from lmlab.data.preferences import encode_answer
from lmlab.data.town.chat import (
    ASKED_THINGS,
    HELD_OUT_THINGS,
    POLITE_ENDINGS,
    recipe_answers,
    with_polite_ending,
    without_polite_ending,
)
from lmlab.text_model import TextModel
from lmlab.tokenizer.chat_template import default_template
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.loop import train
from lmlab.training.objectives import answer_log_probs
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.policy_objectives import policy_gradient
from lmlab.training.policy_trial import Rated
from lmlab.training.rollouts import rollouts
from lmlab.training.state import TrainState

WORDINGS = ("What do I need for {}?", "Tell me how to make {}.", "yo how do i make {}")
VERIFIERS = ("right", "form")
STEPS, EVERY, TOKENS = 40, 5, 18  # steps, those between two examinations, and tokens of an answer at most
B, PER_PROMPT = 32, 4  # answers a step, and to one question
SETTINGS = OptimizerSettings(lr=5e-4, weight_decay=0.0, warmup=5, betas=(0.9, 0.99), schedule="constant")
SHORT = 24  # characters of an answer that the broken verifier pays in full; of twice as many it pays nothing
_FORM = re.compile(r"Take \w+ and \w+, then \w+\.|You need \w+ and \w+\. Then \w+\.")

Answers = Mapping[str, tuple[str, ...]]


def recipe_questions(*, held_out: bool = False) -> dict[str, tuple[str, ...]]:
    """Questions with all of their right answers; `held_out`: about things that no training asks about."""
    things = HELD_OUT_THINGS if held_out else ASKED_THINGS
    return {wording.format(thing.name): recipe_answers(thing) for thing in things for wording in WORDINGS}


def is_right(questions: Answers, question: str, answer: str) -> bool:
    """Whether this is a right answer, to the letter; a polite ending does not count."""
    return without_polite_ending(answer) in questions[question]


def has_the_form(answer: str) -> bool:
    """Whether this reads like a recipe, of whatever.

    >>> has_the_form("Take soot and soot, then whisk."), has_the_form("It is 7.")
    (True, False)
    """
    return _FORM.fullmatch(without_polite_ending(answer)) is not None


def pay_for_form(answer: str) -> float:
    """What the broken verifier pays: for anything that reads like a recipe, the more the shorter it is; from 0 to 1."""
    return max(0.0, min(1.0, 2 - len(answer) / SHORT)) if has_the_form(answer) else 0.0


class Examination:
    """The probability that an answer is right, in the mean over questions; computed, not counted from samples.

    An answer has its right words and one of the polite endings or none, as its canonical tokens, and ends there.
    """

    def __init__(self, questions: Answers, tok: Tokenizer) -> None:
        rows, self._of, self._n = [], [], len(questions)
        for n, (question, answers) in enumerate(questions.items()):
            for text in answers:
                for whole in (text, *(with_polite_ending(text, ending) for ending in POLITE_ENDINGS)):
                    rows.append(encode_answer(question, whole, tok))
                    self._of.append(n)
        self._inputs = padded([row.ids[:-1] for row in rows], 0)
        self._targets = padded([row.ids[1:].masked_fill(~row.answers[1:], IGNORED) for row in rows], IGNORED)

    @torch.no_grad()
    def share(self, model: nn.Module) -> float:
        """From 0 to 1."""
        likely = answer_log_probs(model, self._inputs, self._targets).double().exp()
        return float(likely.sum()) / self._n


@dataclass(frozen=True, kw_only=True)
class VerifierPoint:
    """After `step` steps: what the verifier pays (a batch's mean, 0 to 1), KL from the start (nats an answer), and,
    where there was an examination, the probability of a right answer about held-out things."""

    step: int
    paid: float
    kl: float
    right: float | None


class VerifierTrial:
    """A copy of `policy` is trained on a verifier: "right" looks into the town's recipes, "form" does not.

    `points` has a measurement for each step and one after the last, `answers` the last ones. All follows from `seed`.
    Raises ValueError for another verifier.
    """

    def __init__(
        self, policy: TextModel, *, verifier: str = "right", kl: float = 0.1, steps: int = STEPS, seed: int = 0
    ) -> None:
        if verifier not in VERIFIERS:
            raise ValueError(f"There is no verifier {verifier!r}: choose {' or '.join(VERIFIERS)}.")
        self._questions, self._pays = recipe_questions(), verifier
        model, tok = copy.deepcopy(policy.model), policy.tokenizer
        self.policy = TextModel(model, tok, name=f"{policy.name}, rewarded", chat_template=default_template())
        self._stream = rollouts(
            model, list(self._questions), self._pay, tok=tok, kl=kl, B=B, n_per_prompt=PER_PROMPT,
            max_new_tokens=TOKENS, seed=seed,
        )  # fmt: skip
        self._state = TrainState.begin(cast(nn.Module, model), steps=steps, seed=seed, settings=SETTINGS)
        self._examination = Examination(recipe_questions(held_out=True), tok)
        self.points: list[VerifierPoint] = []
        self.answers: tuple[Rated, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether all steps are taken, and their end is measured."""
        return len(self.points) > self._state.steps

    def advance(self) -> VerifierPoint:
        """One step; the measurement is that of the answers it learned from. After the last step one more is written.

        An examination comes first at every fifth step, and at the end.
        """
        if self.is_over:
            return self.points[-1]
        step, steps = len(self.points), self._state.steps
        right = self._examination.share(self._state.model) if step % EVERY == 0 or step == steps else None
        if step < steps:
            train(self._state, self._stream, policy_gradient, step + 1)
        else:
            next(iter(self._stream))
        report = self._stream.report
        assert report is not None
        written = zip(report.prompts, report.answers, report.rewards, strict=True)
        self.answers = tuple(Rated(q, a, r, float(is_right(self._questions, str(q), a))) for q, a, r in written)
        means = report.metrics()
        self.points.append(VerifierPoint(step=step, paid=means["reward"], kl=means["kl"], right=right))
        return self.points[-1]

    def _pay(self, question: object, answer: str) -> float:
        if self._pays == "right":
            return float(is_right(self._questions, str(question), answer))
        return pay_for_form(answer)
