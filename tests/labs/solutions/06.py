"""Lab 06: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import torch

# ---------------------------------------------------------------- neural.shifted


def my_shifted(ids, shift):
    return ids[: len(ids) - shift], ids[shift:]


def ends_at_minus_shift(ids, shift):
    return ids[:-shift], ids[shift:]


def the_other_way(ids, shift):
    return ids[shift:], ids[: len(ids) - shift]


def always_by_one(ids, shift):
    return ids[:-1], ids[1:]


def keeps_the_last_input(ids, shift):
    return list(ids), ids[shift:]


def turns_around(ids, shift):
    return list(ids), ids[shift:] + ids[:shift]


def one_list(ids, shift):
    return ids[shift:]


def drops_in_place(ids, shift):
    targets = list(ids[shift:])
    del ids[len(ids) - shift :]
    return ids, targets


# ---------------------------------------------------------------- neural.n_weights


def my_n_weights(T, D, V, hidden):
    if hidden is None:
        return T * D * T * V
    return T * D * hidden + hidden * T * V


def linear_in_T(T, D, V, hidden):
    return T * D * V if hidden is None else (T * D + T * V) * hidden


def the_number_of_the_slide(T, D, V, hidden):
    return 1440


def forgets_the_hidden_layer(T, D, V, hidden):
    return T * D * T * V


def stumbles_over_none(T, D, V, hidden):
    return T * D * hidden + hidden * T * V


def with_biases(T, D, V, hidden):
    return T * D * T * V + T * V if hidden is None else (T * D + T * V + 1) * hidden + T * V


def one_layer_too_few(T, D, V, hidden):
    return T * D * T * V if hidden is None else T * D * hidden


# ---------------------------------------------------------------- neural.recomputed


def my_recomputed(old, new):
    kept = 0
    while kept < len(old) and kept < len(new) and old[kept] == new[kept]:
        kept += 1
    return len(new) - kept


def counts_different_words(old, new):
    return sum(a != b for a, b in zip(old, new, strict=False)) + max(0, len(new) - len(old))


def everything(old, new):
    return len(new)


def what_is_kept(old, new):
    return len(new) - my_recomputed(old, new)


def runs_over_the_end(old, new):
    kept = 0
    while old[kept] == new[kept]:
        kept += 1
    return len(new) - kept


def of_the_old_text(old, new):
    return my_recomputed(new, old)


# ---------------------------------------------------------------- neural.route


def my_route(query, keys, values):
    return torch.softmax(keys @ query, dim=0) @ values


def takes_the_best_alone(query, keys, values):
    return values[(keys @ query).argmax()]


def fixed_weights(query, keys, values):
    return values.mean(dim=0)


def not_normalized(query, keys, values):
    return torch.exp(keys @ query) @ values


def fits_as_weights(query, keys, values):
    fits = keys @ query
    return fits / fits.sum() @ values


def hands_over_the_keys(query, keys, values):
    return torch.softmax(keys @ query, dim=0) @ keys


def over_the_wrong_axis(query, keys, values):
    return (torch.softmax(keys * query, dim=1) * values).sum(0)


def hands_over_the_weights(query, keys, values):
    return torch.softmax(keys @ query, dim=0)


RIGHT = {
    "neural.shifted": my_shifted,
    "neural.n_weights": my_n_weights,
    "neural.recomputed": my_recomputed,
    "neural.route": my_route,
}

WRONG = {
    "neural.shifted": [
        (ends_at_minus_shift, "and shift 0 yours gave []"),
        (the_other_way, "and shift 1 yours gave"),
        (always_by_one, "and shift"),
        (keeps_the_last_input, "and shift 1 yours gave"),
        (turns_around, "and shift 1 yours gave"),
        (one_list, "expected two lists"),
        (drops_in_place, "yours changed its input `ids`"),
    ],
    "neural.n_weights": [
        (linear_in_T, "and no hidden layer yours gave"),
        (the_number_of_the_slide, "yours gave 1440"),
        (forgets_the_hidden_layer, "and a hidden layer of"),
        (stumbles_over_none, "yours raised TypeError"),
        (with_biases, "yours gave"),
        (one_layer_too_few, "and a hidden layer of"),
    ],
    "neural.recomputed": [
        (counts_different_words, "yours gave"),
        (everything, "yours gave"),
        (what_is_kept, "yours gave"),
        (runs_over_the_end, "yours raised IndexError"),
        (of_the_old_text, "yours gave"),
    ],
    "neural.route": [
        (takes_the_best_alone, "yours gave"),
        (fixed_weights, "the one key that fits stands at place"),
        (not_normalized, "yours gave"),
        (fits_as_weights, "yours gave"),
        (hands_over_the_keys, "yours gave"),
        (over_the_wrong_axis, "yours gave"),
        (hands_over_the_weights, "expected a tensor of shape"),
    ],
}
