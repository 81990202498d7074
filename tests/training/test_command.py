"""`lmlab train`: a recipe becomes a run folder and a model that opens; interrupted, it goes on to the same end."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import lmlab as lab
from lmlab.training.command import progress_line, train_command
from lmlab.training.metrics import MetricPoint, read_metrics
from lmlab.training.recipes import RecipeError, read_recipe
from lmlab.training.throughput import Speedometer

TEXT = "\n\n".join(f"the goose number {n} honks at the {n % 7} geese of the town" for n in range(300))


def recipe(tmp_path: Path, steps: int = 12, name: str = "recipe.toml") -> Path:
    (tmp_path / "geese.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / name).write_text(
        f"""
[corpus]
name = "{(tmp_path / "geese.txt").as_posix()}"
[tokenizer]
vocab_size = 280
[model]
d_model = 16
n_layers = 1
n_heads = 2
[training]
rows = "documents"
steps = {steps}
B = 4
T = 48
lr = 0.01
save_every = 5
snapshots = [3]
""",
        encoding="utf-8",
    )
    return tmp_path / name


def test_a_recipe_becomes_a_model_that_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_command(recipe(tmp_path), tmp_path / "run") == 0
    points = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [p.step for p in points] == list(range(1, 13))
    assert points[-1].loss < points[0].loss
    for folder in ("run", "run/model", "run/snapshots/step-000003"):
        assert lab.load(tmp_path / folder).next("the goose", k=1)[0].text
    assert read_recipe(tmp_path / "run" / "model" / "recipe.toml") == read_recipe(recipe(tmp_path))
    half = lab.load_model(tmp_path / "run" / "model", dtype=None)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert " of 12 · loss " in capsys.readouterr().err


def test_a_longer_run_in_two_parts_is_the_run_in_one(tmp_path: Path) -> None:
    steady = ["training.schedule=constant", "training.warmup=2"]
    train_command(recipe(tmp_path), tmp_path / "whole", False, steady)
    train_command(recipe(tmp_path), tmp_path / "parts", False, [*steady, "training.steps=5"])
    train_command(recipe(tmp_path), tmp_path / "parts", True, steady)
    whole, parts = (lab.load_model(tmp_path / name / "model") for name in ("whole", "parts"))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_a_folder_with_a_run_asks_whether_to_resume(tmp_path: Path) -> None:
    train_command(recipe(tmp_path), tmp_path / "run")
    with pytest.raises(RecipeError, match="already holds a run; go on with --resume"):
        train_command(recipe(tmp_path), tmp_path / "run")
    with pytest.raises(RecipeError, match=r"was begun with another model, training\.T"):
        train_command(recipe(tmp_path), tmp_path / "run", True, ["model.d_model=32", "training.T=40"])


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("Geese", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"chapter1\.txt"):
        train_command(recipe(tmp_path), tmp_path / "thesis")
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter1.txt"]
    with pytest.raises(RecipeError, match="is a file"):
        train_command(recipe(tmp_path), tmp_path / "thesis" / "chapter1.txt")


def test_the_line_says_step_loss_floor_speed_and_time_left() -> None:
    points = [MetricPoint(step=s, loss=2.0, lr=0.1, grad_norm=1.0, tokens=s * 1000, seconds=s * 0.4) for s in (1, 2, 3)]
    assert progress_line(points, 203, 0.725) == "step 3 of 203 · loss 2.000 (floor 0.725) · 2,500 tokens/s · 80 s left"


def test_the_line_says_what_share_of_the_peak_that_is() -> None:
    points = [MetricPoint(step=s, loss=2.0, lr=0.1, grad_norm=1.0, tokens=s * 1000, seconds=s * 0.4) for s in (1, 2)]
    line = progress_line(points, 2, None, Speedometer(flops_per_token=1e6, peak_flops=1e10))
    assert line == "step 2 of 2 · loss 2.000 · 2,500 tokens/s · MFU 25 % · 0 s left"


class Screen(io.StringIO):
    """A terminal, or a pipe, that remembers."""

    def __init__(self, live: bool) -> None:
        super().__init__()
        self.live = live

    def isatty(self) -> bool:
        return self.live


@pytest.mark.parametrize("live", [True, False])
def test_a_terminal_gets_one_line_written_over_and_a_pipe_whole_lines(tmp_path: Path, monkeypatch, live: bool) -> None:
    screen = Screen(live)
    monkeypatch.setattr("sys.stderr", screen)
    assert train_command(recipe(tmp_path), tmp_path / "run") == 0
    said = screen.getvalue()
    assert re.search(r"step 12 of 12 · loss \d\.\d{3} · [\d,]+ tokens/s · MFU \d+ % · 0 s left", said)
    assert ("\r\x1b[K" in said) == live
    if not live:
        assert all(line == line.strip() for line in said.splitlines())
    assert said.endswith(".\n")


def test_a_large_corpus_is_not_read_into_memory_and_makes_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path / "home"))
    file = recipe(tmp_path, steps=7)
    for rows in ("documents", "windows"):
        change = [f"training.rows={rows}", "tokenizer.documents=100"]
        train_command(file, tmp_path / f"memory-{rows}", False, change)
        with monkeypatch.context() as patch:
            patch.setattr("lmlab.training.command.LARGE_TEXT_BYTES", 1000)
            patch.setattr("lmlab.training.command.corpus", None)  # whoever reads it into memory falls over this
            train_command(file, tmp_path / f"disk-{rows}", False, change)
        memory, disk = (read_metrics(tmp_path / f"{where}-{rows}" / "metrics.jsonl") for where in ("memory", "disk"))
        assert [p.loss for p in memory] == [p.loss for p in disk]
    assert len(list((tmp_path / "home" / "cache" / "tokens").iterdir())) == 1, "tokenized once"
    assert "into a file of ids" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a process, which Windows cannot")
def test_ctrl_c_leaves_a_checkpoint_and_resume_goes_on(tmp_path: Path) -> None:
    arguments = ["train", str(recipe(tmp_path, steps=100_000)), "--out", str(tmp_path / "run")]
    child = subprocess.Popen([sys.executable, "-m", "lmlab", *arguments], stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size > 500):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Go on with: lmlab train" in said
    step = len(read_metrics(metrics))
    assert (tmp_path / "run" / "latest").read_text(encoding="utf-8") == f"step-{step:06d}\n"
    assert not (tmp_path / "run" / "lock").exists()
