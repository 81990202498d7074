"""StageComparison: one question, and what each stage of a model's life makes of it.

A base model has read lists of questions, so it goes on with one more; after fine-tuning it answers. Bars say how likely
each begins with a question, or with anything else; below stands what each writes. A model with a chat template is asked
through it; one without reads plain text, the question and a line break.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
import traitlets

from lmlab.sampling import generate
from lmlab.text_model import Generation, TextModel
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._candidates import Column
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, token_name, visible

STAGES = 4  # the slots that color, shape and order can tell apart
LENGTH = 36  # tokens that each writes, at most
SHOWN = 160  # characters of what a model reads that are drawn
OPENERS = (
    "What", "Where", "How", "Explain", "Who", "Why", "Which", "When", "Whose", "Is", "Are", "Can", "Could", "Should",
    "Would", "Will", "Did", "Does",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Stage:
    """A model before one question: what it reads, tokens in brackets being single special ones; the probabilities that
    it goes on with a question, with anything else, and that it ends; `log_odds` of the first two, in nats; a sample."""

    name: str
    chat: bool
    reads: Spans
    cropped: int
    question: float
    answer: float
    end: float
    shown: tuple[str, str]
    log_odds: float
    sample: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageView(View):
    """`stages` in the order of the road: base, fine-tuned, reinforced."""

    stages: tuple[Stage, ...]


def stage_of(model: TextModel, prompt: str, *, seed: int, length: int = LENGTH) -> Stage:
    """What one model makes of a question. Pure, the same for the same model, text and seed."""
    ids, cropped = _ids(model, prompt, length)
    log_probs, state = model.model.next_log_probs(ids[None])
    column = Column(model, log_probs[0], state)
    if bool(column.log_probs.isnan().any()):  # type: ignore[union-attr]
        raise ValueError(f"{model.name} gives no valid distribution (NaN): its weights are damaged or have diverged.")
    question = min(1.0, sum(math.exp(column.log_prob("", word)) for word in _openers(model)))
    end = min(1.0 - question, sum(math.exp(float(log_probs[0, i])) for i in model.stop_ids))
    answer = max(0.0, 1.0 - question - end)
    drawn = generate(model.model, ids, length, seed=seed, stop_ids=model.stop_ids)
    return Stage(
        name=model.name,
        chat=model.chat_template is not None,
        reads=_reads(model, ids),
        cropped=cropped,
        question=question,
        answer=answer,
        end=end,
        shown=(percent(question), percent(answer)),
        log_odds=_log(question) - _log(answer),
        sample=Generation("", drawn, model.tokenizer, model.stop_ids).text.strip("\n"),
    )


def _ids(model: TextModel, prompt: str, length: int) -> tuple[torch.Tensor, int]:
    """The ids (T,) before which the model stands, and how many did not fit, at the beginning."""
    text, tok = prompt.rstrip(), model.tokenizer
    if model.chat_template is not None:
        ids = model.chat_template.encode(text, tok)
    else:
        ids = ([] if tok.bos_id is None else [tok.bos_id]) + tok.encode(text + "\n" if text else "")
    if not ids:
        raise ValueError(f"{model.name}'s tokenizer has no token for the beginning of a text: type something first.")
    room = len(ids) if model.max_seq_len is None else max(1, model.max_seq_len - length)
    return torch.tensor(ids[-room:]), max(0, len(ids) - room)


def _openers(model: TextModel) -> list[str]:
    """The words that open a question; of two that begin with the same tokens the shorter, which counts both."""
    kept: dict[str, list[int]] = {}
    paths = {word: model.tokenizer.encode(word) for word in OPENERS}
    for word in sorted(paths, key=lambda word: len(paths[word])):
        if not any(paths[word][: len(other)] == other for other in kept.values()):
            kept[word] = paths[word]
    return list(kept)


def _reads(model: TextModel, ids: torch.Tensor) -> Spans:
    """The ids as text; a special token, which nobody can type, is named in brackets and bold."""
    specials = set(model.tokenizer.specials.values())
    parts: list[Span] = []
    typed: list[int] = []
    for i in ids.tolist():
        if i not in specials:
            typed.append(i)
            continue
        parts += _typed(model, typed)
        typed = []
        first = i == model.tokenizer.bos_id and not parts
        parts.append(bold("⟨start⟩" if first else token_name(model.tokenizer.token_text(i), model.tokenizer.specials)))
    return (*parts, *_typed(model, typed))


def _typed(model: TextModel, ids: list[int]) -> list[Span]:
    """Ordinary tokens as the text that they are; what cannot be seen is named, a space stays one."""
    text = " ".join(visible(word) if word else "" for word in model.tokenizer.decode(ids).split(" "))
    return [mono(text if len(text) <= SHOWN else text[:SHOWN] + " …")] if ids else []


def _log(p: float) -> float:
    return math.log(p) if p > 0 else -math.inf


def stage_view(models: Sequence[TextModel], prompt: str, *, seed: int) -> StageView:
    """What StageComparison shows. Pure."""
    stages = tuple(stage_of(model, prompt, seed=seed) for model in models)
    cropped = [f" · {s.name} does not see the first {count(s.cropped, 'token')}" for s in stages if s.cropped]
    return StageView(
        question="A question has been asked. What comes next?",
        about=f"StageComparison · {count(len(stages), 'model')} · cpu",
        readout=_readout(stages),
        foot=spans(
            mono("ids (1,T) → log_probs (1,V)"),
            f" · a question: one of {len(OPENERS)} words that open one comes first; an answer: anything else, but the "
            f"end · ⟨user⟩ is one token of a chat template; plain text has the question and a line break · temperature "
            f"1, seed {seed}{''.join(cropped)}",
        ),
        labels={"prompt": "Question" if prompt.strip() else "Question (empty)"},
        table=[["model", "another question", "an answer", "it writes"],
               *([s.name, *s.shown, s.sample] for s in stages)],
        stages=stages,
    )  # fmt: skip


def _readout(stages: Sequence[Stage]) -> Spans:
    said: list[str | Span] = []
    for slot, stage in enumerate(stages):
        said += [", " if slot else "", model_name(slot, stage.name)]
        said += [" goes on with another question with " if not slot else " with ", bold(stage.shown[0])]
    said += [". Log-odds of a question against an answer: "]
    for slot, stage in enumerate(stages):
        said += [", then " if slot else "", bold(_nats(stage.log_odds))]
    return spans(*said, " nats.")


def _nats(value: float) -> str:
    return number(value, 1)


class StageComparison(LabWidget):
    """One to four text models before the same question: `StageComparison(base, sft, chat)`.

    `prompt` is the question, `seed` decides what each writes. `measure` gives the numbers.
    """

    kind = "stage_comparison"
    parts = ("words",)
    controls = ("prompt", "seed")

    prompt = traitlets.Unicode("Explain the moon landing to a six-year-old.").tag(
        sync=True, control=Control("text", "Question", wide=True, live=False)
    )
    seed = traitlets.Int(1, min=0, max=20).tag(
        sync=True, control=Control("slider", "Sample", max=20, live=False, secondary=True)
    )

    def __init__(self, *models: TextModel, **traits: Any) -> None:
        if not 1 <= len(models) <= STAGES or not all(isinstance(model, TextModel) for model in models):
            raise ValueError(
                f"StageComparison compares 1 to {STAGES} text models and got {len(models)}. "
                'Try StageComparison(lab.load("town"), lab.load("town-sft")).'
            )
        self._models = models
        self.heavy = heavy(*models)
        super().__init__(**traits)

    def measure(self, prompt: str | None = None) -> dict[str, Stage]:
        """Each model's numbers, for another question if given: `.question`, `.answer`, `.log_odds`, `.sample`."""
        asked = self.prompt if prompt is None else prompt
        return {model.name: stage_of(model, asked, seed=self.seed) for model in self._models}

    def compute(self) -> StageView:
        key = (self.prompt, self.seed)
        return self.remember(key, lambda: stage_view(self._models, self.prompt, seed=self.seed))
