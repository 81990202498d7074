"""FewShot: a mapping that no weight can know, some examples of it in the prompt, and a question.

For each model the share of right answers by the number of examples, over mappings drawn afresh, with their 95 %
intervals; beside it one of the prompts as tokens, or the student's own. Labels can be shuffled, heads silenced.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import traitlets

from lmlab.data.few_shot import MOST, FewShotPrompt, FewShotTask, few_shot_prompts, few_shot_task, own_prompt
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel
from lmlab.training.few_shot import (
    Answered,
    answered,
    copying_heads,
    copying_scores,
    option_log_probs,
    other_heads,
    silenced,
)
from lmlab.widgets._base import Control, View
from lmlab.widgets._facts import StoresFacts
from lmlab.widgets._few_shot_words import LABELS, SILENCE, Asked, about_models, case_of, facts_of, said
from lmlab.widgets._style import Spans, count, mono, spans

FRAME = 0.5  # seconds between two pictures while it measures
LARGE = 20_000_000  # weights from which on a model is measured behind the cell's back
Found = dict[int, tuple[Answered, ...]]  # by k, a model each


@dataclasses.dataclass(frozen=True)
class Curve:
    """A model's shares by k, each with its 95 % interval; `shown`: how often it says what the examples say."""

    name: str
    right: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    shown: tuple[float | None, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FewShotView(View):
    """`curves` reach as far as was measured (`done`, from 0 to 1); `cases` are one prompt for each k, `own` is the
    student's. `asked` says what was counted: "100 new mappings", or of a task that is not dealt, "100 prompts"."""

    curves: tuple[Curve, ...]
    most: int
    guess: float
    asked: str
    shuffled: bool
    cases: tuple[Asked, ...]
    own: Asked | None
    done: float


def few_shot_view(
    names: Sequence[str], found: Found, cases: Sequence[Asked], own: Asked | None, *, task: FewShotTask, n: int,
    labels: str, silence: str, heads: Sequence[Sequence[tuple[int, int]]], whole: Sequence[Answered] | None,
    most: int, seed: int, guess: float, question: str = "",
) -> FewShotView:  # fmt: skip
    """What FewShot shows of the answers found so far. Pure."""
    curves = []
    for slot, name in enumerate(names):
        row = [found[k][slot] for k in sorted(found)]
        curves.append(
            Curve(
                name,
                right=tuple(a.right.share for a in row),
                low=tuple(a.right.low for a in row),
                high=tuple(a.right.high for a in row),
                shown=tuple(a.shown.share if a.shown else None for a in row),
            )
        )
    dealt = "dealt anew for every prompt; asked is one of the examples" if task.dealt else "asked is none of them"
    asked = f"{n} new mappings" if task.dealt else count(n, "prompt")
    return FewShotView(
        question=question or "Can it learn without learning?",
        about=about_models("FewShot", names),
        readout=said(
            names, found, own, asked=asked, labels=labels, silence=silence, heads=heads, whole=whole, most=most
        ),
        foot=spans(
            mono("ids (B,T) → log_probs (B,V)"), f" · {asked} at each k, seed {seed} · {dealt} · answer: "
            f"the likeliest of {round(1 / guess)} options · bars: 95\u202f% intervals (Wilson) · no weight changes",
        ),
        table=[["model", *(f"k = {k}" for k in sorted(found))],
               *([c.name, *(f"{100 * r:.0f}" for r in c.right)] for c in curves)],
        curves=tuple(curves), most=most, guess=guess, asked=asked, shuffled=labels == "shuffled",
        cases=tuple(cases), own=own, done=len(found) / (most + 1),
    )  # fmt: skip


class FewShot(StoresFacts):
    """Up to four text models, asked after k = 0 to 8 examples of a mapping.

    `task` is "pairs" (dealt anew for every prompt), "capitals", "french", or your own; `n` prompts are asked at each
    k. `prompt` is the student's own: "goose => jik, cat => pim, goose". `labels` is "drawn" or "shuffled"; `silence`
    names the heads to do without. `measure` gives the numbers; `question` is another heading.
    """

    kind = "few_shot"
    slow = True
    controls = ("prompt", "labels", "silence", "seed")

    prompt = traitlets.Unicode("").tag(
        sync=True,
        control=Control("text", "Your own: examples, then the question", wide=True, live=False,
                        placeholder="goose => jik, cat => pim, goose"),
    )  # fmt: skip
    k = traitlets.Int(3, min=0, max=MOST).tag(sync=True)  # which prompt is shown; the page does it alone
    labels = traitlets.Enum(tuple(LABELS), "drawn").tag(
        sync=True, control=Control("segments", "Labels", options=tuple(LABELS.items()))
    )
    silence = traitlets.Enum(tuple(SILENCE), "none").tag(
        sync=True, control=Control("select", "Silence", options=tuple(SILENCE.items()))
    )
    seed = traitlets.Int(0, min=0, max=9).tag(sync=True, control=Control("slider", "Seed", max=9, secondary=True))

    def __init__(
        self, *models: TextModel, task: FewShotTask | str = "pairs", n: int = 100, question: str = "", **traits: Any
    ) -> None:
        if not 1 <= len(models) <= 4 or not all(isinstance(model, TextModel) for model in models):
            raise ValueError(f"FewShot compares one to four text models, such as lab.load('town'); got {len(models)}.")
        if isinstance(n, bool) or not isinstance(n, int) or not 10 <= n <= 1_000:
            raise ValueError(f"n is {n!r}; give a whole number of prompts from 10 to 1,000.")
        task = few_shot_task(task) if isinstance(task, str) else task
        self._models, self._task, self._n, self._question = models, task, n, question
        self._most = min(MOST, len(task.sources) - (0 if task.dealt else 1))
        self._found: dict[tuple[Any, ...], Any] = {}  # all that was ever measured, by what was asked
        large = any(isinstance(m.model, Transformer) and m.model.n_params > LARGE for m in models)
        self._later = large
        has_heads = any(isinstance(m.model, Transformer) for m in models)
        super().__init__(hidden=() if has_heads else ("silence",), **traits)
        self._later, self._first_k = False, self.k
        if large:
            self.refresh()

    # ------------------------------------------------------------ numbers

    def measure(self, k: int = MOST, *, labels: str = "drawn", silence: str = "none") -> dict[str, Answered]:
        """Each model's answers after k examples: `.right.share`, `.right.low`, `.right.high`; `.shown` likewise is
        how often it says what the examples say."""
        names = [model.name for model in self._models]
        return dict(zip(names, self._answers(k, labels, silence, self.seed), strict=True))

    def heads(self, name: str) -> list[tuple[int, int]]:
        """The heads of a model, as (layer, head), that look at what followed the question before, the first most."""
        return copying_heads(self._scores([m.name for m in self._models].index(name)))

    def _answers(self, k: int, labels: str, silence: str, seed: int) -> tuple[Answered, ...]:
        key = (k, labels, silence, seed)
        if key not in self._found:
            prompts = few_shot_prompts(self._task, k, self._n, seed=seed, shuffled=labels == "shuffled")
            self._found[key] = tuple(answered(model, prompts) for model in self._asked(silence))
        found: tuple[Answered, ...] = self._found[key]
        return found

    def _scores(self, slot: int) -> Any:
        if ("scores", slot) not in self._found:
            prompts = few_shot_prompts(self._task, self._most, 16, seed=1_000)
            self._found["scores", slot] = copying_scores(self._models[slot], prompts)
        return self._found["scores", slot]

    def _silent(self, silence: str) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each model the heads to silence; none where it has none."""
        found = []
        for slot, model in enumerate(self._models):
            heads: list[tuple[int, int]] = []
            if silence != "none" and isinstance(model.model, Transformer):
                scores = self._scores(slot)
                heads = copying_heads(scores)
                heads = other_heads(scores, len(heads)) if silence == "others" else heads
                heads = heads[:1] if silence == "best" else heads
            found.append(tuple(heads))
        return tuple(found)

    def _asked(self, silence: str) -> tuple[TextModel, ...]:
        if ("models", silence) not in self._found:
            pairs = zip(self._models, self._silent(silence), strict=True)
            self._found["models", silence] = tuple(silenced(m, heads) if heads else m for m, heads in pairs)
        asked: tuple[TextModel, ...] = self._found["models", silence]
        return asked

    def _case(self, k: int) -> Asked:
        key = ("case", k, self.labels, self.silence, self.seed)
        if key not in self._found:
            first = few_shot_prompts(self._task, k, 1, seed=self.seed, shuffled=self.labels == "shuffled")[0]
            self._found[key] = self._ask(first)
        found: Asked = self._found[key]
        return found

    def _ask(self, prompt: FewShotPrompt) -> Asked:
        rows: list[list[float] | None] = []
        for model in self._asked(self.silence):
            try:
                rows.append(option_log_probs(model, [prompt])[0])
            except ValueError:  # a word that its dictionary lacks
                rows.append(None)
        return case_of(prompt, self._models, rows)

    # ------------------------------------------------------------ pictures

    def reset(self) -> None:
        """Back to the state that the cell made."""
        super().reset()
        self.k = self._first_k

    def compute(self) -> FewShotView:
        wanted, drawn = self._wanted, time.monotonic()
        found: Found = {}
        cases: list[Asked] = []
        own = self._ask(own_prompt(self._task, self.prompt)) if self.prompt.strip() else None
        if own and self._ready and time.monotonic() - drawn > FRAME / 2:
            self._frame(found, cases, own)
        for k in range(0 if not self._later else self._most + 1, self._most + 1):
            found[k] = self._answers(k, self.labels, self.silence, self.seed)
            cases.append(self._case(k))
            if wanted != self._wanted:
                break  # nobody waits for this one
            if self._ready and k < self._most and time.monotonic() - drawn > FRAME:
                self._frame(found, cases, own)
                drawn = time.monotonic()
        return self._view(found, cases, own)

    def _frame(self, found: Found, cases: Sequence[Asked], own: Asked | None) -> None:
        """Show what is there so far; the rest goes on."""
        with self.hold_sync():
            self.publish(self._view(found, cases, own))
            self._done += 1

    def _view(self, found: Found, cases: Sequence[Asked], own: Asked | None) -> FewShotView:
        whole = self._found.get((self._most, self.labels, "none", self.seed))
        one = few_shot_prompts(self._task, 0, 1)[0]
        return few_shot_view(
            [m.name for m in self._models], found, cases, own, task=self._task, n=self._n, labels=self.labels,
            silence=self.silence, heads=self._silent(self.silence), whole=whole, most=self._most, seed=self.seed,
            guess=1 / len(one.options), question=self._question,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine, also of models that were trained on the spot."""
        shown = self.shown
        if self._error or not isinstance(shown, FewShotView) or shown.done < 1:
            return spans(self._error or f"{count(self._n, 'prompt')} at each k, not measured yet")
        rows = [self._found[k, self.labels, self.silence, self.seed] for k in (0, self._most)]
        return facts_of([m.name for m in self._models], rows[0], rows[1], self._most)
