"""ShiftedLabels: a text is its own label, moved by one. What is learned if it is moved by none, or by two?

A small network behind a window of three words is trained while you wait, once for each shift, on the town's news, and
asked what it gives each label of your text.
"""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor, nn

from lmlab.data.batches import windows
from lmlab.data.corpus import Corpus, corpus
from lmlab.data.town import Town
from lmlab.models.mlp import MLP
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.loop import train
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, token_name

SHIFTS = (0, 1, 2)
ROWS = 10  # positions on screen
STEPS, BATCH, T, WINDOW, D, HIDDEN = 80, 24, 24, 3, 32, 64
DOCUMENTS, HELD_OUT, FAMILY = 1500, 100, "news"
_HELD_OUT_SEED = 2_026_061  # no training of this lab draws its documents from it


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: the shift, its loss at each step, and the loss on documents that it never saw, in nats a token."""

    shift: int
    losses: tuple[float, ...]
    held_out: float
    shown: str


@dataclasses.dataclass(frozen=True)
class Position:
    """What is read at one place, which label it gets (empty where the text ends), and what the model gives that."""

    reads: str
    label: str
    p: float
    shown: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShiftedView(View):
    """``positions`` of the text on screen, ``hidden`` more that are not; ``runs`` of the shifts trained so far;
    ``floor`` is the loss that no model of the next token can beat, or None."""

    shift: int
    positions: tuple[Position, ...]
    hidden: int
    runs: tuple[Run, ...]
    untrained: float
    floor: float | None


def labels_of(ids: Tensor, shift: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of a text (B, T): both (B, T - shift), the targets being the text moved by ``shift``.

    >>> [x.tolist() for x in labels_of(torch.tensor([[5, 6, 7, 8]]), 1)]
    [[[5, 6, 7]], [[6, 7, 8]]]
    """
    return ids[:, : ids.shape[1] - shift], ids[:, shift:]


def loss_at(model: nn.Module, ids: Tensor, shift: int) -> Tensor:
    """Mean surprise of the shifted labels, in nats a token; ids (B, T)."""
    inputs, targets = labels_of(ids, shift)
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


@lru_cache(24)
def trained(tokenizer: Tokenizer, text: Corpus, held_out: Corpus, shift: int) -> tuple[MLP, Run]:
    """A windowed network trained now on labels moved by ``shift``: about a second on one core."""
    model = MLP(tokenizer.vocab_size, d_model=D, window=WINDOW, d_hidden=HIDDEN, seed=0)
    losses: list[float] = []
    train(
        TrainState.begin(model, steps=STEPS, seed=0, settings=OptimizerSettings(lr=0.03, weight_decay=0.0)),
        windows(text, tokenizer, T=T, B=BATCH, seed=0),
        lambda network, batch, _: loss_at(network, batch.inputs, shift),
        STEPS,
        lambda _, point: losses.append(point.loss),
    )
    with torch.no_grad():
        loss = float(loss_at(model, held_out.ids(tokenizer)[None], shift))
    return model, Run(shift, tuple(losses), loss, f"{loss:.2f}")


@lru_cache(1)
def town_news() -> tuple[Tokenizer, Corpus, Corpus, float]:
    """The shipped tokenizer, the town's news to learn from, other news, and the exact floor of that in nats a token."""
    from lmlab.assets import asset
    from lmlab.tokenizer.load import load_tokenizer

    tokenizer = load_tokenizer(asset("models/town"))
    text = corpus("town", documents=DOCUMENTS, seed=0, families=[FAMILY])
    held_out = corpus("town", documents=HELD_OUT, seed=_HELD_OUT_SEED, families=[FAMILY])
    town = Town(families=[FAMILY])
    floor = -sum(town.log_prob(document) for document in held_out.documents) / (len(held_out.ids(tokenizer)) - 1)
    return tokenizer, text, held_out, floor


def shifted_view(
    model: MLP, tokenizer: Tokenizer, text: str, shift: int, runs: tuple[Run, ...], floor: float | None
) -> ShiftedView:
    """What ShiftedLabels shows of one text under one shift: pure."""
    bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    ids = torch.tensor([[*bos, *tokenizer.encode(text)]], dtype=torch.int64)
    shown = ids[:, : ROWS + shift]
    positions: list[Position] = []
    if shown.shape[1] > shift:
        inputs, targets = labels_of(shown, shift)
        found = model.log_probs(inputs).gather(2, targets[..., None])[0, :, 0].exp().tolist()
        name = lambda i: token_name(tokenizer.token_text(int(i)), tokenizer.specials)  # noqa: E731
        pairs = zip(inputs[0], targets[0], found, strict=True)
        positions = [Position(name(x), name(y), p, percent(p)) for x, y, p in pairs]
        positions += [Position(name(x), "", 0.0, "") for x in shown[0, len(positions) :]]
    return ShiftedView(
        question="The text is its own label. By how much is it moved?",
        about="ShiftedLabels · trained just now · cpu",
        readout=_readout(shift, runs, floor, ids.shape[1]),
        foot=_foot(tokenizer, floor),
        labels={"text": f"Text ({count(ids.shape[1] - len(bos), 'token')})"},
        table=[["shift", "loss, nats per token"], *([str(run.shift), _rough(run.held_out)] for run in runs)],
        shift=shift,
        positions=tuple(positions),
        hidden=max(0, ids.shape[1] - shown.shape[1]),
        runs=runs,
        untrained=math.log(tokenizer.vocab_size),
        floor=floor,
    )


def _rough(loss: float) -> str:
    """``under 0.8``: true of a training on another machine, too; the picture has the digits."""
    return f"under {math.ceil(10 * loss + 1e-9) / 10:.1f}"


def _readout(shift: int, runs: tuple[Run, ...], floor: float | None, n: int) -> Spans:
    losses = {run.shift: run.held_out for run in runs}
    said: list[str | Span] = [model_name(shift, f"Shift {shift}"), ": the label of each word is "]
    have = f" ({max(0, n - shift):,} of {count(n, 'token')} have one)"
    if shift == 0:
        said += [f"the word itself, which was just read{have}. The model copies, its loss is "]
        said += [
            bold(_rough(losses[0])),
            " nats per token, and it predicts nothing: asked for the next word, it repeats the last.",
        ]
        return spans(*said)
    said += [("the word that follows" if shift == 1 else "the one after the next") + have]
    said += [". On text that it never saw the loss "]
    said += ["is ", bold(_rough(losses[shift])), " nats per token"]
    if shift == 1 and floor is not None:
        said += [f"; no model can go below {number(floor)}"]
    if shift == 2 and 1 in losses:
        harder = "harder" if losses[2] > losses[1] else "no harder"
        said += [f", {harder} than the next word ({_rough(losses[1])}): what lies between is not known yet"]
    return spans(*said, ".")


def _foot(tokenizer: Tokenizer, floor: float | None) -> Spans:
    source = f" · floor: exact entropy of {HELD_OUT} other documents" if floor is not None else ""
    return spans(
        mono("inputs ids[:, :T−k] → targets ids[:, k:]"),
        f" · window of {WINDOW}, D {D}, hidden layer {HIDDEN}, V {tokenizer.vocab_size:,} · {STEPS} steps of {BATCH} × "
        f"{T} tokens, seed 0{source}",
    )


class ShiftedLabels(LabWidget):
    """Choose by how much the labels are moved; a small network is trained on them at once, and shows what it learned.

    ``corpus`` and ``tokenizer``, given together, replace the town's news; a tenth of the documents is held out.
    """

    kind = "shifted_labels"
    controls = ("shift", "text")
    slow = True

    shift = traitlets.Unicode("1").tag(
        sync=True, control=Control("segments", "Labels moved by", options=tuple((str(k), str(k)) for k in SHIFTS))
    )
    text = traitlets.Unicode("the stock market crashed and investors panicked").tag(
        sync=True, control=Control("text", "Text", wide=True)
    )

    def __init__(self, corpus: Corpus | None = None, tokenizer: Tokenizer | None = None, **traits: Any) -> None:
        if (corpus is None) != (tokenizer is None):
            raise ValueError(
                "ShiftedLabels takes a corpus together with its tokenizer, or neither for the town's news."
            )
        self._own = None if corpus is None or tokenizer is None else (tokenizer, *corpus.split(0.1))
        self._runs: dict[int, Run] = {}
        super().__init__(**traits)

    def compute(self) -> ShiftedView:
        if self.shift not in map(str, SHIFTS):
            raise ValueError(f"shift={self.shift!r}: labels are moved by 0, 1 or 2 here.")
        shift = int(self.shift)
        floor: float | None = None
        if self._own is None:
            tokenizer, learned, held_out, floor = town_news()
        else:
            tokenizer, learned, held_out = self._own
        model, run = trained(tokenizer, learned, held_out, shift)
        self._runs[shift] = run
        runs = tuple(self._runs[k] for k in sorted(self._runs))
        return shifted_view(model, tokenizer, self.text, shift, runs, floor)
