"""Reading tokenizers: the formats of the published models become one `Tokenizer`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lmlab.tokenizer.byte_order import from_visible
from lmlab.tokenizer.split import SPLIT_GPT2
from lmlab.tokenizer.tokenizer import Tokenizer


def load_tokenizer(path: str | Path) -> Tokenizer:
    path = Path(path)
    if path.is_dir():
        path /= "tokenizer.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    return _from_json(data)


def _from_json(data: dict[str, Any]) -> Tokenizer:
    model = data["model"]
    specials = {token["content"]: token["id"] for token in data["added_tokens"]}
    names = set(specials)
    token_bytes: list[bytes] = [b""] * (1 + max([*model["vocab"].values(), *specials.values()]))
    for written, n in model["vocab"].items():
        token_bytes[n] = written.encode("utf-8") if written in names else from_visible(written)
    for name, n in specials.items():
        token_bytes[n] = name.encode("utf-8")
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    ranks: dict[bytes, int] = {}
    for rank, (left, right) in enumerate(pairs):
        ranks.setdefault(from_visible(left + right), rank)
    pre = data["pre_tokenizer"]
    split = SPLIT_GPT2 if pre["type"] == "ByteLevel" else pre["pretokenizers"][0]["pattern"]["Regex"]
    return Tokenizer(token_bytes=token_bytes, ranks=ranks, split=split, specials=specials)
