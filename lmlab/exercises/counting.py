"""The exercises of lab 04: count what followed, add k, fall back to a shorter context, and perplexity."""

from __future__ import annotations

import math
import random
from typing import Any

from lmlab.exercises.expect import Wrong, describe, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

_WORDS = ("the", "stock", "market", "mayor", "goose", "baker", "crashed", "sold", "and", "slept")

# ---------------------------------------------------------------- followers


def _text(rng: random.Random, n_words: int = 30) -> list[str]:
    return rng.choices(_WORDS[: rng.randint(4, 7)], k=n_words)


def _counted(words: list[str], context: list[str]) -> dict[str, int]:
    """What a check compares with: a loop over all places."""
    found: dict[str, int] = {}
    n = len(context)
    for place in range(len(words) - n):
        if words[place : place + n] == context:
            found[words[place + n]] = found.get(words[place + n], 0) + 1
    return found


def _table(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise Wrong(f"expected a dictionary from word to count, got {describe(value)}.")
    return {word: times for word, times in value.items() if times != 0}


def _compare(student: Student, words: list[str], context: list[str]) -> dict[str, int]:
    found, expected = _table(student(words, context)), _counted(words, context)
    if found != expected:
        raise Wrong(f"in the text {' '.join(words)!r} yours says that after {' '.join(context)!r} stood {show(found)}.")
    return expected


def _one_word(student: Student, rng: random.Random) -> str:
    for _ in range(10):
        words = _text(rng)
        seen = _compare(student, words, [rng.choice(words[:-1])])
    return show(seen)


def _two_words(student: Student, rng: random.Random) -> None:
    for length in (2, 3, 2, 3):
        words = _text(rng)
        place = rng.randrange(len(words) - length)
        _compare(student, words, words[place : place + length])


def _overlapping(student: Student, rng: random.Random) -> None:
    word, other = rng.sample(_WORDS, 2)
    words = [other, *[word] * rng.randint(4, 6), other]
    _compare(student, words, [word, word])


def _at_the_end(student: Student, rng: random.Random) -> None:
    words = [*_text(rng, 12), "unique"]
    _compare(student, words, ["unique"])
    _compare(student, words, ["never", "read"])


def _no_context(student: Student, rng: random.Random) -> None:
    _compare(student, _text(rng, 15), [])


_FOLLOWERS = Exercise(
    id="counting.followers",
    takes=("words", "context"),
    hints=(
        "Lay the context on the text at every place. Where it fits, which word do you look at?",
        "`words[i : i + n] == context` says whether it fits at place i, with n = `len(context)`; the word that follows "
        "is `words[i + n]`.",
        "Let i run from 0 to `len(words) - n - 1`, so that there always is a word after the context, and add one with "
        "`found[word] = found.get(word, 0) + 1`.",
    ),
    checks=(
        Check("what followed one word", _one_word, "At which places does the context stand?"),
        Check("contexts of two and three words", _two_words, "How many words must agree before you count?"),
        Check("places that overlap", _overlapping, "May a word belong to two places?"),
        Check("nothing followed", _at_the_end, "What follows a context that stands at the end, or nowhere?"),
        Check("no context at all", _no_context, "Where does an empty context stand?"),
    ),
)

# ---------------------------------------------------------------- add_k


def _counts(rng: random.Random) -> dict[str, int]:
    return {word: rng.randint(1, 9) for word in rng.sample(_WORDS, rng.randint(1, 5))}


def _added(student: Student, counts: dict[str, int], word: str, k: float, vocab_size: int) -> float:
    value = number(student(counts, word, k, vocab_size))
    expected = (counts.get(word, 0) + k) / (sum(counts.values()) + k * vocab_size)
    if not math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-12):
        raise Wrong(f"with counts {show(counts)}, k = {show(k)} and V = {vocab_size}, {word!r} got {show(value)}.")
    return value


def _seen_words(student: Student, rng: random.Random) -> str:
    for _ in range(10):
        counts = _counts(rng)
        value = _added(
            student, counts, rng.choice(list(counts)), rng.choice([0.01, 0.5, 1.0, 2.0]), rng.randint(10, 50)
        )
    return f"{value:.3f}"


def _unseen_words(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        counts = _counts(rng)
        _added(student, counts, rng.choice([w for w in _WORDS if w not in counts]), rng.choice([0.1, 1.0]), 40)


def _no_evidence(student: Student, rng: random.Random) -> None:
    _added(student, {}, rng.choice(_WORDS), rng.choice([0.5, 1.0]), rng.randint(10, 50))


def _sums_to_one(student: Student, rng: random.Random) -> None:
    counts, k = _counts(rng), rng.choice([0.3, 1.0])
    total = math.fsum(number(student(counts, word, k, len(_WORDS))) for word in _WORDS)
    if not math.isclose(total, 1, abs_tol=1e-6):
        raise Wrong(f"over all {len(_WORDS)} words of the vocabulary yours sum to {show(total)}.")


_ADD_K = Exercise(
    id="counting.add_k",
    takes=("counts", "word", "k", "vocab_size"),
    hints=(
        "Pretend to have read every word of the vocabulary k times more than you did. What are the counts now?",
        "The count of one word grows by k. By how much does the sum of all counts grow?",
        "(count + k) / (sum of counts + k·V). `counts.get(word, 0)` is the count of a word that may be missing.",
    ),
    checks=(
        Check("a word that was seen", _seen_words, "What did you add to the numerator, and what to the denominator?"),
        Check("a word that was not", _unseen_words, "What is the count of a word that is not in `counts`?"),
        Check("no counts at all", _no_evidence, "Who is likelier, when nothing was read?"),
        Check("all together make one", _sums_to_one, "How many words got k more?"),
    ),
)

# ---------------------------------------------------------------- backoff


def _model(rng: random.Random) -> tuple[dict[tuple[str, ...], dict[str, int]], list[str]]:
    """Counts of all contexts of up to two words in a text that the checks made up."""
    words = _text(rng, 25)
    contexts = {tuple(words[i : i + n]) for n in range(3) for i in range(len(words) - n)}
    return {context: _counted(words, list(context)) for context in contexts}, words


def _fallen_back(counts: dict[tuple[str, ...], dict[str, int]], context: tuple[str, ...], word: str) -> float:
    while context not in counts:
        context = context[1:]
    return counts[context].get(word, 0) / sum(counts[context].values())


def _asked(student: Student, rng: random.Random, make: Any) -> str:
    for _ in range(12):
        counts, words = _model(rng)
        context = make(rng, words)
        word = rng.choice(words)
        value, expected = number(student(counts, context, word)), _fallen_back(counts, context, word)
        if not math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-9):
            known = next(c for i in range(len(context) + 1) if (c := context[i:]) in counts)
            raise Wrong(
                f"the longest end of {context} with a count is {known}, after which stood {show(counts[known])}; "
                f"for {word!r} yours gave {show(value)}."
            )
    return f"{value:.2f}"


def _pair(rng: random.Random, words: list[str]) -> tuple[str, ...]:
    place = rng.randrange(len(words) - 3)
    return tuple(words[place : place + 2])


def _known(student: Student, rng: random.Random) -> str:
    return _asked(student, rng, _pair)


def _half_known(student: Student, rng: random.Random) -> None:
    _asked(student, rng, lambda r, words: ("xylophone", r.choice(words[:-1])))


def _unknown(student: Student, rng: random.Random) -> None:
    _asked(student, rng, lambda r, words: (r.choice(words), "xylophone"))


def _longer(student: Student, rng: random.Random) -> None:
    _asked(student, rng, lambda r, words: ("a", "long", "story", *_pair(r, words)))


_BACKOFF = Exercise(
    id="counting.backoff",
    takes=("counts", "context", "word"),
    hints=(
        "When nobody remembers what followed these two words, ask about the last one alone. And if that fails?",
        "`context[1:]` is the context without its first word; `()` is no context, and it is always in `counts`.",
        "`while context not in counts:` make it shorter. Then it is a share: the count of the word over the sum of all "
        "counts after that context.",
    ),
    checks=(
        Check("a context that was read", _known, "Which counts belong to this context?"),
        Check("only its last word was", _half_known, "Which end of the context tells more about what comes next?"),
        Check("not even that", _unknown, "What do you know without any context?"),
        Check("a longer context", _longer, "How often may you have to shorten it?"),
    ),
)

# ---------------------------------------------------------------- perplexity


def _perplexed(student: Student, probs: list[float]) -> float:
    value = number(student(probs), infinite=True)
    expected = math.exp(-math.fsum(map(math.log, probs)) / len(probs))
    if not math.isclose(value, expected, rel_tol=1e-6):
        given = show(probs) if len(probs) <= 8 else f"{len(probs):,} probabilities"
        raise Wrong(f"for {given} yours gave {show(value)}.")
    return value


def _fair_die(student: Student, rng: random.Random) -> str:
    n = rng.randint(2, 20)
    return f"a fair choice of {n} has perplexity {_perplexed(student, [1 / n] * rng.randint(1, 9)):.3g}"


def _any(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        _perplexed(student, [rng.uniform(0.01, 1) for _ in range(rng.randint(2, 8))])


def _long(student: Student, rng: random.Random) -> None:
    _perplexed(student, [rng.uniform(0.01, 0.5) for _ in range(3000)])


def _impossible(student: Student, rng: random.Random) -> None:
    probs = [rng.uniform(0.1, 1) for _ in range(4)]
    probs[rng.randrange(4)] = 0.0
    value = number(student(probs), infinite=True)
    if value != math.inf:
        raise Wrong(f"for {show(probs)}, where one word was impossible, yours gave {show(value)}.")


_PERPLEXITY = Exercise(
    id="counting.perplexity",
    takes=("probs",),
    hints=(
        "As unsure as among how many equal choices? For probabilities of 1/6 each, the answer should be 6.",
        "It is e to the power of the mean surprise, where the surprise of a word is −ln p.",
        "Sum −`math.log(p)` over all, divide by how many there are, and take `math.exp` of it. Ask about a zero first: "
        "then it is `math.inf`.",
    ),
    checks=(
        Check("a fair die", _fair_die, "How many choices is a die worth?"),
        Check("any probabilities", _any, "Which mean do you take: of the probabilities, or of their surprises?"),
        Check("3,000 words", _long, "What becomes of a product of 3,000 small numbers?"),
        Check("something impossible happened", _impossible, "What does a word of probability 0 cost?"),
    ),
)

EXERCISES = (_FOLLOWERS, _ADD_K, _BACKOFF, _PERPLEXITY)
