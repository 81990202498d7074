"""A token grown into the word that it begins: what models of different vocabularies can all be asked about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lmlab.text_model.handle import TextModel

LONGEST_WORD = 12  # tokens that a candidate may take to become a whole word


def whole_word(
    model: TextModel, prompt: str, first_token: int, after: Callable[[tuple[int, ...]], Tensor] | None = None
) -> str:
    """The word that a token begins after the prompt, completed by the likeliest tokens.

    Ends before a token that starts a new word or a sign. `after` says what follows the prompt and these ids, for who
    asks about several words and has read the prompt already.
    """
    specials = set(model.tokenizer.specials.values())
    word = model.tokenizer.token_bytes(first_token)
    if first_token in specials:
        return word.decode("utf-8", "replace")
    after = after or _Continuation(model, prompt).after
    path: tuple[int, ...] = (first_token,)
    for _ in range(LONGEST_WORD):
        if not _may_go_on(word):
            break
        token = int(after(path).argmax())
        if token in specials or not _goes_on(word, model.tokenizer.token_bytes(token)):
            break
        word += model.tokenizer.token_bytes(token)
        path = (*path, token)
    return word.decode("utf-8", "replace")


class _Continuation:
    """A prompt that is continued by one token after another, in a context that may fill up."""

    def __init__(self, model: TextModel, prompt: str) -> None:
        self.model = model
        context = model.max_seq_len
        _, self.state = model._read(prompt, None if context is None else max(1, context - LONGEST_WORD))

    def after(self, path: tuple[int, ...]) -> Tensor:
        log_probs, self.state = self.model.model.next_log_probs(torch.tensor([path[-1:]]), self.state)
        return log_probs[0]


def _may_go_on(word: bytes) -> bool:
    """Whether this may be an unfinished word: ends in a letter or digit, or inside a character."""
    try:
        text = word.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return text[-1:].isalnum()


def _goes_on(word: bytes, token: bytes) -> bool:
    """Whether the token continues the word rather than starting another or ending the sentence."""
    try:
        word.decode("utf-8")
    except UnicodeDecodeError:
        return bool(token) and token[0] & 0xC0 == 0x80  # the rest of a character
    return token.decode("utf-8", "ignore")[:1].isalnum() or (token[:1] != b"" and token[0] >= 0x80)
