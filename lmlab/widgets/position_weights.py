"""PositionWeights: a rare word moves through a sentence; whose weights move with it?

Three networks, trained on the spot for one small task (name the rare word; see ``_rare_word.py``), show how much each
place counts for their answer. Attention decides by content; a matrix has decided long ago; ReLUs change with the
sentence, and do not find the word.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
import traitlets

from lmlab.widgets import _rare_word as task
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._style import Span, Spans, bold, model_name, mono, percent, spans

NOTES = {task.ATTENTION: "decides by content", task.LINEAR: "always the same"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One network: what each of the eight places counts, as shares; what it answers, and how surely."""

    name: str
    note: str
    weights: tuple[float, ...]
    shown: tuple[str, ...]
    says: str
    sure: str
    right: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class PositionView(View):
    """``tokens`` are eight words and the question mark; ``place`` (from 0) holds the rare word, ``never`` is where it
    never stood in training; ``measured`` are rows of the table aside, its header first."""

    tokens: tuple[str, ...]
    place: int
    never: int
    rows: tuple[Row, ...]
    measured: tuple[tuple[str, ...], ...]


def position_view(word: int, place: int, *, seed: int, rare: Sequence[str] = task.RARE) -> PositionView:
    """What PositionWeights shows with one rare word (its number) at one place, among small words of one seed."""
    names = (*task.SMALL, *rare, *task.WORDS[-2:])
    generator = torch.Generator().manual_seed(seed)
    ids = task.sentences(torch.tensor([word]), torch.tensor([place]), generator)
    rows = tuple(_row(name, ids, word, names) for name in task.trained())
    never = task.never_at(word)
    return PositionView(
        question="The rare word moves. Whose weights move with it?",
        about="PositionWeights · three small networks, trained just now · cpu",
        readout=_readout(rows, rare[word], place, never),
        foot=spans(
            mono("softmax(q·kᵀ/√E) (B, H, T, S)"),
            f" · B 1, H 1, E {task.WIDTH} · one matrix: the length of each place’s block · ReLU: how far the answer’s "
            f"score moves with each word · {task.STEPS} steps each, seed 0 · attention’s share of the question mark "
            "itself is left out",
        ),
        tokens=tuple(names[i] for i in ids[0].tolist()),
        place=place, never=never, rows=rows, measured=_measured(),
    )  # fmt: skip


def _row(name: str, ids: torch.Tensor, word: int, names: Sequence[str]) -> Row:
    weights = task.weights(name, ids)[0].tolist()
    probs = task.answers(task.trained()[name], ids)[0]
    best = int(probs.argmax())
    note = NOTES.get(name) or f"{task.units_on(ids)} of {task.HIDDEN} units on"
    return Row(
        name, note, tuple(weights), tuple(map(percent, weights)), names[best], percent(float(probs[best])),
        best == len(task.SMALL) + word,
    )  # fmt: skip


def _readout(rows: tuple[Row, ...], word: str, place: int, never: int) -> Spans:
    rare = mono(word)
    said: list[str | Span] = []
    for slot, row in enumerate(rows):
        said += [model_name(slot, row.name), " gives ", rare if not slot else "it", " " if slot else ", at place "]
        said += [] if slot else [f"{place + 1}, "]
        said += [bold(_rough(row.weights[place])), " of its weight" if not slot else "", "; " if slot < 2 else ". "]
    if place == never:
        said += ["In training ", rare, " never stood here: "]
        for slot, row in enumerate(rows):
            said += [", " if slot else "", model_name(slot, row.name), " says ", mono(row.says)]
        said += ["."]
    elif all(row.right for row in rows):
        said += ["All three name it, since in training it stood here too."]
    return spans(*said)


def _rough(share: float) -> str:
    """A share in words that are true of a training on another machine, too; the picture has the digits."""
    for least in (0.95, 0.5, 0.2):
        if share > least:
            return f"over {percent(least)}"
    return f"under {percent(0.2)}"


def _measured() -> tuple[tuple[str, ...], ...]:
    head = ("Over 200 random placements", "largest weight on it", "named as trained", "named in the new place")
    found = task.measured()
    lines = [(k, f"{m.follows}", percent(m.named), percent(m.named_elsewhere)) for k, m in found.items()]
    return (head, *lines)


class PositionWeights(LabWidget):
    """Move a rare word among small ones and see how much each place counts, for attention and for two MLPs.

    ``place`` counts from 1 to 8. ``seed`` draws the small words. ``words`` are your own rare words, 12 at most.
    """

    kind = "position_weights"
    controls = ("word", "place", "again")

    word = traitlets.Unicode(task.RARE[0]).tag(sync=True, control=Control("select", "The rare word"))
    place = traitlets.Int(2, min=1, max=task.PLACES).tag(
        sync=True, control=Control("slider", "Its place", min=1, max=task.PLACES)
    )
    again = traitlets.Unicode().tag(control=Control("button", "Other small words", secondary=True))

    def __init__(self, *, seed: int = 0, words: Sequence[str] = (), **traits: Any) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError(f"seed={seed!r} draws the small words: give a whole number from 0 upward.")
        own = [str(word) for word in words]
        known = len({*own, *task.SMALL}) < len(own) + len(task.SMALL)
        if len(own) > len(task.RARE) or known or not all(1 <= len(word) <= 10 for word in own):
            raise ValueError(
                f"words takes up to {len(task.RARE)} different rare words of 1 to 10 letters, other than "
                f"{', '.join(task.SMALL)}; got {words!r}."
            )
        self._rare = (*own, *[word for word in task.RARE if word not in own])[: len(task.RARE)]
        self._first = self._seed = seed
        options = {"word": {"options": tuple((word, word) for word in self._rare)}}
        super().__init__(options=options, **{"word": self._rare[0], **traits})

    @property
    def measured(self) -> dict[str, task.Measured]:
        """For each network, by its name, what it did on 200 random placements of each kind."""
        return task.measured()

    def clicked(self, name: str) -> None:
        self._seed += 1
        self.refresh()

    def reset(self) -> None:
        self._seed = self._first
        super().reset()
        self.refresh()

    def compute(self) -> PositionView:
        if self.word not in self._rare:
            raise ValueError(f"{self.word!r} is not one of the rare words: use one of {', '.join(self._rare)}.")
        return position_view(self._rare.index(self.word), self.place - 1, seed=self._seed, rare=self._rare)
