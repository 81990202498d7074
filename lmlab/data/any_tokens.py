"""Pictures, words and moves in one vocabulary: a picture is cut into patches, a move into bins, a word is a word.

Nothing in a model knows which is which. Patches: Dosovitskiy et al. 2021 (arXiv 2010.11929); a codebook, so that a
patch is one of a few numbers: van den Oord et al. 2017 (arXiv 1711.00937), there learned with an autoencoder, here by
k-means; moves in 256 bins: Brohan et al. 2023 (RT-2, arXiv 2307.15818).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import ClassVar

import torch
from einops import rearrange
from torch import Tensor

from lmlab.data.batches import Batch, BatchStream
from lmlab.data.lake import COLUMNS, MOVES, ROWS, SIDE, THINGS, Scene, pictures, scenes

N_CODES, N_BINS = 14, 256
N_PATCHES = ROWS * COLUMNS
WORDS = ("fly", "to", "the", *THINGS)
KINDS = ("end", "patch", "word", "move")
_PRACTICE = 60  # pictures from which the codebook is made


def patchify(images: Tensor, side: int = SIDE) -> Tensor:
    """Cut images (B, 24, 24, 3) into squares of `side` pixels, in reading order, each flat: (B, T, D)."""
    return rearrange(images, "b (r y) (c x) rgb -> b (r c) (y x rgb)", y=side, x=side)


class Codebook:
    """`patches` (K, D), the typical patches; a patch is told by the number of the nearest."""

    def __init__(self, patches: Tensor) -> None:
        self.patches = patches

    @classmethod
    def fit(cls, patches: Tensor, n_codes: int, *, seed: int = 0, rounds: int = 10) -> Codebook:
        """k-means (Lloyd 1982) on patches (B, D), begun with patches that are far from one another.

        Raises ValueError for more codes than patches.
        """
        if not 1 <= n_codes <= len(patches):
            raise ValueError(f"{n_codes} codes cannot be found in {len(patches)} patches; give more patches.")
        first = int(torch.randint(len(patches), (1,), generator=torch.Generator().manual_seed(seed)))
        centers = patches[first][None]
        while len(centers) < n_codes:  # the patch that is farthest from all that are chosen
            centers = torch.cat([centers, patches[torch.cdist(patches, centers).amin(1).argmax()][None]])
        for _ in range(rounds):
            nearest = torch.cdist(patches, centers).argmin(1)
            sums = torch.zeros_like(centers).index_add(0, nearest, patches)
            sizes = nearest.bincount(minlength=n_codes)[:, None]
            centers = torch.where(sizes > 0, sums / sizes.clamp(min=1), centers)
        return cls(centers)

    def encode(self, patches: Tensor) -> Tensor:
        """The nearest typical patch of each: (B, T, D) to numbers (B, T)."""
        return torch.cdist(patches, self.patches).argmin(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """The typical patches of numbers: (B, T) to (B, T, D)."""
        return self.patches[codes]


@cache
def lake_codebook() -> Codebook:
    """The codebook of the lake's pictures, found by k-means in sixty of them."""
    there = scenes(_PRACTICE, seed=4_000)
    seen = pictures([one.sky for one in there], seed=4_000)
    return Codebook.fit(patchify(seen).flatten(0, 1), N_CODES)


def to_bin(value: float, n_bins: int = N_BINS) -> int:
    """A number from −1 to 1 as one of `n_bins` equal bins; what lies outside goes to the last.

    >>> to_bin(-1.0), to_bin(0.0), to_bin(1.0)
    (0, 128, 255)
    """
    return min(n_bins - 1, max(0, int((value + 1) / 2 * n_bins // 1)))


def from_bin(index: int, n_bins: int = N_BINS) -> float:
    """The middle of a bin."""
    return (2 * index + 1) / n_bins - 1


class AnyVocabulary:
    """One list of ids for everything: the end, patch codes, words, bins of moves; `V` of them.

    A row is: end, sixteen patches, *fly to the* and a thing, three moves of two bins each, end.
    """

    END = 0
    first: ClassVar[dict[str, int]] = {"end": 0, "patch": 1, "word": 1 + N_CODES, "move": 1 + N_CODES + len(WORDS)}
    V = 1 + N_CODES + len(WORDS) + N_BINS
    row = N_PATCHES + 4 + 2 * MOVES + 2  # ids in a row, both ends counted

    def kind(self, token: int) -> str:
        """ "patch", "word", "move" or "end"."""
        return max((name for name in KINDS if self.first[name] <= token), key=lambda name: self.first[name])

    def name(self, token: int) -> str:
        """What an id stands for, as text: ``patch 3``, ``moon``, ``−0.11``, ``⟨end⟩``."""
        kind = self.kind(token)
        index = token - self.first[kind]
        if kind == "move":
            return f"{from_bin(index):+.2f}".replace("-", "−")
        return "⟨end⟩" if kind == "end" else WORDS[index] if kind == "word" else f"patch {index}"

    def picture_ids(self, images: Tensor) -> Tensor:
        """(B, 24, 24, 3) to ids (B, T), sixteen a picture."""
        return lake_codebook().encode(patchify(images)) + self.first["patch"]

    def words(self, goal: int) -> list[int]:
        """*fly to the* and a thing."""
        return [self.first["word"] + i for i in (0, 1, 2, 3 + goal)]

    def moves(self, moves: Sequence[tuple[float, float]]) -> list[int]:
        """Two bins a move, x and y."""
        return [self.first["move"] + to_bin(value) for move in moves for value in move]

    def rows(self, there: Sequence[Scene], *, seed: int) -> Tensor:
        """Scenes as ids (B, T); `seed` draws the noise of their pictures."""
        codes = self.picture_ids(pictures([one.sky for one in there], seed=seed))
        rest = torch.tensor([[*self.words(one.goal), *self.moves(one.moves), self.END] for one in there])
        ends = torch.full((len(there), 1), self.END)
        return torch.cat([ends, codes, rest], dim=1)


class SceneStream(BatchStream):
    """Endless batches of fresh scenes, inputs and targets (B, T), T = 27; each follows from the seed and its place."""

    def __init__(self, *, B: int, seed: int = 0) -> None:
        self.vocabulary = AnyVocabulary()
        super().__init__(torch.zeros(0), T=self.vocabulary.row - 1, B=B, seed=seed)

    def rows_at(self, position: int) -> Tensor:
        """The rows (B, T + 1) of one batch."""
        draw = self.seed * 1_000_003 + position
        return self.vocabulary.rows(scenes(self.B, seed=draw), seed=draw)

    def __next__(self) -> Batch:
        rows = self.rows_at(self._position)
        self._position += 1
        return Batch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous())
