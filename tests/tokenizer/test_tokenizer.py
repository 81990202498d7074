"""Text to ids and back: nothing is lost, whatever is typed, and what is no id or no text is named."""

from __future__ import annotations

import json
import random
import threading
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmlab.tokenizer import known_ids
from lmlab.tokenizer import tokenizer as tokenizer_module
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.byte_order import to_visible
from lmlab.tokenizer.load import load_tokenizer
from lmlab.tokenizer.pieces import pieces
from lmlab.tokenizer.tokenizer import Tokenizer
from tests.tokenizer.random_text import mixed_text


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    return train_bpe([mixed_text(seed, 200) for seed in range(6)], vocab_size=600, specials=RESERVED_SPECIALS)[0]


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_decoding_an_encoding_gives_the_text(text):
    ids = _module_tok().encode(text)
    assert _module_tok().decode(ids) == text
    assert all(0 <= n < _module_tok().vocab_size for n in ids)


def _module_tok(kept: list[Tokenizer] = []) -> Tokenizer:  # noqa: B006 - hypothesis takes no fixtures
    if not kept:
        kept.append(train_bpe(mixed_text(0, 300), vocab_size=400, specials=())[0])
    return kept[0]


@pytest.mark.parametrize("seed", range(20))
def test_mixed_text_round_trips_and_streams(tok, seed):
    text = mixed_text(seed + 50, 60)
    ids = tok.encode(text)
    assert tok.decode(ids) == text
    assert b"".join(tok.token_bytes(n) for n in ids) == text.encode()
    stream = tok.stream()
    assert "".join(map(stream.feed, ids)) + stream.flush() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00\x01\x1b[31m\x7f",
        "e\u0301 é",
        "👨‍👩‍👧‍👦",
        "\u202eabc\u202c",
        "\u200b",
        "\ufeff",
        "  \n\t ",
        "<|endoftext|>",
    ],
)
def test_strange_text_round_trips(tok, text):
    assert tok.decode(tok.encode(text)) == text


def test_a_lone_surrogate_becomes_the_replacement_character_with_a_note(tok):
    with pytest.warns(UserWarning, match="character 1 is half of a surrogate pair"):
        assert tok.decode(tok.encode("a\ud800b")) == "a\ufffdb"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tok.decode(tok.encode("\ud83d\ude00")) == "😀"  # the two halves of one character are that character


def test_special_tokens_enter_by_the_switch_alone(tok):
    text = "a<|endoftext|>b<|user|>"
    plain = tok.encode(text)
    assert not set(plain) & set(tok.specials.values())
    ids = tok.encode(text, allow_special=True)
    assert ids == [97, tok.specials["<|endoftext|>"], 98, tok.specials["<|user|>"]]
    assert tok.decode(ids) == tok.decode(plain) == text
    assert tok.bos_id == tok.specials["<|endoftext|>"] == tok.vocab_size - 8
    assert sorted(tok.specials.values()) == list(range(tok.vocab_size - 8, tok.vocab_size))


def test_the_longest_special_name_wins():
    names = ["<a>", "<a><b>"]
    tokenizer, _ = train_bpe("xyxyxy", vocab_size=260, specials=names)
    assert tokenizer.encode("<a><b><a>", allow_special=True) == [259, 258]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (-1, "id -1 is not in the vocabulary; ids go from 0 to 599"),
        (600, "id 600"),
        (2**70, str(2**70)),
        (1.0, "id 1.0 is a float"),
        (True, "id True is a bool"),
        (None, "id None is a NoneType"),
        ("7", "id '7' is a str"),
        (np.float32(1.0), "id 1.0 is a float"),
        (np.bool_(True), "id True is a bool"),
        (np.int64(700), "id 700"),
    ],
)
def test_what_is_no_id_is_named(tok, bad, says):
    for call in (lambda: tok.decode([1, bad]), lambda: tok.token_bytes(bad), lambda: tok.stream().feed(bad)):
        with pytest.raises(ValueError, match=says):
            call()


def test_ids_may_come_as_arrays(tok):
    assert tok.decode(np.array(tok.encode("a word"))) == "a word"
    assert tok.decode(iter(tok.encode("a word"))) == "a word"
    assert tok.token_bytes(np.array(97)) == b"a"
    with pytest.raises(ValueError, match="list of ids"):
        tok.decode("ab")
    with pytest.raises(ValueError, match="list of ids"):
        tok.decode(7)
    with pytest.raises(ValueError, match="is a list"):
        tok.decode(np.array([[1, 2]]))


@pytest.mark.parametrize("bad", [None, 3, b"ab", ["a"]])
def test_what_is_no_text_is_named(tok, bad):
    with pytest.raises(ValueError, match=type(bad).__name__):
        tok.encode(bad)


def test_a_giant_paste_is_refused_before_any_work(tok, monkeypatch):
    monkeypatch.setattr(tokenizer_module.Tokenizer, "_encode_plain", lambda *_: pytest.fail("work was started"))
    with pytest.raises(ValueError, match=r"10,000,000 characters and at most 8,000,000"):
        tok.encode("a" * 10_000_000)


def test_bytes_of_an_incomplete_character_are_held_back_and_shown_in_hex(tok):
    fresh, _ = train_bpe("ab", vocab_size=256, specials=())
    ids = fresh.encode("é😀")
    assert [fresh.token_text(n) for n in ids[:3]] == ["⟨C3⟩", "⟨A9⟩", "⟨F0⟩"]
    stream = fresh.stream()
    assert [stream.feed(n) for n in ids] == ["", "é", "", "", "", "😀"]
    assert [stream.feed(n) for n in ids[:3]] == ["", "é", ""]
    assert stream.flush() == "\ufffd"
    assert stream.feed(97) == "a"
    assert tok.token_text(tok.specials["<|pad|>"]) == "<|pad|>"
    assert fresh.decode([0xF0]) == "\ufffd"


@pytest.mark.parametrize("seed", range(8))
def test_offsets_point_at_the_characters_a_token_touches(tok, seed):
    text = mixed_text(seed + 80, 30)
    spans = tok.offsets(text)
    ids = tok.encode(text)
    assert len(spans) == len(ids)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    for n, (start, end) in zip(ids, spans, strict=True):
        assert tok.token_bytes(n) in text[start:end].encode()
        assert tok.token_bytes(n) not in text[start + 1 : end].encode() or end - start > 1
    for (_, end), (start, _) in pairwise(spans):
        assert start in (end, end - 1)  # the next token begins here, or inside this character
    assert tok.offsets("") == []


def test_remembering_changes_nothing_and_stays_bounded(monkeypatch):
    monkeypatch.setattr(known_ids, "MAX_ENTRIES", 50)
    tokenizer, log = train_bpe(mixed_text(1, 300), vocab_size=350, specials=())
    for seed in range(6):
        text = mixed_text(seed, 100)
        monkeypatch.setattr(tokenizer_module, "REMEMBER_CHUNKS_FROM", 0)
        remembered = tokenizer.encode(text)
        monkeypatch.setattr(tokenizer_module, "REMEMBER_CHUNKS_FROM", 10**9)
        assert remembered == log.tokenizer().encode(text) == tokenizer.encode(text)
        assert tokenizer._chunk_ids
        assert max(len(tokenizer._piece_ids), len(tokenizer._chunk_ids)) <= 50
    tokenizer.encode("x" * 1000)
    assert max(map(len, tokenizer._piece_ids)) <= known_ids.MAX_CHARACTERS


def test_two_threads_may_encode_at_once(tok, monkeypatch):
    monkeypatch.setattr(known_ids, "MAX_ENTRIES", 20)
    monkeypatch.setattr(tokenizer_module, "REMEMBER_CHUNKS_FROM", 3_000)  # half of the texts
    texts = [mixed_text(seed, 80) for seed in range(12)]
    expected = [tok.encode(text) for text in texts]
    got: dict[int, list[list[int]]] = {}

    def work(n: int) -> None:
        order = random.Random(n).sample(range(len(texts)), len(texts))
        answers = {k: tok.encode(texts[k]) for k in order}
        got[n] = [answers[k] for k in range(len(texts))]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(got[n] == expected for n in range(4))


def test_a_vocabulary_that_lacks_an_everyday_byte_is_refused():
    with pytest.raises(ValueError, match="no token for byte 101"):
        Tokenizer(token_bytes=[bytes([n]) for n in range(256) if n != ord("e")], ranks={}, split="gpt2", specials={})
    with pytest.raises(ValueError, match="'<x>' has the id 9"):
        Tokenizer(token_bytes=[bytes([n]) for n in range(256)], ranks={}, split="gpt2", specials={"<x>": 9})


def test_composing_accents_first_where_the_vocabulary_wants_it():
    tokens = [bytes([n]) for n in range(256)]
    plain = Tokenizer(token_bytes=tokens, ranks={}, split="gpt2", specials={})
    composed = Tokenizer(token_bytes=tokens, ranks={}, split="gpt2", specials={}, normalizer="NFC")
    assert composed.encode("e\u0301") == plain.encode("é") != plain.encode("e\u0301")
    assert composed.offsets("e\u0301") == [(0, 1), (0, 1)]


def test_control_characters_without_a_token_are_left_out_as_tokenizers_does(tmp_path):
    """SmolLM2's vocabulary has no token for 21 bytes: control characters, and bytes that begin no character."""
    import tokenizers

    whole, _ = train_bpe(
        [mixed_text(seed, 200) for seed in range(6)], vocab_size=400, split="smollm", specials=("<|endoftext|>",)
    )
    data = json.loads(whole.save(tmp_path).read_text(encoding="utf-8"))
    lacking = {to_visible(bytes([byte])) for byte in (4, 6, 0x13, 0xC0, 0xF1, 0xFF)}
    kept = [name for name in data["model"]["vocab"] if name not in lacking]
    data["model"]["vocab"] = {name: n for n, name in enumerate(kept)}
    data["added_tokens"][0]["id"] = data["model"]["vocab"]["<|endoftext|>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    ours, theirs = load_tokenizer(tmp_path), tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    draw = random.Random(3)
    for _ in range(60):
        text = "".join(
            draw.choice(["\x04", "\x06", "\x13", "the", " ", "e", "r\n", "\U00050000", "é"]) for _ in range(30)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ids, spans, found = ours.encode(text), ours.offsets(text), pieces(ours, text)
        assert ids == theirs.encode(text).ids
        assert [(piece.start, piece.end) for piece in found] == spans
        if not set(text) & {"\U00050000", "é"}:  # where a character is one byte, a span says it all
            left = [text[start:end].translate(dict.fromkeys([4, 6, 19])) for start, end in spans]
            assert left == [ours.decode([n]) for n in ids]
    with pytest.warns(UserWarning, match="2 bytes of this text have no token"):
        assert ours.decode(ours.encode("\x04hi\x06")) == "hi"
