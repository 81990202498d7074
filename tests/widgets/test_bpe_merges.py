"""BPEMerges: the page can rebuild every step from what it receives."""

from __future__ import annotations

import random

import numpy as np
import pytest

import lmlab as lab
from lmlab.widgets import BPEMerges
from lmlab.widgets._style import plain
from lmlab.widgets.bpe_merges import BYTES, said
from tests.widgets.conftest import TEXT


def naive_merges(text: str, log: lab.MergeLog, step: int) -> list[bytes]:
    """Join pair after pair in order, in the whole text at once, cutting pieces as GPT-2's pattern does."""
    import regex

    from lmlab.tokenizer.split import SPLIT_GPT2

    tokens: list[bytes] = []
    for piece in regex.findall(SPLIT_GPT2, text):
        parts = [bytes([b]) for b in piece.encode()]
        for event in log[:step]:
            i = 0
            while i < len(parts) - 1:
                if (parts[i], parts[i + 1]) == (event.left, event.right):
                    parts[i : i + 2] = [event.left + event.right]
                i += 1
        tokens += parts
    return tokens


def cut_as_the_page_does(w: BPEMerges, step: int) -> list[bytes]:
    """bpe_merges.js, in Python: a boundary is gone if its number is from 1 to ``step``."""
    data, out, word = w.shown.text, [], b""
    for i in range(len(data)):
        word += data[i : i + 1]
        gone = i < len(data) - 1 and 0 < w.shown.boundaries[i] <= step
        if not gone:
            out.append(word)
            word = b""
    return out


@pytest.fixture(scope="module")
def merges() -> lab.MergeLog:
    return lab.train_bpe(TEXT * 3, vocab_size=320, specials=())[1]


def test_every_step_can_be_rebuilt_from_one_number_a_boundary(merges: lab.MergeLog) -> None:
    text = "the goose sold the stock, and who crashed? 日本 👩‍👧 investors  investors"
    w = BPEMerges(merges, text=text)
    for step in [0, 1, 7, len(merges), *random.Random(0).sample(range(len(merges)), 8)]:
        assert cut_as_the_page_does(w, step) == naive_merges(text, merges, step)


def test_the_packed_log_holds_winner_and_rivals_of_each_step(merges: lab.MergeLog) -> None:
    w = BPEMerges(merges)
    left, right = (np.frombuffer(w.log[side], dtype="<u2") for side in ("left", "right"))
    count, tokens = (np.frombuffer(w.log[name], dtype="<u4") for name in ("count", "corpus_tokens"))
    for step, event in enumerate(merges):
        spelled = (w.log["names"][left[step]], w.log["names"][right[step]])
        assert spelled == tuple(
            side.decode().replace(" ", "·").replace("\n", "↵") for side in (event.left, event.right)
        )
        assert (count[step], tokens[step + 1]) == (event.count, event.corpus_tokens)
    assert tokens[0] == len((TEXT * 3).encode())


def test_the_textbook_example(merges: lab.MergeLog) -> None:
    w = BPEMerges("aaabdaaabac", text="aaabdaaabac", vocab_size=259, step=3)
    assert w.sentence == (
        "Merge 3 joins aa and ab, seen 2 times. The vocabulary is now 259 and one token carries 2.20 bytes."
    )
    assert cut_as_the_page_does(w, 3) == [b"aaab", b"d", b"aaab", b"a", b"c"]


def test_own_text_is_trained_on_at_once(merges: lab.MergeLog) -> None:
    w = BPEMerges(merges)
    w.source = "mine"
    w.text = "banana banana banana"
    assert "your text, 20" in w.shown.about
    assert w.training()[0].count == 6
    w.text = "zigzag"
    assert w.training()[0].token == b"ig" or w.training()[0].count == 1
    with pytest.raises(ValueError, match="Type something"):
        w.text = ""


def test_a_vocabulary_of_ones_own(merges: lab.MergeLog) -> None:
    w = BPEMerges({"words": TEXT}, vocab_size=288)
    assert w.shown.n_steps == 32
    w.vocab_size = 272
    assert w.shown.n_steps == 16
    assert len(w.log["left"]) == 32


def test_the_readout_follows_the_step_and_counts_in_words(merges: lab.MergeLog) -> None:
    w = BPEMerges(merges)
    assert w.sentence.startswith("No merge yet: every byte is a token of its own. The vocabulary is now 256")
    w.step = 5
    ratio = len((TEXT * 3).encode()) / merges.at(5).corpus_tokens
    assert f"one token carries {ratio:.2f} bytes" in w.sentence
    assert w.sentence == plain(said(merges, 5, len(merges)))


def test_scrubbing_sends_no_merges_again(merges: lab.MergeLog) -> None:
    w = BPEMerges(merges)
    sent: list[str] = []
    w.observe(lambda change: sent.append(change["name"]), names=["log", "view"])
    w.step = 40
    assert sent == ["view"]


def test_a_long_text_is_cut_with_its_count(merges: lab.MergeLog) -> None:
    w = BPEMerges(merges, text="é" * 5_000)
    assert len(w.shown.text) <= BYTES
    assert w.shown.hidden == 10_000 - len(w.shown.text)
    assert w.shown.text.decode() == "é" * (len(w.shown.text) // 2)


def test_what_is_no_training_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="takes a MergeLog or a text"):
        BPEMerges({"x": 3})  # type: ignore[dict-item]
