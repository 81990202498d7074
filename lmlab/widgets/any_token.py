"""AnyToken: a picture, an instruction and a robot's moves as one row of ids, written on by one small transformer.

The student draws a sky; the model, which learns live by next-token prediction alone, fills in the water beneath it and
flies to what it is told. Beside it stand its losses over patches, words and moves, and the exact floor under each.
"""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import traitlets
from einops import rearrange
from torch import Tensor

from lmlab.data.any_tokens import N_PATCHES, AnyVocabulary, lake_codebook
from lmlab.data.lake import COLUMNS, MOVES, SIDE, SKY_CELLS, THINGS, mirrored, nearest_cell, picture, scenes
from lmlab.sampling import Sampler, generate
from lmlab.training.any_token import HELD_OUT, STEPS, AnyTokenPoint, AnyTokenTrial, flight, floor
from lmlab.widgets._base import Control, View
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans
from lmlab.widgets._training import Trains

WORDS = AnyVocabulary()
GIVEN, MODEL, YOU = "given", "model", "you"


@dataclasses.dataclass(frozen=True)
class Token:
    """One id of the row: what it stands for, who put it there, where it lies in the picture (`cell`, a patch; `leg`, a
    move of the flight; −1 for neither), and a sentence about it."""

    text: str
    id: int
    kind: str
    by: str
    said: str
    cell: int = -1
    leg: int = -1


@dataclasses.dataclass(frozen=True)
class KindLoss:
    """The loss over one kind of token and its floor, nats a token, as numbers and as text."""

    name: str
    loss: float
    floor: float
    shown: str


@dataclasses.dataclass(frozen=True)
class Row:
    """What the model has written: eight ids under a sky, six after the words; `log_probs` of all ids but the first."""

    ids: tuple[int, ...]
    log_probs: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnyTokenView(View):
    """`pixels` are red, green and blue (24, 24, 3) as bytes; `blank` the cells where the model wrote no patch, `wrong`
    those that are not the reflection; `path` the places of the drone, x and y from −1 to 1; `goal` the cell of the
    thing that was named, −1 where it is not there."""

    pixels: bytes
    sky: tuple[str, ...]
    blank: tuple[int, ...]
    wrong: tuple[int, ...]
    path: tuple[tuple[float, float], ...]
    goal: int
    tokens: tuple[Token, ...]
    losses: tuple[KindLoss, ...]


def write_row(model: Any, sky: Sequence[int], goal: int, *, temperature: float = 0.0, seed: int = 0) -> Row:
    """A sky is given, the model writes the water; *fly to the* and a thing is given, the model writes the moves."""
    ids = [WORDS.END, *sky_ids(sky)]
    sampler = Sampler(temperature=temperature)
    for n, then in ((SKY_CELLS, WORDS.words(goal)), (2 * MOVES, [])):
        ids += [one.id for one in generate(model, torch.tensor(ids), n, sampler=sampler, seed=seed)]
        ids += then
    log_probs = model.log_probs(torch.tensor([ids[:-1]]))[0]
    return Row(tuple(ids), tuple(float(row[i]) for row, i in zip(log_probs, ids[1:], strict=True)))


def sky_ids(sky: Sequence[int]) -> list[int]:
    """The eight patch ids of a sky without noise."""
    found: list[int] = WORDS.picture_ids(picture(tuple(sky))[None])[0, :SKY_CELLS].tolist()
    return found


def any_token_view(
    row: Row, sky: Sequence[int], goal: int, point: AnyTokenPoint, *, steps: int, seed: int, question: str = "",
    training: bool = False,
) -> AnyTokenView:  # fmt: skip
    """What AnyToken shows of a sky, a goal, and what the model has written about them. Pure."""
    truth: list[int] = WORDS.picture_ids(picture(tuple(sky))[None])[0].tolist()
    patches = row.ids[1 : 1 + N_PATCHES]
    blank = tuple(cell for cell, i in enumerate(patches) if WORDS.kind(i) != "patch")
    wrong = tuple(cell for cell, (a, b) in enumerate(zip(patches, truth, strict=True)) if a != b)
    path = tuple(flight(row.ids[-2 * MOVES :]) or ())
    there = list(sky).index(goal + 1) if goal + 1 in sky else -1
    least = floor()
    kinds = [
        KindLoss(name, loss, low, f"{number(loss)} ({number(low)})")
        for name, loss, low in (
            ("patches", point.losses.patches, least.patches),
            ("words", point.losses.words, least.words),
            ("moves", point.losses.moves, least.moves),
            ("all", point.losses.all, least.all),
        )
    ]
    return AnyTokenView(
        question=question or "Can a text model see and fly?",
        about="AnyToken · 2 layers, D 64 · cpu",
        readout=spans(
            *_stage(point, steps, seed, training), *_picture_said(wrong, point), *_flight_said(path, there, goal, sky)
        ),
        foot=spans(
            mono("ids (B,T) → logits (B,T,V)"), f" · V {WORDS.V}: the end, 14 patches (k-means), 9 words, 256 bins "
            "of a move · one loss, next token · floors: the exact entropy of skies, goals and wind · chance: a picture "
            f"1 in 6,720, a flight 1 in 3 · {steps} steps, seed {seed}",
        ),
        table=[["nats a token", "loss", "floor"], *([k.name, number(k.loss), number(k.floor)] for k in kinds)],
        pixels=_pixels(sky, patches, blank), sky=tuple(THINGS[one - 1] if one else "sky" for one in sky), blank=blank,
        wrong=wrong, path=path, goal=there, tokens=tuple(_tokens(row)), losses=tuple(kinds),
    )  # fmt: skip


def _pixels(sky: Sequence[int], patches: Sequence[int], blank: Sequence[int]) -> bytes:
    """The sky as drawn, and beneath it what the model's patches look like in the codebook."""
    codes = torch.tensor([0 if cell in blank else i - WORDS.first["patch"] for cell, i in enumerate(patches)])
    decoded: Tensor = lake_codebook().decode(codes[None])
    image = rearrange(decoded, "1 (r c) (y x rgb) -> (r y) (c x) rgb", c=COLUMNS, y=SIDE, x=SIDE).clone()
    half = len(image) // 2
    image[:half] = picture(tuple(sky))[:half]
    return bytes((image.clamp(0, 1) * 255).round().to(torch.uint8).flatten().tolist())


def _tokens(row: Row) -> Iterator[Token]:
    yield Token(WORDS.name(WORDS.END), WORDS.END, "end", GIVEN, "where a row begins")
    first_move = 1 + N_PATCHES + 4
    for place, (i, log_prob) in enumerate(zip(row.ids[1:], row.log_probs, strict=True), 1):
        kind, name = WORDS.kind(i), WORDS.name(i)
        by = MODEL if 1 + SKY_CELLS <= place <= N_PATCHES or place >= first_move else YOU
        cell = place - 1 if place <= N_PATCHES else -1
        leg = (place - first_move) // 2 if place >= first_move else -1
        where = f" at row {cell // COLUMNS}, column {cell % COLUMNS}" if cell >= 0 else ""
        axis = f", move {leg + 1} in {'xy'[(place - first_move) % 2]}" if leg >= 0 else ""
        who = "written by the model, which gave it" if by == MODEL else "given; the model expected it with"
        yield Token(name, i, kind, by, f"id {i}, {name}{where}{axis}, {who} {percent(math.exp(log_prob))}", cell, leg)


def _stage(point: AnyTokenPoint, steps: int, seed: int, training: bool) -> list[str | Span]:
    if point.step == 0:
        return ["Press ", bold("Train"), f": so far its weights are random, seed {seed}. "]
    least, said = floor(), [f"Step {point.step} of {steps}: "] if training or point.step < steps else []
    return [*said, model_name(0, "the model" if said else "The model"), " pays ", bold(number(point.losses.all)),
            f" nats a token, the floor is {number(least.all)}. "]  # fmt: skip


def _picture_said(wrong: Sequence[int], point: AnyTokenPoint) -> list[str | Span]:
    low = SKY_CELLS - sum(cell >= SKY_CELLS for cell in wrong)
    whole = f"{round(HELD_OUT * point.completed)} of {HELD_OUT}"
    return ["It mirrors ", bold(f"{low} of {SKY_CELLS}"), f" patches of this sky, and all of them in {whole} fresh "
            "skies. "]  # fmt: skip


def _flight_said(path: Sequence[tuple[float, float]], there: int, goal: int, sky: Sequence[int]) -> list[str | Span]:
    name = THINGS[goal]
    if not path:
        return ["Told to fly to the ", bold(name), " it writes something that is no move."]
    end = nearest_cell(*path[-1])
    found = sky[end] if end < SKY_CELLS else sky[mirrored(end)]
    what = ("the " + THINGS[found - 1] if found else "empty sky") if end < SKY_CELLS else "water"
    if there < 0:
        return ["There is no ", bold(name), "; sent there, it flies to ", bold(what), "."]
    return ["Told to fly to the ", bold(name), " it ends in ", bold("its square" if end == there else what), "."]


class AnyToken(Trains):
    """A picture, words and moves in one row of tokens, and a small transformer that learns to write it on.

    `train()` starts, `stop()` ends after a step, `wait()` returns when it is over. `sky` are eight things, 0 for none
    and 1 to 6 for sun, moon, star, tree, house, balloon, in reading order; `goal` is the thing to fly to. At a
    `temperature` above 0 the model's tokens are drawn, by `draw`. `trial` is the model with its measurements.
    """

    kind = "any_token"
    controls = ("start", "halt", "goal", "temperature", "draw", "seed")
    inputs = ("sky",)

    goal = traitlets.Enum(THINGS, THINGS[1]).tag(
        sync=True, control=Control("select", "Fly to the", options=tuple((name, name) for name in THINGS))
    )
    temperature = traitlets.Float(0.0, min=0.0, max=2.0).tag(
        sync=True, control=Control("slider", "Temperature", min=0, max=2, step=0.1)
    )
    draw = traitlets.Int(0, min=0, max=20).tag(sync=True, control=Control("slider", "Draw", max=20, secondary=True))
    seed = traitlets.Int(0, min=0, max=9).tag(sync=True, control=Control("slider", "Seed", max=9, secondary=True))
    sky: traitlets.List[int] = traitlets.List(
        traitlets.Int(min=0, max=len(THINGS)), minlen=SKY_CELLS, maxlen=SKY_CELLS
    ).tag(sync=True)

    def __init__(self, *, steps: int = STEPS, question: str = "", **traits: Any) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 2_000:
            raise ValueError(f"steps is {steps!r}; give a whole number from 1 to 2,000, such as {STEPS}.")
        self._steps, self._making = steps, threading.Lock()
        scene = scenes(1, seed=3)[0]
        self._first_sky = list(traits.pop("sky", scene.sky))
        traits.setdefault("goal", THINGS[scene.goal])
        super().__init__(question=question, sky=self._first_sky, **traits)

    def forget(self) -> None:
        """Back to random weights."""
        self._trial: AnyTokenTrial | None = None

    @traitlets.observe("seed")
    def _other_run(self, change: Any) -> None:
        self.start_over(change)

    @property
    def trial(self) -> AnyTokenTrial:
        """The model as it is now: `.model`, `.points`."""
        with self._making:  # the training asks for it as well, and both must get the same
            if self._trial is None:
                self._trial = AnyTokenTrial(seed=self.seed, steps=self._steps)
            return self._trial

    def rounds(self) -> Iterator[None]:
        """Twenty steps at a time."""
        trial = self.trial
        yield
        while not trial.is_over:
            trial.advance(20, self.goes_on)
            yield

    def reset(self) -> None:
        """Back to the sky that the cell made, and to random weights."""
        self.sky = list(self._first_sky)
        super().reset()

    @property
    def row(self) -> Row:
        """The ids of the picture, the words and the moves as they stand, and the model's log-probabilities of them."""
        return write_row(
            self.trial.model, self.sky, THINGS.index(self.goal), temperature=self.temperature, seed=self.draw
        )

    def compute(self) -> AnyTokenView:
        return any_token_view(
            self.row, self.sky, THINGS.index(self.goal), self.trial.points[-1], steps=self._steps, seed=self.seed,
            question=self._question, training=self.is_training,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine."""
        asked, end = f"{count(self._steps, 'step')}, seed {self.seed}", self.trial.points[-1]
        if end.step < self._steps:
            return spans(f"{asked}: patches, words and moves in one row, {WORDS.V} ids")
        return spans(
            f"{asked}: over 90 % of reflections right {end.completed > 0.9}, over 60 % of flights {end.followed > 0.6}"
        )
