"""Ours against the libraries that the field uses: tokenizers (Hugging Face) and tiktoken (OpenAI).

Merges must be equal to those of tokenizers' trainer, ids to those of both libraries, on text of every kind.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

import lmlab
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.byte_order import to_visible
from lmlab.tokenizer.load import load_tokenizer
from lmlab.tokenizer.split import SPLITS
from lmlab.tokenizer.tokenizer import Tokenizer
from tests.tokenizer.random_text import malformed_text, mixed_text

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


# ---------------------------------------------------------------- drawn anew at each run

SEED = random.randrange(10**6)


def check_ids_and_text(ours: Tokenizer, reference: Any, rng: random.Random, n_texts: int) -> None:
    """The ids of clean and of damaged text, their text again, and the text of ids that no text has."""
    for n in range(n_texts):
        draw = rng.randrange(10**9)
        text = malformed_text(draw) if n % 3 == 0 else mixed_text(draw, 60)
        text = re.sub("|".join(map(re.escape, ours.specials)), "", text) if ours.specials else text
        ids = ours.encode(text)
        assert ids == reference.encode(text, add_special_tokens=False).ids
        assert ours.decode(ids) == reference.decode(ids, skip_special_tokens=False)
        wild = [rng.randrange(ours.vocab_size) for _ in range(30)]
        assert ours.decode(wild) == reference.decode(wild, skip_special_tokens=False)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.filterwarnings("ignore:this text has only")
def test_any_trained_tokenizer_has_the_ids_and_the_text_of_tokenizers(split: str, tmp_path: Path):
    print(f"seed {SEED}")
    rng = random.Random(f"{SEED} {split}")
    documents = [mixed_text(rng.randrange(10**9), 100).replace("<|endoftext|>", "") for _ in range(8)]
    ours, _ = train_bpe(documents, vocab_size=rng.randrange(300, 1500), split=split, specials=RESERVED_SPECIALS)
    reference = tokenizers.Tokenizer.from_file(str(ours.save(tmp_path)))
    check_ids_and_text(ours, reference, rng, 60)


def rule_of_smollm2(fields: dict[str, Any]) -> Any:
    """The tokenizer that a GGUF file describes, put together from tokenizers' own parts: digits one by one, GPT-2."""
    from tokenizers import AddedToken, decoders, models, pre_tokenizers

    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"]]
    reference = tokenizers.Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reference.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    reference.decoder = decoders.ByteLevel()
    kinds = zip(tokens, fields["tokenizer.ggml.token_type"], strict=True)
    reference.add_special_tokens([AddedToken(token, normalized=False) for token, kind in kinds if kind == 3])
    return reference


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* of this text have no token:UserWarning")
def test_smollm2_has_the_ids_of_its_own_rule_in_tokenizers(smollm2: Path):
    """Both as its file describes it and as we save it. (transformers' own reading of GGUF drops the digits' rule.)"""
    from gguf import GGUFReader

    print(f"seed {SEED}")
    (path,) = smollm2.glob("*.gguf")
    fields = {name: field.contents() for name, field in GGUFReader(path).fields.items() if "tokenizer" in name}
    assert fields["tokenizer.ggml.pre"] == "smollm"
    ours, rng = load_tokenizer(smollm2), random.Random(SEED)
    for reference in (rule_of_smollm2(fields), tokenizers.Tokenizer.from_file(str(smollm2 / "tokenizer.json"))):
        assert reference.get_vocab_size() == ours.vocab_size == 49_152
        check_ids_and_text(ours, reference, rng, 150)
        marked = "<|im_start|>user\nHi 1234<|im_end|><|endoftext|>"
        assert ours.encode(marked, allow_special=True) == reference.encode(marked).ids
