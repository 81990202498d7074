"""SmolLM2 beside transformers and llama.cpp: `python -m tests.benchmarks.bench_open_weights [ROW …]`.

Rows: bandwidth, load, prompt, decode, agreement. One thread, CPU seconds (what else the machine does falls out of a
ratio, if not of the seconds), in turns, medians. llama.cpp is measured where LLAMA_CPP names a Python that has
llama-cpp-python. A row prints as soon as it is done, and can be asked for alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import torch.nn.functional as F

from lmlab.models.precision import PRECISIONS, at_precision
from lmlab.models.transformer import Transformer
from lmlab.sampling import GREEDY, generate
from lmlab.training.throughput import peak_of
from lmlab.user_folder import cache_folder

torch.set_num_threads(1)
FOLDER = cache_folder() / "smollm2"
CPU = torch.device("cpu")
HAS_BF16 = peak_of(CPU, torch.bfloat16).flops > peak_of(CPU, torch.float32).flops
PACKED = [name for name in PRECISIONS if name not in ("fp32", "auto")]
TEXT = (
    "The sea was indistinguishable from the sky, except that it was slightly creased as if a cloth had wrinkles in it. "
    "In economics, inflation is a general increase in the prices of goods and services; the opposite is deflation. "
    "Photosynthesis turns light into chemical energy. The capital of France is Paris, and it stands on the Seine. "
)


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of this thread."""
    start = time.thread_time()
    work()
    return 1000 * (time.thread_time() - start)


def in_turns(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, a round after the other, the first round thrown away."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            found = work()
            if turn:
                times[name].append(found)
    return times


def report(times: dict[str, list[float]], peer: str, what: str, extra: dict[str, str] | None = None) -> None:
    """A line each: the median, and how many times as fast as the peer, the median over rounds."""
    for name, found in times.items():
        ratio = statistics.median(theirs / ours for theirs, ours in zip(times[peer], found, strict=True))
        note = (extra or {}).get(name, "")
        print(f"{what} {name:20s} {statistics.median(found):8.1f} ms  {ratio:5.2f} times {peer} {note}", flush=True)


class Models:
    """Ours at each precision and transformers' in two, opened when first asked for."""

    def __init__(self) -> None:
        self._opened: dict[str, Any] = {}

    def ours(self, precision: str) -> Transformer:
        if precision not in self._opened:
            from lmlab import load

            if precision == "fp32":
                self._opened[precision] = load("smollm2").model
            else:
                self._opened[precision] = at_precision(self.ours("fp32"), precision)
        model: Transformer = self._opened[precision]
        return model

    def theirs(self, precision: str) -> Any:
        name = f"transformers {precision}"
        if name not in self._opened:
            from transformers import AutoModelForCausalLM

            dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
            self._opened[name] = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=dtype).eval()
        return self._opened[name]

    @staticmethod
    def ids(T: int) -> torch.Tensor:
        from lmlab import load

        ids = torch.as_tensor(load("smollm2").tokenizer.encode(TEXT * 4))
        return ids[:T]


def bandwidth(_: Models | None = None) -> float:
    """Bytes a second that one thread reads, from memory: the sum of 400 MB, the best of seven."""
    numbers = torch.ones(100_000_000)
    best = min(cpu_ms(numbers.sum) for _ in range(7))
    print(f"bandwidth: one thread reads {numbers.nbytes / best / 1e6:.1f} GB/s", flush=True)
    return numbers.nbytes / best * 1000


def load_row(_: Models) -> None:
    """CPU seconds after the libraries are imported, and the process's peak of memory, each in one of its own."""
    gguf = next(FOLDER.glob("*.gguf"), None)
    scripts = {
        "lmlab, from the cache": ("import lmlab, torch, lmlab.models.load", "lmlab.load('smollm2')"),
        "transformers, from the same folder": (
            "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T",
            f"M.from_pretrained({str(FOLDER)!r}), T.from_pretrained({str(FOLDER)!r})",
        ),
    }
    if gguf is not None:
        scripts["lmlab, the GGUF file"] = (scripts["lmlab, from the cache"][0], f"lmlab.load({str(gguf)!r})")
        scripts["transformers, the GGUF file"] = (
            "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T",
            f"[c.from_pretrained({str(gguf.parent)!r}, gguf_file={gguf.name!r}) for c in (M, T)]",
        )
    measure = "import time\n{}\ns, w = time.process_time(), time.perf_counter()\nm = {}\n"
    measure += "print(f'{{time.process_time() - s:.2f}} s CPU ({{time.perf_counter() - w:.2f}} s), peak',"
    # Linux's own mark: what getrusage tells begins at the peak of the process that started this one.
    measure += " *[line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line], 'kB')"
    for name, (imports, work) in scripts.items():
        found = subprocess.run([sys.executable, "-c", measure.format(imports, work)], capture_output=True, text=True)
        print(f"load {name}: {found.stdout.strip() or 'not measured: ' + found.stderr.strip()[-200:]}", flush=True)


@torch.no_grad()
def prompt(models: Models) -> None:
    """Reading T tokens, to the first distribution; the cache is kept, as for writing on."""
    for T in (16, 64, 256):
        ids = models.ids(T)[None]
        theirs = partial(models.theirs("fp32"), ids, use_cache=True, logits_to_keep=1)
        works: dict[str, Callable[[], float]] = {"transformers fp32": partial(cpu_ms, theirs)}
        for name in ["fp32", *PACKED]:
            if name != "bf16" or T == 16 or HAS_BF16:  # else seconds
                works[name] = partial(cpu_ms, partial(models.ours(name).next_log_probs, ids))
        report(in_turns(works, 3), "transformers fp32", f"prompt {T:3d}")


class Clock:
    """What transformers streams into: the time of each token."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, _: object) -> None:
        self.times.append(time.thread_time())

    def end(self) -> None:
        """Nothing is left to show."""


def decode(models: Models, n: int = 5, prompt: int = 8) -> None:
    """A token of `generate`, greedy, after a few; bytes of weights a second over what the memory gives."""
    ids, limit = models.ids(prompt), bandwidth()

    def theirs(precision: str) -> float:
        clock = Clock()
        models.theirs(precision).generate(
            ids[None], max_new_tokens=n + 2, min_new_tokens=n + 2, do_sample=False, streamer=clock, pad_token_id=0
        )
        return 1000 * (clock.times[-1] - clock.times[2]) / n

    def ours(precision: str) -> float:
        writing = generate(models.ours(precision), ids, n + 2, sampler=GREEDY)
        next(writing), next(writing)
        return cpu_ms(lambda: [next(writing) for _ in range(n)]) / n

    works = {f"transformers {precision}": partial(theirs, precision) for precision in ("fp32", "bf16")}
    works |= {precision: partial(ours, precision) for precision in ["fp32", *PACKED]}
    times = in_turns(works, 5)
    notes = {}
    for name in ["fp32", *PACKED]:
        read = bytes_read(models.ours(name))
        share = read / (statistics.median(times[name]) / 1000) / limit
        notes[name] = f"({read / 1e6:.0f} MB of weights a token, {share:.0%} of the bandwidth)"
    report(times, "transformers fp32", "decode", notes)
    llama_cpp(n)


def bytes_read(model: Transformer) -> int:
    """Bytes of weights that writing one token reads: every layer's, and the unembedding's."""
    total = 0
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            total += module.weight.nbytes
        total += getattr(module, "n_bytes", 0)
    return total


def llama_cpp(n: int) -> None:
    """The GGUF file in llama.cpp, on one thread."""
    python, gguf = os.environ.get("LLAMA_CPP"), next(FOLDER.glob("*.gguf"), None)
    if python is None or gguf is None:
        print("decode llama.cpp: not measured: LLAMA_CPP names no Python with llama-cpp-python")
        return
    script = f"""
import statistics, time
from llama_cpp import Llama
model = Llama({str(gguf)!r}, n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False)
model.eval(list(range(1000, 1064)))
times = []
for _ in range(7):
    start = time.process_time()
    for token in range({n}):
        model.eval([2000 + token])
    times.append(1000 * (time.process_time() - start) / {n})
print(round(statistics.median(times), 1))"""
    found = subprocess.run([python, "-c", script], capture_output=True, text=True)
    print(f"decode llama.cpp Q4_1: {found.stdout.strip() or found.stderr[-200:]} ms", flush=True)


@torch.no_grad()
def agreement(models: Models) -> None:
    """Logits against transformers' of the same weights, and KL divergence of each precision from fp32, in nats."""
    ids = models.ids(256)[None]
    ours, theirs = models.ours("fp32")(ids), models.theirs("fp32")(ids).logits
    same = bool((ours.argmax(-1) == theirs.argmax(-1)).all())
    print(f"logits, {ids.shape[1]} tokens: largest difference {(ours - theirs).abs().max():.1e}, argmax equal: {same}")
    wanted = ours.log_softmax(-1)[0]
    for name in PACKED:
        few = 32 if name == "bf16" and not HAS_BF16 else ids.shape[1]
        found = models.ours(name)(ids[:, :few]).float().log_softmax(-1)[0]
        kl = F.kl_div(found, wanted[:few], log_target=True, reduction="sum") / few
        print(f"KL of {name} from fp32: {kl:.5f} nats a token over {few}", flush=True)


ROWS: dict[str, Callable[[Models], object]] = {
    "bandwidth": bandwidth,
    "load": load_row,
    "prompt": prompt,
    "decode": decode,
    "agreement": agreement,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all without")
    asked = parser.parse_args().rows or list(ROWS)
    if not (Path(FOLDER) / "model.safetensors").exists():
        sys.exit("not measured: run `lmlab fetch smollm2`")
    print(
        f"{torch.get_num_threads()} thread, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}, "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    models = Models()
    for row in asked:
        ROWS[row](models)


if __name__ == "__main__":
    main()
