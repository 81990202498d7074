"""CoverageCurve: shares counted by a loop over sets, and a sentence whose count is gone with one word."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

import lmlab as lab
from lmlab.widgets import CoverageCurve
from lmlab.widgets.coverage_curve import sizes_of


@pytest.fixture(scope="module")
def corpora() -> tuple[lab.Corpus, lab.Corpus]:
    return lab.corpus("town", documents=300, seed=5), lab.corpus("town", documents=40, seed=6)


@pytest.fixture(scope="module")
def curve(corpora: tuple[lab.Corpus, lab.Corpus], tokenizer: lab.Tokenizer) -> CoverageCurve:
    return CoverageCurve(*corpora, tokenizer=tokenizer)


def strings(stream: list[int], n: int, boundary: int) -> list[tuple[int, ...]]:
    found = (tuple(stream[i : i + n]) for i in range(len(stream) - n + 1))
    return [string for string in found if boundary not in string]


def test_every_share_is_that_of_a_loop(curve: CoverageCurve, corpora, tokenizer: lab.Tokenizer) -> None:
    read, held = (corpus.ids(tokenizer).tolist() for corpus in corpora)
    for size, shares in zip(curve.shown.sizes, curve.shown.shares, strict=True):
        for n in (1, 2, 5, 12):
            seen = set(strings(read[:size], n, tokenizer.bos_id))
            new = strings(held, n, tokenizer.bos_id)
            assert shares[n - 1] == pytest.approx(sum(string in seen for string in new) / len(new)), (size, n)


def test_it_collapses_with_n_and_grows_with_the_corpus(curve: CoverageCurve) -> None:
    for shares in curve.shown.shares:
        assert list(shares) == sorted(shares, reverse=True)
        assert shares[-1] < 0.5 * shares[0]
    for n in range(12):
        column = [shares[n] for shares in curve.shown.shares]
        assert column == sorted(column)


def test_one_word_changed_and_the_count_is_gone(curve: CoverageCurve, corpora, tokenizer: lab.Tokenizer) -> None:
    sentence = next(d for d in corpora[0].documents if len(d) < 60)
    curve.text = sentence
    once = sum(document.startswith(sentence) for document in corpora[0].documents)
    assert curve.shown.counts[-1] >= once >= 1
    assert f"was read {curve.shown.counts[-1]} time" in curve.sentence
    words = sentence.split(" ")
    curve.text = " ".join([*words[:2], "xylophone", *words[3:]])
    assert curve.shown.counts[-1] == 0
    kept = [c for c in curve.shown.counts if c]
    assert f"yours: seen up to {len(kept)} of {len(curve.shown.counts)}" in str(curve.shown.figure)
    assert curve.sentence.endswith("after it: 0.")


def test_the_readout_names_the_share_of_the_chosen_size(curve: CoverageCurve) -> None:
    for size, shares in zip(curve.shown.sizes, curve.shown.shares, strict=True):
        curve.size = str(size)
        curve.n = 3
        assert f"were ever read in {size:,} tokens" in curve.sentence
        marker = curve.shown.figure["data"][-1]
        assert marker["y"] == [pytest.approx(100 * shares[2])]


def test_the_figure_is_one_that_plotly_knows(curve: CoverageCurve) -> None:
    named = str(curve.shown.figure)
    figure = curve.shown.figure
    go.Layout({k: v for k, v in figure["layout"].items() if k not in ("shapes", "annotations")})
    for trace in figure["data"]:
        go.Scatter({k: v for k, v in trace.items() if k not in ("line", "marker")})
    assert "'m1'" in named


def test_any_text_is_looked_up(curve: CoverageCurve) -> None:
    for text in ("", " ", "👩‍👩‍👧 panicked", "x" * 10_000, "<img src=x onerror=1>", "a\u202eb"):
        curve.text = text
        assert curve.sentence.startswith("Of the held-out strings")
    assert "<img" not in str(curve.shown.figure)


def test_a_text_alone_is_split() -> None:
    w = CoverageCurve("one goose\n\none fox\n\ntwo geese went golfing\n\ntwo foxes went golfing", n=1)
    assert 0 < w.shown.shares[-1][0] < 1
    with pytest.raises(ValueError, match="cannot be split"):
        CoverageCurve("one goose")
    with pytest.raises(ValueError, match="reads a corpus or a text"):
        CoverageCurve(7)  # type: ignore[arg-type]


def test_sizes_are_powers_of_ten_and_all() -> None:
    assert sizes_of(130_000) == (100, 1_000, 10_000, 130_000)
    assert sizes_of(50) == (50,)
    assert sizes_of(2_000) == (100, 1_000, 2_000)
