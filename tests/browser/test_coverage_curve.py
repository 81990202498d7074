"""CoverageCurve in JupyterLab: the numbers on the page are those of a loop over the same texts, counted here."""

from __future__ import annotations

import random

import pytest

import lmlab as lab

SETUP = """
import lmlab as lab
read, new = lab.corpus("town", documents=600, seed=0), lab.corpus("town", documents=60, seed=1)
tok = lab.load_tokenizer(lab.asset("models/town"))
"""
DRAWN = "root => root.querySelector('[role=img]').data.map(trace => [trace.x, trace.y])"


@pytest.fixture(scope="module")
def page(shared_notebook):
    opened = shared_notebook([SETUP, "w = lab.widgets.CoverageCurve(read, new, tokenizer=tok)\nw"])
    opened.page.wait_for_function("() => document.querySelector('[data-lmlab=CoverageCurve] .main-svg')")
    return opened


@pytest.fixture(scope="module")
def texts():
    tok = lab.load_tokenizer(lab.asset("models/town"))
    corpora = lab.corpus("town", documents=600, seed=0), lab.corpus("town", documents=60, seed=1)
    return tok, *(corpus.ids(tok).tolist() for corpus in corpora)


def share(texts, size: int, n: int) -> float:
    tok, read, new = texts
    seen = {tuple(read[i : i + n]) for i in range(size - n + 1)}
    strings = [tuple(new[i : i + n]) for i in range(len(new) - n + 1)]
    strings = [string for string in strings if tok.bos_id not in string]
    return sum(string in seen for string in strings) / len(strings)


def test_a_length_dragged_at_random_shows_its_share(page, texts):
    w, n = page.widget("CoverageCurve"), random.randint(2, 11)
    page.execute("w.n = 1")
    n = int(w.drag_slider("Length n, tokens", n))
    w.expect_readout(f"strings of {n} tokens")
    page.page.wait_for_function(
        f"() => document.querySelector('[data-lmlab=CoverageCurve] [role=img]').data.at(-1).x[0] === {n}"
    )
    *lines, (x, y) = w.root.evaluate(DRAWN)
    assert x == [n]
    assert y[0] / 100 == pytest.approx(share(texts, len(texts[1]), n), abs=1e-3)
    for (_, drawn), size in zip(lines, page.ask("list(w.shown.sizes)"), strict=True):
        assert drawn[n - 1] / 100 == pytest.approx(share(texts, size, n), abs=1e-3)


def test_one_word_of_a_sentence_is_changed_by_keyboard_alone(page):
    w = page.widget("CoverageCurve")
    draw = random.Random()
    sentence = draw.choice(
        [d for d in lab.corpus("town", documents=600, seed=0).documents if 30 < len(d) < 80 and "\n" not in d]
    )
    w.type_prompt(sentence, name="text")
    w.expect_readout("word for word")
    times = sum(sentence in document for document in lab.corpus("town", documents=600, seed=0).documents)
    assert f"was read {times} time" in w.readout()
    words = sentence.split(" ")
    w.type_prompt(" ".join([*words[:-2], "xylophone", words[-1]]), name="text")
    w.expect_readout("after it: 0.")


def test_another_corpus_by_its_arrow_keys(page, texts):
    w = page.widget("CoverageCurve")
    page.execute("w.n = 4")
    w.control("Tokens read").locator("input:checked").focus()
    w.readout_after(lambda: w.press("ArrowLeft"))
    size = page.ask("int(w.size)")
    assert size < len(texts[1])
    w.expect_readout(f"in {size:,} tokens")
    shown = float(w.readout().split(" tokens, ")[1].split("\u202f%")[0]) / 100
    assert shown == pytest.approx(share(texts, size, 4), rel=0.06)


def test_photographs(page):
    w = page.widget("CoverageCurve")
    page.execute("w.reset()")
    assert w.photograph("coverage_curve") < 1080, "a projector does not scroll"
