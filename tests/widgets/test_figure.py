"""Charts through one door: plotly.js once a kernel, and specifications that plotly itself accepts."""

from __future__ import annotations

import dataclasses
import gzip

import plotly.graph_objects as go
import pytest

from lmlab.widgets._figure import FigureView, FigureWidget, plotly_text
from lmlab.widgets._style import spans


class Curve(FigureWidget):
    """Any chart will do."""

    def compute(self) -> FigureView:
        data = [{"type": "scatter", "x": [1, 2, 3], "y": [3, 1, 2], "name": plotly_text("<b>loss</b>")}]
        layout = {"xaxis": {"title": {"text": "step"}}}
        return FigureView(question="?", about="Curve", readout=spans("ok"), figure={"data": data, "layout": layout})


def test_plotly_travels_once_for_all_charts() -> None:
    a, b = Curve(), Curve()
    assert a._runtime_id == b._runtime_id != ""
    own = sum(len(str(getattr(a, name))) for name in a.keys if not name.startswith("_esm"))
    assert own < 30_000, "a chart of its own is a specification, not a library"


def test_the_bundle_is_plotly_js() -> None:
    from lmlab.widgets._figure import _runtime

    script = gzip.decompress(_runtime().bundle)
    assert b"plotly.js v" in script[:200]
    assert len(_runtime().bundle) < 1_700_000


def test_the_specification_is_one_that_plotly_accepts() -> None:
    go.Figure(Curve().view["figure"])
    with pytest.raises(ValueError):
        go.Figure({"data": [{"type": "scater"}]})


def test_markup_in_a_label_is_text() -> None:
    assert plotly_text("<a href='x'>%{y}&</a>") == "&lt;a href='x'>%&#123;y}&amp;&lt;/a>"


def test_a_view_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Curve().shown.height = 3  # type: ignore[misc, union-attr]
