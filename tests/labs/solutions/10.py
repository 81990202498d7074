"""Lab 10: for each exercise one right answer, and wrong ones with what the feedback must say about them."""

# ---------------------------------------------------------------- data.jaccard


def my_jaccard(a, b, n):
    def cut(text):
        words = text.split()
        return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}

    return len(cut(a) & cut(b)) / len(cut(a) | cut(b))


def runs(text, n):
    words = text.split()
    return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}


def words_alone(a, b, n):
    return my_jaccard(a, b, 1)


def over_the_first(a, b, n):
    one, two = runs(a, n), runs(b, n)
    return len(one & two) / len(one)


def forgets_the_last_run(a, b, n):
    def fewer(text):
        words = text.split()
        return {" ".join(words[i : i + n]) for i in range(len(words) - n)}

    return len(fewer(a) & fewer(b)) / len(fewer(a) | fewer(b))


def counts_what_is_shared(a, b, n):
    return len(runs(a, n) & runs(b, n))


def gives_the_sets(a, b, n):
    return runs(a, n) & runs(b, n)


# ---------------------------------------------------------------- data.precision_recall


def my_precision_recall(kept, good):
    both = len(set(kept) & set(good))
    return both / len(kept), both / len(good)


def the_other_way_round(kept, good):
    precision, recall = my_precision_recall(kept, good)
    return recall, precision


def precision_twice(kept, good):
    precision, _ = my_precision_recall(kept, good)
    return precision, precision


def accuracy(kept, good):
    return my_precision_recall(kept, good)[0]


# ---------------------------------------------------------------- data.kappa


def my_kappa(mine, other):
    n = len(mine)
    agreement = sum(a == b for a, b in zip(mine, other, strict=True)) / n
    p, q = sum(mine) / n, sum(other) / n
    chance = p * q + (1 - p) * (1 - q)
    return (agreement - chance) / (1 - chance)


def agreement_alone(mine, other):
    return sum(a == b for a, b in zip(mine, other, strict=True)) / len(mine)


def fair_coins(mine, other):
    return 2 * agreement_alone(mine, other) - 1


def one_raters_share(mine, other):
    p = sum(mine) / len(mine)
    chance = p * p + (1 - p) * (1 - p)
    return (agreement_alone(mine, other) - chance) / (1 - chance) if chance < 1 else 0.0


def always_one(mine, other):
    return 1.0


RIGHT = {
    "data.jaccard": my_jaccard,
    "data.precision_recall": my_precision_recall,
    "data.kappa": my_kappa,
}

WRONG = {
    "data.jaccard": [
        (words_alone, "yours gave"),
        (over_the_first, "yours gave"),
        (forgets_the_last_run, "yours gave"),
        (counts_what_is_shared, "yours gave"),
        (gives_the_sets, "expected a number, got a set"),
    ],
    "data.precision_recall": [
        (the_other_way_round, "yours gave precision"),
        (precision_twice, "yours gave recall"),
        (accuracy, "expected two numbers, precision and recall"),
    ],
    "data.kappa": [
        (agreement_alone, "yours gave"),
        (fair_coins, "yours gave"),
        (one_raters_share, "yours gave"),
        (always_one, "yours gave"),
    ],
}
