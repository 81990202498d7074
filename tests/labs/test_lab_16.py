"""The claims of lab 16 on other seeds than the lab's; its exercises answered by libraries."""

from __future__ import annotations

import random
import runpy
import statistics
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import lmlab as lab
from lmlab.training.any_token import AnyTokenTrial, floor

SOLUTIONS = runpy.run_path(str(Path(__file__).parent / "solutions" / "16.py"))["RIGHT"]


def test_the_vote_is_the_mode_of_the_standard_library() -> None:
    for _ in range(200):
        answers = [random.randrange(4) for _ in range(random.randint(1, 9))]
        assert SOLUTIONS["beyond.vote"](answers) == statistics.mode(answers)


def test_the_interval_is_the_one_of_the_lab_and_solves_its_equation() -> None:
    """Its ends are where the score is 1.96 standard errors away, by the error that the end itself would have."""
    for _ in range(50):
        n = random.randint(1, 500)
        right = random.randint(0, n)
        ends = SOLUTIONS["beyond.interval"](right, n)
        assert ends == pytest.approx(lab.wilson_interval(right, n), abs=1e-4)
        for end in ends:
            # Squared: at an end of 0 or 1 a root makes an error of rounding ten million times larger.
            assert n * (right / n - end) ** 2 == pytest.approx(1.96**2 * end * (1 - end), abs=1e-9)


def test_the_loss_of_distillation_is_torchs() -> None:
    for _ in range(20):
        B, V, tau = random.randint(1, 5), random.randint(2, 9), random.uniform(1, 5)
        student, teacher = torch.randn(B, V) * 3, torch.randn(B, V) * 3
        theirs = F.kl_div(
            (student / tau).log_softmax(-1), (teacher / tau).log_softmax(-1), log_target=True, reduction="batchmean"
        )
        assert float(SOLUTIONS["beyond.distill"](student, teacher, tau)) == pytest.approx(
            float(theirs) * tau**2, rel=1e-4, abs=1e-6
        )


@pytest.mark.by_hand
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_training_reaches_the_claims_of_the_lab_from_any_seed(seed: int) -> None:
    end = AnyTokenTrial(seed=seed).advance(200)
    assert end.completed > 0.9
    assert end.followed > 0.62
    assert floor().all - 0.03 < end.losses.all < floor().all + 0.08


@pytest.mark.by_hand
@pytest.mark.parametrize("seed", [6, 7, 8])
def test_forty_steps_are_enough_to_see_what_a_distribution_is_worth(seed: int) -> None:
    town = lab.load("town")
    soft, hard = (lab.DistillationTrial(town, arm, seed=seed, steps=40).advance(40).truth for arm in ("soft", "hard"))
    assert soft < hard - 0.4
