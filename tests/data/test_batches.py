"""Windows: what is read and what should follow, in an order that can be taken up again."""

import pytest
import torch

from lmlab.data.batches import WindowStream


def stream(n=1000, **more):
    return WindowStream(torch.arange(n), **{"T": 16, "B": 4, "seed": 0, **more})


def test_targets_are_the_inputs_moved_on_by_one():
    batch = stream().next()
    assert batch.inputs.shape == batch.targets.shape == (4, 16)
    assert batch.inputs.dtype == torch.int64
    assert torch.equal(batch.targets, batch.inputs + 1)
    inputs, targets = batch
    assert inputs is batch.inputs
    assert targets is batch.targets


def test_an_epoch_shows_no_window_twice_and_nearly_everything_once():
    windows = stream()
    seen = torch.cat([windows.next().inputs.flatten() for _ in range(windows.batches_per_epoch)])
    assert len(seen.unique()) == len(seen) >= 1000 - 2 * 16 - 4 * 16


def test_epochs_cut_at_other_places_and_orders():
    windows = stream()
    first, second = ([windows.next().inputs for _ in range(windows.batches_per_epoch)] for _ in range(2))
    assert set(torch.cat(first)[:, 0].tolist()) != set(torch.cat(second)[:, 0].tolist())


def test_a_stream_goes_on_where_its_state_was_taken():
    a, b = stream(), stream()
    for _ in range(37):
        next(a)
    b.load_state(a.state())
    for _ in range(40):
        assert torch.equal(next(a).inputs, next(b).inputs)
    assert not torch.equal(stream(seed=1).next().inputs, stream().next().inputs)


def test_the_state_of_another_stream_is_refused():
    with pytest.raises(ValueError, match=r"B=4.*B=8"):
        stream(B=8).load_state(stream().state())
    with pytest.raises(ValueError, match="n_ids"):
        stream(n=999).load_state(stream().state())


@pytest.mark.parametrize(("T", "B"), [(16, 1), (7, 3), (1, 5)])
def test_the_smallest_corpus_that_fits_works_and_one_less_is_refused(T, B):
    least = (B + 1) * T
    for _ in range(3):
        assert stream(n=least, T=T, B=B).next().targets.max() < least
    with pytest.raises(ValueError, match=rf"{least - 1} tokens.*B={B}.*T={T}.*{least}"):
        stream(n=least - 1, T=T, B=B)


@pytest.mark.parametrize("wrong", [{"T": 0}, {"B": 0}, {"B": 2.5}, {"seed": -1}, {"T": True}])
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        stream(**wrong)
