"""Ours against the libraries that the field uses: tokenizers (Hugging Face) and tiktoken (OpenAI).

Merges must be equal to those of tokenizers' trainer, ids to those of both libraries, on text of every kind.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import lmlab
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.byte_order import to_visible
from lmlab.tokenizer.load import load_tokenizer
from lmlab.tokenizer.split import SPLITS
from lmlab.tokenizer.tokenizer import Tokenizer
from tests.tokenizer.random_text import mixed_text

tokenizers = pytest.importorskip("tokenizers")
tiktoken = pytest.importorskip("tiktoken")


def theirs(split: str):
    """An untrained byte-level BPE of tokenizers with the given split."""
    from tokenizers import Regex, models, pre_tokenizers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    if split == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        cut = pre_tokenizers.Split(Regex(SPLITS[split]), "isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, byte_level])
    return tokenizer


def their_merges(documents: list[str], vocab_size: int, split: str = "gpt2"):
    from tokenizers import pre_tokenizers, trainers

    tokenizer = theirs(split)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer, [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def our_merges(log) -> list[tuple[str, str]]:
    return [(to_visible(event.left), to_visible(event.right)) for event in log]


def corpus(seed: int) -> list[str]:
    rng = random.Random(seed)
    if seed % 4 == 0:  # few letters and long runs: ties and overlapping pairs
        return ["".join(rng.choices("aab c!", k=rng.randrange(1, 300))) for _ in range(20)]
    return [mixed_text(100 * seed + n, 80) for n in range(12)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore:this text has only")
def test_merges_equal_those_of_tokenizers_to_the_last_one(seed):
    documents = corpus(seed)
    _, log = train_bpe(documents, vocab_size=4000, specials=())  # more than most of these texts have
    assert our_merges(log) == their_merges(documents, 4000)[1]
    assert len(log) > 250


@pytest.mark.parametrize("split", SPLITS)
def test_merges_are_equal_with_every_split(split):
    documents = corpus(5)
    _, log = train_bpe(documents, vocab_size=500, split=split, specials=())
    assert our_merges(log) == their_merges(documents, 500, split)[1]


@pytest.mark.slow
def test_merges_are_equal_on_the_source_of_this_library():
    folder = Path(lmlab.__file__).parent
    documents = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))]
    _, log = train_bpe(documents, vocab_size=6000, specials=())
    assert our_merges(log) == their_merges(documents, 6000)[1]


@pytest.mark.parametrize("split", SPLITS)
def test_a_saved_file_gives_the_same_ids_in_tokenizers(split, tmp_path):
    documents = [document.replace("<|endoftext|>", "") for document in corpus(1)]
    ours, _ = train_bpe(documents, vocab_size=600, split=split, specials=RESERVED_SPECIALS)
    reference = tokenizers.Tokenizer.from_file(str(ours.save(tmp_path)))
    assert reference.get_vocab_size() == ours.vocab_size
    for seed in range(40):
        text = mixed_text(5000 + seed, 60).replace("<|endoftext|>", "")
        encoded = reference.encode(text)
        assert ours.encode(text) == encoded.ids
        assert reference.decode(encoded.ids) == text
    marked = "a<|user|>b <|end|><|endoftext|>"
    assert ours.encode(marked, allow_special=True) == reference.encode(marked).ids


@pytest.mark.parametrize("split", SPLITS)
def test_a_file_of_tokenizers_gives_the_same_ids_here(split, tmp_path):
    reference, _ = their_merges(corpus(2), 600, split)
    reference.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    for seed in range(40):
        text = mixed_text(6000 + seed, 60)
        assert ours.encode(text) == reference.encode(text).ids


def test_a_file_with_digits_one_by_one_gives_the_same_ids_here(tmp_path):
    from tokenizers import pre_tokenizers

    reference, _ = their_merges(corpus(3), 600)
    digits = pre_tokenizers.Digits(individual_digits=True)
    reference.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    reference.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    assert ours.split == SPLITS["smollm"]
    for seed in range(40):
        text = mixed_text(7000 + seed, 60) + " 12 3 ٣٤"
        assert ours.encode(text) == reference.encode(text).ids


def test_offsets_equal_those_of_tokenizers(tmp_path):
    ours, _ = train_bpe(corpus(1), vocab_size=600, specials=())
    reference = tokenizers.Tokenizer.from_file(str(ours.save(tmp_path)))
    from tokenizers import processors

    reference.post_processor = processors.ByteLevel(trim_offsets=False)
    for seed in range(10):
        text = mixed_text(8000 + seed, 40)
        assert ours.offsets(text) == reference.encode(text).offsets


def as_tiktoken(ours: Tokenizer):
    special_ids = set(ours.specials.values())
    ranks = {ours.token_bytes(n): n for n in range(ours.vocab_size) if n not in special_ids}
    return tiktoken.Encoding("ours", pat_str=ours.split, mergeable_ranks=ranks, special_tokens=ours.specials)


@pytest.mark.parametrize("split", SPLITS)
def test_ids_equal_those_of_tiktoken(split):
    documents = [document.replace("<|endoftext|>", "") for document in corpus(1)]
    ours, _ = train_bpe(documents, vocab_size=600, split=split, specials=RESERVED_SPECIALS)
    reference = as_tiktoken(ours)
    for seed in range(40):
        text = mixed_text(9000 + seed, 60)
        assert ours.encode(text) == reference.encode_ordinary(text)
        assert ours.decode(ours.encode(text)) == reference.decode(reference.encode_ordinary(text))
        marked = text.replace(" ", "<|user|>", 3)
        assert ours.encode(marked, allow_special=True) == reference.encode(marked, allowed_special="all")


def test_long_words_and_runs_have_the_ids_of_tiktoken():
    rng = random.Random(0)
    ours, _ = train_bpe([*corpus(1), "a" * 900, " " * 900, "ab" * 400], vocab_size=700, specials=())
    reference = as_tiktoken(ours)
    runs = ["a" * 20_001, " " * 20_001, "ab" * 9_999 + "a", "\n" * 7_001 + "x", "😀" * 3_001]
    runs += ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=20_000)), "".join(rng.choices("世界你好", k=5_000))]
    for text in runs:
        assert ours.encode(text) == reference.encode_ordinary(text)


def test_a_tiktoken_table_reads_back_to_the_same_ids(tmp_path):
    import base64

    reference, _ = train_bpe(corpus(6), vocab_size=700, specials=())
    table = as_tiktoken(reference)
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in table._mergeable_ranks.items()]
    (tmp_path / "x.tiktoken").write_text("".join(lines), encoding="utf-8")
    ours = load_tokenizer(tmp_path, split="gpt2")
    for seed in range(20):
        text = mixed_text(10_000 + seed, 60)
        assert ours.encode(text) == table.encode_ordinary(text)
