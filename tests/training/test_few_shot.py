"""Few-shot answers: who learns from the prompt alone, the heads that do it, and how sure the numbers are."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.data.few_shot import MOST, TASKS, few_shot_prompts, few_shot_task, own_prompt
from lmlab.training.copying import CopyTrial
from lmlab.training.few_shot import (
    Share,
    answered,
    copying_heads,
    copying_scores,
    option_log_probs,
    other_heads,
    silenced,
)

PAIRS = few_shot_task("pairs")
N = 100


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


def right(model: lab.TextModel, k: int, *, seed: int = 0) -> float:
    return answered(model, few_shot_prompts(PAIRS, k, N, seed=seed)).right.share


# ---------------------------------------------------------------- prompts


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("k", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_prompt_is_what_it_says(name: str, k: int, shuffled: bool) -> None:
    task = few_shot_task(name)
    for prompt in few_shot_prompts(task, k, 20, seed=k, shuffled=shuffled):
        lines = prompt.text.split("\n")
        assert len(prompt.pairs) == k == len(lines) - 1
        assert lines[-1] == prompt.asked + task.arrow
        assert len({source for source, _ in prompt.pairs}) == k
        assert prompt.answer in prompt.options
        assert len(set(prompt.options)) == len(prompt.options) >= 4
        said = dict(prompt.pairs).get(prompt.asked)
        assert prompt.shown == said
        assert (said is not None) == (task.dealt and k > 0)
        known = dict(zip(task.sources, task.targets, strict=True))
        if not task.dealt:
            assert prompt.answer == known[prompt.asked]
            assert all((known[s] == t) != (shuffled and k > 1) for s, t in prompt.pairs)
        elif said:
            assert (said == prompt.answer) != (shuffled and k > 1)


def test_the_mapping_and_the_place_of_the_question_are_fresh() -> None:
    prompts = few_shot_prompts(PAIRS, MOST, 200, seed=0)
    assert len({p.pairs for p in prompts}) == 200
    places = [[s for s, _ in p.pairs].index(p.asked) for p in prompts]
    assert min(places.count(i) for i in range(MOST)) >= 10
    assert few_shot_prompts(PAIRS, 3, 5, seed=1) == few_shot_prompts(PAIRS, 3, 5, seed=1)
    assert few_shot_prompts(PAIRS, 3, 5, seed=1) != few_shot_prompts(PAIRS, 3, 5, seed=2)
    for k in (-1, 9, True, 2.0):
        with pytest.raises(ValueError, match="whole number of examples from 0 to 8"):
            few_shot_prompts(PAIRS, k, 1)


def test_own_prompts_are_read_and_others_refused() -> None:
    prompt = own_prompt(PAIRS, " goose=>jik,cat => pim\ngoose =>")
    assert (prompt.pairs, prompt.asked, prompt.answer) == ((("goose", "jik"), ("cat", "pim")), "goose", "jik")
    assert prompt.options[:2] == ("jik", "pim")
    assert len(prompt.options) == MOST
    french = own_prompt(few_shot_task("french"), "sea otter => loutre de mer, cheese")
    assert (french.answer, french.shown) == ("fromage", None)
    assert "fromage" in french.options
    for typed, says in (
        ("", "Nothing is asked"),
        ("goose => , cat", "is no example"),
        ("=> jik, cat", "is no example"),
        ("goose => jik", "must end without an answer"),
    ):
        with pytest.raises(ValueError, match=says):
            own_prompt(PAIRS, typed)


# ---------------------------------------------------------------- numbers


def test_wilsons_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    assert (Share(0, 20).low, Share(20, 20).high) == (0.0, 1.0)
    assert Share(10, 20).low == pytest.approx(0.2993, abs=1e-3)  # Wilson 1927; Newcombe 1998's method 3
    assert Share(81, 263).low == pytest.approx(0.2553, abs=1e-3)  # Newcombe 1998, table I
    assert Share(81, 263).high == pytest.approx(0.3662, abs=1e-3)
    rng = random.Random(0)
    for p in (0.05, 0.3, 0.9):
        inside = [
            s.low <= p <= s.high for s in (Share(sum(rng.random() < p for _ in range(50)), 50) for _ in range(2000))
        ]
        assert 0.92 <= sum(inside) / len(inside) <= 0.98


class Fixed:
    """A model of five tokens that always gives the same distribution."""

    vocab_size = 5

    def __init__(self, *probs: float) -> None:
        self.row = torch.tensor(probs).log()

    def next_log_probs(self, ids, state=None):
        return self.row.expand(ids.shape[0], -1), state

    def log_probs(self, ids):
        return self.row.expand(*ids.shape, -1)


def fixed_task(*targets: str) -> lab.TextModel:
    from lmlab.data.few_shot import FewShotTask

    return FewShotTask(
        name="fixed", sources=("q", "r"), targets=targets, dealt=False, arrow="", choices={"q": targets, "r": targets}
    )


def test_a_tie_counts_a_share_and_a_longer_answer_is_a_product() -> None:
    words = lab.WordTokenizer(["q", "r", "a", "b", "c"])
    even = lab.TextModel(Fixed(0.1, 0.1, 0.3, 0.3, 0.2), words)
    asked = few_shot_prompts(fixed_task("a", "b"), 0, 8)
    assert answered(even, asked).right.hits == 4.0
    sure = lab.TextModel(Fixed(0.1, 0.1, 0.5, 0.2, 0.1), words)
    prompts = few_shot_prompts(fixed_task("a a", "b"), 0, 6)
    for row, prompt in zip(option_log_probs(sure, prompts), prompts, strict=True):
        assert dict(zip(prompt.options, row, strict=True)) == pytest.approx(
            {"a a": math.log(0.25), "b": math.log(0.2)}, rel=1e-5
        )
    quick = option_log_probs(sure, few_shot_prompts(fixed_task("a a", "b b"), 0, 2), all_of_them=False)
    whole = option_log_probs(sure, few_shot_prompts(fixed_task("a a", "b b"), 0, 2))
    assert [row.index(max(row)) for row in quick] == [row.index(max(row)) for row in whole]


@pytest.mark.parametrize("seed", range(3))
def test_town_learns_any_mapping_from_its_prompt(town: lab.TextModel, seed: int) -> None:
    assert right(town, 8, seed=seed) - right(town, 0, seed=seed) >= 0.5
    assert min(right(town, k, seed=seed) for k in (1, 4, 8)) >= 0.95
    assert right(town, 0, seed=seed) <= 0.25


@pytest.mark.parametrize("smoothing", ["interpolated", "backoff"])
def test_counting_cannot(town: lab.TextModel, smoothing: str) -> None:
    read = lab.corpus("town", documents=3_000, seed=0)
    counted = lab.NGram.fit(read.ids(town.tokenizer), n=3, vocab_size=town.vocab_size, smoothing=smoothing)
    trigram = lab.TextModel(counted, town.tokenizer)
    assert all(right(trigram, k) <= 0.25 for k in (0, 1, 8))


def test_random_weights_cannot(town: lab.TextModel) -> None:
    untrained = lab.TextModel(lab.Transformer(town.model.config, seed=0), town.tokenizer)
    assert max(right(untrained, k) for k in (0, 1, 4, 8)) < 0.3


@pytest.mark.slow
def test_a_copier_trained_without_the_mask_learns_to_peek_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab would notice a dropped mask: the next token stands in the input, and at the question there is none."""
    hidden = lab.Transformer.hidden
    monkeypatch.setattr(lab.Transformer, "hidden", lambda *a, **more: hidden(*a, **{**more, "causal": False}))
    trial = CopyTrial(2, seed=0, steps=100)
    while not trial.is_over:
        trial.advance()
    assert trial.points[-1].accuracy > 0.8, "it peeks"
    copier = lab.TextModel(trial.model, lab.WordTokenizer([*PAIRS.sources, *PAIRS.targets]), name="copier")
    assert right(copier, 8) < 0.4


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_labels_are_believed(town: lab.TextModel, seed: int) -> None:
    found = answered(town, few_shot_prompts(PAIRS, 8, N, seed=seed, shuffled=True))
    assert found.shown is not None
    assert found.shown.share >= 0.95
    assert found.right.share <= 0.05


def test_one_head_of_town_is_spared_all_that_copy_are_not(town: lab.TextModel) -> None:
    scores = copying_scores(town, few_shot_prompts(PAIRS, 8, 16, seed=1_000))
    heads = copying_heads(scores)
    assert sorted(heads) == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert [float(scores[head]) for head in heads] == sorted(scores[1].tolist(), reverse=True), "the best first"
    assert right(silenced(town, heads[:1]), 8) >= 0.9
    assert right(silenced(town, heads), 8) <= 0.25
    controls = [right(silenced(town, other_heads(scores, 4, seed=seed)), 8) for seed in range(3)]
    assert controls[0] >= 0.9
    assert min(controls) >= 0.5
    assert not set(other_heads(scores, 4)) & set(heads)
    assert len(other_heads(scores, 99)) == 12
    with pytest.raises(ValueError, match="In none of these prompts"):
        copying_scores(town, few_shot_prompts(PAIRS, 0, 3))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_copier_of_random_numbers_learns_any_mapping_of_words(seed: int) -> None:
    trial = CopyTrial(2, seed=seed)
    while not trial.is_over:
        trial.advance()
    copier = lab.TextModel(trial.model, lab.WordTokenizer([*PAIRS.sources, *PAIRS.targets]), name="copier")
    assert right(copier, 8) - right(copier, 0) >= 0.5
    heads = copying_heads(copying_scores(copier, few_shot_prompts(PAIRS, 8, 16, seed=1_000)))
    assert {layer for layer, _ in heads} == {1}
    assert right(silenced(copier, heads), 8) < 0.3
    assert answered(copier, few_shot_prompts(PAIRS, 8, N, shuffled=True)).shown.share > 0.7


def test_a_table_has_no_heads(town: lab.TextModel) -> None:
    table = lab.TextModel(lab.NGram.fit(torch.arange(8), n=2, vocab_size=town.vocab_size), town.tokenizer, name="t")
    with pytest.raises(ValueError, match="t is a NGram and has no heads"):
        copying_scores(table, few_shot_prompts(PAIRS, 1, 1))
