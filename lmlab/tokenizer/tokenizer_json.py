"""tokenizer.json: what of it we implement, and by name what we do not.

The file describes a pipeline (normalizer, pre_tokenizer, model, post_processor, decoder) with many kinds of each.
Byte-level BPE needs few of them.  A file that asks for another is refused, since reading it anyway would give ids
that are nearly right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from lmlab.tokenizer.byte_order import from_visible
from lmlab.tokenizer.split import SPLIT_GPT2, SPLIT_SMOLLM, splitter
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.tokenizer.vocabulary import Pair, tokenizer_from_merges

_SECTIONS = {
    "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder",
    "model",
}  # fmt: skip


def tokenizer_from_json(data: Any, *, unchecked: bool = False) -> Tokenizer:
    """The tokenizer that the content of a tokenizer.json describes; ValueError names what is not implemented.

    `unchecked` leaves out whether every merge can happen, half of the time that it takes.
    """
    if not isinstance(data, dict) or not isinstance(model := data.get("model"), dict):
        raise ValueError("it has no section 'model', so it is no tokenizer.json")
    if unknown := set(data) - _SECTIONS:
        raise ValueError(f"its section {min(unknown)!r} is not known here")
    _check_model(model)
    specials = _specials(data.get("added_tokens") or [])
    tokens = tokens_by_id(model["vocab"], specials)
    merges = read_pairs(model["merges"], {written: tokens[n] for written, n in model["vocab"].items()})
    tokenizer = tokenizer_from_merges(
        tokens,
        merges,
        split=_split(data.get("pre_tokenizer")),
        specials=specials,
        normalizer=_normalizer(data.get("normalizer")),
        unchecked=unchecked,
    )
    if model.get("ignore_merges"):
        _check_all_made(tokenizer)
    decoder = data.get("decoder")
    if decoder is not None and _kind(decoder) != "ByteLevel":
        raise ValueError(f"its decoder {_kind(decoder)!r} is not implemented, only 'ByteLevel'")
    return tokenizer


def tokens_by_id(vocab: Mapping[str, int], specials: Mapping[str, int]) -> dict[int, bytes]:
    """A vocabulary as files write it (visible characters to ids) as bytes by id."""
    tokens: dict[int, bytes] = {}
    for written, n in vocab.items():
        if type(n) is not int:
            raise ValueError(f"the token {written!r} has the id {n!r}; ids are whole numbers")
        if n in tokens:
            raise ValueError(f"id {n} is both {written!r} and {tokens[n]!r}")
        tokens[n] = written.encode("utf-8", "replace") if specials.get(written) == n else read_token(written)
    return tokens


def read_token(written: str) -> bytes:
    """The bytes of a token as a file writes it; ValueError names a token that is not written in GPT-2's alphabet."""
    try:
        return from_visible(written)
    except KeyError as error:
        raise ValueError(
            f"the token {written!r} has the character {error}, which stands for no byte: this vocabulary is not "
            "byte-level, and only byte-level BPE is implemented"
        ) from None


def read_pairs(pairs: Iterable[Any], known: Mapping[str, bytes]) -> list[Pair]:
    """Merges in their order; `known` has the bytes of every token as the file writes it."""
    read: list[Pair] = []
    for n, pair in enumerate(pairs):
        try:
            left, right = pair.split(" ") if isinstance(pair, str) else pair
            read.append((known[left], known[right]))
        except (KeyError, TypeError, ValueError):
            read.append(read_pair(pair, n))  # which says what is wrong with it
    return read


def read_pair(pair: Any, n: int) -> Pair:
    """A merge, written "left right" or ["left", "right"]."""
    parts = pair.split(" ") if isinstance(pair, str) else pair
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(f"merge {n} is {pair!r} and not two tokens")
    return read_token(parts[0]), read_token(parts[1])


def _check_model(model: Mapping[str, Any]) -> None:
    if (kind := model.get("type", "BPE")) != "BPE":
        raise ValueError(f"its model is {kind!r}; only 'BPE' is implemented")
    if not isinstance(model.get("vocab"), dict) or not isinstance(model.get("merges"), list):
        raise ValueError("its model has no table 'vocab' or no list 'merges'")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(name):
            raise ValueError(f"its model sets {name}={model[name]!r}, which is not implemented")


def _specials(added: Any) -> dict[str, int]:
    specials: dict[str, int] = {}
    for token in added if isinstance(added, list) else [None]:
        if not isinstance(token, dict) or not isinstance(name := token.get("content"), str) or not name:
            raise ValueError("an entry of 'added_tokens' has no content")
        for flag in ("lstrip", "rstrip", "single_word"):
            if token.get(flag):
                raise ValueError(f"its added token {name!r} sets {flag}, which is not implemented")
        if not token.get("special") and not (name.startswith("<") and name.endswith(">")):
            raise ValueError(f"its added token {name!r} stands for plain text, which is not implemented")
        if name in specials:
            raise ValueError(f"the added token {name!r} is there twice")
        if type(n := token.get("id")) is not int:
            raise ValueError(f"the added token {name!r} has the id {n!r}; ids are whole numbers")
        specials[name] = n
    return specials


def _normalizer(section: Any) -> Literal["NFC"] | None:
    if section is None or (_kind(section) == "Sequence" and not section.get("normalizers")):
        return None
    if (kind := _kind(section)) != "NFC":
        raise ValueError(f"its normalizer {kind!r} is not implemented, only 'NFC' or none")
    return "NFC"


def _split(section: Any) -> str:
    """The split pattern of the section pre_tokenizer."""
    stages = section.get("pretokenizers") if _kind(section) == "Sequence" else [section]
    if not isinstance(stages, list) or not stages or _kind(stages[-1]) != "ByteLevel":
        raise ValueError(f"its pre_tokenizer {_kind(section)!r} does not end in 'ByteLevel', as it must here")
    *cutting, byte_level = stages
    if byte_level.get("add_prefix_space"):
        raise ValueError("its pre_tokenizer sets add_prefix_space, which is not implemented")
    use_regex = byte_level.get("use_regex", True)
    if not cutting and use_regex:
        return SPLIT_GPT2
    if len(cutting) == 1 and use_regex and _kind(cutting[0]) == "Digits" and cutting[0].get("individual_digits"):
        return SPLIT_SMOLLM
    if len(cutting) == 1 and not use_regex and _kind(cutting[0]) == "Split":
        cut = cutting[0]
        pattern = cut.get("pattern")
        if cut.get("behavior") == "Isolated" and not cut.get("invert") and _is_regex(pattern):
            return splitter(pattern["Regex"]).pattern
    kinds = [_kind(stage) for stage in stages]
    raise ValueError(f"its pre_tokenizer {kinds} with these settings is not implemented")


def _is_regex(pattern: Any) -> bool:
    return isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str)


def _kind(section: Any) -> Any:
    return section.get("type") if isinstance(section, dict) else section


def _check_all_made(tokenizer: Tokenizer) -> None:
    """With ignore_merges a word that is in the vocabulary needs no merges: the same only if merges make it anyway."""
    special_ids = set(tokenizer.specials.values())
    for n in range(tokenizer.vocab_size):
        token = tokenizer.token_bytes(n)
        if len(token) > 1 and n not in special_ids and token not in tokenizer.ranks:
            raise ValueError(f"its model sets ignore_merges and no merge makes token {n}, {token!r}: not implemented")
