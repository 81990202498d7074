"""TokenView: tokens, places, ids and bits are those of the tokenizer and the model, whatever the text."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.tokenizer.pieces import pieces
from lmlab.widgets import TokenView
from lmlab.widgets._style import plain
from lmlab.widgets.token_view import CHARACTERS, TEXT, misspelled
from tests.tokenizer.random_text import mixed_text


def bits_by_full_pass(model: lab.TextModel, text: str) -> list[float]:
    ids = [model.tokenizer.bos_id, *model.tokenizer.encode(text)]
    with torch.no_grad():
        logits = model.model(torch.tensor([ids]))[0].double()
    log_probs = logits - logits.logsumexp(-1, keepdim=True)
    return [-float(log_probs[t - 1, ids[t]]) / math.log(2) for t in range(1, len(ids))]


@pytest.mark.parametrize("seed", range(4))
def test_every_row_is_the_text_cut_into_its_tokens(random_model, seed):
    text = mixed_text(seed, 20)[:CHARACTERS]
    w = TokenView(random_model, "characters", "bytes", text=text)
    town, characters, single = w.shown.strips
    for strip, tokenizer in ((town, random_model.tokenizer), (characters, lab.CharacterTokenizer())):
        assert list(strip.ids) == tokenizer.encode(text)
        assert [bytes.fromhex(h) for h in strip.hexes] == [tokenizer.token_bytes(n) for n in strip.ids]
    assert list(single.ids) == list(text.encode())
    assert b"".join(bytes.fromhex(h) for h in town.hexes) == text.encode()
    assert all(
        bytes.fromhex(h) in text[a:b].encode() for h, a, b in zip(town.hexes, town.starts, town.ends, strict=True)
    )
    assert town.bits == pytest.approx(bits_by_full_pass(random_model, text), abs=1e-3)
    assert town.total_bits == pytest.approx(sum(town.bits))
    assert characters.bits == ()


def test_the_first_text_is_what_a_change_is_compared_with(random_model):
    w = TokenView(random_model, "bytes")
    first = w.shown.strips[0]
    assert "as first written" not in w.sentence
    w.clicked("misspell")
    assert w.text != TEXT
    assert sorted(w.text) == sorted(TEXT)
    now = w.shown.strips[0]
    assert f"into {now.n_tokens} tokens" in w.sentence
    assert f"as first written it was {first.n_tokens} tokens" in w.sentence
    assert f"as first written {first.n_tokens} tokens" in plain(now.head)
    w.reset()
    assert (w.text, w.shown.strips[0].head) == (TEXT, first.head)


def test_the_button_starts_from_the_text_that_the_student_wrote(random_model):
    w = TokenView(random_model)
    w.text = "the baker sold geese"
    made = []
    for _ in range(4):
        w.clicked("misspell")
        made.append(w.text)
    assert made == ["the baker sold gesee", "the bkaer sold geese", "the baker slod geese", "the baker sold gesee"]
    assert f"as first written it was {len(random_model.tokenizer.encode('the baker sold geese'))} tokens" in w.sentence
    w.reset()
    assert w.text == TEXT
    assert "as first written" not in w.sentence


def test_a_misspelled_word_costs_the_model_tokens_and_bits():
    """labs.md: misspell a word and watch tokens and loss rise: any word of ten sentences that the town may say."""
    town, draw = lab.load("town"), random.Random(5)
    for text in draw.sample([d for d in lab.Town(families=["news"]).sample(60, seed=2) if len(d) < 200], 10):
        right = TokenView(town, text=text).shown.strips[0]
        wrong = TokenView(town, text=misspelled(text, draw.randrange(6))).shown.strips[0]
        assert wrong.n_tokens > right.n_tokens, text
        assert wrong.total_bits > right.total_bits + 10, text


def test_misspelling_takes_the_longest_words_first_and_goes_round():
    text = "the mayor went golfing and sold wool"
    assert misspelled(text, 0) == "the mayor went gofling and sold wool"
    made = [misspelled(text, n) for n in range(5)]
    assert len(set(made)) == 5
    assert made[0] == misspelled(text, 5)
    assert all(sorted(m) == sorted(text) and m != text for m in made)
    assert misspelled("a cat, 12, aaaa", 3) == "a cat, 12, aaaa"
    assert misspelled("", 0) == ""


def test_what_cannot_be_seen_is_made_visible():
    w = TokenView("characters", "bytes", text=" \u200b\u202e\ufeff\x00\n\te\u0301 👩‍👧")
    characters, single = w.shown.strips
    assert characters.texts[:7] == ("·", "⟨U+200B⟩", "⟨U+202E⟩", "⟨U+FEFF⟩", "⟨U+0000⟩", "↵", "→")
    assert characters.texts[8] == "◌\u0301"
    assert characters.parts == (False,) * len(characters.parts)
    at = single.hexes.index("E2")
    assert single.texts[at : at + 3] == ("E2", "80", "8B")
    assert single.parts[at : at + 3] == (True, True, True)
    assert "a part of a character" in plain(single.details[at])


def test_what_looks_special_stays_plain_and_is_said(random_model):
    w = TokenView(random_model, text="a<|endoftext|>b")
    special = random_model.tokenizer.specials["<|endoftext|>"]
    assert special not in w.shown.strips[0].ids
    assert w.shown.strips[0].n_tokens > 3
    assert "<|endoftext|> typed in a text is plain text" in plain(w.shown.foot)


def test_a_dictionary_of_words_says_what_it_lacks():
    w = TokenView(lab.WordTokenizer.from_text(TEXT), text="the stcok market")
    assert w.shown.strips[0].ids == (0, -1, 2)
    assert "1 word not in the list" in plain(w.shown.strips[0].head)
    assert "stcok is not in words’s list" in plain(w.shown.strips[0].details[1])


def test_without_a_beginning_token_the_first_bits_are_unknown():
    tok, _ = lab.train_bpe(TEXT, vocab_size=260, specials=())
    ids = torch.tensor(tok.encode(TEXT))
    model = lab.TextModel(lab.NGram.fit(ids, n=2, vocab_size=tok.vocab_size), tok, name="bigram")
    bits = TokenView(model).shown.strips[0].bits
    assert len(bits) == len(ids)
    assert math.isnan(bits[0])
    assert all(math.isfinite(b) for b in bits[1:])


def test_long_and_empty_texts(random_model):
    w = TokenView(random_model, text="the goose " * 1000)
    assert w.shown.hidden == 10_000 - CHARACTERS
    assert len(pieces(random_model.tokenizer, w.text[:CHARACTERS])) == w.shown.strips[0].n_tokens
    assert "9,600 more are not" in plain(w.shown.foot)
    w.text = ""
    assert "no token at all" in w.sentence
    assert w.shown.strips[0].texts == ()


def test_the_repr_is_short_and_says_the_numbers(random_model):
    assert repr(TokenView("characters", "bytes")) == (
        "TokenView: characters cuts this text into 47 tokens; bytes needs 47."
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((), "compares 1 to 4 tokenizers and got 0"),
        (("bytes",) * 5, "got 5"),
        (("letters",), "takes text models"),
        ((3,), "got 3"),
    ],
)
def test_what_cannot_be_compared_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        TokenView(*given)
