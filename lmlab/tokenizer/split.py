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
from collections.abc import Iterable, Iterator
from functools import lru_cache

import regex

#: GPT-2 (2019): a word with the space before it, a number, punctuation, white space; English contractions apart.
SPLIT_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

#: SmolLM2: every digit is a token of its own (and takes no space with it), the rest is GPT-2's.
SPLIT_SMOLLM = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"

#: GPT-4 (cl100k_base) and Llama 3: contractions in any case, numbers in threes, line breaks apart or with the
#: punctuation before them.
SPLIT_GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

#: GPT-4o (o200k_base): a word may change from capitals to small letters once, and keeps its contraction.
SPLIT_GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

#: Qwen 2 and 3: GPT-4's with digits one by one.
SPLIT_QWEN2 = SPLIT_GPT4.replace(r"\p{N}{1,3}", r"\p{N}")

#: No cutting at all: the whole text is one piece.
SPLIT_NONE = r"[\s\S]+"

SPLITS = {
    "gpt2": SPLIT_GPT2,
    "smollm": SPLIT_SMOLLM,
    "gpt4": SPLIT_GPT4,
    "gpt4o": SPLIT_GPT4O,
    "qwen2": SPLIT_QWEN2,
    "none": SPLIT_NONE,
}

# All splits above but "none" have a boundary in front of a space that follows something that is no white space,
# whatever else stands around it.  So a text may be cut there first, cheaply, and equal chunks be split once.
_CUT = re.compile(r" (?<=\S )")
_CUTTABLE = frozenset(SPLITS.values()) - {SPLIT_NONE}

# What the property classes of those splits are among the 128 ASCII characters, inside [...] and outside.  The
# standard library's engine knows no \p{L} but is twice as fast, and most text is ASCII.
_ASCII = {r"\p{L}": "A-Za-z", r"\p{Lu}": "A-Z", r"\p{Ll}": "a-z", r"\p{N}": "0-9"}
_ASCII |= dict.fromkeys((r"\p{Lt}", r"\p{Lm}", r"\p{Lo}", r"\p{M}"), "")


# A long text is split part by part, so that one "é" in it does not cost all of it the fast engine.
_PART = 1000


def _parts(text: str) -> Iterator[str]:
    """`text` in parts of about a thousand characters, where a boundary is certain; longer where there is none."""
    start = 0
    while start < len(text):
        cut = _CUT.search(text, start + _PART)
        end = cut.start() if cut else len(text)
        yield text[start:end]
        start = end


class Splitter:
    """One way to cut text into pre-tokens, compiled."""

    def __init__(self, pattern: str) -> None:
        try:
            self._pattern = regex.compile(pattern)
        except regex.error as error:
            names = ", ".join(SPLITS)
            raise ValueError(f"the split {pattern!r} is neither one of {names} nor a pattern: {error}") from None
        if self._pattern.groups:
            raise ValueError(f"the split {pattern!r} has capturing groups; write (?:…) in place of (…)")
        self.pattern = pattern
        self._cuttable = pattern in _CUTTABLE
        self._ascii = re.compile(_in_ascii(pattern), re.ASCII) if self._cuttable else None

    def pieces(self, text: str) -> list[str]:
        """The pre-tokens of `text`; what the pattern passes over between two matches is one too."""
        if not self._ascii or len(text) < 2 * _PART or text.isascii():
            return self._pieces(text)
        found: list[str] = []
        for part in _parts(text):
            found += self._pieces(part)
        return found

    def _pieces(self, text: str) -> list[str]:
        if self._ascii and text.isascii():
            return self._ascii.findall(text)
        found: list[str] = self._pattern.findall(text)
        if self._cuttable or (sum(map(len, found)) == len(text) and "" not in found):
            return found
        found, end = [], 0
        for match in self._pattern.finditer(text):
            found += (text[end : match.start()], match.group())
            end = match.end()
        return [piece for piece in (*found, text[end:]) if piece]

    def chunks(self, text: str) -> list[str]:
        """`text` cut where a boundary is certain: the first chunk as it stands, the others without the space in front.

        The pieces of chunk 0 and then of " " + each other chunk are the pieces of the text.  A chunk is nearly always
        a word with its punctuation, and there are few different ones: counting or remembering them is cheap.
        """
        return _CUT.split(text) if self._cuttable else [text]

    def count(self, texts: Iterable[str]) -> Counter[str]:
        """How often each pre-token occurs in `texts`; none reaches from one text into the next."""
        counts: Counter[str] = Counter()
        chunks: Counter[str] = Counter()
        for text in texts:
            head, *tail = self.chunks(text)
            counts.update(self.pieces(head))
            if tail:
                counts.update(self.pieces(" " + tail.pop()))  # it may end in white space, and so not be joined below
            chunks.update(tail)
        alike: dict[tuple[bool, int], list[str]] = {}
        for chunk, n in chunks.items():
            alike.setdefault((chunk.isascii(), n), []).append(chunk)
        for (_, n), group in alike.items():
            # Joined again, the chunks have the same pieces as one by one, since the cuts between them are certain.
            for piece, m in Counter(self.pieces(" " + " ".join(group))).items():
                counts[piece] += n * m
        return counts


@lru_cache(maxsize=32)
def splitter(split: str) -> Splitter:
    """The splitter for a pattern, or for the name of one; ValueError where it is neither."""
    return Splitter(SPLITS.get(split, split))


def pretokens(text: str, split: str = SPLIT_GPT2) -> list[str]:
    """The pre-tokens of `text`, in order; joined they are the text again.

    >>> pretokens("it's 2 o'clock  now")
    ['it', "'s", ' 2', ' o', "'", 'clock', ' ', ' now']
    """
    return splitter(split).pieces(text)


def _in_ascii(pattern: str) -> str:
    """`pattern` with its Unicode properties replaced by what they are among ASCII characters."""
    inside = re.sub(r"\[[^\]]*\]", lambda found: _replaced(found.group(), "{}"), pattern)
    # What ends an alternative has nobody to give a character back to, and need not remember how: a tenth faster.
    return _replaced(inside, "[{}]").replace("]+|", "]++|")


def _replaced(pattern: str, form: str) -> str:
    return re.sub(r"\\p\{\w+\}", lambda found: form.format(_ASCII[found.group()]), pattern)
