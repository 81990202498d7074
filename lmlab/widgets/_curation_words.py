"""The sentences of CurationFunnel, and the lines of the audit that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lmlab.data.curation import STAGES, Drop, Funnel
from lmlab.training.curation_study import ORACLE, UNCURATED, StoredLoss
from lmlab.widgets._style import NARROW, Span, Spans, bold, count, number, percent, spans, visible

NAMES = {
    "url": "address",
    "language": "language",
    "rules": "rules",
    "copies": "copies",
    "near copies": "near copies",
    "quality": "quality",
}
ROWS = 6  # lines of an audit that are shown
SNIPPET = 110  # characters of a page in a line


@dataclass(frozen=True)
class AuditLine:
    """A dropped page: what it truly was, the rule that it broke with value and threshold, where it stood, how it
    begins."""

    kind: str
    good: bool
    why: str
    url: str
    begins: str


def audit_lines(funnel: Funnel, stage: str) -> tuple[AuditLine, ...]:
    """Some of what a stage dropped: good pages first, since they are its mistakes, then one of each kind in turn."""
    drops = funnel.dropped(stage)
    nth: dict[str, int] = {}
    turn = []
    for drop in drops:
        kind = funnel.pages[drop.page].kind
        nth[kind] = nth.get(kind, 0) + 1
        turn.append((not funnel.pages[drop.page].good, nth[kind], drop.page, drop))
    mistakes = [t for t in turn if not t[0]][: ROWS // 2]
    others = sorted((t for t in turn if t[0]), key=lambda t: t[1:3])
    return tuple(_line(funnel, t[3]) for t in [*mistakes, *others][:ROWS])


def _line(funnel: Funnel, drop: Drop) -> AuditLine:
    page = funnel.pages[drop.page]
    text = " ".join(page.text.split())
    begins = text[:SNIPPET] + ("…" if len(text) > SNIPPET else "")
    return AuditLine(page.kind, page.good, why(drop), visible_url(page.url), visible_text(begins))


def why(drop: Drop) -> str:
    """The rule, its value and the threshold: `share of English: 0.21, least 0.65`."""
    if isinstance(drop.value, str):
        return f"{drop.rule}: {drop.value}" + ("" if drop.stage == "copies" else f", {drop.threshold}")
    bound = "threshold " if drop.stage in ("rules", "near copies") else "least "
    return f"{drop.rule}: {_short(drop.value)}, {bound}{_short(float(drop.threshold))}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) > 1 else number(value)


def visible_text(text: str) -> str:
    """A line of a page with its invisible characters to be seen; its spaces stay spaces."""
    return " ".join(visible(word) for word in text.split(" ") if word)


def visible_url(url: str) -> str:
    """A URL that cannot turn the line around."""
    return visible(url)


def said(funnel: Funnel, stored: Mapping[str, StoredLoss] | None) -> Spans:
    """The readout: what is left, as a product, and how good it is; with the losses, where the thresholds are those
    that were trained on."""
    left, n = len(funnel.kept), len(funnel.pages)
    if not left:
        return spans("Nothing is left of ", bold(count(n, "page")), ": some filter is too strict. Lower a threshold.")
    shares = " × ".join(f"{100 * share:.0f}" for share in funnel.keeps().values())
    parts: list[str | Span] = [
        bold(f"{left:,}"), f" of {count(n, 'page')} are left: {shares}{NARROW}% = ", bold(percent(left / n)),
        ". Of these ", bold(percent(funnel.precision())), " are good, and of the good ",
        bold(percent(funnel.recall())), " are still here.",
    ]  # fmt: skip
    if stored:
        last = stored[STAGES[-1]]
        parts += [f" Trained on all: {number(stored[UNCURATED].mean)} bits a byte; on these "]
        parts += [bold(number(last.mean)), f"; on the good alone {number(stored[ORACLE].mean)}."]
    return spans(*parts)
