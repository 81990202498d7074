"""Byte-pair encoding, learned: join the most frequent pair of neighbors into a new token, and again.

Start from the 256 byte values, so that nothing can ever be unknown.  Count the pairs of neighbors in the corpus,
join the most frequent pair everywhere into one new token, and repeat until the vocabulary is full.  Every merge
goes into a `MergeLog`.  (Gage 1994 for compression; Sennrich, Haddow and Birch 2016 for language models.)

The speed comes from never looking at anything twice: equal pre-tokens are counted once; a word is a linked list, so
joining two neighbors touches two others; each pair knows where it occurs; the most frequent pair waits on top of a
heap whose outdated entries are put right when they surface.  (Counts of the pairs that exist only ever fall.)
"""

from __future__ import annotations

import gc
import heapq
import warnings
from array import array
from collections.abc import Iterable, Mapping, Sequence

from lmlab.tokenizer.byte_order import BYTES_IN_ORDER
from lmlab.tokenizer.merge_log import N_RUNNERS_UP, MergeLog
from lmlab.tokenizer.split import SPLIT_GPT2, count_pretokens, resolve_split
from lmlab.tokenizer.tokenizer import Tokenizer

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

# A pair of ids is one integer, and so is a heap entry (a count, then a pair): integers compare fastest.
_BITS = 22
_LOW = (1 << _BITS) - 1
_TOP = 1 << 44
MAX_VOCAB_SIZE = 1 << 20
_BYTE_RANK = bytes(BYTES_IN_ORDER.index(byte) for byte in range(256))


def train_bpe(
    text_or_iterable: str | Iterable[str],
    vocab_size: int,
    *,
    split: str = SPLIT_GPT2,
    specials: Sequence[str] = (),
) -> tuple[Tokenizer, MergeLog]:
    """Learn a byte-pair vocabulary of `vocab_size` tokens from a text, or from an iterable of documents.

    Ids 0 to 255 are the byte values, then comes one id a merge, and the `specials` take the last ids; `vocab_size`
    counts them all.  Which pair is joined is a written rule, the same on every system: the highest count, then the
    smallest pair (left, then right), where the bytes come first in GPT-2's order and merged tokens follow by age.

    `specials` is empty by default, as in the textbook; `specials=RESERVED_SPECIALS` reserves the eight that this
    laboratory's models use.  Where the text has no pair left to join, training stops with a warning that says how
    many merges exist, and the vocabulary is smaller.  ValueError for an empty text and a size under 256 + specials.

    >>> tokenizer, merges = train_bpe("aaabdaaabac", vocab_size=259)
    >>> tokenizer.encode("aaabdaaabac")
    [258, 100, 258, 97, 99]
    """
    split = resolve_split(split)
    n_merges = _merges_wanted(vocab_size, specials)
    texts = [text_or_iterable] if isinstance(text_or_iterable, str) else text_or_iterable
    counts = _as_bytes(count_pretokens(_only_text(texts), split))
    if not counts:
        raise ValueError("the text to train on is empty; give a string, or an iterable of documents with text in them")
    paused = gc.isenabled()  # millions of small integers and no cycles: collecting garbage would cost a tenth
    gc.disable()
    try:
        log = PairTable(counts).train(n_merges, split)
    finally:
        if paused:
            gc.enable()
    if len(log) < n_merges:
        warnings.warn(
            f"this text has only {len(log)} merges, so the vocabulary has {256 + len(log) + len(specials)} tokens "
            f"and not {vocab_size}; more text gives more merges",
            stacklevel=2,
        )
    return log.tokenizer(specials), log


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


def _only_text(texts: Iterable[str]) -> Iterable[str]:
    for n, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"document {n} to train on is a {type(text).__name__}; give strings")
        yield text


def _as_bytes(counts: Mapping[str, int]) -> dict[bytes, int]:
    """The words as UTF-8, each byte as its place in GPT-2's order; a lone surrogate counts as U+FFFD."""
    words: dict[bytes, int] = {}
    for piece, n in counts.items():
        try:
            word = piece.encode("utf-8")
        except UnicodeEncodeError:
            word = piece.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")
        word = word.translate(_BYTE_RANK)
        words[word] = words.get(word, 0) + n
    return words


class PairTable:
    """All words of a corpus as linked lists of symbols, with the count and the places of every pair.

    Position i holds symbol `symbols[i]` and the positions of its neighbors; a position whose symbol was joined to
    the one before holds -1.  `weights[i]` is how often its word occurs.  The last position, -1, is outside.
    """

    def __init__(self, words: Mapping[bytes, int]) -> None:
        joined = b"".join(words)
        n = len(joined)
        self.symbols = [*joined, -1]
        self.before = list(range(-1, n))
        self.after = list(range(1, n + 1))
        self.weights: list[int] = []
        self.counts: dict[int, int] = {}
        self.places: dict[int, list[int]] = {}
        self.n_tokens = 0
        start = 0
        for word, count in words.items():
            self.weights += [count] * len(word)
            self.n_tokens += count * len(word)
            self.before[start] = n
            start += len(word)
            self.after[start - 1] = n
        self._count_pairs()

    def _count_pairs(self) -> None:
        counts, places = self.counts, self.places
        symbols, weights = self.symbols, self.weights
        for place, following in enumerate(self.after):
            right = symbols[following]
            if right >= 0:
                pair = symbols[place] << _BITS | right
                if pair in counts:
                    counts[pair] += weights[place]
                    places[pair].append(place)
                else:
                    counts[pair] = weights[place]
                    places[pair] = [place]

    def train(self, n_merges: int, split: str) -> MergeLog:
        """Join the first pair by the written rule, `n_merges` times or until none is left."""
        heap = [(_TOP - count) << 2 * _BITS | pair for pair, count in self.counts.items()]
        heapq.heapify(heap)
        rows = array("q")
        n_tokens = [self.n_tokens]
        for new in range(256, 256 + n_merges):
            best = self._surface(heap, 1 + N_RUNNERS_UP)
            if not best:
                break
            for count, pair in best:
                rows.extend((pair >> _BITS, pair & _LOW, count))
            rows.extend([0] * (3 * (1 + N_RUNNERS_UP - len(best))))
            for count, pair in best[1:]:
                heapq.heappush(heap, (_TOP - count) << 2 * _BITS | pair)
            for pair in self.join(best[0][1], new):
                heapq.heappush(heap, (_TOP - self.counts[pair]) << 2 * _BITS | pair)
            n_tokens.append(self.n_tokens)
        return MergeLog(rows, n_tokens, split=split)

    def _surface(self, heap: list[int], n: int) -> list[tuple[int, int]]:
        """Take the first `n` pairs off the heap as (count, pair), putting back right what had an old count."""
        counts = self.counts
        found: list[tuple[int, int]] = []
        while heap and len(found) < n:
            entry = heap[0]
            pair = entry & (1 << 2 * _BITS) - 1
            count = counts.get(pair, 0)
            if count <= 0:
                heapq.heappop(heap)
            elif count != _TOP - (entry >> 2 * _BITS):
                heapq.heapreplace(heap, (_TOP - count) << 2 * _BITS | pair)
            else:
                heapq.heappop(heap)
                found.append((count, pair))
        return found

    def join(self, pair: int, new: int) -> list[int]:
        """Replace the pair by the symbol `new` everywhere; the pairs that this creates."""
        left, right = pair >> _BITS, pair & _LOW
        symbols, before, after, weights = self.symbols, self.before, self.after, self.weights
        counts, places = self.counts, self.places
        fresh: list[int] = []
        here = places.pop(pair)
        if left == right:
            here.sort()  # in a run of equal symbols the pairs overlap, and the leftmost wins
        for place in here:
            other = after[place]
            if symbols[place] != left or symbols[other] != right:
                continue
            weight = weights[place]
            self.n_tokens -= weight
            symbols[place] = new
            symbols[other] = -1
            following = after[other]
            after[place] = following
            previous = before[place]
            symbol = symbols[previous]
            if symbol >= 0:
                counts[symbol << _BITS | left] -= weight
                made = symbol << _BITS | new
                if made in counts:
                    counts[made] += weight
                    places[made].append(previous)
                else:
                    counts[made] = weight
                    places[made] = [previous]
                    fresh.append(made)
            symbol = symbols[following]
            if symbol >= 0:
                before[following] = place
                counts[right << _BITS | symbol] -= weight
                made = new << _BITS | symbol
                if made in counts:
                    counts[made] += weight
                    places[made].append(place)
                else:
                    counts[made] = weight
                    places[made] = [place]
                    fresh.append(made)
        del counts[pair]
        return fresh
