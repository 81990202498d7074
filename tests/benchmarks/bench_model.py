"""The transformer at the sizes of others: SmolLM2's shape and nanoGPT's recipes, in CPU seconds.

    python -m tests.benchmarks.bench_model

The peer is transformers, and nanoGPT where NANOGPT names a checkout. Both sides run in turn within one process, on
one thread, and the medians are compared: above 1.00 ours is faster. (bench_core has the lab's own size.)
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from lmlab.models.families import family_for
from lmlab.models.kv_cache import KVCache
from lmlab.models.transformer import Transformer, TransformerConfig

SMOLLM2 = TransformerConfig(
    vocab_size=49152, max_seq_len=2048, d_model=576, n_layers=30, n_heads=9, n_kv_heads=3, d_ff=1536
)  # the shape of SmolLM2-135M
SMALL_STEP = {"vocab_size": 2048, "d_model": 128, "n_layers": 4, "n_heads": 4, "max_seq_len": 64}
LARGE_STEP = {"vocab_size": 65, "d_model": 384, "n_layers": 6, "n_heads": 6, "max_seq_len": 256}
GPT2 = {"norm": "layer", "position": "learned", "mlp": "gelu", "bias": True}


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


def training_step(name: str, shape: dict[str, int], B: int) -> None:
    """Forward and backward (what a model can be blamed for; optimizers are alike)."""
    T, V = shape["max_seq_len"], shape["vocab_size"]
    ids = torch.randint(0, V, (B, T + 1))
    ours = Transformer(TransformerConfig(**shape, **GPT2))
    rounds = 20 if shape["d_model"] < 200 else 5

    def step(model: Any, logits: Callable[[], torch.Tensor]) -> None:
        F.cross_entropy(logits().view(-1, V), ids[:, 1:].reshape(-1)).backward()
        model.zero_grad(set_to_none=True)

    peers = {"transformers": hf_model(ours.config).eval()}  # eval: its dropout would be work that ours has not
    if nanogpt := _nanogpt(shape):
        peers["nanoGPT"] = nanogpt
    for peer, model in peers.items():
        theirs = (
            (lambda m=model: m(ids[:, :-1]).logits) if peer == "transformers" else (lambda m=model: _logits(m, ids))
        )
        line = ratio(lambda m=model, t=theirs: step(m, t), lambda: step(ours, lambda: ours(ids[:, :-1])), rounds)
        print(f"{name} against {peer:12}", line)


def _nanogpt(shape: dict[str, int]) -> Any:
    folder = os.environ.get("NANOGPT")
    if not folder:
        print("nanoGPT: not measured (set NANOGPT to its checkout)")
        return None
    sys.path.insert(0, folder)
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    return GPT(
        GPTConfig(
            block_size=shape["max_seq_len"], vocab_size=shape["vocab_size"], n_layer=shape["n_layers"],
            n_head=shape["n_heads"], n_embd=shape["d_model"], dropout=0.0, bias=True,
        )
    )  # fmt: skip


def _logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model(ids[:, :-1], targets=ids[:, 1:])[0]  # without targets it gives the last place alone
    return logits


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    training_step("training step, 0.8M, T 64 ", SMALL_STEP, 12)
    training_step("training step, 10.7M, T 256", LARGE_STEP, 8)
    prompts_and_decoding()
