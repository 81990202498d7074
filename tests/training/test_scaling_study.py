"""The sweep: what ships is what the recipe makes, budgets are kept, and a live run is one of them."""

from __future__ import annotations

import json
import math

import pytest

import lmlab as lab
from lmlab.data.town import Town
from lmlab.data.town.measure import document_nats
from lmlab.training import scaling_study
from lmlab.training.scaling_study import (
    DOCUMENTS,
    HELD_OUT_FLOPS,
    MEASURED,
    B,
    ScalingRun,
    T,
    around_the_best,
    best_of_each_budget,
    held_out_runs,
    shape,
    steps_for,
    stored_sweep,
)


def test_the_stored_sweep_has_sizes_and_budgets_enough_to_fit() -> None:
    runs = stored_sweep()
    budgets = {p.budget for p in runs}
    assert len(budgets) >= 3
    assert len({p.n_params for p in runs}) >= 6
    for budget in budgets:
        there = [p for p in runs if p.budget == budget]
        assert len({p.d_model for p in there}) >= 6
        best = min(there, key=lambda p: p.loss)
        assert min(p.n_params for p in there) < best.n_params < max(p.n_params for p in there), "no edge"
        assert len({p.seed for p in there if p.d_model == best.d_model}) >= 2
    assert all(p.budget == HELD_OUT_FLOPS > max(budgets) for p in held_out_runs())
    assert {p.seed for p in runs} == {0, 1}


def test_every_stored_run_is_consistent() -> None:
    rows = json.loads(lab.asset("models/scaling/runs.json").read_text(encoding="utf-8"))["runs"]
    for row in rows:
        assert row["n_params"] == shape(row["d_model"]).n_params
        assert row["flops"] == 6 * row["n_params"] * row["n_tokens"]
        assert row["flops"] == pytest.approx(row["budget"], rel=0.02)
        assert row["n_tokens"] == steps_for(row["d_model"], row["budget"]) * B * T
        assert row["floor"] < row["loss"] < math.log(2048)
        assert set(row["accuracy"]) == set(Town().families)


def test_more_compute_is_better_and_answers_come_with_the_loss() -> None:
    best = [*best_of_each_budget(stored_sweep()), held_out_runs()[0]]
    assert [p.loss for p in best] == sorted((p.loss for p in best), reverse=True)
    assert [p.mean_accuracy for p in best] == sorted(p.mean_accuracy for p in best)
    assert best[-1].mean_accuracy > 2 * best[0].mean_accuracy


def test_around_the_best_are_five_sizes_next_to_it() -> None:
    runs = [p for p in stored_sweep() if p.budget == 2e10]
    near = around_the_best(runs)
    sizes = sorted({p.n_params for p in near})
    every = sorted({p.n_params for p in runs})
    at = every.index(sizes[0])
    assert len(sizes) == 5
    assert sizes == every[at : at + 5], "no size between them is left out"
    assert min(runs, key=lambda p: p.loss) in near


def test_a_stored_run_comes_out_again() -> None:
    stored = next(p for p in stored_sweep() if (p.budget, p.d_model) == (2e10, 48))
    run = ScalingRun(48, 2e10)
    assert run.advance(3).state.step == 3
    assert not run.is_over
    point = run.advance().measure()
    assert run.is_over
    assert (point.n_params, point.n_tokens, round(point.lr, 4)) == (stored.n_params, stored.n_tokens, stored.lr)
    assert point.loss == pytest.approx(stored.loss, abs=0.1)
    assert point.floor == pytest.approx(stored.floor, abs=1e-4)
    nats = document_nats(run.model, lab.load("town").tokenizer, Town().sample(DOCUMENTS, MEASURED))
    assert point.loss == pytest.approx(sum(x for x, _ in nats) / sum(n for _, n in nats))


def test_no_token_is_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    run = ScalingRun(12, 1e10)
    rows = sum(1 for _ in range(run.state.steps) if next(run.stream) and run.stream.state()["epoch"] == 0)
    assert rows == run.state.steps


@pytest.mark.parametrize("width", [3, 7, 300, True, 8.0])
def test_a_width_that_cannot_be_is_refused(width: object) -> None:
    with pytest.raises(ValueError, match="even whole number from 4 to 256"):
        shape(width)  # type: ignore[arg-type]


def test_a_budget_that_buys_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="buy 0 steps of training at d_model 128"):
        ScalingRun(128, 1e8)
    assert scaling_study.learning_rate_at(24) == pytest.approx(0.05)
