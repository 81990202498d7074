"""Writing a tokenizer as tokenizer.json, the file that Hugging Face's libraries read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmlab.tokenizer.byte_order import to_visible
from lmlab.tokenizer.split import SPLIT_GPT2

if TYPE_CHECKING:
    from lmlab.tokenizer.tokenizer import Tokenizer


def save_tokenizer(tokenizer: Tokenizer, path: str | Path) -> Path:
    """Write tokenizer.json (into `path` where that is a folder), all at once or not at all; the file's path."""
    path = Path(path)
    if path.is_dir() or path.suffix != ".json":
        path.mkdir(parents=True, exist_ok=True)
        path /= "tokenizer.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            json.dump(tokenizer_json(tokenizer), file, ensure_ascii=False, indent=0)
            file.write("\n")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of tokenizer.json."""
    special_ids = set(tokenizer.specials.values())
    tokens = [tokenizer.token_bytes(n) for n in range(tokenizer.vocab_size)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": n,
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for name, n in sorted(tokenizer.specials.items(), key=lambda item: item[1])
        ],
        "normalizer": {"type": tokenizer.normalizer} if tokenizer.normalizer else None,
        "pre_tokenizer": _pre_tokenizer(tokenizer.split),
        "post_processor": byte_level | {"use_regex": True},
        "decoder": byte_level | {"use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {to_visible(token): n for n, token in enumerate(tokens) if n not in special_ids}
            | tokenizer.specials,
            "merges": [" ".join(map(to_visible, pair)) for pair in tokenizer.merge_pairs()],
        },
    }


def _pre_tokenizer(split: str) -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    if split == SPLIT_GPT2:
        return byte_level | {"use_regex": True}
    cut = {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [cut, byte_level | {"use_regex": False}]}
