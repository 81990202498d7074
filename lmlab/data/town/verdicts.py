"""What the town thinks of a text: whether it can say it, where it leaves the town, what would have fitted.

The lecture's three reasons against a word: it is not in the vocabulary, the grammar does not allow it there, or it
is allowed and unlikely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmlab.data.town.grammar import Live
from lmlab.data.town.nodes import END, split_words

if TYPE_CHECKING:
    from lmlab.data.town.town import Town


@dataclass(frozen=True)
class Verdict:
    """On a continuation of a prompt.

    vocabulary: every word of it is a word of the town; grammar: the town may say it there; probability: exactly how
    likely the text goes on so; expected: what the town would say where the continuation leaves it; reason: a sentence.
    """

    vocabulary: bool
    grammar: bool
    probability: float
    expected: str | None
    reason: str


def _walk(town: Town, words: tuple[str, ...]) -> tuple[int, float, Live | None]:
    """(words that can be said, their probability, derivations after them or None if one was impossible)."""
    live: Live | None = town.live()
    probability = 1.0
    for i, word in enumerate(words):
        assert live is not None
        p = live.words().get(word, 0.0)
        if p == 0.0:
            return i, probability, None
        probability *= p
        live = live.after(word)
    return len(words), probability, live


def prefix_probability(town: Town, text: str) -> float:
    """The probability that a document begins with this text, which may end inside a word."""
    if not text:
        return 1.0
    *finished, last = split_words(text)
    _, probability, live = _walk(town, tuple(finished))
    if live is None:
        return 0.0
    return probability * sum(p for word, p in live.words().items() if word.startswith(last))


def next_words(town: Town, text: str) -> dict[str, float]:
    """What may come next after a text, likeliest first: whole words, or the rest of an unfinished one; END is "".

    Empty where the town cannot say the text.
    """
    words = split_words(text)
    _, _, before = _walk(town, words[:-1])
    if before is None:
        return {}
    if not words:
        found = dict(before.words())
    else:
        last = words[-1]
        found = {word[len(last) :]: p for word, p in before.words().items() if word != last and word.startswith(last)}
        ended, after = before.words().get(last, 0.0), before.after(last)
        for word, p in (after.words() if after else {}).items():
            found[word] = found.get(word, 0.0) + ended * p
    total = sum(found.values())
    return {word: p / total for word, p in sorted(found.items(), key=lambda item: -item[1])}


def first_impossible(town: Town, text: str) -> int | None:
    """The index of the first word (pre-token) that the town cannot say there; None where it can say all of it."""
    words = split_words(text)
    n, _, live = _walk(town, words)
    if live is not None:
        return None
    if n == len(words) - 1 and prefix_probability(town, text) > 0.0:
        return None  # the last word is only unfinished
    return n


def _describe(options: dict[str, float], n: int = 3) -> str | None:
    """The likeliest words with their shares, for people: "panicked (60 %), celebrated (20 %), sold (15 %)"."""
    shown = {END: "the end of the text", "\n": "a new line"}
    best = [f"{shown.get(word, word.strip())} ({p:.0%})" for word, p in list(options.items())[:n]]
    more = len(options) - n
    return ", ".join(best) + (f" or one of {more} more" if more > 0 else "") if best else None


def judge(town: Town, prompt: str, continuation: str) -> Verdict:
    """Vocabulary, grammar or plausibility: which of them stands against this continuation."""
    given = prefix_probability(town, prompt)
    text = prompt + continuation
    joint = prefix_probability(town, text)
    if joint == 0.0 and prompt and not prompt[-1].isspace() and not continuation[:1].isspace():
        text = f"{prompt} {continuation}"
        joint = prefix_probability(town, text)
    known = {word.strip() for word in town.vocabulary}
    strange = [word.strip() for word in split_words(continuation) if word.strip() not in known and word.strip()]
    if joint > 0.0:
        share = joint / given
        reason = f"The town says this {share:.3g} of the time." if share < 1.0 else "The town always says this here."
        return Verdict(True, True, share, None, reason)
    if given == 0.0:
        reason = "The town never says this prompt, so it has no opinion on what follows."
        return Verdict(not strange, False, 0.0, None, reason)
    at = first_impossible(town, text)
    words = split_words(text)
    expected = _describe(next_words(town, "".join(words[:at])))
    if strange:
        return Verdict(False, False, 0.0, expected, f"{strange[0]!r} is not a word of the town.")
    word = words[at].strip() if at is not None else continuation
    return Verdict(True, False, 0.0, expected, f"{word!r} is a word of the town, but never stands there.")
