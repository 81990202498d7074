"""Charts with axes, drawn by plotly through one door.

plotly's own ``FigureWidget`` sends 5 MB of JavaScript for every figure. Here one hidden runtime widget holds
plotly.js, gzipped, once a kernel; every chart reaches it through the widget manager and receives a
specification of a few kilobytes. The browser unpacks it with ``DecompressionStream``.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
from collections.abc import Mapping
from importlib import resources
from typing import Any

import anywidget
import traitlets

from lmlab.widgets._base import LabWidget, View


class _Runtime(anywidget.AnyWidget):
    """Holds plotly.js for every chart of a page; it shows nothing itself."""

    _esm = "export default {render() {}};"
    bundle = traitlets.Bytes().tag(sync=True)


@functools.cache
def _runtime() -> _Runtime:
    script = resources.files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    return _Runtime(bundle=gzip.compress(script, compresslevel=6))


def plotly_text(text: str) -> str:
    """Text that plotly shows as it is: its labels read ``<b>``, ``<a>`` and ``%{…}`` as markup.

    >>> plotly_text("<b>%{x}</b>")
    '&lt;b>%&#123;x}&lt;/b>'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("{", "&#123;")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Handle:
    """A mark that the mouse drags up and down in the first plot, at ``x``: its height is the trait, in hundredths.

    A control of the same trait does it by keyboard.
    """

    trait: str
    x: float
    least: float
    most: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureView(View):
    """A view whose picture is a plotly specification: ``{"data": […], "layout": {…}}``, and its height in px."""

    figure: Mapping[str, Any]
    height: int = 360
    handle: Handle | None = None


class FigureWidget(LabWidget):
    """Base of the widgets that draw a chart with axes; ``compute`` returns a ``FigureView``.

    Colors named ``"m1"``, ``"ink"``, ``"you"`` … in a specification follow the theme.
    """

    kind = "figure"

    _runtime_id = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(_runtime_id=_runtime().model_id, **traits)
