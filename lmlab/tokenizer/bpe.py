"""Byte-pair encoding, learned: join the most frequent pair of neighbors into a new token, and again.

Start from the 256 byte values, so that nothing can ever be unknown.  Count the pairs of neighbors in the corpus,
join the most frequent pair everywhere into one new token, and repeat until the vocabulary is full.  Every merge
goes into a `MergeLog`.  (Gage 1994 for compression; Sennrich, Haddow and Birch 2016 for language models.)

Nothing is looked at twice: equal pre-tokens are counted once, and a merge visits only the places where its pair
stands (`PairTable`).
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from lmlab.tokenizer.byte_order import BYTES_IN_ORDER
from lmlab.tokenizer.merge_log import N_RUNNERS_UP, PAIR_BITS, PAIR_MASK, MergeLog, entry
from lmlab.tokenizer.pair_table import Leaders, PairTable
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
    with no_garbage_collection():
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
    with no_garbage_collection():
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
def no_garbage_collection() -> Iterator[None]:
    """Small objects by the million and no cycles: a search for garbage would take a tenth of the time or half."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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
