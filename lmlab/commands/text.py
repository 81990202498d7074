"""`lmlab tokenize` and `lmlab generate`: a text's tokens, and a model's continuation as it is written."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import Any

from lmlab.assets import assets_folder

_MAX_BYTES = 10_000_000


def tokenize_command(text: str, *, model: str, ids_only: bool = False) -> int:
    """Print the tokens of `text`, one a line, and how many bytes a token takes."""
    from lmlab.tokenizer.load import load_tokenizer

    text = _text(text)
    tokenizer = load_tokenizer(_tokenizer_file(model))
    ids = tokenizer.encode(text)
    if ids_only:
        print(*ids)
        return 0
    width = max((len(str(id)) for id in ids), default=1)
    for id in ids:
        print(f"{id:>{width}}  {_visible(tokenizer.token_text(id))}")
    n_bytes = len(text.encode("utf-8", "replace"))
    each = f", {n_bytes / len(ids):.2f} bytes a token" if ids else ""
    print(f"{_count(len(ids), 'token')}, {_count(n_bytes, 'byte')}{each}")
    return 0


def generate_command(prompt: str, *, model: str, chat: bool, sampling: dict[str, Any], limits: dict[str, Any]) -> int:
    """Print the prompt and its continuation, or a chat model's answer alone, each token as soon as it is drawn."""
    from lmlab.sampling import Sampler
    from lmlab.text_model import load

    prompt = _text(prompt)
    limits |= {"sampler": Sampler(**sampling), "stop": [text.replace("\\n", "\n") for text in limits["stop"]]}
    opened = load(model)
    written = opened.chat(prompt, **limits) if chat else opened.generate(prompt, **limits)
    print("" if chat else written.prompt, end="", flush=True)
    n = 0
    try:
        for step in written:
            print(_harmless(step.text), end="", flush=True)
            n += len(step.text)
    finally:  # Ctrl-C too leaves a whole line
        print(_harmless(written.text[n:]) if written.ended else "")
    if written.ended in ("time", "context"):
        why = "the time is over" if written.ended == "time" else "the model's context is full"
        print(f"lmlab: stopped after {_count(len(written.steps), 'token')}: {why}", file=sys.stderr)
    return 0


def _harmless(text: str) -> str:
    """The text with its lines and tabs, other control characters as escapes: a terminal would act on them."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) != "Cc" else ascii(c)[1:-1] for c in text)


def _text(given: str) -> str:
    """The argument itself, or standard input for `-`."""
    if given != "-":
        return given
    read = sys.stdin.buffer.read(_MAX_BYTES + 1)
    if len(read) > _MAX_BYTES:
        raise ValueError(f"standard input is longer than {_MAX_BYTES // 1_000_000} MB; give a shorter text")
    return read.decode("utf-8", "replace")


def _tokenizer_file(model: str) -> Path:
    """The tokenizer of a shipped model or of a folder; no weights are read."""
    for folder in (assets_folder() / "models" / model, Path(model)):
        if (folder / "tokenizer.json").is_file():
            return folder / "tokenizer.json"
    if Path(model).is_file():
        return Path(model)
    shipped = sorted(path.parent.name for path in (assets_folder() / "models").glob("*/tokenizer.json"))
    raise ValueError(f"no tokenizer for {model!r}; shipped: {', '.join(shipped) or 'none'}, or give a model folder")


def _visible(text: str) -> str:
    """A token as one line: spaces and control characters are shown, nothing is acted on by the terminal."""
    shown = []
    for character in text:
        if character == " ":
            shown.append("·")
        elif character.isprintable():
            shown.append(character)
        else:
            shown.append(character.encode("unicode_escape").decode("ascii"))
    return "".join(shown)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
