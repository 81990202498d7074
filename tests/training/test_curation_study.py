"""The study of curation: what each arm reads, that it is measured on clean text alone, and what its stored runs say."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from lmlab.data.curation import STAGES, curate, measured_crawl
from lmlab.data.pages import Page, crawl
from lmlab.data.standard_library import pages_of
from lmlab.training.curation_study import (
    ARMS,
    HELD_OUT,
    CurationTrial,
    StoredLoss,
    T,
    arm_pages,
    as_bytes,
    stored_curation,
)


@pytest.fixture(scope="module")
def funnel():
    return curate(measured_crawl(200, seed=6))


def test_arms_read_less_and_less_and_the_oracle_the_good_pages(funnel):
    read = {arm: arm_pages(arm, funnel) for arm in ARMS}
    for before, after in itertools.pairwise(("uncurated", *STAGES)):
        assert set(read[after]) <= set(read[before])
    assert read["uncurated"] == funnel.pages
    assert read["quality"] == funnel.kept
    assert set(read["oracle"]) == {page for page in funnel.pages if page.good}
    with pytest.raises(ValueError, match="There is no arm 'best'"):
        arm_pages("best", funnel)


def test_bytes_are_the_texts_with_a_zero_between():
    texts = ["goose", "Käse\n", "馬"]
    ids = as_bytes(texts)
    assert [bytes(part).decode() for part in bytes(ids.tolist()).split(b"\0")] == texts
    assert ids.dtype == torch.int64


def test_it_is_measured_on_clean_pages_that_no_crawl_holds(funnel):
    trial = CurationTrial(funnel.pages, steps=2)
    assert trial.held_out.shape == (HELD_OUT, T + 1)
    clean = b"\0".join(page.encode() for page in dict.fromkeys(pages_of("held out")))
    windows = [bytes(row.tolist()) for row in trial.held_out]
    assert all(window in clean for window in windows)
    dirty = b"\0".join(page.text.encode("utf-8", "replace") for page in crawl())
    assert sum(window in dirty for window in windows) <= HELD_OUT // 50  # a license may stand in two modules


def test_the_loss_is_bits_a_byte(funnel):
    """At random weights eight bits, and otherwise what the model's own probabilities say, one window at a time."""
    trial = CurationTrial(funnel.pages, steps=2)
    assert trial.points[0].bits == pytest.approx(8, abs=0.25)
    trial.advance()
    bits = []
    for row in trial.held_out:
        log_probs = trial.model.log_probs(row[None, :-1])[0]
        bits.append(-float(log_probs[torch.arange(T), row[1:]].sum()) / math.log(2) / T)
    assert trial.points[-1].bits == pytest.approx(sum(bits) / len(bits), abs=1e-3)
    assert trial.is_over


@pytest.mark.slow
def test_noise_teaches_less_than_documentation(funnel):
    good = [page for page in funnel.pages if page.good]
    bad = [page for page in funnel.pages if page.kind in ("line noise", "navigation", "keyword spam")]
    clean, noisy = (CurationTrial(pages, seed=1, steps=20) for pages in (good, bad))
    assert clean.advance(20).bits < noisy.advance(20).bits - 0.3


def test_equal_seeds_give_equal_losses(funnel):
    a, b, other = (CurationTrial(funnel.kept, seed=seed, steps=3).advance().bits for seed in (2, 2, 3))
    assert a == b
    assert a != other


def test_too_few_pages_are_refused(funnel):
    with pytest.raises(ValueError, match="too few for one batch"):
        CurationTrial([Page("https://a.example/", "goose " * 100, "documentation")])


def test_stored_runs_say_that_curation_pays():
    """Less than a third of what the funnel gains is left to the oracle, and errors are far smaller than the gain."""
    stored = stored_curation()
    assert list(stored) == list(ARMS)
    assert all(len(loss.bits) == 3 for loss in stored.values())
    gain = stored["uncurated"].mean - stored["quality"].mean
    assert gain > 0.2
    assert abs(stored["quality"].mean - stored["oracle"].mean) < gain / 3
    assert max(loss.error for loss in stored.values()) < gain / 5
    assert max(stored["quality"].bits) < min(stored["uncurated"].bits)


def test_mean_and_standard_error():
    loss = StoredLoss("x", (1.0, 2.0, 4.0))
    sample = torch.tensor(loss.bits, dtype=torch.float64)
    assert loss.mean == pytest.approx(float(sample.mean()))
    assert loss.error == pytest.approx(float(sample.std() / 3**0.5))
