"""ChainRule: the surprise of a whole sentence, word by word; probabilities multiply, so surprises add.

A word is a pre-token. What a model says of it is the sum over its own tokens, so that models of several vocabularies
stand side by side; the last column is the whole sentence.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import traitlets

from lmlab.text_model import TextModel
from lmlab.tokenizer.split import pretokens
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans
from lmlab.widgets._surprise import Score, Tokens, changed, shown_word, token_log_probs, word_log_probs
from lmlab.widgets._waterfall import (
    UNITS,
    Mark,
    Piece,
    before_change,
    gapped,
    mark_at,
    pieces_of,
    shown_chance,
    shown_cost,
    shown_perplexity,
)
from lmlab.widgets.next_token import MODELS, town_truth

SENTENCE = "the stock market crashed and investors panicked"
CHARACTERS = 2_000  # of a sentence that are read
_NUMERALS = "One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve".split()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChainRuleView(View):
    """``columns`` are the models and then, if ``has_truth``, the truth; ``first`` is the sentence before it was
    changed, ``claim`` a probability that somebody gave to the whole."""

    columns: tuple[str, ...]
    has_truth: bool
    unit: str
    words: tuple[Piece, ...]
    totals: tuple[float, ...]
    total_cost: tuple[str, ...]
    total_shown: tuple[str, ...]
    first: Mark | None = None
    claim: Mark | None = None


def chain_rule_view(
    models: Sequence[TextModel],
    truth: TextModel | None,
    sentence: str,
    *,
    first: str = "",
    unit: str = "bits",
    claim: float | None = None,
    score: Score = token_log_probs,
) -> ChainRuleView:
    """What ChainRule shows of a sentence that was ``first`` before the student changed it: pure."""
    if unit not in UNITS:
        raise ValueError(f"A surprise is measured in bits or nats, not in {unit!r}.")
    text = sentence[:CHARACTERS].strip(" ")
    asked = [*models, *([truth] if truth else [])]
    tokens = [score(model, text) if text else [] for model in asked]
    words = word_log_probs(tokens, text) if text else []
    sums = [math.fsum(logs[i] for _, logs in words) for i in range(len(asked))]
    yours = changed([word for word, _ in words], pretokens(first.strip(" ")) if first else [])
    pieces = gapped(pieces_of(words, yours, unit, start=len(sentence) - len(sentence.lstrip(" "))), unit)
    names = tuple(model.name for model in asked)
    before = before_change(models, first, words, yours, unit, score) if yours else None
    stated = None if claim is None else mark_at(percent(claim), [math.log(claim)] * len(models), unit)
    return ChainRuleView(
        question="How surprising is a whole sentence?",
        about=f"ChainRule · {models[0].name if len(models) == 1 else count(len(models), 'model')} · cpu",
        readout=_readout(models, truth, words, yours, before, stated, unit),
        foot=_foot(models[-1], tokens[len(models) - 1], sums[len(models) - 1], bool(truth)),
        labels={"text": _sentence_label(models[-1], sentence)},
        table=[
            ["word", *names],
            *([piece.text, *piece.cost] for piece in pieces),
            ["total", *(shown_cost(value, unit) for value in sums)],
        ],
        columns=names,
        has_truth=truth is not None,
        unit=unit,
        words=tuple(pieces),
        totals=tuple(-value / UNITS[unit] for value in sums),
        total_cost=tuple(shown_cost(value, unit) for value in sums),
        total_shown=tuple(map(shown_chance, sums)),
        first=before,
        claim=stated,
    )


def _readout(
    models: Sequence[TextModel],
    truth: TextModel | None,
    words: Sequence[tuple[str, list[float]]],
    yours: range,
    before: Mark | None,
    claim: Mark | None,
    unit: str,
) -> Spans:
    """The last model speaks first, as the best known; then the student's word, the others and the truth."""
    n = len(words)
    if not n:
        return spans("Type a sentence: each of its words will cost what it surprises.")
    main = len(models) - 1
    total = math.fsum(logs[main] for _, logs in words)
    said: list[str | Span] = []
    if total == -math.inf:
        wall = next(word for word, logs in words if logs[main] == -math.inf)
        said += [
            "For ",
            model_name(main, models[main].name),
            " ",
            mono(shown_word(wall)),
            " is impossible there, and so ",
        ]
        said += ["is the whole: probability ", bold("0"), ". "]
    else:
        said += [
            f"{_amount(words)} cost ",
            bold(f"{shown_cost(total, unit)} {unit}"),
            " together, so the sentence has ",
        ]
        said += ["probability ", bold(shown_chance(total))]
        said += [" and perplexity ", bold(shown_perplexity(total, n)), " per word. "]
        said += _your_word(words, yours, before, main, unit)
    for i, model in enumerate(models[:-1]):
        value = math.fsum(logs[i] for _, logs in words)
        said += [model_name(i, model.name), ": ", bold(f"{shown_cost(value, unit)} {unit}"), ". "]
    if truth:
        value = math.fsum(logs[-1] for _, logs in words)
        said += ["The truth is ", bold(f"{shown_cost(value, unit)} {unit}")]
        said += [". " if value > -math.inf else ": the town never says this. "]
    if claim:
        said += [f"A probability of {claim.label} would be ", bold(f"{claim.shown[0]} {unit}")]
        said += [", perplexity ", bold(shown_perplexity(-claim.totals[0] * UNITS[unit], n)), " per word."]
    return spans(*said)


def _amount(words: Sequence[tuple[str, list[float]]]) -> str:
    n, signs = len(words), any(not any(map(str.isalnum, word)) for word, _ in words)
    noun = ("word" if n == 1 else "words") + (" and signs" if signs else "")
    return f"{_NUMERALS[n - 1] if n <= len(_NUMERALS) else f'{n:,}'} {noun}"


def _your_word(
    words: Sequence[tuple[str, list[float]]], yours: range, before: Mark | None, i: int, unit: str
) -> list[str | Span]:
    if not before:
        word, logs = max(words, key=lambda pair: -pair[1][i])
        return ["The dearest is ", mono(shown_word(word)), " with ", bold(shown_cost(logs[i], unit)), ". "]
    value = math.fsum(words[k][1][i] for k in yours)
    said: list[str | Span] = []
    if yours:
        said = [
            "Your word" if len(yours) == 1 else "Your words",
            " added ",
            bold(f"{shown_cost(value, unit)} {unit}"),
            "; ",
        ]
    if before.label == "at first":
        return [*said, f"at first the whole cost {before.shown[i]}. "]
    return [*said, "with ", mono(before.label), f" the whole costs {before.shown[i]}. "]


def _sentence_label(model: TextModel, sentence: str) -> str:
    if len(sentence) > CHARACTERS:
        return f"Sentence ({len(sentence):,} characters; the first {CHARACTERS:,} are read)"
    text = sentence.strip(" ")
    return f"Sentence ({count(len(model.tokenizer.encode(text)), 'token')})" if text else "Sentence (empty)"


def _foot(model: TextModel, tokens: Sequence[tuple[int, float]], total: float, has_truth: bool) -> Spans:
    product = math.prod(math.exp(p) for _, p in tokens)
    if product > 0:
        sums = f"Σ bits − (−log₂ of the product) = {number(abs(total - math.log(product)) / math.log(2), 7)}"
    elif total > -math.inf:
        sums = "the product is too small for the machine and became 0; the sum did not"
    else:
        sums = "one word of probability 0, and the product is 0"
    return spans(
        mono("log_probs (B,T,V) → pick the next id → (T,) → sum"),
        f" · B 1, T {len(tokens):,}, V {model.vocab_size:,} · {sums}",
        " · outline = exact, from the grammar" if has_truth else "",
    )


class ChainRule(LabWidget):
    """A waterfall of surprise over the words of a sentence, for one to four models, beside the truth.

    ``words`` are offered as the last word; any other is exchanged in the sentence itself. ``claim`` is a probability
    that somebody gave to the whole sentence: a line across the total. ``truth="town"`` compares with the town's exact
    distribution, ``None`` with nothing; any ``TextModel`` is a truth too.
    """

    kind = "chain_rule"
    controls = ("text", "last", "unit", "show_truth")

    text = traitlets.Unicode(SENTENCE).tag(sync=True, control=Control("text", "Sentence", wide=True))
    last = traitlets.Unicode().tag(sync=True, control=Control("segments", "Last word"))
    unit = traitlets.Unicode("bits").tag(
        sync=True, control=Control("segments", "Unit", options=(("bits", "bits"), ("nats", "nats")), secondary=True)
    )
    show_truth = traitlets.Bool(True).tag(sync=True, control=Control("button", "Show truth", local=True))

    def __init__(
        self,
        *models: TextModel,
        truth: str | TextModel | None = "town",
        words: Sequence[str] = ("panicked", "celebrated", "golfing"),
        claim: float | None = None,
        **traits: Any,
    ) -> None:
        if not 1 <= len(models) <= MODELS or not all(hasattr(model, "score") for model in models):
            raise ValueError(
                f'ChainRule compares 1 to {MODELS} text models and got {len(models)}. Try ChainRule(lab.load("town")).'
            )
        if claim is not None and not 0 < claim <= 1:
            raise ValueError(f"A claim is a probability above 0 and up to 1, not {claim!r}. Write 2 % as 0.02.")
        if truth == "town":
            truth = town_truth(next((m for m in models if m.tokenizer.bos_id is not None), models[0]))
        elif isinstance(truth, str):
            raise ValueError(f'truth={truth!r} is not known: use "town", a TextModel, or None for no truth.')
        self._models, self._truth, self._claim, self._words = models, truth, claim, tuple(words)
        self.heavy = heavy(*models)
        sentence = traits.setdefault("text", SENTENCE)
        self._first = sentence
        traits["last"] = self._last_of(sentence)
        options = {
            "last": {"options": tuple((w, w) for w in words), "kind": "segments" if len(words) < 5 else "select"}
        }
        hidden = ({"show_truth"} if truth is None else set()) | (set() if words else {"last"})
        super().__init__(options=options, hidden=hidden, **traits)

    def _last_of(self, sentence: str) -> str:
        word = sentence.rstrip(" ").rpartition(" ")[2]
        return word if word in self._words else ""

    @traitlets.observe("last")
    def _exchange(self, change: Any) -> None:
        """A chosen word takes the place of the last one in the sentence."""
        text = self.text.rstrip(" ")
        if change["new"] and change["new"] != self._last_of(text):
            head, space, _ = text.rpartition(" ")
            self.text = head + space + change["new"]

    @traitlets.observe("text")
    def _follow(self, change: Any) -> None:
        """The choice shows the word that was typed, or none."""
        self.last = self._last_of(change["new"])

    def compute(self) -> ChainRuleView:
        def score(model: TextModel, text: str) -> Tokens:
            return self.remember((model, text), lambda: token_log_probs(model, text))

        return chain_rule_view(
            self._models, self._truth, self.text, first=self._first, unit=self.unit, claim=self._claim, score=score
        )
