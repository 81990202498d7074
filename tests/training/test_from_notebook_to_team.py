"""One training in all hands: a notebook whose kernel is killed, a new kernel, a terminal, two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from lmlab.training.metrics import read_metrics

ROOT = Path(__file__).parents[2]
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TORCH_CPP_LOG_LEVEL": "ERROR"}
STEPS = 80

BEGIN = f"""
import json
from pathlib import Path
import lmlab as lab

here = Path("here")
town = lab.Town("worried", ["news"])
news = lab.corpus("town", documents=2_000, seed=0, families=["news"])
other = lab.corpus("town", documents=300, seed=1, families=["news"])
tok, _ = lab.train_bpe(news.text, vocab_size=400, specials=lab.RESERVED_SPECIALS)
config = lab.TransformerConfig(vocab_size=tok.vocab_size, max_seq_len=64, d_model=48, n_layers=2, n_heads=2)
run = lab.TrainingRun(
    lab.Transformer(config, seed=0), lab.windows(news, tok, T=64, B=8, seed=0), steps={STEPS}, seed=0, lr=0.01,
    tokenizer=tok, folder=here / "notebook", save_every=20, resume=(here / "notebook").exists(),
)
monitor = lab.widgets.TrainingMonitor(run, floor=town, held_out=other, prompt="The stock market")
"""
PAUSE_AND_LOOK = """
run.start()
monitor.wait_for(step=30)
run.pause()
middle = lab.TextModel(run.snapshot(), tok, name="middle")
view = lab.widgets.Attention(middle, prompt="The stock market crashed and investors", layer=1, head=0)
trace = middle.trace("The stock market crashed and investors")
weights = trace.attention[1][0, 0]
shown = {"status": run.status, "step": run.state.step, "sentence": view.wait().sentence,
         "rows": weights.sum(-1).tolist(), "future": float(weights.triu(1).abs().max())}
print(json.dumps(shown))
"""
GO_ON = """
at = run.state.step
run.resume()
monitor.wait_for(step=50)
print(json.dumps({"paused": at, "now": run.state.step, "points": monitor.points()[-1][0]}))
"""
TO_THE_END = """
run.start()
first = run.state.step
monitor.wait()
print(json.dumps({"first": first, "floor": monitor.floor, "unread": monitor.held_out_losses[-1][1],
                  "points": monitor.points(), "log": [(p.step, p.loss) for p in run.log]}))
"""
RECIPE = f"""
corpus = {{name = "here/news.txt"}}
tokenizer = {{vocab_size = 400}}
model = {{d_model = 48, n_layers = 2, n_heads = 2, max_seq_len = 64}}
training = {{steps = {STEPS}, B = 8, T = 64, lr = 0.01, save_every = 20, threads = 1}}
"""
WRITE_TEXT = """
_ = (here / "news.txt").write_text("\\n\\n".join(news.documents), encoding="utf-8")
print("{}")
"""


@contextmanager
def kernel(folder: Path) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """A notebook's kernel, which nobody leaves behind."""
    manager, client = start_new_kernel(cwd=str(folder), env={**ONE_THREAD, "PYTHONPATH": str(ROOT)})
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def cell(client: BlockingKernelClient, code: str) -> dict[str, Any]:
    """Run a cell; the last line that it prints, as JSON."""
    printed: list[str] = []

    def output(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])
        assert message["msg_type"] != "error", "\n".join(message["content"]["traceback"])

    client.execute_interactive(code, output_hook=output, timeout=120)
    lines = "".join(printed).strip().splitlines()
    return dict(json.loads(lines[-1])) if lines else {}


def train(folder: Path, out: str, *, processes: int = 1) -> list[tuple[int, float]]:
    """The recipe from a terminal, or under torchrun; its losses."""
    alone, team = ["lmlab"], ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "lmlab"]
    words = [
        sys.executable,
        "-m",
        *(alone if processes == 1 else team),
        "train",
        "here/recipe.toml",
        "--out",
        f"here/{out}",
    ]
    done = subprocess.run(
        words, cwd=folder, env={**ONE_THREAD, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return [(p.step, p.loss) for p in read_metrics(folder / "here" / out / "metrics.jsonl")]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills a kernel with SIGKILL, which Windows does not have")
def test_watched_paused_looked_into_killed_resumed_and_the_same_in_a_terminal_and_under_torchrun(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    with kernel(tmp_path) as (manager, client):
        cell(client, BEGIN)
        cell(client, WRITE_TEXT)
        looked = cell(client, PAUSE_AND_LOOK)
        assert looked["status"] == "paused"
        assert 30 <= looked["step"] < STEPS
        assert looked["rows"] == pytest.approx([1.0] * len(looked["rows"]), abs=1e-5)
        assert looked["future"] == 0.0
        assert len(looked["sentence"]) > 20
        went = cell(client, GO_ON)
        assert looked["step"] == went["paused"] < 50 <= went["points"] <= went["now"] < STEPS
        manager.signal_kernel(signal.SIGKILL)
    checkpoint = int((folder / "notebook" / "latest").read_text(encoding="utf-8").removeprefix("step-"))
    assert 40 <= checkpoint < STEPS
    assert (folder / "notebook" / "lock").exists(), "the killed kernel could tidy up nothing"

    with kernel(tmp_path) as (_, client):
        cell(client, BEGIN)
        ended = cell(client, TO_THE_END)
    assert ended["points"] == ended["log"]
    assert [step for step, _ in ended["log"]] == list(range(1, STEPS + 1))
    assert -0.05 < ended["unread"] - ended["floor"] < 0.5, "it came close to the floor, and not below it"

    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    terminal = train(tmp_path, "terminal")
    assert [list(pair) for pair in terminal] == ended["log"], "killed and resumed, or never disturbed: every bit"
    team = train(tmp_path, "team", processes=2)
    assert [step for step, _ in team] == list(range(1, STEPS + 1))
    assert [loss for _, loss in team] == pytest.approx([loss for _, loss in terminal], rel=1e-6)
