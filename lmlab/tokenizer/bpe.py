"""Byte-pair encoding, learned: join the most frequent pair of neighbors into a new token, and again.

Start from the 256 byte values, so that nothing can ever be unknown.  Count the pairs of neighbors in the corpus,
join the most frequent pair everywhere into one new token, and repeat until the vocabulary is full.  Every merge
goes into a `MergeLog`.  (Gage 1994 for compression; Sennrich, Haddow and Birch 2016 for language models.)

The speed comes from never looking at anything twice: equal pre-tokens are counted once; a word is a linked list, so
joining two neighbors touches two others; each pair knows where it occurs; the most frequent pair waits on top of a
heap whose outdated entries are put right when they surface.  (Counts of the pairs that exist only ever fall.)
"""

from __future__ import annotations

import bisect
import gc
import heapq
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from lmlab.tokenizer.byte_order import BYTES_IN_ORDER
from lmlab.tokenizer.merge_log import N_RUNNERS_UP, PAIR_BITS, PAIR_MASK, TOP_COUNT, MergeLog, entry
from lmlab.tokenizer.split import SPLIT_GPT2, Splitter, splitter
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.tokenizer.unicode_text import checked_characters

#: The special tokens that our own tokenizers reserve from the first day; the first is BOS and EOS in one.
RESERVED_SPECIALS = (
    "<|endoftext|>",
    "<|pad|>",
    "<|mask|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|call|>",
    "<|result|>",
)

MAX_VOCAB_SIZE = 1 << 20
#: From this vocabulary size on, `train_bpe` reserves special tokens unless told otherwise.
SIZE_FOR_A_MODEL = 512
_BYTE_RANK = bytes(BYTES_IN_ORDER.index(byte) for byte in range(256))


def train_bpe(
    text_or_iterable: str | Iterable[str],
    vocab_size: int,
    *,
    split: str = SPLIT_GPT2,
    specials: Sequence[str] | None = None,
) -> tuple[Tokenizer, MergeLog]:
    """Learn a byte-pair vocabulary of `vocab_size` tokens from a text, or from an iterable of documents.

    Ids 0 to 255 are the byte values, then comes one id a merge, and the `specials` take the last ids; `vocab_size`
    counts them all.  Which pair is joined is a written rule, the same on every system: the highest count, then the
    smallest pair (left, then right), where the bytes come first in GPT-2's order and merged tokens follow by age.

    `specials` are the names of special tokens.  By default a vocabulary of 512 tokens or more, the size for a model,
    reserves `RESERVED_SPECIALS` (BOS among them), and a smaller one, the size for looking at merges, has none;
    give `()` or your own names to decide.

    Where the text has no pair left to join, training stops with a warning that says how many merges exist, and the
    vocabulary is smaller.  ValueError for an empty text and for a size under 256 + specials.

    >>> tokenizer, merges = train_bpe("aaabdaaabac", vocab_size=259)
    >>> tokenizer.encode("aaabdaaabac")
    [258, 100, 258, 97, 99]
    """
    cut = splitter(split)
    if specials is None:
        specials = RESERVED_SPECIALS if isinstance(vocab_size, int) and vocab_size >= SIZE_FOR_A_MODEL else ()
    n_merges = _merges_wanted(vocab_size, specials)
    words = _words(text_or_iterable, cut)
    if not words:
        raise ValueError("the text to train on is empty; give a string, or an iterable of documents with text in them")
    with _no_garbage_collection():
        log = learn(words, n_merges, cut.pattern)
    if len(log) < n_merges:
        warnings.warn(
            f"this text has only {len(log)} merges, so the vocabulary has {256 + len(log) + len(specials)} tokens "
            f"and not {vocab_size}; more text gives more merges",
            stacklevel=2,
        )
    return log.tokenizer(specials), log


def replay_merges(tokenizer: Tokenizer, text_or_iterable: str | Iterable[str]) -> MergeLog:
    """The log of `tokenizer`'s merges over any text, as if they had been made there in that order.

    The winner of a step is the tokenizer's merge, with its count in this text (0 where the pair is not in it), and
    the runners-up are the pairs that this text would have preferred next.  It shows how a vocabulary that was learned
    elsewhere fits a text of one's own.
    """
    words = _words(text_or_iterable, splitter(tokenizer.split))
    if not words:
        raise ValueError("the text to replay the merges on is empty")
    symbols = {bytes([byte]): symbol for symbol, byte in enumerate(BYTES_IN_ORDER)}
    pairs = []
    for left, right in tokenizer.merge_pairs():
        pairs.append(symbols[left] << PAIR_BITS | symbols[right])
        symbols[left + right] = len(symbols)
    with _no_garbage_collection():
        return learn(words, len(pairs), tokenizer.split, given=pairs)


def _merges_wanted(vocab_size: int, specials: Sequence[str]) -> int:
    if isinstance(vocab_size, bool) or not isinstance(vocab_size, int):
        raise ValueError(f"vocab_size is a whole number, given {vocab_size!r}")
    if isinstance(specials, str) or not all(isinstance(name, str) and name for name in specials):
        raise ValueError(f"specials is a sequence of non-empty names such as ('<|endoftext|>',), given {specials!r}")
    if len(set(specials)) != len(specials):
        raise ValueError(f"a special token is named twice in {list(specials)}")
    least = 256 + len(specials)
    if vocab_size < least:
        wanted = f"256 bytes and {len(specials)} specials" if specials else "the 256 byte values"
        raise ValueError(f"vocab_size={vocab_size} has no room for {wanted}; give at least {least}")
    if vocab_size > MAX_VOCAB_SIZE:
        raise ValueError(f"vocab_size={vocab_size} is more than {MAX_VOCAB_SIZE}, the most that is built here")
    return vocab_size - least


def _words(text_or_iterable: str | Iterable[str], cut: Splitter) -> dict[bytes, int]:
    """How often each pre-token occurs, as UTF-8 with each byte as its place in GPT-2's order."""
    if isinstance(text_or_iterable, (bytes, bytearray)) or not isinstance(text_or_iterable, Iterable):
        raise ValueError(
            f"text to learn from is a string or an iterable of them, given a {type(text_or_iterable).__name__}"
        )
    texts = [text_or_iterable] if isinstance(text_or_iterable, str) else text_or_iterable
    words: dict[bytes, int] = {}
    for piece, n in cut.count(map(checked_characters, texts)).items():
        word = piece.encode("utf-8").translate(_BYTE_RANK)
        words[word] = words.get(word, 0) + n
    return words


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of small integers and no cycles: looking for garbage among them would cost a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class PairTable:
    """All words of a corpus as linked lists of symbols, with the count and the places of every pair.

    Place i holds symbol `symbols[i]` and the places of its neighbors; where the symbol was joined to the one before
    it holds -1, and so does the last place, which is outside.  `weights[i]` is how often the word around i occurs.
    """

    def __init__(self, words: Mapping[bytes, int]) -> None:
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        bytes_ = np.frombuffer(b"".join(words), np.uint8).astype(np.int64)
        weights = np.repeat(np.fromiter(words.values(), np.int64, len(words)), lengths)
        outside = len(bytes_)
        ends = np.cumsum(lengths)
        before, after = np.arange(-1, outside), np.arange(1, outside + 1)
        before[ends - lengths] = outside
        after[ends - 1] = outside
        self.symbols: list[int] = [*bytes_.tolist(), -1]
        self.before: list[int] = before.tolist()
        self.after: list[int] = after.tolist()
        self.weights: list[int] = weights.tolist()
        self.n_tokens = sum(self.weights)
        self.counts: defaultdict[int, int] = defaultdict(int)
        self.places: defaultdict[int, list[int]] = defaultdict(list)
        inner = np.flatnonzero(after != outside)  # where a pair begins
        pairs = bytes_[inner] << PAIR_BITS | bytes_[inner + 1]
        order = np.argsort(pairs, kind="stable")
        kinds, starts = np.unique(pairs[order], return_index=True)
        for pair, here in zip(kinds.tolist(), np.split(inner[order], starts[1:]), strict=False):
            self.places[pair] = here.tolist()
            self.counts[pair] = int(weights[here].sum())

    def join(self, pair: int, new: int) -> set[int]:
        """Replace the pair by the symbol `new` everywhere; the pairs that this creates."""
        left, right = pair >> PAIR_BITS, pair & (1 << PAIR_BITS) - 1
        symbols, before, after = self.symbols, self.before, self.after
        here = self.places.pop(pair, [])
        if left == right:
            here.sort()  # in a run of equal symbols the pairs overlap, and the leftmost wins
        places_before: defaultdict[int, list[int]] = defaultdict(list)  # by the symbol that stands before
        places_after: defaultdict[int, list[int]] = defaultdict(list)
        n_tokens = self.counts.get(pair, 0)
        for place in here:
            other = after[place]
            if symbols[other] == right and symbols[place] == left:
                symbols[place], symbols[other] = new, -1
                following, previous = after[other], before[place]
                after[place] = following
                before[following] = place
                places_after[symbols[following]].append(place)
                places_before[symbols[previous]].append(previous)
        if left == right:  # the count took in overlapping pairs, which were not all joined
            n_tokens = sum([self.weights[place] for at in places_after.values() for place in at])
        self.n_tokens -= n_tokens
        made = self._exchange(places_after, right << PAIR_BITS, new << PAIR_BITS, 0)
        made |= self._exchange(places_before, left, new, PAIR_BITS)
        self.counts.pop(pair, None)
        return made

    def _exchange(self, groups: Mapping[int, list[int]], old: int, new: int, shift: int) -> set[int]:
        """For each neighbor symbol take its places from the pair with `old` and give them to the one with `new`."""
        weights, counts, places = self.weights, self.counts, self.places
        made = set()
        for symbol, at in groups.items():
            if symbol >= 0:
                weight = sum([weights[place] for place in at])
                counts[symbol << shift | old] -= weight
                pair = symbol << shift | new
                counts[pair] += weight
                places[pair] += at
                made.add(pair)
        return made


class Leaders:
    """The pairs in the order of the written rule: the first few sorted, the rest in a heap.

    An entry is one integer, smaller for a higher count and then for a smaller pair.  Counts only fall, so an outdated
    entry stands too early; it is put right when it comes up.
    """

    def __init__(self, counts: Mapping[int, int]) -> None:
        self._counts = counts
        self._first: list[int] = []
        self._rest = [entry(pair, count) for pair, count in counts.items()]
        heapq.heapify(self._rest)

    def add(self, pairs: Iterable[int]) -> None:
        """Enter pairs that did not exist before."""
        for pair in pairs:
            heapq.heappush(self._rest, entry(pair, self._counts[pair]))

    def first(self, n: int) -> tuple[int, ...]:
        """The entries of the first `n` pairs, or of all where there are fewer."""
        first, rest, counts = self._first, self._rest, self._counts
        kept = []
        for old in first:
            count = counts.get(old & PAIR_MASK, 0)
            if old >> 2 * PAIR_BITS == TOP_COUNT - count:
                kept.append(old)
            elif count > 0:
                heapq.heappush(rest, entry(old & PAIR_MASK, count))
        first = kept
        while rest and (len(first) < n or rest[0] < first[-1]):
            old = rest[0]
            count = counts.get(old & PAIR_MASK, 0)
            if count <= 0:
                heapq.heappop(rest)
            elif old >> 2 * PAIR_BITS != TOP_COUNT - count:
                heapq.heapreplace(rest, entry(old & PAIR_MASK, count))
            else:
                bisect.insort(first, heapq.heappop(rest))
                if len(first) > n:
                    heapq.heappush(rest, first.pop())
        self._first = first
        return tuple(first)


def learn(words: Mapping[bytes, int], n_merges: int, split: str, *, given: Sequence[int] | None = None) -> MergeLog:
    """Join the first pair by the written rule (or the `given` ones), `n_merges` times or until no pair is left."""
    table = PairTable(words)
    leaders = Leaders(table.counts)
    rows: list[tuple[int, ...]] = []
    n_tokens = [table.n_tokens]
    while len(rows) < n_merges:
        row = leaders.first(1 + N_RUNNERS_UP)
        if given is not None:
            pair = given[len(rows)]
            row = (entry(pair, table.counts.get(pair, 0)), *(other for other in row if other & PAIR_MASK != pair))
        elif not row:
            break
        leaders.add(table.join(row[0] & PAIR_MASK, 256 + len(rows)))
        rows.append(row[: 1 + N_RUNNERS_UP])
        n_tokens.append(table.n_tokens)
    return MergeLog(rows, n_tokens, split=split)
