"""Preference labels: two answers to one question, and which of them people liked better.

Lecture: "preference labels and a reward model". It is easier to say which answer is better than to write a good one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lmlab.data.chat import Encoded, encode_dialogue, padded
from lmlab.data.dealing import DealtStream, Deck
from lmlab.models.reward import RewardModel
from lmlab.tokenizer.chat_template import Message, checked_messages
from lmlab.tokenizer.tokenizer import Tokenizer

Prompt = str | Sequence[Message]


@dataclass(frozen=True)
class Preference:
    """To `prompt`, a question or a conversation up to here, the answer `chosen` was liked better than `rejected`."""

    prompt: Prompt
    chosen: str
    rejected: str


class PairBatch(NamedTuple):
    """B pairs. chosen and rejected: ids (B, T), padded on the right to one T; ..._ends: (B,), where the last token of
    each stands; ..._answers: (B, T), which tokens are the answer's own, its <|end|> among them."""

    chosen: Tensor
    rejected: Tensor
    chosen_ends: Tensor
    rejected_ends: Tensor
    chosen_answers: Tensor
    rejected_answers: Tensor

    @property
    def inputs(self) -> Tensor:
        """All ids, the chosen ones above the rejected ones: twice B rows, for one pass through a model."""
        return torch.cat((self.chosen, self.rejected))

    @property
    def ends(self) -> Tensor:
        """Where the last token of each row of `inputs` stands."""
        return torch.cat((self.chosen_ends, self.rejected_ends))

    @property
    def answers(self) -> Tensor:
        """Which tokens of `inputs` are the answers' own."""
        return torch.cat((self.chosen_answers, self.rejected_answers))


class PairStream(DealtStream[PairBatch]):
    """Endless batches of pairs; every pair once before any comes again."""

    def __init__(self, pairs: Sequence[tuple[Encoded, Encoded]], *, B: int, fill: int, seed: int = 0) -> None:
        super().__init__(B=B, seed=seed, n_pairs=len(pairs))
        self._pairs, self._fill = pairs, fill
        self._deck = Deck(len(pairs), seed=seed)

    def _batch(self, position: int) -> PairBatch:
        return pair_batch([self._pairs[i] for i in self._deck.deal(position * self.B, self.B)], fill=self._fill)


def pair_batch(pairs: Sequence[tuple[Encoded, Encoded]], *, fill: int) -> PairBatch:
    """Pairs of (chosen, rejected) as one batch; `fill` is the id that stands after the end of shorter rows."""
    sides = [*(chosen for chosen, _ in pairs), *(rejected for _, rejected in pairs)]
    ids, answers = padded([s.ids for s in sides], fill), padded([s.answers for s in sides], False)
    ends = torch.tensor([len(s.ids) - 1 for s in sides])
    return PairBatch(*ids.chunk(2), *ends.chunk(2), *answers.chunk(2))


def encode_answer(prompt: Prompt, answer: str, tok: Tokenizer) -> Encoded:
    """A prompt and one answer to it; of the conversation, that last answer alone is marked as the assistant's."""
    before = checked_messages(prompt)
    whole = encode_dialogue([*before, {"role": "assistant", "content": answer}], tok)
    n_before = len(encode_dialogue(before, tok).ids)
    return Encoded(whole.ids, whole.answers & (torch.arange(len(whole.ids)) >= n_before))


def encode_pair(pair: Preference, tok: Tokenizer, *, T: int, n: int = 0) -> tuple[Encoded, Encoded]:
    """(chosen, rejected) as ids; n is the pair's number, for the sentence that says why it is none."""
    if pair.chosen == pair.rejected:
        raise ValueError(f"Pair {n} has the same answer twice ({pair.chosen!r:.40}): there is nothing to prefer.")
    chosen, rejected = encode_answer(pair.prompt, pair.chosen, tok), encode_answer(pair.prompt, pair.rejected, tok)
    longest = max(len(chosen.ids), len(rejected.ids))
    if longest > T:
        raise ValueError(
            f"Pair {n} has {longest} tokens and at most T={T} are read: shorten it, or give a larger T if the "
            "model's context allows."
        )
    return chosen, rejected


def preference_pairs(pairs: Sequence[Preference], tok: Tokenizer, *, B: int, T: int = 256, seed: int = 0) -> PairStream:
    """Pairs in batches of B, for `bradley_terry` on a RewardModel or `dpo` on the policy itself.

    Raises ValueError, with the numbers, for no pairs, a pair of equal answers, and one of more than T tokens.
    """
    if not pairs:
        raise ValueError("There is no pair to learn from: give a list of Preference(prompt, chosen, rejected).")
    encoded = [encode_pair(pair, tok, T=T, n=n) for n, pair in enumerate(pairs)]
    return PairStream(encoded, B=B, fill=tok.specials.get("<|pad|>", 0), seed=seed)


def text_reward(model: RewardModel, tok: Tokenizer) -> Callable[[Prompt, str], float]:
    """The reward model as a function of texts: (prompt, answer) to its score."""

    def score(prompt: Prompt, answer: str) -> float:
        ids = encode_answer(prompt, answer, tok).ids
        with torch.no_grad():
            return float(model.scores(ids[None], torch.tensor([len(ids) - 1])))

    return score
