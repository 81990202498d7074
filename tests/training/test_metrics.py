"""The log: read while it is written, torn by a kill, longer than a resume wants it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from lmlab.training.metrics import FIELDS, MetricLog, MetricPoint, read_metrics


def point(step: int, loss: float = 1.0) -> MetricPoint:
    return MetricPoint(step=step, loss=loss, lr=0.1, grad_norm=0.5, tokens=step * 10, seconds=step / 4)


def test_a_line_a_step_with_the_six_names(tmp_path: Path) -> None:
    log = MetricLog(tmp_path / "run" / "metrics.jsonl")
    for step in (1, 2, 3):
        log.append(point(step, loss=3.0 / step))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [tuple(row) for row in rows] == [FIELDS] * 3
    assert [row["loss"] for row in rows] == [3.0, 1.5, 1.0]
    assert read_metrics(tmp_path / "run" / "metrics.jsonl") == log.points


def test_extra_figures_follow_the_six(tmp_path: Path) -> None:
    log = MetricLog(tmp_path / "m.jsonl")
    log.append(MetricPoint(step=1, loss=1.0, lr=0.1, grad_norm=0.5, tokens=10, seconds=1.0, extra={"reward": 0.25}))
    assert read_metrics(tmp_path / "m.jsonl")[0].extra == {"reward": 0.25}


def test_readers_in_other_threads_see_a_growing_prefix() -> None:
    log, seen = MetricLog(), []

    def read() -> None:
        while len(seen) < 500:
            seen.extend(log.since(len(seen)))

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(500):
        log.append(point(step))
    reader.join(5)
    assert [p.step for p in seen] == list(range(500))


def test_half_a_line_left_by_a_kill_is_skipped_and_not_glued_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(point(1).line() + "\n" + point(2).line()[:20], encoding="utf-8")
    log = MetricLog(path)
    log.append(point(2, loss=7.0))
    assert [(p.step, p.loss) for p in read_metrics(path)] == [(1, 1.0), (2, 7.0)]


def test_of_a_step_done_twice_the_later_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    first = MetricLog(path)
    for step in (1, 2, 3):
        first.append(point(step))
    first.close()
    resumed = MetricLog(path)
    resumed.resume_at(2)
    assert [p.step for p in resumed.points] == [1, 2]
    resumed.append(point(3, loss=9.0))
    assert [(p.step, p.loss) for p in read_metrics(path)] == [(1, 1.0), (2, 1.0), (3, 9.0)]


def test_a_file_that_cannot_be_written_costs_a_warning_and_no_point(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").mkdir()
    log = MetricLog(tmp_path / "m.jsonl")
    log.append(point(1))
    assert len(log) == 1
    assert log.warning is not None
    assert "training goes on" in log.warning
