"""A reward model trained on labels while you look, and the examination that it sits after every few steps.

Its trunk is frozen, so every answer is read once; what is trained is the head, on what the trunk has seen at the
answer's end. The examination asks about people and things that no label was about.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, product
from random import Random
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmlab.data.chat import ASSISTANT, END, USER, check_chat_tokens, padded
from lmlab.data.dealing import DealtStream, Deck
from lmlab.data.preferences import Preference, Prompt, encode_answer
from lmlab.data.town.chat import POLITE_ENDINGS, ChatQuestion, chat_questions
from lmlab.models.reward import RewardModel
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel
from lmlab.training.loop import train
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.widgets._answer_pool import WORTH, all_answers, asked_back

STEPS, EVERY, B = 120, 10, 32
SETTINGS = OptimizerSettings(lr=0.02, weight_decay=1.0, warmup=10)
QUESTIONS, _SEED = 16, 2_026_121  # of the examination
PLAIN = 5  # of the eight answers to a question: right, blunt and brief
CHUNK = 32  # answers read at once
Features = dict[tuple[str, str], Tensor]


@dataclasses.dataclass(frozen=True)
class Exam:
    """Held-out questions, to each the eight answers that are worth 0 to 7, and two that are worth less than they look:
    a falsehood in the form of the right answer, and manners alone."""

    questions: tuple[ChatQuestion, ...]
    answers: tuple[tuple[str, ...], ...]
    falsehoods: tuple[str, ...]
    manners: str = POLITE_ENDINGS[0]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """All (question, answer) of the examination."""
        rows = zip(self.questions, self.answers, self.falsehoods, strict=True)
        return [(q.question, a) for q, eight, false in rows for a in (*eight, false, self.manners)]


@dataclasses.dataclass(frozen=True)
class RewardPoint:
    """After `step` steps: the rewards of the eight answers to each question (n, 8), of its falsehood and of manners
    alone (n,) each; the mean P(better > worse) over all pairs that the plan orders."""

    step: int
    rewards: Tensor
    falsehoods: Tensor
    manners: Tensor
    p_better: float

    @property
    def tau(self) -> float:
        """Kendall's tau with the plan, the mean over questions: rewards compare answers to one question alone."""
        return sum(kendall_tau(row, list(range(8))) for row in self.rewards.tolist()) / len(self.rewards)

    @property
    def worths(self) -> dict[str, float]:
        """What each quality adds to the reward, on average, as a share of what all of them do."""
        has = torch.tensor(list(product((0.0, 1.0), repeat=3)))
        gains = [float((self.rewards @ (2 * column - 1)).mean() / 4) for column in has.T]
        total = sum(map(abs, gains)) or 1.0
        return dict(zip(WORTH, (gain / total for gain in gains), strict=True))

    @property
    def fooled(self) -> dict[str, float]:
        """In how many of the questions a falsehood, and manners alone, get more than the right answer, as shares."""
        plain = self.rewards[:, PLAIN]
        return {
            "falsehood": float((self.falsehoods > plain).float().mean()),
            "manners": float((self.manners > plain).float().mean()),
        }


def kendall_tau(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of all pairs, the share ordered alike less the share ordered otherwise; a tie is neither (Kendall 1938, tau-a).

    >>> kendall_tau([1, 2, 3], [1, 3, 2])
    0.3333333333333333
    """
    sign = [(a > b) - (a < b) for a, b in combinations(xs, 2)], [(a > b) - (a < b) for a, b in combinations(ys, 2)]
    return sum(a * b for a, b in zip(*sign, strict=True)) / max(1, len(sign[0]))


@lru_cache(1)
def exam() -> Exam:
    """The examination, the same for every reward model."""
    questions = chat_questions(QUESTIONS, _SEED, held_out=True)
    backs, rng = asked_back(questions, _SEED, held_out=True), Random(_SEED)
    answers = tuple(all_answers(q, other) for q, other in zip(questions, backs, strict=True))
    pool = chat_questions(20 * QUESTIONS, _SEED + 1, held_out=True)
    falsehoods = [
        rng.choice([o.answers[0] for o in pool if o.kind == q.kind and o.answers[0] not in q.answers])
        for q in questions
    ]
    return Exam(questions, answers, tuple(falsehoods))


class FeaturePairs(NamedTuple):
    """What the trunk has seen at the end of B chosen and B rejected answers, (B, D) each."""

    chosen: Tensor
    rejected: Tensor

    @property
    def inputs(self) -> Tensor:
        """All that is read in one batch."""
        return torch.cat((self.chosen, self.rejected))


class _FeatureStream(DealtStream[FeaturePairs]):
    """Endless batches of pairs whose answers have been read; every pair once before any comes again."""

    def __init__(self, chosen: Tensor, rejected: Tensor, *, B: int, seed: int) -> None:
        super().__init__(B=B, seed=seed, n_pairs=len(chosen))
        self._chosen, self._rejected, self._deck = chosen, rejected, Deck(len(chosen), seed=seed)

    def _batch(self, position: int) -> FeaturePairs:
        dealt = self._deck.deal(position * self.B, self.B)
        return FeaturePairs(self._chosen[dealt], self._rejected[dealt])


def head_loss(model: nn.Module, batch: FeaturePairs, generator: torch.Generator | None = None) -> Tensor:
    """`bradley_terry` on a frozen trunk whose features are known: −log σ(r_chosen − r_rejected), the mean."""
    return -F.logsigmoid(model(batch.chosen)[:, 0] - model(batch.rejected)[:, 0]).mean()


def trunk_of(text_model: TextModel) -> Transformer:
    """A copy of the network that can be read at <|end|> without having been trained there: in it that token is a line
    break, where a text of the town ends. A model that was never taught to answer has the others from there, too.

    The head can only tell apart what the trunk has seen: with the shipped models' own <|end|>, Kendall's tau stays at
    0.6. Raises ValueError for what is no transformer, or has no tokens for who speaks.
    """
    if not isinstance(text_model.model, Transformer):
        raise ValueError(
            f"A reward model grows from a transformer, and {text_model.name} is a "
            f'{type(text_model.model).__name__}; give lab.load("town").'
        )
    tok, trunk = text_model.tokenizer, copy.deepcopy(text_model.model)
    check_chat_tokens(tok)
    like, rows = tok.encode("\n")[0], trunk.embedding.weight
    with torch.no_grad():
        for name in (END,) if text_model.chat_template else (USER, ASSISTANT, END):
            rows[tok.specials[name]] = rows[like]
    return trunk


class RewardFit:
    """One training on labels: `read` all answers, then `advance`. `points` are the examinations, the first before any
    training; `features` remembers what was read, for the next training on the same model."""

    def __init__(
        self, text_model: TextModel, labels: Sequence[Preference], *, seed: int = 0, features: Features | None = None
    ) -> None:
        if not labels:
            raise ValueError("There is no label to learn from yet: prefer one of two answers first.")
        self.text_model, self.labels, self.seed = text_model, tuple(labels), seed
        self.model = RewardModel(trunk_of(text_model), freeze_trunk=True)
        self.features: Features = {} if features is None else features
        self.points: list[RewardPoint] = []
        self.n_read, self.n_texts = 0, 0

    def read(self) -> Iterator[None]:
        """Let the trunk read every answer that it has not read yet, some at a time; then the examination at rest."""
        pairs: list[tuple[Prompt, str]] = [(p.prompt, a) for p in self.labels for a in (p.chosen, p.rejected)]
        new = list({_key(*text): text for text in (*pairs, *exam().texts) if _key(*text) not in self.features}.items())
        self.n_texts = len(new)
        for start in range(0, len(new), CHUNK):
            some = new[start : start + CHUNK]
            rows = [encode_answer(*text, self.text_model.tokenizer).ids for _, text in some]
            _check_length(rows, self.text_model)
            with torch.no_grad():
                found = self.model.features(padded(rows, 0), torch.tensor([len(row) - 1 for row in rows])).float().cpu()
            self.features.update(zip((key for key, _ in some), found, strict=True))
            self.n_read = start + len(some)
            yield
        chosen, rejected = (
            torch.stack([self.features[_key(p.prompt, a)] for p, a in side])
            for side in ([(p, p.chosen) for p in self.labels], [(p, p.rejected) for p in self.labels])
        )
        self._state = TrainState.begin(self.model.head, steps=STEPS, seed=self.seed, settings=SETTINGS)
        self._stream = _FeatureStream(chosen, rejected, B=min(B, len(self.labels)), seed=self.seed)
        self.points.append(self.examined())

    @property
    def is_over(self) -> bool:
        """Whether all steps are taken."""
        return bool(self.points) and self.points[-1].step >= STEPS

    def advance(self, keep_on: Callable[[], bool] = lambda: True) -> RewardPoint:
        """Some steps more, or until `keep_on` says no; the examination after them."""
        until = min(STEPS, self._state.step + EVERY)
        train(self._state, self._stream, head_loss, until, lambda state, point: keep_on())
        self.points.append(self.examined())
        return self.points[-1]

    def examined(self) -> RewardPoint:
        """The examination as the head stands."""
        sat = exam()
        with torch.no_grad():
            seen = torch.stack([self.features[text] for text in sat.texts])
            rewards = self.model.head(seen)[:, 0].view(len(sat.questions), 10)
            eight = rewards[:, :8]
            worse, better = zip(*combinations(range(8), 2), strict=True)
            p = float(torch.sigmoid(eight[:, better] - eight[:, worse]).mean())
        return RewardPoint(self._state.step, eight.clone(), rewards[:, 8].clone(), rewards[:, 9].clone(), p)


def _key(prompt: Prompt, answer: str) -> tuple[str, str]:
    return prompt if isinstance(prompt, str) else repr(list(prompt)), answer


def _check_length(rows: Sequence[Tensor], text_model: TextModel) -> None:
    longest, most = max(map(len, rows)), text_model.max_seq_len
    if most is not None and longest > most:
        raise ValueError(
            f"A labeled answer with its question has {longest:,} tokens and {text_model.name} reads {most:,} at once: "
            "leave that label out, or give a model with a longer context."
        )
