"""Rows of documents: each begins with a fair draw, only the last of a row is cut, and padding does not count."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from lmlab.data.packing import IGNORED, DocumentStream

BOS = 9


def ids_of(documents: list[list[int]]) -> torch.Tensor:
    return torch.tensor([i for d in documents for i in (BOS, *d)] + [BOS])


def documents(n: int = 60) -> list[list[int]]:
    generator = torch.Generator().manual_seed(4)
    lengths = torch.randint(1, 8, (n,), generator=generator).tolist()
    return [[10 + k, *torch.randint(0, 9, (n - 1,), generator=generator).tolist()] for k, n in enumerate(lengths)]


def read_back(inputs: torch.Tensor, targets: torch.Tensor) -> list[tuple[int, ...]]:
    """The documents of one row, from the inputs and targets alone; the last may be cut."""
    kept = int((targets != IGNORED).sum())
    assert bool((targets[:kept] != IGNORED).all()), "what does not count is at the end"
    assert torch.equal(targets[: kept - 1], inputs[1:kept]), "targets are the inputs moved on by one"
    assert inputs[0] == BOS
    found: list[list[int]] = []
    for i in (*inputs[:kept].tolist(), int(targets[kept - 1])):
        if i == BOS:
            found.append([])
        else:
            found[-1].append(i)
    return [tuple(document) for document in found if document]


def test_an_epoch_is_every_document_once_and_only_the_last_of_a_row_is_cut() -> None:
    stream = DocumentStream(ids_of(documents()), bos=BOS, T=16, B=1, seed=3)
    known = {document[0]: tuple(document) for document in documents()}
    seen: dict[int, Counter[int]] = {}
    while len(seen) < 3:
        batch = next(stream)
        *whole, last = read_back(batch.inputs[0], batch.targets[0])
        assert all(known[document[0]] == document for document in whole)
        assert known[last[0]][: len(last)] == last
        seen.setdefault(stream.state()["epoch"], Counter()).update(document[0] for document in (*whole, last))
    assert seen[0] == seen[1] == Counter(known.keys())


def test_rows_are_full_but_for_the_last_of_an_epoch() -> None:
    stream = DocumentStream(ids_of(documents()), bos=BOS, T=16, B=1, seed=3)
    short = [int((next(stream).targets == IGNORED).sum()) for _ in range(60)]
    assert sum(n > 0 for n in short) <= 60 // 15


def test_what_stands_first_in_a_row_is_a_fair_draw() -> None:
    """Rows that begin with what did not fit before would begin with long documents too often."""
    lengths = [1] * 300 + [12] * 300
    stream = DocumentStream(ids_of([[k % 9] * k for k in lengths]), bos=BOS, T=16, B=4, seed=5)
    long = [bool(row[1] == 12 % 9) for _ in range(400) for row in next(stream).inputs]
    assert abs(sum(long) / len(long) - 0.5) < 0.05


def test_the_order_depends_on_the_seed_and_changes_every_epoch() -> None:
    def rows(seed: int, n: int = 40) -> list[list[int]]:
        stream = DocumentStream(ids_of(documents()), bos=BOS, T=16, B=2, seed=seed)
        return [next(stream).inputs.flatten().tolist() for _ in range(n)]

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)
    assert rows(1)[:5] != rows(1)[-5:]


def test_it_goes_on_where_it_was() -> None:
    first = DocumentStream(ids_of(documents()), bos=BOS, T=16, B=2)
    for _ in range(17):
        next(first)
    second = DocumentStream(ids_of(documents()), bos=BOS, T=16, B=2)
    second.load_state(first.state())
    for _ in range(17):
        a, b = next(first), next(second)
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)


def test_a_cursor_of_another_stream_is_refused_with_the_difference() -> None:
    stream = DocumentStream(ids_of(documents()), bos=BOS, T=16, B=2)
    with pytest.raises(ValueError, match="saved with T=12, but the stream has T=16"):
        stream.load_state(DocumentStream(ids_of(documents()), bos=BOS, T=12, B=2).state())


def test_a_document_longer_than_a_row_is_cut_to_it() -> None:
    stream = DocumentStream(ids_of([[1] * 30, [2] * 3]), bos=BOS, T=8, B=2)
    batch = next(stream)
    assert sorted(int((t != IGNORED).sum()) for t in batch.targets) == [4, 8]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"B": 0}, "B must be"),
        ({"T": 1}, "T must be"),
        ({"seed": -1}, "seed"),
        ({"B": 99}, "too few for one batch of B=99"),
    ],
)
def test_what_cannot_fill_a_batch_is_refused_with_the_numbers(changes: dict[str, int], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DocumentStream(ids_of(documents()), bos=BOS, **{"T": 16, "B": 2, **changes})
