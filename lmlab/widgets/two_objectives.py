"""TwoObjectives: the next token from the left, or a covered token from both sides; and what each can know.

Two questions about one line with a gap: who fills it how, and whose answers change when a token is replaced. The
past of a causal model is out of reach of its future, to the last bit; a masked model's is not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
import traitlets

from lmlab.text_model import TextModel
from lmlab.text_model.gaps import (
    GAP,
    MASK,
    Line,
    change_of_outputs,
    fill,
    fill_by_the_whole_line,
    fill_from_the_left,
    line_with_gap,
    masked_log_probs,
)
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._candidates import same_vocabulary
from lmlab.widgets._style import (
    Span,
    Spans,
    bold,
    count,
    model_name,
    mono,
    percent,
    plain,
    safe_html,
    spans,
    token_name,
)
from lmlab.widgets.next_token import town_truth

CAUSAL = 3  # models that read from the left, at most; one more is the masked one
WORDS = 5
MOST = 24  # tokens of a line that are shown


@dataclasses.dataclass(frozen=True)
class GapRow:
    """A word in the gap: the probability from each causal model, from the masked one, and both truths (or None)."""

    word: str
    probabilities: tuple[float, ...]
    shown: tuple[str, ...]
    left_truth: float | None
    both_truth: float | None


@dataclasses.dataclass(frozen=True)
class Reach:
    """One model's positions: their tokens, how far each answer moved (0 to 1), and which cannot have moved."""

    name: str
    tokens: tuple[str, ...]
    changes: tuple[float, ...]
    shown: tuple[str, ...]
    blind: tuple[bool, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoObjectivesView(View):
    """``rows`` of words for the gap; ``reaches`` of every model, the masked one last; ``at`` is what was replaced."""

    models: tuple[str, ...]
    rows: tuple[GapRow, ...]
    reaches: tuple[Reach, ...]
    at: int
    old: str
    new: str
    left: str
    right: str


def two_objectives_view(
    causal: Sequence[TextModel], masked: TextModel, truth: TextModel | None, line: Line, *, at: int, other: str
) -> TwoObjectivesView:
    """What TwoObjectives shows of a line: pure. ``at`` counts tokens from the first shown; ``other`` goes there."""
    tok = masked.tokenizer
    names = tuple(model.name for model in (*causal, masked))
    gaps = [fill_from_the_left(model, line) for model in causal] + [fill(masked, line)]
    truths = [fill_from_the_left(truth, line), fill_by_the_whole_line(truth, line)] if truth else []
    possible = [t if bool(torch.isfinite(t).any()) else None for t in truths] or [None, None]
    rows = _rows(gaps, possible, tok)
    at = max(0, min(at, len(line.left) + len(line.right)))
    best = int(gaps[-1].argmax())
    whole = line.filled(best)
    id_ = _other_id(tok, other, int(whole[at]))
    reaches = [_reach(model, whole, at, id_, tok, masked=False) for model in causal]
    reaches.append(_reach(masked, line.filled(tok.specials[MASK]), at, id_, tok, masked=True))
    old, new = reaches[0].tokens[at], token_name(tok.token_text(id_), tok.specials)
    left, right = tok.decode([i for i in line.left if i != tok.bos_id]), tok.decode(list(line.right))
    return TwoObjectivesView(
        question="What may a model look at when it fills a gap?",
        about=f"TwoObjectives · {count(len(names), 'model')} · cpu",
        readout=_readout(names, rows, reaches, at, old, new),
        foot=_foot(line, possible),
        labels={"line": f"A line with a gap, {GAP}", "other": f"Replace {old} by"},
        table=[["in the gap", *names], *([row.word, *row.shown] for row in rows)],
        models=names,
        rows=rows,
        reaches=tuple(reaches),
        at=at,
        old=old,
        new=new,
        left=left,
        right=right,
    )


def _rows(gaps: Sequence[torch.Tensor], truths: Sequence[torch.Tensor | None], tok: Any) -> tuple[GapRow, ...]:
    """The words that anyone finds likely, in the order of the first reader from the left."""
    lead = truths[0] if truths[0] is not None else gaps[0]
    likely = [*(t for t in truths if t is not None), *gaps]
    best = torch.stack([log_probs.double() for log_probs in likely]).amax(0)
    ids = [int(i) for i in best.topk(WORDS).indices if best[i] > -math.inf]
    rows = []
    for i in sorted(ids, key=lambda i: (-float(lead[i]), -float(best[i]))):
        p = tuple(math.exp(float(log_probs[i])) for log_probs in gaps)
        left, both = (None if t is None else math.exp(float(t[i])) for t in truths)
        rows.append(GapRow(token_name(tok.token_text(i), tok.specials), p, tuple(map(percent, p)), left, both))
    return tuple(rows)


def _other_id(tok: Any, other: str, old: int) -> int:
    """The first token of the replacement, with a space in front where the old one has one; the mask for nothing."""
    spaced = " " + other.strip() if tok.token_text(old).startswith(" ") else other.strip()
    ids = tok.encode(spaced) if other.strip() else []
    return int(ids[0]) if ids else int(tok.specials[MASK])


def _reach(model: TextModel, ids: torch.Tensor, at: int, other: int, tok: Any, *, masked: bool) -> Reach:
    """Every position's answer before and after one token is replaced."""
    new = ids.clone()
    new[at] = other

    def answers(x: torch.Tensor) -> torch.Tensor:
        return masked_log_probs(model, x) if masked else model.model.log_probs(x[None])[0]

    changes = tuple(change_of_outputs(answers(ids), answers(new)))
    mask = tok.specials[MASK]
    tokens = [GAP if i == mask else token_name(tok.token_text(i), tok.specials) for i in ids.tolist()]
    if int(ids[0]) == tok.bos_id:
        tokens[0] = "⟨start⟩"
    blind = tuple(not masked and i < at for i in range(len(ids)))
    return Reach(model.name, tuple(tokens), changes, tuple(map(percent, changes)), blind)


def _readout(
    names: Sequence[str], rows: Sequence[GapRow], reaches: Sequence[Reach], at: int, old: str, new: str
) -> Spans:
    said: list[str | Span] = []
    last = len(names) - 1
    for j, name in enumerate(names):
        first = max(rows, key=lambda row: row.probabilities[j])
        said += [model_name(j, name), " reads both sides: " if j == last else " reads the left: "]
        said += [mono(first.word), " ", bold(first.shown[j]), ". "]
    if old == new:
        return spans(*said, mono(old), " in place of itself changes nothing: write another word.")
    said += [mono(new), " for ", mono(old), " moves the answers before it by "]
    if at == 0:
        return spans(*said, "nothing, since nothing stands before it: choose a later token.")
    for j, reach in enumerate(reaches):
        most = max(reach.changes[:at], default=0.0)
        said += ["exactly " if most == 0 else "up to ", bold(percent(most)), " in ", model_name(j, reach.name)]
        said += [". " if j == last else ", "]
    return spans(*said)


def _foot(line: Line, truths: Sequence[torch.Tensor | None]) -> Spans:
    size = len(line.left) + 1 + len(line.right)
    cropped = f" · {line.cropped:,} tokens far from the gap left out" if line.cropped else ""
    source = " · outline = exact, from the town’s grammar, one token missing" if truths[0] is not None else ""
    return spans(
        mono("model(ids (B,T), causal=False) → (B,T,V)"),
        f" · T = {size}{cropped}{source} · change = total variation, 0 to 100\u202f%",
    )


class TwoObjectives(LabWidget):
    """One to three causal models and a masked one before the same gap, ``___``, of exactly one token.

    ``masked`` is a ``TextModel`` whose transformer was trained with ``masked_token``. ``at`` is the token that is
    replaced by ``other``, counted from the left (BOS is 0); −1 is the last.
    """

    kind = "two_objectives"
    parts = ("words",)
    controls = ("line", "other")
    inputs = ("at",)

    line = traitlets.Unicode(f"import {GAP} as np").tag(
        sync=True, control=Control("text", "A line with a gap", wide=True)
    )
    other = traitlets.Unicode("pd").tag(sync=True, control=Control("text", "Replace it by"))
    at = traitlets.Int(-1, help="the token that is replaced; -1 is the last").tag(sync=True)

    def __init__(self, *causal: TextModel, masked: TextModel, truth: str | TextModel | None = "town", **traits: Any):
        models = (*causal, masked)
        if not 1 <= len(causal) <= CAUSAL or not all(hasattr(m, "next_log_probs") for m in models):
            raise ValueError(
                f"TwoObjectives takes 1 to {CAUSAL} causal text models and one masked=…, and got {len(causal)}. "
                'Try TwoObjectives(lab.load("town"), masked=mine).'
            )
        if not same_vocabulary(models):
            raise ValueError(
                "TwoObjectives compares models of one vocabulary: train the masked one with the same tokenizer."
            )
        if MASK not in masked.tokenizer.specials:
            raise ValueError(f"{masked.name}'s tokenizer has no {MASK}: train one with specials=RESERVED_SPECIALS.")
        if truth not in (None, "town") and not isinstance(truth, TextModel):
            raise ValueError(f'truth={truth!r} is not known: use "town", a TextModel, or None for no truth.')
        self._causal, self._masked = causal, masked
        self._truth = town_truth(masked) if truth == "town" else truth
        self._first_at = traits.get("at", -1)
        super().__init__(**traits)

    def reset(self) -> None:
        with self.hold_trait_notifications():
            self.at = self._first_at
            super().reset()

    def __repr__(self) -> str:
        """Facts alone: a masked model is one that has just been trained, and its digits differ between machines."""
        text = f"{type(self).__name__}: {self._error or plain(self._facts())}"
        return text if len(text) <= 110 else text[:109] + "…"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        data["text/html"] = safe_html(spans(self._error) if self._error else self._facts())
        return data, metadata

    def _facts(self) -> Spans:
        view = self.shown
        assert isinstance(view, TwoObjectivesView)
        moved = [max(reach.changes[: view.at], default=0.0) for reach in view.reaches]
        by = [
            f"{'exactly 0' if most == 0 else 'more than 0'} in {name}"
            for most, name in zip(moved, view.models, strict=True)
        ]
        return spans(mono(view.new), " for ", mono(view.old), " moves the answers before it by ", ", ".join(by))

    def compute(self) -> TwoObjectivesView:
        most = min([MOST, *(m.max_seq_len or MOST for m in (*self._causal, self._masked))])
        line = line_with_gap(self._masked.tokenizer, self.line, most)
        at = self.at if self.at >= 0 else len(line.left) + len(line.right)
        truth = self._truth if isinstance(self._truth, TextModel) else None
        return two_objectives_view(self._causal, self._masked, truth, line, at=at, other=self.other)
