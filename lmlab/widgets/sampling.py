"""Sampling: what temperature and the three filters make of a model's distribution, and whether draws keep to it.

A sampler never asks the model again: it reshapes one row of V numbers. What it takes away is hatched, what it gives
stands beyond a notch, and both are equal in sum. Draws from the reshaped distribution are counted against it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
import traitlets

from lmlab.sampling import Sampler
from lmlab.text_model import TextModel, split_trailing_space
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._candidates import Column
from lmlab.widgets._odds import Fit, Reading, Steps, chi_squared, choices, read
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, token_name

MODELS = 4  # the slots that color, shape and order can tell apart
ALL = 21  # the right end of the top-k slider: no filter
SHOWN_DRAWS = 12


@dataclasses.dataclass(frozen=True)
class Bar:
    """A word under one model: its probability before and after the sampler, and its share of the draws."""

    before: float
    after: float
    drawn: float | None
    shown: tuple[str, str, str]  # the same three as text; "cut" for what the sampler has ruled out


@dataclasses.dataclass(frozen=True)
class SampledRow:
    """One word, or all others together."""

    word: str
    raw: str
    bars: tuple[Bar, ...]


@dataclasses.dataclass(frozen=True)
class Effect:
    """One model's whole distribution before and after: tokens kept, equal choices (e to the entropy), the draws."""

    name: str
    kept: str
    choices: tuple[str, str]
    fit: Fit | None
    fit_shown: tuple[str, str]  # chi-squared and p as text
    words: tuple[str, ...]  # the first words drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingView(View):
    """``rows`` ends with all other tokens; ``effects`` has one entry a model; ``n_drawn`` is 0 before any draw."""

    rows: tuple[SampledRow, ...]
    effects: tuple[Effect, ...]
    n_drawn: int
    seed: int


def sampling_view(reading: Reading, sampler: Sampler, *, n_drawn: int = 0, seed: int = 0) -> SamplingView:
    """What Sampling shows: pure, the same for the same reading, sampler and seed."""
    alive = [c.log_probs for c in reading.columns]
    after = [None if lp is None else sampler.probabilities(lp) for lp in alive]
    drawn = [None if lp is None or not n_drawn else _draw(sampler, lp, n_drawn, seed) for lp in alive]
    shares = [
        None if d is None or p is None else torch.bincount(d, minlength=len(p)).double() / n_drawn
        for d, p in zip(drawn, after, strict=True)
    ]
    rows = [
        SampledRow(
            row.word,
            row.raw,
            tuple(_bar(*one, sampler) for one in zip(ways, alive, after, shares, strict=True)),
        )
        for row, ways in zip(reading.rows, reading.ways, strict=True)
    ]
    size = max(c.model.vocab_size for c in reading.columns)
    each = zip(*(row.bars for row in rows), strict=True)
    others = SampledRow(f"{size - len(rows):,} other tokens", "", tuple(map(_rest, each)))
    effects = tuple(_effect(c, p, d) for c, p, d in zip(reading.columns, after, drawn, strict=True))
    names = [c.model.name for c in reading.columns]
    return SamplingView(
        question="What does the sampler do to the odds?",
        about=f"Sampling · {count(len(names), 'model')} · cpu",
        readout=_readout(reading, rows, effects, n_drawn, seed),
        foot=_foot(sampler, size),
        labels={f"{name}:value": "off" for _, name in _FILTERS if getattr(sampler, name) is None},
        table=[
            ["next word", *(f"{name}: {what}" for name in names for what in ("before", "after"))],
            *([row.word, *(text for bar in row.bars for text in bar.shown[:2])] for row in (*rows, others)),
        ],
        rows=(*rows, others),
        effects=effects,
        n_drawn=n_drawn,
        seed=seed,
    )


def _draw(sampler: Sampler, log_probs: torch.Tensor, n: int, seed: int) -> torch.Tensor:
    return sampler.draw_many(log_probs, n, torch.Generator().manual_seed(seed))


def _bar(
    way: Steps, first: torch.Tensor | None, sampled: torch.Tensor | None, shares: torch.Tensor | None, sampler: Sampler
) -> Bar:
    """A word's bar; ``first`` (V,) is what the first token is chosen from, ``sampled`` (V,) the same after sampling."""
    if not way or sampled is None:
        return Bar(0.0, 0.0, None, ("–", "–", ""))
    before = math.exp(sum(float(log_probs[id_]) for log_probs, id_ in way))
    odds = [sampled if log_probs is first else sampler.probabilities(log_probs) for log_probs, _ in way]
    after = math.prod(float(p[id_]) for p, (_, id_) in zip(odds, way, strict=True))
    drawn = float(shares[way[0][1]]) if shares is not None and len(way) == 1 else None
    return _shown_bar(before, after, drawn)


def _rest(bars: Sequence[Bar]) -> Bar:
    if bars[0].shown[0] == "–":
        return bars[0]
    before, after = (max(0.0, 1 - sum(values)) for values in zip(*((b.before, b.after) for b in bars), strict=True))
    known = [b.drawn for b in bars if b.drawn is not None]
    drawn = max(0.0, round(1 - sum(known), 9)) if len(known) == len(bars) else None
    clean = [0.0 if value < 2e-6 else value for value in (before, after)]  # rounding of a sum that is one
    return _shown_bar(clean[0], clean[1], drawn)


def _shown_bar(before: float, after: float, drawn: float | None) -> Bar:
    cut = "cut" if after == 0 and before > 0 else percent(after)
    return Bar(before, after, drawn, (percent(before), cut, "" if drawn is None else percent(drawn)))


def _effect(col: Column, after: torch.Tensor | None, drawn: torch.Tensor | None) -> Effect:
    if after is None or col.log_probs is None:
        return Effect(col.model.name, "–", ("–", "–"), None, ("", ""), ())
    kept, tok = int((after > 0).sum()), col.model.tokenizer
    fit = None if drawn is None else chi_squared(torch.bincount(drawn, minlength=len(after)), after)
    words = (
        ()
        if drawn is None
        else tuple(token_name(tok.token_text(i), tok.specials) for i in drawn[:SHOWN_DRAWS].tolist())
    )
    both = (number(choices(col.log_probs.double().exp())), number(choices(after)))
    return Effect(col.model.name, f"{kept:,}", both, fit, _fit_shown(fit), words)


def _fit_shown(fit: Fit | None) -> tuple[str, str]:
    if fit is None:
        return "", ""
    if not fit.degrees:
        return "–", "–"
    return f"{number(fit.chi_squared, 1)} / {fit.degrees}", number(fit.p, 2) if fit.p >= 0.005 else f"{fit.p:.0e}"


def _readout(reading: Reading, rows: Sequence[SampledRow], effects: Sequence[Effect], n_drawn: int, seed: int) -> Spans:
    said: list[str | Span] = []
    for i in reversed(range(len(effects))):
        effect, name = effects[i], model_name(i, effects[i].name)
        if effect.kept == "–":
            said += [name, " has never seen this beginning and says nothing. "]
            continue
        likeliest = max(rows, key=lambda row: row.bars[i].before)
        word, first, before = mono(likeliest.word), likeliest.bars[i].shown, effect.choices[0]
        if all(row.bars[i].shown[0] == row.bars[i].shown[1] for row in rows):
            said += [name, ": ", word, " keeps its ", bold(first[1]), ", and all is as the model says, worth "]
            said += [bold(effect.choices[1]), " equal choices. "]
            continue
        said += [name, ": ", word, " goes from ", bold(first[0]), " to ", bold(first[1]), "; ", bold(effect.kept)]
        said += [f" of {reading.columns[i].model.vocab_size:,} tokens left, worth ", bold(effect.choices[1])]
        said += [f" equal choices ({before} before). "]
    if n_drawn and any(effect.fit for effect in effects):
        said += [bold(f"{n_drawn:,} draws"), f" with seed {seed}: ", *_verdicts(effects)]
    return spans(*said)


def _verdicts(effects: Sequence[Effect]) -> list[str | Span]:
    """Whether the draws keep to the bars, with Pearson's p; models of one verdict share its words."""
    verdicts: dict[str, list[int]] = {}
    for i in reversed(range(len(effects))):
        fit = effects[i].fit
        if fit is not None:
            agrees = "they keep to the bars. " if fit.p > 0.001 else "they do not keep to the bars. "
            verdict = f"; {agrees}" if fit.degrees else "one token is left, and nothing to chance. "
            verdicts.setdefault(verdict, []).append(i)
    said: list[str | Span] = []
    for verdict, slots in verdicts.items():
        for k, i in enumerate(slots):
            name: list[str | Span] = [model_name(i, effects[i].name)] if len(effects) > 1 else []
            if verdict.startswith(";"):
                said += [
                    ", " if k else "χ² test p = ",
                    bold(effects[i].fit_shown[1]),
                    *([" for ", *name] if name else []),
                ]
            else:
                said += [*name, " " if name else ""]
        said += [verdict]
    return said


def _foot(sampler: Sampler, size: int) -> Spans:
    filters = [f"temperature {number(sampler.temperature)}"]
    filters += [f"{n} {getattr(sampler, a):g}" for n, a in _FILTERS if getattr(sampler, a) is not None]
    return spans(
        mono("log_probs (V,) → / temperature → softmax → filters → (V,)"), f" · V = {size:,} · {', '.join(filters)}"
    )


_FILTERS = (("top-k", "top_k"), ("top-p", "top_p"), ("min-p", "min_p"))


class Sampling(LabWidget):
    """Bars of the next word for one to four models, before and after temperature, top-k, top-p and min-p.

    The filters act in this order. ``top_k=None``, ``top_p=1`` and ``min_p=0`` leave one out. ``n_drawn`` tokens are
    drawn with ``seed`` and counted against the bars.
    """

    kind = "sampling"
    parts = ("words",)
    controls = ("prompt", "temperature", "top_k", "top_p", "min_p")
    inputs = ("n_drawn", "seed")

    prompt = traitlets.Unicode("the stock market crashed and investors").tag(
        sync=True, control=Control("text", "Prompt", wide=True)
    )
    temperature = traitlets.Float(1.0, min=0.0, max=2.0).tag(
        sync=True, control=Control("slider", "Temperature", min=0, max=2, step=0.05)
    )
    top_k = traitlets.Int(ALL, min=1, max=ALL).tag(sync=True, control=Control("slider", "Top-k", min=1, max=ALL))
    top_p = traitlets.Float(1.0, min=0.0, max=1.0).tag(
        sync=True, control=Control("slider", "Top-p", min=0, max=1, step=0.01)
    )
    min_p = traitlets.Float(0.0, min=0.0, max=1.0).tag(
        sync=True, control=Control("slider", "Min-p", min=0, max=1, step=0.01)
    )
    n_drawn = traitlets.Int(0, min=0, max=1_000_000, help="tokens drawn and counted; 0 for none").tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(self, *models: TextModel, top_k: int | None = None, **traits: Any) -> None:
        if not 1 <= len(models) <= MODELS or not all(hasattr(m, "next_log_probs") for m in models):
            raise ValueError(
                f'Sampling compares 1 to {MODELS} text models and got {len(models)}. Try Sampling(lab.load("town")).'
            )
        self._models, self.heavy = models, heavy(*models)
        self._reading: Reading | None = None
        self._first_draw = {name: traits.get(name, 0) for name in ("n_drawn", "seed")}
        super().__init__(top_k=ALL if top_k is None else top_k, **traits)

    @property
    def sampler(self) -> Sampler:
        """The sampler that the sliders stand at."""
        return Sampler(
            self.temperature,
            top_k=None if self.top_k >= ALL else self.top_k,
            top_p=None if self.top_p >= 1 else self.top_p,
            min_p=None if self.min_p <= 0 else self.min_p,
        )

    def reset(self) -> None:
        with self.hold_trait_notifications():
            for name, value in self._first_draw.items():
                setattr(self, name, value)
            super().reset()

    def compute(self) -> SamplingView:
        prompt = self.prompt
        if self._reading is None or self._reading.prompt != split_trailing_space(prompt)[0]:
            self._reading = read(self._models, prompt)
        return sampling_view(self._reading, self.sampler, n_drawn=self.n_drawn, seed=self.seed)
