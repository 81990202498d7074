"""TrainingTimeline: scrub through the snapshots of a training, and see what the model knew at each.

For a prompt the kernel asks all snapshots once: next tokens, attention of every head, and a text. After that the page
scrubs by itself, a frame a step.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any

import torch
import traitlets

from lmlab.data.town.truth import TownTruth
from lmlab.models.trace import Trace
from lmlab.sampling import Sampler
from lmlab.text_model import TextModel
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._candidates import Column, Row, column, divergence, likely_tokens
from lmlab.widgets._snapshots import Snapshot, snapshots_of
from lmlab.widgets._style import (
    Span,
    Spans,
    bold,
    count,
    model_name,
    mono,
    number,
    percent,
    safe_html,
    spans,
    token_name,
    visible,
)

ROWS, TOKENS, WRITES = 6, 32, 24  # bars; tokens whose attention is drawn; tokens of the text


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimelineView(View):
    """``steps`` label the snapshots; ``rows`` are words with the truth's probability (-1: unknown) and that of every
    snapshot; ``texts`` what each wrote; ``said`` the readout at each. Attention is in the trait ``patterns``: for
    every snapshot, layer and head the lower triangle (T, T) as bytes, 255 for all of it."""

    steps: Sequence[str]
    rows: Sequence[Any]
    texts: Sequence[str]
    said: Sequence[Spans]
    prompt: str
    tokens: Sequence[str]
    n_layers: int
    n_heads: int
    cropped: int


def patterns_of(traces: Sequence[Trace], T: int) -> bytes:
    """Attention of the last T tokens in every head of every snapshot, lower triangles, one byte a weight."""
    at = torch.tril_indices(T, T)
    found = [layer[0, :, -T:, -T:][:, at[0], at[1]] for trace in traces for layer in trace.attention]
    return bytes((torch.cat(found).clamp(0, 1) * 255).round().to(torch.uint8).numpy().tobytes()) if found else b""


def timeline_rows(truth: Column | None, columns: Sequence[Column]) -> list[Row]:
    """The words that matter at any moment, likeliest first by the truth, else by the last snapshot."""
    every = [*([truth] if truth else []), *columns]
    by = 0 if truth is not None and truth.log_probs is not None else len(every) - 1
    rows = {row.id: row for col in (every[by], columns[-1], columns[0], *columns) for row in likely_tokens([col], ROWS)}
    filled = [
        Row(row.word, tuple(0.0 if c.log_probs is None else math.exp(float(c.log_probs[id_])) for c in every), (),
            row.raw, id_) for id_, row in rows.items()
    ]  # fmt: skip
    chosen = sorted(filled, key=lambda r: (-r.probabilities[by], -max(r.probabilities)))[: ROWS - 2]
    rest = sorted((r for r in filled if r not in chosen), key=lambda r: -max(r.probabilities))
    return [*chosen, *rest[: ROWS - len(chosen)]]


def _said(step: str, column_: Column, truth: Column | None, rows: Sequence[Row], place: int) -> Spans:
    """Of one snapshot: its likeliest word, and how far its whole distribution is from the truth."""
    assert column_.log_probs is not None
    best = int(column_.log_probs.argmax())
    tok = column_.model.tokenizer
    names = {id_: name for name, id_ in tok.specials.items()}
    word = token_name(names[best], names.values()) if best in names else visible(tok.token_text(best))
    parts: list[str | Span] = [
        "At ", model_name(0, step), " the likeliest next token is ", mono(word), ", ",
        bold(percent(math.exp(float(column_.log_probs[best])))),
    ]  # fmt: skip
    if truth is not None and truth.log_probs is not None:
        parts += [f" (truth {percent(math.exp(float(truth.log_probs[best])))}). "]
        off = divergence(truth, column_, rows, place, tokens=True)
        parts += ["Off the truth by ", bold(f"{number(off or 0.0, 3)} nats"), "."]
    else:
        parts += [". The town never says this prompt." if truth is not None else "."]
    return spans(*parts)


def timeline_view(
    snapshots: Sequence[Snapshot], truth: TextModel | None, prompt: str, at: int
) -> tuple[TimelineView, bytes]:
    """What the page shows of all snapshots at one prompt, with the patterns apart. Pure."""
    columns = [column(s.model, prompt) for s in snapshots]
    true = None if truth is None else column(truth, prompt)
    rows = timeline_rows(true, columns)
    first = 0 if true is None else 1
    known = true is not None and true.log_probs is not None
    shown = [(r.word, r.probabilities[0] if known else -1.0, list(r.probabilities[first:])) for r in rows]
    labels = [s.label for s in snapshots]
    said = [_said(label, c, true, rows, i + first) for i, (label, c) in enumerate(zip(labels, columns, strict=True))]
    traces = [s.model.trace(prompt) for s in snapshots if all(hasattr(one.model.model, "blocks") for one in snapshots)]
    L, H = (len(traces[0].attention), traces[0].attention[0].shape[1]) if traces else (0, 0)
    total = traces[0].attention[0].shape[-1] if traces else 0
    T = min(total, TOKENS)
    sampler = Sampler(temperature=0.8)
    texts = [s.model.generate(prompt, WRITES, sampler=sampler, seed=0).text for s in snapshots]
    view = TimelineView(
        question="When did it come to know this?",
        about=f"TrainingTimeline · {len(snapshots)} snapshots · {snapshots[-1].model.name}",
        readout=said[at],
        foot=spans(mono("ids (T,) → log_probs (V,)"), f", attention (L,H,T,T) with L {L}, H {H}, T {total}",
                   " · outline = exact probability from the town’s grammar" if known else "",
                   " · texts drawn at temperature 0.8, seed 0"),
        table=[["token", *labels], *[[w, *[percent(p) for p in ps]] for w, _, ps in shown]],
        labels={"at:value": labels[at]},
        steps=labels, rows=shown,
        texts=texts, said=said, prompt=prompt, tokens=_tokens(snapshots[0].model, prompt, T),
        n_layers=L, n_heads=H, cropped=total - T,
    )  # fmt: skip
    return view, patterns_of(traces, T)


def _tokens(model: TextModel, prompt: str, T: int) -> list[str]:
    ids, tok = model.ids(prompt.removesuffix(" ")).tolist(), model.tokenizer
    return ["⟨start⟩" if i == tok.bos_id else visible(tok.token_text(i)) for i in ids][-T:] if T else []


class TrainingTimeline(LabWidget):
    """What a model said, where it looked and how it wrote at each of its snapshots.

    Snapshots are text models, model folders, or a run's folder with its snapshots/; without any, the shipped model's.
    `at` is the snapshot shown, `layer` and `head` the attention. `truth="town"` compares with the exact distribution,
    None with nothing. `fresh` says that the models were trained just now: what a notebook stores is then what was
    asked, and no digits that only this machine found.
    """

    kind = "training_timeline"
    controls = ("play", "at", "prompt", "layer", "head")
    slow = True

    play = traitlets.Unicode().tag(control=Control("button", "▶ Play", main=True, local=True))
    at = traitlets.Int(0, min=0).tag(sync=True, control=Control("slider", "Snapshot", wide=True))
    prompt = traitlets.Unicode("the stock market crashed and investors").tag(
        sync=True, control=Control("text", "Prompt", wide=True, live=False)
    )
    layer = traitlets.Int(0, min=0).tag(sync=True, control=Control("slider", "Layer", local=True, secondary=True))
    head = traitlets.Int(0, min=0).tag(sync=True, control=Control("slider", "Head", local=True, secondary=True))
    patterns = traitlets.Bytes().tag(sync=True)

    def __init__(
        self,
        *snapshots: TextModel | str | os.PathLike[str],
        truth: str | TextModel | None = "town",
        fresh: bool = False,
        **traits: Any,
    ) -> None:
        self.snapshots = snapshots_of(snapshots, "TrainingTimeline")
        if truth not in ("town", None) and not isinstance(truth, TextModel):
            raise ValueError(f'truth={truth!r} is not known: use "town", a TextModel, or None for no truth.')
        self._truth = truth if isinstance(truth, TextModel) else None
        tok = self.snapshots[-1].model.tokenizer
        if truth == "town" and tok.bos_id is not None:
            self._truth = TextModel(TownTruth(tok), tok, name="truth")
        self._fresh = fresh
        self._answered: tuple[str, TimelineView, bytes] | None = None
        n = len(self.snapshots)
        config = getattr(self.snapshots[-1].model.model, "config", None)
        options = {"at": {"max": n - 1}, "layer": {"max": getattr(config, "n_layers", 1) - 1},
                   "head": {"max": getattr(config, "n_heads", 1) - 1}}  # fmt: skip
        super().__init__(options=options, **{"at": n - 1, **traits})

    def compute(self) -> TimelineView:
        prompt, at = self.prompt, min(self.at, len(self.snapshots) - 1)
        if self._answered is None or self._answered[0] != prompt:
            self._answered = (prompt, *timeline_view(self.snapshots, self._truth, prompt, at))
        view = self._answered[1]
        return dataclasses.replace(view, readout=view.said[at], labels={"at:value": view.steps[at]})

    def publish(self, view: View) -> None:
        """What does not change from snapshot to snapshot is not sent again."""
        assert self._answered is not None
        self.patterns = self._answered[2]
        super().publish(view)

    def __repr__(self) -> str:
        return f"{self._name}: {self._facts}" if self._fresh else super().__repr__()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        if self._fresh:
            data["text/html"] = safe_html(spans(self._facts))
        return data, metadata

    @property
    def _facts(self) -> str:
        return f"{count(len(self.snapshots), 'snapshot')} after “{visible(self.prompt).replace('·', ' ')[-40:]}”"
