"""The transformer at SmolLM2's shape, prompts and decoding, in CPU seconds: `python -m tests.benchmarks.bench_model`.

The peer is transformers. Both sides run in turn within one process, on one thread, and the medians are compared:
above 1.00 ours is faster. (bench_core has the lab's own size, bench_training what a training step takes.)
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from lmlab.models.families import family_for
from lmlab.models.kv_cache import KVCache
from lmlab.models.transformer import Transformer, TransformerConfig

SMOLLM2 = TransformerConfig(
    vocab_size=49152, max_seq_len=2048, d_model=576, n_layers=30, n_heads=9, n_kv_heads=3, d_ff=1536
)  # the shape of SmolLM2-135M


def ratio(theirs: Callable[[], object], ours: Callable[[], object], rounds: int) -> str:
    """Median CPU milliseconds of both, alternately, and theirs over ours."""
    theirs(), ours()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for run, seconds in zip((theirs, ours), times, strict=True):
            start = time.process_time()
            run()
            seconds.append(time.process_time() - start)
    a, b = (1000 * statistics.median(seconds) for seconds in times)
    return f"theirs {a:9.2f} ms   ours {b:9.2f} ms   ratio {a / b:5.2f}"


def hf_model(config: TransformerConfig) -> Any:
    """The same shape in transformers, random weights."""
    import transformers

    family = family_for(config)
    settings = {key: value for key, value in family.to_hf(config).items() if key != "architectures"}
    hf_config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    return transformers.AutoModelForCausalLM.from_config(hf_config).float()


@torch.no_grad()
def prompts_and_decoding() -> None:
    theirs, ours = hf_model(SMOLLM2).eval(), Transformer(SMOLLM2)
    for T in (16, 64, 256):
        ids = torch.randint(0, 49152, (1, T))
        print(f"prompt of {T:3} tokens, SmolLM2   ", ratio(lambda: theirs(ids), lambda: ours(ids), 3))  # noqa: B023
    ids = torch.randint(0, 49152, (1, 16))

    def decode_theirs() -> None:
        past = theirs(ids, use_cache=True).past_key_values
        for _ in range(16):
            past = theirs(ids[:, :1], past_key_values=past, use_cache=True).past_key_values

    def decode_ours() -> None:
        cache = KVCache()
        ours(ids, cache=cache)
        for _ in range(16):
            ours(ids[:, :1], cache=cache)

    print("16 + 16 tokens, SmolLM2        ", ratio(decode_theirs, decode_ours, 3))


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    prompts_and_decoding()
