"""TaskAsText: an email, a line of code, a fact, a sum and a puzzle are all the same task, the one of going on.

A prompt and some options; each model says how likely every option is as the continuation, and the likeliest is its
answer. Beneath it the score over all held-out prompts, and what one model for everything costs beside five.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import traitlets

from lmlab.data.town.tasks import N_TASKS, TASK_FAMILIES, Task, space_between, town_tasks
from lmlab.text_model import TextModel
from lmlab.training.shares import Share
from lmlab.training.task_scores import option_log_probs
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, visible
from lmlab.widgets._task_scores import Study, TaskScores, beneath_state
from lmlab.widgets.next_token import town_truth

MOST = 8  # options
SHOW = {"share": "share of the options", "probability": "probability", "character": "a character"}
Answer = Sequence[float] | None  # log-probabilities of the options, None where a model cannot say any of them


@dataclasses.dataclass(frozen=True)
class OptionRow:
    """An option: its value in the picture for each column, the same in words, and its log-probability in nats."""

    text: str
    right: bool
    values: tuple[float, ...]
    shown: tuple[str, ...]
    nats: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskView(View):
    """``columns`` name truth and models; ``rows`` are the options of ``prompt``; ``heading`` says what the bars are."""

    columns: tuple[str, ...]
    has_truth: bool
    heading: str
    prompt: str
    rows: tuple[OptionRow, ...]


def values_of(answer: Answer, options: Sequence[str], show: str) -> list[float]:
    """What the bars show of log-probabilities: shares that sum to one, probabilities, or one a character.

    >>> [round(x, 2) for x in values_of([math.log(0.2), math.log(0.6)], ["a", "b"], "share")]
    [0.25, 0.75]
    """
    if answer is None:
        return [0.0] * len(options)
    if show == "character":
        return [math.exp(x / max(1, len(option))) for x, option in zip(answer, options, strict=True)]
    if show == "probability":
        return [math.exp(x) for x in answer]
    top = max(answer)
    weights = [math.exp(x - top) for x in answer]
    return [w / sum(weights) for w in weights]


def answer_of(model: TextModel, prompt: str, options: Sequence[str]) -> Answer:
    """The options' log-probabilities, in nats; None where the model finds all of them impossible."""
    found = option_log_probs(model, prompt, options)
    return found if max(found) > -math.inf else None


def options_of(text: str, prompt: str) -> list[str]:
    """One option a line. Raises ValueError in a sentence for fewer than two, more than eight, empty or equal ones."""
    lines = [line.rstrip("\r") for line in text.rstrip().split("\n")]
    if len(lines) < 2 or len(lines) > MOST:
        n = len(lines) if lines != [""] else 0
        raise ValueError(f"There {'is' if n == 1 else 'are'} {count(n, 'option')}; write 2 to {MOST}, one a line.")
    empty = next((i for i, line in enumerate(lines, 1) if not line.strip()), None)
    if empty:
        raise ValueError(f"Option {empty} is empty and would be certain; write something there, or delete the line.")
    read = [space_between(prompt, line) + line for line in lines]
    again = next((i for i, line in enumerate(read) if line in read[:i]), None)
    if again is not None:
        raise ValueError(
            f"Options {read.index(read[again]) + 1} and {again + 1} are the same text, {lines[again].strip()[:40]!r}; "
            "change one of them."
        )
    return lines


def task_view(
    names: Sequence[str], answers: Sequence[Answer], prompt: str, options: Sequence[str], *, has_truth: bool,
    right: int | None, show: str, family: str, notes: str = "", question: str = "",
) -> TaskView:  # fmt: skip
    """What TaskAsText shows of the models' log-probabilities. Pure."""
    columns = [values_of(answer, options, show) for answer in answers]
    rows = tuple(
        OptionRow(
            visible(option).replace("·", " "),
            right=i == right,
            values=tuple(column[i] for column in columns),
            shown=tuple("–" if a is None else percent(c[i]) for a, c in zip(answers, columns, strict=True)),
            nats=tuple("–" if a is None else number(a[i]) for a in answers),
        )
        for i, option in enumerate(options)
    )
    n_models = len(names) - has_truth
    kind = family if right is not None else "your own"
    return TaskView(
        question=question or "How can a model that only goes on do all of this?",
        about=f"TaskAsText · {kind} · {count(n_models, 'model')}",
        readout=_said(names, answers, rows, options, has_truth, show, notes),
        foot=spans(
            mono("log p(option | prompt)"), " = the sum over the option’s tokens · ", _FOOT[show],
            " · outline = the town’s exact grammar, which knows only what the town can say" if has_truth else "",
        ),
        table=[["option", *names], *([("✓ " if r.right else "") + r.text, *r.shown] for r in rows)],
        columns=tuple(names), has_truth=has_truth, heading=_HEADING[show], prompt=prompt, rows=rows,
    )  # fmt: skip


_HEADING = {
    "share": "Share of each option in what the options have together",
    "probability": "Probability that the text goes on with the option",
    "character": "Probability a character, the geometric mean",
}
_FOOT = {
    "share": "the shares of the options sum to one; what else may follow is left out",
    "probability": "the bars need not sum to one: other words may follow, and long options pay for every token",
    "character": "e to the sum over its characters: a long option does not pay for its length",
}


_OF = {"share": " of the options", "probability": "", "character": " a character"}


def _said(
    names: Sequence[str], answers: Sequence[Answer], rows: Sequence[OptionRow], options: Sequence[str],
    has_truth: bool, show: str, notes: str,
) -> Spans:  # fmt: skip
    """Each model's answer, the last model first, and whether it is right."""
    parts: list[str | Span] = []
    for i in reversed(range(int(has_truth), len(names))):
        answer, name = answers[i], model_name(i - has_truth, names[i])
        if answer is None:
            parts += [name, " finds every option impossible here and has no answer. "]
            continue
        values = [row.values[i] for row in rows]
        best = [k for k, value in enumerate(values) if value == max(values)]
        if len(best) > 1:
            parts += [
                name,
                " cannot decide between ",
                mono(rows[best[0]].text),
                " and ",
                mono(rows[best[1]].text),
                ". ",
            ]
            continue
        row = rows[best[0]]
        parts += [name, " answers ", mono(row.text), ", ", bold(row.shown[i]), _OF[show]]
        if show == "share":
            parts += [f", {percent(math.exp(answer[best[0]]))} of all that may follow"]
        parts += [": right. " if row.right else ": wrong. "] if any(r.right for r in rows) else [". "]
    if has_truth:
        parts += [_truth_said(answers[0], rows)]
    return spans(*parts, notes)


def _truth_said(answer: Answer, rows: Sequence[OptionRow]) -> str:
    if answer is None:
        return "The town itself never says this, so there is no truth to compare with. "
    row = max(rows, key=lambda row: row.values[0])
    return f"The truth: {row.text} {row.shown[0]}. "


class TaskAsText(LabWidget):
    """One prompt, some options, and how likely up to four models find each of them.

    ``family`` is "email", "code", "fact", "sum" or "puzzle", ``number`` one of its held-out prompts; ``prompt`` and
    ``choices``, an option a line, may be your own. ``truth`` "town" puts the town's exact distribution beside the
    models. ``n`` prompts of each family make the score; ``measure`` gives it as numbers.
    """

    kind = "task_as_text"
    parts = ("words",)
    slow = True
    controls = ("family", "another", "show", "prompt", "choices", "train")

    family = traitlets.Enum(TASK_FAMILIES, "email").tag(
        sync=True, control=Control("segments", "Task", options=tuple((f, f) for f in TASK_FAMILIES))
    )
    another = traitlets.Unicode().tag(control=Control("button", "Next prompt", main=True))
    show = traitlets.Enum(tuple(SHOW), "share").tag(
        sync=True, control=Control("segments", "Bars show", options=tuple(SHOW.items()), secondary=True)
    )
    prompt = traitlets.Unicode().tag(sync=True, control=Control("text", "Prompt", wide=True))
    choices = traitlets.Unicode().tag(
        sync=True,
        control=Control(
            "text", "Options, a line each (Shift+Enter)", live=False, secondary=True, placeholder="then press Enter"
        ),
    )
    train = traitlets.Unicode().tag(control=Control("button", "▶ Train both, small"))
    number = traitlets.Int(1, min=1, max=N_TASKS).tag(sync=True)
    beneath = traitlets.Dict().tag(sync=True)  # scores and losses: they come when they are found

    def __init__(
        self, *models: TextModel, truth: str | TextModel | None = "town", n: int = N_TASKS, question: str = "",
        **traits: Any,
    ) -> None:  # fmt: skip
        if not 1 <= len(models) <= 4 or not all(isinstance(model, TextModel) for model in models):
            raise ValueError(f"TaskAsText asks one to four text models, such as lab.load('town'); got {len(models)}.")
        if isinstance(truth, str) and truth != "town":
            raise ValueError(f'truth={truth!r} is not known: use "town", a TextModel, or None for no truth.')
        town_tasks("email", n)
        begins = next((m for m in models if m.tokenizer.bos_id is not None), None)
        town = town_truth(begins) if truth == "town" and begins else None
        self._truth = truth if isinstance(truth, TextModel) else town
        self._models, self._n, self._question = models, n, question
        self._study = Study(self._tell)
        self._asked: tuple[tuple[str, tuple[str, ...]], list[Answer]] | None = None  # the last answers, kept
        self._scores = TaskScores(models, n, self._tell)
        self._scores.first = traits.get("family", "email")
        task = town_tasks(traits.get("family", "email"))[traits.get("number", 1) - 1]
        super().__init__(**{"prompt": task.prompt, "choices": "\n".join(task.options), **traits})
        self._first_number = self.number
        self._tell()
        self._scores.start()

    @property
    def task(self) -> Task:
        """The held-out task that `family` and `number` name, whatever the boxes hold."""
        return town_tasks(self.family)[self.number - 1]

    def measure(self, family: str = "") -> dict[str, Share]:
        """Each model's share of right answers in a family (without one, the present): `.share`, `.low`, `.high`."""
        family = family or self.family
        town_tasks(family, self._n)
        return {model.name: self._scores.complete(slot, family) for slot, model in enumerate(self._models)}

    @traitlets.observe("family", "number")
    def _other_task(self, _: Any) -> None:
        if getattr(self, "_ready", False):
            self._scores.first = self.family
            with self.hold_trait_notifications():
                self.prompt, self.choices = self.task.prompt, "\n".join(self.task.options)

    def clicked(self, name: str) -> None:
        """Next prompt, or Train."""
        if name == "another":
            self.number = self.number % self._n + 1
        elif name == "train":
            self._study.start()

    def reset(self) -> None:
        """Back to the prompt that the cell began with."""
        self.number = self._first_number
        super().reset()
        self.prompt, self.choices = self._initial["prompt"], self._initial["choices"]

    def close(self) -> None:
        """Leave: what still counts or trains ends after its present step."""
        for counting in (getattr(self, "_scores", None), getattr(self, "_study", None)):
            if counting is not None:  # a widget that was refused has neither
                counting.stop()
        super().close()

    def _tell(self) -> None:
        self.beneath = beneath_state([model.name for model in self._models], self._scores, self._study)

    def compute(self) -> TaskView:
        prompt = self.prompt
        options = options_of(self.choices, prompt)
        models = [*([self._truth] if self._truth else []), *self._models]
        key = (prompt, tuple(options))
        if self._asked is None or self._asked[0] != key:
            self._asked = (key, [answer_of(model, prompt, options) for model in models])
        task = self.task
        own = prompt != task.prompt or tuple(options) != task.options
        spaced = own and any(space_between(prompt, option) for option in options)
        cropped = max((model.n_cropped(prompt) for model in self._models), default=0)
        return task_view(
            [*(["truth"] if self._truth else []), *(model.name for model in self._models)], self._asked[1], prompt,
            options, has_truth=self._truth is not None, right=None if own else task.right, show=self.show,
            family=self.family, question=self._question,
            notes=("A space was put before the options. " if spaced else "")
            + (f"The first {count(cropped, 'token')} of the prompt did not fit and were not read." if cropped else ""),
        )  # fmt: skip
