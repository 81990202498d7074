"""Pre-tokens: what is never merged across, and that the fast ways to find them agree with the slow one."""

from __future__ import annotations

from collections import Counter

import pytest
import regex

from lmlab.tokenizer import split as split_module
from lmlab.tokenizer.split import SPLITS, Splitter, pretokens, splitter
from tests.tokenizer.random_text import mixed_text


def test_words_take_the_space_before_them():
    text = "the stock market's  crash!\n\n2008"
    assert pretokens(text) == ["the", " stock", " market", "'s", " ", " crash", "!", "\n", "\n", "2008"]
    assert pretokens("in 2008", "smollm") == ["in", " ", "2", "0", "0", "8"]
    assert pretokens("in 20081", "gpt4") == ["in", " ", "200", "81"]
    assert pretokens("a b\n", "none") == ["a b\n"]
    assert pretokens("") == []


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("seed", range(12))
def test_pieces_chunks_and_counts_agree_with_the_plain_pattern(name, seed):
    text = mixed_text(seed, 120)
    if seed % 2:
        text = text.encode("ascii", "ignore").decode()
    plain = regex.findall(SPLITS[name], text)
    cut = splitter(name)
    assert "".join(plain) == text
    assert cut.pieces(text) == plain
    head, *tail = cut.chunks(text)
    assert cut.pieces(head) + [piece for chunk in tail for piece in cut.pieces(" " + chunk)] == plain
    documents = [text, mixed_text(seed + 1000, 50), "", "x ", "  "]
    assert cut.count(documents) == Counter(piece for one in documents for piece in regex.findall(SPLITS[name], one))


@pytest.mark.parametrize("name", SPLITS)
def test_a_long_text_has_the_pieces_of_its_parts(name, monkeypatch):
    monkeypatch.setattr(split_module, "_PART", 20)
    for seed in range(20):
        text = mixed_text(seed + 300, 80)
        assert splitter(name).pieces(text) == regex.findall(SPLITS[name], text)
    parts = list(split_module._parts("a few words " * 50))
    assert "".join(parts) == "a few words " * 50
    assert 20 <= min(map(len, parts[:-1])) <= max(map(len, parts)) < 30
    assert list(split_module._parts("x" * 90)) == ["x" * 90]


def test_what_a_pattern_passes_over_is_a_piece_too():
    assert Splitter("[a-z]+").pieces("12ab,c") == ["12", "ab", ",", "c"]
    assert Splitter("x*").pieces("axxb") == ["a", "xx", "b"]


@pytest.mark.parametrize(("pattern", "says"), [("(a", "neither one of gpt2"), ("(a)|b", "capturing groups")])
def test_what_is_no_split_is_refused(pattern, says):
    with pytest.raises(ValueError, match=says):
        pretokens("x", pattern)
