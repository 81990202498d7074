"""Openness: what a closed, an open-weight and an open-source model let you do, each deed tried; and who opens what.

A row a deed, a column an access, in a cell what came of the attempt. Behind it stands one model with three doors; a
door that is shut refuses in its own words. The other pages are the landscape: models with dates and sources.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import traitlets

from lmlab.data.landscape import ACCESSES, CLOSED, LANDSCAPE, OPEN_SOURCE, OPEN_WEIGHT, Published
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel
from lmlab.training.access import DEEDS, Closed, Deed, OpenSource, OpenWeights, Outcome, attempt
from lmlab.widgets._base import Control, View
from lmlab.widgets._calculator import round_count
from lmlab.widgets._facts import StoresFacts
from lmlab.widgets._style import NARROW, Spans, bold, count, mono, spans

PROMPT = "the stock market crashed and investors"
PAGES = (("deeds", "Deeds"), *((a, a.capitalize()) for a in ACCESSES))
NAMES = tuple(deed.name for deed in DEEDS)
_TINT = {"done": 1.0, "estimated": 0.5, "refused": 0.0}
Tried = Mapping[tuple[str, str], Outcome]


@dataclass(frozen=True)
class DeedRow:
    """A deed, what it takes, and for each access its outcome: 1 done, ½ estimated, 0 refused, None not tried yet."""

    name: str
    takes: str
    tints: tuple[float | None, ...]
    shown: tuple[str, ...]


@dataclass(frozen=True)
class ModelRow:
    """A model of the landscape as text; `source` has its license, and where its facts stand."""

    name: str
    cells: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class OpennessView(View):
    """`page` is "deeds" or an access; `rows` the deeds, `columns` the accesses; `models` those of the chosen
    access, their columns under `head`."""

    page: str
    rows: tuple[DeedRow, ...]
    columns: tuple[str, ...]
    head: tuple[str, ...]
    models: tuple[ModelRow, ...]


def openness_view(
    tried: Tried, *, page: str = "deeds", at: Sequence[int] = (0, 0), name: str = "", trying: str = "",
    landscape: Sequence[Published] = LANDSCAPE,
) -> OpennessView:  # fmt: skip
    """What Openness shows of the attempts so far. Pure."""
    deed, access = DEEDS[at[0]], ACCESSES[at[1]]
    rows = tuple(_deed_row(tried, one) for one in DEEDS)
    head = ("model", "maker", "date", "parameters (active)", "tokens", "a parameter")
    models = tuple(_model_row(one) for one in sorted(landscape, key=lambda one: one.date) if one.access == page)
    deeds = page == "deeds"
    question = "What does it let you do?" if deeds else f"Who makes {page} models?"
    return OpennessView(
        question=question,
        about=f"Openness · {name}",
        readout=_deeds_said(tried, deed, access, trying) if deeds else _landscape_said(page, landscape),
        foot=spans(
            mono("one model, three doors"), " · each cell was tried: what is refused, the door refused · closed: "
            "answers alone; open-weight: the weights, too; open-source: recipe, code and data, too"
        ) if deeds else spans("as published at that date; – is not published · the sources stand beneath each row"),
        table=[["", *ACCESSES], *([r.name, *r.shown] for r in rows)] if deeds
        else [[*head, "license and source"], *([m.name, *m.cells, m.source] for m in models)],
        page=page, rows=rows, columns=ACCESSES, head=head, models=models,
    )  # fmt: skip


def _deed_row(tried: Tried, deed: Deed) -> DeedRow:
    found = [tried.get((deed.name, access)) for access in ACCESSES]
    tints = tuple(None if one is None else _TINT[one.result] for one in found)
    return DeedRow(deed.name, deed.takes, tints, tuple("?" if one is None else one.shown for one in found))


def _model_row(one: Published) -> ModelRow:
    size = _count(one.n_params) + (f" ({_count(one.n_active)})" if one.n_active else "")
    ratio = "–" if one.tokens_per_param is None else round_count(float(f"{one.tokens_per_param:.2g}"))
    source = f"license {one.license} · {one.source}"
    return ModelRow(one.name, (one.maker, one.date, size, _count(one.n_tokens), ratio), source)


def _count(n: float | None) -> str:
    """As the field writes it: `405 B`, `15.6 T`."""
    return "–" if n is None else round_count(n).replace(" billion", f"{NARROW}B").replace(" trillion", f"{NARROW}T")


def n_done(tried: Tried, access: str) -> int:
    """How many deeds this access let through, estimates left out."""
    return sum(outcome.result == "done" for (_, of), outcome in tried.items() if of == access)


def _deeds_said(tried: Tried, deed: Deed, access: str, trying: str) -> Spans:
    if trying:
        return spans("Trying to ", bold(trying), ", with each of the three…")
    outcome = tried.get((deed.name, access))
    said = outcome.said if outcome else f"not tried yet: it takes {deed.takes}, and some seconds."
    left = sum((one.name, OPEN_SOURCE) not in tried for one in DEEDS)
    counts = ", ".join(f"{access} {n_done(tried, access)}" for access in ACCESSES)
    todo = f"; {count(left, 'deed')} not tried yet" if left else ""
    return spans(bold(f"{deed.name.capitalize()}, {access}:"), f" {said} Done so far: {counts}{todo}.")


def _landscape_said(page: str, landscape: Sequence[Published]) -> Spans:
    rows = [one for one in landscape if one.access == page]
    if not rows:
        return spans(f"No {page} model is listed.")
    sized = [one for one in rows if one.n_params is not None]
    if not sized:
        return spans(bold(f"{len(rows)} {page} models"), ", and none of their makers has published a size.")
    largest = max(sized, key=lambda one: one.n_params or 0)
    unknown = sum(one.n_tokens is None for one in rows)
    said = f"; {unknown} of them without a number of tokens" if unknown else "; all with their number of tokens"
    return spans(
        bold(f"{len(rows)} {page} models"), f", the largest {largest.name} with ",
        f"{round_count(largest.n_params or 0)} parameters{said}.",
    )  # fmt: skip


class Openness(StoresFacts):
    """One model behind three doors: an API, its weights, its weights with data and recipe.

    What takes no time is tried at once; `attempt` tries one deed, or all, with each door, in a thread; `wait` returns
    when it is done, `outcome` gives what came of it. `prompt` is the text that deeds work on.
    """

    kind = "openness"
    parts = ("cells",)
    slow = True
    controls = ("page", "one", "every", "prompt")
    inputs = ("at",)

    page = traitlets.Enum([p for p, _ in PAGES], "deeds").tag(
        sync=True, control=Control("segments", "Show", options=PAGES)
    )
    one = traitlets.Unicode().tag(control=Control("button", "▶ Try it", main=True))
    every = traitlets.Unicode().tag(control=Control("button", "Try all", secondary=True))
    prompt = traitlets.Unicode(PROMPT).tag(
        sync=True, control=Control("text", "A text to work on", wide=True, live=False, placeholder="then press Enter")
    )
    at: traitlets.List[int] = traitlets.List(traitlets.Int(), [0, 0], minlen=2, maxlen=2).tag(sync=True)

    def __init__(self, model: TextModel, *, seed: int = 0, **traits: Any) -> None:
        if not isinstance(model, TextModel) or not isinstance(model.model, Transformer):
            raise ValueError(f"Openness takes a text model of a transformer, as lab.load gives it; got {model!r:.80}.")
        self._doors = {door.kind: door for door in (Closed(model), OpenWeights(model), OpenSource(model))}
        self._seed, self._of = seed, model.name
        self._tried: dict[tuple[str, str], Outcome] = {}
        self._for = ""  # the prompt of these attempts
        self._queue: list[str] = []
        self._trying = ""
        self._asked = threading.Lock()
        super().__init__(**traits)

    @traitlets.validate("at")
    def _a_cell(self, proposal: Any) -> list[int]:
        row, column = proposal.value
        if not (0 <= row < len(DEEDS) and 0 <= column < len(ACCESSES)):
            raise traitlets.TraitError(f"at={proposal.value!r} is no cell: {len(DEEDS)} deeds, {len(ACCESSES)} doors.")
        return [row, column]

    def outcome(self, deed: str, access: str) -> Outcome:
        """What came of a deed with an access. Raises ValueError where there is no such cell, or it was not tried."""
        if deed not in NAMES or access not in ACCESSES:
            raise ValueError(f"There is no cell ({deed!r}, {access!r}): deeds are {', '.join(NAMES)}.")
        if (deed, access) not in self._tried:
            raise ValueError(f"Nobody has tried to {deed} yet: .attempt({deed!r}).wait() does.")
        return self._tried[deed, access]

    def attempt(self, *deeds: str) -> Openness:
        """Try these deeds with every access, or all of them; returns at once, `wait` when they are done."""
        for name in deeds:
            if name not in NAMES:
                raise ValueError(f"There is no deed {name!r}: choose from {', '.join(NAMES)}.")
        with self._asked:
            self._queue += [name for name in deeds or NAMES if name not in self._queue]
        self.refresh()
        return self

    def wait(self, timeout: float = 300.0) -> Openness:
        """Return when all attempts are over. Raises TimeoutError after `timeout` seconds."""
        super().wait(timeout)
        return self

    def clicked(self, name: str) -> None:
        """Try the chosen deed, or all."""
        self.attempt(*([DEEDS[self.at[0]].name] if name == "one" else []))

    def reset(self) -> None:
        """Back to the cell's text, with what takes no time tried."""
        with self._asked:
            self._queue = []
        self._for = ""
        super().reset()
        self.at = [0, 0]
        self.refresh()

    def compute(self) -> OpennessView:
        prompt = self.prompt.strip() or PROMPT
        if prompt != self._for:
            self._tried, self._for = {}, prompt
            for deed in DEEDS:
                if not deed.slow:
                    self._try(deed, prompt)
        while True:
            with self._asked:
                name = self._queue.pop(0) if self._queue else ""
            self._trying = name
            if not name:
                break
            self.publish(self._view())
            self._try(next(deed for deed in DEEDS if deed.name == name), prompt)
        return self._view()

    def _try(self, deed: Deed, prompt: str) -> None:
        before: Outcome | None = None
        for access in ACCESSES:
            # What weights allow, weights and data allow: it is the same attempt, and need not be made twice.
            done = access == OPEN_SOURCE and before is not None and before.result == "done"
            outcome = before if done else attempt(deed, self._doors[access], prompt, seed=self._seed)
            assert outcome is not None
            self._tried[deed.name, access] = before = outcome

    def _view(self) -> OpennessView:
        return openness_view(self._tried, page=self.page, at=self.at, name=self._of, trying=self._trying)

    @property
    def facts(self) -> Spans:
        """What holds on every machine: how many deeds each access let through."""
        if self._error:
            return spans(self._error)
        doors = " · ".join(f"{a} {n_done(self._tried, a)}" for a in (CLOSED, OPEN_WEIGHT, OPEN_SOURCE))
        return spans(f"of {len({name for name, _ in self._tried})} deeds tried, done: {doors}")
