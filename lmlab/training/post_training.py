"""From autocomplete to assistant: the stages of post-training as functions, each a run of the one loop `train`.

Lecture: "supervised fine-tuning, a reward model, reinforcement learning". A stage takes a model and gives a new one;
the one it was given stays as it is. Everything follows from the seed, on a processor bit for bit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

import torch
from torch import nn

from lmlab.data.chat import ASSISTANT, END, USER, Dialogue, chat_examples, check_chat_tokens
from lmlab.data.corpus import Corpus, corpus
from lmlab.data.preferences import Preference, preference_pairs
from lmlab.data.town.chat import chat_questions, town_dialogues
from lmlab.models.reward import RewardModel
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel
from lmlab.tokenizer.chat_template import default_template
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.answer_scores import verifier
from lmlab.training.loop import OnStep, train
from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import BatchStream, Objective, next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.policy_objectives import policy_gradient
from lmlab.training.preference_objectives import bradley_terry
from lmlab.training.rollouts import Reward, rollouts
from lmlab.training.state import TrainState

SFT_STEPS, SFT_B, SFT_RATE = 120, 12, 6e-4
RL_STEPS, RL_RATE, RL_KL, RL_TOKENS = 40, 6e-4, 0.1, 24
RL_KINDS = ("person", "how_to", "history")  # whose answers end before RL_TOKENS
N_QUESTIONS = 400
REWARD_STEPS, REWARD_B, REWARD_RATE = 60, 16, 1e-3
N_DIALOGUES, N_REPLAYED = 3_000, 3_000
REPLAY_SEED = 5  # the corpus of pre-training has seed 0: these are documents of the same kinds, not the same ones


def replayed() -> Corpus:
    """Documents of pre-training to mix in, so that the assistant does not forget the rest."""
    return corpus("town", documents=N_REPLAYED, seed=REPLAY_SEED)


def sft(
    model: TextModel,
    dialogues: Sequence[Dialogue] | None = None,
    *,
    replay: Corpus | None = None,
    steps: int = SFT_STEPS,
    B: int = SFT_B,
    lr: float = SFT_RATE,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> TextModel:
    """Supervised fine-tuning: the model learns to answer, from conversations (those of the town unless given).

    With `replay` a third of each batch are documents of it (see `replayed`). The returned model has the lab's chat
    template. Raises ValueError for a model that is no transformer of ours, or without tokens for who speaks.
    """
    tok = model.tokenizer
    network = speaking(model)
    given = town_dialogues(N_DIALOGUES, seed) if dialogues is None else dialogues
    batches = chat_examples(given, tok, B=B, replay=replay, seed=seed)
    settings = OptimizerSettings(lr=lr, weight_decay=0.0)
    _trained(network, batches, next_token, steps, settings, seed, on_step)
    return _chat_model(network, tok, f"{model.name}-sft")


def fitted_reward_model(
    model: TextModel,
    pairs: Sequence[Preference],
    *,
    steps: int = REWARD_STEPS,
    B: int = REWARD_B,
    lr: float = REWARD_RATE,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> RewardModel:
    """A reward model that agrees with these labels (Bradley-Terry), its trunk a copy of the model's, trained whole."""
    judge = RewardModel(_network(model))
    batches = preference_pairs(pairs, model.tokenizer, B=min(B, len(pairs)), seed=seed)
    settings = OptimizerSettings(lr=lr, weight_decay=0.0)
    _trained(judge, batches, bradley_terry, steps, settings, seed, on_step)
    return judge


@dataclass(frozen=True, kw_only=True)
class RewardPoint:
    """Means over the 32 answers that a step learned from: what they were paid, what they were worth (None where no
    truth was given), and KL from where the policy began, in nats an answer."""

    step: int
    reward: float
    truth: float | None
    kl: float


@dataclass(frozen=True)
class Reinforced:
    """A policy after reinforcement learning, and a point for each of its steps."""

    model: TextModel
    points: tuple[RewardPoint, ...]


def reinforced(
    model: TextModel,
    reward: Reward | RewardModel,
    prompts: Sequence[str],
    *,
    truth: Callable[[object, str], float] | None = None,
    kl: float = RL_KL,
    steps: int = RL_STEPS,
    lr: float = RL_RATE,
    seed: int = 0,
    on_point: Callable[[RewardPoint], bool | None] | None = None,
) -> Reinforced:
    """Policy gradient, eight answers to each of four prompts a step, at the price of `kl` a nat of distance.

    `truth` is measured beside the reward and never trained on: where the two part, the reward is being hacked.
    `on_point` is called after each step; False ends the training there.
    """
    tok, policy, points = model.tokenizer, copy.deepcopy(_network(model)), list[RewardPoint]()
    answered = rollouts(
        policy, prompts, reward, tok=tok, kl=kl, B=32, n_per_prompt=8, max_new_tokens=RL_TOKENS, seed=seed
    )

    def measure(state: TrainState, point: MetricPoint) -> bool | None:
        worth = None
        if truth is not None and (report := answered.report) is not None:
            worth = mean(truth(*one) for one in zip(report.prompts, report.answers, strict=True))
        points.append(RewardPoint(step=point.step, reward=point.extra["reward"], truth=worth, kl=point.extra["kl"]))
        return on_point(points[-1]) if on_point is not None else None

    settings = OptimizerSettings(lr=lr, weight_decay=0.0, warmup=5, betas=(0.9, 0.99))
    _trained(policy, answered, policy_gradient, steps, settings, seed, measure)
    return Reinforced(_chat_model(policy, tok, f"{model.name}-rl"), tuple(points))


def town_chat(
    model: TextModel, *, seed: int = 0, on_point: Callable[[RewardPoint], bool | None] | None = None
) -> Reinforced:
    """What the shipped town-chat is made by: town-sft, paid 1 for each right answer and 1 for each polite one."""
    questions = chat_questions(N_QUESTIONS, seed, kinds=RL_KINDS)
    return reinforced(model, verifier(questions), [q.question for q in questions], seed=seed, on_point=on_point)


# ---------------------------------------------------------------- parts


def speaking(model: TextModel) -> Transformer:
    """A copy of the network in which the tokens that tell who speaks begin as what did their work before.

    Pre-training never saw them. What stood between a question and its answer there was a line break, and what ended
    a text was BOS, so <|end|> begins as that. From random numbers, as many steps leave a fifth of the held-out
    explanations unanswered.
    """
    check_chat_tokens(model.tokenizer)
    network = copy.deepcopy(_network(model))
    rows, tok = network.embedding.weight, model.tokenizer
    if model.chat_template is None:
        line_break, bos = tok.encode("\n")[0], tok.specials["<|endoftext|>"]
        with torch.no_grad():
            for name, like in ((USER, line_break), (ASSISTANT, line_break), (END, bos)):
                rows[tok.specials[name]] = rows[like]
    return network


def _trained(
    network: nn.Module, batches: BatchStream, objective: Objective, steps: int, settings: OptimizerSettings, seed: int,
    on_step: OnStep | None,
) -> None:  # fmt: skip
    state = TrainState.begin(network, steps=steps, seed=seed, settings=settings)
    train(state, batches, objective, steps, on_step)


def _chat_model(network: Transformer, tok: Tokenizer, name: str) -> TextModel:
    return TextModel(network, tok, name=name, chat_template=default_template())


def _network(model: TextModel) -> Transformer:
    if not isinstance(model.model, Transformer):
        raise ValueError(f"{model.name} is a {type(model.model).__name__}: post-training takes a transformer.")
    return model.model
