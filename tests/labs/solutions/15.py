"""Lab 15: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math

# ---------------------------------------------------------------- systems.gpus


def my_gpus(n_params, kept_bytes, gpu_bytes):
    import math

    room = gpu_bytes - kept_bytes
    return math.ceil(16 * n_params / room) if room > 0 else math.inf


def forgets_to_round_up(n_params, kept_bytes, gpu_bytes):
    return 16 * n_params / (gpu_bytes - kept_bytes) if gpu_bytes > kept_bytes else math.inf


def shares_the_activations(n_params, kept_bytes, gpu_bytes):
    return math.ceil((16 * n_params + kept_bytes) / gpu_bytes)


def weights_alone(n_params, kept_bytes, gpu_bytes):
    return math.ceil(2 * n_params / (gpu_bytes - kept_bytes)) if gpu_bytes > kept_bytes else math.inf


def never_looks_for_room(n_params, kept_bytes, gpu_bytes):
    return math.ceil(16 * n_params / abs(gpu_bytes - kept_bytes or 1))


# ---------------------------------------------------------------- systems.micro_batches


def my_micro_batches(p, most_idle):
    m = 1
    while p - 1 > most_idle * (m + p - 1):
        m += 1
    return m


def takes_the_bubble_for_p_over_m(p, most_idle):
    return max(1, math.ceil((p - 1) / most_idle))


def not_quite_enough(p, most_idle):
    return max(1, math.floor((p - 1) * (1 - most_idle) / most_idle))


def strictly_less(p, most_idle):
    m = 1
    while p - 1 >= most_idle * (m + p - 1):
        m += 1
    return m


def none_at_all(p, most_idle):
    return math.ceil((p - 1) * (1 - most_idle) / most_idle)


# ---------------------------------------------------------------- systems.merge


def my_merge(a, b):
    import math

    m = max(a[0], b[0])
    first, second = a[1] * math.exp(a[0] - m), b[1] * math.exp(b[0] - m)
    total = first + second
    return m, total, (first * a[2] + second * b[2]) / total


def without_the_rescale(a, b):
    total = a[1] + b[1]
    return max(a[0], b[0]), total, (a[1] * a[2] + b[1] * b[2]) / total


def mean_of_the_halves(a, b):
    m, total, _ = my_merge(a, b)
    return m, total, (a[2] + b[2]) / 2


def exponentials_of_the_scores(a, b):
    import torch

    first, second = (s[1] * torch.tensor(s[0], dtype=torch.float64).exp() for s in (a, b))
    m = max(a[0], b[0])
    return (
        m,
        (first + second) / torch.tensor(m, dtype=torch.float64).exp(),
        (first * a[2] + second * b[2]) / (first + second),
    )


RIGHT = {
    "systems.gpus": my_gpus,
    "systems.micro_batches": my_micro_batches,
    "systems.merge": my_merge,
}

WRONG = {
    "systems.gpus": [
        (forgets_to_round_up, "yours gave"),
        (shares_the_activations, "yours gave"),
        (weights_alone, "yours gave"),
        (never_looks_for_room, "yours gave"),
    ],
    "systems.micro_batches": [
        (takes_the_bubble_for_p_over_m, "yours gave"),
        (not_quite_enough, "yours gave"),
        (strictly_less, "yours gave"),
        (none_at_all, "yours gave 0"),
    ],
    "systems.merge": [
        (without_the_rescale, "yours gave l"),
        (mean_of_the_halves, "yours gave o"),
        (exponentials_of_the_scores, "huge scores: expected"),
    ],
}
