"""A conversation as one text for a model, written by the template that the model was tuned with.

Lecture: "chat is a text too". A template is a small program out of a file that anyone may have written, so it runs in
a sandbox with a budget (template_sandbox.py). What people say is only ever text: whoever types "<|im_end|>" has typed
ten characters and ended nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmlab.tokenizer.template_sandbox import LimitedEnvironment
    from lmlab.tokenizer.tokenizer import Tokenizer

MAX_TEMPLATE_CHARACTERS = 32_000
MAX_CONVERSATION_CHARACTERS = 400_000
ROLES = ("system", "user", "assistant", "tool", "developer")

#: A message as transformers and every chat service write it: {"role": "user", "content": "Hello"}.
Message = Mapping[str, str]

_FIRST_STAND_IN = 0xF0000  # a private-use plane of Unicode: characters that stand for others


class ChatTemplate:
    """A model's own way to write a conversation as one text: a jinja2 template, and its two marks.

    The template is compiled when it is first used, so a model with a broken one still opens.
    Raises ValueError for a source that is no text or over 32,000 characters.
    """

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        if not isinstance(source, str) or not source.strip():
            raise ValueError(f"A chat template is a jinja2 text, not {source!r:.60}.")
        if len(source) > MAX_TEMPLATE_CHARACTERS:
            raise ValueError(
                f"The chat template has {len(source):,} characters and at most {MAX_TEMPLATE_CHARACTERS:,} are read; "
                "those of published models have under 25,000."
            )
        self.source, self.bos, self.eos = source, bos, eos
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"ChatTemplate({len(self.source):,} characters, bos={self.bos!r}, eos={self.eos!r})"

    def __reduce__(self) -> tuple[Any, ...]:  # for copies, of a model that has it: without its lock
        return ChatTemplate, (self.source, self.bos, self.eos)

    def render(self, messages: str | Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """The conversation as one text, special tokens by their names; ends where the assistant is to speak.

        For people to look at: `encode` is what a model reads, since here a name that someone typed looks like a token.
        Raises ValueError, one sentence, for messages that are none and for a template that fails or takes too much.
        """
        return self._render(checked_messages(messages), add_generation_prompt)

    def encode(
        self, messages: str | Sequence[Message], tokenizer: Tokenizer, *, add_generation_prompt: bool = True
    ) -> list[int]:
        """The ids of the conversation: special tokens where the template writes them, and nowhere else.

        The conversation is written twice, the second time with a stand-in for every character that a special token's
        name could be made of. Where both agree but for the stand-ins, the second shows whose each character is. A
        template may also take the words apart (cut a "</think>" out, say); then a name that occurs in what someone
        said is read as text everywhere.
        """
        said = checked_messages(messages)
        text = self._render(said, add_generation_prompt)
        names = {name for name in tokenizer.specials if name.strip()}
        marked = self._render(_with_stand_ins(said, names), add_generation_prompt)
        if not _is_followed(text, marked):
            names = {name for name in names if not any(name in message["content"] for message in said)}
            marked = text
        return _encode_parts(text, marked, names, tokenizer)

    def save(self, path: Path) -> Path:
        """Write the source as it stands (chat_template.jinja of a model folder)."""
        path.write_text(self.source, encoding="utf-8", newline="\n")
        return path

    def save_marks(self, path: Path) -> Path:
        """Write which tokens the two marks are, as transformers reads it (tokenizer_config.json)."""
        from lmlab.formats.hf_folder import write_json

        marks = {name: mark for name, mark in (("bos_token", self.bos), ("eos_token", self.eos)) if mark}
        write_json(path, {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **marks})
        return path

    @cached_property
    def _compiled(self) -> tuple[LimitedEnvironment, Any]:
        from lmlab.tokenizer.template_sandbox import LimitedEnvironment

        environment = LimitedEnvironment()
        return environment, environment.compiled(self.source)

    def _render(self, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        try:
            with self._lock:
                environment, template = self._compiled
                environment.start()
                return str(
                    template.render(
                        messages=[dict(message) for message in messages],
                        tools=None,
                        documents=None,
                        add_generation_prompt=add_generation_prompt,
                        bos_token=self.bos,
                        eos_token=self.eos,
                    )
                )
        except RecursionError:
            raise ValueError("The chat template is nested too deeply, or calls itself without end.") from None
        except Exception as error:
            said = str(error).split("\n")[0].rstrip(".")[:300] or type(error).__name__
            raise ValueError(f"The chat template does not write this conversation: {said}.") from None


def default_template() -> ChatTemplate:
    """The template of chat models that this lab makes, on the special tokens that its tokenizers reserve."""
    return ChatTemplate(_DEFAULT, bos="<|endoftext|>", eos="<|end|>")


_DEFAULT = """{{ bos_token }}
{%- for message in messages %}
    {%- if message.role not in ("user", "assistant") %}
        {{- raise_exception("this model knows the roles user and assistant, not " + message.role) }}
    {%- endif %}
    {{- "<|" + message.role + "|>" + message.content + eos_token }}
{%- endfor %}
{%- if add_generation_prompt %}{{ "<|assistant|>" }}{% endif %}"""


def checked_messages(messages: str | Sequence[Message]) -> list[dict[str, str]]:
    """Messages as they are, or one question as the message of a user. Raises ValueError, one sentence."""
    listed: Any = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    if not isinstance(listed, Sequence) or not listed:
        raise ValueError(
            'A conversation is a question, or a list of messages such as {"role": "user", "content": "Hello"}, '
            f"not {listed!r:.60}."
        )
    for place, message in enumerate(listed):
        if not isinstance(message, Mapping) or set(message) != {"role", "content"}:
            raise ValueError(f"Message {place} must have a role and a content and nothing else, not {message!r:.80}.")
        if message["role"] not in ROLES:
            raise ValueError(f"Message {place} has the role {message['role']!r:.40}; roles are {', '.join(ROLES)}.")
        if not isinstance(message["content"], str):
            raise ValueError(f"Message {place} must say a text, not {message['content']!r:.60}.")
    if (size := sum(len(message["content"]) for message in listed)) > MAX_CONVERSATION_CHARACTERS:
        raise ValueError(
            f"The conversation has {size:,} characters and at most {MAX_CONVERSATION_CHARACTERS:,} are written; "
            "leave out its oldest messages."
        )
    return [dict(message) for message in listed]


def _with_stand_ins(messages: Sequence[Message], names: set[str]) -> list[Message]:
    letters = sorted({letter for name in names for letter in name if not letter.isspace()})
    stand_ins = str.maketrans({letter: chr(_FIRST_STAND_IN + n) for n, letter in enumerate(letters)})
    return [{"role": m["role"], "content": m["content"].translate(stand_ins)} for m in messages]


def _is_followed(text: str, marked: str) -> bool:
    """Whether the two differ in nothing but stand-ins, character by character."""
    return len(text) == len(marked) and all(
        a == b or ord(b) >= _FIRST_STAND_IN for a, b in zip(text, marked, strict=True)
    )


def _encode_parts(text: str, marked: str, names: set[str], tokenizer: Tokenizer) -> list[int]:
    """Ids of the text: special tokens where their names stand in `marked`, which is as long."""
    longest_first = sorted(names, key=len, reverse=True)
    found = re.finditer("|".join(map(re.escape, longest_first)), marked) if names else iter(())
    ids, end = [], 0
    for special in found:
        ids += [*tokenizer.encode(text[end : special.start()]), tokenizer.specials[special[0]]]
        end = special.end()
    return ids + tokenizer.encode(text[end:])
