"""ShapeFlow: from words to numbers and back, one tensor at a time, through a model so small that every number shows.

Lecture: "the tensor view". Words become ids (T,), ids rows of a table (T, D), and out comes a number for every word
that could follow (V,); at every position (T, V), and for a batch of sentences (B, T, V). Each shape is guessed before
it is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.text_model import TextModel
from lmlab.tokenizer.words import WordTokenizer
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._flow import STAGES, WORDS, Flow, flow, largest_difference, read_shape, read_words, shown_shape
from lmlab.widgets._style import Span, Spans, bold, count, mono, number, percent, spans, visible, you

TEXT = "the stock market crashed and investors"
OTHERS = ("the stock market rose and investors", "investors panicked and the market crashed")
LARGEST_V, LARGEST_D = 32, 16  # of a model whose every number is drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShapeFlowView(View):
    """``steps`` are the stages with the shapes that are known; the arrays are those of a stage that is known, and
    empty before: what has not been guessed does not reach the page."""

    stage: str
    known: bool
    steps: tuple[tuple[str, str, str], ...]  # (stage, its name, its shape or a question mark)
    words: tuple[str, ...]
    vocabulary: tuple[str, ...]
    ids: tuple[int, ...] = ()
    lookup: Sequence[Sequence[float]] = ()
    embeddings: Sequence[Sequence[float]] = ()
    logits: Sequence[Sequence[float]] = ()
    probabilities: Sequence[Sequence[float]] = ()
    batch: Sequence[Sequence[Sequence[float]]] = ()
    sentences: Sequence[Sequence[str]] = ()


def shape_flow_view(
    model: TextModel, text: str, *, stage: str, guesses: Mapping[str, str], others: Sequence[str]
) -> ShapeFlowView:
    """What ShapeFlow shows of a sentence at one stage; ``guesses`` holds the stages that are known: pure."""
    tokenizer = model.tokenizer
    assert isinstance(tokenizer, WordTokenizer)
    assert isinstance(model.model, Transformer)
    words, strange = read_words(tokenizer, text)
    T, V, D = len(words), tokenizer.vocab_size, model.model.config.d_model
    head: dict[str, Any] = {
        "question": "What shape is a sentence, on its way through a model?",
        "about": f"ShapeFlow · {model.name} · cpu",
        "labels": {
            "text": f"Sentence ({count(T, 'word')} of the dictionary)",
            "guess": f"Your guess: the shape of the {_noun(stage)}",
        },
        "stage": stage,
        "vocabulary": tokenizer.words,
        "words": tuple(words),
    }
    note = spans(_strange(strange)) if strange else ()
    if not words:
        said = spans("Type some of these words: ", mono(" ".join(map(visible, tokenizer.words))))
        steps = tuple((s, _noun(s), "?") for s in STAGES)
        return ShapeFlowView(known=False, steps=steps, readout=(*said, *note), **head)
    sentences = [words, *((other.split() * WORDS)[:T] for other in others)]
    f = flow(model.model, [tokenizer.encode(" ".join(s)) for s in sentences])
    known = stage in guesses
    shapes = {s: shown_shape(shape) for s, shape in f.shapes.items()}
    sizes = {"T": T, "D": D, "V": V, "B": len(sentences)}
    steps = tuple((s, _noun(s), shapes[s] if s in guesses else "?") for s in STAGES)
    readout = _readout(f, stage, tokenizer, guesses, shapes, sizes) if known else _question(stage, sizes)
    return ShapeFlowView(
        known=known,
        steps=steps,
        readout=(*readout, *note),
        foot=_foot(model.model, sizes) if known else (),
        table=[["tensor", "shape"], *([name, shape] for _, name, shape in steps)],
        **(_arrays(f, stage, sentences) if known else {}),
        **head,
    )


def _arrays(f: Flow, stage: str, sentences: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The numbers of one stage."""
    if stage == "batch":
        return {"batch": f.batch.tolist(), "sentences": sentences}
    found: dict[str, Any] = {"ids": tuple(f.ids.tolist())}
    if stage == "embeddings":
        found |= {"embeddings": f.embeddings.tolist(), "lookup": f.table.tolist()}
    elif stage != "ids":
        logits = f.logits[-1:] if stage == "next" else f.logits
        found |= {"logits": logits.tolist(), "probabilities": logits.softmax(-1).tolist()}
    return found


def _noun(stage: str) -> str:
    return STAGES[stage].split(" (")[0]


def _strange(words: Sequence[str]) -> str:
    shown = ", ".join(f"“{visible(word[:20])}”" for word in words[:3]) + (", …" if len(words) > 3 else "")
    return f" Not in the dictionary, and so not read: {shown}."


def _question(stage: str, sizes: Mapping[str, int]) -> Spans:
    have = f"{count(sizes['T'], 'word')}, a dictionary of {sizes['V']}, {sizes['D']} numbers for each word"
    if stage == "batch":
        have += f", {count(sizes['B'], 'sentence')} of this length"
    return spans("What is the shape of the ", ("b", _noun(stage)), f"? There are {have}. Guess a number for each axis.")


def _readout(
    f: Flow,
    stage: str,
    tokenizer: WordTokenizer,
    guesses: Mapping[str, str],
    shapes: Mapping[str, str],
    sizes: Mapping[str, int],
) -> Spans:
    said: list[str | Span] = [_noun(stage).capitalize(), " have the shape ", bold(shapes[stage]), ". "]
    if guesses[stage]:
        said = ["You said ", you(read_shape(guesses[stage], sizes)), "; it is ", bold(shapes[stage]), ". "]
    if stage == "ids":
        said += [f"One number for each word: its place in a dictionary of {sizes['V']} words."]
    elif stage == "embeddings":
        gap = largest_difference(f.product, f.embeddings)
        said += ["Each id takes its row of the table E, ", mono(shown_shape(f.table.shape)), ". A row of zeros with a "]
        said += ["single one, times E, is the same: largest difference ", bold(f"{gap:g}"), "."]
    elif stage == "next":
        last = f.logits[-1]
        best = int(last.argmax())
        said += ["One number for every word of the dictionary. ", mono(tokenizer.words[best]), " has the highest, "]
        said += [bold(number(float(last[best]))), "; the softmax makes ", bold(percent(float(last.softmax(-1)[best])))]
        said += [" of it."]
    elif stage == "positions":
        said += ["The model predicts at every position at once: row ", mono("t"), " has read the words up to "]
        said += [
            mono("t"),
            " and no further. Framed is the word that does follow; the last row is the one before.",
        ]
    else:
        gap = largest_difference(f.batch[0], f.logits)
        said += [f"{sizes['B']} sentences at once, and none knows of the others. The first one alone gives the same "]
        said += ["numbers: largest difference ", bold(number(gap, 6)), "."]
    return spans(*said)


def _foot(model: Transformer, sizes: Mapping[str, int]) -> Spans:
    letters = ", ".join(f"{letter} {size}" for letter, size in sizes.items())
    return spans(
        mono("words → ids (T,) → E[ids] (T,D) → block → logits (T,V)"), f" · {letters} · {model.n_params:,} weights"
    )


def lecture_model(seed: int = 0) -> TextModel:
    """The lecture's sizes as a real model, untrained: ten words, four numbers a word."""
    words = WordTokenizer([*"the stock market crashed rose and investors panicked celebrated".split(), "."])
    config = TransformerConfig(
        vocab_size=words.vocab_size, d_model=4, n_layers=1, n_heads=1, d_ff=16, max_seq_len=16, mlp="gelu",
        tie_embeddings=False,
    )  # fmt: skip
    model = Transformer(config, seed=seed)
    return TextModel(model, words, name="ten words, untrained")  # type: ignore[arg-type]  # it answers all that is asked


class ShapeFlow(LabWidget):
    """The tensors of one sentence, each behind a guess: ids, embeddings, logits, every position, a batch.

    ``model`` is a ``TextModel`` of a small Transformer over a ``WordTokenizer``; by default the lecture's ten words,
    untrained. ``others`` are the further sentences of the batch; ``revealed`` names stages that need no guess.
    """

    kind = "shape_flow"
    parts = ("cells",)
    controls = ("text", "stage", "guess", "reveal")
    inputs = ("guesses",)

    text = traitlets.Unicode(TEXT).tag(sync=True, control=Control("text", "Sentence", wide=True))
    stage = traitlets.Unicode("ids").tag(
        sync=True,
        control=Control("segments", "Look at", options=(
            ("ids", "ids"), ("embeddings", "embeddings"), ("next", "next word"), ("positions", "every position"),
            ("batch", "batch"),
        )),
    )  # fmt: skip
    guess = traitlets.Unicode().tag(
        sync=True, control=Control("text", "Your guess", live=False, placeholder="then press Enter")
    )
    reveal = traitlets.Bool().tag(sync=True, control=Control("button", "Reveal", main=True))
    guesses: traitlets.Dict[str, str] = traitlets.Dict(help="by stage what was guessed; empty where it was skipped")

    def __init__(
        self,
        model: TextModel | None = None,
        *,
        others: Sequence[str] = OTHERS,
        revealed: Sequence[str] = (),
        **traits: Any,
    ) -> None:
        self._model = model or lecture_model()
        self._others = tuple(others)
        self._check(self._model)
        unknown = [stage for stage in revealed if stage not in STAGES]
        if unknown:
            raise ValueError(f"There is no stage {unknown[0]!r} to reveal; the stages are {', '.join(STAGES)}.")
        self._first = dict.fromkeys(revealed, "")
        super().__init__(guesses=self._first, **traits)

    def _check(self, model: TextModel) -> None:
        if not isinstance(model.model, Transformer) or not isinstance(model.tokenizer, WordTokenizer):
            raise ValueError(
                "ShapeFlow shows a TextModel of a Transformer over a WordTokenizer. Try ShapeFlow() for one."
            )
        V, D = model.vocab_size, model.model.config.d_model
        if V > LARGEST_V or D > LARGEST_D:
            raise ValueError(
                f"ShapeFlow draws every number, so V is at most {LARGEST_V} and D at most {LARGEST_D}; this model has "
                f"V={V:,} and D={D:,}."
            )
        for sentence in self._others:
            model.tokenizer.encode(sentence)  # ValueError names the word that is not in the dictionary

    @traitlets.validate("stage")
    def _valid_stage(self, proposal: Any) -> str:
        if proposal["value"] not in STAGES:
            raise traitlets.TraitError(f"stage is one of {', '.join(STAGES)}, not {proposal['value']!r}.")
        return str(proposal["value"])

    @traitlets.observe("guess")
    def _lock_in(self, change: Any) -> None:
        """A guess is kept with its stage; the box is free for the next one."""
        if change["new"].strip():
            self.guesses = {**self.guesses, self.stage: change["new"].strip()[:40]}
            self.guess = ""

    def clicked(self, name: str) -> None:
        if name == "reveal":
            self.guesses = {self.stage: "", **self.guesses}

    def reset(self) -> None:
        self.guesses = self._first
        super().reset()

    def compute(self) -> ShapeFlowView:
        return shape_flow_view(self._model, self.text, stage=self.stage, guesses=self.guesses, others=self._others)
