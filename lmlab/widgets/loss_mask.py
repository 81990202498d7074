"""LossMask: one question and its answer as the model reads them, and which tokens it is asked to get right.

Supervised fine-tuning reads the whole conversation and learns the answer: the labels of the question are masked, so
no gradient arrives at the logits that predict it. Train on everything, and the question takes its share.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor, nn

from lmlab.data.batches import Batch
from lmlab.data.chat import IGNORED, encode_dialogue
from lmlab.text_model import TextModel, load
from lmlab.training.objectives import next_token
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, token_name

MOST = 256  # tokens on screen and in the loss: the end of a longer conversation
BEGIN = "⟨begin⟩"  # BOS is <|endoftext|>, and ⟨end⟩ is how an answer ends
LEARNED = {"answers": "the answer alone", "all": "everything"}


@dataclasses.dataclass(frozen=True)
class Row:
    """A conversation of T + 1 tokens: its ids (T + 1,), which of them are the answer's own (T + 1,), how many were
    left out at its beginning."""

    ids: Tensor
    answers: Tensor
    hidden: int = 0


@dataclasses.dataclass(frozen=True)
class Signal:
    """What one row asks of a model: surprise at each target in nats (T,), the norm of the loss's gradient at the
    logits that predict it (T,), and the loss itself, the mean over the targets that count."""

    surprises: Tensor
    gradients: Tensor
    loss: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossMaskView(View):
    """``tokens``, each with whether it ``counts``, its ``surprise`` (nats) and the ``gradient`` norm at the logits that
    predict it; the first has neither. ``answer_from`` is where the answer begins; the tops are the ends of scales."""

    tokens: tuple[str, ...]
    counts: tuple[bool, ...]
    surprises: tuple[float | None, ...]
    gradients: tuple[float | None, ...]
    details: tuple[Spans, ...]
    answer_from: int
    hidden: int
    top_surprise: float
    top_gradient: float


def row_of(model: TextModel, question: str, answer: str) -> Row:
    """The conversation as the default chat template writes it, BOS first; the end of it where it is too long."""
    ids, answers = encode_dialogue((question, answer), model.tokenizer)
    keep = 1 + min(MOST, model.max_seq_len or MOST)
    return Row(ids[-keep:], answers[-keep:], max(0, len(ids) - keep))


def targets_of(row: Row, learn: str) -> Tensor:
    """The labels (T,): the ids moved by one, and -100 where a token does not count.

    >>> targets_of(Row(torch.tensor([9, 5, 6, 7]), torch.tensor([False, False, True, True])), "answers").tolist()
    [-100, 6, 7]
    """
    return row.ids[1:] if learn == "all" else row.ids[1:].masked_fill(~row.answers[1:], IGNORED)


class _Known(nn.Module):
    """Logits that are there already, as a model: what an objective sends back arrives at them."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits


def signal_of(network: nn.Module, row: Row, learn: str) -> Signal:
    """Loss, surprises and gradients of one row, by the objective that trains: `next_token`."""
    inputs, targets = row.ids[None, :-1], targets_of(row, learn)[None]
    with torch.no_grad():
        logits = network(inputs.to(next(network.parameters()).device)).float().cpu()
    loss = next_token(_Known(logits.requires_grad_()), Batch(inputs, targets))
    (gradient,) = torch.autograd.grad(loss, logits)
    surprises = F.cross_entropy(logits.detach()[0], row.ids[1:], reduction="none")
    return Signal(surprises, gradient[0].norm(dim=-1), float(loss.detach()))


def loss_mask_view(model: TextModel, row: Row, learn: str, question: str = "") -> LossMaskView:
    """What LossMask shows of one conversation. Pure."""
    tok, network = model.tokenizer, model.model
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"{model.name} is a {type(network).__name__}, which counts and has no gradient; give a neural network, "
            'such as lab.load("town").'
        )
    both = {mode: signal_of(network, row, mode) for mode in LEARNED}
    now, counts = both[learn], (False, *(targets_of(row, learn) != IGNORED).tolist())
    names = tuple(BEGIN if i == tok.bos_id else token_name(tok.token_text(i), tok.specials) for i in row.ids.tolist())
    surprises, gradients = (None, *now.surprises.tolist()), (None, *now.gradients.tolist())
    begin = int(row.answers.float().argmax())
    return LossMaskView(
        question=question or "Which tokens does fine-tuning learn from?",
        about="LossMask · 1 model · cpu",
        readout=_readout(model, row, now, learn),
        foot=_foot(model, row),
        labels={"question": "Question", "answer": f"Answer ({count(int(row.answers.sum()), 'token')} with its end)"},
        table=[
            ["token", "counts", "surprise, nats"],
            *([name, "yes" if c else "no", "" if x is None else number(x)]
              for name, c, x in list(zip(names, counts, surprises, strict=True))[:40]),
        ],
        tokens=names, counts=counts, surprises=surprises, gradients=gradients,
        details=tuple(_detail(names, counts, surprises, gradients, k) for k in range(len(names))),
        answer_from=begin, hidden=row.hidden,
        top_surprise=max(4.0, float(now.surprises.max())),
        top_gradient=max(float(signal.gradients.max()) for signal in both.values()),
    )  # fmt: skip


def _readout(model: TextModel, row: Row, now: Signal, learn: str) -> Spans:
    answers, who = row.answers[1:], model_name(0, model.name)
    n, T = int(answers.sum()), len(answers)
    said: list[str | Span]
    if learn == "all":
        share = float(now.surprises[~answers].sum() / now.surprises.sum())
        said = [who, " would learn from ", bold(f"all {count(T, 'token')}"), ", ", bold(f"{number(now.loss)} nats")]
        said += [" a token on average; ", bold(percent(share)), " of it is about the question and the marks around "]
        return spans(*said, "it, which nobody will ask it to write.")
    said = [who, " learns from ", bold(f"{n} of {count(T, 'token')}"), ", "]
    said += ["only the end, so it learns to say nothing" if n == 1 else "the answer and its end"]
    said += [", at ", bold(f"{number(now.loss)} nats"), " a token on average"]
    before = now.gradients[~answers]
    if len(before):
        most = float(before.max())
        said += ["; where it reads the question the gradient is ", bold("exactly 0" if most == 0 else number(most, 4))]
    return spans(*said, ".")


def _detail(
    names: tuple[str, ...], counts: tuple[bool, ...], surprises: tuple[float | None, ...],
    gradients: tuple[float | None, ...], k: int,
) -> Spans:  # fmt: skip
    surprise, gradient = surprises[k], gradients[k]
    if surprise is None or gradient is None:
        return spans("Token 0 is ", mono(names[0]), ": it is read, and nothing stands before it that could predict it.")
    said: list[str | Span] = [f"Token {k} is ", mono(names[k]), ", predicted at position ", f"{k - 1}: surprise "]
    said += [bold(f"{number(surprise)} nats"), ", ", "counts" if counts[k] else "masked", "; gradient at the logits "]
    return spans(*said, bold("exactly 0" if gradient == 0 else number(gradient, 4)), ".")


def _foot(model: TextModel, row: Row) -> Spans:
    said: list[str | Span] = [mono("logits (T,V) → loss → ∂loss/∂logits (T,V)"), " · the length of each row of V is "]
    said.append(f"drawn · hatched: label {number(IGNORED, 0)}, read but not asked for · ")
    said.append(f"T {len(row.ids) - 1}, V {model.vocab_size:,}")
    if row.hidden:
        said.append(f" · the first {row.hidden:,} tokens do not fit and are left out; training would refuse this row")
    return spans(*said)


class LossMask(LabWidget):
    """A question and an answer, the tokens that count, the surprise at each and the gradient that arrives there.

    `learn` is "answers", as in fine-tuning, or "all". `model` is any neural text model whose tokenizer has the marks
    of a conversation; the town, if none is given. `heading` replaces the question above it.
    """

    kind = "loss_mask"
    parts = ("chips", "words")
    controls = ("question", "answer", "learn")

    question = traitlets.Unicode("How do I make moonbread?").tag(
        sync=True, control=Control("text", "Question", wide=True)
    )
    answer = traitlets.Unicode("Take butter and moss, then boil.").tag(
        sync=True, control=Control("text", "Answer", wide=True)
    )
    learn = traitlets.Enum(tuple(LEARNED), "answers").tag(
        sync=True, control=Control("segments", "Learn from", options=tuple(LEARNED.items()))
    )

    def __init__(self, model: TextModel | None = None, *, heading: str = "", **traits: Any) -> None:
        self._model = load("town") if model is None else model
        self._heading = heading
        self.heavy = heavy(self._model)
        super().__init__(**traits)

    def compute(self) -> LossMaskView:
        row = row_of(self._model, self.question, self.answer)
        return loss_mask_view(self._model, row, self.learn, self._heading)
