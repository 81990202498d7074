"""TrainingCost: operations, GPU-days and dollars of one training run, each figure with the C it was computed from.

The slide and Meta's report disagree by half. The widget holds both: turn the utilization until one of them comes out.
"""

from __future__ import annotations

from dataclasses import dataclass

import traitlets

from lmlab.systems.compute import (
    H100_DENSE,
    LLAMA3_GPU_HOURS,
    LLAMA3_REPORTED_FLOPS,
    SLIDE_FLOPS,
    SLIDE_GPU_DAYS,
    TRILLION,
    gpu_days,
    rental_usd,
    training_flops,
    wall_clock_days,
)
from lmlab.widgets._base import Control
from lmlab.widgets._calculator import (
    Calculator,
    CalculatorView,
    Figure,
    Scale,
    compared,
    dial,
    round_count,
    scientific,
    shown_count,
    tick,
)
from lmlab.widgets._style import NARROW, Span, Spans, bold, spans

SCALES = {
    "days": Scale("Days on one GPU", 1.0, 1e9, tick(shown_count), ((365.25, "a year"), (36_525.0, "a century"))),
    "flops": Scale("C, FLOPs", 1e18, 1e28, lambda c: scientific(c, 1)[2:], ((3.14e23, "GPT-3, 3.14×10²³"),), every=2),
    "hours": Scale("GPU-hours", 1e2, 1e10, tick(shown_count), ((8_766.0, "a year, 8,766"),)),
    "calendar": Scale(
        "Days on the calendar", 0.01, 1e7, tick(shown_count), ((1.0, "a day"), (7.0, "a week"), (365.25, "a year"))
    ),
    "usd": Scale("Dollars", 1e3, 1e11, tick(lambda usd: f"${shown_count(usd)}")),
}
C_FROM = {"formula": "6·N·D", "slide": "the slide’s C", "meta": "Meta’s C"}
AIMS: dict[str, dict[str, tuple[float, str]]] = {
    "slide": {
        "flops": (SLIDE_FLOPS, "the slide: 3.9×10²⁵"),
        "days": (SLIDE_GPU_DAYS, "the slide: 880,000"),
        "hours": (24 * SLIDE_GPU_DAYS, "the slide: 21.1 million"),
        "usd": (42e6, "the slide: $42 million"),
    },
    "meta": {
        "flops": (LLAMA3_REPORTED_FLOPS, "Meta: 3.8×10²⁵"),
        "days": (LLAMA3_GPU_HOURS / 24, "Meta: 1.29 million"),
        "hours": (LLAMA3_GPU_HOURS, "Meta: 30.84 million"),
        "usd": (rental_usd(LLAMA3_GPU_HOURS / 24), "Meta: $61.7 million"),
    },
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """The assumptions of one training run; `peak` is "dense" or "sparse", which is twice the dense peak."""

    n_params: float
    n_tokens: float
    c_from: str
    dense_flops: float
    peak: str
    utilization: float
    usd_per_gpu_hour: float
    n_gpus: float

    @property
    def flops(self) -> float:
        """C, from the formula or as reported."""
        if self.c_from == "formula":
            return training_flops(self.n_params, self.n_tokens)
        return SLIDE_FLOPS if self.c_from == "slide" else LLAMA3_REPORTED_FLOPS

    @property
    def c_said(self) -> str:
        """C with where it comes from: `C = 6·N·D = 3.888×10²⁵`."""
        if self.c_from == "formula":
            return f"C = 6·N·D = {scientific(self.flops)}"
        return f"{C_FROM[self.c_from]} = {scientific(self.flops, 2)}"

    @property
    def peak_flops(self) -> float:
        """The peak that the utilization is a share of, FLOP/s."""
        return self.dense_flops * (2 if self.peak == "sparse" else 1)

    @property
    def gpu_days(self) -> float:
        """Days on one GPU."""
        return gpu_days(self.flops, peak_flops=self.peak_flops, utilization=self.utilization)


def cost_figures(run: Run) -> tuple[Figure, ...]:
    """The five figures, each with the C and the assumptions that it was computed from."""
    days, c = run.gpu_days, run.c_said
    calendar = wall_clock_days(days, n_gpus=run.n_gpus)
    usd = rental_usd(days, usd_per_gpu_hour=run.usd_per_gpu_hour)
    product = f"6 × {round_count(run.n_params)} × {round_count(run.n_tokens)}"
    formula = run.c_from == "formula"
    work = ("billion_params", "trillion_tokens") if formula else ()
    pace = (*work, "dense_tflops", "utilization_percent")
    label, digits = ("C", 4) if formula else (C_FROM[run.c_from], 2)
    years = f"{shown_count(days / 365.25)} years, " if days >= 730.5 else ""
    return (
        Figure("flops", f"{label}, in FLOPs", run.flops, scientific(run.flops, digits),
               product if formula else "as reported", work),
        Figure("days", "on one GPU", days, shown_count(days, "days"), f"{years}{c}", pace),
        Figure("hours", "GPU-hours", 24 * days, shown_count(24 * days), c, pace),
        Figure("calendar", f"on {run.n_gpus:,.0f} GPUs", calendar, shown_count(calendar, "days"), c,
               (*pace, "n_gpus")),
        Figure("usd", f"at ${run.usd_per_gpu_hour:g} a GPU-hour", usd, f"${shown_count(usd)}", c,
               (*pace, "usd_per_gpu_hour")),
    )  # fmt: skip


def training_cost_view(run: Run, *, name: str, quantity: str, aim: str) -> CalculatorView:
    """What TrainingCost shows: the figures of a run, and one of them beside what it is to reach."""
    figures = cost_figures(run)
    chosen = next(figure for figure in figures if figure.name == quantity)
    target = AIMS[aim].get(quantity)
    return CalculatorView(
        question=f"What does it take to train {name}?",
        about="TrainingCost · arithmetic alone",
        readout=_readout(run, chosen, target),
        foot=spans(
            "Sources: 405 billion parameters, 15.6 trillion tokens (the lecture rounds to 16), 3.8×10²⁵ FLOPs: Llama 3 "
            "report, arXiv 2407.21783 · 30.84 million H100-hours: Llama 3.1 model card · 989.5 TFLOP/s: H100 SXM, bf16 "
            "dense; its data sheet prints 1,979 for matrices that are half zeros · 2 dollars an hour: the lecture"
        ),
        table=[["figure", "value", "from"], *([f.label, f.shown, f.how] for f in figures)],
        dials=TrainingCost.dials,
        results=figures,
        quantity=quantity,
        ruler=SCALES[quantity].with_figure(chosen, [target] if target else []),
    )


def _readout(run: Run, figure: Figure, target: tuple[float, str] | None) -> Spans:
    by_name: dict[str, list[str | Span]] = {
        "flops": [],
        "days": ["one GPU needs ", bold(figure.shown)],
        "hours": ["that is ", bold(f"{figure.shown} GPU-hours")],
        "calendar": [f"{run.n_gpus:,.0f} GPUs need ", bold(figure.shown)],
        "usd": ["the GPUs cost ", bold(figure.shown)],
    }
    what = by_name[figure.name]
    speed = (
        f" at {100 * run.utilization:.4g}{NARROW}% of {run.peak_flops / 1e12:,.5g} TFLOP/s"
        if figure.name != "flops"
        else ""
    )
    said: list[str | Span] = [f"With {run.c_said} FLOPs{speed}, ", *what, ". "]
    if figure.name == "flops":
        said = [
            figure.how.capitalize() if run.c_from != "formula" else figure.how,
            ": ",
            bold(f"{figure.shown} FLOPs"),
            ". ",
        ]
    if target:
        far, label = compared(figure.value, target[0]), target[1].replace(": ", "’s ")
        unit = " days" if figure.name == "days" else ""
        said += [f"That is {far} {label}{unit}. ".replace("  ", " ")]
    if run.utilization * run.peak_flops > 1.0001 * run.dense_flops:
        said += ["Faster than the dense peak: no GPU does that with matrices like ours."]
    return spans(*said)


class TrainingCost(Calculator):
    """One training run in operations, GPU-days, GPU-hours, calendar days and dollars; each figure names its C.

    `name` says whose run. `quantity` is the figure on the ruler ("days", "flops", "hours", "calendar" or "usd"),
    `aim` whose figure it is to reach ("slide" or "meta"), `c_from` where C comes from ("formula", "slide", "meta").
    """

    scales = SCALES
    dials = (
        *("billion_params", "trillion_tokens", "dense_tflops", "utilization_percent", "usd_per_gpu_hour"),
        "n_gpus",
    )
    controls = ("c_from", "peak", "aim", *dials)

    c_from = traitlets.Enum(list(C_FROM), "formula").tag(
        sync=True,
        control=Control(
            "segments",
            "C, the operations",
            options=(("formula", "6·N·D"), ("slide", "slide 3.9×10²⁵"), ("meta", "Meta 3.8×10²⁵")),
        ),
    )  # fmt: skip
    peak = traitlets.Enum(["dense", "sparse"], "dense").tag(
        sync=True, control=Control("segments", "Peak", options=(("dense", "dense"), ("sparse", "sparse")))
    )
    aim = traitlets.Enum(list(AIMS), "slide").tag(
        sync=True,
        control=Control("segments", "Compare with", options=(("slide", "the slide"), ("meta", "Meta’s report"))),
    )  # fmt: skip
    billion_params = dial("parameters N", 405.0, 0.1, 2000.0, 0.1, "billion")
    trillion_tokens = dial("tokens D", 16.0, 0.1, 100.0, 0.1, "trillion")
    dense_tflops = dial("dense peak", H100_DENSE / 1e12, 0.5, 5000.0, 0.5, "TFLOP/s")
    utilization_percent = dial("utilization", 50.0, 0.1, 100.0, 0.1, "%")
    usd_per_gpu_hour = dial("a GPU-hour", 2.0, 0.05, 20.0, 0.05, "dollars")
    n_gpus = dial("GPUs at once", 16_384.0, 1.0, 200_000.0, 1.0, "")

    def __init__(self, name: str = "Llama 3 405B", **traits: float | str) -> None:
        self._name_of_model = name
        super().__init__(**traits)

    def compute(self) -> CalculatorView:
        run = Run(
            n_params=self.billion_params * 1e9,
            n_tokens=self.trillion_tokens * TRILLION,
            c_from=self.c_from,
            dense_flops=self.dense_tflops * 1e12,
            peak=self.peak,
            utilization=self.utilization_percent / 100,
            usd_per_gpu_hour=self.usd_per_gpu_hour,
            n_gpus=self.n_gpus,
        )
        return training_cost_view(run, name=self._name_of_model, quantity=self.quantity, aim=self.aim)
