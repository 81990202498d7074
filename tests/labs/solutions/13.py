"""Lab 13: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

import math

# ---------------------------------------------------------------- safety.two_errors


def my_errors(answers, banned):
    no = [answer.startswith("I am sorry") for answer in answers]
    told = sum(b and not r for r, b in zip(no, banned, strict=True)) / sum(banned)
    over = sum(r and not b for r, b in zip(no, banned, strict=True)) / (len(banned) - sum(banned))
    return told, over


def shares_of_everything(answers, banned):
    no = [answer.startswith("I am sorry") for answer in answers]
    told = sum(b and not r for r, b in zip(no, banned, strict=True))
    over = sum(r and not b for r, b in zip(no, banned, strict=True))
    return told / len(answers), over / len(answers)


def refused_in_the_place_of_answered(answers, banned):
    told, over = my_errors(answers, banned)
    return 1 - told, over


def one_error(answers, banned):
    return my_errors(answers, banned)[0]


# ---------------------------------------------------------------- safety.filter


def my_filter(prompt, banned):
    import base64
    import contextlib
    import re

    readings = [prompt, prompt.translate(str.maketrans("431057", "aeiost"))]
    with contextlib.suppress(ValueError):
        readings.append(base64.b64decode(prompt, validate=True).decode("utf-8"))
    words = {word for reading in readings for word in re.findall("[a-z]+", reading.lower())}
    return any(word in words for word in banned)


def reads_it_once(prompt, banned):
    return any(word in prompt.lower() for word in banned)


def reads_digits_alone(prompt, banned):
    plain = prompt.translate(str.maketrans("431057", "aeiost")).lower()
    return any(word in plain for word in banned)


def trusts_that_it_is_base64(prompt, banned):
    import base64

    return my_filter(prompt, banned) or my_filter(base64.b64decode(prompt, validate=True).decode("utf-8"), banned)


def parts_of_words(prompt, banned):
    return my_filter(prompt, banned) or any(word in prompt.lower() for word in banned)


def stops_whatever_has_digits(prompt, banned):
    return my_filter(prompt, banned) or any(c.isdigit() for c in prompt)


# ---------------------------------------------------------------- safety.layers


def my_layers(misses, alarms):
    import math

    return math.prod(misses), 1 - math.prod(1 - a for a in alarms)


def adds_the_alarms(misses, alarms):
    return math.prod(misses), sum(alarms)


def the_best_layer(misses, alarms):
    return min(misses, default=1.0), 1 - math.prod(1 - a for a in alarms)


def harmless_that_pass(misses, alarms):
    return math.prod(misses), math.prod(1 - a for a in alarms)


RIGHT = {
    "safety.two_errors": my_errors,
    "safety.filter": my_filter,
    "safety.layers": my_layers,
}

WRONG = {
    "safety.two_errors": [
        (shares_of_everything, "yours gave"),
        (refused_in_the_place_of_answered, "yours gave"),
        (one_error, "expected two numbers"),
    ],
    "safety.filter": [
        (reads_it_once, "yours let it pass"),
        (reads_digits_alone, "yours let it pass"),
        (trusts_that_it_is_base64, "Error"),
        (parts_of_words, "a false alarm"),
        (stops_whatever_has_digits, "a false alarm"),
    ],
    "safety.layers": [
        (adds_the_alarms, "yours gave"),
        (the_best_layer, "yours gave"),
        (harmless_that_pass, "yours gave"),
    ],
}
