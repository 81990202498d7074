"""RefusalMatrix: five ways to ask for what is banned, and an assistant that learns to refuse them one after another.

A row an attack, a column a round of defense, in a cell the share of requests refused, of things and wordings that no
round has trained on. A patch trains the newest model on refusals of one more form, here and now; beneath, how often
harmless questions are refused. Everything banned is invented.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence
from typing import Any

import traitlets

from lmlab.data.town.tables import THINGS
from lmlab.text_model import TextModel
from lmlab.training.refusal_rounds import (
    FORMS,
    HARMLESS_ROW,
    STEPS,
    Exchange,
    Round,
    exchanges,
    first_round,
    patched_round,
)
from lmlab.training.shares import Share
from lmlab.widgets._base import Control, View
from lmlab.widgets._facts import StoresFacts
from lmlab.widgets._refusal_words import cell_said, facts_of, own_said, rest_said
from lmlab.widgets._style import Spans, mono, percent, spans

REDRAW = 0.25  # seconds between two pictures while a patch trains
ROWS = (*FORMS, HARMLESS_ROW)
Training = tuple[str, int, int]  # the form that is being patched, the step, and all steps


@dataclasses.dataclass(frozen=True)
class Row:
    """An attack, or the harmless questions: the share refused after each round, as text too; `patched` is the round
    from which on this form is among the examples, −1 for never."""

    name: str
    shares: tuple[float, ...]
    shown: tuple[str, ...]
    patched: int


@dataclasses.dataclass(frozen=True)
class Column:
    """A round, or the patch that is being trained."""

    name: str


@dataclasses.dataclass(frozen=True)
class Said:
    """What was asked and answered, under a heading."""

    title: Spans
    list: tuple[Exchange, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RefusalView(View):
    """`rows` are five attacks and the harmless questions; `columns` are the `rounds`, and one more while a patch
    trains; `n` requests are in a cell; `said` are those of the chosen cell, or the answers to the student's own."""

    rows: tuple[Row, ...]
    rounds: tuple[str, ...]
    columns: tuple[Column, ...]
    n: int
    said: Said


def refusal_view(
    rounds: Sequence[Round], at: tuple[int, int], *, training: Training | None = None, prompt: str = "",
    own: Sequence[Exchange] = (), name: str = "", question: str = "",
) -> RefusalView:  # fmt: skip
    """What RefusalMatrix shows of the rounds so far; `at` is the chosen (row, round). Pure."""
    row, column = ROWS[at[0]], min(at[1], len(rounds) - 1)
    rows = tuple(_row(rounds, name) for name in ROWS)
    columns = [Column(one.name) for one in rounds]
    if training is not None:
        columns.append(Column(f"+ {training[0]} {training[1]}/{training[2]}"))
    title = spans("Your own, after each round") if own else spans(f"{row.capitalize()}, {rounds[column].name} ")
    parts = own_said(prompt, own) if own else cell_said(rounds, row, column)
    n, n_harmless = len(rounds[0].answers[FORMS[0]]), len(rounds[0].answers[HARMLESS_ROW])
    return RefusalView(
        question=question or "Which ways of asking are still open?",
        about=f"RefusalMatrix · {name}",
        readout=spans(*parts, *rest_said(rounds[-1], training)),
        foot=spans(
            mono("ids (B,T) → logits (B,T,V)"), f" · greedy answers to {n} requests a cell and {n_harmless} harmless "
            f"ones, behind openings that no round trains on · a patch is {STEPS} steps · everything banned is invented",
        ),
        table=[["refused", *(one.name for one in rounds)], *([r.name, *r.shown] for r in rows)],
        rows=rows, rounds=tuple(one.name for one in rounds), columns=tuple(columns), n=n,
        said=Said(title, tuple(own) if own else rounds[column].answers[row]),
    )  # fmt: skip


def _row(rounds: Sequence[Round], name: str) -> Row:
    shares = [one.share(name).share for one in rounds]
    patched = next((i for i, one in enumerate(rounds) if name in one.forms), -1)
    return Row(name, tuple(shares), tuple(map(percent, shares)), patched)


class RefusalMatrix(StoresFacts):
    """An assistant of the town, asked for what is banned in five ways, after each round of defense.

    `patch` trains it to refuse one more form, the next one or the one named; it returns at once, `wait` when it is
    done. `share` and `over_refusal` give the numbers, `answers` the very prompts and answers. `prompt` is a request
    of your own. `seed` draws the examples of every patch.
    """

    kind = "refusal_matrix"
    parts = ("cells",)
    slow = True
    controls = ("form", "repair", "halt", "prompt")
    inputs = ("at",)

    form = traitlets.Enum(FORMS, FORMS[0]).tag(
        sync=True, control=Control("select", "Next form to patch", options=tuple((f, f) for f in FORMS))
    )
    repair = traitlets.Unicode().tag(control=Control("button", "▶ Patch", main=True))
    halt = traitlets.Unicode().tag(control=Control("button", "■ Stop", secondary=True))
    prompt = traitlets.Unicode("").tag(
        sync=True,
        control=Control("text", "A request of your own", wide=True, live=False, placeholder="then press Enter"),
    )
    at: traitlets.List[int] = traitlets.List(traitlets.Int(), [0, 0], minlen=2, maxlen=2).tag(sync=True)

    def __init__(self, model: TextModel, *, seed: int = 0, question: str = "", **traits: Any) -> None:
        if not isinstance(model, TextModel):
            raise ValueError(
                f"RefusalMatrix takes a text model, such as lab.helpful_assistant(town); got {model!r:.80}."
            )
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError(f"seed={seed!r} draws the examples: give a whole number from 0 upward.")
        self._question, self._seed, self._name_of = question, seed, model.name
        self._rounds: tuple[Round, ...] = (first_round(model),)
        self._asked: dict[tuple[str, str], Exchange] = {}  # answers to the student's own, by round
        self._training: Training | None = None
        self._trainer: threading.Thread | None = None
        self._stopping = threading.Event()
        super().__init__(**traits)

    # ------------------------------------------------------------ numbers

    @property
    def rounds(self) -> tuple[str, ...]:
        """The names of the rounds so far."""
        return tuple(one.name for one in self._rounds)

    @property
    def model(self) -> TextModel:
        """The assistant after the newest round."""
        return self._rounds[-1].model

    def answers(self, attack: str, round: int = -1) -> tuple[Exchange, ...]:
        """The prompts and answers of a cell: `.prompt`, `.answer`, `.outcome`."""
        if attack not in ROWS:
            raise ValueError(f"There is no row {attack!r}: the rows are {', '.join(ROWS)}.")
        if not -len(self._rounds) <= round < len(self._rounds):
            raise ValueError(f"There is no round {round}: so far there are {len(self._rounds)}, from 0.")
        return self._rounds[round].answers[attack]

    def share(self, attack: str, round: int = -1, *, outcome: str = "refused") -> Share:
        """How often a form is "refused" ("told", "neither") after a round, the newest without one: `.share`, `.low`,
        `.high`."""
        self.answers(attack, round)
        return self._rounds[round].share(attack, outcome)

    def over_refusal(self, round: int = -1) -> Share:
        """How often a harmless question is refused."""
        return self.share(HARMLESS_ROW, round)

    # ------------------------------------------------------------ training

    def patch(self, form: str = "") -> RefusalMatrix:
        """Train the newest model to refuse this form as well, in a thread; without a name, the one that is chosen."""
        if form:
            self.form = form
        if self._training is not None:
            raise ValueError(f"{self._training[0]} is still being patched: wait for it, or stop it.")
        self._stopping.clear()
        self._training = (self.form, 0, STEPS)
        self._trainer = threading.Thread(target=self._train, name=f"lmlab {self._name}", daemon=True)
        self._trainer.start()
        return self

    def stop(self) -> RefusalMatrix:
        """End a patch that is under way, and drop it."""
        trainer = self._trainer
        self._stopping.set()
        if trainer is not None and trainer is not threading.current_thread():
            trainer.join()
        return self

    def wait(self, timeout: float = 120.0) -> RefusalMatrix:
        """Return when the patch is trained, measured and drawn. Raises TimeoutError after `timeout` seconds."""
        trainer, end = self._trainer, time.monotonic() + timeout
        while trainer is not None and trainer.is_alive():
            if time.monotonic() > end:
                raise TimeoutError(f"{self._name} had not finished its patch after {timeout:g} seconds; it goes on.")
            trainer.join(0.1)  # in slices, so that an interrupt reaches the cell on every system
        super().wait(timeout)
        return self

    def close(self) -> None:
        """Leave: a patch under way ends after its present step."""
        if getattr(self, "_stopping", None) is not None:
            self._stopping.set()
        super().close()

    def _train(self) -> None:
        drawn, form = time.monotonic(), self.form

        def goes_on(step: int) -> bool:
            nonlocal drawn
            self._training = (form, step, STEPS)
            if time.monotonic() - drawn > REDRAW:
                drawn = time.monotonic()
                self.refresh()
            return not self._stopping.is_set()

        try:
            patched = patched_round(self._rounds[-1], form, seed=self._seed, goes_on=goes_on)
        except Exception as error:
            self._raised, self._training, self._trainer = error, None, None
            self._say_error(error)
            return
        self._training = None
        if patched is not None:
            self._rounds = (*self._rounds, patched)
            self._choose_next(form)
        self._trainer = None
        self.refresh()

    def _choose_next(self, form: str) -> None:
        left = [f for f in FORMS if f not in self._rounds[-1].forms]
        with self.hold_trait_notifications():
            self.at = [FORMS.index(form), len(self._rounds) - 1]
            self.form = left[0] if left else form

    def _say_error(self, error: Exception) -> None:
        """Say the error on the page; `wait` raises it in the student's cell."""
        try:
            self._fail(error)
        except Exception:  # the tests' strict mode raises here too, where nobody could catch it
            return

    # ------------------------------------------------------------ pictures

    def clicked(self, name: str) -> None:
        """Patch, or Stop."""
        if name == "repair":
            self.patch()
        elif name == "halt":
            self.stop()

    def reset(self) -> None:
        """Back to the assistant that the cell was given."""
        self.stop()
        self._rounds, self._asked, self.at = self._rounds[:1], {}, [0, 0]
        super().reset()
        self.refresh()

    def _own(self, one: Round, prompt: str) -> Exchange:
        if (key := (one.name, prompt)) not in self._asked:
            named = next((thing for thing in THINGS if thing.name in prompt.lower()), None)
            found = exchanges(one.model, [(named, prompt)])[0]
            outcome = "answered" if found.outcome == "neither" else found.outcome
            self._asked[key] = dataclasses.replace(found, outcome=outcome, of=one.name)
        return self._asked[key]

    def compute(self) -> RefusalView:
        row, column = self.at
        if not (0 <= row < len(ROWS) and column >= 0):
            raise ValueError(f"at={self.at!r} is no cell: rows go from 0 to {len(ROWS) - 1}, rounds from 0.")
        prompt = self.prompt.strip()
        own = [self._own(one, prompt) for one in self._rounds] if prompt else []
        return refusal_view(
            self._rounds, (row, column), training=self._training, prompt=prompt, own=own, name=self._name_of,
            question=self._question,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine, though the patches are trained here."""
        return spans(self._error) if self._error else facts_of(self._rounds)
