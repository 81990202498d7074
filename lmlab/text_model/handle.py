"""`TextModel`: one handle on counts, n-grams, networks and the truth, by text alone.

Lecture: "ask the model". Whatever predicts the next token answers the same few questions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lmlab.models.language_model import LanguageModel, State
from lmlab.sampling import Sampler, check_max_new_tokens, context_of, generate
from lmlab.text_model.generation import Ended, Generation
from lmlab.text_model.whole_word import whole_word

if TYPE_CHECKING:
    from lmlab.formats.hf_folder import Writer
    from lmlab.models.trace import Trace
    from lmlab.tokenizer.chat_template import ChatTemplate, Message
    from lmlab.tokenizer.tokenizer import Tokenizer

_STOP_NAMES = ("<|endoftext|>", "<|end|>", "<|im_end|>", "</s>", "<|end_of_text|>", "<|eot_id|>")


@dataclass(frozen=True)
class Candidate:
    """A possible next token: its text for display, its natural log-probability, its id."""

    text: str
    log_prob: float
    id: int


class TextModel:
    """The student's handle on any language model: `lab.load("town")`, or `TextModel(model, tokenizer, name="mine")`.

    BOS stands before every prompt (here and nowhere else), so an empty prompt works and the first token has a
    probability. A text longer than the model's context loses its beginning; `n_cropped` says how much.
    A space at the end of a prompt belongs to the next word, as it does in the vocabulary: it is moved there.

    Raises ValueError, naming both sizes, where model and tokenizer do not fit together.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        name: str = "model",
        *,
        chat_template: ChatTemplate | None = None,
    ) -> None:
        if model.vocab_size != tokenizer.vocab_size:
            raise ValueError(
                f"The model has {model.vocab_size} tokens and the tokenizer {tokenizer.vocab_size}: "
                "they were not made for each other; use the tokenizer that the model was trained with."
            )
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.chat_template = chat_template

    def __repr__(self) -> str:
        return f"TextModel({self.name}: {type(self.model).__name__}, V={self.tokenizer.vocab_size})"

    @property
    def vocab_size(self) -> int:
        """V, of model and tokenizer alike."""
        return self.tokenizer.vocab_size

    @property
    def max_seq_len(self) -> int | None:
        """The most tokens the model reads at once; None without limit."""
        return context_of(self.model)

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a text or a turn."""
        specials = self.tokenizer.specials
        names = (*_STOP_NAMES, self.chat_template.eos) if self.chat_template else _STOP_NAMES
        return frozenset(specials[name] for name in names if name in specials)

    def ids(self, prompt: str) -> Tensor:
        """Ids of the prompt (T,), BOS in front, the last `max_seq_len` of them."""
        ids = self._all_ids(prompt)
        return torch.tensor(ids[-self.max_seq_len :] if self.max_seq_len else ids)

    def n_cropped(self, prompt: str) -> int:
        """How many tokens at the beginning of the prompt (BOS counts) the model cannot see."""
        return max(0, len(self._all_ids(prompt)) - self.max_seq_len) if self.max_seq_len else 0

    def next_log_probs(self, prompt: str) -> Tensor:
        """Natural log-probabilities (V,) of the token after the prompt."""
        return self._read(split_trailing_space(prompt)[0])[0]

    def next(self, prompt: str, k: int = 10) -> list[Candidate]:
        """The k likeliest next tokens, likeliest first; fewer where fewer are possible."""
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ValueError(f"k counts candidates from 1 upward, not {k!r}.")
        best = self.next_log_probs(prompt).sort(descending=True, stable=True)
        pairs = zip(best.values[:k].tolist(), best.indices[:k].tolist(), strict=True)
        return [self._candidate(id_, log_prob) for log_prob, id_ in pairs if log_prob > float("-inf")]

    def log_prob(self, continuation: str, *, given: str = "", allow_special: bool = False) -> float:
        """Natural log of the probability that the text after `given` begins with `continuation`.

        The sum over the canonical tokens of the continuation, as they stand by themselves; 0.0 for an empty one.
        A prompt that ends inside a word is scored as it stands. `allow_special` lets "<|endoftext|>" be the token.
        """
        return self.log_probs_each([continuation], given=given, allow_special=allow_special)[0]

    def log_probs_each(
        self, continuations: Iterable[str], *, given: str = "", allow_special: bool = False
    ) -> list[float]:
        """`log_prob` of several continuations of one prompt, which is read once."""
        prompt, space = split_trailing_space(given)
        listed = [
            self.tokenizer.encode(space + text if text else "", allow_special=allow_special) for text in continuations
        ]
        context, longest = self.max_seq_len, max(map(len, listed), default=0)
        # Room for what follows is made at once, so that the same prompt stands before every continuation.
        room = None if context is None else max(1, context - max(0, longest - 1))
        after, state = self._read(prompt, room)
        return [self._sum_log_probs(ids, after, state, self._all_ids(prompt)) for ids in listed]

    def score(self, text: str) -> list[Candidate]:
        """One `Candidate` a token of the text: how probable the model found it after all before it, from BOS on.

        A text longer than the context is read in windows that overlap by half.
        """
        ids = self._all_ids(text)
        context = self.max_seq_len or len(ids)
        scores: list[Candidate] = []
        known = 1  # ids[0] begins the text; it has no probability
        while known < len(ids):
            start = 0 if known == 1 else max(0, known - context // 2)
            window = ids[start : start + context + 1]
            log_probs = self.model.log_probs(torch.tensor([window[:-1]]))[0]
            for place in range(known - start, len(window)):
                scores.append(self._candidate(window[place], float(log_probs[place - 1, window[place]])))
            known = start + len(window)
        return scores

    def generate(
        self,
        prompt: str = "",
        max_new_tokens: int = 50,
        *,
        sampler: Sampler | None = None,
        seed: int = 0,
        stop_ids: Collection[int] | None = None,
        stop: str | Sequence[str] = (),
        max_seconds: float | None = None,
    ) -> Generation:
        """Write on after the prompt: iterate over the steps, or take `.text`. `.ended` says why it stopped.

        That is at the end of a text or turn (`stop_ids=()` writes on past it), before a text in `stop`, after
        `max_new_tokens` or after `max_seconds` of computing.
        """
        stops = self.stop_ids if stop_ids is None else frozenset(stop_ids)
        start = split_trailing_space(prompt)[0]
        drawn = generate(self.model, self.ids(start), max_new_tokens, sampler=sampler, seed=seed, stop_ids=stops)
        return Generation(start, drawn, self.tokenizer, stops, stop=stop, max_seconds=max_seconds)

    def chat(
        self,
        messages: str | Sequence[Message],
        max_new_tokens: int = 256,
        *,
        sampler: Sampler | None = None,
        seed: int = 0,
        stop: str | Sequence[str] = (),
        max_seconds: float | None = None,
    ) -> Generation:
        """Answer a question, or the last of several messages {"role": …, "content": …}; as `generate` otherwise.

        A conversation never loses its beginning: the answer ends where the model's context is full.
        Raises ValueError for a model without a chat template and for a conversation longer than the context.
        """
        if self.chat_template is None:
            raise ValueError(
                f"{self.name} has no chat template: it continues texts and was not taught to answer. Use "
                ".generate(prompt), or load a chat model such as smollm2."
            )
        check_max_new_tokens(max_new_tokens)
        ids = self.chat_template.encode(messages, self.tokenizer)
        room = max_new_tokens if self.max_seq_len is None else self.max_seq_len - len(ids) + 1
        if room < 1:
            raise ValueError(
                f"The conversation has {len(ids):,} tokens and {self.name} reads {self.max_seq_len:,} at once: "
                "leave out its oldest messages."
            )
        limit: Ended = "max_new_tokens" if max_new_tokens <= room else "context"
        drawn = generate(
            self.model, torch.tensor(ids), min(room, max_new_tokens), sampler=sampler, seed=seed, stop_ids=self.stop_ids
        )
        prompt = self.chat_template.render(messages)
        return Generation(prompt, drawn, self.tokenizer, self.stop_ids, stop=stop, max_seconds=max_seconds, limit=limit)

    def trace(self, prompt: str, *, last: int | None = None) -> Trace:
        """Everything a transformer computes while it reads the prompt: attention, scores, the residual stream.

        It grows with the square of the tokens, L H T² numbers twice; `last` has only so many read, the prompt's end.
        """
        from lmlab.models.trace import Trace
        from lmlab.models.transformer import Transformer

        if not isinstance(self.model, Transformer):
            raise ValueError(f"{self.name} is a {type(self.model).__name__} and has no attention to look at.")
        trace = Trace()
        with torch.no_grad():
            self.model.hidden(self.ids(prompt)[None, -(last or 0) :].to(self.model.device), trace=trace)
        return trace

    def whole_word(self, prompt: str, first_token: int) -> str:
        """The word that this token begins after the prompt, completed by the likeliest tokens."""
        return whole_word(self, split_trailing_space(prompt)[0], first_token)

    def save(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> Path:
        """Write model and tokenizer as one folder, which `lab.load` and transformers open. Returns its path."""
        from lmlab.models.load import save_model

        specials, bos, eos = self.tokenizer.specials, self.tokenizer.bos_id, self.tokenizer.bos_id
        files: dict[str, Writer] = {"tokenizer.json": self.tokenizer.save}
        if (template := self.chat_template) is not None:
            bos, eos = specials.get(template.bos, bos), specials.get(template.eos, eos)
            files |= {"chat_template.jinja": template.save, "tokenizer_config.json": template.save_marks}
        settings = {"bos_token_id": bos, "eos_token_id": eos}
        return save_model(self.model, folder, dtype=dtype, settings=settings, files=files)

    def _all_ids(self, prompt: str) -> list[int]:
        bos = self.tokenizer.bos_id
        ids = ([] if bos is None else [bos]) + self.tokenizer.encode(prompt)
        if not ids:
            raise ValueError(f"{self.name}'s tokenizer has no token for the beginning of a text: type something first.")
        return ids

    def _read(self, prompt: str, room: int | None = None) -> tuple[Tensor, State]:
        """Log-probabilities (V,) after the prompt, and the state there; `room` is the most ids that may be kept."""
        ids = self._all_ids(prompt)
        room = room or self.max_seq_len
        log_probs, state = self.model.next_log_probs(torch.tensor([ids[-room:] if room else ids]))
        if bool(log_probs.isnan().any()):
            raise ValueError(
                f"{self.name} gives no valid distribution (NaN): its weights are damaged or have diverged."
            )
        return log_probs[0], state

    def _sum_log_probs(self, ids: list[int], after: Tensor, state: State, before: list[int]) -> float:
        total, context, seen = 0.0, self.max_seq_len, list(before)
        for place, id_ in enumerate(ids):
            total += float(after[id_])
            if place + 1 == len(ids) or total == float("-inf"):
                break
            seen.append(id_)
            new: list[int] = [id_]
            if context is not None and place + 2 > context:  # the continuation alone fills the context
                new, state = seen[-context:], None
            log_probs, state = self.model.next_log_probs(torch.tensor([new]), state)
            after = log_probs[0]
        return total

    def _candidate(self, id_: int, log_prob: float) -> Candidate:
        return Candidate(self.tokenizer.token_text(id_), log_prob, id_)


def split_trailing_space(prompt: str) -> tuple[str, str]:
    """The prompt without the one space at its end, and that space (or nothing): it goes before the next word."""
    return (prompt[:-1], " ") if prompt.endswith(" ") else (prompt, "")
