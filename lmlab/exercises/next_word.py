"""The exercises of lab 02: a share of counts, logits to probabilities, and the bits of a text."""

from __future__ import annotations

import math
import random

import torch

from lmlab.exercises.expect import Wrong, like, number, show
from lmlab.exercises.registry import Check, Exercise
from lmlab.exercises.student import Student

_WORDS = (
    *("panicked", "celebrated", "sold", "waited", "cheered", "bought"),
    *("sighed", "golfed", "laughed", "yawned", "prayed", "whistled"),
)
_PREFIXES = ("and investors", "the market", "market crashed", "dear professor", "import numpy", "two plus")

Counts = dict[str, dict[str, int]]

# ---------------------------------------------------------------- next_prob


def _counts(rng: random.Random) -> Counts:
    """Three prefixes, each with two to five words seen one to twenty times."""
    return {
        prefix: {word: rng.randint(1, 20) for word in rng.sample(_WORDS, rng.randint(2, 5))}
        for prefix in rng.sample(_PREFIXES, 3)
    }


def _share(student: Student, counts: Counts, prefix: str, word: str) -> float:
    value = number(student(counts, prefix, word))
    seen = counts.get(prefix, {})
    share = seen.get(word, 0) / (sum(seen.values()) or 1)
    if not math.isclose(value, share, rel_tol=1e-6, abs_tol=1e-9):
        found = f"after {prefix!r} the counts are {show(seen)}" if seen else f"{prefix!r} never occurred"
        raise Wrong(f"{found}; for {word!r} yours gave {show(value)}.")
    return value


def _seen(student: Student, rng: random.Random) -> str:
    value = math.nan
    for _ in range(20):
        counts = _counts(rng)
        prefix = rng.choice(list(counts))
        value = _share(student, counts, prefix, rng.choice(list(counts[prefix])))
    return f"{value:.2f}"


def _sum(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        counts = _counts(rng)
        prefix = rng.choice(list(counts))
        total = math.fsum(number(student(counts, prefix, word)) for word in counts[prefix])
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise Wrong(f"after {prefix!r} stand {show(counts[prefix])}; yours sum to {show(total)}.")


def _unseen_word(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        counts = _counts(rng)
        prefix = rng.choice(list(counts))
        _share(student, counts, prefix, rng.choice([w for w in _WORDS if w not in counts[prefix]]))


def _unseen_prefix(student: Student, rng: random.Random) -> None:
    for _ in range(10):
        counts = _counts(rng)
        _share(student, counts, rng.choice([p for p in _PREFIXES if p not in counts]), rng.choice(_WORDS))


_NEXT_PROB = Exercise(
    id="next_word.next_prob",
    takes=("counts", "prefix", "word"),
    hints=(
        "Of all the times that the prefix occurred, how many went on with this word?",
        "`counts[prefix]` is a dictionary from word to times. Its values say how often the prefix occurred.",
        "Divide the count of the word by the sum of all values. `.get(key, default)` answers for what is not "
        "there, for a missing word and for a missing prefix alike; look before you divide by nothing.",
    ),
    checks=(
        Check("a seen word gets its share", _seen, "Out of how many did this word follow this prefix?"),
        Check("the shares of one prefix sum to 1", _sum, "What must the shares of one prefix add up to?"),
        Check("an unseen word gets 0", _unseen_word, "How often did it follow?"),
        Check(
            "a prefix never seen",
            _unseen_prefix,
            "What should a counter say about words it has no evidence for?",
        ),
    ),
)

# ---------------------------------------------------------------- softmax


def _logits(rng: random.Random, n: int, *, around: float = 0.0) -> torch.Tensor:
    return torch.tensor([round(around + rng.uniform(-4, 4), 2) for _ in range(n)])


def _probs(student: Student, logits: torch.Tensor) -> list[float]:
    return like(student(logits), logits).tolist()


def _ratios(student: Student, rng: random.Random) -> None:
    for _ in range(20):
        logits = _logits(rng, rng.randint(2, 7))
        probs = _probs(student, logits)
        z = logits.tolist()
        if min(probs) <= 0 or any(
            not math.isclose(math.log(probs[i] / probs[0]), z[i] - z[0], abs_tol=1e-3) for i in range(len(z))
        ):
            raise Wrong(f"for logits {show(logits)} yours gave {show(probs)}.")


def _sums_to_one(student: Student, rng: random.Random) -> None:
    for _ in range(20):
        logits = _logits(rng, rng.randint(1, 12))
        probs = _probs(student, logits)
        if not math.isclose(math.fsum(probs), 1, abs_tol=1e-5):
            raise Wrong(f"for logits {show(logits)} yours sum to {show(math.fsum(probs))}.")


def _extreme(student: Student, rng: random.Random) -> None:
    for around in (1000.0, -1000.0, 0.0):
        logits = _logits(rng, 5, around=around)
        probs = _probs(student, logits)
        high = max(logits.tolist())
        weights = [math.exp(z - high) for z in logits.tolist()]
        right = [w / sum(weights) for w in weights]
        if not all(math.isclose(p, q, abs_tol=1e-4) for p, q in zip(probs, right, strict=True)):
            raise Wrong(f"for logits {show(logits)} yours gave {show(probs)}.")


_SOFTMAX = Exercise(
    id="next_word.softmax",
    takes=("logits",),
    hints=(
        "Two steps: make every number positive, so that one more is e times as much; then let them sum to 1.",
        "`torch.exp` makes them positive. What do you divide by? And what if a logit is 1,000?",
        "Adding one number to every logit changes no probability. Choose that number so that the largest "
        "logit becomes 0, and nothing can overflow.",
    ),
    checks=(
        Check("one logit higher means e times as likely", _ratios, "What turns sums into products?"),
        Check("the probabilities sum to 1", _sums_to_one, "What should each one be divided by?"),
        Check(
            "logits near 1,000 and near −1,000",
            _extreme,
            "How large is e to the 1,000? What may you take from every logit without changing the answer?",
        ),
    ),
)

# ---------------------------------------------------------------- text_bits


def _bits(student: Student, probs: list[float], *, infinite: bool = False) -> float:
    value = number(student(probs), infinite=True)
    if math.isinf(value) and not infinite:
        n = f"{len(probs):,} probabilities such as {show(probs[0])}" if len(probs) > 8 else show(probs)
        raise Wrong(f"for {n} yours gave {value}.")
    return value


def _coins(student: Student, rng: random.Random) -> None:
    n = rng.randint(2, 9)
    for k in (1, n):
        value = _bits(student, [0.5] * k)
        if not math.isclose(value, k, abs_tol=1e-6):
            raise Wrong(f"for probabilities {show([0.5] * k)} yours gave {show(value)}.")


def _any_text(student: Student, rng: random.Random) -> None:
    for n in (0, *(rng.randint(1, 8) for _ in range(20))):
        probs = [round(rng.uniform(0.01, 1), 3) for _ in range(n)]
        bits = math.fsum(math.log(1 / p) for p in probs) / math.log(2)
        value = _bits(student, probs)
        if not math.isclose(value, bits, rel_tol=1e-5, abs_tol=1e-5):
            raise Wrong(f"for probabilities {show(probs)} yours gave {show(value)}.")


def _long(student: Student, rng: random.Random) -> None:
    probs = [rng.uniform(0.05, 0.5) for _ in range(5000)]
    bits = math.fsum(math.log(1 / p) for p in probs) / math.log(2)
    value = _bits(student, probs)
    if not math.isclose(value, bits, rel_tol=1e-5):
        raise Wrong(f"for 5,000 probabilities between 0.05 and 0.5 yours gave {show(value)}.")


def _impossible(student: Student, rng: random.Random) -> None:
    probs = [round(rng.uniform(0.1, 0.9), 2) for _ in range(3)]
    probs.insert(rng.randint(0, 3), 0.0)
    value = _bits(student, probs, infinite=True)
    if value != math.inf:
        raise Wrong(f"for probabilities {show(probs)} yours gave {show(value)}.")


_TEXT_BITS = Exercise(
    id="next_word.text_bits",
    takes=("probs",),
    hints=(
        "How many fair coin flips is a word of probability 1/8 worth? And two such words?",
        "One word costs −log2 of its probability; `math.log2` computes it. Words in a row add up.",
        "Add the surprises, do not multiply the probabilities: a product of thousands becomes 0. Ask about a "
        "probability of 0 before you take its logarithm; the largest number there is, is `math.inf`.",
    ),
    checks=(
        Check("a fair coin flip costs 1 bit", _coins, "By how much does the surprise grow when p halves?"),
        Check("any text", _any_text, "What is the surprise of each word, and how do surprises combine?"),
        Check("a text of 5,000 words", _long, "What becomes of a product of 5,000 small numbers?"),
        Check("a word that cannot occur", _impossible, "How surprised are you by what cannot happen?"),
    ),
)

EXERCISES = (_NEXT_PROB, _SOFTMAX, _TEXT_BITS)
