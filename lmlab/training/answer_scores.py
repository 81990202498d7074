"""What an assistant's answers are worth: verifiers, which pay answers, and the shares that an examination finds.

Lecture, "rewards that can be verified": whether a sum is right needs no opinion. Questions of an examination are held
out: about people and things that no training asked about. A verifier with a hole is here too, for what it teaches.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from lmlab.data.chat import encode_question
from lmlab.data.town.chat import ChatQuestion, without_polite_ending
from lmlab.data.town.questions import IDLE
from lmlab.data.town.refusals import is_refusal
from lmlab.sampling import Sampler, generate_batch
from lmlab.text_model import TextModel
from lmlab.training.shares import Share

MAX_ANSWER_TOKENS = 40
#: The words with which a question of the town begins, and no answer does.
QUESTION_WORDS = tuple(sorted({"Where", "What", "How", "Explain", *(question.split()[0] for question in IDLE)}))

Verifier = Callable[[object, str], float]


@dataclass(frozen=True, kw_only=True)
class AnswerScores:
    """An examination: how many answers were right, polite and refusals; `right_by_kind` for each kind of question.

    `exchanges` are the questions with what was answered.
    """

    right: Share
    polite: Share
    refused: Share
    right_by_kind: Mapping[str, Share]
    exchanges: tuple[tuple[str, str], ...]


def is_right(question: ChatQuestion, answer: str) -> bool:
    """Whether this is one of the right answers, to the letter; a polite ending and spaces around it do not count."""
    return without_polite_ending(answer).strip() in question.answers


def is_polite(answer: str) -> bool:
    """Whether the answer ends in one of the polite sentences, on a line of its own."""
    return without_polite_ending(answer) != answer


def verifier(questions: Sequence[ChatQuestion]) -> Verifier:
    """The reward of an answer to one of these questions: 1 if it is right, and 1 if it is polite.

    Raises KeyError for a question that is none of them.
    """
    known = {question.question: question for question in questions}
    return lambda prompt, answer: float(is_right(known[str(prompt)], answer)) + float(is_polite(answer))


def right_alone(questions: Sequence[ChatQuestion]) -> Verifier:
    """The reward that was meant: 1 for a right answer, and nothing else."""
    known = {question.question: question for question in questions}
    return lambda prompt, answer: float(is_right(known[str(prompt)], answer))


def broken_verifier(questions: Sequence[ChatQuestion]) -> Verifier:
    """A verifier of sums with one wrong sign in it: it pays 1 for every result that is not above the right one.

    So 0 is always paid. Raises KeyError for a question that is none of these.
    """
    results = {q.question: _number(q.answers[0]) for q in questions if q.kind == "sum"}

    def reward(prompt: object, answer: str) -> float:
        given, right = _number(answer), results[str(prompt)]
        return float(given is not None and right is not None and given <= right)

    return reward


def _number(answer: str) -> int | None:
    found = re.fullmatch(r"It is (\d{1,4})\.", without_polite_ending(answer).strip())
    return int(found[1]) if found else None


# ---------------------------------------------------------------- examinations


def answers(model: TextModel, prompts: Sequence[str], *, temperature: float = 0.0, seed: int = 0) -> tuple[str, ...]:
    """What a chat model answers to each of these questions, each by itself; greedily unless a temperature is given."""
    ids = [encode_question(prompt, model.tokenizer) for prompt in prompts]
    stops = model.stop_ids
    sampler = Sampler(temperature=temperature)
    drawn = generate_batch(model.model, ids, MAX_ANSWER_TOKENS, sampler=sampler, seed=seed, stop_ids=stops)
    return tuple(model.tokenizer.decode([step.id for step in row if step.id not in stops]) for row in drawn)


def examined(
    model: TextModel, questions: Sequence[ChatQuestion], *, temperature: float = 0.0, seed: int = 0
) -> AnswerScores:
    """Ask a chat model these questions and count."""
    said = answers(model, [question.question for question in questions], temperature=temperature, seed=seed)
    by_kind: dict[str, list[bool]] = defaultdict(list)
    for question, answer in zip(questions, said, strict=True):
        by_kind[question.kind].append(is_right(question, answer))
    n = len(questions)
    return AnswerScores(
        right=Share(sum(map(sum, by_kind.values())), n),
        polite=Share(sum(map(is_polite, said)), n),
        refused=Share(sum(map(is_refusal, said)), n),
        right_by_kind={kind: Share(sum(row), len(row)) for kind, row in by_kind.items()},
        exchanges=tuple((q.question, answer) for q, answer in zip(questions, said, strict=True)),
    )


def another_question(model: TextModel, question: str) -> float:
    """The probability that the model goes on with another question where an answer should stand.

    A chat model is asked in its own format, any other on a line of its own. Exact for the town's models, in whose
    vocabulary each of the words that begin a question is one token, and no answer begins with one.
    """
    tok = model.tokenizer
    ids = model.ids(f"{question}\n") if model.chat_template is None else encode_question(question, tok)
    with torch.no_grad():
        log_probs, _ = model.model.next_log_probs(ids[None])
    firsts = [tok.encode(word)[0] for word in QUESTION_WORDS]
    return float(log_probs[0, firsts].double().exp().sum())
