"""Characters and bytes as vocabularies, and any tokenizer's pieces in their places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmlab.tokenizer.bpe import train_bpe
from lmlab.tokenizer.characters import CharacterTokenizer, byte_tokenizer
from lmlab.tokenizer.pieces import pieces
from lmlab.tokenizer.split import SPLITS
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.tokenizer.words import WordTokenizer
from tests.tokenizer.random_text import mixed_text

CHARACTERS, BYTES = CharacterTokenizer(), byte_tokenizer()
LEARNED = {name: train_bpe(mixed_text(1, 300), vocab_size=500, split=name)[0] for name in SPLITS}


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_any_text_round_trips_through_characters_bytes_and_every_split(text):
    assert CHARACTERS.encode(text) == [ord(c) for c in text]
    assert BYTES.encode(text) == list(text.encode())
    for tokenizer in (CHARACTERS, BYTES, *LEARNED.values()):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_pieces_are_the_text_and_stand_where_their_bytes_are(text):
    for tokenizer in (CHARACTERS, BYTES, LEARNED["gpt2"]):
        found = pieces(tokenizer, text)
        assert b"".join(piece.data for piece in found) == text.encode()
        assert [piece.id for piece in found] == tokenizer.encode(text)
        at = 0
        for piece in found:
            assert piece.start == len(text.encode()[:at].decode("utf-8", "ignore"))
            at += len(piece.data)
            assert text[piece.start : piece.end].encode().find(piece.data) >= 0
            assert piece.is_text == (text[piece.start : piece.end].encode() == piece.data)


def test_pieces_agree_with_offsets():
    for seed in range(5):
        text = mixed_text(seed + 20, 40)
        tokenizer = LEARNED["gpt4"]
        assert [(p.start, p.end) for p in pieces(tokenizer, text)] == tokenizer.offsets(text)


def test_composed_accents_are_found_in_the_composed_text():
    plain = byte_tokenizer()
    nfc = Tokenizer(
        token_bytes=[plain.token_bytes(n) for n in range(256)], ranks={}, split="none", specials={}, normalizer="NFC"
    )
    assert b"".join(p.data for p in pieces(nfc, "cafe\u0301")) == "café".encode()


def test_a_word_that_is_not_listed_is_a_piece_without_an_id():
    found = pieces(WordTokenizer(["the", "market"]), "the  market\tcrahsed")
    assert [(p.id, p.start, p.end) for p in found] == [(0, 0, 3), (1, 5, 11), (None, 12, 19)]


def test_a_tokenizer_that_changes_its_text_is_named():
    class Shouts:
        vocab_size = 1

        def encode(self, text):
            return [0]

        def token_bytes(self, id):
            return b"LOUD"

    with pytest.raises(ValueError, match="this tokenizer changes it"):
        pieces(Shouts(), "quiet")


@pytest.mark.parametrize("bad", [-1, 0x110000, 0xD800, 1.0, True, None, "a"])
def test_the_number_of_no_character_is_named(bad):
    with pytest.raises(ValueError, match="is the number of no character"):
        CHARACTERS.token_bytes(bad)


def test_characters_have_a_very_long_list():
    assert len(CHARACTERS) == CHARACTERS.vocab_size == 1_114_112
    assert CHARACTERS.token_bytes(np.int64(0x1F600)) == "😀".encode()
    assert repr(CHARACTERS) == "CharacterTokenizer(V=1,114,112)"
    assert CHARACTERS.encode("<|endoftext|>", allow_special=True) == [ord(c) for c in "<|endoftext|>"]
