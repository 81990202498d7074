"""Lab 12: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import torch

# ---------------------------------------------------------------- post_training.loss_mask


def my_loss_mask(ids, assistant, end):
    from itertools import pairwise

    labels, speaking = [], False
    for now, following in pairwise(ids):
        if now == assistant:
            speaking = True
        elif now == end:
            speaking = False
        labels.append(following if speaking else -100)
    return labels


def everything_counts(ids, assistant, end):
    return ids[1:]


def labels_not_moved(ids, assistant, end):
    labels = my_loss_mask(ids, assistant, end)
    return [-100 if label == -100 else now for now, label in zip(ids, labels, strict=False)]


def forgets_the_end(ids, assistant, end):
    return [-100 if label == end else label for label in my_loss_mask(ids, assistant, end)]


def first_answer_alone(ids, assistant, end):
    labels, start = my_loss_mask(ids, assistant, end), ids.index(assistant)
    stop = ids.index(end, start) if end in ids[start:] else len(ids)
    return [label if t < stop else -100 for t, label in enumerate(labels)]


def all_after_the_first_answer(ids, assistant, end):
    start = ids.index(assistant)
    return [following if t >= start else -100 for t, following in enumerate(ids[1:])]


def needs_the_end(ids, assistant, end):
    last = len(ids) - 1 - ids[::-1].index(assistant)
    ids.index(end, last)
    return my_loss_mask(ids, assistant, end)


def as_long_as_the_ids(ids, assistant, end):
    return [*my_loss_mask(ids, assistant, end), -100]


# ---------------------------------------------------------------- post_training.bradley_terry


def my_bradley_terry(chosen, rejected):
    return -torch.nn.functional.logsigmoid(chosen - rejected).mean()


def wrong_way_round(chosen, rejected):
    return -torch.nn.functional.logsigmoid(rejected - chosen).mean()


def sum_of_pairs(chosen, rejected):
    return -torch.nn.functional.logsigmoid(chosen - rejected).sum()


def log_of_a_zero(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen - rejected)).mean()


def forgets_the_minus(chosen, rejected):
    return torch.nn.functional.logsigmoid(chosen - rejected).mean()


def difference_alone(chosen, rejected):
    return (rejected - chosen).mean()


# ---------------------------------------------------------------- post_training.advantages


def my_advantages(rewards):
    n = rewards.shape[1]
    others = (rewards.sum(1, keepdim=True) - rewards) / (n - 1)
    return rewards - others


def mean_of_all(rewards):
    return rewards - rewards.mean(1, keepdim=True)


def over_all_prompts(rewards):
    n = rewards.numel()
    return rewards - (rewards.sum() - rewards) / (n - 1)


def difference_of_two(rewards):
    return rewards - rewards.flip(1)


def no_baseline(rewards):
    return rewards


def one_number(rewards):
    return my_advantages(rewards).mean()


RIGHT = {
    "post_training.loss_mask": my_loss_mask,
    "post_training.bradley_terry": my_bradley_terry,
    "post_training.advantages": my_advantages,
}

WRONG = {
    "post_training.loss_mask": [
        (everything_counts, "as label 0"),
        (labels_not_moved, "yours has"),
        (forgets_the_end, "yours has -100"),
        (first_answer_alone, "yours has -100"),
        (all_after_the_first_answer, "yours has"),
        (needs_the_end, "ValueError"),
        (as_long_as_the_ids, "one for each but the first"),
    ],
    "post_training.bradley_terry": [
        (wrong_way_round, "yours gave"),
        (sum_of_pairs, "yours gave"),
        (log_of_a_zero, "finite number"),
        (forgets_the_minus, "yours gave"),
        (difference_alone, "yours gave"),
    ],
    "post_training.advantages": [
        (mean_of_all, "yours gave"),
        (over_all_prompts, "yours gave"),
        (difference_of_two, "yours gave"),
        (no_baseline, "yours gave"),
        (one_number, "expected a tensor of shape"),
    ],
}
