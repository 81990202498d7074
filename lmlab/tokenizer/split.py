"""Pre-tokens: the pieces of text that merges never cross.

Byte-pair encoding is not run on a whole text but on pieces of it: a word with the space before it, a run of
digits, a run of punctuation, a run of white space.  Otherwise the likeliest tokens would be " of the" and
". The", and one word in two places would be cut in two ways.  How to cut is one regular expression, and each
family of models has its own.  The patterns here are those of the published models, written for the `regex`
module (`\\p{L}` is a letter of any script, `\\p{N}` a number of any script).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import regex

#: GPT-2 (2019): a word with the space before it, a number, punctuation, white space; English contractions apart.
SPLIT_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

#: SmolLM2: every digit is a token of its own (and takes no space with it), the rest is GPT-2's.
SPLIT_SMOLLM = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"

#: GPT-4 (cl100k_base): contractions in any case, numbers in threes, line breaks stay with the punctuation before.
SPLIT_GPT4 = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)

#: Llama 3: nearly GPT-4's.
SPLIT_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

#: Qwen 2 and 3: Llama 3's with digits one by one.
SPLIT_QWEN2 = SPLIT_LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

#: No cutting at all: the whole text is one piece.
SPLIT_NONE = r"(?s:.+)"

SPLITS = {
    "gpt2": SPLIT_GPT2,
    "smollm": SPLIT_SMOLLM,
    "gpt4": SPLIT_GPT4,
    "llama3": SPLIT_LLAMA3,
    "qwen2": SPLIT_QWEN2,
    "none": SPLIT_NONE,
}

# All splits above but "none" have a boundary in front of a space that follows something that is no white space,
# whatever else stands around it.  So a text may be cut there first, cheaply, and equal chunks be split once.
_CUT = re.compile(r" (?<=\S )")
_CUTTABLE = frozenset(SPLITS.values()) - {SPLIT_NONE}


def resolve_split(split: str) -> str:
    """The pattern that `split` names ("gpt2", "llama3", …), or `split` itself where it is a pattern."""
    pattern = SPLITS.get(split, split)
    compiled(pattern)
    return pattern


@lru_cache(maxsize=32)
def compiled(pattern: str) -> regex.Pattern[str]:
    """The compiled pattern; ValueError with a sentence where it is none, or could match nothing at all."""
    try:
        found = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(
            f"the split {pattern!r} is no regular expression ({error}); use one of {', '.join(SPLITS)}, or a pattern"
        ) from None
    if found.groups:
        raise ValueError(f"the split {pattern!r} has capturing groups; write (?:…) in place of (…)")
    return found


def pretokens(text: str, split: str = SPLIT_GPT2) -> list[str]:
    """The pieces of `text`, in order; joined they are the text again.

    >>> pretokens("it's 2 o'clock  now")
    ['it', "'s", ' 2', ' o', "'", 'clock', ' ', ' now']
    """
    return split_exactly(text, compiled(resolve_split(split)))


def split_exactly(text: str, pattern: regex.Pattern[str]) -> list[str]:
    """All of `text` in pieces: what the pattern passes over between two matches is a piece too."""
    pieces: list[str] = pattern.findall(text)
    if sum(map(len, pieces)) == len(text) and "" not in pieces:
        return pieces
    pieces, end = [], 0
    for match in pattern.finditer(text):
        pieces += (text[end : match.start()], match.group())
        end = match.end()
    return [piece for piece in (*pieces, text[end:]) if piece]


def chunks(text: str, split: str) -> list[str]:
    """`text` cut where a boundary is certain: the first chunk as it stands, the others without the space in front.

    Splitting chunk 0 and then " " + each other chunk gives the pre-tokens of the text.  A chunk is nearly always a
    word with its punctuation, and there are few different ones: counting or remembering them is cheap.
    """
    return _CUT.split(text) if split in _CUTTABLE else [text]


def count_pretokens(texts: Iterable[str], split: str) -> Counter[str]:
    """How often each pre-token occurs in `texts`; no pre-token reaches from one text into the next."""
    pattern = compiled(split)
    counts: Counter[str] = Counter()
    first: Counter[str] = Counter()
    later: Counter[str] = Counter()
    for text in texts:
        head, *tail = chunks(text, split)
        first[head] += 1
        later.update(tail)
    for front, found in (("", first), (" ", later)):
        for chunk, n in found.items():
            for piece in split_exactly(front + chunk, pattern):
                counts[piece] += n
    return counts
