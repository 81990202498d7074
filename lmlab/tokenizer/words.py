"""The lecture's dictionary: one id a word, and nothing else exists.

The first model of the lecture has a vocabulary of ten words.  It shows why nobody stops there: words are not all
listed, and a word that is not in the list cannot even be typed.  `train_bpe` is the way out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence


class WordTokenizer:
    """Ids for the words of a fixed list; words are what stands between spaces.

    >>> tokenizer = WordTokenizer(["the", "stock", "market", "crashed", "and", "investors", "panicked"])
    >>> tokenizer.encode("the stock market crashed and investors")
    [0, 1, 2, 3, 4, 5]
    """

    def __init__(self, words: Sequence[str]) -> None:
        """`words` are the vocabulary, by id.  ValueError where one is empty, holds white space or is there twice."""
        if isinstance(words, str):
            raise ValueError("words is a list of words; WordTokenizer.from_text makes it from a text")
        for word in words:
            if not isinstance(word, str) or word.split() != [word]:
                raise ValueError(f"{word!r} is no single word; give words without spaces")
        if len(set(words)) != len(words):
            raise ValueError(f"the word {Counter(words).most_common(1)[0][0]!r} is in the list twice")
        if not words:
            raise ValueError("a vocabulary of no words cannot say anything; give at least one")
        self.words = tuple(words)
        self._ids = {word: n for n, word in enumerate(words)}
        self.specials: dict[str, int] = {}
        self.bos_id: int | None = None

    @classmethod
    def from_text(cls, text: str, *, max_words: int | None = None) -> WordTokenizer:
        """The `max_words` most frequent words of a text (all of them by default), the first to appear first."""
        counts = Counter(text.split())
        kept = {word for word, _ in counts.most_common(max_words)}
        return cls([word for word in counts if word in kept])

    @property
    def vocab_size(self) -> int:
        """V: how many words there are."""
        return len(self.words)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """The ids of the words of `text`.  ValueError names the first word that is not in the vocabulary."""
        del allow_special  # there are none; the parameter is that of every tokenizer
        for word in text.split():
            if word not in self._ids:
                raise ValueError(f"{word!r} is not among the {self.vocab_size} words: {', '.join(self.words[:12])}")
        return [self._ids[word] for word in text.split()]

    def decode(self, ids: Iterable[int]) -> str:
        """The words of `ids` with one space between; ValueError names an id that does not exist."""
        return " ".join([self.token_text(n) for n in ids])

    def stream(self) -> WordStream:
        """Decodes ids one by one; every word brings the space before it, since it goes on from a prompt."""
        return WordStream(self)

    def token_bytes(self, id: int) -> bytes:
        """The word of an id, as UTF-8."""
        return self.token_text(id).encode("utf-8")

    def token_text(self, id: int) -> str:
        """The word of an id."""
        if isinstance(id, bool) or not hasattr(id, "__index__") or not 0 <= id < self.vocab_size:
            raise ValueError(
                f"id {id!r} is not in the vocabulary; ids are whole numbers from 0 to {self.vocab_size - 1}"
            )
        return self.words[id]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """For each id of `encode(text)` where its word stands: text[start:end]."""
        self.encode(text)
        spans, end = [], 0
        for word in text.split():
            start = text.index(word, end)
            end = start + len(word)
            spans.append((start, end))
        return spans

    def __len__(self) -> int:
        return self.vocab_size

    def __repr__(self) -> str:
        return f"WordTokenizer(V={self.vocab_size}: {', '.join(self.words[:4])}{', …' if len(self) > 4 else ''})"


class WordStream:
    """Words one by one, as `StreamDecoder` gives text: nothing is ever held back."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        self._tokenizer = tokenizer

    def feed(self, id: int) -> str:
        """A space and the word of an id."""
        return f" {self._tokenizer.token_text(id)}"

    def flush(self) -> str:
        """Nothing was held back."""
        return ""
