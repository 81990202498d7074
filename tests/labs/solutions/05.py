"""Lab 05: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import itertools
from collections import Counter

# ---------------------------------------------------------------- tokenization.pair_counts


def my_pair_counts(ids):
    counts = {}
    for n in range(len(ids) - 1):
        pair = (ids[n], ids[n + 1])
        counts[pair] = counts.get(pair, 0) + 1
    return counts


def either_way_round(ids):
    return Counter(tuple(sorted(pair)) for pair in itertools.pairwise(ids))


def loses_the_last_couple(ids):
    return Counter(itertools.pairwise(ids[:-1]))


def goes_round_in_a_circle(ids):
    return Counter(zip(ids, ids[1:] + ids[:1], strict=False))


def every_second_couple(ids):
    return Counter(zip(ids[::2], ids[1::2], strict=False))


def runs_count_once(ids):
    counts, i = {}, 0
    while i + 1 < len(ids):
        pair = (ids[i], ids[i + 1])
        counts[pair] = counts.get(pair, 0) + 1
        i += 2 if pair[0] == pair[1] else 1
    return counts


def counts_single_ids(ids):
    return Counter(ids)


def all_possible_pairs(ids):
    return {(a, b): my_pair_counts(ids).get((a, b), 0) for a in ids for b in ids}


def the_most_frequent_alone(ids):
    return dict(Counter(my_pair_counts(ids)).most_common(1))


def a_list_of_couples(ids):
    return list(itertools.pairwise(ids))


def takes_ids_away(ids):
    counts = {}
    while len(ids) > 1:
        pair = (ids[0], ids[1])
        counts[pair] = counts.get(pair, 0) + 1
        ids.pop(0)
    return counts


# ---------------------------------------------------------------- tokenization.merge


def my_merge(ids, pair, new_id):
    out, i = [], 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            out.append(new_id)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


def stumbles_at_the_end(ids, pair, new_id):
    out, i = [], 0
    while i < len(ids):
        if (ids[i], ids[i + 1]) == pair:
            out.append(new_id)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


def loses_the_last_id(ids, pair, new_id):
    out, i = [], 0
    while i + 1 < len(ids):
        if (ids[i], ids[i + 1]) == pair:
            out.append(new_id)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


def once_is_enough(ids, pair, new_id):
    for i in range(len(ids) - 1):
        if (ids[i], ids[i + 1]) == pair:
            return [*ids[:i], new_id, *ids[i + 2 :]]
    return ids


def from_the_right(ids, pair, new_id):
    return my_merge(ids[::-1], pair[::-1], new_id)[::-1]


def replaces_the_left_one_alone(ids, pair, new_id):
    return [new_id if tuple(ids[i : i + 2]) == pair else n for i, n in enumerate(ids)]


def on_the_list_itself(ids, pair, new_id):
    i = 0
    while i + 1 < len(ids):
        if (ids[i], ids[i + 1]) == pair:
            ids[i : i + 2] = [new_id]
        i += 1
    return ids


def as_a_tuple(ids, pair, new_id):
    return tuple(my_merge(ids, pair, new_id))


def the_pair_itself(ids, pair, new_id):
    return [pair if n == new_id else n for n in my_merge(ids, pair, new_id)]


# ---------------------------------------------------------------- tokenization.encode


def my_encode(text, merges):
    ids = list(text.encode("utf-8"))
    for new_id, pair in enumerate(merges, 256):
        ids = my_merge(ids, pair, new_id)
    return ids


def characters_for_bytes(text, merges):
    ids = [ord(letter) for letter in text]
    for new_id, pair in enumerate(merges, 256):
        ids = my_merge(ids, pair, new_id)
    return ids


def newest_first(text, merges):
    ids = list(text.encode("utf-8"))
    for n in reversed(range(len(merges))):
        ids = my_merge(ids, merges[n], 256 + n)
    return ids


def longest_token_first(text, merges):
    spelled = {n: bytes([n]) for n in range(256)}
    for new_id, (left, right) in enumerate(merges, 256):
        spelled[new_id] = spelled[left] + spelled[right]
    data, ids = text.encode("utf-8"), []
    while data:
        best = max((n for n in spelled if data.startswith(spelled[n])), key=lambda n: len(spelled[n]))
        ids.append(best)
        data = data[len(spelled[best]) :]
    return ids


def each_merge_once(text, merges):
    ids = list(text.encode("utf-8"))
    for new_id, pair in enumerate(merges, 256):
        ids = once_is_enough(ids, pair, new_id)
    return ids


def counts_from_257(text, merges):
    ids = list(text.encode("utf-8"))
    for new_id, pair in enumerate(merges, 257):
        ids = my_merge(ids, pair, new_id)
    return ids


def the_textbook_answer(text, merges):
    return [258, 100, 258, 97, 99]


def bytes_alone(text, merges):
    return list(text.encode("utf-8"))


def as_bytes(text, merges):
    return text.encode("utf-8")


def prints_instead(text, merges):
    print(my_encode(text, merges))


RIGHT = {
    "tokenization.pair_counts": my_pair_counts,
    "tokenization.merge": my_merge,
    "tokenization.encode": my_encode,
}

WRONG = {
    "tokenization.pair_counts": [
        (either_way_round, "yours saw"),
        (loses_the_last_couple, "yours did not see"),
        (goes_round_in_a_circle, "times."),
        (every_second_couple, "yours saw"),
        (runs_count_once, "yours saw"),
        (counts_single_ids, "expected keys that are pairs (left, right), got the number"),
        (all_possible_pairs, "yours lists pairs that never occur"),
        (the_most_frequent_alone, "yours did not see"),
        (a_list_of_couples, "expected a dictionary from pairs to counts, got a list"),
        (takes_ids_away, "yours changed its input `ids`"),
    ],
    "tokenization.merge": [
        (stumbles_at_the_end, "yours raised IndexError: list index out of range, in line"),
        (loses_the_last_id, "spelled out again that is not the same text"),
        (once_is_enough, "the pair still stands at place"),
        (from_the_right, "in a run the leftmost two join first"),
        (replaces_the_left_one_alone, "spelled out again that is not the same text"),
        (on_the_list_itself, "yours changed its input `ids`"),
        (as_a_tuple, "expected a list of ids, got a tuple"),
        (the_pair_itself, "got one with a tuple of 2"),
    ],
    "tokenization.encode": [
        (characters_for_bytes, "for 'é' with 0 merges [] yours gave [233]"),
        (newest_first, "yours gave"),
        (longest_token_first, "yours gave"),
        (each_merge_once, "yours gave"),
        (counts_from_257, "yours gave"),
        (the_textbook_answer, "for '' with 0 merges [] yours gave [258, 100, 258, 97, 99]"),
        (bytes_alone, "yours gave"),
        (as_bytes, "expected a list of ids, got"),
        (prints_instead, "expected a list of ids, got None (is a `return` missing?)"),
    ],
}
