"""The core beside its peers, measured side by side in one run: `python -m tests.benchmarks.bench_core [NAME …]`.

Each row alternates ours and the peer's, and gives the ratio of medians of time (under 1.00: ours is faster). The
text is the source of Python's standard library, which every machine has. Nothing here is asserted by a test:
times belong to a machine and a moment, ratios less so.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import lmlab as lab

VOCAB_SIZE = 4096


@dataclass(frozen=True)
class Row:
    """One piece of work, ours and the peer's, and what the ratio should reach."""

    work: str
    peer: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    goal: float
    repeats: int = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="rows whose work begins so")
    names = parser.parse_args().names
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, Python {sys.version.split()[0]}\n")
    print("| work | ours, s | peer | peer, s | ratio | goal |\n| --- | --- | --- | --- | --- | --- |")
    for make in (tokenizer_rows, model_rows, start_rows):
        for row in make():
            if not names or any(row.work.lower().startswith(name.lower()) for name in names):
                print(measured(row), flush=True)


def measured(row: Row) -> str:
    """Ours and theirs in turn, so that what else the machine does falls on both; the first of each is warm-up."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(row.repeats + 1):
        for run, seconds in zip((row.ours, row.theirs), times, strict=True):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
    ours, theirs = (statistics.median(seconds[1:]) for seconds in times)
    verdict = "" if ours <= row.goal * theirs else " (missed)"
    return f"| {row.work} | {ours:.3f} | {row.peer} | {theirs:.3f} | {ours / theirs:.2f} | {row.goal:.2f}{verdict} |"


def text_of(megabytes: float) -> str:
    """The beginning of the standard library's source, file after file."""
    parts: list[str] = []
    n = 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        part = path.read_text(encoding="utf-8", errors="replace")
        parts.append(part)
        n += len(part)
        if n > megabytes * 1e6:
            break
    return "\n".join(parts)[: int(megabytes * 1e6)]


def tokenizer_rows() -> list[Row]:
    import tokenizers
    from tokenizers import models, pre_tokenizers, trainers

    text = text_of(3)
    blocks = [text[i : i + 100_000] for i in range(0, len(text), 100_000)]

    def rust() -> tokenizers.Tokenizer:
        peer = tokenizers.Tokenizer(models.BPE())
        peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, show_progress=False, initial_alphabet=alphabet)
        peer.train_from_iterator(blocks, trainer)
        return peer

    tok, _ = lab.train_bpe(text, vocab_size=VOCAB_SIZE)
    tiktoken = tiktoken_of(tok)
    peer = rust()
    sample = text[:1_000_000]
    word = "abcdefghij" * 10_000

    def ours() -> None:
        tok.encode(sample)

    def ours_word() -> None:
        tok.encode(word)

    return [
        Row("BPE training, 3 MB, V = 4,096", "tokenizers", lambda: lab.train_bpe(text, VOCAB_SIZE), rust, 0.9, 3),
        Row("BPE encoding, 1 MB", "tiktoken", ours, lambda: tiktoken.encode_ordinary(sample), 1.05),
        Row("BPE encoding, 1 MB", "tokenizers", ours, lambda: peer.encode(sample), 0.2),
        Row("BPE encoding, one word of 100,000 letters", "tokenizers", ours_word, lambda: peer.encode(word), 1.0),
    ]


def tiktoken_of(tok: lab.Tokenizer) -> object:
    """tiktoken with our vocabulary, so that both do the same work."""
    import tiktoken

    n = tok.vocab_size - len(tok.specials)
    ranks = {tok.token_bytes(id): id for id in range(n)}
    return tiktoken.Encoding("lmlab", pat_str=lab.SPLIT_GPT2, mergeable_ranks=ranks, special_tokens={})


def model_rows() -> list[Row]:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = lab.TransformerConfig.tiny(vocab_size=2048)
    ours = lab.Transformer(config, seed=0)
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=2048,
            hidden_size=config.d_model,
            intermediate_size=config.d_ff,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            max_position_embeddings=config.max_seq_len,
            tie_word_embeddings=config.tie_embeddings,
        )
    )
    ids = torch.randint(0, 2048, (12, 65), generator=torch.Generator().manual_seed(0))
    prompt = ids[:1, :64]

    def step(model: torch.nn.Module, logits: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], None]:
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)

        def run() -> None:
            for _ in range(5):
                out = logits(ids[:, :-1])
                torch.nn.functional.cross_entropy(out.flatten(0, 1).float(), ids[:, 1:].flatten()).backward()
                optimizer.step()
                optimizer.zero_grad()

        return run

    def ours_forward() -> None:
        with torch.no_grad():
            for _ in range(20):
                ours(prompt)

    def theirs_forward() -> None:
        with torch.no_grad():
            for _ in range(20):
                theirs(prompt, use_cache=False)

    peer_step = step(theirs, lambda x: theirs(x).logits)
    return [
        Row("training, 5 steps, T 64, B 12", "transformers", step(ours, ours), peer_step, 1.0),
        Row("prompt of 64 tokens, 20 times", "transformers", ours_forward, theirs_forward, 1.0),
    ]


def start_rows() -> list[Row]:
    """In fresh processes: what a person waits for. The peer is torch, which both wait for."""

    def fresh(code: str) -> Callable[[], None]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True) and None

    nothing, torch_alone = fresh("pass"), fresh("import torch")
    first = fresh("import torch, lmlab; lmlab.load('town').next('the stock market crashed and investors')")
    return [
        Row("import lmlab", "an empty Python", fresh("import lmlab"), nothing, 3.0),
        Row("first distribution of town", "import torch", first, torch_alone, 2.0),
    ]


if __name__ == "__main__":
    main()
