"""Batches for supervised fine-tuning (SFT): conversations, of which the assistant's words alone are learned.

Lecture: "supervised fine-tuning on questions and answers (the loss on the answer)". The model reads the whole
conversation; what it is asked to get right are the answers, and that they end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, cast

import torch
from torch import Tensor

from lmlab.data.batches import Batch
from lmlab.data.corpus import Corpus
from lmlab.data.dealing import DealtStream, Deck
from lmlab.tokenizer.chat_template import Message, default_template
from lmlab.tokenizer.tokenizer import Tokenizer

IGNORED = -100
USER, ASSISTANT, END = "<|user|>", "<|assistant|>", "<|end|>"

#: A question and its answer, or messages such as {"role": "user", "content": "Hello"}.
Dialogue: TypeAlias = tuple[str, str] | Sequence[Message]


class Encoded(NamedTuple):
    """A conversation as ids (T,), and which of them (T,) are the assistant's own: its answers, each with its end."""

    ids: Tensor
    answers: Tensor


def encode_dialogue(dialogue: Dialogue, tok: Tokenizer) -> Encoded:
    """A conversation as the default template writes it, BOS first.

    What people say never becomes a special token, so the assistant's words are exactly those between <|assistant|>
    and <|end|>. Raises ValueError, one sentence, for what is no conversation.
    """
    check_chat_tokens(tok)
    ids = _TEMPLATE.encode(as_messages(dialogue), tok, add_generation_prompt=False)
    assistant, end = tok.specials[ASSISTANT], tok.specials[END]
    answers, speaking = [], False
    for id_ in ids:
        answers.append(speaking)
        speaking = id_ == assistant or (speaking and id_ != end)
    return Encoded(torch.tensor(ids), torch.tensor(answers))


def encode_question(prompt: str | Sequence[Message], tok: Tokenizer) -> Tensor:
    """The ids (T,) of a question, or of a conversation up to here, after which the assistant is to speak."""
    check_chat_tokens(tok)
    return torch.tensor(_TEMPLATE.encode(prompt, tok))


def as_messages(dialogue: Dialogue) -> list[Message]:
    """The conversation as messages; a pair of texts is a question and its answer."""
    listed = list(dialogue)
    if len(listed) == 2 and all(isinstance(text, str) for text in listed):
        question, answer = cast(list[str], listed)
        return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return cast(list[Message], listed)


def check_chat_tokens(tok: Tokenizer) -> None:
    """Raise ValueError for a tokenizer without the tokens that tell who speaks."""
    missing = [name for name in (_TEMPLATE.bos, USER, ASSISTANT, END) if name not in tok.specials]
    if missing:
        raise ValueError(f"This tokenizer has no {missing[0]}: train one with specials=RESERVED_SPECIALS.")


def padded(rows: Sequence[Tensor], fill: int) -> Tensor:
    """The rows, each (T,) with a T of its own, as one (B, T); `fill` stands after the end of the shorter ones.

    Padding stands on the right, where a causal model sees it from no token that counts: it changes nothing but the
    time that a batch takes.
    """
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=fill)


class ChatStream(DealtStream[Batch]):
    """Endless batches (inputs, targets), each (B, T) with T as long as the batch's longest row asks for.

    Targets are the inputs moved by one where the assistant speaks, and -100 elsewhere. The last rows of each batch
    are whole documents of the replay, in which every token counts: who learns nothing but answers forgets the rest.
    """

    def __init__(
        self,
        examples: Sequence[Encoded],
        tok: Tokenizer,
        *,
        B: int,
        T: int,
        replay: Corpus | None = None,
        n_replay: int = 0,
        seed: int = 0,
    ) -> None:
        documents = replay.documents if replay is not None else ()
        sizes = {"n_documents": len(documents), "n_replay": n_replay} if documents else {}
        super().__init__(B=B, seed=seed, T=T, n_dialogues=len(examples), **sizes)
        self.T, self.n_replay = T, n_replay
        self._examples, self._tok, self._documents = examples, tok, documents
        self._deck = Deck(len(examples), seed=seed)
        self._replay_deck = Deck(len(documents), seed=seed + 1) if documents else None

    def _batch(self, position: int) -> Batch:
        n = self.B - self.n_replay
        rows = [_row(self._examples[i]) for i in self._deck.deal(position * n, n)]
        if self._replay_deck is not None:
            rows += [self._replayed(i) for i in self._replay_deck.deal(position * self.n_replay, self.n_replay)]
        inputs, targets = zip(*rows, strict=True)
        return Batch(padded(inputs, self._tok.specials.get("<|pad|>", 0)), padded(targets, IGNORED))

    def _replayed(self, i: int) -> tuple[Tensor, Tensor]:
        """A document from BOS to the BOS behind it, as pre-training has it; a longer one than T is cut there."""
        bos = self._tok.specials[_TEMPLATE.bos]
        ids = torch.tensor([bos, *self._tok.encode(self._documents[i]), bos])[: self.T + 1]
        return ids[:-1], ids[1:]


def chat_examples(
    dialogues: Sequence[Dialogue],
    tok: Tokenizer,
    *,
    B: int,
    replay: Corpus | None = None,
    replay_share: float = 1 / 3,
    T: int = 256,
    seed: int = 0,
) -> ChatStream:
    """Conversations in batches of B for `next_token`, prompts masked out: the loss falls on the answers alone.

    With `replay`, that share of the rows of every batch, rounded to whole rows, are documents of pre-training.
    Raises ValueError, with the numbers, for a conversation without an answer, with an empty one, or of more than T
    tokens, and for a share that leaves no row to one of the two.
    """
    if not dialogues:
        raise ValueError("There is no conversation to learn from: give pairs of a question and an answer.")
    n_replay = 0 if replay is None else _n_replay(B, replay_share)
    examples = [_checked(n, dialogue, tok, T) for n, dialogue in enumerate(dialogues)]
    return ChatStream(examples, tok, B=B, T=T, replay=replay, n_replay=n_replay, seed=seed)


_TEMPLATE = default_template()


def _row(example: Encoded) -> tuple[Tensor, Tensor]:
    ids, answers = example
    return ids[:-1], ids[1:].masked_fill(~answers[1:], IGNORED)


def _n_replay(B: int, share: float) -> int:
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise ValueError(f"replay_share is the share of rows that are replayed, between 0 and 1, not {share!r}.")
    n = round(B * share)
    if not 0 < n < B:
        raise ValueError(
            f"A batch of B={B} rows at replay_share={share:.3g} has {n} rows of replay and {B - n} conversations; "
            "take a larger B, so that each has one at least."
        )
    return n


def _checked(n: int, dialogue: Dialogue, tok: Tokenizer, T: int) -> Encoded:
    """The example, if something can be learned from it; n is its number, for the sentence that says why not."""
    messages = as_messages(dialogue)
    try:
        example = encode_dialogue(messages, tok)
    except ValueError as error:
        raise ValueError(f"Conversation {n} cannot be read. {error}") from None
    said = [message["content"] for message in messages if message["role"] == "assistant"]
    if not said:
        raise ValueError(f"Conversation {n} has {len(messages)} messages and no answer: nothing in it is learned.")
    if not all(text.strip() for text in said):
        raise ValueError(f"Conversation {n} has an empty answer: leave it out, or the model learns to say nothing.")
    if len(example.ids) > T:
        raise ValueError(
            f"Conversation {n} has {len(example.ids)} tokens and at most T={T} are read: shorten it, or give a "
            "larger T if the model's context allows."
        )
    return example
