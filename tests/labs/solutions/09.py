"""Lab 09: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math

# ---------------------------------------------------------------- scaling.loss_at


def my_loss_at(flops, n_params, E, A, B, alpha, beta):
    n_tokens = flops / (6 * n_params)
    return E + A / n_params**alpha + B / n_tokens**beta


def forgets_the_six(flops, n_params, E, A, B, alpha, beta):
    return E + A / n_params**alpha + B / (flops / n_params) ** beta


def swaps_the_exponents(flops, n_params, E, A, B, alpha, beta):
    return E + A / n_params**beta + B / (flops / (6 * n_params)) ** alpha


def reads_the_budget_as_tokens(flops, n_params, E, A, B, alpha, beta):
    return E + A / n_params**alpha + B / flops**beta


def without_a_floor(flops, n_params, E, A, B, alpha, beta):
    return my_loss_at(flops, n_params, 0, A, B, alpha, beta)


def right_for_hoffmann_alone(flops, n_params, E, A, B, alpha, beta):
    return 1.69 + 406.4 / n_params**0.34 + 410.7 / (flops / (6 * n_params)) ** 0.28


# ---------------------------------------------------------------- scaling.best_size


def my_best_size(flops, E, A, B, alpha, beta):
    return (alpha * A / (beta * B) * (flops / 6) ** beta) ** (1 / (alpha + beta))


def stops_too_early(flops, E, A, B, alpha, beta):
    sizes = [1e3 * 1.01**k for k in range(1000)]
    return min(sizes, key=lambda n: my_loss_at(flops, n, E, A, B, alpha, beta))


def steps_too_far(flops, E, A, B, alpha, beta):
    return min((10.0**k for k in range(3, 15)), key=lambda n: my_loss_at(flops, n, E, A, B, alpha, beta))


def terms_are_equal(flops, E, A, B, alpha, beta):
    return (A / B * (flops / 6) ** beta) ** (1 / (alpha + beta))


def knows_one_budget(flops, E, A, B, alpha, beta):
    return 1.824e9


def trusts_hoffmann(flops, E, A, B, alpha, beta):
    return my_best_size(flops, 1.69, 406.4, 410.7, 0.34, 0.28)


# ---------------------------------------------------------------- scaling.predict


def my_predict(xs, ys, floor, x):
    u, v = [math.log(a) for a in xs], [math.log(b - floor) for b in ys]
    mean_u, mean_v = sum(u) / len(u), sum(v) / len(v)
    across = sum((a - mean_u) * (b - mean_v) for a, b in zip(u, v, strict=True))
    slope = across / sum((a - mean_u) ** 2 for a in u)
    return floor + math.exp(mean_v + slope * (math.log(x) - mean_u))


def through_the_ends(xs, ys, floor, x):
    slope = math.log((ys[-1] - floor) / (ys[0] - floor)) / math.log(xs[-1] / xs[0])
    return floor + (ys[0] - floor) * (x / xs[0]) ** slope


def leaves_the_floor_out(xs, ys, floor, x):
    return my_predict(xs, ys, 0, x)


def does_not_come_back(xs, ys, floor, x):
    return my_predict(xs, ys, floor, x) - floor


def a_straight_line(xs, ys, floor, x):
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    across = sum((a - mean_x) * (b - mean_y) for a, b in zip(xs, ys, strict=True))
    return mean_y + across / sum((a - mean_x) ** 2 for a in xs) * (x - mean_x)


RIGHT = {
    "scaling.loss_at": my_loss_at,
    "scaling.best_size": my_best_size,
    "scaling.predict": my_predict,
}

WRONG = {
    "scaling.loss_at": [
        (forgets_the_six, "Hoffmann's constants: for C ="),
        (swaps_the_exponents, "Hoffmann's constants: for C ="),
        (reads_the_budget_as_tokens, "Hoffmann's constants: for C ="),
        (without_a_floor, "Hoffmann's constants: for C ="),
        (right_for_hoffmann_alone, "any constants: for C ="),
    ],
    "scaling.best_size": [
        (stops_too_early, "1e21 FLOPs, Hoffmann's constants: for C = 1e+21"),
        (steps_too_far, "at twice that size"),
        (terms_are_equal, "1e21 FLOPs, Hoffmann's constants: for C = 1e+21"),
        (knows_one_budget, "other budgets: for C ="),
        (trusts_hoffmann, "other constants: for C ="),
    ],
    "scaling.predict": [
        (through_the_ends, "points beside a law: through"),
        (leaves_the_floor_out, "points on a law: through"),
        (does_not_come_back, "points on a law: through"),
        (a_straight_line, "points on a law: through"),
    ],
}
