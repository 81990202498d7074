"""Sampling: bars against a sampler written with lists alone, draws against the bars, Pearson's test against tables."""

from __future__ import annotations

import math
import random

import pytest
import torch
import traitlets

import lmlab as lab
from lmlab.widgets._odds import chi_squared, choices
from lmlab.widgets.sampling import ALL, Sampling
from tests.data.chi_squared import p_value
from tests.widgets.conftest import TEXT

PROMPT = "the stock market"


def by_hand(probs: list[float], temperature: float, k: int | None, p: float | None, least: float | None) -> list[float]:
    """Temperature, then the filters, one token at a time from the likeliest down."""
    order = sorted(range(len(probs)), key=lambda i: -probs[i])
    if temperature == 0:
        order = order[:1]
    weights = {i: probs[i] ** (1 / temperature) if temperature else 1.0 for i in order if probs[i] > 0}

    def share(kept: list[int]) -> dict[int, float]:
        total = sum(weights[i] for i in kept)
        return {i: weights[i] / total for i in kept}

    now = share([i for i in order if i in weights])
    if k is not None:
        now = share(list(now)[:k])
    if p is not None:
        kept, mass = [], 0.0
        for i, value in now.items():
            if mass < p or not kept:
                kept.append(i)
            mass += value
        now = share(kept)
    if least is not None:
        now = share([i for i, value in now.items() if value >= least * max(now.values())])
    return [now.get(i, 0.0) for i in range(len(probs))]


def test_bars_are_the_distribution_that_a_list_and_a_loop_arrive_at(random_model: lab.TextModel) -> None:
    draw = random.Random(5)
    w = Sampling(random_model, prompt=PROMPT)
    probs = random_model.next_log_probs(PROMPT).double().exp().tolist()
    for _ in range(15):
        w.temperature = draw.choice([0.0, 0.3, 0.8, 1.0, 1.7])
        w.top_k, w.top_p = draw.choice([1, 4, 15, ALL]), draw.choice([0.0, 0.3, 0.9, 1.0])
        w.min_p = draw.choice([0.0, 0.2, 0.9])
        k = None if w.top_k == ALL else w.top_k
        expected = by_hand(probs, w.temperature, k, None if w.top_p == 1 else w.top_p, w.min_p or None)
        for row in w.shown.rows[:-1]:
            if not row.raw:
                continue  # a special token, or a piece of a character
            (id_,) = random_model.tokenizer.encode(row.raw)
            assert row.bars[0].before == pytest.approx(probs[id_], abs=1e-7)
            assert row.bars[0].after == pytest.approx(expected[id_], abs=1e-5), (w.sampler, row.word)
        assert w.shown.effects[0].kept == f"{sum(value > 0 for value in expected):,}", w.sampler


def test_what_is_taken_away_is_what_is_given(random_model: lab.TextModel, trigram: lab.TextModel) -> None:
    w = Sampling(trigram, random_model, prompt=PROMPT, temperature=0.6, top_k=5, min_p=0.05)
    for j in range(2):
        change = [row.bars[j].after - row.bars[j].before for row in w.shown.rows]
        assert sum(value for value in change if value > 0) == pytest.approx(-sum(v for v in change if v < 0), abs=1e-5)
        assert sum(row.bars[j].after for row in w.shown.rows) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 1.8}, {"top_k": 12}, {"top_p": 0.8}, {"min_p": 0.05, "temperature": 0.5}]
)
def test_ten_thousand_draws_keep_to_the_bars(random_model: lab.TextModel, settings: dict[str, float]) -> None:
    w = Sampling(random_model, prompt=PROMPT, n_drawn=10_000, **settings)
    fit = w.shown.effects[0].fit
    assert fit is not None
    assert fit.p > 0.001
    if fit.degrees:
        assert f"p = {w.shown.effects[0].fit_shown[1]}" in w.sentence
    assert "they keep to the bars" in w.sentence
    shares = sum(row.bars[0].drawn for row in w.shown.rows)
    assert shares == pytest.approx(1)


def test_the_same_seed_draws_the_same_and_another_others(random_model: lab.TextModel) -> None:
    w = Sampling(random_model, prompt=PROMPT, n_drawn=1_000)
    first = w.shown.effects[0].words
    w.seed = 1
    assert w.shown.effects[0].words != first
    w.seed = 0
    assert w.shown.effects[0].words == first
    steps = random_model.generate(PROMPT, 1, seed=0).steps
    assert first[0].replace("·", " ") == steps[0].token, "the first draw is what generate writes"


def test_many_draws_are_single_draws_in_one_go() -> None:
    log_probs = torch.randn(50, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    for sampler in (lab.Sampler(), lab.Sampler(0.5, top_k=7), lab.Sampler(0)):
        one, many = (torch.Generator().manual_seed(9) for _ in range(2))
        assert sampler.draw_many(log_probs, 40, many).tolist() == [sampler.draw(log_probs, one) for _ in range(40)]


def test_pearsons_statistic_and_its_tail() -> None:
    """Against the data folder's test and a printed table: 5 % of fair draws exceed 3.841 at 1 degree, 18.307 at 10."""
    counts, probs = torch.tensor([580, 210, 150, 60]), torch.tensor([0.6, 0.2, 0.15, 0.05])
    fit = chi_squared(counts, probs)
    assert fit.degrees == 3
    assert fit.p == pytest.approx(p_value(counts.tolist(), [600, 200, 150, 50]), rel=1e-6)
    for degrees, limit in ((1, 3.841), (10, 18.307)):
        n, cells = 10_000.0, degrees + 1
        off = math.sqrt(limit * n / cells / 2)  # two cells pushed apart make up the whole statistic
        observed = torch.full((cells,), n / cells, dtype=torch.float64)
        observed[0], observed[1] = observed[0] + off, observed[1] - off
        assert chi_squared(observed, torch.full((cells,), 1 / cells)).p == pytest.approx(0.05, abs=2e-4)


def test_a_wrong_sampler_is_caught_and_rare_cells_are_pooled() -> None:
    log_probs = torch.tensor([0.6, 0.3, 0.1]).log()
    generator = torch.Generator().manual_seed(0)
    drawn = torch.bincount(lab.Sampler(0.9).draw_many(log_probs, 10_000, generator), minlength=3)
    assert chi_squared(drawn, log_probs.exp()).p < 0.001
    rare = torch.tensor([0.999, *[1e-4] * 10])
    assert chi_squared(torch.tensor([9_990, 10, *[0] * 9]), rare).degrees == 1
    assert chi_squared(torch.tensor([10, 0]), torch.tensor([1.0, 0.0])).degrees == 0
    assert chi_squared(torch.tensor([9_999, 1]), torch.tensor([1.0, 0.0])).p < 0.001, "what was ruled out was drawn"


def test_equal_choices_are_the_perplexity_of_one_token() -> None:
    assert choices(torch.full((8,), 1 / 8)) == pytest.approx(8)
    assert choices(torch.tensor([0.0, 1.0])) == pytest.approx(1)
    assert choices(torch.tensor([0.5, 0.25, 0.25])) == pytest.approx(2**1.5)


def test_models_of_different_vocabularies_are_sampled_token_by_token(trigram: lab.TextModel) -> None:
    other = lab.train_bpe(TEXT, vocab_size=290, specials=("<|endoftext|>",))[0]
    ids = torch.tensor([other.bos_id, *other.encode(TEXT)])
    pieces = lab.TextModel(lab.NGram.fit(ids, n=12, vocab_size=other.vocab_size), other, name="pieces")
    w = Sampling(pieces, trigram, prompt="the stock market crashed and", temperature=0.5)
    row = next(row for row in w.shown.rows if row.raw == " investors")
    expected, given = 1.0, w.prompt
    for id_ in other.encode(" investors"):
        odds = pieces.next_log_probs(given).double().exp() ** 2
        expected *= float(odds[id_] / odds.sum())
        given += other.decode([id_])
    assert row.bars[0].after == pytest.approx(expected, abs=1e-6)


def test_the_models_are_asked_once_a_prompt(random_model: lab.TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real, decode = lab.Transformer.next_log_probs, random_model.tokenizer.decode
    monkeypatch.setattr(
        lab.Transformer,
        "next_log_probs",
        lambda self, ids, *state: (asked.append(decode(ids[0, 1:].tolist())), real(self, ids, *state))[1],
    )
    w = Sampling(random_model, prompt="the mayor")
    for value in (0.2, 0.9, 1.4):
        w.temperature = value
    w.n_drawn = 10_000
    assert asked == ["the mayor"]
    w.prompt = "the goose"
    assert asked == ["the mayor", "the goose"]


def test_reset_goes_back_to_the_cell_draws_included(random_model: lab.TextModel) -> None:
    w = Sampling(random_model, prompt=PROMPT, temperature=0.5, n_drawn=100)
    first = w.sentence
    w.n_drawn, w.seed, w.top_k, w.prompt = 10_000, 4, 2, "the goose"
    assert w.sentence != first
    w.reset()
    assert w.sentence == first
    assert len(repr(w)) <= 110


@pytest.mark.parametrize("prompt", ["", " ", "😀", "日本語", "\x00", "x" * 10_000, "<img src=x onerror=alert(1)>"])
def test_any_prompt_has_an_answer(random_model: lab.TextModel, trigram: lab.TextModel, prompt: str) -> None:
    w = Sampling(random_model, trigram, prompt=prompt, top_p=0.5, n_drawn=100)
    assert len(w.shown.rows) == 8
    assert "left, worth" in w.sentence


def test_a_prompt_that_a_counter_never_saw_says_so(tokenizer: lab.Tokenizer) -> None:
    counts = lab.SequenceCounts.fit(torch.tensor([tokenizer.bos_id, *tokenizer.encode("the goose")]),
                                    bos_id=tokenizer.bos_id, vocab_size=tokenizer.vocab_size)  # fmt: skip
    w = Sampling(lab.TextModel(counts, tokenizer, name="counts"), prompt="a mayor", n_drawn=100)
    assert "counts has never seen this beginning and says nothing" in w.sentence


def test_what_cannot_be_is_refused_in_a_sentence(random_model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="compares 1 to 4 text models"):
        Sampling()
    w = Sampling(random_model)
    with pytest.raises(traitlets.TraitError):
        w.temperature = -1.0
    with pytest.raises(traitlets.TraitError):
        w.top_k = 0
