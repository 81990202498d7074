"""The exercises of lab 05: count pairs, merge one, and encode a text, which is all of byte-pair encoding."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

from lmlab.exercises.expect import Wrong, describe, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

Pair = tuple[int, int]
_TEXTBOOK = "aaabdaaabac"  # the example of every textbook, and of the lab
_SYLLABLES = ("wool", "mar", "ket", "goo", "se", "the", " ", " ", "ba", "ker", "na", "an", "ö", "市", "42", "oo")


def _ids(rng: random.Random, n: int, *, kinds: int = 3) -> list[int]:
    """`n` ids of few kinds, so that pairs come again and runs of one id occur."""
    alphabet = rng.sample(range(97, 123), kinds)
    return [rng.choice(alphabet) for _ in range(n)]


def _text(rng: random.Random, n: int = 12) -> str:
    return "".join(rng.choice(_SYLLABLES) for _ in range(n))


def _seen(ids: list[int], pair: Pair) -> int:
    return sum((ids[i], ids[i + 1]) == pair for i in range(len(ids) - 1))


# ---------------------------------------------------------------- pair_counts


def _counts(student: Student, ids: list[int]) -> Mapping[Any, int]:
    """The student's counts, compared pair by pair; Wrong names the first pair that differs."""
    value = student(ids)
    if not isinstance(value, Mapping):
        raise Wrong(f"expected a dictionary from pairs to counts, got {describe(value)}.")
    for key, n in value.items():
        if not isinstance(key, tuple) or len(key) != 2:
            raise Wrong(f"expected keys that are pairs (left, right), got {describe(key)}.")
        if n != _seen(ids, key):
            raise Wrong(f"in ids {show(ids)} yours saw {key} {n!r} times.")
    for pair in itertools.pairwise(ids):
        if pair not in value:
            raise Wrong(f"in ids {show(ids)} yours did not see {pair}.")
    if any(n == 0 for n in value.values()):
        raise Wrong(f"in ids {show(ids)} yours lists pairs that never occur.")
    return value


def _counts_textbook(student: Student, rng: random.Random) -> str:
    del rng  # this one is no random case
    counts = _counts(student, list(_TEXTBOOK.encode()))
    return f"(97, 97) {max(counts.values())} times"


def _counts_any(student: Student, rng: random.Random) -> None:
    for _ in range(20):
        _counts(student, _ids(rng, rng.randint(4, 8)))


def _counts_runs(student: Student, rng: random.Random) -> None:
    for n in (3, 4, rng.randint(5, 8)):
        _counts(student, [rng.randrange(97, 123)] * n)


def _counts_short(student: Student, rng: random.Random) -> None:
    for ids in ([], [rng.randrange(256)], _ids(rng, 2)):
        _counts(student, ids)


_PAIR_COUNTS = Exercise(
    id="tokenization.pair_counts",
    takes=("ids",),
    hints=(
        "Every id but the last has a neighbor on its right. Walk along and note down each couple.",
        "`zip(ids, ids[1:])` gives the couples in order, as tuples. Count them in a dictionary.",
        "For each couple add 1 to what the dictionary holds for it; `.get(pair, 0)` answers for a pair met the first "
        "time. In a run of three equal ids there are two couples.",
    ),
    checks=(
        Check("the textbook’s aaabdaaabac", _counts_textbook, "Which two ids stand side by side, and how often?"),
        Check("any ids", _counts_any, "Does (a, b) mean the same as (b, a)? Is the last couple there?"),
        Check("a run of one id", _counts_runs, "How many neighbors stand side by side in a a a?"),
        Check("no ids, one id, two ids", _counts_short, "How many couples do they have?"),
    ),
)

# ---------------------------------------------------------------- merge


def _as_ids(value: Any) -> list[int]:
    if not isinstance(value, list):
        raise Wrong(f"expected a list of ids, got {describe(value)}.")
    for n in value:
        if isinstance(n, bool) or not isinstance(n, int):
            raise Wrong(f"expected a list of ids, got one with {describe(n)} in it.")
    return value


def _joined(student: Student, ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """The student's list: spelled out again it must be the ids, and no pair may be left (leftmost first)."""
    value = _as_ids(student(ids, pair, new_id))
    told = f"for ids {show(ids)}, pair {pair} and new_id {new_id} yours gave {show(value)}"
    spelled = [m for n in value for m in (pair if n == new_id else (n,))]
    if spelled != ids:
        raise Wrong(f"{told}; spelled out again that is not the same text.")
    i = 0
    while i < len(value):  # leftmost first: no pair may stand where it could have been joined
        if tuple(value[i : i + 2]) == pair:
            raise Wrong(f"{told}; the pair still stands at place {i}.")
        i += 1
    if pair[0] == pair[1]:
        _leftmost(value, pair, new_id, told)
    return value


def _leftmost(value: list[int], pair: Pair, new_id: int, told: str) -> None:
    """In a run of one id the odd one out is the last, so never stands before the new id."""
    for left, right in itertools.pairwise(value):
        if left == pair[0] and right == new_id:
            raise Wrong(f"{told}; in a run the leftmost two join first.")


def _merge_textbook(student: Student, rng: random.Random) -> str:
    del rng
    return show(_joined(student, list(_TEXTBOOK.encode())[:8], (97, 97), 256))


def _merge_any(student: Student, rng: random.Random) -> None:
    for _ in range(20):
        ids = _ids(rng, rng.randint(3, 8))
        i = rng.randrange(len(ids) - 1)
        _joined(student, ids, (ids[i], ids[i + 1]), rng.randint(256, 999))


def _merge_runs(student: Student, rng: random.Random) -> None:
    for n in (2, 3, 4, 5):
        a = rng.randrange(97, 123)
        _joined(student, [a] * n, (a, a), 256)


def _merge_edges(student: Student, rng: random.Random) -> None:
    a, b, c = rng.sample(range(97, 123), 3)
    for ids in ([], [a], [a, b], [c, a, b], [a, b, c], [b, a], [c, c, a]):
        _joined(student, ids, (a, b), 256)


_MERGE = Exercise(
    id="tokenization.merge",
    takes=("ids", "pair", "new_id"),
    hints=(
        "Build a new list. At each place: does the pair begin here?",
        "A `while` loop with an index moves by 2 where the pair stands and by 1 elsewhere. Mind the last id: it has no "
        "right neighbor.",
        "Compare `(ids[i], ids[i + 1])` with the pair only while `i + 1` is inside; append the new id and jump over "
        "two, or append the old id and go on by one. Changing the list that you walk on skips things.",
    ),
    checks=(
        Check("aa in aaabdaaa", _merge_textbook, "What should stand where the pair stood?"),
        Check("any ids", _merge_any, "Is each pair replaced, once, and everything else kept?"),
        Check("a run of one id", _merge_runs, "Which two of a a a belong together, read from the left?"),
        Check("at the ends, and not at all", _merge_edges, "What if the pair is the last thing, or is not there?"),
    ),
)

# ---------------------------------------------------------------- encode


def _learned(rng: random.Random) -> tuple[list[Pair], Any]:
    """Merges learned from a random text by `train_bpe`, as pairs of ids, and the tokenizer that has them."""
    from lmlab.tokenizer.bpe import train_bpe

    tokenizer, log = train_bpe(_text(rng, 120), 256 + rng.randint(8, 20), split="none", specials=())
    ids = {token: n for n, token in enumerate(log.token_bytes)}
    return [(ids[event.left], ids[event.right]) for event in log], tokenizer


def _encoded(student: Student, text: str, merges: list[Pair], right: list[int]) -> list[int]:
    value = _as_ids(student(text, merges))
    if value != right:
        raise Wrong(f"for {text!r} with {len(merges)} merges {show(merges)} yours gave {show(value)}.")
    return value


def _encode_bytes(student: Student, rng: random.Random) -> None:
    for text in ("", "ab", "é", rng.choice(("市", "🦜", "ß")) + rng.choice("xyz")):
        _encoded(student, text, [], list(text.encode("utf-8")))


def _encode_textbook(student: Student, rng: random.Random) -> str:
    del rng
    merges = [(97, 97), (97, 98), (256, 257)]
    return show(_encoded(student, _TEXTBOOK, merges, [258, 100, 258, 97, 99]))


def _encode_any(student: Student, rng: random.Random) -> None:
    for _ in range(4):
        merges, tokenizer = _learned(rng)
        for _ in range(5):
            text = _text(rng)
            _encoded(student, text, merges, tokenizer.encode(text))


def _encode_order(student: Student, rng: random.Random) -> None:
    a, b, c = (ord(letter) for letter in rng.sample("abcdefghij", 3))
    text = "".join(map(chr, (a, b, c))) * 2
    _encoded(student, text, [(b, c), (a, b)], [a, 256, a, 256])
    _encoded(student, text, [(a, b), (b, c), (256, c)], [258, 258])
    _encoded(student, text, [(c, a), (a, b)], [257, 256, b, c])


_ENCODE = Exercise(
    id="tokenization.encode",
    takes=("text", "merges"),
    hints=(
        "Encoding repeats what training did, in the order in which training did it.",
        "Start from the bytes of the text: `list(text.encode('utf-8'))`. The first merge makes the id 256, the second "
        "257. You have written the tool for one merge already.",
        "Number the merges with `enumerate`, from 256 on, and let your own `my_merge` replace the ids again and again. "
        "Looking for the longest token first is another rule, and gives other ids.",
    ),
    checks=(
        Check("without merges: the bytes", _encode_bytes, "How many bytes has é in UTF-8?"),
        Check("the textbook’s three merges", _encode_textbook, "Is each merge made everywhere?"),
        Check("the order of learning decides", _encode_order, "Which of two overlapping pairs was learned first?"),
        Check("any text, against the lab’s own tokenizer", _encode_any, "What does each merge do to the whole list?"),
    ),
)

EXERCISES = (_PAIR_COUNTS, _MERGE, _ENCODE)
