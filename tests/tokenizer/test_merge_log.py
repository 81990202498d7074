"""The merge log: every moment of the training, rebuilt from what was noted down."""

from __future__ import annotations

import time
from array import array
from itertools import pairwise

import pytest

from lmlab.tokenizer.bpe import train_bpe
from lmlab.tokenizer.split import pretokens
from tests.tokenizer.naive import naive_encode
from tests.tokenizer.random_text import mixed_text


@pytest.fixture(scope="module")
def log():
    return train_bpe([mixed_text(seed, 150) for seed in range(5)], vocab_size=256 + 120, specials=())[1]


def naive_segments(log, text, step):
    pairs = [(event.left, event.right) for event in log[:step]]
    return [token for piece in pretokens(text, log.split) for token in naive_encode(piece.encode(), pairs)]


@pytest.mark.parametrize("seed", range(100, 104))
def test_boundaries_describe_any_text_at_every_step(log, seed):
    text = mixed_text(seed, 15)
    data = text.encode()
    boundaries = log.boundaries(text)
    assert len(boundaries) == len(data) - 1
    counts = log.token_counts(text)
    for step in range(0, len(log) + 1, 7):
        expected = naive_segments(log, text, step)
        cuts = [0, *(n for n, b in enumerate(boundaries, 1) if b == 0 or b > step), len(data)]
        assert [data[a:b] for a, b in pairwise(cuts)] == expected
        assert log.segments(text, step) == expected
        assert counts[step] == len(expected)


def test_the_last_step_is_what_the_tokenizer_does(log):
    tokenizer = log.tokenizer()
    for seed in range(200, 220):
        text = mixed_text(seed, 30)
        assert log.segments(text, len(log)) == [tokenizer.token_bytes(n) for n in tokenizer.encode(text)]


def test_step_zero_is_bytes_and_empty_text_is_nothing(log):
    assert log.segments("é!", 0) == [b"\xc3", b"\xa9", b"!"]
    assert log.boundaries("") == log.segments("", 5) == []
    assert log.boundaries("a") == []
    assert set(log.token_counts("")) == {0}


def test_a_moment_knows_the_merge_behind_and_the_race_ahead(log):
    start, end = log.at(0), log.at(len(log))
    assert (start.made, start.coming, start.vocab_size) == (None, log[0], 256)
    assert (end.made, end.coming, end.vocab_size) == (log[-1], None, 256 + len(log))
    assert start.corpus_tokens == start.corpus_bytes == end.corpus_bytes
    assert start.bytes_per_token == 1
    assert end.bytes_per_token == end.corpus_bytes / log[-1].corpus_tokens > 1.5
    middle = log.at(60)
    assert middle.made == log[59]
    assert middle.made.step == 60
    assert middle.corpus_tokens == log.corpus_tokens[60]


@pytest.mark.parametrize("step", [-1, 121, 1.0, True, None])
def test_a_step_that_does_not_exist_is_refused(log, step):
    with pytest.raises(ValueError, match="from 0 to 120"):
        log.at(step)
    with pytest.raises(ValueError, match="from 0 to 120"):
        log.segments("x", step)


def test_the_log_is_a_sequence(log):
    assert len(log) == len(list(log)) == 120
    assert log[3:5] == [log[3], log[4]]
    assert log[-1].step == 120
    with pytest.raises(IndexError, match="120"):
        log[120]
    assert repr(log).startswith("MergeLog(120 merges, corpus ")


def test_a_moment_is_rebuilt_in_milliseconds(log):
    start = time.perf_counter()
    for step in range(100):
        log.at(step)
    assert time.perf_counter() - start < 1  # a hundred of them


def test_packed_says_the_same_in_few_bytes(log):
    packed = log.packed()
    assert packed["n_steps"] == len(log)
    assert sum(len(value) for value in packed.values() if isinstance(value, bytes)) <= 61 * len(log)
    tokens, counts = "H", "I"
    left, right = (array(tokens, packed[name]) for name in ("left", "right"))
    count, after = (array(counts, packed[name]) for name in ("count", "corpus_tokens"))
    rivals = [array(kind, packed[f"rival_{name}"]) for name, kind in (("left", "H"), ("right", "H"), ("count", "I"))]
    spelled = [bytes([n]) for n in range(256)]
    for n, event in enumerate(log):
        assert (spelled[left[n]], spelled[right[n]], count[n]) == (event.left, event.right, event.count)
        assert after[n + 1] == event.corpus_tokens
        here = [(spelled[a], spelled[b], c) for a, b, c in list(zip(*rivals, strict=True))[6 * n : 6 * n + 6] if c]
        assert here == [(pair.left, pair.right, pair.count) for pair in event.runners_up]
        spelled.append(spelled[left[n]] + spelled[right[n]])
    fewer = log.packed(n_runners_up=2)
    assert len(fewer["rival_count"]) == 2 * 4 * len(log)


def test_every_256_merges_save_less_than_the_256_before():
    """Lab 05: tokens for 100 characters of new text, by vocabulary size: 100, then less than half at V = 512."""
    from lmlab.data.corpus import corpus

    log = train_bpe(corpus("town", documents=2_000, seed=0).text, vocab_size=1536, specials=())[1]
    fresh = corpus("town", documents=200, seed=1).text
    counts = log.token_counts(fresh)
    per_hundred = [100 * counts[V - 256] / len(fresh) for V in range(256, 1537, 256)]
    saved = [more - less for more, less in pairwise(per_hundred)]
    assert per_hundred[0] == 100 * len(fresh.encode()) / len(fresh)
    assert per_hundred[1] < 50
    assert saved == sorted(saved, reverse=True)
    assert counts[-1] == len(log.tokenizer().encode(fresh))
