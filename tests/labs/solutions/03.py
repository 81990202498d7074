"""Lab 03: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math
import random

# ---------------------------------------------------------------- sampling.temperature


def my_temperature(probs, temperature):
    if temperature == 0:
        best = max(range(len(probs)), key=lambda i: probs[i])
        return [float(i == best) for i in range(len(probs))]
    powers = [p ** (1 / temperature) for p in probs]
    return [p / sum(powers) for p in powers]


def divides_by_it(probs, temperature):
    return [p / temperature for p in probs]


def divides_and_normalizes(probs, temperature):
    if temperature == 0:
        return my_temperature(probs, 0)
    hot = [p / temperature for p in probs]
    return [p / sum(hot) for p in hot]


def the_wrong_way_round(probs, temperature):
    powers = [p**temperature for p in probs]
    return [p / sum(powers) for p in powers]


def forgets_to_normalize(probs, temperature):
    return [p ** (1 / max(temperature, 1e-3)) for p in probs]


def divides_by_nothing(probs, temperature):
    powers = [p ** (1 / temperature) for p in probs]
    return [p / sum(powers) for p in powers]


def takes_the_log_of_zero(probs, temperature):
    weights = [math.exp(math.log(p) / temperature) for p in probs]
    return [w / sum(weights) for w in weights]


def only_the_likeliest(probs, temperature):
    return [float(p == max(probs)) for p in probs]


# ---------------------------------------------------------------- sampling.top_p


def my_top_p(probs, p):
    kept, mass = [], 0.0
    for i in sorted(range(len(probs)), key=lambda i: -probs[i]):
        if kept and mass >= p - 1e-9:
            break
        kept.append(i)
        mass += probs[i]
    return [q / mass if i in kept else 0.0 for i, q in enumerate(probs)]


def those_above_p(probs, p):
    kept = [q if q >= p else 0.0 for q in probs]
    return [q / sum(kept) for q in kept]


def stops_before_p(probs, p):
    kept, mass = [], 0.0
    for i in sorted(range(len(probs)), key=lambda i: -probs[i]):
        if kept and mass + probs[i] > p + 1e-9:
            break
        kept.append(i)
        mass += probs[i]
    return [q / mass if i in kept else 0.0 for i, q in enumerate(probs)]


def in_order_of_likelihood(probs, p):
    return sorted(my_top_p(probs, p), reverse=True)


def not_divided(probs, p):
    return [q if s > 0 else 0.0 for q, s in zip(probs, my_top_p(probs, p), strict=True)]


def only_the_survivors(probs, p):
    return [q for q in my_top_p(probs, p) if q > 0]


def nobody_survives(probs, p):
    kept, mass = [], 0.0
    for i in sorted(range(len(probs)), key=lambda i: -probs[i]):
        if mass >= p - 1e-9:
            break
        kept.append(i)
        mass += probs[i]
    return [q / mass if i in kept else 0.0 for i, q in enumerate(probs)]


def sorts_its_input(probs, p):
    probs.sort(reverse=True)
    return my_top_p(probs, p)


# ---------------------------------------------------------------- sampling.write


def my_write(next_probs, words, n):
    text = list(words)
    for _ in range(n):
        probs = next_probs(text)
        word = max(probs, key=probs.get)
        if word == "<end>":
            break
        text.append(word)
    return text


def asks_once(next_probs, words, n):
    probs = next_probs(words)
    return [*words, *[max(probs, key=probs.get)] * n]


def asks_about_the_prompt_again(next_probs, words, n):
    text = list(words)
    for _ in range(n):
        probs = next_probs(words)
        text.append(max(probs, key=probs.get))
    return text


def only_what_is_new(next_probs, words, n):
    return my_write(next_probs, words, n)[len(words) :]


def draws_instead(next_probs, words, n):
    text = list(words)
    for _ in range(n):
        probs = next_probs(text)
        text.append(random.choice(list(probs)))
    return text


def takes_the_unlikeliest(next_probs, words, n):
    text = list(words)
    for _ in range(n):
        probs = next_probs(text)
        text.append(min(probs, key=probs.get))
    return text


def writes_the_end(next_probs, words, n):
    text = list(words)
    for _ in range(n):
        probs = next_probs(text)
        text.append(max(probs, key=probs.get))
    return text


def in_place(next_probs, words, n):
    for _ in range(n):
        probs = next_probs(words)
        words.append(max(probs, key=probs.get))
    return words


def as_one_string(next_probs, words, n):
    return " ".join(my_write(next_probs, words, n))


def always_one(next_probs, words, n):
    return my_write(next_probs, words, max(n, 1))


# ---------------------------------------------------------------- sampling.fill_gap


def my_fill_gap(log_joint):
    top = max(log_joint.values())
    weights = {word: math.exp(value - top) for word, value in log_joint.items()}
    return {word: weight / sum(weights.values()) for word, weight in weights.items()}


def underflows(log_joint):
    weights = {word: math.exp(value) for word, value in log_joint.items()}
    return {word: weight / sum(weights.values()) for word, weight in weights.items()}


def shares_of_the_logs(log_joint):
    return {word: value / sum(log_joint.values()) for word, value in log_joint.items()}


def the_joint_itself(log_joint):
    return {word: math.exp(value) for word, value in log_joint.items()}


def the_best_word(log_joint):
    return max(log_joint, key=log_joint.get)


def all_on_the_best(log_joint):
    best = max(log_joint, key=log_joint.get)
    return {word: float(word == best) for word in log_joint}


def in_base_two(log_joint):
    top = max(log_joint.values())
    weights = {word: 2 ** (value - top) for word, value in log_joint.items()}
    return {word: weight / sum(weights.values()) for word, weight in weights.items()}


def shifts_by_the_smallest(log_joint):
    low = min(log_joint.values())
    weights = {word: math.exp(value - low) for word, value in log_joint.items()}
    return {word: weight / sum(weights.values()) for word, weight in weights.items()}


RIGHT = {
    "sampling.temperature": my_temperature,
    "sampling.top_p": my_top_p,
    "sampling.write": my_write,
    "sampling.fill_gap": my_fill_gap,
}

WRONG = {
    "sampling.temperature": [
        (divides_by_it, "at temperature 0.5 yours gave"),
        (divides_and_normalizes, "at temperature 0.5 yours gave"),
        (the_wrong_way_round, "at temperature 0.5 yours gave"),
        (forgets_to_normalize, "at temperature 0.5 yours gave"),
        (divides_by_nothing, "yours raised ZeroDivisionError"),
        (takes_the_log_of_zero, "yours raised ValueError"),
        (only_the_likeliest, "at temperature 1 yours gave"),
    ],
    "sampling.top_p": [
        (those_above_p, "yours gave"),
        (stops_before_p, "yours gave"),
        (in_order_of_likelihood, "every token keeps its place: for"),
        (not_divided, "yours gave"),
        (only_the_survivors, "one for each token, got a list of"),
        (nobody_survives, "yours gave [0"),
        (sorts_its_input, "yours changed its input `probs`"),
    ],
    "sampling.write": [
        (asks_once, "yours wrote"),
        (asks_about_the_prompt_again, "yours wrote"),
        (only_what_is_new, "yours wrote"),
        (draws_instead, "yours wrote"),
        (takes_the_unlikeliest, "yours wrote"),
        (writes_the_end, "yours wrote <end> into the text"),
        (in_place, "yours changed its input `words`"),
        (as_one_string, "expected a list of words, got the text"),
        (always_one, "asked for 0, yours wrote"),
    ],
    "sampling.fill_gap": [
        (underflows, "yours raised ZeroDivisionError"),
        (shares_of_the_logs, "yours gave"),
        (the_joint_itself, "yours gave"),
        (the_best_word, "expected a dictionary with the words"),
        (all_on_the_best, "yours gave"),
        (in_base_two, "yours gave"),
        (shifts_by_the_smallest, "expected a number, got nan"),
    ],
}
