"""CurationFunnel: a crawl runs through six filters; turn a threshold, and see what is left and what it costs.

The truth about every page is planted, so precision and recall are counted. Beneath the flow stands what a model
learns from what is left after each filter: stored runs, made at the default thresholds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import traitlets

from lmlab.data.curation import STAGES, Funnel, MeasuredPages, Thresholds, curate, measure_pages, measured_crawl
from lmlab.data.pages import Page
from lmlab.training.curation_study import ORACLE, UNCURATED, StoredLoss, stored_curation
from lmlab.widgets._base import Control, View
from lmlab.widgets._curation_words import NAMES, AuditLine, audit_lines, said
from lmlab.widgets._facts import StoresFacts
from lmlab.widgets._style import Spans, count, mono, number, percent, spans

DEFAULT = Thresholds()


@dataclass(frozen=True)
class FunnelColumn:
    """The pages left after a stage (the first column: all), good and not; how many of each it dropped; the loss of a
    model trained on what is left, in bits a byte, and its standard error (None where no run is stored)."""

    name: str
    good: int
    bad: int
    lost_good: int
    lost_bad: int
    bits: float | None
    error: float | None


@dataclass(frozen=True, kw_only=True)
class CurationFunnelView(View):
    """``columns`` from the crawl to the last stage; ``stage`` is the one whose ``audit`` is shown, of ``n_dropped``
    pages; ``oracle`` is the loss on the good pages alone; ``stale`` says that the losses were made at others than
    these thresholds."""

    columns: tuple[FunnelColumn, ...]
    stage: str
    n_dropped: int
    audit: tuple[AuditLine, ...]
    oracle: float | None
    stale: bool


def curation_funnel_view(
    funnel: Funnel, *, stage: str, stored: Mapping[str, StoredLoss] | None, at_default: bool
) -> CurationFunnelView:
    """What CurationFunnel shows of a funnel, with the stage that is audited. Pure."""
    columns = _columns(funnel, stored)
    dropped = funnel.dropped(stage)
    return CurationFunnelView(
        question="What should it read?",
        about=f"CurationFunnel · {count(len(funnel.pages), 'page')} · linear classifier",
        readout=said(funnel, stored if at_default else None),
        foot=spans(
            "good: documentation of the standard library, first copies · all else is planted · losses: a transformer "
            "of bytes, ", mono("ids (B,T) → logits (B,T,V)"), ", V 256, the same steps on each cut, held-out clean "
            "pages, mean and standard error of three seeds",
        ),
        table=[
            ["after", "pages", "kept", "precision", "recall", "bits a byte"],
            *(
                [c.name, f"{c.good + c.bad:,}", percent(_kept(c)), percent(_precision(c)), percent(_recall(c, columns)),
                 "–" if c.bits is None else number(c.bits)]
                for c in columns
            ),
        ],
        columns=columns,
        stage=stage,
        n_dropped=len(dropped),
        audit=audit_lines(funnel, stage),
        oracle=stored[ORACLE].mean if stored else None,
        stale=not at_default,
    )  # fmt: skip


def _columns(funnel: Funnel, stored: Mapping[str, StoredLoss] | None) -> tuple[FunnelColumn, ...]:
    def loss(arm: str) -> tuple[float | None, float | None]:
        return (stored[arm].mean, stored[arm].error) if stored else (None, None)

    good = sum(page.good for page in funnel.pages)
    columns = [FunnelColumn("crawl", good, len(funnel.pages) - good, 0, 0, *loss(UNCURATED))]
    for stage in STAGES:
        before = columns[-1]
        n, good = len(funnel.after[stage]), sum(funnel.pages[i].good for i in funnel.after[stage])
        columns.append(
            FunnelColumn(NAMES[stage], good, n - good, before.good - good, before.bad - (n - good), *loss(stage))
        )
    return tuple(columns)


def _kept(column: FunnelColumn) -> float:
    n = column.good + column.bad
    return n / max(1, n + column.lost_good + column.lost_bad)


def _precision(column: FunnelColumn) -> float:
    return column.good / max(1, column.good + column.bad)


def _recall(column: FunnelColumn, columns: tuple[FunnelColumn, ...]) -> float:
    return column.good / max(1, columns[0].good)


class CurationFunnel(StoresFacts):
    """A crawl through six filters: `blocklist` ("on" or "off"), and the thresholds `english`, `words`, `alike` and
    `quality`; `stage` is the filter whose drops are shown.

    ``pages`` are pages of your own (`lab.crawl` of another seed, say); their losses are not stored. `funnel` is what
    the filters made of them: `.kept`, `.log`, `.precision()`, `.recall()`.
    """

    kind = "curation_funnel"
    controls = ("blocklist", "english", "words", "alike", "quality")
    inputs = ("stage",)

    blocklist = traitlets.Enum(("on", "off"), "on").tag(
        sync=True, control=Control("segments", "Blocklist", options=(("on", "on"), ("off", "off")), secondary=True)
    )
    english = traitlets.Float(DEFAULT.english, min=0, max=1).tag(
        sync=True, control=Control("slider", "Least share of English", min=0, max=1, step=0.05)
    )
    words = traitlets.Int(DEFAULT.words, min=0, max=100_000).tag(
        sync=True, control=Control("slider", "Least words", min=0, max=300, step=10, secondary=True)
    )
    alike = traitlets.Float(DEFAULT.alike, min=0.4, max=1).tag(
        sync=True, control=Control("slider", "Near copy from", min=0.4, max=1, step=0.05)
    )
    quality = traitlets.Float(DEFAULT.quality, min=0, max=1).tag(
        sync=True, control=Control("slider", "Least quality", min=0, max=1, step=0.05)
    )
    stage = traitlets.Enum(STAGES, "rules").tag(sync=True)

    def __init__(self, pages: Iterable[Page] | None = None, **traits: Any) -> None:
        self._own = pages is not None
        self._measured: MeasuredPages = measured_crawl() if pages is None else measure_pages(_checked(pages))
        self._stored = None if self._own else stored_curation()
        super().__init__(**traits)
        self._first_stage = self.stage

    def reset(self) -> None:
        """Back to the thresholds that the cell gave."""
        self.stage = self._first_stage
        super().reset()

    @property
    def thresholds(self) -> Thresholds:
        """The present ones."""
        return Thresholds(
            blocklist=self.blocklist == "on", english=self.english, words=self.words, alike=self.alike,
            quality=self.quality,
        )  # fmt: skip

    @property
    def funnel(self) -> Funnel:
        """What the filters make of the pages at the present thresholds."""
        return curate(self._measured, self.thresholds)

    def compute(self) -> CurationFunnelView:
        limits = self.thresholds
        return curation_funnel_view(
            curate(self._measured, limits), stage=self.stage, stored=self._stored, at_default=limits == DEFAULT
        )

    @property
    def facts(self) -> Spans:
        """What holds for every version of Python, whose texts differ."""
        if self._error:
            return spans(self._error)
        pages = self._measured.pages
        good = sum(page.good for page in pages)
        return spans(f"{count(len(pages), 'page')}, {good:,} of them good, through six filters")


def _checked(pages: Iterable[Page]) -> tuple[Page, ...]:
    given = tuple(pages)
    if not given or not all(isinstance(page, Page) for page in given):
        raise ValueError("CurationFunnel takes pages, such as lab.crawl(seed=1); got none, or something else.")
    return given
