"""Byte-pair encoding against tokenizers (Rust, two threads) and tiktoken (Rust), side by side in one run.

    python -m tests.benchmarks.bench_tokenizer [--text FILE] [--times 5]

Ratios of medians; every row first checks that the results are equal. Without --text the text is 5 MB of doc strings
of the installed packages. On a machine that is busy read the CPU column: it says what each side had to compute.
Goals: training 0.9 of tokenizers' time or less; encoding 0.95 of tiktoken's speed warm, 0.5 cold.
"""

from __future__ import annotations

import argparse
import ast
import random
import statistics
import sysconfig
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import tiktoken
from tokenizers import Tokenizer as TheirTokenizer
from tokenizers import models, pre_tokenizers, trainers

from lmlab.tokenizer.bpe import train_bpe
from lmlab.tokenizer.tokenizer import REMEMBER_CHUNKS_FROM, Tokenizer

N_BYTES = 5_000_000


def doc_strings() -> str:
    found: list[str] = []
    warnings.simplefilter("ignore")
    for folder in ("stdlib", "purelib"):
        for path in sorted(Path(sysconfig.get_paths()[folder]).rglob("*.py")):
            if sum(map(len, found)) > N_BYTES:
                return "\n\n".join(found)[:N_BYTES]
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, ValueError, RecursionError):
                continue
            documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
            nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
            found.append("\n\n".join(filter(None, map(ast.get_docstring, nodes))))
    return "\n\n".join(found)[:N_BYTES]


class Race:
    """Two contestants in turn, several times: medians of wall and CPU seconds."""

    def __init__(self, ours: Callable[[], object], theirs: Callable[[], object], times: int) -> None:
        rows = [(*self._clock(ours), *self._clock(theirs)) for _ in range(times)]
        self.our_wall, self.our_cpu, self.their_wall, self.their_cpu = map(statistics.median, zip(*rows, strict=True))

    @staticmethod
    def _clock(run: Callable[[], object]) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        return time.perf_counter() - wall, time.process_time() - cpu

    def report(self, name: str) -> None:
        print(
            f"{name:<44} wall {self.our_wall:6.2f} / {self.their_wall:6.2f} s = {self.our_wall / self.their_wall:4.2f}"
            f"   CPU {self.our_cpu:6.2f} / {self.their_cpu:6.2f} s = {self.our_cpu / self.their_cpu:4.2f}"
        )


def train_theirs(text: str, vocab_size: int) -> TheirTokenizer:
    tokenizer = TheirTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    cuts = [0, *(text.rfind("\n", 0, n) for n in range(50_000, len(text), 50_000)), len(text)]
    parts = [text[start:end] for start, end in pairwise(cuts)]  # so that both its threads work
    tokenizer.train_from_iterator(parts, trainer)
    return tokenizer


def training(text: str, times: int) -> None:
    for vocab_size in (4_096, 32_768):
        race = Race(
            lambda size=vocab_size: train_bpe(text, size, specials=()),
            lambda size=vocab_size: train_theirs(text, size),
            times,
        )
        race.report(f"training, V = {vocab_size:,}, against tokenizers")


def encoding(text: str, times: int) -> None:
    ours, log = train_bpe(text, 32_768, specials=())
    table = {ours.token_bytes(n): n for n in range(ours.vocab_size)}
    theirs = tiktoken.Encoding("ours", pat_str=ours.split, mergeable_ranks=table, special_tokens={})
    for _ in range(1 + REMEMBER_CHUNKS_FROM // len(text)):  # what is warm has seen that much
        assert ours.encode(text) == theirs.encode_ordinary(text)
    ours.encode(text)

    def fresh() -> Tokenizer:
        return Tokenizer(token_bytes=log.token_bytes, ranks=log.ranks, split=log.split, specials={})

    Race(lambda: fresh().encode(text), lambda: theirs.encode_ordinary(text), times).report("encoding, cold, tiktoken")
    Race(lambda: ours.encode(text), lambda: theirs.encode_ordinary(text), times).report("encoding, warm, tiktoken")
    path = ours.save(Path(__file__).parent / "results" / "tokenizer.json")
    reference = TheirTokenizer.from_file(str(path))
    part = text[:500_000]
    assert reference.encode(part).ids == ours.encode(part)
    Race(lambda: fresh().encode(part), lambda: reference.encode(part), times).report(
        "encoding 0.5 MB, cold, tokenizers"
    )
    Race(lambda: ours.encode(part), lambda: reference.encode(part), times).report("encoding 0.5 MB, warm, tokenizers")
    long_words(ours, theirs)


def long_words(ours: Tokenizer, theirs: tiktoken.Encoding) -> None:
    rng = random.Random(0)
    kinds = {
        "one letter": "a" * 1_000_000,
        "random letters": "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=1_000_000)),
        "spaces": " " * 1_000_000,
        "emoji": "😀👨‍👩‍👧" * 45_000,
        "Chinese": "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(333_333)),
        "random bytes": rng.randbytes(600_000).decode("latin-1"),
    }
    for name, text in kinds.items():
        seconds = []
        for part in (text[: len(text) // 2], text):
            start = time.process_time()
            ours.encode(part)
            seconds.append(time.process_time() - start)
        print(f"1 MB word of {name:<31} CPU {seconds[1]:6.2f} s, double costs {seconds[1] / seconds[0]:4.2f}")
        if name != "spaces":  # on which tiktoken panics
            assert ours.encode(text[:50_000]) == theirs.encode_ordinary(text[:50_000])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    text = arguments.text.read_text(encoding="utf-8") if arguments.text else doc_strings()
    print(f"{len(text.encode()) / 1e6:.1f} MB of text, medians of {arguments.times}")
    training(text, arguments.times)
    encoding(text, arguments.times)


if __name__ == "__main__":
    main()
