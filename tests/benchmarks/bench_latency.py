"""Key press to paint in a real JupyterLab, with the server extension and without it; bytes an update.

    python -m tests.benchmarks.bench_latency [--times 25] [--without-extension] [NextToken …]

Goals (medians): what the kernel computes 45 ms plus the computation, p95 100 ms; what is scrubbed in the
browser 16 ms. ``floor`` is a widget of forty lines whose kernel does next to nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import BrowserContext, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.chromium import launch, new_context
from tests.browser.jupyterlab_server import JupyterLabServer
from tests.browser.lab_page import Lab
from tests.browser.latency import Latency, key_to_paint
from tests.browser.samples import SAMPLES, SETUP
from tests.browser.tiny_widget import SHOW
from tests.browser.widget import Widget

RESULTS = Path(__file__).parent / "results"
TOWN = 'import lmlab as lab\ntown = lab.load("town")'
PROMPT = "the stock market crashed and investors"


@dataclass(frozen=True)
class Case:
    """One thing to press. ``focus`` is a CSS selector inside the widget; ``part`` what must change."""

    name: str
    kind: str
    cells: tuple[str, ...]
    focus: str
    keys: tuple[str, str]
    goal_ms: float
    part: str = ".lm-picture"


CASES: tuple[Case, ...] = (
    Case("floor", "Tiny", tuple(SHOW), "input[type=range]", ("ArrowRight", "ArrowLeft"), 45, "canvas, [role=status]"),
    Case(
        "NextToken, slider through the kernel",
        "NextToken",
        (TOWN, f"lab.widgets.NextToken(town, prompt={PROMPT!r})"),
        "[data-control=k] input",
        ("ArrowRight", "ArrowLeft"),
        100,
    ),
    Case(
        "Attention, head by arrow keys",
        "Attention",
        (TOWN, f"lab.widgets.Attention(town, prompt={PROMPT!r})"),
        ".lm-picture [tabindex='0']",
        ("ArrowRight", "ArrowLeft"),
        16,
    ),
    Case(
        "BPEMerges, scrub the merges",
        "BPEMerges",
        (
            'import lmlab as lab\ntext = lab.corpus("town", documents=500, seed=0).text\n'
            "tok, merges = lab.train_bpe(text, vocab_size=500)",
            "lab.widgets.BPEMerges(merges)",
        ),
        "input[type=range]",
        ("ArrowRight", "ArrowLeft"),
        16,
    ),
    Case(
        "QuantizationBins, bits",
        "QuantizationBins",
        (TOWN, "lab.widgets.QuantizationBins(town, bits=3)"),
        "input[type=range]",
        ("ArrowRight", "ArrowLeft"),
        100,
    ),
)
# Of every other widget the first slider, of one as the tests draw it.
CASES += tuple(
    Case(
        f"{kind}, its first slider",
        kind,
        (SETUP, sample.make[0]),
        "input[type=range]",
        ("ArrowRight", "ArrowLeft"),
        100,
    )
    for kind, sample in SAMPLES.items()
    if kind not in {case.kind for case in CASES}
)


@contextmanager
def served(extension: bool) -> Iterator[tuple[BrowserContext, JupyterLabServer]]:
    """A server and a browser of their own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, sync_playwright() as playwright:
        server = JupyterLabServer(Path(folder) / "here", extension=extension)
        browser = launch(playwright)
        try:
            yield new_context(browser), server
        finally:
            browser.close()
            server.stop()


def run(case: Case, context: BrowserContext, server: JupyterLabServer, times: int) -> tuple[Latency, float]:
    """Latency, and bytes received an update."""
    name = f"{case.kind.lower()}.ipynb"
    server.write(name, list(case.cells))
    lab = Lab(context, server, name)
    try:
        widget = lab.run_all().widget(case.kind)
        return press(widget, case, times)
    finally:
        lab.close()


def press(widget: Widget, case: Case, times: int) -> tuple[Latency, float]:
    """Right, left, right, left, after three presses that warm things up."""
    widget.root.locator(case.focus).first.focus(timeout=2_000)
    keys = [case.keys[i % 2] for i in range(times + 3)]
    before = widget.lab.bytes_received()
    latency = key_to_paint(widget, keys, part=case.part)
    return latency, (widget.lab.bytes_received() - before) / len(keys)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help="widgets to measure (all, unless named)")
    parser.add_argument("--times", type=int, default=25)
    parser.add_argument("--without-extension", action="store_true", help="as on a server that is not ours")
    options = parser.parse_args()
    rows = []
    extension = not options.without_extension
    with served(extension) as (context, server):
        for case in CASES:
            if options.kinds and case.kind not in options.kinds:
                continue
            try:
                latency, n_bytes = run(case, context, server, options.times)
            except PlaywrightTimeout:
                print(f"{case.name}: not measured, it has none, or nothing in the picture follows it")
                continue
            rows.append(
                {
                    "case": case.name,
                    "extension": extension,
                    "median_ms": latency.median,
                    "p95_ms": latency.p95,
                    "bytes": n_bytes,
                    "goal_ms": case.goal_ms,
                }
            )
            verdict = "met" if latency.median <= case.goal_ms else f"over the goal of {case.goal_ms:g} ms"
            print(f"{case.name}, extension {'on' if extension else 'off'}: {latency}, {n_bytes:,.0f} bytes; {verdict}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latency.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
