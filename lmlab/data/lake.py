"""Pictures of a lake and flights over it: a made-up world of which everything is known, for tokens that are no words.

The upper half of a picture is a sky with three things in it, the lower half is water and mirrors it. A drone hovers in
the middle, is told which thing to fly to, and makes three moves with a little wind. Pictures have noise, moves are
real numbers; how uncertain each part is can be computed exactly. Lecture, "where we are": everything becomes tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from random import Random

import torch
from einops import rearrange
from torch import Tensor

THINGS = ("sun", "moon", "star", "tree", "house", "balloon")
COLUMNS, ROWS, SIDE = 4, 4, 6  # a picture is four by four patches of six by six pixels
SKY_CELLS = COLUMNS * ROWS // 2
N_THERE = 3  # things in a picture
MOVES = 3
WIND = 0.03  # standard deviation of a move, in both directions; the picture is two wide and two high
PIXEL_NOISE = 0.03

_SPRITES = {
    "sun": ". y y y y . / y y y y y y / y y o o y y / y y o o y y / y y y y y y / . y y y y .",
    "moon": ". . m m m . / . m m m . . / m m m . . . / m m m . . . / . m m m . . / . . m m m .",
    "star": ". . s s . . / . . s s . . / s s s s s s / . s s s s . / . s s s s . / s . . . . s",
    "tree": ". . g g . . / . g g g g . / g g g g g g / g g g g g g / . . b b . . / . . b b . .",
    "house": ". . r r . . / . r r r r . / r r r r r r / . w w w w . / . w k k w . / . w k k w .",
    "balloon": ". p p p p . / p p w w p p / p p w w p p / . p p p p . / . . b b . . / . . b b . .",
}
_COLORS = {
    ".": (0.62, 0.80, 0.96), "y": (1.00, 0.82, 0.20), "o": (1.00, 0.62, 0.12), "m": (0.98, 0.97, 0.85),
    "s": (1.00, 0.98, 0.62), "g": (0.16, 0.52, 0.24), "b": (0.45, 0.28, 0.14), "r": (0.76, 0.23, 0.17),
    "w": (0.97, 0.95, 0.90), "k": (0.30, 0.22, 0.20), "p": (0.72, 0.30, 0.66),
}  # fmt: skip
_WATER = (0.10, 0.28, 0.50)
_DEPTH = 0.45  # how much of what is mirrored is water


@dataclass(frozen=True)
class Scene:
    """One picture and one flight: in each of the eight cells of the sky a thing's number, 0 for none; the thing that
    the drone is sent to (0 to 5, as in THINGS); its moves (x, y), three of them."""

    sky: tuple[int, ...]
    goal: int
    moves: tuple[tuple[float, float], ...]


def scenes(n: int, *, seed: int = 0) -> list[Scene]:
    """`n` scenes: three different things in three cells, all 6,720 skies alike; then a goal among the three, and moves.

    Raises ValueError for n below 1.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n is {n!r}; give a whole number of scenes from 1, for example 4.")
    rng = Random(seed)
    return [_scene(rng) for _ in range(n)]


def _scene(rng: Random) -> Scene:
    cells, there = rng.sample(range(SKY_CELLS), N_THERE), rng.sample(range(len(THINGS)), N_THERE)
    sky = [0] * SKY_CELLS
    for cell, thing in zip(cells, there, strict=True):
        sky[cell] = thing + 1
    pick = rng.randrange(N_THERE)
    mean = move_to(cells[pick])
    moves = tuple((rng.gauss(mean[0], WIND), rng.gauss(mean[1], WIND)) for _ in range(MOVES))
    return Scene(tuple(sky), there[pick], moves)


def place_of(cell: int) -> tuple[float, float]:
    """The middle of a cell, counted in reading order; the picture goes from −1 to 1 both ways, y upward."""
    row, column = divmod(cell, COLUMNS)
    return (2 * column + 1) / COLUMNS - 1, 1 - (2 * row + 1) / ROWS


def move_to(cell: int) -> tuple[float, float]:
    """What a move is in the mean, where the drone is to reach a cell from the middle."""
    x, y = place_of(cell)
    return x / MOVES, y / MOVES


def nearest_cell(x: float, y: float) -> int:
    """The cell of the whole picture, 0 to 15, in whose square a place lies; one outside counts to the edge."""
    column = min(COLUMNS - 1, max(0, math.floor((x + 1) / 2 * COLUMNS)))
    row = min(ROWS - 1, max(0, math.floor((1 - y) / 2 * ROWS)))
    return row * COLUMNS + column


def mirrored(cell: int) -> int:
    """The cell above the water whose reflection is seen in a cell below it, and the other way round.

    >>> mirrored(8), mirrored(12), mirrored(3)
    (4, 0, 15)
    """
    row, column = divmod(cell, COLUMNS)
    return (ROWS - 1 - row) * COLUMNS + column


def picture(sky: tuple[int, ...], *, seed: int | None = None) -> Tensor:
    """A sky and its reflection as red, green and blue from 0 to 1, shape (24, 24, 3); noise only where `seed` is given.

    Raises ValueError for a sky that has not a thing's number, or 0, in each of eight cells.
    """
    if len(sky) != SKY_CELLS or not all(0 <= one <= len(THINGS) for one in sky):
        raise ValueError(f"A sky has eight cells, each 0 or a thing from 1 to {len(THINGS)}, not {sky!r}.")
    return pictures([sky], seed=seed)[0]


def pictures(skies: Sequence[Sequence[int]], *, seed: int | None = None) -> Tensor:
    """Several at once, shape (B, 24, 24, 3)."""
    upper = rearrange(_sprites()[torch.tensor(skies)], "b (r c) y x rgb -> b (r y) (c x) rgb", c=COLUMNS)
    lower = (1 - _DEPTH) * upper.flip(1) + _DEPTH * torch.tensor(_WATER)
    clean = torch.cat([upper, lower], dim=1)
    if seed is None:
        return clean
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return (clean + PIXEL_NOISE * noise).clamp(0, 1)


@cache
def _sprites() -> Tensor:
    """(7, 6, 6, 3): the empty sky, then every thing before the sky."""
    rows = [". " * SIDE * SIDE, *(_SPRITES[name].replace("/", "") for name in THINGS)]
    pixels = torch.tensor([[_COLORS[c] for c in row.split()] for row in rows])
    return rearrange(pixels, "n (y x) rgb -> n y x rgb", x=SIDE)


def bin_entropy(mean: float, n_bins: int) -> float:
    """The entropy, in nats, of a move of this mean with its wind, once it is cut into `n_bins` from −1 to 1."""
    edges = [-math.inf, *(2 * i / n_bins - 1 for i in range(1, n_bins)), math.inf]
    below = [0.5 * (1 + math.erf((edge - mean) / (WIND * math.sqrt(2)))) for edge in edges]
    shares = [b - a for a, b in pairwise(below)]
    return -sum(p * math.log(p) for p in shares if p > 0)


def scene_entropy(n_bins: int) -> tuple[float, float, float]:
    """(sky, goal, moves) of a scene, in nats: what nobody can know beforehand. The reflection adds nothing."""
    skies = math.perm(SKY_CELLS, N_THERE) // math.factorial(N_THERE) * math.perm(len(THINGS), N_THERE)
    means = [move_to(cell) for cell in range(SKY_CELLS)]
    a_move = sum(bin_entropy(x, n_bins) + bin_entropy(y, n_bins) for x, y in means) / len(means)
    return math.log(skies), math.log(N_THERE), MOVES * a_move
