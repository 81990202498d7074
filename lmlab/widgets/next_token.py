"""NextToken: the next word as several models see it, beside the truth where it is known.

Models of one vocabulary are compared token by token. Between vocabularies an id means nothing, so a bar is a
string: the candidates of all are pooled, each completed to a whole word, and every model is asked for that
word. What the student types as a continuation is one more string.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import traitlets

from lmlab.data.town.town import Town
from lmlab.data.town.truth import TownTruth
from lmlab.data.town.verdicts import Verdict, judge
from lmlab.text_model import TextModel, split_trailing_space
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._candidates import (
    Column,
    Row,
    column,
    divergence,
    likely_tokens,
    likely_words,
    same_vocabulary,
    shown_percent,
)
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, spans, visible

MODELS = 4  # the slots that color, shape and order can tell apart
TRIES = 3


@dataclasses.dataclass(frozen=True)
class Try:
    """A continuation of the student's own, its probabilities, and what the grammar says about it."""

    text: str
    shown: tuple[str, ...]
    verdict: Spans


@dataclasses.dataclass(frozen=True, kw_only=True)
class NextTokenView(View):
    """``columns`` are the names of truth and models; ``rows`` the likeliest words; ``others`` what is left."""

    columns: tuple[str, ...]
    has_truth: bool
    rows: tuple[Row, ...]
    others: Row
    tries: tuple[Try, ...]


def next_token_view(
    models: Sequence[TextModel],
    truth: TextModel | None,
    prompt: str,
    *,
    k: int,
    sort: str,
    tries: Iterable[str],
    read: Sequence[Column] = (),
) -> NextTokenView:
    """What NextToken shows for a prompt: pure, the same for the same models and text; ``read`` if it was read."""
    given = split_trailing_space(prompt)[0]  # the space belongs to the next word
    columns = read or read_all(models, truth, prompt)
    tokens = same_vocabulary(col.model for col in columns)
    found = likely_tokens(columns, k) if tokens else likely_words(columns, given, k)
    by = _sort_column(columns, truth, sort)
    rows = sorted(found, key=lambda row: (-row.probabilities[by], -max(row.probabilities), row.word))[:k]
    size = max(model.tokenizer.vocab_size for model in models)
    return NextTokenView(
        question="Which word comes next, and who knows it best?" if len(columns) > 1 else "Which word comes next?",
        about=f"NextToken · {count(len(models), 'model')} · cpu",
        readout=_readout(columns, bool(truth), given, found, tokens, spaced=given != prompt),
        foot=_foot(columns[-1], size, bool(truth)),
        labels={"prompt": _prompt_label(models[0], given)},
        table=[["next word", *(c.model.name for c in columns)], *([row.word, *row.shown] for row in rows)],
        columns=tuple(col.model.name for col in columns),
        has_truth=truth is not None,
        rows=tuple(rows),
        others=_others(columns, rows, size),
        tries=tuple(_try(columns, bool(truth), given, text) for text in tries),
    )


def read_all(models: Sequence[TextModel], truth: TextModel | None, prompt: str) -> list[Column]:
    """Ask the truth, where there is one, and every model about a prompt."""
    given = split_trailing_space(prompt)[0]
    return [column(model, given) for model in ([truth] if truth else []) + list(models)]


def _others(columns: Sequence[Column], rows: Sequence[Row], size: int) -> Row:
    left = [
        0.0 if col.log_probs is None else max(0.0, 1 - sum(row.probabilities[i] for row in rows))
        for i, col in enumerate(columns)
    ]
    left = [0.0 if value < 2e-6 else value for value in left]  # float32 rounding of a sum that is one
    return Row(f"{size - len(rows):,} other tokens", tuple(left), shown_percent(columns, left))


def _sort_column(columns: Sequence[Column], truth: TextModel | None, sort: str) -> int:
    names = ["truth" if truth and i == 0 else col.model.name for i, col in enumerate(columns)]
    by = names.index(sort) if sort in names else 0
    return by if columns[by].log_probs is not None else len(columns) - 1


def _prompt_label(model: TextModel, prompt: str) -> str:
    n, cropped = len(model.tokenizer.encode(prompt)), model.n_cropped(prompt)
    if cropped:
        return f"Prompt ({count(n, 'token')}; {model.name} reads the last {n - cropped:,}, {cropped:,} cropped)"
    return f"Prompt ({count(n, 'token')})" if n else "Prompt (empty: the start of a document)"


def _foot(col: Column, size: int, has_truth: bool) -> Spans:
    total = f"{float(col.log_probs.double().exp().sum()):.3f}" if col.log_probs is not None else "0"
    source = " · outline = exact probability from the town’s grammar" if has_truth else ""
    return spans(mono(f"logits (V,) → softmax → sum {total}"), f" · V = {size:,}{source} · temperature 1")


def _readout(
    columns: Sequence[Column], has_truth: bool, prompt: str, rows: Sequence[Row], tokens: bool, *, spaced: bool
) -> Spans:
    """Who puts what first, and how far from the truth; the last model speaks first, as the best known."""
    said: list[str | Span] = []
    start = 1 if has_truth else 0
    knows = has_truth and columns[0].log_probs is not None
    if not rows:
        return spans("No model has anything to say about this prompt.")
    for i in reversed(range(start, len(columns))):
        col, name = columns[i], model_name(i - start, columns[i].model.name)
        if col.log_probs is None:
            said += [name, " has never seen this beginning and says nothing. "]
            continue
        first = max(rows, key=lambda row: row.probabilities[i])
        n = getattr(col.model.model, "n", None)
        said += [name, " sees only ", _window(col.model, prompt, n), " and puts "] if n else [name, " puts "]
        said += [mono(first.word), " first with ", bold(first.shown[i])]
        if i == len(columns) - 1 and knows:
            said += ["; the truth is ", bold(first.shown[0])]
        said += [". "]
    if has_truth and not knows:
        said += ["The town never says this, so there is no truth to compare with. "]
    elif knows:
        said += _distances(columns, rows, tokens)
    if spaced:
        said += ["The space at the end was read as the beginning of the next word."]
    return spans(*said)


def _window(model: TextModel, prompt: str, n: int) -> str:
    ids = model.ids(prompt).tolist()[-(n - 1) :] if n > 1 else []
    text = "".join(model.tokenizer.token_text(i) for i in ids if i != model.tokenizer.bos_id).strip()
    return f"“{visible(text).replace('·', ' ')}”" if text else "the start"


def _distances(columns: Sequence[Column], rows: Sequence[Row], tokens: bool) -> list[str | Span]:
    parts: list[str | Span] = ["Distance from the truth: "]
    for i in reversed(range(1, len(columns))):
        value = divergence(columns[0], columns[i], rows, i, tokens=tokens)
        if value is None:
            continue
        shown = "infinite (it rules out what happens)" if math.isinf(value) else f"{number(value, 3)} nats"
        parts += [", " if len(parts) > 1 else "", f"{columns[i].model.name} ", bold(shown)]
    return [*parts, ". "] if len(parts) > 1 else []


def _reading(columns: Sequence[Column], prompt: str, text: str) -> str:
    """Whether a continuation begins a new word or goes on with an unfinished one: the likelier reading."""
    if not text or not (text[0].isalnum()) or not prompt or prompt[-1] in "\n\t ":
        return text
    alive = [col for col in columns if col.log_probs is not None]
    readings = (" " + text, text)
    return max(readings, key=lambda r: max((col.log_prob(prompt, r) for col in alive), default=0.0))


def _try(columns: Sequence[Column], has_truth: bool, prompt: str, text: str) -> Try:
    read = _reading(columns, prompt, text)
    logs = [col.log_prob(prompt, read) for col in columns]
    shown = shown_percent(columns, [math.exp(value) for value in logs])
    town = getattr(columns[0].model.model, "town", None) if has_truth else None
    if isinstance(town, Town) and columns[0].log_probs is not None:
        return Try(text, shown, _verdict(judge(town, prompt, read)))
    bits = " · ".join(f"{c.model.name} {number(-v / math.log(2))} bits" for c, v in zip(columns, logs, strict=True))
    return Try(text, shown, spans(f"surprise: {bits}"))


def _verdict(judged: Verdict) -> Spans:
    """The lecture's three ways to be wrong: vocabulary, grammar, plausibility; the first that fails stops it."""
    if not judged.vocabulary:
        return spans(("b", "vocabulary ✕"), "  no such word in the town")
    if not judged.grammar:
        hint = f"  what fits: {judged.expected}" if judged.expected else f"  {judged.reason}"
        return spans("vocabulary ✓  ", ("b", "grammar ✕"), hint)
    odds = 1 / judged.probability if judged.probability > 0 else math.inf
    if odds < 1.5:
        return spans("vocabulary ✓  grammar ✓  what almost always follows")
    return spans(f"vocabulary ✓  grammar ✓  plausible: 1 in {odds:,.0f}")


def town_truth(model: TextModel) -> TextModel:
    """The town's exact distribution over this model's own tokens."""
    return TextModel(TownTruth(model.tokenizer), model.tokenizer, name="truth")


class NextToken(LabWidget):
    """Bars of the next word for one to four models, beside the truth.

    ``truth="town"`` compares with the town's exact distribution, ``None`` with nothing; any ``TextModel`` is
    a truth too. ``variants`` maps a name to models (and, as the last one, ``truths`` to a truth) that a switch
    exchanges, for models trained on different texts. ``continuations`` are scored from the start; whatever is
    typed joins them.
    """

    kind = "next_token"
    controls = ("prompt", "variant", "k", "sort", "continuation")

    prompt = traitlets.Unicode("the stock market crashed and investors").tag(
        sync=True, control=Control("text", "Prompt", wide=True)
    )
    variant = traitlets.Unicode().tag(sync=True, control=Control("segments", "Trained on"))
    k = traitlets.Int(7, min=1, max=15).tag(
        sync=True, control=Control("slider", "Words shown", min=1, max=15, secondary=True)
    )
    sort = traitlets.Unicode("truth").tag(sync=True, control=Control("segments", "Sorted by", secondary=True))
    continuation = traitlets.Unicode().tag(
        sync=True, control=Control("text", "Now you: write a continuation", live=False, placeholder="then press Enter")
    )

    def __init__(
        self,
        *models: TextModel,
        truth: str | TextModel | None = "town",
        variants: Mapping[str, Sequence[TextModel]] | None = None,
        truths: Mapping[str, TextModel] | None = None,
        variant_label: str = "Trained on",
        continuations: Sequence[str] = (),
        **traits: Any,
    ) -> None:
        self._variants = {name: tuple(group) for name, group in (variants or {"": models}).items()}
        for group in self._variants.values():
            if not 1 <= len(group) <= MODELS or not all(hasattr(m, "next_log_probs") for m in group):
                raise ValueError(
                    f"NextToken compares 1 to {MODELS} text models and got {len(group)}. "
                    'Try NextToken(lab.load("town")).'
                )
        self._truths = {
            name: self._truth(group, truth, (truths or {}).get(name)) for name, group in self._variants.items()
        }
        first = next(iter(self._variants))
        names = [m.name for m in self._variants[first]]
        sorts = (["truth"] if self._truths[first] else []) + list(dict.fromkeys(names))
        self._first_tries = self._tries = list(continuations)[-TRIES:]
        if traits.get("sort", "truth") not in sorts:
            traits["sort"] = sorts[0]
        options = {
            "variant": {"label": variant_label, "options": tuple((v, v) for v in self._variants)},
            "sort": {"options": tuple((s, s) for s in sorts), "kind": "segments" if len(sorts) <= MODELS else "select"},
        }
        hidden = {"variant"} if len(self._variants) == 1 else set()
        hidden |= {"sort"} if len(sorts) == 1 else set()
        self.heavy = heavy(*(model for group in self._variants.values() for model in group))
        super().__init__(options=options, hidden=hidden, **{"variant": first, **traits})

    @staticmethod
    def _truth(models: Sequence[TextModel], truth: str | TextModel | None, own: TextModel | None) -> TextModel | None:
        if own is not None or truth is None or isinstance(truth, TextModel):
            return own or truth  # type: ignore[return-value]
        if truth != "town":
            raise ValueError(f'truth={truth!r} is not known: use "town", a TextModel, or None for no truth.')
        # the truth needs a tokenizer that can begin a document; the town's own is the best one
        return town_truth(next((m for m in models if m.tokenizer.bos_id is not None), models[0]))

    def reset(self) -> None:
        self._tries = self._first_tries
        super().reset()
        self.refresh()

    def compute(self) -> NextTokenView:
        typed = self.continuation
        if typed and typed not in self._tries:
            self._tries = [*self._tries, typed][-TRIES:]
        models, truth, prompt = self._variants[self.variant], self._truths[self.variant], self.prompt
        key = (models, split_trailing_space(prompt)[0])
        return next_token_view(
            models,
            truth,
            prompt,
            read=self.remember(key, lambda: read_all(models, truth, prompt)),
            k=self.k,
            sort=self.sort,
            tries=reversed(self._tries),
        )
