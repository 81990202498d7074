"""Lab 04: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import itertools
import math

# ---------------------------------------------------------------- counting.followers


def my_followers(words, context):
    found, n = {}, len(context)
    for i in range(len(words) - n):
        if words[i : i + n] == context:
            found[words[i + n]] = found.get(words[i + n], 0) + 1
    return found


def last_word_of_the_context_alone(words, context):
    found = {}
    for before, word in itertools.pairwise(words):
        if context and before == context[-1]:
            found[word] = found.get(word, 0) + 1
    return found


def runs_over_the_end(words, context):
    found, n = {}, len(context)
    for i in range(len(words)):
        if words[i : i + n] == context:
            found[words[i + n]] = found.get(words[i + n], 0) + 1
    return found


def skips_what_it_used(words, context):
    found, n, i = {}, len(context), 0
    while i < len(words) - n:
        if words[i : i + n] == context:
            found[words[i + n]] = found.get(words[i + n], 0) + 1
            i += max(1, n)
        else:
            i += 1
    return found


def a_set_of_words(words, context):
    return set(my_followers(words, context))


def probabilities_instead(words, context):
    found = my_followers(words, context)
    return {word: times / sum(found.values()) for word, times in found.items()}


def eats_the_text(words, context):
    found = my_followers(words, context)
    words.clear()
    return found


# ---------------------------------------------------------------- counting.add_k


def my_add_k(counts, word, k, vocab_size):
    return (counts.get(word, 0) + k) / (sum(counts.values()) + k * vocab_size)


def adds_k_once(counts, word, k, vocab_size):
    return (counts.get(word, 0) + k) / (sum(counts.values()) + k)


def adds_for_seen_words_alone(counts, word, k, vocab_size):
    return (counts.get(word, 0) + k) / (sum(counts.values()) + k * max(1, len(counts)))


def adds_one(counts, word, k, vocab_size):
    return (counts.get(word, 0) + 1) / (sum(counts.values()) + vocab_size)


def trips_over_the_unseen(counts, word, k, vocab_size):
    return (counts[word] + k) / (sum(counts.values()) + k * vocab_size)


def does_not_smooth(counts, word, k, vocab_size):
    return counts.get(word, 0) / sum(counts.values())


# ---------------------------------------------------------------- counting.backoff


def my_backoff(counts, context, word):
    while context not in counts:
        context = context[1:]
    return counts[context].get(word, 0) / sum(counts[context].values())


def drops_the_last_word(counts, context, word):
    while context not in counts:
        context = context[:-1]
    return counts[context].get(word, 0) / sum(counts[context].values())


def backs_off_once(counts, context, word):
    after = counts.get(context) or counts[context[1:]]
    return after.get(word, 0) / sum(after.values())


def gives_up(counts, context, word):
    after = counts.get(context, {})
    return after.get(word, 0) / max(1, sum(after.values()))


def falls_to_the_bottom(counts, context, word):
    after = counts.get(context, counts[()])
    return after.get(word, 0) / sum(after.values())


def the_count_itself(counts, context, word):
    while context not in counts:
        context = context[1:]
    return counts[context].get(word, 0)


def backs_off_for_every_unseen_word(counts, context, word):
    while word not in counts.get(context, {}):
        context = context[1:]
    return counts[context][word] / sum(counts[context].values())


# ---------------------------------------------------------------- counting.perplexity


def my_perplexity(probs):
    if 0 in probs:
        return math.inf
    return math.exp(-sum(math.log(p) for p in probs) / len(probs))


def one_over_the_mean(probs):
    return len(probs) / sum(probs)


def the_mean_surprise(probs):
    return math.inf if 0 in probs else -sum(math.log(p) for p in probs) / len(probs)


def mixes_bits_and_nats(probs):
    return math.inf if 0 in probs else math.exp(-sum(math.log2(p) for p in probs) / len(probs))


def root_of_the_product(probs):
    joint = math.prod(probs)
    return math.inf if joint == 0 else joint ** (-1 / len(probs))


def forgets_the_mean(probs):
    return math.inf if 0 in probs else math.exp(min(700, -sum(math.log(p) for p in probs)))


def stumbles_over_zero(probs):
    return math.exp(-sum(math.log(p) for p in probs) / len(probs))


RIGHT = {
    "counting.followers": my_followers,
    "counting.add_k": my_add_k,
    "counting.backoff": my_backoff,
    "counting.perplexity": my_perplexity,
}

WRONG = {
    "counting.followers": [
        (last_word_of_the_context_alone, "contexts of two and three words: in the text"),
        (runs_over_the_end, "yours raised IndexError"),
        (skips_what_it_used, "places that overlap: in the text"),
        (a_set_of_words, "expected a dictionary from word to count, got a set"),
        (probabilities_instead, "yours says that after"),
        (eats_the_text, "yours changed its input `words`"),
    ],
    "counting.add_k": [
        (adds_k_once, "yours sum to"),
        (adds_for_seen_words_alone, "yours sum to"),
        (adds_one, "a word that was seen: with counts"),
        (trips_over_the_unseen, "yours raised KeyError"),
        (does_not_smooth, "yours raised ZeroDivisionError"),
    ],
    "counting.backoff": [
        (drops_the_last_word, "only its last word was: the longest end of"),
        (backs_off_once, "yours raised KeyError"),
        (gives_up, "only its last word was: the longest end of"),
        (falls_to_the_bottom, "only its last word was: the longest end of"),
        (the_count_itself, "a context that was read: the longest end of"),
        (backs_off_for_every_unseen_word, "yours gave"),
    ],
    "counting.perplexity": [
        (one_over_the_mean, "any probabilities: for"),
        (the_mean_surprise, "a fair die: for"),
        (mixes_bits_and_nats, "a fair die: for"),
        (root_of_the_product, "3,000 words: for 3,000 probabilities yours gave"),
        (forgets_the_mean, "any probabilities: for"),
        (stumbles_over_zero, "yours raised ValueError"),
    ],
}
