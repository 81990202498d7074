"""Thirteen charts on one page: plotly.js comes once, each is drawn and follows theme and state."""

from __future__ import annotations

CHART = """
import sys
sys.path.insert(0, {root!r})
import traitlets
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView, FigureWidget, plotly_text
from lmlab.widgets._style import spans

class Curve(FigureWidget):
    controls = ("n",)
    n = traitlets.Int(3).tag(sync=True, control=Control("slider", "n", min=1, max=50))
    def compute(self):
        y = [(i * self.n) % 17 for i in range(20)]
        name = plotly_text("<img src=x onerror=window.__pwned=1>")
        data = [{{"type": "scatter", "y": y, "name": name, "showlegend": True}}]
        figure = {{"data": data, "layout": {{}}}}
        return FigureView(question="A curve?", about="Curve", readout=spans(f"n is {{self.n}}"), figure=figure)
"""
DRAWN = "() => document.querySelectorAll('[data-lmlab=Curve] .main-svg').length >= 13"
LAST_Y = "() => [...document.querySelectorAll('[data-lmlab=Curve] [role=img]')].map(d => d.data?.[0]?.y[1])"


def test_thirteen_charts_share_one_plotly(notebook) -> None:
    from pathlib import Path

    root = str(Path(__file__).parents[2])
    cells = [CHART.format(root=root), *(f"c{i} = Curve(n={i + 2})\nc{i}" for i in range(13))]
    lab = notebook(cells, run=False)

    def run() -> None:
        lab.run_all()
        lab.page.wait_for_function(DRAWN)

    received = lab.bytes_during(run)
    assert 1_300_000 < received < 2_300_000, "one plotly.js, thirteen specifications"
    lab.page.wait_for_function(f"() => ({LAST_Y})().every(y => y !== undefined)")
    assert lab.page.evaluate(LAST_Y) == [i + 2 for i in range(13)]

    curve = lab.widget("Curve")
    changed = lab.bytes_during(lambda: (lab.execute("c0.n = 11"), curve.expect_readout("n is 11")))
    assert changed < 20_000, "a change is a specification"
    lab.page.wait_for_function(f"() => ({LAST_Y})()[0] === 11")

    ink = "() => document.querySelector('[data-lmlab=Curve] .xtick text').style.fill"
    light = lab.page.evaluate(ink)
    lab.theme("dark")
    lab.page.wait_for_function(f"light => ({ink})() !== light", arg=light)
    assert lab.page.evaluate("() => window.__pwned") is None
