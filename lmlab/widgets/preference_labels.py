"""PreferenceLabels: two answers to one question, and you say which is better: labels for a reward model.

Behind the ready pairs stands a plan: right is worth more than polite, polite more than brief. Nobody tells you, and
you may disagree; after ten labels you can ask how far you do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import traitlets

from lmlab.data.preferences import Preference
from lmlab.data.town.chat import chat_questions
from lmlab.text_model import TextModel
from lmlab.widgets._answer_pool import (
    WORTH,
    AnswerPair,
    Choice,
    annotated,
    judged,
    planned,
    preset_pairs,
    sampled_pair,
)
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._style import Span, Spans, bold, count, mono, percent, spans

CHOICES: tuple[Choice, ...] = ("left", "right", "neither")
FIRST = 10  # labels before you can compare with the plan
MOST_PAIRS, MOST_ANNOTATED = 1000, 400
_ANNOTATOR = 500_009  # its pairs are none of yours
SHOWN = 600  # characters of an answer on screen


@dataclasses.dataclass(frozen=True)
class Taste:
    """Of `n` pairs that differ in a quality, how often the answer that has it was preferred."""

    quality: str
    preferred: int
    n: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelsView(View):
    """``prompt`` with its two answers; ``number`` of them are labeled, ``undecided`` as neither. ``tastes`` and
    ``agreed`` (of ``ordered``) are empty until they are asked for."""

    prompt: str
    left: str
    right: str
    number: int
    undecided: int
    annotator: int
    tastes: tuple[Taste, ...]
    agreed: int
    ordered: int
    goal: int = FIRST


def tastes_of(pairs: Sequence[AnswerPair], picks: Sequence[Choice]) -> tuple[Taste, ...]:
    """What the picks prefer, quality by quality, counted where the two answers differ in it and one was preferred."""
    found = []
    for k, quality in enumerate(WORTH):
        votes = [
            judged(pair.question, pair.left)[k] == (pick == "left")
            for pair, pick in zip(pairs, picks, strict=True)
            if pick != "neither" and judged(pair.question, pair.left)[k] != judged(pair.question, pair.right)[k]
        ]
        found.append(Taste(quality, sum(votes), len(votes)))
    return tuple(found)


def agreement(pairs: Sequence[AnswerPair], picks: Sequence[Choice]) -> tuple[int, int]:
    """(in how many the pick is the plan's, of how many that both order)."""
    both = [(planned(pair), pick) for pair, pick in zip(pairs, picks, strict=True)]
    ordered = [(plan, pick) for plan, pick in both if "neither" not in (plan, pick)]
    return sum(plan == pick for plan, pick in ordered), len(ordered)


def labels_view(
    shown: AnswerPair, pairs: Sequence[AnswerPair], picks: Sequence[Choice], *, annotator: int = 0, noise: float = 0.1,
    compared: bool = False, source: str = "ready pairs", question: str = "",
) -> LabelsView:  # fmt: skip
    """What PreferenceLabels shows: the pair to be labeled next, and what the labels say so far. Pure."""
    tells = compared and len(picks) >= FIRST
    agreed, ordered = agreement(pairs, picks) if tells else (0, 0)
    tastes = tastes_of(pairs, picks) if tells else ()
    return LabelsView(
        question=question or "Which of two answers is better?",
        about="PreferenceLabels",
        readout=_readout(picks, agreed, ordered, tastes, annotator, noise, compared),
        foot=spans(
            mono("Preference(prompt, chosen, rejected)"),
            f" · {source} · left and right are drawn by the seed",
            " · the plan: right counts 4, polite 2, brief 1" if tells else "",
        ),
        labels={"noise:value": percent(noise)},
        table=[["prompt", "left", "right"], [shown.question.question, shown.left, shown.right]],
        prompt=shown.question.question, left=_short(shown.left), right=_short(shown.right),
        number=len(picks), undecided=picks.count("neither"), annotator=annotator,
        tastes=tastes, agreed=agreed, ordered=ordered,
    )  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} … {len(text) - SHOWN:,} more characters"


def _readout(
    picks: Sequence[Choice], agreed: int, ordered: int, tastes: Sequence[Taste], annotator: int, noise: float,
    compared: bool,
) -> Spans:  # fmt: skip
    n, said = len(picks), list[str | Span]()
    if n:
        said += ["You have labeled ", bold(count(n, "pair"))]
        if undecided := picks.count("neither"):
            said += [f", {undecided} of them with neither, which teaches nothing"]
    else:
        said += ["No label of yours yet: press ← or → for the better answer, ↓ for neither"]
    if annotator:
        wrong = round(noise * annotator)
        said += [f"{'; ' if n else '. '}{'an' if n else 'An'} annotator adds ", bold(count(annotator, "label"))]
        said += [f", {count(wrong, 'of them', 'of them')} against a plan that it follows"]
    if tastes:
        said += [". You agree with the plan in ", bold(f"{agreed} of {ordered}")]
        known = [taste for taste in tastes if taste.n]
        if known:
            most = max(known, key=lambda taste: (taste.preferred / taste.n, taste.n))
            said += [f"; surest where one answer is {most.quality}: "]
            said += [f"you take it in {percent(most.preferred / most.n)} of {most.n}"]
    elif compared:
        said += [f". The plan is shown after {FIRST} labels of yours"]
    return spans(*said, ".")


class PreferenceLabels(LabWidget):
    """Pairs of answers to label by click or key; `labels` are the Preference pairs so far, for a reward model.

    With a `model`, both answers are sampled from it; without, they come from ready pairs. `annotated` further labels
    come from an annotator that follows a plan, except for a share `noise`, the wrong way round. `picks` holds your
    choices in order, "left", "right" or "neither"; `prefer` and `undo` do it in code.
    """

    kind = "preference_labels"
    controls = ("annotated", "noise", "undo_last", "compare")
    inputs = ("picks", "seed", "compared")

    annotated = traitlets.Int(0, min=0, max=MOST_ANNOTATED).tag(
        sync=True, control=Control("slider", "Labels by an annotator", max=MOST_ANNOTATED, step=20, suffix=" annotated")
    )
    noise = traitlets.Float(0.1, min=0.0, max=0.5).tag(
        sync=True, control=Control("slider", "of which wrong", max=0.5, step=0.05, secondary=True)
    )
    undo_last = traitlets.Unicode().tag(control=Control("button", "Undo"))
    compare = traitlets.Unicode().tag(control=Control("button", "Compare with the plan"))
    picks: traitlets.List[Any] = traitlets.List(traitlets.Enum(CHOICES), maxlen=MOST_PAIRS).tag(sync=True)
    compared = traitlets.Bool(False).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(self, model: TextModel | None = None, *, question: str = "", **traits: Any) -> None:
        self._model, self._question = model, question
        self._pairs: list[AnswerPair] = []
        self.heavy = heavy(model) if model else False
        super().__init__(**traits)
        self._first = (list(self.picks), self.seed)

    @traitlets.observe("picks", "seed")
    def _other(self, change: Any) -> None:
        """A comparison is of the labels that it was asked for; another seed has other pairs."""
        self.compared = False
        if change.name == "seed":
            self._pairs = []
            if self._ready:
                self.picks = []

    def pair(self, i: int) -> AnswerPair:
        """The i-th pair."""
        while len(self._pairs) <= i:
            n = len(self._pairs)
            if self._model is None:
                self._pairs = list(preset_pairs(min(MOST_PAIRS + 1, n + 50), self.seed))
            else:
                question = chat_questions(n + 1, self.seed)[n]
                self._pairs.append(sampled_pair(self._model, question, MOST_PAIRS * self.seed + n))
        return self._pairs[i]

    def prefer(self, choice: Choice) -> PreferenceLabels:
        """Label the pair on screen: "left", "right" or "neither"."""
        if choice not in CHOICES:
            raise ValueError(f'A choice is "left", "right" or "neither", not {choice!r}.')
        if len(self.picks) >= MOST_PAIRS:
            raise ValueError(f"There are {MOST_PAIRS:,} pairs and all are labeled; another seed has others.")
        self.picks = [*self.picks, choice]
        return self

    def undo(self) -> PreferenceLabels:
        """Take the last label back."""
        self.picks = self.picks[:-1]
        return self

    @property
    def labels(self) -> list[Preference]:
        """All labels so far as preferences: yours, then the annotator's. A pair of "neither" gives none."""
        own = [self.pair(i).preference(pick) for i, pick in enumerate(self.picks)]
        pairs = preset_pairs(self.annotated, self.seed + _ANNOTATOR) if self.annotated else ()
        others = [p.preference(c) for p, c in zip(pairs, annotated(pairs, self.noise, self.seed), strict=True)]
        return [label for label in (*own, *others) if label is not None]

    def clicked(self, name: str) -> None:
        """Undo, or the comparison with the plan."""
        if name == "undo_last":
            self.undo()
        elif name == "compare":
            self.compared = True

    def reset(self) -> None:
        """Back to the labels that the cell made."""
        super().reset()
        self.seed, self.picks, self.compared = self._first[1], list(self._first[0]), False

    def compute(self) -> LabelsView:
        picks = list(self.picks)
        return labels_view(
            self.pair(min(len(picks), MOST_PAIRS - 1)), [self.pair(i) for i in range(len(picks))], picks,
            annotator=self.annotated, noise=self.noise, compared=self.compared,
            source=f"sampled from {self._model.name}" if self._model else "ready pairs", question=self._question,
        )  # fmt: skip
