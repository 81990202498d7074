"""What every language model promises, asked of every one of them."""

import pytest
import torch

from lmlab.models.language_model import LanguageModel
from tests.models.models_under_test import V, every_model, random_ids

MODELS = every_model()
# Counting can be silent (a beginning never seen), and then it is silent for every token.
MAY_BE_SILENT = ("sequence counts", "n-gram none")


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str) -> LanguageModel:
    return MODELS[name]


def test_keeps_the_protocol(model: LanguageModel):
    assert isinstance(model, LanguageModel)
    log_probs = model.log_probs(random_ids(2, 5))
    assert log_probs.shape == (2, 5, V)
    assert log_probs.dtype == torch.float32
    assert log_probs.device.type == "cpu"
    assert not log_probs.requires_grad


def test_every_row_sums_to_one(model: LanguageModel, name: str):
    sums = model.log_probs(random_ids(3, 20)).exp().sum(-1)
    assert not sums.isnan().any()
    if name in MAY_BE_SILENT:
        sums = sums[sums > 0]
    torch.testing.assert_close(sums, torch.ones_like(sums), atol=1e-5, rtol=0)


def test_reading_a_text_in_pieces_equals_reading_it_whole(model: LanguageModel):
    ids = random_ids(2, 17, seed=3)
    whole = model.log_probs(ids)
    for pieces in ([1] * 17, [5, 1, 7, 4], [17]):
        state, end = None, 0
        for length in pieces:
            row, state = model.next_log_probs(ids[:, end : end + length], state)
            end += length
            assert row.shape == (2, V)
            torch.testing.assert_close(row, whole[:, end - 1], atol=2e-5, rtol=0)


def test_a_state_gives_the_same_answer_twice_and_can_be_gone_back_to(model: LanguageModel):
    ids = random_ids(1, 12, seed=4)
    _, state = model.next_log_probs(ids[:, :6])
    first, _ = model.next_log_probs(ids[:, 6:9], state)
    model.next_log_probs(random_ids(1, 4, seed=5), state)
    again, _ = model.next_log_probs(ids[:, 6:9], state)
    assert torch.equal(first, again)
    torch.testing.assert_close(first, model.log_probs(ids[:, :9])[:, -1], atol=2e-5, rtol=0)


def test_a_text_does_not_change_its_neighbors_in_the_batch(model: LanguageModel):
    ids = random_ids(3, 10, seed=6)
    together = model.log_probs(ids)
    for row in range(3):
        torch.testing.assert_close(together[row], model.log_probs(ids[row : row + 1])[0], atol=2e-5, rtol=0)


def test_the_future_does_not_change_the_past(model: LanguageModel):
    ids = random_ids(1, 14, seed=7)
    changed = ids.clone()
    changed[:, 9:] = random_ids(1, 5, seed=8)
    torch.testing.assert_close(model.log_probs(ids)[:, :9], model.log_probs(changed)[:, :9], atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (torch.tensor([[0, V]]), f"Id {V} is outside the vocabulary of {V}"),
        (torch.tensor([[-1]]), "Id -1"),
        (torch.tensor([[0.5]]), "whole numbers"),
        (torch.tensor([[True]]), "whole numbers"),
        (torch.empty(1, 0, dtype=torch.long), "at least one token"),
        (torch.zeros(1, 1, 1, dtype=torch.long), "shape"),
    ],
)
def test_impossible_ids_are_refused_by_name(model: LanguageModel, ids: torch.Tensor, words: str):
    for ask in (model.log_probs, model.next_log_probs):
        with pytest.raises(ValueError, match=words):
            ask(ids)
