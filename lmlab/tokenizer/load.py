"""Reading tokenizers: the formats of the published models, all as one `Tokenizer`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmlab.tokenizer.split import SPLIT_GPT2, SPLIT_GPT4, SPLIT_GPT4O, SPLIT_QWEN2, SPLIT_SMOLLM, SPLITS
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.tokenizer.tokenizer_json import read_pair, read_pairs, read_token, tokenizer_from_json, tokens_by_id
from lmlab.tokenizer.vocabulary import MAX_TOKENS, tokenizer_from_merges, tokenizer_from_ranks

#: Larger files are not read (the largest published tokenizer.json has about 35 MB).
MAX_FILE_BYTES = 1 << 27

# The files of these names say nothing about their split and special tokens; this is what their library says.
_TIKTOKEN = {
    "r50k_base": (SPLIT_GPT2, {"<|endoftext|>": 50256}),
    "p50k_base": (SPLIT_GPT2, {"<|endoftext|>": 50256}),
    "cl100k_base": (
        SPLIT_GPT4,
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": (SPLIT_GPT4O, {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}),
}

_GGUF_SPLITS = {
    "gpt-2": SPLIT_GPT2,
    "smollm": SPLIT_SMOLLM,
    "llama-bpe": SPLIT_GPT4,
    "llama3": SPLIT_GPT4,
    "qwen2": SPLIT_QWEN2,
    "gpt-4o": SPLIT_GPT4O,
}


def load_tokenizer(
    path: str | Path,
    *,
    split: str | None = None,
    specials: dict[str, int] | None = None,
    unchecked: bool = False,
) -> Tokenizer:
    """Read a tokenizer: tokenizer.json (byte-level BPE), vocab.json with merges.txt, a .tiktoken file, or their folder.

    vocab.json and .tiktoken files name neither split nor special tokens: `split` (GPT-2's by default for the former)
    and `specials` (name to id) say them, and for OpenAI's own file names they are known.  `unchecked` is for a
    tokenizer.json that was checked before, and takes half the time.  ValueError names the file
    and what in it is wrong or not implemented; FileNotFoundError where there is none.
    """
    path = _file_of(Path(path))
    try:
        if path.suffix == ".tiktoken":
            return _from_tiktoken(path, split, specials)
        if path.name in ("vocab.json", "merges.txt"):
            return _from_vocab_and_merges(path.parent, split, specials)
        if path.suffix == ".gguf":
            raise ValueError("a GGUF file holds a model too; open both with lab.load")
        if split is not None or specials is not None:
            raise ValueError("a tokenizer.json says its split and specials itself; leave those arguments out")
        return tokenizer_from_json(_json(path), unchecked=unchecked)
    except ValueError as error:
        raise ValueError(f"{path} is not read: {error}") from None


def tokenizer_from_gguf(fields: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer in the metadata of a GGUF file (`tokenizer.ggml.*`, as plain lists and strings)."""
    if (kind := fields.get("tokenizer.ggml.model")) != "gpt2":
        raise ValueError(f"the tokenizer kind {kind!r} of this GGUF file is not implemented, only 'gpt2' (BPE)")
    if (pre := fields.get("tokenizer.ggml.pre", "gpt-2")) not in _GGUF_SPLITS:
        raise ValueError(f"the split {pre!r} of this GGUF file is not implemented, only {', '.join(_GGUF_SPLITS)}")
    written = list(fields["tokenizer.ggml.tokens"])
    kinds = list(fields.get("tokenizer.ggml.token_type") or [1] * len(written))
    if len(kinds) != len(written):
        raise ValueError(f"this GGUF file has {len(written)} tokens and {len(kinds)} token types")
    # Kinds of llama.cpp: 1 normal, 3 control, 4 user-defined, 5 unused (a name that fills a gap).
    specials = {name: n for n, (name, kind) in enumerate(zip(written, kinds, strict=True)) if kind in (3, 4, 5)}
    special_ids = set(specials.values())
    tokens = {n: name.encode("utf-8") if n in special_ids else read_token(name) for n, name in enumerate(written)}
    merges = read_pairs(fields["tokenizer.ggml.merges"], {name: tokens[n] for n, name in enumerate(written)})
    return tokenizer_from_merges(tokens, merges, split=_GGUF_SPLITS[pre], specials=specials)


def _file_of(path: Path) -> Path:
    if path.is_dir():
        names = ("tokenizer.json", "vocab.json")
        found = [path / name for name in names if (path / name).is_file()] or sorted(path.glob("*.tiktoken"))
        if not found:
            raise FileNotFoundError(f"{path} holds no tokenizer.json, vocab.json or .tiktoken file")
        path = found[0]
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    return path


def _text(path: Path) -> str:
    if not path.is_file():
        raise ValueError(f"the file {path.name} that belongs to it is not there")
    if (size := path.stat().st_size) > MAX_FILE_BYTES:
        raise ValueError(f"it has {size:,} bytes, and at most {MAX_FILE_BYTES:,} are read")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8 text") from None


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON ({error})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _from_vocab_and_merges(folder: Path, split: str | None, specials: dict[str, int] | None) -> Tokenizer:
    vocab = _json(folder / "vocab.json")
    if not isinstance(vocab, dict):
        raise ValueError("vocab.json is no table of tokens and ids")
    if specials is None:
        specials = {name: n for name, n in vocab.items() if name.startswith("<|") and name.endswith("|>")}
    lines = _text(folder / "merges.txt").split("\n")
    if lines and lines[0].startswith("#version"):
        lines = lines[1:]
    merges = [read_pair(line, n) for n, line in enumerate(line for line in lines if line)]
    return tokenizer_from_merges(tokens_by_id(vocab, specials), merges, split=split or SPLIT_GPT2, specials=specials)


def _from_tiktoken(path: Path, split: str | None, specials: dict[str, int] | None) -> Tokenizer:
    known_split, known_specials = _TIKTOKEN.get(path.stem, (None, {}))
    split = split or known_split
    if split is None:
        raise ValueError(f"it does not say its split; give split= one of {', '.join(SPLITS)}, or a pattern")
    ranks: dict[bytes, int] = {}
    for n, line in enumerate(_text(path).rstrip("\n").split("\n")):
        try:
            written, rank = line.split(" ")
            token = base64.b64decode(written, validate=True)
            ranks.setdefault(token, int(rank))
        except (ValueError, binascii.Error):
            raise ValueError(f"line {n + 1}, {line[:60]!r}, is not a token in base64 and its rank") from None
        if len(ranks) != n + 1 or n >= MAX_TOKENS:
            raise ValueError(f"line {n + 1} has a token that was there before, or one too many")
    if specials is None:
        specials = known_specials
    # OpenAI's tables leave ids between the last token and the special ones free.
    gaps = set(range(len(ranks), max(specials.values(), default=0))) - set(specials.values())
    names = specials | {f"<|unused {n}|>": n for n in gaps}
    return tokenizer_from_ranks(ranks, split=split, specials=names)
