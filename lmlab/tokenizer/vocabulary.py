"""From the tables in a vocabulary file to a `Tokenizer`, with every claim of the file checked.

A file is refused, in one sentence and in bounded time, where tokens are missing or double, where a byte has no token,
or where a merge can never happen: such a file would encode text other than its own library does, silently.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Literal

from lmlab.tokenizer.merging import merge
from lmlab.tokenizer.tokenizer import Tokenizer

#: Limits on what is read: far above every published vocabulary, and low enough that checking takes seconds at most.
MAX_TOKENS = 1 << 20
MAX_ALL_BYTES = 1 << 24
_MAX_WORK = 1 << 29

_TOO_MUCH_WORK = "the tokens are too long and too many to be checked in seconds; no published vocabulary is like this"

Pair = tuple[bytes, bytes]


def tokenizer_from_merges(
    tokens: Mapping[int, bytes],
    merges: Sequence[Pair],
    *,
    split: str,
    specials: Mapping[str, int],
    normalizer: Literal["NFC"] | None = None,
    unchecked: bool = False,
) -> Tokenizer:
    """A tokenizer from its tokens by id and its merges in order (left part, right part).

    Where several pairs make one token, the first gives the rank, and one of them must be possible, which is left
    `unchecked` in a file that was checked before.  ValueError names the first id, byte or merge that is wrong.
    """
    token_bytes = in_order(tokens, specials)
    special_ids = set(specials.values())
    ordinary = {token for n, token in tokens.items() if n not in special_ids}
    ranks: dict[bytes, int] = {}
    pairs: dict[bytes, list[Pair]] = {}
    for rank, (left, right) in enumerate(merges):
        token = left + right
        if not (left in ordinary and right in ordinary and token in ordinary):
            part = next(part for part in (left, right, token) if part not in ordinary)
            raise ValueError(f"merge {rank} joins {left!r} and {right!r}, but {part!r} is no token")
        if ranks.setdefault(token, rank) == rank:
            pairs[token] = [(left, right)]
        else:
            pairs[token].append((left, right))
    if not unchecked:
        _check_possible(pairs, ranks)
    return Tokenizer(token_bytes=token_bytes, ranks=ranks, split=split, specials=specials, normalizer=normalizer)


def tokenizer_from_ranks(ranks: Mapping[bytes, int], *, split: str, specials: Mapping[str, int]) -> Tokenizer:
    """A tokenizer from a table in which the rank of a token is its id, as in a .tiktoken file."""
    token_bytes = in_order({n: token for token, n in ranks.items()}, specials)
    if sum(len(token) ** 2 for token in ranks) > _MAX_WORK:
        raise ValueError(_TOO_MUCH_WORK)
    for token, rank in ranks.items():
        if len(token) > 1 and len(parts := merge(token, ranks, below=rank)) != 2:
            raise ValueError(f"token {rank}, {token!r}, can never be made: its bytes come together as {parts}")
    return Tokenizer(token_bytes=token_bytes, ranks=ranks, split=split, specials=specials)


def in_order(tokens: Mapping[int, bytes], specials: Mapping[str, int]) -> list[bytes]:
    """The tokens by id, specials included; ValueError where an id is missing, taken twice, or a token is too long."""
    table = dict(tokens)
    for name, n in specials.items():
        if not _is_id(n):
            raise ValueError(f"the special token {name!r} has the id {n!r}; ids are whole numbers from 0")
        if table.setdefault(n, name.encode("utf-8")) != name.encode("utf-8"):
            raise ValueError(f"id {n} is both the special token {name!r} and {table[n]!r}")
    if not all(map(_is_id, table)):
        raise ValueError(f"{next(n for n in table if not _is_id(n))!r} is no id; ids are whole numbers from 0")
    if len(table) > MAX_TOKENS:
        raise ValueError(f"the vocabulary has {len(table):,} tokens, and at most {MAX_TOKENS:,} are read")
    missing = next((n for n in range(len(table)) if n not in table), None)
    if missing is not None:
        raise ValueError(f"no token has the id {missing}, although there are {len(table)} tokens")
    ordered = [table[n] for n in range(len(table))]
    _check_tokens(ordered, set(specials.values()))
    return ordered


def _check_tokens(tokens: Sequence[bytes], special_ids: Container[int]) -> None:
    if (n_bytes := sum(map(len, tokens))) > MAX_ALL_BYTES:
        raise ValueError(f"the tokens have {n_bytes:,} bytes in all, and at most {MAX_ALL_BYTES:,} are read")
    seen: set[bytes] = set()
    for n, token in enumerate(tokens):
        if not token:
            raise ValueError(f"token {n} is empty")
        if n in special_ids:
            continue
        if token in seen:
            raise ValueError(f"token {n}, {token!r}, is in the vocabulary twice")
        seen.add(token)


def _is_id(n: object) -> bool:
    return type(n) is int and 0 <= n < MAX_TOKENS


def _check_possible(pairs: Mapping[bytes, Iterable[Pair]], ranks: Mapping[bytes, int]) -> None:
    """Refuse a token whose two parts never stand side by side, because an earlier merge takes from both."""
    parts: dict[bytes, Pair] = {}
    work = 0
    for token, candidates in pairs.items():
        for pair in candidates:
            possible, n_bytes = _stand_side_by_side(*pair, ranks[token], parts, ranks)
            work += n_bytes
            if work > _MAX_WORK:
                raise ValueError(_TOO_MUCH_WORK)
            if possible:
                parts[token] = pair
                break
        else:
            left, right = next(iter(candidates))
            raise ValueError(
                f"the merge of {left!r} and {right!r} can never happen: an earlier one takes their bytes, "
                "or nothing makes them before"
            )


def _stand_side_by_side(
    left: bytes, right: bytes, limit: int, parts: Mapping[bytes, Pair], ranks: Mapping[bytes, int]
) -> tuple[bool, int]:
    """Whether no merge before rank `limit` joins something across the border of `left` and `right`; bytes compared.

    Walk back in time: undo the younger of the two tokens at the border, again and again; no pair met on the way may
    have been joined while both stood there.
    """
    if (len(left) > 1 and left not in parts) or (len(right) > 1 and right not in parts):
        return False, 0  # the part itself is made later, or never
    work, rank_of = 0, ranks.get
    age_left, age_right = rank_of(left, -1), rank_of(right, -1)
    while True:
        both = left + right
        work += len(both)
        if rank_of(both, limit) < limit:
            return False, work
        if age_left > age_right:
            limit, left = age_left, parts[left][1]
            age_left = rank_of(left, -1)
        elif age_right >= 0:  # in a run of equal tokens the leftmost are joined first: the same merge could cross too
            limit, right = age_right + 1, parts[right][0]
            age_right = rank_of(right, -1)
        else:
            return True, work
