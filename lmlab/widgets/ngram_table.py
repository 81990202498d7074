"""NGramTable: the evidence behind one conditional probability, place by place, and how far it carries.

A count is shown as what it is, a number of places in a text, and each of them can be read. Beside it stands what
smoothing makes of the count, what the model writes, and its perplexity on text that it has not read, against n.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import traitlets
from torch import Tensor

from lmlab.data.corpus import Corpus
from lmlab.data.occurrences import places
from lmlab.models.ngram import SMOOTHINGS, Evidence
from lmlab.text_model import TextModel
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._candidates import Column, column, shown_percent
from lmlab.widgets._evidence import LONGEST, Other, Place, Reader, other_at, perplexities, perplexity_of, without_space
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, token_name, visible
from lmlab.widgets.coverage_curve import corpus_of, tokens_of

STOCK_MARKET = (
    "the stock market crashed and investors panicked. the mayor sold the goose and waited.\n\n"
    "the stock market rallied and investors celebrated. the mayor bought the goose and sighed."
)
ROWS, PLACES = 6, 5
HELD_OUT = 120  # documents that perplexity is measured on
NAMES = {"none": "none", "add-k": "add k", "interpolated": "interpolation", "backoff": "backoff"}


@dataclasses.dataclass(frozen=True)
class Followed:
    """A token that may follow: how often it did, its probability under each model, the first places."""

    word: str
    count: int
    probabilities: tuple[float, ...]
    shown: tuple[str, ...]
    places: tuple[Place, ...]


@dataclasses.dataclass(frozen=True)
class Level:
    """A context, from the longest to none: how often it was read, and its share in the answer."""

    context: str
    total: int
    weight: float
    shown: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class NGramTableView(View):
    """``total`` is how often the longest context that was ever read, ``context``, stands in the corpus; ``perplexity``
    maps a smoothing to one number an n (None: infinite), ``others`` are (name, perplexity) of the other models."""

    columns: tuple[str, ...]
    n: int
    smoothing: str
    context: str
    total: int
    rows: tuple[Followed, ...]
    levels: tuple[Level, ...]
    perplexity: dict[str, tuple[float | None, ...]]
    others: tuple[tuple[str, float | None], ...]
    sample: str
    silent: bool


def ngram_table_view(
    reader: Reader,
    others: Sequence[Other],
    given: str,
    *,
    n: int,
    smoothing: str,
    k: float,
    seed: int,
    perplexity: dict[str, tuple[float | None, ...]],
    levels: Sequence[tuple[str, float | None]],
) -> NGramTableView:
    """What NGramTable shows of one prompt, which ends in no space: pure."""
    counts = reader.counts.with_smoothing(smoothing, k=k).shorter(n)
    own = TextModel(counts, reader.tokenizer, name=f"{n}-gram")
    columns = [column(own, given), *(other.column for other in others)]
    evidence = counts.explain(own.ids(given))
    seen = next((one for one in evidence if one.total), evidence[-1])
    rows = _rows(reader, columns, [other.first for other in others], seen, given)
    sample, silent = written(own, given, seed)
    context = reader.text(seen.context)
    return NGramTableView(
        question="Where does a count come from, and how far does it carry?",
        about=f"NGramTable · {count(len(columns), 'model')} · {len(reader.stream):,} tokens counted",
        readout=_readout(evidence[0], seen, context, rows, own.name, reader, perplexity.get(smoothing), smoothing),
        foot=_foot(reader, others, levels),
        labels={"k:value": number(k, 2)},
        table=[
            ["next", "count", *(c.model.name for c in columns)],
            *([r.word, f"{r.count:,}", *r.shown] for r in rows),
        ],
        columns=tuple(c.model.name for c in columns),
        n=n,
        smoothing=smoothing,
        context=context,
        total=seen.total,
        rows=rows,
        levels=_levels(reader, evidence, smoothing),
        perplexity=perplexity,
        others=tuple(levels),
        sample=sample,
        silent=silent,
    )


def _rows(
    reader: Reader, columns: Sequence[Column], wanted: Sequence[str | None], seen: Evidence, given: str
) -> tuple[Followed, ...]:
    """The most frequent continuations, and what each other model would have put first."""
    counted = {reader.raw(id_): (id_, times) for id_, times in seen.continuations}
    words = list(counted)[:ROWS]
    for word in wanted:
        words = words if word is None or word in words else [*words[: ROWS - 1], word]
    found, length = [], len(seen.context)
    for word in dict.fromkeys(words):
        id_, times = counted.get(word, (-1, 0))
        p = tuple(math.exp(col.log_prob(given, word, special=True)) for col in columns)
        at = places(reader.stream, [*seen.context, id_])[:PLACES].tolist() if times else []
        read = tuple(reader.read_at(start, length) for start in at)
        label = reader.word(id_) if times else token_name(word, reader.tokenizer.specials)
        found.append(Followed(label, times, p, shown_percent(columns, p), read))
    return tuple(sorted(found, key=lambda row: (-row.count, -max(row.probabilities))))


def _levels(reader: Reader, evidence: Sequence[Evidence], smoothing: str) -> tuple[Level, ...]:
    levels = [
        Level(
            f"“{reader.text(one.context).strip()}”" if one.context else "any place",
            one.total,
            one.weight,
            percent(one.weight),
        )
        for one in evidence
    ]
    if smoothing in ("add-k", "interpolated"):
        rest = 1 - math.fsum(one.weight for one in evidence)
        levels.append(Level("every token alike", 0, rest, percent(rest)))
    return tuple(levels)


def written(model: TextModel, prompt: str, seed: int, n_tokens: int = 24) -> tuple[str, bool]:
    """What the model writes after the prompt, and whether it fell silent: after a context that it never read."""
    said = ""
    try:
        for one in model.generate(prompt, n_tokens, seed=seed):
            said += one.text
    except ValueError:
        return visible(said).replace("·", " "), True
    return visible(said).replace("·", " "), False


def _readout(
    asked: Evidence,
    seen: Evidence,
    context: str,
    rows: Sequence[Followed],
    name: str,
    reader: Reader,
    curve: Sequence[float | None] | None,
    smoothing: str,
) -> Spans:
    said: list[str | Span] = []
    if not asked.total and asked.context:
        said += ["“", mono(reader.text(asked.context).strip()), "” was never read: a count of ", bold("0"), ". "]
    first = rows[0]
    given = f" | {context.strip()}" if context else ""
    said += [
        mono(f"P({first.word.lstrip('·') or first.word}{given})"),
        " by counting: ",
        bold(f"{first.count:,}"),
        " of ",
    ]
    said += [bold(count(seen.total, "place")), ", ", bold(percent(first.count / max(1, seen.total))), "; "]
    silent = first.shown[0] == "–"
    said += [model_name(0, name), *((" has nothing to say. ",) if silent else (" says ", bold(first.shown[0]), ". "))]
    if curve:
        said += _said_curve(curve, name, len(asked.context) + 1, smoothing)
    return spans(*said)


def _said_curve(curve: Sequence[float | None], name: str, n: int, smoothing: str) -> list[str | Span]:
    finite = [(value, i) for i, value in enumerate(curve, 1) if value is not None]
    now = curve[min(n, len(curve)) - 1]
    if now is None:
        return ["New text holds something it calls impossible: its perplexity is ", bold("∞"), "."]
    best = min(finite)
    said: list[str | Span] = ["On new text its perplexity is ", bold(number(now)), "; "]
    return [*said, "no n does better." if best[0] == now else f"n = {best[1]} does best, with {number(best[0])}."]


def _foot(reader: Reader, others: Sequence[Other], levels: Sequence[tuple[str, float | None]]) -> Spans:
    parts = [f" · V = {reader.tokenizer.vocab_size:,} · interpolation: Witten and Bell 1991"]
    if levels and others:
        parts.append(" · perplexity per token of the n-gram’s, other models’ surprise shared among these")
    return spans(mono("ids (T,) → counts"), *parts)


class NGramTable(LabWidget):
    """Counts of n-grams with their places in the text, four ways to smooth them, and perplexity against n.

    ``corpus`` is a ``Corpus`` or a text whose paragraphs are documents (without one, two small paragraphs in which
    the stock market crashes and rallies); ``models`` are up to three others to stand beside it; ``held_out`` is text
    to measure perplexity on. Tokens are those of ``tokenizer``, or of one trained here on the corpus.
    """

    kind = "ngram_table"
    controls = ("prompt", "n", "smoothing", "k", "again")
    inputs = ("seed",)

    prompt = traitlets.Unicode("the stock market").tag(sync=True, control=Control("text", "Prompt", wide=True))
    n = traitlets.Int(3, min=1, max=LONGEST).tag(
        sync=True, control=Control("slider", "n, tokens in all", min=1, max=LONGEST)
    )
    smoothing = traitlets.Enum(SMOOTHINGS, "none").tag(
        sync=True, control=Control("segments", "Smoothing", options=tuple(NAMES.items()))
    )
    k = traitlets.Float(1.0, min=0.01, max=1.0).tag(
        sync=True, control=Control("slider", "k of add k", min=0.01, max=1, step=0.01, secondary=True)
    )
    again = traitlets.Unicode().tag(control=Control("button", "Write again", secondary=True))
    seed = traitlets.Int(0, min=0)

    def __init__(
        self,
        corpus: Corpus | str = STOCK_MARKET,
        *models: TextModel,
        held_out: Corpus | str | None = None,
        tokenizer: Tokenizer | None = None,
        **traits: Any,
    ) -> None:
        if len(models) > 3 or not all(isinstance(model, TextModel) for model in models):
            raise ValueError("NGramTable takes a corpus, then up to three text models to stand beside its counts.")
        read = corpus_of(corpus)
        self._reader = Reader(read, tokenizer or tokens_of(read))
        self._models = models
        self._asked: tuple[str, tuple[Other, ...]] = ("", ())
        self._measured: dict[float, dict[str, tuple[float | None, ...]]] = {}
        self._held_out: Tensor | None = None
        self._levels: tuple[tuple[str, float | None], ...] = ()
        if held_out is not None:
            self._measure(corpus_of(held_out).documents[:HELD_OUT])
        options = {"n": {"max": self._reader.counts.n}}
        super().__init__(options=options, **traits)

    def _measure(self, documents: Sequence[str]) -> None:
        tokenizer = self._reader.tokenizer
        self._held_out = Corpus(tuple(documents)).ids(tokenizer)
        scored = self._held_out[1:] != (-1 if tokenizer.bos_id is None else tokenizer.bos_id)
        n_tokens = int(scored.sum())
        self._levels = tuple((m.name, perplexity_of(m, documents, n_tokens)) for m in self._models)

    def _perplexity(self) -> dict[str, tuple[float | None, ...]]:
        if self._held_out is None:
            return {}
        if self.k not in self._measured:
            reader, found = self._reader, dict(next(iter(self._measured.values()), {}))
            for smoothing in NAMES if not found else ("add-k",):  # the others know no k
                counts = reader.counts.with_smoothing(smoothing, k=self.k)
                found[smoothing] = perplexities(counts, self._held_out, boundary=reader.tokenizer.bos_id)
            self._measured = {self.k: found}
        return self._measured[self.k]

    def clicked(self, name: str) -> None:
        self.seed += 1

    def reset(self) -> None:
        self.seed = 0
        super().reset()

    def compute(self) -> NGramTableView:
        given = without_space(self.prompt)
        if given != self._asked[0] or len(self._asked[1]) < len(self._models):
            self._asked = given, tuple(other_at(model, given) for model in self._models)
        return ngram_table_view(
            self._reader,
            self._asked[1],
            given,
            n=min(self.n, self._reader.counts.n),
            smoothing=self.smoothing,
            k=self.k,
            seed=self.seed,
            perplexity=self._perplexity(),
            levels=self._levels,
        )
