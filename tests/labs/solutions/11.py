"""Lab 11: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math

# ---------------------------------------------------------------- in_context.prompt


def my_prompt(pairs, question):
    return "\n".join([*(f"{source} => {target}" for source, target in pairs), f"{question} =>"])


def ends_in_a_space(pairs, question):
    return my_prompt(pairs, question) + " "


def breaks_the_last_line(pairs, question):
    return my_prompt(pairs, question) + "\n"


def forgets_the_arrow(pairs, question):
    return my_prompt(pairs, question).removesuffix(" =>")


def all_on_one_line(pairs, question):
    return my_prompt(pairs, question).replace("\n", " ")


def turns_the_order(pairs, question):
    return my_prompt(pairs[::-1], question)


def needs_an_example(pairs, question):
    first, *others = pairs
    return my_prompt([first, *others], question)


# ---------------------------------------------------------------- in_context.choice


def my_choice(options):
    return max(options, key=lambda text: sum(options[text]))


def first_token_alone(options):
    return max(options, key=lambda text: options[text][0])


def by_the_mean(options):
    return max(options, key=lambda text: sum(options[text]) / len(options[text]))


def least_likely(options):
    return min(options, key=lambda text: sum(options[text]))


def gives_the_number(options):
    return max(sum(log_probs) for log_probs in options.values())


# ---------------------------------------------------------------- in_context.interval


def my_interval(right, n):
    z, p = 1.96, right / n
    below = 1 + z**2 / n
    middle = (p + z**2 / (2 * n)) / below
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / below
    return middle - half, middle + half


def too_sure(right, n):
    p = right / n
    half = 1.96 * math.sqrt(p * (1 - p) / n)
    return p - half, p + half


def one_deviation(right, n):
    z, p = 1.0, right / n
    below = 1 + z**2 / n
    middle = (p + z**2 / (2 * n)) / below
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / below
    return middle - half, middle + half


def middle_and_half(right, n):
    low, high = my_interval(right, n)
    return (low + high) / 2, (high - low) / 2


def one_number(right, n):
    return right / n


RIGHT = {
    "in_context.prompt": my_prompt,
    "in_context.choice": my_choice,
    "in_context.interval": my_interval,
}

WRONG = {
    "in_context.prompt": [
        (ends_in_a_space, "=> '"),
        (breaks_the_last_line, "=>\\n'"),
        (forgets_the_arrow, "yours gave"),
        (all_on_one_line, "yours gave"),
        (turns_the_order, "yours gave"),
        (needs_an_example, "ValueError"),
    ],
    "in_context.choice": [
        (first_token_alone, "yours chose"),
        (by_the_mean, "yours chose"),
        (least_likely, "yours chose"),
        (gives_the_number, "expected one of the options as a text, got the number"),
    ],
    "in_context.interval": [
        (too_sure, "yours gave"),
        (one_deviation, "yours gave"),
        (middle_and_half, "yours gave"),
        (one_number, "expected two numbers, low and high"),
    ],
}
