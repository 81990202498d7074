"""A training watched from outside: nothing is missed, torn lines wait, a resumed run's repeated steps replace."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

import lmlab as lab
from lmlab.training.following import MetricTail, RunElsewhere, RunHere, follow
from lmlab.training.metrics import MetricLog, MetricPoint, read_metrics

TOK = lab.train_bpe("abc def abc", vocab_size=266, specials=lab.RESERVED_SPECIALS)[0]


def point(step: int, loss: float) -> MetricPoint:
    return MetricPoint(step=step, loss=loss, lr=0.01, grad_norm=1.0, tokens=step * 64, seconds=step * 0.1)


def small_run(**more: object) -> lab.TrainingRun:
    config = lab.TransformerConfig(vocab_size=TOK.vocab_size, max_seq_len=8, d_model=8, n_layers=1, n_heads=1)
    stream = lab.windows(lab.corpus(text="abc def abc def abc " * 20), TOK, T=8, B=2, seed=0)
    return lab.TrainingRun(lab.Transformer(config, seed=0), stream, steps=12, seed=0, **more)


def test_a_file_that_grows_by_any_pieces_gives_every_point_once(tmp_path: Path) -> None:
    rng = random.Random(5)
    points = [point(step, rng.random()) for step in range(1, 60)]
    data = "".join(p.line() + "\n" for p in points).encode()
    path, tail, seen = tmp_path / "metrics.jsonl", MetricTail(tmp_path / "metrics.jsonl"), []
    assert tail.read() == []  # not there yet
    at = 0
    while at < len(data):
        to = min(len(data), at + rng.randint(1, 300))  # lines are torn anywhere
        with path.open("ab") as file:
            file.write(data[at:to])
        seen += tail.read()
        at = to
    assert seen == points
    assert tail.read() == []


def test_half_a_line_of_a_killed_run_is_skipped_and_another_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = MetricTail(path)
    path.write_text(point(1, 2.0).line() + "\n" + point(2, 1.0).line()[:20], encoding="utf-8")
    assert [p.step for p in tail.read()] == [1]
    log = MetricLog(path)  # as a resumed run opens it
    log.append(point(2, 1.5))
    log.close()
    assert [(p.step, p.loss) for p in tail.read()] == [(2, 1.5)]
    path.unlink()
    path.write_text(point(1, 9.0).line() + "\n", encoding="utf-8")
    assert [(p.step, p.loss) for p in tail.read()] == [(1, 9.0)]


def test_a_run_here_gives_what_its_log_gives_and_a_copy_of_its_model() -> None:
    run = small_run()
    here = RunHere(run, TOK)
    assert (here.status, here.steps, list(here.fresh())) == ("not started", 12, [])
    run.start().wait()
    assert list(here.fresh()) == run.log.points
    assert list(here.fresh()) == []
    step, model = here.model() or (None, None)
    assert step == here.newest == 12
    assert model is not None
    assert model.model is not run.model
    for mine, its in zip(model.model.parameters(), run.model.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_a_folder_says_how_far_it_came_and_who_writes_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    elsewhere = RunElsewhere(folder)
    assert (elsewhere.status, elsewhere.steps, elsewhere.newest) == ("not started", None, None)
    run = small_run(folder=folder, save_every=4, tokenizer=TOK)
    run.start().wait()
    assert list(elsewhere.fresh()) == read_metrics(folder / "metrics.jsonl")
    assert elsewhere.newest == 12
    assert elsewhere.status == "stopped"  # without a recipe nobody knows how long it was to be
    folder.joinpath("lock").write_text("torn", encoding="utf-8")
    assert elsewhere.status == "stopped"
    elsewhere.folder.acquire()
    assert elsewhere.status == "running"
    elsewhere.folder.release()


def test_the_error_and_the_warnings_of_a_run_are_sentences() -> None:
    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("no more weights")

    run = small_run()
    here = RunHere(run)
    run.objective = broken
    with pytest.raises(RuntimeError, match="no more weights"):
        run.start().wait()
    assert here.status == "failed"
    assert here.trouble == "RuntimeError: no more weights"
    other = RunHere(small_run())
    other.run.warnings.append("The checkpoint of step 4 could not be written (no space left): training goes on.")
    assert "no space left" in other.trouble


def test_a_folder_says_why_its_run_failed_until_it_is_resumed(tmp_path: Path) -> None:
    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("no more weights")

    run = small_run(folder=tmp_path / "run", tokenizer=TOK)
    sound, run.objective = run.objective, broken
    elsewhere = RunElsewhere(tmp_path / "run")
    with pytest.raises(RuntimeError, match="no more weights"):
        run.start().wait()
    assert (elsewhere.status, elsewhere.trouble) == ("failed", "RuntimeError: no more weights")
    monitor = lab.widgets.TrainingMonitor(tmp_path / "run").wait()
    assert "RuntimeError: no more weights" in monitor.sentence
    assert monitor.compute().mark == "✕"
    monitor.close()
    assert RunHere(run).trouble == elsewhere.trouble
    again = small_run(folder=tmp_path / "run", tokenizer=TOK, resume=True)
    again.objective = sound
    again.start().wait()
    assert (len(elsewhere.fresh()), elsewhere.status, elsewhere.trouble) == (12, "stopped", "")


@pytest.mark.parametrize("source", [3, None, ["a"], ""])
def test_what_is_no_training_is_refused(source: object) -> None:
    with pytest.raises(ValueError, match="a TrainingRun or the folder of one"):
        follow(source)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="is a file; give the folder"):
        follow(path)
