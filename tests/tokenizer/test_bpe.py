"""Byte-pair training: the same merges as the textbook's loop, and clear words where there is nothing to learn."""

from __future__ import annotations

import gc
import random
import time

import pytest

from lmlab.tokenizer.bpe import RESERVED_SPECIALS, replay_merges, train_bpe
from lmlab.tokenizer.split import pretokens
from tests.tokenizer.naive import naive_merges
from tests.tokenizer.random_text import mixed_text


def test_the_textbook_example():
    tokenizer, merges = train_bpe("aaabdaaabac", vocab_size=259, specials=())
    assert tokenizer.encode("aaabdaaabac") == [258, 100, 258, 97, 99]
    assert [event.token for event in merges] == [b"aa", b"ab", b"aaab"]
    assert [event.count for event in merges] == [4, 2, 2]
    assert merges.corpus_tokens == [11, 9, 7, 5]


def random_corpus(seed: int) -> list[str]:
    """Few letters, many runs: equal counts and overlapping pairs everywhere."""
    rng = random.Random(seed)
    if seed % 3 == 0:
        return [mixed_text(seed, 25)]
    letters = rng.choice(["ab", "aab c", "aaaaab", "abcd  \n'!1"])
    return ["".join(rng.choices(letters, k=rng.randrange(1, 60))) for _ in range(rng.randrange(1, 6))]


@pytest.mark.parametrize("seed", range(24))
def test_merges_counts_and_race_equal_the_naive_loop(seed):
    documents = random_corpus(seed)
    words = [piece.encode() for document in documents for piece in pretokens(document)]
    merges, moments, races = naive_merges(words, 30)
    tokenizer, log = train_bpe(documents, vocab_size=256 + len(merges), specials=())
    assert [(event.left, event.right) for event in log] == merges
    assert log.corpus_tokens == [sum(map(len, split)) for split in moments]
    for event, counts in zip(log, races, strict=True):
        assert event.count == counts[event.left, event.right]
        rivals = {(pair.left, pair.right): pair.count for pair in event.runners_up}
        assert all(counts[pair] == count for pair, count in rivals.items())
        others = sorted((count for pair, count in counts.items() if pair != (event.left, event.right)), reverse=True)
        assert [pair.count for pair in event.runners_up] == others[:6]
    for document in documents:
        pieces = [piece.encode() for piece in pretokens(document)]
        segments = [token for piece in pieces for token in moments[-1][words.index(piece)]]
        assert [tokenizer.token_bytes(n) for n in tokenizer.encode(document)] == segments


def test_equal_counts_are_decided_by_the_written_rule():
    # Every pair once: "!" comes before the letters in GPT-2's order, a space after all visible bytes.
    _, log = train_bpe("ab !? cd", vocab_size=257, specials=())
    assert (log[0].left, log[0].right) == (b"!", b"?")
    assert [(pair.left, pair.right) for pair in log[0].runners_up][:2] == [(b"a", b"b"), (b"c", b"d")]


def test_ids_are_bytes_then_merges_then_specials():
    tokenizer, log = train_bpe("low lower lowest " * 9, vocab_size=264, specials=("<|endoftext|>", "<|pad|>"))
    assert [tokenizer.token_bytes(n) for n in range(256)] == [bytes([n]) for n in range(256)]
    assert [tokenizer.token_bytes(event.new_id) for event in log] == [event.token for event in log]
    assert tokenizer.specials == {"<|endoftext|>": 262, "<|pad|>": 263}
    assert tokenizer.vocab_size == 264
    assert tokenizer.bos_id == 262


def test_a_vocabulary_for_a_model_reserves_the_specials_and_a_small_one_has_none():
    text = mixed_text(3, 400)
    assert tuple(train_bpe(text, vocab_size=512)[0].specials) == RESERVED_SPECIALS
    assert train_bpe(text, vocab_size=511)[0].specials == {}
    assert train_bpe(text, vocab_size=512, specials=())[0].specials == {}


def test_documents_do_not_reach_into_each_other():
    _, log = train_bpe(["ab", "ab"], vocab_size=257, specials=())
    assert (log[0].token, log[0].count) == (b"ab", 2)
    with pytest.warns(UserWarning, match="only 1 merges"):
        train_bpe(["ab", "ab"], vocab_size=300, specials=())


@pytest.mark.parametrize("nothing", ["", [], [""], iter([])])
def test_training_on_nothing_is_refused(nothing):
    with pytest.raises(ValueError, match="empty"):
        train_bpe(nothing, vocab_size=300)


@pytest.mark.parametrize(
    ("vocab_size", "specials", "says"),
    [
        (255, (), "at least 256"),
        (0, (), "at least 256"),
        (-1, (), "at least 256"),
        (263, RESERVED_SPECIALS, "at least 264"),
        (10**9, (), "more than"),
        (300.0, (), "whole number"),
        (True, (), "whole number"),
        (300, ("<a>", "<a>"), "twice"),
        (300, "<a>", "sequence"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused_with_the_numbers(vocab_size, specials, says):
    with pytest.raises(ValueError, match=says):
        train_bpe("some text", vocab_size=vocab_size, specials=specials)


def test_more_merges_than_exist_stops_and_says_how_many_there_are():
    with pytest.warns(UserWarning, match=r"only 3 merges, so the vocabulary has 260 tokens and not 1000"):
        tokenizer, log = train_bpe("abcd", vocab_size=1000, specials=("<|endoftext|>",))
    assert (len(log), tokenizer.vocab_size, tokenizer.bos_id) == (3, 260, 259)
    assert tokenizer.encode("abcd") == [258]


def test_what_is_no_text_is_named():
    with pytest.raises(ValueError, match="NoneType"):
        train_bpe(["a", None], vocab_size=300)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="given a bytes"):
        train_bpe(b"abc", vocab_size=300)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="neither one of"):
        train_bpe("abc", vocab_size=300, split="(")


def test_a_lone_surrogate_is_learned_as_the_replacement_character():
    with pytest.warns(UserWarning, match="surrogate"):
        tokenizer, _ = train_bpe("\ud800" * 3 + " x", vocab_size=258, specials=())
    assert tokenizer.decode(tokenizer.encode("\ufffd")) == "\ufffd"


def test_the_order_of_documents_does_not_matter():
    documents = [mixed_text(seed, 60) for seed in range(8)]
    _, log = train_bpe(documents, vocab_size=400, specials=())
    _, again = train_bpe(documents[::-1], vocab_size=400, specials=())
    assert list(log) == list(again)


def test_one_long_word_takes_time_in_proportion_to_its_length():
    rng = random.Random(0)
    word = "".join(rng.choices("abcdefgh", k=40_000))
    seconds = []
    for n in (10_000, 40_000):
        start = time.process_time()
        train_bpe(word[:n], vocab_size=350, specials=())
        seconds.append(time.process_time() - start)
    assert seconds[1] < 12 * seconds[0] + 0.5  # four times the letters; a trainer that rebuilds words needs 16 times


def test_the_garbage_collector_is_left_as_it_was():
    assert gc.isenabled()
    with pytest.raises(ValueError, match="empty"):
        train_bpe("", vocab_size=300)
    assert gc.isenabled()


def test_replaying_on_the_training_text_gives_the_training_again():
    text = mixed_text(5, 300)
    tokenizer, log = train_bpe(text, vocab_size=420, specials=())
    again = replay_merges(tokenizer, text)
    assert [(e.left, e.right, e.count, e.corpus_tokens) for e in again] == [
        (e.left, e.right, e.count, e.corpus_tokens) for e in log
    ]
    assert [e.runners_up for e in again] == [e.runners_up for e in log]


def test_replaying_on_another_text_counts_that_text():
    tokenizer, log = train_bpe("banana bandana", vocab_size=260, specials=())
    other = replay_merges(tokenizer, "xx ban xx")
    assert [e.token for e in other] == [e.token for e in log]
    assert other.corpus_tokens[0] == 9
    assert other.corpus_tokens[-1] == len(tokenizer.encode("xx ban xx"))
    assert other[0].runners_up[0].left == b"x"


def test_a_special_token_that_is_also_learned_is_refused():
    with pytest.raises(ValueError, match="'abc' is also the ordinary token 257; give it another name"):
        train_bpe("abc abc abc", vocab_size=259, specials=("abc",))
