"""Samples of the widgets of lab 15, which split work or count what memory holds; `SETUP` of samples.py makes their
models."""

from __future__ import annotations

from tests.browser.sample import Sample

SYSTEMS_SAMPLES = {
    "ParallelPlan": Sample(
        (
            "lab.widgets.ParallelPlan(random)",
            'lab.widgets.ParallelPlan(random, plan="tensor", processes=2, network="ethernet")',
            'lab.widgets.ParallelPlan(hostile, plan="data", micro_batches=32, processes=8)',
        ),
        name="Processes, p",
        trait="processes",
        value=3,
    ),
    "SplitMatrix": Sample(
        (
            "lab.widgets.SplitMatrix(random)",
            'lab.widgets.SplitMatrix(random, cut="rows", processes=4)',
            'lab.widgets.SplitMatrix(hostile, cut="rows", processes=3, prompt="<b>who</b>?")',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market rose",
        text="prompt",
    ),
    "FusedAttention": Sample(
        (
            'lab.widgets.FusedAttention(random, prompt="the stock market crashed and investors panicked", step=3)',
            'lab.widgets.FusedAttention(random, prompt="the goose and the mayor", tile=2, layer=1, head=3)',
            'lab.widgets.FusedAttention(hostile, prompt="the <b>stock</b> market", tile=1, show="roofline")',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market",
        text="prompt",
    ),
}
