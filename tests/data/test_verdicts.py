"""Vocabulary, grammar or plausibility: what stands against a word."""

import pytest

from lmlab.data.town import Town

PROMPT = "The stock market crashed and investors"


@pytest.fixture(scope="module")
def town() -> Town:
    return Town()


@pytest.mark.parametrize("continuation", [" panicked", "panicked"])
def test_the_likely_word(town, continuation):
    verdict = town.judge(PROMPT, continuation)
    assert (verdict.vocabulary, verdict.grammar) == (True, True)
    assert verdict.probability == pytest.approx(0.6)
    assert verdict.expected is None


def test_the_possible_word_and_the_unlikely_one(town):
    assert town.judge(PROMPT, " celebrated").probability == pytest.approx(0.2)
    assert town.judge(PROMPT, " went golfing").probability == pytest.approx(0.05)


def test_the_word_that_the_grammar_forbids_there(town):
    verdict = town.judge(PROMPT, " golfing")
    assert (verdict.vocabulary, verdict.grammar, verdict.probability) == (True, False, 0.0)
    assert verdict.expected.startswith("panicked (60%), celebrated (20%)")
    late = town.judge(PROMPT, " panicked because the wool")
    assert late.vocabulary
    assert not late.grammar
    assert "'wool'" in late.reason
    assert "stock" in late.expected


@pytest.mark.parametrize("word", [" 恐慌", " banana", " <img src=x>"])
def test_the_word_of_another_language(town, word):
    verdict = town.judge(PROMPT, word)
    assert (verdict.vocabulary, verdict.grammar) == (False, False)
    assert "not a word" in verdict.reason


def test_a_prompt_that_the_town_never_says_gets_no_opinion(town):
    verdict = town.judge("Once upon a midnight dreary", " panicked")
    assert verdict.vocabulary
    assert not verdict.grammar
    assert "never says this prompt" in verdict.reason


def test_where_a_text_leaves_the_town(town):
    assert town.can_say("the stock mar")
    assert town.can_say("")
    assert town.can_say(PROMPT + " ")
    assert town.first_impossible(PROMPT) is None
    assert town.first_impossible("the stock market crushed and investors") == 3
    assert town.first_impossible("恐慌") == 0


def test_the_rest_of_an_unfinished_word(town):
    assert town.next_words("the stock market cra") == pytest.approx({"shed": 1.0})
    assert town.next_words(PROMPT + " ")["panicked"] == pytest.approx(0.6)
    assert town.next_words("the stock market crushed") == {}
    assert town.next_words("1 + 1 = 2.\n2")["8"] > 0  # 2 may end there, or become 28
    assert sum(town.next_words("1 + 1 = 2.\n2").values()) == pytest.approx(1.0)
