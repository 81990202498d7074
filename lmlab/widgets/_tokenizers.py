"""What TokenView and TokenCost compare: tokenizers by name, with the model that uses them where there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lmlab.text_model import TextModel
from lmlab.tokenizer.characters import CharacterTokenizer, byte_tokenizer
from lmlab.tokenizer.pieces import Encodes, Piece
from lmlab.tokenizer.words import WordTokenizer
from lmlab.widgets._style import visible

MOST = 4  # slots of color and shape

Given = TextModel | Encodes | str
KEPT = {"bytes": byte_tokenizer, "characters": CharacterTokenizer}


@dataclasses.dataclass(frozen=True)
class Named:
    """A tokenizer in its slot; ``model`` gives the bits of its tokens."""

    name: str
    tokenizer: Any
    model: TextModel | None = None


def named(given: Sequence[Given | Mapping[str, Given]], widget: str) -> tuple[Named, ...]:
    """One to four tokenizers: text models, tokenizers, "bytes", "characters", or a mapping of names to those."""
    listed: list[tuple[str, Given]] = []
    for item in given:
        listed += list(item.items()) if isinstance(item, Mapping) else [("", item)]
    if not 1 <= len(listed) <= MOST:
        raise ValueError(
            f"{widget} compares 1 to {MOST} tokenizers and got {len(listed)}. "
            f'Try {widget}(lab.load("town"), "characters", "bytes").'
        )
    return tuple(_one(name, item, widget) for name, item in listed)


def _one(name: str, item: Given, widget: str) -> Named:
    if isinstance(item, str) and item in KEPT:
        return Named(name or item, KEPT[item]())
    if isinstance(item, TextModel):
        return Named(name or item.name, item.tokenizer, item)
    if not isinstance(item, str) and isinstance(item, Encodes):
        own = "words" if isinstance(item, WordTokenizer) else f"V = {item.vocab_size:,}"
        return Named(name or own, item)
    raise ValueError(
        f'{widget} takes text models, tokenizers, "bytes" or "characters", '
        f"and got {item!r:.60}. Try lab.train_bpe(text, vocab_size=512)[0]."
    )


def shown(piece: Piece) -> str:
    """A token as it is drawn: ``·the``; bytes that are only a part of a character as ``F0 9F``."""
    return visible(piece.data.decode("utf-8")) if piece.is_text else in_hex(piece.data)


def in_hex(data: bytes) -> str:
    """Bytes as people write them: ``E2 82 AC``."""
    return data.hex(" ").upper()
