"""The town says what its design promises, and everything that it says is true in the town."""

import ast
import math
import re
from collections import Counter
from random import Random

import pytest

from lmlab.data.town import FAMILIES, Town
from lmlab.data.town.nodes import Alt, Draw, Fn, Lit, Ref, Say, Variables, split_words
from lmlab.data.town.reasoning import TABLE_SIZES
from lmlab.data.town.tables import (
    BANNED,
    HARMLESS,
    HELD_OUT_BANNED,
    HELD_OUT_PEOPLE,
    PAST,
    PEOPLE,
    QUILLISH,
    THINGS,
)  # fmt: skip
from tests.data.chi_squared import p_value


@pytest.fixture(scope="module")
def town() -> Town:
    return Town()


def documents(family: str, n: int = 300, seed: int = 11) -> list[str]:
    return Town(families=[family]).sample(n, seed)


def test_every_terminal_is_one_pre_token_whatever_stands_beside_it(town):
    """What the nodes emit, cut one by one, is what the split makes of the whole document."""
    rng = Random(1)
    seen = set()
    for _ in range(5_000):
        out: list[str] = []
        town.grammar.rules["document"].sample(rng.random, Variables(), out)
        words = [word for chunk in out for word in split_words(chunk)]
        assert tuple(words) == split_words("".join(out))
        seen.update(words)
    assert seen <= town.vocabulary
    assert len(town.vocabulary - seen) < 40  # and nearly all declared words do occur
    assert all(split_words(word) == (word,) for word in town.vocabulary)


def longest(node, grammar) -> int:
    """The most words that a node can say."""
    if isinstance(node, Alt):
        return max(longest(child, grammar) for child in node.children)
    if isinstance(node, Ref):
        return longest(grammar.rules[node.name], grammar)
    if isinstance(node, Fn):
        return max(len(split_words(text)) for text in node.vocabulary)
    if isinstance(node, Lit):
        return len(split_words(node.text(Variables())))
    return 1 if isinstance(node, Say) else sum(longest(child, grammar) for child in node.children)


def test_no_document_is_longer_than_200_tokens_even_if_a_few_words_are_two(town):
    values = [value for node in town.grammar.nodes() if isinstance(node, Draw) for value in node.values]
    said = {value for value in values if isinstance(value, str)}
    more_than_one_word = max(len(split_words(value)) for value in said)
    assert more_than_one_word <= 3  # "blamed the weather"
    assert longest(town.grammar.rules["document"], town.grammar) + more_than_one_word < 130


def test_families_have_their_shares_of_the_words(town):
    assert math.isclose(sum(f.share for f in FAMILIES.values()), 1.0)
    found: Counter[str] = Counter()
    for name, p in town.probabilities.items():
        words = [len(split_words(d)) + 1 for d in documents(name, 600)]
        found[name] = p * sum(words) / len(words)
    total = sum(found.values())
    for name, family in FAMILIES.items():
        assert abs(found[name] / total - family.share) < 0.05 * family.share, name
    assert FAMILIES["pairs"].share > 0.1  # enough for a model to copy from context


@pytest.mark.parametrize("the", ["the", "The"])
def test_the_lectures_sentence(the):
    worried, hunting = (Town(dialect).next_words(f"{the} stock market crashed and investors")
                        for dialect in ("worried", "bargain-hunting"))  # fmt: skip
    assert worried == pytest.approx({" panicked": 0.6, " celebrated": 0.2, " sold": 0.15, " went": 0.05})
    assert hunting == pytest.approx({" panicked": 0.2, " celebrated": 0.6, " sold": 0.15, " went": 0.05})
    assert next(iter(Town().next_words(f"{the} stock market soared and investors"))) == " celebrated"


def test_probabilities_of_the_next_word_sum_to_one_along_documents(town):
    for document in town.sample(40, 2):
        live = town.live()
        for word in split_words(document):
            assert math.isclose(sum(live.words().values()), 1.0, rel_tol=1e-9)
            live = live.after(word)


def test_sampled_documents_of_a_prefix_meet_the_exact_distribution(town):
    drawn = Counter()
    for document in Town(families=["news"]).sample(8_000, 8):
        if match := re.match(r"[Tt]he \w+ market (?:crashed|slumped|fell)(?: on \w+)? and investors( \w+)", document):
            drawn[match[1]] += 1
    exact = town.next_words("the wool market fell and investors")
    n = sum(drawn.values())
    assert p_value([drawn[w] for w in exact], [p * n for p in exact.values()]) > 0.001


def n_pairs(document: str) -> int:
    """How many lines come before the first that repeats a key."""
    keys = [line.split(" ")[0] for line in document.split("\n")]
    return next(i for i in range(1, len(keys)) if keys[i] in keys[:i])


def test_pairs_have_the_probability_of_the_closed_form():
    n = len(QUILLISH)
    only = Town(families=["pairs"])
    whole = Town()
    for document in documents("pairs", 12):
        size = n_pairs(document)
        drawn = 2 * sum(math.log(n - i) for i in range(size))
        exact = math.log(TABLE_SIZES[size]) - drawn - (20 - size) * math.log(size)
        assert math.isclose(only.log_prob(document), exact, rel_tol=1e-12)
        assert math.isclose(whole.log_prob(document), exact + math.log(whole.probabilities["pairs"]), rel_tol=1e-12)


def test_in_the_pairs_every_question_was_answered_above():
    for document in documents("pairs"):
        lines = [line.split(" ") for line in document.split("\n")]
        size = n_pairs(document)
        assert len(lines) == 20
        table = dict(lines[:size])
        assert len(table) == len(set(table.values())) == size
        assert all(table[key] == value for key, value in lines[size:])


def test_sums_are_right():
    for document in documents("arithmetic") + documents("question_list") + documents("question_answer"):
        for left, right in re.findall(r"^(\d+ [-+*] \d+) = (\d+)\.$", document, re.M):
            assert eval(left) == int(right)
        names = {"plus": "+", "minus": "-", "times": "*"}
        for a, op, b, right in re.findall(r"What is (\d+) (\w+) (\d+)\?\nIt is (\d+)\.", document):
            assert eval(f"{a} {names[op]} {b}") == int(right)
    assert all(re.fullmatch(r"(\d+ [-+*] \d+ = \d+\.\n?)+", document) for document in documents("arithmetic"))


def test_facts_agree_in_all_families():
    by_name = {person.name: person for person in PEOPLE}
    n = 0
    for family in ("facts", "question_answer", "role"):
        for document in documents(family):
            for name, job in re.findall(r"(\w+) is a (\w+)", document):
                assert name not in by_name or by_name[name].job == job
            for name, street in re.findall(r"(\w+) (?:is a \w+ and )?lives on (\w+) Lane", document):
                assert by_name[name].street == street
                n += 1
            for name, food in re.findall(r"([A-Z]\w+) eats (\w+)", document):
                assert by_name[name].food == food
            for name, pet in re.findall(r"([A-Z]\w+) (?:the \w+ )?keeps a (\w+)", document):
                assert by_name[name].pet == pet
    assert n > 100


def test_the_people_are_48_and_no_two_are_the_same():
    assert len(PEOPLE) == len({p.name for p in PEOPLE}) == 48
    assert len({(p.job, p.street, p.pet, p.food) for p in PEOPLE}) == 48
    for kind in ("job", "street", "pet", "food"):
        assert set(Counter(getattr(p, kind) for p in PEOPLE).values()) == {4}, kind


def test_a_third_of_the_people_is_never_asked_about():
    held = {person.name for person in HELD_OUT_PEOPLE}
    assert len(held) == 16
    text = " ".join(documents("question_answer", 1500) + documents("question_list", 1500))
    assert not held & set(re.findall(r"\w+", text))
    assert held <= set(re.findall(r"\w+", " ".join(documents("facts", 1500))))


def test_things_are_twelve_of_each_kind_and_known_in_every_register():
    assert len(BANNED) >= 12
    assert len(HARMLESS) >= 12
    assert set(HELD_OUT_BANNED) < set(BANNED)
    assert all(thing.first != thing.second for thing in THINGS)
    by_name = {thing.name: thing for thing in THINGS}
    registers: dict[str, set[str]] = {}
    for document in documents("how_to", 3000):
        question, answer = document.split("\n")[:2]
        (name,) = set(re.findall(r"\w+", question)) & set(by_name)
        registers.setdefault(name, set()).add(question.replace(name, "X"))
        thing = by_name[name]
        assert re.search(rf"{thing.first} and {thing.second}\b", answer)
        assert re.search(rf"\b({thing.verb}|{PAST[thing.verb]})\.", answer)
    assert set(registers) == set(by_name)
    assert all(len(forms) == 6 for forms in registers.values())


def test_puzzles_have_the_one_answer_that_fits():
    names = [person.name for person in PEOPLE]
    jobs = sorted({person.job for person in PEOPLE})
    n = 0
    for document in documents("logic"):
        if document.startswith(("All", "No")):
            x, y = re.findall(r"(\w+)s", document)[:2]
            end = "is not a" if document.startswith("No") else "is a"
            assert document.endswith(f"{end} {y}.")
            assert f"is a {x}." in document
            continue
        people = [w for w in re.findall(r"\w+", document.split(" are ")[0]) if w in names]
        works = [w for w in re.findall(r"\w+", document.split(".")[0]) if w in jobs]
        from itertools import permutations

        fitting = []
        for order in permutations(works):
            world = dict(zip(people, order, strict=True))
            yes = all(world[a] == j for a, j in re.findall(r"(\w+) is the (\w+)\.", document))
            no = all(world[a] != j for a, j in re.findall(r"(\w+) is not the (\w+)\.", document))
            if yes and no:
                fitting.append(world)
        job, answer = re.search(r"So the (\w+) is (\w+)\.", document).groups()
        assert {next(p for p in people if world[p] == job) for world in fitting} == {answer}
        n += 1
    assert n > 100


def test_code_is_python_and_the_dictionary_is_one():
    for document in set(documents("code", 1500)):
        ast.parse(document)
    for document in documents("translation"):
        for word, meaning in re.findall(
            r"(?:In Quillish, |word for |We say )(\w+) (?:is|and they say) (\w+)", document
        ):
            assert QUILLISH[word] == meaning


def test_a_question_is_followed_by_another_about_as_often_as_by_an_answer():
    following = Town().next_words("Explain the moon to a six-year-old.\n")
    assert 0.5 < 1 - following["The"] < 0.75


def test_samples_are_repeatable_and_grow_at_the_end(town):
    assert town.sample(50, 4) == Town().sample(100, 4)[:50] != town.sample(50, 5)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="bargain-hunting"):
        Town("cheerful")
    with pytest.raises(ValueError, match=r"'gossip'.*arithmetic"):
        Town(families=["news", "gossip"])
    with pytest.raises(ValueError):
        Town(families=[])


def test_what_the_town_never_says_has_no_probability(town):
    assert town.log_prob("the stock market crashed and investors golfing.") == -math.inf
    assert town.log_prob("") == -math.inf
    assert town.log_prob("the stock market crashed") == -math.inf  # not a whole document
    assert town.log_prob("恐慌") == -math.inf


@pytest.mark.slow
def test_a_vocabulary_of_2048_holds_nearly_every_word_as_one_token():
    from lmlab.data.corpus import corpus
    from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe

    text = corpus("town", documents=20_000, seed=0)
    counts = Counter(word for document in text.documents for word in split_words(document))
    for specials in (RESERVED_SPECIALS, ()):
        tok, _ = train_bpe(text.text, vocab_size=2048, specials=specials)
        assert tok.vocab_size == 2048  # there are merges enough, and hardly one too many
        cut = [word for word in Town().vocabulary if len(tok.encode(word)) > 1]
        assert len(cut) <= 20
        assert sum(counts[word] for word in cut) < 0.001 * counts.total()
        assert max(len(tok.encode(document)) for document in text.documents) + 1 <= 200
