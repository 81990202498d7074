"""Lab 01: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math

# ---------------------------------------------------------------- scale.file_bytes


def my_file_bytes(shapes, bits):
    return sum(math.prod(shape) for shape in shapes) * bits / 8


def adds_within_a_shape(shapes, bits):
    return sum(sum(shape) for shape in shapes) * bits / 8


def multiplies_between_shapes(shapes, bits):
    return math.prod(math.prod(shape) for shape in shapes) * bits / 8


def only_matrices(shapes, bits):
    return sum(shape[0] * shape[1] for shape in shapes) * bits / 8


def always_bytes(shapes, bits):
    return sum(math.prod(shape) for shape in shapes)


def in_bits(shapes, bits):
    return sum(math.prod(shape) for shape in shapes) * bits


def two_bytes_each(shapes, bits):
    return 2 * sum(math.prod(shape) for shape in shapes)


def whole_bytes_each(shapes, bits):
    return sum(math.prod(shape) for shape in shapes) * (bits // 8)


def forgets_scalars(shapes, bits):
    return sum(math.prod(shape) if shape else 0 for shape in shapes) * bits / 8


def eats_its_input(shapes, bits):
    total = 0
    while shapes:
        total += math.prod(shapes.pop())
    return total * bits / 8


# ---------------------------------------------------------------- scale.training_days


def my_training_days(n_params, n_tokens, n_gpus, peak_flops, utilization):
    return 6 * n_params * n_tokens / (n_gpus * peak_flops * utilization) / 86_400


def in_seconds(n_params, n_tokens, n_gpus, peak_flops, utilization):
    return 6 * n_params * n_tokens / (n_gpus * peak_flops * utilization)


def forward_only(n_params, n_tokens, n_gpus, peak_flops, utilization):
    return 2 * n_params * n_tokens / (n_gpus * peak_flops * utilization) / 86_400


def at_the_peak(n_params, n_tokens, n_gpus, peak_flops, utilization):
    return 6 * n_params * n_tokens / (n_gpus * peak_flops) / 86_400


def divides_by_the_wrong_side(n_params, n_tokens, n_gpus, peak_flops, utilization):
    return 6 * n_params * n_tokens * utilization / (n_gpus * peak_flops) / 86_400


def gpu_days(n_params, n_tokens, n_gpus, peak_flops, utilization):
    return 6 * n_params * n_tokens / (peak_flops * utilization) / 86_400


def more_gpus_take_longer(n_params, n_tokens, n_gpus, peak_flops, utilization):
    return n_gpus * 6 * n_params * n_tokens / (peak_flops * utilization) / 86_400


def the_number_of_the_slide(n_params, n_tokens, n_gpus, peak_flops, utilization):
    return 880_000.0


# ---------------------------------------------------------------- scale.hidden_utilization


def my_hidden_utilization(n_params, n_tokens, gpu_hours, peak_flops):
    return 6 * n_params * n_tokens / (gpu_hours * 3600 * peak_flops)


def hours_as_seconds(n_params, n_tokens, gpu_hours, peak_flops):
    return 6 * n_params * n_tokens / (gpu_hours * peak_flops)


def upside_down(n_params, n_tokens, gpu_hours, peak_flops):
    return gpu_hours * 3600 * peak_flops / (6 * n_params * n_tokens)


def in_percent(n_params, n_tokens, gpu_hours, peak_flops):
    return 100 * my_hidden_utilization(n_params, n_tokens, gpu_hours, peak_flops)


def always_the_dense_h100(n_params, n_tokens, gpu_hours, peak_flops):
    return 6 * n_params * n_tokens / (gpu_hours * 3600 * 989.5e12)


def the_answer_of_the_lab(n_params, n_tokens, gpu_hours, peak_flops):
    return 0.345


def says_it(n_params, n_tokens, gpu_hours, peak_flops):
    return f"{my_hidden_utilization(n_params, n_tokens, gpu_hours, peak_flops):.1%}"


RIGHT = {
    "scale.file_bytes": my_file_bytes,
    "scale.training_days": my_training_days,
    "scale.hidden_utilization": my_hidden_utilization,
}

WRONG = {
    "scale.file_bytes": [
        (adds_within_a_shape, "yours gave"),
        (multiplies_between_shapes, "yours gave"),
        (only_matrices, "yours raised IndexError"),
        (always_bytes, "bits a number; yours gave"),
        (in_bits, "at 8 bits a number; yours gave"),
        (two_bytes_each, "yours gave"),
        (whole_bytes_each, "bits a number; yours gave"),
        (forgets_scalars, "shape () at"),
        (eats_its_input, "yours changed its input `shapes`"),
    ],
    "scale.training_days": [
        (in_seconds, "yours gave"),
        (forward_only, "yours gave"),
        (at_the_peak, "at half of it"),
        (divides_by_the_wrong_side, "at half of it"),
        (gpu_days, "yours gave"),
        (more_gpus_take_longer, "yours gave"),
        (the_number_of_the_slide, "yours gave 8.8e+05"),
    ],
    "scale.hidden_utilization": [
        (hours_as_seconds, "yours gave"),
        (upside_down, "yours gave"),
        (in_percent, "yours gave 34.51"),
        (always_the_dense_h100, "at twice the peak"),
        (the_answer_of_the_lab, "yours gave 0.345"),
        (says_it, "expected a number, got the text"),
    ],
}
