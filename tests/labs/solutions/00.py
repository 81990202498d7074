"""Lab 00: for each exercise one right answer, and wrong ones with what the feedback must say about them."""


def my_likeliest(probs):
    return max(probs, key=probs.get)


RIGHT = {"start_here.likeliest": my_likeliest}


def the_first(probs):
    return next(iter(probs))


def the_last_of_the_alphabet(probs):
    return max(probs)


def the_least_likely(probs):
    return min(probs, key=probs.get)


def the_number_instead(probs):
    return max(probs.values())


def from_zero_up(probs):
    best, word = 0.0, None
    for w, p in probs.items():
        if p > best:
            best, word = p, w
    return word


def above_one_half(probs):
    for word, p in probs.items():
        if p > 0.5:
            return word


def always_panicked(probs):
    return "panicked"


def empties_its_input(probs):
    word = max(probs, key=probs.get)
    probs.clear()
    return word


WRONG = {
    "start_here.likeliest": [
        (the_first, "yours gave"),
        (the_last_of_the_alphabet, "yours gave"),
        (the_least_likely, "yours gave"),
        (the_number_instead, "expected one of the words, got the number"),
        (from_zero_up, "got None (is a `return` missing?)"),
        (above_one_half, "got None"),
        (always_panicked, "expected one of the words, got the text 'panicked'"),
        (empties_its_input, "yours changed its input `probs`"),
    ]
}
