"""MemoryBudget: what must fit before a model can be trained or used, part by part, against the memory of real GPUs.

The lecture's 1.12 TB is one setting of it. For a live model the same arithmetic stands beside bytes that were counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import traitlets

from lmlab.devices import GPUS
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.systems.measured import measured_memory
from lmlab.systems.memory import PRECISIONS, MemoryUse
from lmlab.systems.published import PUBLISHED
from lmlab.text_model import TextModel
from lmlab.widgets._base import Control
from lmlab.widgets._calculator import Calculator, CalculatorView, Figure, Scale, compared, dial, shown_count, tick
from lmlab.widgets._memory_plan import LABELS, Boxes, Plan, last_said, memory_boxes, memory_figures
from lmlab.widgets._style import Span, Spans, bold, n_bytes, percent, spans

ALONE, LIVE = "a number of weights", "live"
MOST_TOKENS = 4096  # a step of so many is measured while one waits
_SHOWN = [GPUS[name] for name in ("RTX 4090", "H100", "B200")]
_MARKS = (
    (16e9, "a laptop, 16 GB"),
    *((gpu.n_bytes, f"{gpu.name}, {gpu.n_bytes / 1e9:g} GB") for gpu in _SHOWN),
    (640e9, "8 H100s, 640 GB"),
)
SLIDE = {"training": (1.12e12, "the slide: 1.12 TB"), "inference": (140e9, "the slide: 140 GB")}
SCALES = {
    name: Scale(f"{label[0].upper()}{label[1:]}, bytes", 1e4, 1e15, tick(n_bytes), _MARKS)
    for name, label in LABELS.items()
    if name != "gpus"
}
SCALES = {
    "total": SCALES.pop("total"),
    "gpus": Scale("GPUs", 1.0, 1e6, tick(shown_count), ((8.0, "a server, 8"), (16_384.0, "Llama 3 405B, 16,384"))),
    **SCALES,
}


@dataclass(frozen=True, kw_only=True)
class MemoryBudgetView(CalculatorView):
    """Where all of it is looked at, the `boxes` that it fills take the ruler's place."""

    boxes: Boxes | None = None


def memory_budget_view(plan: Plan, *, quantity: str, measured: MemoryUse | None, live: str) -> MemoryBudgetView:
    """What MemoryBudget shows: the figures of a plan, one of them among real memories and beside what it is to reach.

    `measured` is the same step counted on the live model, if it was; `live` names that model where the plan is its.
    """
    use = plan.memory
    figures = memory_figures(plan, use)
    chosen = next((figure for figure in figures if figure.name == quantity), figures[0])
    targets = []
    found = getattr(measured, chosen.name, None)  # there are no GPUs among what is measured
    if found:
        targets.append((float(found), f"measured: {n_bytes(found)}"))
    elif plan.model == 70e9 and chosen.name == "total":
        targets.append(SLIDE[plan.use])
    longest = f"of {plan.model.max_seq_len:,}" if isinstance(plan.model, TransformerConfig) else ""
    return MemoryBudgetView(
        question=f"What must fit to {'use' if plan.use == 'inference' else 'train'} {plan.name}?",
        about=f"MemoryBudget · {live or 'arithmetic alone'}",
        readout=_readout(plan, use, figures, chosen, found),
        foot=spans(
            "16 bytes a weight in training: ZeRO, arXiv 1910.02054 · 8-bit moments: arXiv 2110.02861 · "
            "activations counted tensor by tensor for one device · published shapes: arXiv 2407.21783, 2005.14165 · "
            "GPUs: NVIDIA’s and AMD’s data sheets"
        ),
        labels={"tokens:unit": longest, "texts:unit": "at once" if longest else ""},
        table=[["part", "bytes", "from"], *([f.label, f.shown, f.how] for f in figures)],
        dials=MemoryBudget.dials,
        idle=plan.idle,
        results=figures,
        quantity=chosen.name,
        ruler=SCALES[chosen.name].with_figure(chosen, targets),
        boxes=memory_boxes(use, plan.gpu) if chosen.name in ("total", "gpus") else None,
    )


def billions(config: TransformerConfig) -> float:
    """A shape's number of weights as its box shows it, in billions; the figures are of the shape itself."""
    return min(2000.0, max(1e-6, round(float(f"{config.n_params / 1e9:.4g}"), 6)))


def weights_said(billion: float) -> str:
    """A turned number of weights, in as many digits as it has: `70.0 billion`, `70.0001 billion`."""
    short = math.isclose(billion, float(f"{billion:.3g}"), rel_tol=1e-9)
    return shown_count(billion * 1e9) if short else f"{billion:,.7g} billion"


def _readout(plan: Plan, use: MemoryUse, figures: tuple[Figure, ...], chosen: Figure, found: int | None) -> Spans:
    by_name = {figure.name: figure for figure in figures}
    on_top = ", before any activation." if not plan.known and plan.use == "training" else "."
    whole: list[str | Span] = [f"{'Training' if plan.use == 'training' else 'Using'} {plan.name} takes "]
    whole += [bold(by_name["total"].shown), ": at least ", bold(by_name["gpus"].shown), last_said(use, plan.gpu)]
    part = f"{chosen.label[0].upper()}{chosen.label[1:]}: "
    if found:
        far = compared(chosen.value, found)
        how = f": {far} what was measured. " if far else ": the same. "
        return spans(part, bold(chosen.shown), " predicted, ", bold(n_bytes(found)), " measured", how, *whole, on_top)
    if chosen.name not in ("total", "gpus"):
        return spans(*whole, f"{on_top} {part}", bold(chosen.shown), ".")
    texts, name = (use.activations, "Activations") if use.activations else (use.cache, "Keys and values")
    return spans(*whole, on_top, f" {name} are {percent(texts / use.total)} of it." if texts else "")


class MemoryBudget(Calculator):
    """What a model needs to be trained or used, by part, beside the memory of real GPUs.

    Without a model it begins with the lecture's 70 billion weights; `of` chooses a published shape
    (`lmlab.systems.published.PUBLISHED`), or "live", the TextModel given, whose step the button measures. `use` is
    "training" or "inference", `precision` one of "mixed", "fp32" and "8-bit moments", `texts` and `tokens` the batch.

    Raises TypeError for a model that is no transformer.
    """

    kind = "calculator"
    parts: ClassVar[tuple[str, ...]] = ("ruler", "boxes")
    scales = SCALES
    dials = ("billion_params", "texts", "tokens", "weight_bits")
    controls = ("of", "use", "precision", "checkpointing", "gpu", "measure", *dials)

    of = traitlets.Unicode(ALONE).tag(sync=True, control=Control("select", "Model"))
    use = traitlets.Enum(["training", "inference"], "training").tag(
        sync=True,
        control=Control("segments", "To be", options=(("training", "trained"), ("inference", "used"))),
    )  # fmt: skip
    precision = traitlets.Enum(list(PRECISIONS), "mixed").tag(
        sync=True,
        control=Control("segments", "Trained in", options=tuple((name, name) for name in PRECISIONS), secondary=True),
    )
    checkpointing = traitlets.Enum(["keep", "recompute"], "keep").tag(
        sync=True,
        control=Control("segments", "Activations", options=(("keep", "keep"), ("recompute", "recompute"))),
    )  # fmt: skip
    gpu = traitlets.Enum(list(GPUS), "H100").tag(
        sync=True, control=Control("select", "GPU", options=tuple((name, name) for name in GPUS))
    )
    measure = traitlets.Bool().tag(sync=True, control=Control("button", "Measure a step"))
    billion_params = dial("weights N", 70.0, 1e-6, 2000.0, 1e-6, "billion")
    texts = dial("texts", 1.0, 1.0, 1024.0, 1.0, "at once")
    tokens = dial("tokens a text", 4096.0, 1.0, 8192.0, 1.0, "")
    weight_bits = dial("a weight used", 16.0, 1.0, 32.0, 1.0, "bits")

    def __init__(self, model: TextModel | None = None, **traits: Any) -> None:
        if model is not None and not isinstance(getattr(model, "model", None), Transformer):
            raise TypeError(f"MemoryBudget measures a TextModel of a Transformer, not {type(model).__name__}.")
        self._live_model = model
        self._measured: dict[tuple[int, int, bool], MemoryUse] = {}
        names = {ALONE: "N weights", **{name: name for name in PUBLISHED}}
        if model is not None:
            names[LIVE] = model.name
            traits = {"of": LIVE, "precision": "fp32", "texts": 8.0, "tokens": 64.0, **traits}
        self._names = names
        options = {"of": {"options": tuple(names.items())}}
        hidden = () if model is not None else ("measure",)
        if traits.get("of", ALONE) in names and traits.get("of", ALONE) != ALONE:
            traits["billion_params"] = billions(self._shape(traits["of"]))
        super().__init__(options=options, hidden=hidden, **traits)
        self.observe(self._shape_was_chosen, names="of")
        self.observe(self._number_was_turned, names="billion_params")

    @traitlets.validate("of")
    def _known(self, proposal: Any) -> str:
        if proposal.value not in self._names:
            raise traitlets.TraitError(f"There is no {proposal.value!r} here; choose one of {', '.join(self._names)}.")
        return str(proposal.value)

    def _shape(self, of: str) -> TransformerConfig:
        if of == LIVE and self._live_model is not None:
            config: TransformerConfig = self._live_model.model.config  # type: ignore[attr-defined]
            return config
        return PUBLISHED[of]

    def _shape_was_chosen(self, _: Any) -> None:
        if self.of != ALONE:
            self.billion_params = billions(self._shape(self.of))

    def _number_was_turned(self, _: Any) -> None:
        if self.of != ALONE and self.billion_params != billions(self._shape(self.of)):
            self.of = ALONE

    def clicked(self, name: str) -> None:
        if name == "measure":
            self.measure_step()

    def measure_step(self) -> MemoryBudget:
        """Take a training step of the live model at the present B and T, count its bytes, and show them beside.

        Raises ValueError where there is no live model, or the step would keep one waiting.
        """
        if self._live_model is None:
            raise ValueError("There is no live model to measure: give one, such as MemoryBudget(town).")
        shape = self._shape(LIVE)
        B, T = int(self.texts), min(int(self.tokens), shape.max_seq_len)
        if B * T > MOST_TOKENS:
            raise ValueError(
                f"A step of {B:,} × {T:,} tokens takes long to measure: turn texts or tokens down, to "
                f"{MOST_TOKENS:,} in all."
            )
        ids = torch.randint(shape.vocab_size, (B, T), generator=torch.Generator().manual_seed(0))
        again = self.checkpointing == "recompute"
        use = measured_memory(self._live_model.model, ids, checkpointing=again)  # type: ignore[arg-type]
        self._measured[B, T, again] = use
        self.set_trait("of", LIVE)
        self.use, self.precision = "training", "fp32"
        self._request()
        return self

    def compute(self) -> MemoryBudgetView:
        model = self.billion_params * 1e9 if self.of == ALONE else self._shape(self.of)
        longest = model.max_seq_len if isinstance(model, TransformerConfig) else 8192
        plan = Plan(
            name=f"{weights_said(self.billion_params)} weights" if self.of == ALONE else self._names[self.of],
            model=model,
            use=self.use,
            precision=self.precision,
            checkpointing=self.checkpointing == "recompute",
            gpu=self.gpu,
            B=int(self.texts),
            T=min(int(self.tokens), longest),
            weight_bits=self.weight_bits,
        )
        comparable = self.of == LIVE and self.use == "training" and self.precision == "fp32"
        measured = self._measured.get((plan.B, plan.T, plan.checkpointing)) if comparable else None
        live = self._names[LIVE] if self.of == LIVE else ""
        return memory_budget_view(plan, quantity=self.quantity, measured=measured, live=live)
