"""Lab 07: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math

import torch

# ---------------------------------------------------------------- attention.causal_mask


def my_causal_mask(scores):
    future = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf)


def masks_the_past(scores):
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).tril(-1), -math.inf)


def blind_to_itself(scores):
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(0), -math.inf)


def zeroes_the_future(scores):
    return scores.tril()


def gives_the_mask(scores):
    return torch.ones_like(scores).tril()


def masks_in_place(scores):
    scores[torch.ones_like(scores, dtype=torch.bool).triu(1)] = -math.inf
    return scores


def off_by_one(scores):
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(2), -math.inf)


# ---------------------------------------------------------------- attention.attend


def my_attention(q, k, v):
    scores = my_causal_mask(q @ k.T / math.sqrt(q.shape[1]))
    return scores.softmax(-1) @ v


def sees_the_future(q, k, v):
    return (q @ k.T / math.sqrt(q.shape[1])).softmax(-1) @ v


def unscaled(q, k, v):
    return my_causal_mask(q @ k.T).softmax(-1) @ v


def scaled_by_e(q, k, v):
    return my_causal_mask(q @ k.T / q.shape[1]).softmax(-1) @ v


def down_the_columns(q, k, v):
    return my_causal_mask(q @ k.T / math.sqrt(q.shape[1])).softmax(0) @ v


def hands_over_keys(q, k, v):
    return my_causal_mask(q @ k.T / math.sqrt(q.shape[1])).softmax(-1) @ k


def gives_the_weights(q, k, v):
    return my_causal_mask(q @ k.T / math.sqrt(q.shape[1])).softmax(-1)


def overflows(q, k, v):
    weights = my_causal_mask(q @ k.T / math.sqrt(q.shape[1])).exp()
    return weights / weights.sum(-1, keepdim=True) @ v


# ---------------------------------------------------------------- attention.entropy


def my_entropy(row):
    p = row[row > 0]
    return -(p * p.log2()).sum()


def stumbles_over_zero(row):
    return -(row * row.log2()).sum()


def in_nats(row):
    p = row[row > 0]
    return -(p * p.log()).sum()


def mean_of_surprises(row):
    return -row[row > 0].log2().mean()


def counts_the_tokens(row):
    return math.log2(len(row))


def with_the_wrong_sign(row):
    return -my_entropy(row)


# ---------------------------------------------------------------- attention.induction_target


def my_induction_target(ids, t):
    for s in range(t - 1, -1, -1):
        if ids[s] == ids[t]:
            return s + 1
    return None


def the_place_itself(ids, t):
    found = my_induction_target(ids, t)
    return None if found is None else found - 1


def the_first_time(ids, t):
    return ids.index(ids[t]) + 1 if ids[t] in ids[:t] else None


def looks_at_itself(ids, t):
    return max(s for s in range(t + 1) if ids[s] == ids[t]) + 1


def looks_ahead(ids, t):
    places = [s for s, id in enumerate(ids) if id == ids[t] and s != t]
    return places[-1] + 1 if places else None


def minus_one(ids, t):
    found = my_induction_target(ids, t)
    return -1 if found is None else found


def the_token(ids, t):
    found = my_induction_target(ids, t)
    return None if found is None else ids[found]


RIGHT = {
    "attention.causal_mask": my_causal_mask,
    "attention.attend": my_attention,
    "attention.entropy": my_entropy,
    "attention.induction_target": my_induction_target,
}

WRONG = {
    "attention.causal_mask": [
        (masks_the_past, "may not see token"),
        (blind_to_itself, "may see itself"),
        (zeroes_the_future, "but its score there is 0"),
        (gives_the_mask, "but its score there is 0"),
        (masks_in_place, "yours changed its input `scores`"),
        (off_by_one, "token 0 may not see token 1"),
    ],
    "attention.attend": [
        (sees_the_future, "the mean of the values so far: token"),
        (unscaled, "off"),
        (scaled_by_e, "off"),
        (down_the_columns, "the mean of the values so far: token"),
        (hands_over_keys, "a single token can only take its own value"),
        (gives_the_weights, "expected the same shape, got a tensor of shape (1, 1)"),
        (overflows, "with scores in the thousands: not every number of yours is finite"),
    ],
    "attention.entropy": [
        (stumbles_over_zero, "expected a number, got nan"),
        (in_nats, "yours gave 0.6931 bits"),
        (mean_of_surprises, "bits"),
        (counts_the_tokens, "yours gave"),
        (with_the_wrong_sign, "yours gave -1"),
    ],
    "attention.induction_target": [
        (the_place_itself, "yours gave"),
        (the_first_time, "and t = 6"),
        (looks_at_itself, "yours gave"),
        (looks_ahead, "yours gave"),
        (minus_one, "yours gave -1"),
        (the_token, "yours gave"),
    ],
}
