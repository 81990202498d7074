"""How surprising a text is, word by word, to any model: the arithmetic behind ChainRule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lmlab.text_model import TextModel
from lmlab.tokenizer.split import pretokens
from lmlab.widgets._style import visible

Tokens = list[tuple[int, float]]  # where each token ends, its natural log-probability
Score = Callable[[TextModel, str], Tokens]


def perplexity(log_prob: float, n: int) -> float:
    """How many words the model hesitates between, on the mean: e to the nats a word of a text of ``n`` words."""
    if not n:
        return 1.0
    return math.inf if log_prob == -math.inf else math.exp(-log_prob / n)


def token_log_probs(model: TextModel, text: str) -> Tokens:
    """For each token of the text where it ends, and its natural log-probability after all before it.

    Without a token for the beginning of a text the first token is given: its log-probability is 0.
    """
    ends = [end for _, end in model.tokenizer.offsets(text)]
    logs = [candidate.log_prob for candidate in model.score(text)]
    return list(zip(ends, [0.0] * (len(ends) - len(logs)) + logs, strict=True))


def word_log_probs(columns: Sequence[Sequence[tuple[int, float]]], text: str) -> list[tuple[str, list[float]]]:
    """The words of a text with the log-probability of each in every column; none cuts a token of any column in two."""
    words: list[tuple[str, list[float]]] = []
    places, piece, end = [0] * len(columns), "", 0
    ends = set.intersection(*({at for at, _ in column} for column in columns))
    for part in pretokens(text):
        piece, end = piece + part, end + len(part)
        if end < len(text) and end not in ends:
            continue
        sums = []
        for i, column in enumerate(columns):
            stop = places[i]
            while stop < len(column) and (column[stop][0] <= end or end == len(text)):
                stop += 1
            sums.append(math.fsum(p for _, p in column[places[i] : stop]))
            places[i] = stop
        words.append((piece, sums))
        piece = ""
    return words


def changed(words: Sequence[str], first: Sequence[str]) -> range:
    """Which words are the student's own: what is left between the beginning and the end that were there at first."""
    if not first or list(words) == list(first):
        return range(0)
    start = next((i for i, (a, b) in enumerate(zip(words, first, strict=False)) if a != b), min(len(words), len(first)))
    tail = 0
    while tail < min(len(words), len(first)) - start and words[-1 - tail] == first[-1 - tail]:
        tail += 1
    return range(start, len(words) - tail)


def shown_word(text: str) -> str:
    """A word as a label: without the space before it, and with what cannot be seen made visible."""
    return visible(text.strip(" ") or text)
