"""TokenCost: the counts are those of the tokenizers, the ratios those of the texts, and the texts are parallel."""

from __future__ import annotations

import re

import pytest

import lmlab as lab
from lmlab.widgets import TokenCost
from lmlab.widgets._style import plain
from lmlab.widgets.token_cost import DRAWN, LANGUAGES, OTHERS, UNITS, shipped_texts
from tests.widgets.conftest import TEXT


@pytest.fixture(scope="module")
def english() -> lab.Tokenizer:
    """Trained on English alone: the town's news and our English paragraphs, without the measured one."""
    return lab.train_bpe([lab.corpus("town", documents=300, seed=0).text, *to_train("English")], vocab_size=1500)[0]


@pytest.fixture(scope="module")
def six() -> lab.Tokenizer:
    """The same size, trained on all six languages alike."""
    return lab.train_bpe([p for name in LANGUAGES for p in to_train(name)], vocab_size=1500)[0]


def whole(name: str) -> str:
    return lab.asset(f"texts/{name.lower()}.txt").read_text(encoding="utf-8")


def to_train(name: str) -> list[str]:
    return whole(name).strip().split("\n\n")[:-1]


def test_the_texts_are_parallel_and_none_is_measured_that_trains():
    texts = shipped_texts()
    assert tuple(texts) == (*LANGUAGES, *OTHERS)
    for name in LANGUAGES:
        assert len(to_train(name)) == 4
        assert all(texts[name] not in paragraph for paragraph in to_train(name))
        assert len(re.findall(r"[.。।](?=\s|$|[\u4e00-\u9fff])", texts[name])) == 5
    assert not any(re.search(r"[a-zA-Z]", texts[name]) for name in ("Arabic", "Hindi", "Chinese"))


@pytest.mark.parametrize("unit", UNITS)
def test_every_bar_is_a_count_divided_by_a_count(english, unit):
    w = TokenCost(english, "characters", "bytes", per=unit, text="नमस्ते, market 42")
    texts = {**shipped_texts(), "yours": "नमस्ते, market 42"}
    among = {"word": lambda t: len(t.split()), "character": len, "byte": lambda t: len(t.encode())}
    for cost in w.shown.costs:
        text = texts[cost.name]
        assert cost.n_tokens == (len(english.encode(text)), len(text), len(text.encode()))
        if (unit == "text" and cost.name not in LANGUAGES) or (unit == "word" and cost.name == "Chinese"):
            assert cost.values == cost.ratios == (None,) * 3
            assert cost.shown == ("–",) * 3
        else:
            n = among[unit](text) if unit != "text" else 1
            assert cost.values == pytest.approx([k / n for k in cost.n_tokens])
            reference = among[unit](texts["English"]) if unit != "text" else 1
            assert cost.ratios[0] == pytest.approx(
                cost.n_tokens[0] / n / (len(english.encode(texts["English"])) / reference)
            )


def test_who_pays_depends_on_what_was_read_and_on_what_is_counted(english, six):
    """labs.md: ratios over six languages. An English vocabulary makes Hindi pay six times; a shared one does not."""
    w = TokenCost({"English": english, "six": six})

    def ratios(slot: int) -> dict[str, float]:
        return {cost.name: cost.ratios[slot] for cost in w.shown.costs if cost.name in LANGUAGES}

    same = ratios(0)
    assert 5 < same["Hindi"] < 8
    assert max(same, key=same.get) == "Hindi"
    assert all(same[name] > 1.3 for name in LANGUAGES[1:])
    assert max(ratios(1).values()) < 2
    w.per = "character"
    assert max(ratios(0), key=ratios(0).get) == "Chinese"
    w.per = "byte"
    scripts = [ratios(0)[name] for name in ("Arabic", "Hindi", "Chinese")]
    assert max(scripts) / min(scripts) < 1.05  # byte by byte, all three


def test_bytes_need_no_training_to_be_unfair():
    w = TokenCost("bytes", "characters", numbers="ratio")
    by = {cost.name: cost.ratios for cost in w.shown.costs}
    assert by["Hindi"][0] > 2
    assert by["Chinese"][1] < 0.4
    assert dict(zip(LANGUAGES, (c.shown[0] for c in w.shown.costs), strict=False))["English"] == "1.0×"


def test_your_own_text_is_one_more_row_and_is_chosen(english):
    w = TokenCost(english, per="character")
    assert w.shown.costs[w.shown.chosen].name == "Chinese"
    w.text = "a <b>bold</b> goose"
    assert w.shown.costs[-1].name == "yours"
    assert w.sentence.startswith("yours (19 characters, 19 bytes): ")
    w.chosen = "German"
    assert w.sentence.startswith("German (")
    w.text = "another goose"
    assert w.sentence.startswith("yours (13 ")
    w.text = ""
    assert len(w.shown.costs) == len(LANGUAGES) + len(OTHERS)
    assert w.sentence.startswith("Chinese (")


def test_the_chosen_text_is_cut_as_its_tokenizer_cuts_it(english):
    w = TokenCost(english, "bytes", chosen="Arabic")
    learned, single = w.shown.cuts
    text = shipped_texts()["Arabic"]
    assert len(single.texts) == DRAWN
    assert single.more == len(text.encode()) - DRAWN
    assert sum(learned.sizes) <= len(text.encode())
    w.chosen = "English"
    assert [t.replace("·", " ") for t in w.shown.cuts[0].texts] == [
        english.token_text(n) for n in english.encode(shipped_texts()["English"])[:DRAWN]
    ]


def test_texts_of_ones_own():
    tok, _ = lab.train_bpe(TEXT, vocab_size=300, specials=())
    w = TokenCost(tok, lab.WordTokenizer.from_text(TEXT), texts={"news": TEXT, "odd": "crahsed"}, per="word")
    assert w.shown.costs[0].n_tokens[1] == len(TEXT.split())
    assert w.shown.costs[1].n_tokens[1] == 1
    w.numbers = "ratio"
    assert w.shown.heading == "Tokens a word, as a multiple of news"
    w.chosen = "odd"
    assert "times news per word" in w.sentence
    assert plain(w.shown.readout) == w.sentence


def test_the_table_holds_every_number(english):
    w = TokenCost(english)
    assert [row[0] for row in w.shown.table[1:]] == [*LANGUAGES, *OTHERS]
    assert w.shown.table[1][1] == str(w.shown.costs[0].n_tokens[0])
