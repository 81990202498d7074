"""The landscape: every row has a date and a source, and its place follows from what was published."""

from __future__ import annotations

import re
from datetime import date

import pytest

from lmlab.data.landscape import ACCESSES, LANDSCAPE, Published


@pytest.mark.parametrize("row", LANDSCAPE, ids=lambda row: row.name)
def test_a_row_is_dated_sourced_and_of_a_possible_size(row: Published) -> None:
    assert date(2018, 1, 1) < date.fromisoformat(row.date) <= date.today()
    assert re.search(r"arXiv \d{4}\.\d{5}|[a-z]+\.(com|org|ai)/", row.source), "a report or an announcement"
    for arxiv in re.findall(r"arXiv (\d\d)(\d\d)\.", row.source):
        assert 1 <= int(arxiv[1]) <= 12
    assert row.license
    assert row.maker
    for size in (row.n_params, row.n_active):
        assert size is None or 1e9 <= size <= 2e12
    assert row.n_tokens is None or 1e11 <= row.n_tokens <= 1e14
    if row.n_active is not None:
        assert row.n_params is not None
        assert row.n_active < row.n_params
    if row.name[-1] == "B" and row.n_params:  # the name says it, too
        said = float(re.search(r"([\d.]+)B", row.name)[1])  # type: ignore[index]
        assert row.n_params == pytest.approx(said * 1e9, rel=0.05)


def test_every_access_is_there_and_follows_from_weights_code_and_data() -> None:
    for row in LANDSCAPE:
        parts = (row.weights, row.code, row.data)
        assert row.access == {(0, 0, 0): "closed", (1, 0, 0): "open-weight", (1, 1, 1): "open-source"}[parts]
    assert {row.access for row in LANDSCAPE} == set(ACCESSES)
    assert all(row.n_params is None and row.n_tokens is None for row in LANDSCAPE if row.access == "closed")
    assert len({row.name for row in LANDSCAPE}) == len(LANDSCAPE)


def test_tokens_a_parameter_are_computed() -> None:
    by_name = {row.name: row for row in LANDSCAPE}
    assert by_name["Llama 3.1 405B"].tokens_per_param == pytest.approx(38.5, abs=0.05)  # as in lab 9
    assert by_name["gpt-oss-120b"].tokens_per_param is None
