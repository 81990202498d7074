"""Lab 16: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math
from collections import Counter

import torch

# ---------------------------------------------------------------- beyond.vote


def my_vote(answers):
    from collections import Counter

    counts = Counter(answer for answer in answers if answer is not None)
    return max(counts, key=counts.get) if counts else None


def the_first(answers):
    return next((answer for answer in answers if answer is not None), None)


def ties_to_the_smallest(answers):
    counts = Counter(answer for answer in answers if answer is not None)
    return min(counts, key=lambda answer: (-counts[answer], answer)) if counts else None


def silence_votes(answers):
    return max(Counter(answers), key=Counter(answers).get) if answers else None


def fails_without_answers(answers):
    return Counter(answer for answer in answers if answer is not None).most_common(1)[0][0]


def all_counts(answers):
    return Counter(answer for answer in answers if answer is not None)


# ---------------------------------------------------------------- beyond.interval


def my_interval(right, n):
    import math

    p, z = right / n, 1.96
    shrink = 1 + z * z / n
    middle = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def wald(right, n):
    p = right / n
    half = 1.96 * math.sqrt(p * (1 - p) / n)
    return p - half, p + half


def one_standard_error(right, n):
    p = right / n
    half = math.sqrt(p * (1 - p) / n)
    return p - half, p + half


def middle_alone(right, n):
    return right / n


# ---------------------------------------------------------------- beyond.distill


def my_distill(student, teacher, tau):
    log_p, log_q = (teacher / tau).log_softmax(-1), (student / tau).log_softmax(-1)
    return tau**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def the_other_way_round(student, teacher, tau):
    return my_distill(teacher, student, tau)


def without_tau_squared(student, teacher, tau):
    return my_distill(student, teacher, tau) / tau**2


def sums_over_rows(student, teacher, tau):
    return my_distill(student, teacher, tau) * len(student)


def cross_entropy_alone(student, teacher, tau):
    return -(tau**2) * ((teacher / tau).softmax(-1) * (student / tau).log_softmax(-1)).sum(-1).mean()


def log_of_softmax(student, teacher, tau):
    p, q = (teacher / tau).softmax(-1), (student / tau).softmax(-1)
    return tau**2 * (p * (torch.log(p) - torch.log(q))).sum(-1).mean()


RIGHT = {
    "beyond.vote": my_vote,
    "beyond.interval": my_interval,
    "beyond.distill": my_distill,
}

WRONG = {
    "beyond.vote": [
        (the_first, "yours chose"),
        (ties_to_the_smallest, "yours chose"),
        (silence_votes, "yours chose"),
        (fails_without_answers, "IndexError"),
        (all_counts, "expected one answer"),
    ],
    "beyond.interval": [
        (wald, "yours gave"),
        (one_standard_error, "yours gave"),
        (middle_alone, "expected two numbers"),
    ],
    "beyond.distill": [
        (the_other_way_round, "yours gave"),
        (without_tau_squared, "yours gave"),
        (sums_over_rows, "yours gave"),
        (cross_entropy_alone, "yours gave"),
        (log_of_softmax, "nan"),
    ],
}
