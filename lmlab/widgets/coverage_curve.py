"""CoverageCurve: how much of a new text an old one has ever seen, and why counting whole sentences ends in zero.

One pass finds for every string of the held-out text how far one must read to meet it, so that every size of
corpus and every length of string is answered without counting again.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import traitlets
from torch import Tensor

from lmlab.data.corpus import Corpus
from lmlab.data.occurrences import beginnings, first_seen
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView, FigureWidget, plotly_text
from lmlab.widgets._style import Span, Spans, bold, count, mono, percent, spans, you

LONGEST = 12
SENTENCE = "the stock market crashed and investors panicked"
WORDS = 200  # tokens of the student's sentence that are looked up


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoverageView(FigureView):
    """``sizes`` in tokens; ``shares[s][n - 1]`` of the held-out strings of n tokens that the first ``sizes[s]``
    tokens hold (None where no document is long enough); ``counts`` of each beginning of the sentence."""

    sizes: tuple[int, ...]
    shares: tuple[tuple[float | None, ...], ...]
    counts: tuple[int, ...]


def sizes_of(n_tokens: int) -> tuple[int, ...]:
    """Up to four sizes of corpus: all of it, and the three powers of ten below (not one just below it)."""
    powers = [10**e for e in range(2, 12) if 10**e < 0.7 * n_tokens]
    return (*powers[-3:], n_tokens)


def shares_of(first: Sequence[Tensor], sizes: Sequence[int]) -> tuple[tuple[float | None, ...], ...]:
    """For each size and length the share of held-out strings met within that many tokens."""
    return tuple(
        tuple(float((found <= size).double().mean()) if len(found) else None for found in first) for size in sizes
    )


def coverage_view(
    sizes: Sequence[int],
    shares: Sequence[Sequence[float | None]],
    *,
    tokens: Sequence[str],
    counts: Sequence[int],
    size: int,
    n: int,
    name: str,
) -> CoverageView:
    """What CoverageCurve shows: pure. ``tokens`` are those of the student's sentence, ``counts`` of its beginnings."""
    at = sizes.index(size)
    longest = sum(c > 0 for c in counts)
    return CoverageView(
        question="How much of what comes next have we ever read?",
        about=f"CoverageCurve · {name}, {size:,} tokens",
        readout=_readout(shares[at][n - 1], tokens, counts, longest, n=n, size=size),
        foot=spans(
            mono("ids (T,)"),
            f" · strings lie within one document · held out: {name}’s own kind of text, drawn afresh"
            " · what was never read has count 0 and probability 0",
        ),
        labels={"text": _label(len(tokens))},
        table=[
            ["corpus", *(f"n = {i + 1}" for i in range(len(shares[at])))],
            *([f"{s:,} tokens", *map(_cell, row)] for s, row in zip(sizes, shares, strict=True)),
        ],
        figure=coverage_figure(sizes, shares, size=size, n=n, sentence=len(tokens), longest=longest),
        height=330,
        sizes=tuple(sizes),
        shares=tuple(map(tuple, shares)),
        counts=tuple(counts),
    )


def _label(n_tokens: int) -> str:
    return f"A sentence of yours ({count(n_tokens, 'token')}): change one word" if n_tokens else "A sentence of yours"


def _cell(share: float | None) -> str:
    return "–" if share is None else percent(share)


def _readout(
    share: float | None, tokens: Sequence[str], counts: Sequence[int], longest: int, *, n: int, size: int
) -> Spans:
    said: list[str | Span] = []
    if share is None:
        said += [f"No held-out document has {n} tokens. "]
    else:
        said += ["Of the held-out strings of ", bold(count(n, "token")), ", ", bold(percent(share))]
        said += [" were ever read in ", bold(f"{size:,}"), " tokens; counting gives the other "]
        said += [bold(percent(1 - share)), " probability 0. "]
    if not counts:
        return spans(*said)
    if longest == len(counts):
        said += ["Your sentence was read ", bold(count(counts[-1], "time")), ", word for word."]
    elif longest:
        kept = "".join(tokens[:longest]).strip()
        shown = kept if len(kept) <= 60 else "…" + kept[-60:]
        said += ["Yours was read ", bold(count(counts[longest - 1], "time")), " as far as ", you(shown)]
        said += [", and never with ", mono(tokens[longest].strip() or tokens[longest]), " after it: ", bold("0"), "."]
    else:
        said += ["Yours begins with ", mono(tokens[0].strip() or tokens[0]), ", which was never read: ", bold("0"), "."]
    return spans(*said)


def coverage_figure(
    sizes: Sequence[int],
    shares: Sequence[Sequence[float | None]],
    *,
    size: int,
    n: int,
    sentence: int,
    longest: int,
) -> dict[str, Any]:
    """A plotly specification: one line a size, the chosen one in color; where the sentence was last seen in yellow."""
    lengths = list(range(1, len(shares[0]) + 1))
    data, notes = _lines(sizes, shares, lengths, size)
    at = shares[sizes.index(size)][n - 1]
    if at is not None:
        place = {"size": 15, "color": "m1", "line": {"color": "ink", "width": 2}}
        data.append({"type": "scatter", "x": [n], "y": [100 * at], "mode": "markers", "marker": place})
        data[-1] |= {"hoverinfo": "skip"}
    shapes = []
    if sentence and longest < len(lengths):
        x = longest + 0.5
        shapes.append({"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 100, "line": _DASHED})
        words = f"yours: all {longest} seen" if longest == sentence else f"yours: seen up to {longest} of {sentence}"
        notes.append(_yours(x, 92 if longest > 3 else 4, plotly_text(words), right=longest > len(lengths) - 4))
    axes = {
        "xaxis": {"title": {"text": "n, the length of the string in tokens"}, "tickvals": lengths, "showgrid": False}
        | {"range": [0.5, len(lengths) + 2.7], "zeroline": False, "fixedrange": True},
        "yaxis": {"range": [0, 117], "tickvals": list(range(0, 101, 20)), "fixedrange": True, "ticksuffix": " %"},
    }
    notes.append(_note(lengths[-1] + 0.2, 110, "tokens read", False))
    notes.append(_note(0.6, 110, "<b>Held-out strings that were ever read</b>, %", False) | {"font": {"color": "ink"}})
    return {"data": data, "layout": {**axes, "showlegend": False, "shapes": shapes, "annotations": notes}}


def _lines(
    sizes: Sequence[int], shares: Sequence[Sequence[float | None]], lengths: Sequence[int], size: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One line a size, and the labels at their ends."""
    data: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    ends: list[tuple[int, float, str, bool]] = []
    for s, row in zip(sizes, shares, strict=True):
        chosen = s == size
        line = {"color": "m1" if chosen else "quiet", "width": 3 if chosen else 2}
        mode = "lines+markers" if chosen else "lines"
        shown = [None if share is None else 100 * share for share in row]
        data.append({"type": "scatter", "x": lengths, "y": shown, "mode": mode, "line": line, "name": f"{s:,} tokens"})
        data[-1] |= {"hovertemplate": "n = %{x}, %{y:.1f} %", "marker": {"size": 7, "color": line["color"]}}
        there = [(x, y) for x, y in zip(lengths, shown, strict=True) if y is not None]
        ends += [(*there[-1], f"{s:,}", chosen)] if there else []
    height = -3.5
    for last, y, said, chosen in sorted(ends, key=lambda end: end[1]):
        height = max(y, height + 7)  # labels keep a line's distance from each other
        notes.append(_note(last + 0.2, height, said, chosen))
    return data, notes


_DASHED = {"color": "ink", "width": 1.5, "dash": "dash"}


def _note(x: float, y: float, text: str, strong: bool) -> dict[str, Any]:
    """A label at the end of a line."""
    font = {"color": "m1-text" if strong else "ink-2"}
    text = f"<b>{text}</b>" if strong else text
    return {"x": x, "y": y, "text": text, "showarrow": False, "xanchor": "left", "yanchor": "middle", "font": font}


def _yours(x: float, y: float, text: str, *, right: bool) -> dict[str, Any]:
    """What concerns the student's own sentence: yellow, with an ink edge, where no line runs."""
    side = {"xanchor": "right" if right else "left", "xshift": -6 if right else 6}
    side["yanchor"] = "top" if y > 50 else "bottom"
    edge = {"bgcolor": "you", "bordercolor": "ink", "borderwidth": 1.5, "borderpad": 3}
    return {"x": x, "y": y, "text": text, "showarrow": False, "font": {"color": "#212121"}, **side, **edge}


class CoverageCurve(FigureWidget):
    """The share of held-out strings of n tokens that were ever read, for several sizes of one corpus.

    ``corpus`` is a ``Corpus`` or a text whose paragraphs are documents; ``held_out`` another of the same kind
    (without it, a tenth of the documents). Tokens are those of ``tokenizer``, or of one trained here on the corpus.
    Write a sentence, and see how far it was ever read.
    """

    controls = ("text", "n", "size")

    text = traitlets.Unicode(SENTENCE).tag(sync=True, control=Control("text", "A sentence of yours", wide=True))
    n = traitlets.Int(6, min=1, max=LONGEST).tag(
        sync=True, control=Control("slider", "Length n, tokens", min=1, max=LONGEST)
    )
    size = traitlets.Unicode().tag(sync=True, control=Control("segments", "Tokens read"))

    def __init__(
        self,
        corpus: Corpus | str,
        held_out: Corpus | str | None = None,
        *,
        tokenizer: Tokenizer | None = None,
        **traits: Any,
    ) -> None:
        read, new = corpus_of(corpus), None if held_out is None else corpus_of(held_out)
        if new is None:
            read, new = read.split(0.1)
        self._title = read.name.removesuffix(" (training)")
        self._tokenizer = tokenizer or tokens_of(read)
        self._stream = read.ids(self._tokenizer)
        self._sizes = sizes_of(len(self._stream))
        first = first_seen(self._stream, new.ids(self._tokenizer), LONGEST, boundary=self._tokenizer.bos_id)
        self._shares = shares_of(first, self._sizes)
        options = {"size": {"options": tuple((str(s), f"{s:,}") for s in self._sizes)}}
        hidden = {"size"} if len(self._sizes) == 1 else set()
        super().__init__(options=options, hidden=hidden, **{"size": str(self._sizes[-1]), **traits})

    def compute(self) -> CoverageView:
        sizes = {str(s): s for s in self._sizes}
        if self.size not in sizes:
            raise ValueError(f"size is one of {', '.join(sizes)}, not {self.size!r}.")
        size = sizes[self.size]
        ids = self._tokenizer.encode(self.text)[:WORDS]
        return coverage_view(
            self._sizes,
            self._shares,
            tokens=[self._tokenizer.token_text(i) for i in ids],
            counts=beginnings(self._stream[:size], ids),
            size=size,
            n=self.n,
            name=self._title,
        )


def tokens_of(corpus: Corpus) -> Tokenizer:
    """A tokenizer trained on the corpus itself; a small one has few merges, and each of its words becomes a token."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train_bpe(corpus.text, 2048, specials=RESERVED_SPECIALS)[0]


def corpus_of(text: Corpus | str) -> Corpus:
    """A corpus as it is, or a text whose paragraphs are its documents. Raises ValueError for anything else."""
    if isinstance(text, Corpus):
        return text
    if isinstance(text, str):
        return Corpus(tuple(part for part in text.split("\n\n") if part.strip()), "text")
    raise ValueError(f'This reads a corpus or a text, not a {type(text).__name__}: try lab.corpus("town").')
