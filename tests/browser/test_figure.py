"""Thirteen charts on one page: plotly.js comes once, each is drawn and follows theme and state."""

from __future__ import annotations

from pathlib import Path

ROOT = str(Path(__file__).parents[2])
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
    cells = [CHART.format(root=ROOT), *(f"c{i} = Curve(n={i + 2})\nc{i}" for i in range(13))]
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


CHART_OF = "document.querySelector('[data-lmlab=Pair] .js-plotly-plot')"
LABEL = f"{CHART_OF}.querySelector('.hoverlayer .hovertext')?.textContent ?? ''"
PAIR = """
class Pair(FigureWidget):
    def compute(self):
        seed = __import__("random").Random()
        low = [seed.randrange(100) for _ in range(9)]
        low[4] = None
        data = [{"type": "scatter", "x": list(range(9)), "y": low, "name": "low <b>& slow</b>".replace("<", "&lt;"),
                 "hovertemplate": "step %{x}, %{y:.1f} nats<extra></extra>"},
                {"type": "scatter", "x": [2, 5, 8], "y": [200.25, 300.5, 400.75], "name": "high"},
                {"type": "scatter", "x": [1], "y": [150], "hoverinfo": "skip"}]
        figure = {"data": data, "layout": {}}
        return FigureView(question="Two lines?", about="Pair", readout=spans("at rest"), figure=figure)
"""


def test_a_keyboard_walks_the_points_and_each_is_shown_and_said(shared_notebook) -> None:
    lab = shared_notebook([CHART.format(root=ROOT), PAIR, "w = Pair()\nw"])
    pair = lab.widget("Pair")
    lab.page.wait_for_function(f"() => {CHART_OF}?.data?.length === 3")
    low = lab.page.evaluate(f"{CHART_OF}.data[0].y")
    assert lab.page.evaluate(LABEL) == ""

    pair.root.locator(".js-plotly-plot").focus()
    for key, at in (("ArrowRight", 0), ("ArrowRight", 1), ("End", 8), ("ArrowLeft", 7), ("PageUp", 8), ("Home", 0)):
        pair.press(key)
        assert pair.readout() == f"low <b>& slow</b>: step {at}, {low[at]:.1f} nats", key
    pair.press(*["ArrowRight"] * 4)
    assert pair.readout().startswith("low <b>& slow</b>: step 5,"), "there is no point at 4"
    lab.page.wait_for_function(f"() => ({LABEL}).includes('step 5, {low[5]:.1f} nats')")

    pair.press("ArrowUp")
    assert pair.readout() == "high: 5: 300.50"
    lab.page.wait_for_function(f"() => ({LABEL}).includes('300.5')")
    pair.press("ArrowUp", "ArrowRight", "ArrowRight")
    assert pair.readout() == "high: 8: 400.75", "nothing lies above, nothing after"
    pair.press("ArrowDown")
    assert pair.readout() == f"low <b>& slow</b>: step 8, {low[8]:.1f} nats"
    pair.press("Escape")
    assert pair.readout() == "at rest"
    assert lab.page.evaluate(LABEL) == ""
