"""PageRater: rate twenty pages, then see how a classifier and the planted truth rate them, and how well you agree.

Nobody sees the others' ratings before rating: they are not even sent to the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import traitlets

from lmlab.data.agreement import cohen_kappa
from lmlab.data.curation import measured_crawl
from lmlab.data.pages import Page
from lmlab.data.quality import seed_classifier
from lmlab.widgets._base import Control, View
from lmlab.widgets._facts import StoresFacts
from lmlab.widgets._style import Span, Spans, bold, count, model_name, number, percent, spans, visible, you

N = 20
LONGEST = 1_400  # characters of a page that are shown
KEEP, DROP, OPEN = "k", "d", "-"
LEAST = 0.5  # the classifier's score from which it keeps a page


@dataclass(frozen=True, kw_only=True)
class PageRaterView(View):
    """The page that is shown, `text` with `more` characters beyond it, and everyone's ratings: "k", "d", or "-" for
    not yet. `classifier` and `truth` are empty until they are revealed, as are `kind` and `score` of the page."""

    number: int
    url: str
    text: str
    more: int
    yours: str
    classifier: str
    truth: str
    kind: str
    score: str


def page_rater_view(
    pages: Sequence[Page], scores: Sequence[float], yours: str, *, at: int, revealed: bool
) -> PageRaterView:
    """What PageRater shows of page `at`, counted from 0, given your ratings so far. Pure."""
    page = pages[at]
    classifier = "".join(KEEP if score >= LEAST else DROP for score in scores)
    truth = "".join(KEEP if page.good or page.copy_of >= 0 else DROP for page in pages)
    return PageRaterView(
        question="Would you train on this page?",
        about=f"PageRater · {count(len(pages), 'page')} · linear classifier",
        readout=_revealed(yours, classifier, truth) if revealed else _asking(yours, at),
        foot=spans(
            "kappa: agreement beyond chance, 1 is perfect, 0 is luck (Cohen 1960) · the classifier learned from "
            "400 other pages · planted: what the page was made as; a copy is as good to read as its original"
        ),
        table=_table(yours, classifier, truth) if revealed else [["page", "you"]],
        number=at + 1,
        url=visible(page.url),
        text=shown_text(page.text[:LONGEST]),
        more=max(0, len(page.text) - LONGEST),
        yours=yours,
        classifier=classifier if revealed else "",
        truth=truth if revealed else "",
        kind=page.kind if revealed else "",
        score=percent(scores[at]) if revealed else "",
    )


def shown_text(text: str) -> str:
    """A page with its line breaks and spaces, and its invisible characters to be seen."""
    lines = ("".join(c if c == " " else visible(c) for c in line) for line in text.expandtabs(4).split("\n"))
    return "\n".join(lines)


def kappas(yours: str, classifier: str, truth: str) -> dict[str, float]:
    """Cohen's kappa of each pair of raters over the pages that you rated; nan where it is not defined."""
    rated = [i for i, rating in enumerate(yours) if rating != OPEN]
    raters = {"you": yours, "classifier": classifier, "planted": truth}
    keeps = {name: [ratings[i] == KEEP for i in rated] for name, ratings in raters.items()}
    pairs = (("you", "classifier"), ("you", "planted"), ("classifier", "planted"))
    return {f"{a}, {b}": cohen_kappa(keeps[a], keeps[b]) if rated else math.nan for a, b in pairs}


def _asking(yours: str, at: int) -> Spans:
    left = yours.count(OPEN)
    rated = len(yours) - left
    if not left:
        return spans("All ", bold(str(rated)), " are rated. ", bold("Reveal"), " what the classifier says.")
    said: list[str | Span] = [
        f"Page {at + 1}: press ",
        bold("k"),
        " to keep it for training, ",
        bold("d"),
        " to drop. ",
    ]
    mine = yours[at]
    said += [("Yours: ", you("keep" if mine == KEEP else "drop"), ". ")[i] for i in range(3)] if mine != OPEN else []
    return spans(*said, f"{rated} of {len(yours)} rated.")


def _revealed(yours: str, classifier: str, truth: str) -> Spans:
    found, rated = kappas(yours, classifier, truth), len(yours) - yours.count(OPEN)
    if not rated:
        return spans("You have rated none, so there is nothing to compare: press ", bold("k"), " or ", bold("d"), ".")
    same = sum(a == b for a, b in zip(yours, classifier, strict=True))
    return spans(
        f"On {count(rated, 'page')} ", you("you"), " and the ", model_name(0, "classifier"), " agree ",
        bold(count(same, "time")), ", kappa ", bold(_kappa(found["you, classifier"])), "; you and the planted truth ",
        bold(_kappa(found["you, planted"])), ", the classifier and it ",
        bold(_kappa(found["classifier, planted"])), ".",
    )  # fmt: skip


def _kappa(value: float) -> str:
    return "undefined" if math.isnan(value) else number(value)


def _table(yours: str, classifier: str, truth: str) -> list[list[str]]:
    words = {KEEP: "keep", DROP: "drop", OPEN: "–"}
    rows = zip(yours, classifier, truth, strict=True)
    return [
        ["page", "you", "classifier", "planted"],
        *([str(i + 1), *(words[c] for c in r)] for i, r in enumerate(rows)),
    ]


class PageRater(StoresFacts):
    """Rate pages for training: `ratings` is a text of "k" (keep), "d" (drop) and "-" (not yet), one a page; `page` is
    the one that is shown, from 1; `revealed` shows the others' ratings.

    ``pages`` are your own choice; without them `seed` draws twenty from the crawl, ten of them good.
    """

    kind = "page_rater"
    controls = ("keep", "drop", "reveal", "page")
    inputs = ("ratings", "revealed")

    keep = traitlets.Unicode().tag(control=Control("button", "Keep"))
    drop = traitlets.Unicode().tag(control=Control("button", "Drop"))
    reveal = traitlets.Unicode().tag(control=Control("button", "Reveal", main=True))
    page = traitlets.Int(1, min=1).tag(sync=True, control=Control("slider", "Page", min=1, max=N))
    ratings = traitlets.Unicode().tag(sync=True)
    revealed = traitlets.Bool().tag(sync=True)

    def __init__(self, pages: Iterable[Page] | None = None, *, seed: int = 0, **traits: Any) -> None:
        self._pages = drawn_pages(seed) if pages is None else tuple(pages)
        if not self._pages or not all(isinstance(page, Page) for page in self._pages):
            raise ValueError("PageRater rates pages, such as lab.crawl(seed=1)[:20]; got none, or something else.")
        self._scores = seed_classifier().scores([page.text for page in self._pages])
        traits.setdefault("ratings", OPEN * len(self._pages))
        super().__init__(options={"page": {"max": len(self._pages)}}, **traits)

    @traitlets.validate("ratings")
    def _one_each(self, proposal: Any) -> str:
        if len(proposal.value) != len(self._pages) or set(proposal.value) - {KEEP, DROP, OPEN}:
            raise traitlets.TraitError(
                f'ratings has one letter for each of {len(self._pages)} pages, "k", "d" or "-"; got {proposal.value!r}.'
            )
        return str(proposal.value)

    def clicked(self, name: str) -> None:
        if name == "reveal":
            self.revealed = True
            return
        at = min(self.page, len(self._pages)) - 1
        ratings = self.ratings[:at] + {"keep": KEEP, "drop": DROP}[name] + self.ratings[at + 1 :]
        with self.hold_trait_notifications():
            self.ratings = ratings
            if not self.revealed and OPEN in ratings:  # on to the next that is not rated
                following = [*range(at + 1, len(ratings)), *range(at)]
                self.page = 1 + next(i for i in following if ratings[i] == OPEN)

    def reset(self) -> None:
        self.ratings, self.revealed = OPEN * len(self._pages), False
        super().reset()

    @property
    def kappas(self) -> dict[str, float]:
        """Cohen's kappa of each pair of raters over the pages rated so far."""
        view = page_rater_view(self._pages, self._scores, self.ratings, at=0, revealed=True)
        return kappas(view.yours, view.classifier, view.truth)

    def compute(self) -> PageRaterView:
        at = min(self.page, len(self._pages)) - 1
        return page_rater_view(self._pages, self._scores, self.ratings, at=at, revealed=self.revealed)

    @property
    def facts(self) -> Spans:
        """What holds for every version of Python, whose texts differ."""
        rated = len(self.ratings) - self.ratings.count(OPEN)
        return spans(self._error or f"{count(len(self._pages), 'page')}, {rated} rated")


def drawn_pages(seed: int, n: int = N) -> tuple[Page, ...]:
    """`n` pages of the crawl, half of them good, no page twice, in an order that says nothing."""
    pages, rng = measured_crawl().pages, Random(seed)
    good = rng.sample([page for page in pages if page.good], n // 2)
    bad = rng.sample([page for page in pages if not page.good and page.copy_of < 0], n - n // 2)
    return tuple(rng.sample([*good, *bad], n))
