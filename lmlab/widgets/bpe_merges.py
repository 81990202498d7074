"""BPEMerges: byte-pair encoding step by step, over any text.

The page receives all merges once, as packed arrays, and for the text on screen one number a byte boundary (the
step that removes it); scrubbing through the training then needs no kernel.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import traitlets

from lmlab.tokenizer.bpe import train_bpe
from lmlab.tokenizer.merge_log import MergeLog
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._style import Span, Spans, bold, count, mono, n_bytes, number, spans, visible

STEPS = 4096  # merges that the page can scrub
BYTES = 2000  # bytes of text that are drawn
TEXT = (
    "the stock market crashed and investors panicked. The wool market rose, and the mayor waited. "
    "12 + 30 = 42. Where does the clockmaker live? In Lantern Hill. import numpy as np"
)
MINE = "mine"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MergesView(View):
    """``names`` are the tokens as shown, the bytes first; ``boundaries`` the step that removes each boundary between
    two bytes of ``text`` (0: never); ``hidden`` the bytes of the text that are not drawn; ``trains`` whether the merges
    were learned here, to a vocabulary of the student's choice."""

    n_steps: int
    names: tuple[str, ...]
    text: bytes
    boundaries: tuple[int, ...]
    hidden: int
    corpus: str
    trains: bool


def shown_part(text: str) -> tuple[str, int]:
    """The beginning of a text that is drawn, whole characters, and how many bytes are left out."""
    data = text.encode("utf-8", "replace")
    kept = data[:BYTES].decode("utf-8", "ignore")
    return kept, len(data) - len(kept.encode("utf-8"))


def names_of(log: MergeLog, n_steps: int) -> tuple[str, ...]:
    """Every token as shown: ``·the``; bytes that are no character by themselves as ``⟨F0⟩``."""
    return tuple(_name(token) for token in log.token_bytes[: 256 + n_steps])


def _name(token: bytes) -> str:
    try:
        return visible(token.decode("utf-8"))
    except UnicodeDecodeError:
        return "⟨" + token.hex(" ").upper() + "⟩"


def said(log: MergeLog, step: int, n_steps: int) -> Spans:
    """The readout at one step; ``bpe_merges.js`` says the same while it scrubs."""
    at, end = log.at(step), log.at(n_steps)
    if at.made is None:
        parts: list[str | Span] = ["No merge yet: every byte is a token of its own. "]
    else:
        left, right = _name(at.made.left), _name(at.made.right)
        parts = ["Merge ", bold(f"{step:,}"), " joins ", mono(left), " and ", mono(right)]
        parts += [", seen ", bold(f"{at.made.count:,}"), " time. " if at.made.count == 1 else " times. "]
    parts += ["The vocabulary is now ", bold(f"{at.vocab_size:,}"), " and one token carries "]
    parts += [bold(f"{number(at.bytes_per_token)} bytes")]
    rest = f"; after all {count(n_steps, 'merge')} it will carry {number(end.bytes_per_token)}."
    return spans(*parts, rest if step < n_steps else ".")


def merges_view(log: MergeLog, text: str, step: int, *, corpus: str, trains: bool = False) -> MergesView:
    """What BPEMerges shows of one training and one text: pure."""
    n_steps = min(len(log), STEPS)
    kept, hidden = shown_part(text)
    at = log.at(min(step, n_steps))
    cut = f" · the first {n_steps:,} of {len(log):,} merges" if n_steps < len(log) else ""
    foot = spans(
        mono("ids (T,)"),
        f" · corpus {log.at(0).corpus_bytes:,} bytes, now {at.corpus_tokens:,} tokens{cut}"
        " · ties: smaller pair first, in byte order · a dot before a word is its space",
    )
    race = [[f"{_name(p.left)} + {_name(p.right)}", f"{p.count:,}"] for p in _race(log, at.step)]
    return MergesView(
        question="Which pair of tokens deserves a number of its own?",
        about=f"BPEMerges · {corpus}, {n_bytes(log.at(0).corpus_bytes)}",
        readout=said(log, at.step, n_steps),
        foot=foot,
        labels={"step:value": f"{at.step:,} of {n_steps:,}"},
        table=[["pair", "seen"], *race],
        n_steps=n_steps,
        names=names_of(log, n_steps),
        text=kept.encode("utf-8"),
        boundaries=tuple(log.boundaries(kept)),
        hidden=hidden,
        corpus=corpus,
        trains=trains,
    )


def _race(log: MergeLog, step: int) -> list[Any]:
    """The most frequent pairs before merge ``step`` (before the first one at step 0), the winner first."""
    if not len(log):
        return []
    event = log[max(0, step - 1)]
    return [event, *event.runners_up][:6]


def python_text(size: int = 30_000) -> str:
    """Python code to train on: a module of the standard library, read in place."""
    return inspect.getsource(ast)[:size]


def town_text(documents: int = 300) -> str:
    """About 30 kB of the town."""
    from lmlab.data.corpus import corpus

    return corpus("town", documents=documents, seed=0).text


class BPEMerges(LabWidget):
    """Scrub through byte-pair training: a text that recolors, the race of pair counts, compression.

    ``merges`` is a ``MergeLog``, a text to train on, or a mapping from names to those; without it, the town and
    a page of Python. Choose *mine* to train on whatever stands in the text box.
    """

    kind = "bpe_merges"
    parts = ("chips",)
    controls = ("back", "forward", "play", "step", "source", "vocab_size", "text")

    back = traitlets.Unicode().tag(control=Control("button", "◂", secondary=True, local=True))
    forward = traitlets.Unicode().tag(control=Control("button", "▸", secondary=True, local=True))
    play = traitlets.Unicode().tag(control=Control("button", "▶ Play", main=True, local=True))
    step = traitlets.Int(0, min=0).tag(sync=True, control=Control("slider", "Merge", wide=True))
    source = traitlets.Unicode().tag(sync=True, control=Control("segments", "Trained on"))
    text = traitlets.Unicode(TEXT).tag(sync=True, control=Control("text", "The text: write your own"))
    vocab_size = traitlets.Int(512, min=256, max=256 + STEPS).tag(
        sync=True, control=Control("slider", "Vocabulary", min=256, max=2304, step=16, live=False, secondary=True)
    )
    log = traitlets.Dict().tag(sync=True)  # the merges, packed; sent again only when they change

    def __init__(self, merges: MergeLog | str | Mapping[str, MergeLog | str] | None = None, **traits: Any) -> None:
        sources = merges if isinstance(merges, Mapping) else {"this text": merges} if merges is not None else {}
        self._sources = dict(sources) or {"town": town_text(), "Python": python_text()}
        for name, source in self._sources.items():
            if not isinstance(source, (MergeLog, str)):
                raise ValueError(
                    f"BPEMerges takes a MergeLog or a text to train on and got a {type(source).__name__} for {name!r}. "
                    "Try: tokenizer, merges = lab.train_bpe(text, vocab_size=512)."
                )
        self._trained: dict[tuple[str, str, int], MergeLog] = {}
        first = next(iter(self._sources))
        fixed = all(isinstance(source, MergeLog) for source in self._sources.values())
        if fixed and "vocab_size" not in traits:
            traits["vocab_size"] = min(256 + len(self._sources[first]), 256 + STEPS)
        names = (*self._sources, MINE)
        options = {"source": {"options": tuple((name, name) for name in names)}}
        super().__init__(options=options, **{"source": first, **traits})

    def training(self) -> MergeLog:
        """The merges of the present source: as given, or learned now from its text."""
        source = self.text if self.source == MINE else self._sources.get(self.source)
        if isinstance(source, MergeLog):
            return source
        if source is None:
            raise ValueError(
                f"There is no text named {self.source!r}; choose one of {', '.join(self._sources)} or {MINE}."
            )
        if not source:
            raise ValueError("There is no text to train on yet. Type something; even one sentence has pairs to merge.")
        key = (self.source, source if self.source == MINE else "", self.vocab_size)
        if key not in self._trained:
            with warnings.catch_warnings():  # fewer merges than asked for: the slider's end says so
                warnings.simplefilter("ignore")
                self._trained = {key: train_bpe(source, self.vocab_size, specials=())[1]}
        return self._trained[key]

    def compute(self) -> MergesView:
        log = self.training()
        corpus = {MINE: "your text"}.get(self.source, self.source)
        trains = not isinstance(self._sources.get(self.source), MergeLog)
        return merges_view(log, self.text, self.step, corpus=corpus, trains=trains)

    def publish(self, view: View) -> None:
        assert isinstance(view, MergesView)
        self.log = {**self.training().packed(), "names": list(view.names)}
        if self.step > view.n_steps:
            self.step = view.n_steps
        super().publish(dataclasses.replace(view, names=()))
