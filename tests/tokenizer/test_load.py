"""Reading tokenizers: what is written comes back the same, and what cannot be right is refused in one sentence."""

from __future__ import annotations

import base64
import json
import random
import time

import pytest

from lmlab.tokenizer import load
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.byte_order import BYTES_IN_ORDER, from_visible, to_visible
from lmlab.tokenizer.load import load_tokenizer, tokenizer_from_gguf
from lmlab.tokenizer.save import tokenizer_json
from lmlab.tokenizer.split import SPLITS
from lmlab.tokenizer.vocabulary import tokenizer_from_merges
from tests.tokenizer.naive import naive_encode
from tests.tokenizer.random_text import mixed_text

TEXTS = [mixed_text(seed, 60) for seed in range(300, 310)]


@pytest.fixture(scope="module")
def tok():
    return train_bpe([mixed_text(seed, 150) for seed in range(4)], vocab_size=420, specials=RESERVED_SPECIALS)[0]


def same(one, other):
    assert other.vocab_size == one.vocab_size
    assert [other.token_bytes(n) for n in range(one.vocab_size)] == [one.token_bytes(n) for n in range(one.vocab_size)]
    assert other.split == one.split
    assert [other.encode(text) for text in TEXTS] == [one.encode(text) for text in TEXTS]


@pytest.mark.parametrize("split", SPLITS)
def test_a_saved_tokenizer_is_read_back(split, tmp_path):
    tokenizer, _ = train_bpe(
        [text.replace("<|endoftext|>", "") for text in TEXTS[:3]],
        vocab_size=330,
        split=split,
        specials=RESERVED_SPECIALS,
    )
    path = tokenizer.save(tmp_path / "new" / "folder")
    assert path.name == "tokenizer.json"
    for given in (path, path.parent):
        again = load_tokenizer(given)
        same(tokenizer, again)
        assert again.specials == tokenizer.specials
    again.save(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["tokenizer.json"]


def test_vocab_and_merges(tok, tmp_path):
    data = tokenizer_json(tok)["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(data["vocab"]), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *data["merges"], ""]), encoding="utf-8")
    for path in (tmp_path, tmp_path / "vocab.json", tmp_path / "merges.txt"):
        again = load_tokenizer(path)
        same(tok, again)
        assert again.specials == tok.specials
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(ValueError, match=r"merges\.txt that belongs to it is not there"):
        load_tokenizer(tmp_path)


def tiktoken_lines(tok):
    ordinary = [tok.token_bytes(n) for n in range(tok.vocab_size) if n not in tok.specials.values()]
    return [f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(ordinary)]


def test_a_tiktoken_file(tok, tmp_path):
    path = tmp_path / "ours.tiktoken"
    path.write_text("\n".join(tiktoken_lines(tok)) + "\n", encoding="utf-8")
    same(tok, load_tokenizer(path, split="gpt2", specials=tok.specials))
    with pytest.raises(ValueError, match="does not say its split; give split= one of gpt2"):
        load_tokenizer(path)


def test_openai_s_own_files_are_known_by_name_and_their_gaps_are_filled(tok, tmp_path, monkeypatch):
    monkeypatch.setitem(load._TIKTOKEN, "cl100k_base", (SPLITS["gpt4"], {"<|endoftext|>": 415}))
    path = tmp_path / "cl100k_base.tiktoken"
    lines = tiktoken_lines(tok)
    path.write_text("\n".join(lines), encoding="utf-8")
    again = load_tokenizer(path)
    assert again.split == SPLITS["gpt4"]
    assert (again.vocab_size, again.bos_id) == (416, 415)
    assert again.token_bytes(413) == b"<|unused 413|>"


def test_a_gguf_s_metadata(tok):
    written = [to_visible(tok.token_bytes(n)) for n in range(tok.vocab_size - 8)] + list(RESERVED_SPECIALS)
    fields = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": written,
        "tokenizer.ggml.token_type": [1] * (len(written) - 8) + [3] * 8,
        "tokenizer.ggml.merges": [" ".join(map(to_visible, pair)) for pair in tok.merge_pairs()],
    }
    same(tok, tokenizer_from_gguf(fields))
    for change, says in ({"tokenizer.ggml.model": "llama"}, "'llama'"), ({"tokenizer.ggml.pre": "tekken"}, "'tekken'"):
        with pytest.raises(ValueError, match=says):
            tokenizer_from_gguf(fields | change)


def test_the_alphabet_of_files():
    assert [to_visible(bytes([n])) for n in (32, 10, 0, 97, 255)] == ["Ġ", "Ċ", "Ā", "a", "ÿ"]
    assert all(from_visible(to_visible(bytes([n]))) == bytes([n]) for n in range(256))
    in_order = [to_visible(bytes([n])) for n in BYTES_IN_ORDER]
    assert in_order == sorted(in_order)


def write(tmp_path, data) -> str:
    path = tmp_path / "tokenizer.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def changed(tok, *keys, to):
    data = json.loads(json.dumps(tokenizer_json(tok)))
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return data


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}


@pytest.mark.parametrize(
    ("keys", "to", "says"),
    [
        (["model", "type"], "WordPiece", "'WordPiece'"),
        (["model", "type"], "Unigram", "'Unigram'"),
        (["model", "dropout"], 0.1, "dropout=0.1"),
        (["model", "byte_fallback"], True, "byte_fallback=True"),
        (["model", "continuing_subword_prefix"], "##", "continuing_subword_prefix"),
        (["model", "end_of_word_suffix"], "</w>", "end_of_word_suffix"),
        (["model", "vocab"], None, "no table 'vocab'"),
        (["model", "merges"], {}, "no list 'merges'"),
        (["model", "merges"], [["a"]], "merge 0"),
        (["model", "merges"], [7], "merge 0"),
        (["model"], None, "no section 'model'"),
        (["normalizer"], {"type": "Lowercase"}, "'Lowercase'"),
        (["normalizer"], {"type": "Sequence", "normalizers": [{"type": "NFD"}]}, "'Sequence'"),
        (["pre_tokenizer"], None, "does not end in 'ByteLevel'"),
        (["pre_tokenizer"], {"type": "Metaspace"}, "'Metaspace'"),
        (["pre_tokenizer"], BYTE_LEVEL | {"add_prefix_space": True}, "add_prefix_space"),
        (
            ["pre_tokenizer"],
            {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, BYTE_LEVEL]},
            "'Whitespace'",
        ),
        (["decoder"], {"type": "Metaspace"}, "'Metaspace'"),
        (["added_tokens"], [{"content": "<x>", "id": 1, "lstrip": True, "special": True}], "lstrip"),
        (["added_tokens"], [{"content": "  ", "id": 1}], "stands for plain text"),
        (["added_tokens"], [{"content": "<x>", "id": [1], "special": True}], r"id \[1\]"),
        (["added_tokens"], [{"id": 1}], "no content"),
        (["something"], 1, "'something' is not known"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(tok, tmp_path, keys, to, says):
    with pytest.raises(ValueError, match=says) as error:
        load_tokenizer(write(tmp_path, changed(tok, *keys, to=to)))
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_vocabulary_with_mistakes_is_refused(tok, tmp_path):
    vocab, merges = tokenizer_json(tok)["model"]["vocab"], tokenizer_json(tok)["model"]["merges"]
    pairs = tok.merge_pairs()
    used = next(n for n, (a, b) in enumerate(pairs) if any(a + b in other for other in pairs))
    left, right = merges[0].split(" ")
    cases = [
        ("vocab", {name: n for name, n in vocab.items() if n != 65}, "no token has the id 65"),
        ("vocab", {name: (256 if n == 65 else n) for name, n in vocab.items()}, "id 256 is both"),
        ("vocab", {("aXa" if n == 65 else name): n for name, n in vocab.items()}, "no token"),
        ("vocab", vocab | {"世": len(vocab)}, "stands for no byte"),
        ("vocab", vocab | {"a": "7"}, "ids are whole numbers"),
        ("vocab", vocab | {"aa~": -1}, "no id"),
        ("vocab", vocab | {"aa~": 10**12}, "no id"),
        ("vocab", vocab | {"": len(vocab)}, "is empty"),
        ("merges", [*merges[1:], f"{left}{right}{left} a"], "is no token"),
        ("merges", merges[::-1], "can never happen"),
        ("merges", merges[:used] + merges[used + 1 :], "can never happen"),
    ]
    for key, value, says in cases:
        with pytest.raises(ValueError, match=says):
            load_tokenizer(write(tmp_path, changed(tok, "model", key, to=value)))


def test_several_pairs_for_one_token_are_read_where_one_of_them_is_possible(tok):
    pairs = tok.merge_pairs()
    tokens = {n: tok.token_bytes(n) for n in range(tok.vocab_size)}
    made = {left + right for left, right in pairs} | {bytes([n]) for n in range(256)}
    doubled = []
    for left, right in pairs:
        token = left + right
        splits = [(token[:n], token[n:]) for n in range(1, len(token)) if token[:n] in made and token[n:] in made]
        doubled += random.Random(token).sample(splits, len(splits))
    assert len(doubled) > len(pairs)
    again = tokenizer_from_merges(tokens, doubled, split=tok.split, specials=tok.specials)
    assert [again.encode(text) for text in TEXTS] == [tok.encode(text) for text in TEXTS]


@pytest.mark.parametrize("seed", range(40))
def test_a_merge_is_refused_exactly_if_the_textbook_s_loop_never_makes_it(seed):
    rng = random.Random(seed)
    made = [b"a", b"b"]
    merges = []
    for _ in range(rng.randrange(2, 9)):
        pair = rng.choice(made), rng.choice(made)
        if pair[0] + pair[1] not in made:
            merges.append(pair)
            made.append(pair[0] + pair[1])
    possible = all(naive_encode(a + b, merges[:n]) == [a, b] for n, (a, b) in enumerate(merges))
    tokens = dict(enumerate([*(bytes([n]) for n in range(256)), *(a + b for a, b in merges)]))
    if not possible:
        with pytest.raises(ValueError, match="can never happen"):
            tokenizer_from_merges(tokens, merges, split="none", specials={})
        return
    tokenizer = tokenizer_from_merges(tokens, merges, split="none", specials={})
    for _ in range(20):
        data = "".join(rng.choices("ab", k=rng.randrange(1, 30)))
        assert [tokenizer.token_bytes(n) for n in tokenizer.encode(data)] == naive_encode(data.encode(), merges)


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "null", "[]", "7", '{"model": 1}', "\x00", '"\\ud800"'])
def test_what_is_no_tokenizer_file_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match=r"tokenizer\.json is not read"):
        load_tokenizer(write(tmp_path, content))


def test_files_that_are_not_there_or_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_tokenizer(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match="holds no tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ValueError, match="no UTF-8"):
        load_tokenizer(tmp_path)
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that takes no room
    with pytest.raises(ValueError, match="1,099,511,627,776 bytes"):
        load_tokenizer(tmp_path)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ValueError, match=r"lab\.load"):
        load_tokenizer(tmp_path / "model.gguf")


@pytest.mark.parametrize("line", ["YQ==", "YQ== x", "!! 1", "YQ== 1 2", "YQ== -1"])
def test_a_tiktoken_file_with_a_wrong_line_is_refused(tok, tmp_path, line):
    path = tmp_path / "x.tiktoken"
    path.write_text("\n".join([*tiktoken_lines(tok), line]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 413|no id"):
        load_tokenizer(path, split="gpt2")


def test_a_tiktoken_file_with_an_impossible_token_is_refused(tok, tmp_path):
    path = tmp_path / "x.tiktoken"
    never = base64.b64encode(b"zqzqzqzq").decode()
    path.write_text("\n".join([*tiktoken_lines(tok), f"{never} {tok.vocab_size - 8}"]), encoding="utf-8")
    with pytest.raises(ValueError, match="can never be made"):
        load_tokenizer(path, split="gpt2")


def test_a_vocabulary_made_to_be_slow_is_refused_in_time(tmp_path):
    merges = [("a" * n, "a") for n in range(1, 5000)]
    tokens = {n: bytes([n]) for n in range(256)} | {255 + n: b"a" * (n + 1) for n in range(1, 5000)}
    start = time.process_time()
    pairs = [(a.encode(), b.encode()) for a, b in merges]
    with pytest.raises(ValueError, match=r"never happen|too long and too many"):
        tokenizer_from_merges(tokens, pairs, split="gpt2", specials={})
    lines = [f"{base64.b64encode(token).decode()} {n}" for n, token in sorted(tokens.items())]
    (tmp_path / "x.tiktoken").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=r"never be made|too long and too many"):
        load_tokenizer(tmp_path / "x.tiktoken", split="gpt2")
    assert time.process_time() - start < 10
