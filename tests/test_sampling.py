"""The sampler at its edges, and generation against a loop that knows no shortcuts."""

from __future__ import annotations

import math

import pytest
import torch

from lmlab.models.ngram import NGram
from lmlab.models.transformer import Transformer
from lmlab.sampling import Sampler, generate, generate_batch
from tests.models.models_under_test import V, every_model, random_ids, small_config

INF = math.inf
MODELS = every_model()
FIVE = torch.tensor([0.05, 0.4, 0.1, 0.15, 0.3]).log()


def kept(sampler: Sampler, log_probs: torch.Tensor = FIVE) -> list[int]:
    return sampler.probabilities(log_probs).nonzero().flatten().tolist()


def test_temperature_one_is_the_models_own_distribution():
    torch.testing.assert_close(Sampler().probabilities(FIVE), FIVE.double().exp() / FIVE.double().exp().sum())


def test_temperature_raises_the_odds_to_a_power():
    p = FIVE.double().exp()
    for temperature in (0.25, 0.5, 2.0, 100.0):
        expected = p ** (1 / temperature)
        torch.testing.assert_close(Sampler(temperature).probabilities(FIVE), expected / expected.sum())


@pytest.mark.parametrize("temperature", [0, 1e-12, 1e-300])
def test_no_temperature_is_the_likeliest_token_and_the_lowest_id_among_equals(temperature: float):
    assert Sampler(temperature).probabilities(FIVE).tolist() == [0, 1, 0, 0, 0]
    if temperature == 0:
        assert Sampler(0).probabilities(torch.zeros(4)).tolist() == [1, 0, 0, 0]


def test_a_hundred_degrees_are_finite_and_impossible_stays_impossible():
    probs = Sampler(100.0).probabilities(torch.tensor([-1e4, 0.0, -INF]))
    assert probs.isfinite().all()
    assert probs[2] == 0
    assert probs.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("sampler", "survivors"),
    [
        (Sampler(top_k=2), [1, 4]),
        (Sampler(top_k=1), [1]),
        (Sampler(top_k=0), [1]),
        (Sampler(top_k=99), [0, 1, 2, 3, 4]),
        (Sampler(top_p=0.39), [1]),
        (Sampler(top_p=0.41), [1, 4]),
        (Sampler(top_p=0.0), [1]),
        (Sampler(top_p=1.0), [0, 1, 2, 3, 4]),
        (Sampler(top_p=7.5), [0, 1, 2, 3, 4]),
        (Sampler(min_p=0.3), [1, 3, 4]),
        (Sampler(min_p=0.0), [0, 1, 2, 3, 4]),
        (Sampler(min_p=3.0), [1]),
        (Sampler(top_k=3, top_p=0.8), [1, 4]),
        (Sampler(temperature=0, top_k=0, top_p=0, min_p=9), [1]),
    ],
)
def test_filters_keep_what_they_say_and_always_one(sampler: Sampler, survivors: list[int]):
    assert kept(sampler) == survivors
    assert sampler.probabilities(FIVE).sum() == pytest.approx(1)


def test_equal_tokens_are_kept_by_lowest_id():
    assert kept(Sampler(top_k=2), torch.zeros(5)) == [0, 1]
    assert kept(Sampler(top_p=0.5), torch.zeros(5)) == [0, 1, 2]


def test_filters_equal_those_of_transformers():
    warpers = pytest.importorskip("transformers.generation.logits_process")
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        logits = torch.randn(1, 40, generator=generator) * 3
        for ours, theirs in (
            (Sampler(top_k=7), warpers.TopKLogitsWarper(7)),
            (Sampler(top_p=0.8), warpers.TopPLogitsWarper(0.8)),
            (Sampler(min_p=0.1), warpers.MinPLogitsWarper(0.1)),
            (Sampler(temperature=0.6), warpers.TemperatureLogitsWarper(0.6)),
        ):
            expected = theirs(torch.zeros(1, 1, dtype=torch.long), logits.double()).softmax(-1)
            torch.testing.assert_close(ours.probabilities(logits.log_softmax(-1)), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ["temperature", "top_k", "top_p", "min_p"])
@pytest.mark.parametrize("value", [-1, -1e-9, math.nan, INF, "hot", True])
def test_senseless_settings_are_refused_by_name(name: str, value: object):
    with pytest.raises(ValueError, match=f"{name} must be a number from 0 upward"):
        Sampler(**{name: value})


@pytest.mark.parametrize("log_probs", [[-INF, -INF], [math.nan, 0.0], [INF, 0.0]])
def test_no_valid_distribution_is_said(log_probs: list[float]):
    for sampler in (Sampler(), Sampler(0), Sampler(top_k=1)):
        with pytest.raises(ValueError, match="no valid distribution"):
            sampler.draw(torch.tensor(log_probs), torch.Generator())


def test_draws_have_the_frequencies_of_the_distribution():
    generator, sampler, n = torch.Generator().manual_seed(1), Sampler(), 2000
    log_probs = torch.tensor([0.5, 0.0, 0.2, 0.3, 0.0]).log()
    counts = torch.bincount(torch.tensor([sampler.draw(log_probs, generator) for _ in range(n)]), minlength=5)
    assert counts[1] == counts[4] == 0
    for count, p in zip(counts.tolist(), [0.5, 0, 0.2, 0.3, 0], strict=True):
        assert abs(count - n * p) <= 4 * math.sqrt(n * p * (1 - p))


def test_a_number_at_the_very_end_never_draws_the_impossible(monkeypatch: pytest.MonkeyPatch):
    for u, expected in ((0.0, 1), (1 - 2**-53, 2)):
        monkeypatch.setattr(torch, "rand", lambda *_a, u=u, **_k: torch.tensor(u, dtype=torch.float64))
        assert Sampler().draw(torch.tensor([-INF, 0.0, 0.0, -INF]), torch.Generator()) == expected


# ---------------------------------------------------------------- generation


@pytest.fixture(scope="module")
def model() -> Transformer:
    return Transformer(small_config(), seed=4)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_writes(name: str):
    written = list(generate(MODELS[name], torch.tensor([0]), 3, seed=1))
    assert len(written) == 3
    assert all(step.log_prob > -INF and step.log_probs.shape == (V,) for step in written)


@pytest.mark.parametrize("length", [1, 20, 32, 45])
def test_generation_equals_reading_the_whole_text_at_each_step(model: Transformer, length: int):
    """With no cache, from the last 32 ids, well past the end of the context."""
    prompt, sampler = random_ids(length, seed=length), Sampler(0.7, top_k=9)
    written = list(generate(model, prompt, 40, sampler=sampler, seed=5))
    ids, generator = prompt.tolist(), torch.Generator().manual_seed(5)
    for step in written:
        log_probs = model.log_probs(torch.tensor([ids[-32:]]))[0, -1]
        torch.testing.assert_close(step.log_probs, log_probs, atol=2e-5, rtol=0)
        assert step.id == sampler.draw(log_probs, generator)
        assert step.log_prob == pytest.approx(float(log_probs[step.id]), abs=2e-5)
        ids.append(step.id)
    assert len(written) == 40


def test_one_seed_is_one_text(model: Transformer):
    def write(seed: int) -> list[int]:
        return [step.id for step in generate(model, random_ids(4), 20, seed=seed)]

    torch.manual_seed(1)
    first = write(0)
    torch.rand(7)
    assert write(0) == first != write(1)


def test_stops_after_a_stop_token(model: Transformer):
    free = [step.id for step in generate(model, random_ids(3), 30, seed=2)]
    stop = free[5]
    stopped = [step.id for step in generate(model, random_ids(3), 30, seed=2, stop_ids={stop})]
    assert stopped == free[: free.index(stop) + 1]


def test_prompts_of_unequal_length_do_not_change_each_other(model: Transformer):
    prompts = [random_ids(length, seed=length) for length in (3, 7, 3, 1, 7, 30)]
    stops = {0, 1}
    together = generate_batch(model, prompts, 5, seed=3, stop_ids=stops)
    assert [step.id for step in together[0]] == [s.id for s in generate(model, prompts[0], 5, seed=3, stop_ids=stops)]
    for place, prompt in enumerate(prompts):
        others = [random_ids(length, seed=90 + length) for length in (2, 7, 3, 9, 7, 3)]
        others[place] = prompt
        alone = generate_batch(model, others, 5, seed=3, stop_ids=stops)[place]
        assert [step.id for step in alone] == [step.id for step in together[place]]
        assert [s.log_prob for s in alone] == pytest.approx([s.log_prob for s in together[place]], abs=1e-4)
    assert len({tuple(step.id for step in row) for row in together}) > 1


@pytest.mark.parametrize("number", [-1, 1_000_000_000, 2.5, True, math.nan])
def test_an_impossible_number_of_tokens_is_refused_before_anything_is_written(model: Transformer, number: object):
    with pytest.raises(ValueError, match="max_new_tokens must be a whole number from 0 to 100,000"):
        generate(model, random_ids(3), number)  # type: ignore[arg-type]


def test_no_tokens_are_no_tokens(model: Transformer):
    assert list(generate(model, random_ids(3), 0)) == []
    assert generate_batch(model, [random_ids(3)], 0) == [[]]


def test_impossible_prompts_and_seeds_are_refused(model: Transformer):
    for prompt in (torch.tensor([V]), torch.tensor([[1], [2]]), torch.empty(0, dtype=torch.long)):
        with pytest.raises(ValueError, match=r"Id|one text|at least one"):
            generate(model, prompt, 3)
    with pytest.raises(ValueError, match="seed"):
        list(generate(model, random_ids(3), 3, seed=-1))


def test_a_silent_model_says_so():
    counts = NGram.fit([0, 1, 0, 1], n=2, vocab_size=4, smoothing="none")
    with pytest.raises(ValueError, match="no valid distribution"):
        list(generate(counts, torch.tensor([3]), 2))
