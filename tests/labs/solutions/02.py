"""Lab 02: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math

import torch

# ---------------------------------------------------------------- next_word.next_prob


def my_next_prob(counts, prefix, word):
    after = counts.get(prefix, {})
    if not after:
        return 0.0
    return after.get(word, 0) / sum(after.values())


def knows_every_prefix(counts, prefix, word):
    after = counts[prefix]
    return after.get(word, 0) / sum(after.values())


def divides_by_nothing(counts, prefix, word):
    after = counts.get(prefix, {})
    return after.get(word, 0) / sum(after.values())


def share_of_the_whole_corpus(counts, prefix, word):
    total = sum(sum(after.values()) for after in counts.values())
    return counts.get(prefix, {}).get(word, 0) / total


def share_of_different_words(counts, prefix, word):
    after = counts.get(prefix, {})
    return (word in after) / max(len(after), 1)


def the_lecture_number(counts, prefix, word):
    return 0.5


def in_percent(counts, prefix, word):
    return 100 * my_next_prob(counts, prefix, word)


def the_bare_count(counts, prefix, word):
    return counts.get(prefix, {}).get(word, 0)


def grows_its_input(counts, prefix, word):
    after = counts.setdefault(prefix, {})
    return after.setdefault(word, 0) / max(sum(after.values()), 1)


def yields(counts, prefix, word):
    yield my_next_prob(counts, prefix, word)


def forgets_to_return(counts, prefix, word):
    share = my_next_prob(counts, prefix, word)
    share + 0


def leaves(counts, prefix, word):
    raise SystemExit


def never_ends(counts, prefix, word):
    while True:
        pass


# ---------------------------------------------------------------- next_word.softmax


def my_softmax(logits):
    weights = torch.exp(logits - logits.max())
    return weights / weights.sum()


def overflows(logits):
    weights = torch.exp(logits)
    return weights / weights.sum()


def to_base_two(logits):
    weights = 2 ** (logits - logits.max())
    return weights / weights.sum()


def shares_of_the_logits(logits):
    return logits / logits.sum()


def sharpened(logits):
    return torch.softmax(2 * logits, dim=-1)


def evenly(logits):
    return torch.full_like(logits, 1 / len(logits))


def not_normalized(logits):
    return torch.exp(logits - logits.max())


def clamped(logits):
    weights = torch.exp(logits.clamp(-50, 50))
    return weights / weights.sum()


def as_a_list(logits):
    return my_softmax(logits).tolist()


def as_a_column(logits):
    return my_softmax(logits)[:, None]


def in_whole_numbers(logits):
    return my_softmax(logits).round().long()


def in_place(logits):
    logits -= logits.max()
    return torch.exp(logits) / torch.exp(logits).sum()


def only_the_largest(logits):
    return torch.nn.functional.one_hot(logits.argmax(), len(logits)).to(logits.dtype)


# ---------------------------------------------------------------- next_word.text_bits


def my_text_bits(probs):
    if 0 in probs:
        return math.inf
    return -sum(math.log2(p) for p in probs)


def bits_of_the_product(probs):
    joint = math.prod(probs)
    return -math.log2(joint) if joint > 0 else math.inf


def in_nats(probs):
    return math.inf if 0 in probs else -sum(math.log(p) for p in probs)


def with_the_wrong_sign(probs):
    return math.inf if 0 in probs else sum(math.log2(p) for p in probs)


def a_word(probs):
    return my_text_bits(probs) / len(probs)


def one_bit_a_word(probs):
    return math.inf if 0 in probs else float(len(probs))


def skips_the_impossible(probs):
    return -sum(math.log2(p) for p in probs if p > 0)


def stumbles_over_zero(probs):
    return -sum(math.log2(p) for p in probs)


def not_a_number(probs):
    return float("nan")


def sorts_its_input(probs):
    probs.sort()
    probs.append(1.0)
    return my_text_bits(probs)


RIGHT = {
    "next_word.next_prob": my_next_prob,
    "next_word.softmax": my_softmax,
    "next_word.text_bits": my_text_bits,
}

WRONG = {
    "next_word.next_prob": [
        (knows_every_prefix, "yours raised KeyError"),
        (divides_by_nothing, "yours raised ZeroDivisionError: division by zero, in line"),
        (share_of_the_whole_corpus, "yours gave"),
        (share_of_different_words, "yours gave"),
        (the_lecture_number, "yours gave 0.5"),
        (in_percent, "yours gave"),
        (the_bare_count, "yours gave"),
        (grows_its_input, "yours changed its input `counts`"),
        (yields, "expected a number, got a generator"),
        (forgets_to_return, "expected a number, got None (is a `return` missing?)"),
        (leaves, "yours called exit(), in line"),
        (never_ends, "had not finished after"),
    ],
    "next_word.softmax": [
        (overflows, "not every entry is a finite number"),
        (to_base_two, "yours gave"),
        (shares_of_the_logits, "yours gave"),
        (sharpened, "yours gave"),
        (evenly, "yours gave"),
        (not_normalized, "yours sum to"),
        (clamped, "yours gave"),
        (as_a_list, "and dtype float32, got a list of"),
        (as_a_column, ", 1) and dtype float32"),
        (in_whole_numbers, "and dtype int64"),
        (in_place, "yours changed its input `logits`"),
        (only_the_largest, "yours gave"),
    ],
    "next_word.text_bits": [
        (bits_of_the_product, "for 5,000 probabilities"),
        (in_nats, "yours gave"),
        (with_the_wrong_sign, "yours gave -1"),
        (a_word, "yours raised ZeroDivisionError"),
        (one_bit_a_word, "yours gave"),
        (skips_the_impossible, "yours gave"),
        (stumbles_over_zero, "yours raised ValueError"),
        (not_a_number, "expected a number, got nan"),
        (sorts_its_input, "yours changed its input `probs`"),
    ],
}
