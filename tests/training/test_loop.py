"""The loop: it learns what can be learned, repeats itself bit for bit, and stops before it does harm."""

from __future__ import annotations

import contextlib
import copy
import math

import pytest
import torch
import torch.nn.functional as F

from lmlab.training.loop import BatchesEnded, TrainingDiverged, train
from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from tests.training.stand_ins import CountingStream, Pair, V, same_bits, small_model, weights


def losses(steps: int, seed: int = 0, lr: float = 5e-3) -> list[MetricPoint]:
    points: list[MetricPoint] = []
    state = TrainState.begin(small_model(seed), steps=steps, settings=OptimizerSettings(lr=lr))
    train(state, CountingStream(B=16), next_token, steps, lambda _, point: points.append(point))
    return points


def test_the_loss_falls_from_all_are_equal_to_the_entropy_of_the_language() -> None:
    points = losses(250)
    assert points[0].loss == pytest.approx(math.log(V), abs=0.3)
    assert sum(p.loss for p in points[-20:]) / 20 == pytest.approx(math.log(3), abs=0.05)


def test_a_step_is_the_same_as_one_written_by_hand() -> None:
    model = small_model(1)
    by_hand = copy.deepcopy(model)
    batch = next(iter(CountingStream(seed=5)))
    state = TrainState.begin(
        model, steps=1, settings=OptimizerSettings(lr=1e-2, warmup=0, clip=0.5, schedule="constant")
    )
    seen: list[MetricPoint] = []
    train(state, CountingStream(seed=5), next_token, 1, lambda _, point: seen.append(point))

    log_probs = by_hand(batch.inputs).log_softmax(-1)
    loss = -log_probs.gather(-1, batch.targets[..., None]).mean()
    loss.backward()
    norm = math.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in by_hand.parameters()))
    assert norm > 0.5, "the test needs a gradient that is clipped"
    decay = [p for p in by_hand.parameters() if p.dim() >= 2]
    rest = [p for p in by_hand.parameters() if p.dim() < 2]
    for p in by_hand.parameters():
        p.grad *= 0.5 / norm
    torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
        lr=1e-2,
        betas=(0.9, 0.95),
        fused=False,
        foreach=False,
    ).step()
    assert seen[0].loss == pytest.approx(float(loss.detach()), rel=1e-6)
    assert seen[0].grad_norm == pytest.approx(norm, rel=1e-5)
    for trained, expected in zip(model.parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(trained, expected, atol=1e-6)


def test_targets_of_minus_100_do_not_count() -> None:
    model = small_model()
    batch = next(iter(CountingStream()))
    targets = batch.targets.clone()
    targets[:, ::2] = -100
    loss = next_token(model, Pair(batch.inputs, targets))
    kept = F.cross_entropy(model(batch.inputs)[:, 1::2].reshape(-1, V), batch.targets[:, 1::2].reshape(-1))
    assert float(loss.detach()) == pytest.approx(float(kept.detach()), rel=1e-6)


def test_two_runs_of_one_seed_are_equal_bit_for_bit_and_of_two_seeds_are_not() -> None:
    first, again, other = losses(12), losses(12), losses(12, seed=1)
    assert [p.loss for p in first] == [p.loss for p in again]
    assert [p.loss for p in first] != [p.loss for p in other]


def test_ten_steps_and_ten_more_are_twenty() -> None:
    settings = OptimizerSettings(lr=1e-2)
    whole = TrainState.begin(small_model(), steps=20, settings=settings)
    train(whole, CountingStream(), next_token, 20)
    halves, stream = TrainState.begin(small_model(), steps=20, settings=settings), CountingStream()
    train(halves, stream, next_token, 10)
    train(halves, stream, next_token, 20)
    assert halves.step == 20
    assert halves.tokens == whole.tokens == 20 * 4 * 12
    assert same_bits(weights(whole.model), weights(halves.model))


def test_on_step_may_end_the_training() -> None:
    state = TrainState.begin(small_model(), steps=20)
    train(state, CountingStream(), next_token, 20, lambda state, _: state.step < 7)
    assert state.step == 7


class Poisoned(CountingStream):
    """From the fourth batch on, everything is wrong; the objective below makes a NaN of it."""


def poisoned(model: torch.nn.Module, batch: Pair, generator: torch.Generator) -> torch.Tensor:
    loss = next_token(model, batch, generator)
    poisoned.calls += 1  # type: ignore[attr-defined]
    return loss * (float("nan") if poisoned.calls == 4 else 1.0)  # type: ignore[attr-defined]


def test_a_loss_that_is_nan_stops_there_and_keeps_the_last_finite_weights() -> None:
    poisoned.calls = 0  # type: ignore[attr-defined]
    state = TrainState.begin(
        small_model(), steps=20, settings=OptimizerSettings(lr=3e-3, warmup=0, schedule="constant")
    )
    kept: list[list[torch.Tensor]] = []
    with pytest.raises(TrainingDiverged, match=r"loss at step 4 .*learning rate 0\.003.*smaller lr"):
        train(state, CountingStream(), poisoned, 20, lambda s, _: kept.append(weights(s.model)))
    assert state.step == 3
    assert same_bits(kept[-1], weights(state.model))


def test_an_infinite_gradient_of_a_finite_loss_stops_too() -> None:
    def steep(model: torch.nn.Module, batch: Pair, generator: torch.Generator) -> torch.Tensor:
        return next_token(model, batch, generator) + (model.norm.weight - 1).abs().sqrt().sum()  # slope infinite at 1

    state = TrainState.begin(small_model(), steps=5)
    before = weights(state.model)
    with pytest.raises(TrainingDiverged, match="gradient at step 1"):
        train(state, CountingStream(), steep, 5)
    assert same_bits(before, weights(state.model))


def test_the_wildest_rate_allowed_leaves_finite_weights() -> None:
    state = TrainState.begin(small_model(), steps=60, settings=OptimizerSettings(lr=10, clip=None))
    with contextlib.suppress(TrainingDiverged):
        train(state, CountingStream(), next_token, 60)
    assert all(bool(p.isfinite().all()) for p in state.model.parameters())


def test_a_stream_that_runs_dry_says_so() -> None:
    state = TrainState.begin(small_model(), steps=9)
    with pytest.raises(BatchesEnded, match="ended after step 3 of 9"):
        train(state, CountingStream(ends_after=3), next_token, 9)


@pytest.mark.parametrize("until", [-1, 10, 2.0, True, "3"])
def test_until_must_lie_within_the_plan(until: object) -> None:
    with pytest.raises(ValueError, match="planned for 9 steps"):
        train(TrainState.begin(small_model(), steps=9), CountingStream(), next_token, until)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("steps", "seed", "named"),
    [(0, 0, "steps"), (-3, 0, "steps"), (2.5, 0, "steps"), (3, -1, "seed"), (3, 0.5, "seed"), (3, None, "seed")],
)
def test_steps_and_seed_are_checked(steps: object, seed: object, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named} is "):
        TrainState.begin(small_model(), steps=steps, seed=seed)  # type: ignore[arg-type]
