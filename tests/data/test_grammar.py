"""The grammar engine: what is drawn meets what is computed, and a student's mistakes are named."""

import math
from collections import Counter
from random import Random

import pytest

from lmlab.data.town import END, Grammar, GrammarError, alt, bind, lit, maybe, pick, ref, seq
from lmlab.data.town.nodes import split_words
from tests.data.chi_squared import p_value
from tests.data.small_grammar import every_document, small_grammar


def exact(grammar: Grammar, document: str) -> float:
    live, p = grammar.live(), 1.0
    for word in (*split_words(document), END):
        p *= live.words().get(word, 0.0)
        if p == 0.0:
            return 0.0
        live = live.after(word)
    return p


def test_the_exact_probability_of_every_document_is_that_of_plain_enumeration():
    grammar, documents = small_grammar(), every_document()
    assert math.isclose(sum(documents.values()), 1.0)
    for document, p in documents.items():
        assert math.isclose(exact(grammar, document), p, rel_tol=1e-12), document
    assert exact(grammar, "the cat is bigger\nbigger.") == 0.0


def test_sampled_frequencies_meet_the_exact_probabilities():
    rng, documents = Random(3), every_document()
    grammar = small_grammar()
    drawn = Counter(grammar.sample(rng) for _ in range(8_000))
    assert set(drawn) <= set(documents)
    expected = [p * 8_000 for p in documents.values()]
    assert p_value([drawn[d] for d in documents], expected) > 0.001


def test_a_recursive_rule_has_the_geometric_distribution_of_its_depth():
    grammar = Grammar(
        {"document": seq("go", ref("more"), "."), "more": alt(seq(" on", ref("more")), "", weights=(2, 3))}
    )
    for depth in range(6):
        assert math.isclose(exact(grammar, "go" + " on" * depth + "."), 0.4**depth * 0.6)
    lengths = Counter(grammar.sample(Random(seed)).count(" on") for seed in range(3000))
    assert abs(lengths[0] / 3000 - 0.6) < 0.03


def test_derivations_that_say_the_same_merge():
    grammar = Grammar({"document": seq(alt("a", "a", "a"), bind("x", (1, 1.0, 2)), " b")})
    live = grammar.live().after("a")
    assert live.words() == {" b": pytest.approx(1.0)}
    assert grammar.live().after("a").after(" b").n_states() <= 2


def test_braces_are_text_in_lit_alone():
    grammar = Grammar({"document": lit("a {b} c")})
    assert grammar.sample(Random(0)) == "a {b} c"


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ({"document": "hello {nobody}"}, ["'document'", "nobody"]),
        ({"document": ref("missing")}, ["'document'", "'missing'"]),
        ({"document": seq("a", ref("loop")), "loop": seq(" b", ref("loop"))}, ["'document'", "never end"]),
        ({"document": alt(seq(ref("document"), "a"), "b")}, ["'document'", "before it has said a word"]),
        ({"document": seq(ref("x"), "a"), "x": alt(seq(ref("y"), "b"), "c"), "y": maybe(0.5, ref("x"))}, ["'x'"]),
        ({"start": "a"}, ["'document'", "start"]),
    ],
)
def test_a_grammar_that_cannot_work_is_refused_and_the_rule_named(rules, names):
    with pytest.raises(GrammarError) as refused:
        Grammar(rules)
    for name in names:
        assert name in str(refused.value)


def test_zero_weights_are_refused():
    for make in (
        lambda: alt("a", "b", weights=(0, 0)),
        lambda: bind("x", {"a": 0.0}),
        lambda: bind("x", ()),
        lambda: alt("a", "b", weights=(1, -1)),
        lambda: alt("a", "b", weights=(1, float("nan"))),
        lambda: alt("a", "b", weights=(1,)),
    ):
        with pytest.raises(GrammarError):
            make()


def test_a_variable_used_before_it_is_drawn_is_named_with_its_rule():
    grammar = Grammar({"document": seq(ref("late"), bind("x", ("a",))), "late": "{x} it is"})
    for use in (lambda: grammar.sample(Random(0)), lambda: grammar.live().words()):
        with pytest.raises(GrammarError, match="'x'") as refused:
            use()
        assert "'late'" in str(refused.value)
    with pytest.raises(GrammarError, match="no row"):
        Grammar({"document": seq(bind("a", (1, 2)), pick("b", "a", {1: ("x",)}), "{b}")}).live().words()


def test_a_rule_that_grows_for_ever_is_stopped():
    grammar = Grammar({"document": alt(seq("a", ref("document"), ref("document")), "b", weights=(0.999, 0.001))})
    with pytest.raises(GrammarError, match="'document'"):
        [grammar.sample(Random(seed)) for seed in range(50)]
