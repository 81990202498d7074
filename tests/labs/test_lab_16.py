"""The claims of lab 16 on other seeds than the lab's; its exercises answered by libraries."""

from __future__ import annotations

import random
import re
import runpy
import statistics
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import lmlab as lab
from lmlab.data.any_tokens import WORDS, AnyVocabulary
from lmlab.data.lake import scenes
from lmlab.data.landscape import LANDSCAPE, Published
from lmlab.training.any_token import AnyTokenTrial, floor
from lmlab.training.distillation_study import DOCUMENTS, FRESH_DOCUMENTS
from lmlab.training.votes import vote_of_draws

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


# ---------------------------------------------------------------- what the prose says


def test_what_is_said_of_the_scratch_pad_is_what_the_stored_runs_say() -> None:
    right = {
        (way, steps): statistics.mean(r.accuracy for r in lab.stored_scratch_pad() if (r.way, r.steps) == (way, steps))
        for way, steps in {(r.way, r.steps) for r in lab.stored_scratch_pad()}
    }
    assert right["scratch pad", 180] == pytest.approx(0.8, abs=0.02), "about 80 %"
    assert right["at once", 180] == pytest.approx(1 / 24, abs=0.01), "a blind guess"
    assert right["dots", 180] == pytest.approx(1 / 24, abs=0.01), "dots do not help"


def test_a_vote_of_64_finds_an_answer_of_forty_percent_and_loses_one_that_is_not_the_likeliest() -> None:
    likeliest, second = torch.zeros(1, 24), torch.zeros(1, 24)
    likeliest[0, :5] = torch.tensor([0.4, 0.15, 0.15, 0.15, 0.15])
    second[0, :3] = torch.tensor([0.3, 0.55, 0.15])
    assert float(vote_of_draws(likeliest.numpy(), [0], 64)[0]) > 0.95
    assert float(vote_of_draws(second.numpy(), [0], 64)[0]) < 0.05


def test_no_sum_of_five_digits_is_copied_and_a_lie_is_believed_as_often_as_the_truth() -> None:
    for run in lab.stored_tool_use():
        assert run.with_tool["5"] == 0
        assert run.trusted == pytest.approx(run.with_tool["4"], abs=0.15)


def test_distributions_are_worth_eight_times_the_text_that_the_teacher_writes() -> None:
    kept = lab.stored_distillation()
    assert (DOCUMENTS, FRESH_DOCUMENTS) == (150, 1_200), "as the lab names them"
    assert abs(kept["samples"].mean - kept["hard"].mean) < 0.3 < kept["hard"].mean - kept["soft"].mean
    assert abs(kept["fresh samples"].mean - kept["soft"].mean) < 0.1
    assert kept["soft"].mean < kept["soft, temperature 2"].mean, "flattening hurts here"


def test_a_picture_is_a_sentence_of_sixteen_words_and_a_move_two_of_256() -> None:
    words = AnyVocabulary()
    row = words.rows(scenes(1, seed=random.randrange(1000)), seed=0)[0].tolist()
    assert Counter(map(words.kind, row)) == {"patch": 16, "word": 4, "move": 3 * 2, "end": 2}
    assert words.first["word"] + 256 + len(WORDS) == words.V, "256 bins are the rest of the ids"


def test_forty_five_of_fifty_may_be_79_to_96_percent() -> None:
    assert [round(100 * end) for end in lab.wilson_interval(45, 50)] == [79, 96]


@pytest.mark.parametrize("row", LANDSCAPE, ids=lambda row: row.name)
def test_a_date_of_the_landscape_is_that_of_a_page_it_names(row: Published) -> None:
    """A report that came a month or more after the model cannot be where its date stands."""
    said = date.fromisoformat(row.date)
    reports = [(2000 + int(year), int(month)) for year, month in re.findall(r"arXiv (\d\d)(\d\d)\.", row.source)]
    pages = re.findall(r"[a-z]+\.(?:com|org|ai|io|google)\b|model card \w[\w-]*/", row.source)
    assert pages or (said.year, said.month) in reports


# ---------------------------------------------------------------- live, on other seeds


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
