"""What a watched training does now and then: a text from its model, its loss on text that it never reads, its floor.

All of it happens on a copy of the model, in a thread of its own, so that neither training nor picture waits.
"""

from __future__ import annotations

import functools
import threading
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from lmlab.data.corpus import Corpus
from lmlab.data.town import Town
from lmlab.data.town.floors import floors
from lmlab.sampling import Sampler
from lmlab.text_model import TextModel
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.following import RunElsewhere, RunHere
from lmlab.training.throughput import flops_per_token, peak_of

SAMPLE_TOKENS, SAMPLES, HELD_OUT = 24, 60, 128
REST = 2.0  # seconds between two looks at the model, at least
LOOKS = 12  # looks at the model in one training, about


@functools.lru_cache(maxsize=16)
def floor_of(tokenizer: Tokenizer, dialect: str, families: tuple[str, ...]) -> float:
    """The entropy of the town, or of some families, in nats a token: no loss stays below it. About a second."""
    return floors(tokenizer, Town(dialect, families), n=max(8, 100 // len(families)))["all"].nats_per_token


def held_out_rows(corpus: Corpus, tokenizer: Tokenizer, T: int) -> Tensor:
    """(B, T + 1) ids of a corpus that is not trained on; B is 128 at most. Raises ValueError where it is too short."""
    ids = corpus.ids(tokenizer)
    n = min(HELD_OUT, len(ids) // (T + 1))
    if n < 1:
        raise ValueError(f"held_out has {len(ids):,} tokens, less than one row of {T + 1}; give more documents.")
    return ids[: n * (T + 1)].view(n, T + 1)


@torch.no_grad()
def loss_on(model: TextModel, rows: Tensor) -> float:
    """The mean surprise of a model at rows (B, T + 1), in nats a token."""
    log_probs = model.model.log_probs(rows[:, :-1])
    return float(F.nll_loss(log_probs.flatten(0, 1).float(), rows[:, 1:].flatten()))


class Looks:
    """Looks at the model of a followed training every now and then. `samples` and `held_out` only grow."""

    def __init__(
        self, source: RunHere | RunElsewhere, prompt: str, held_out: Corpus | None, floor: float | Town | None
    ) -> None:
        self.source, self.prompt, self.corpus = source, prompt, held_out
        self.samples: list[tuple[int, str]] = []
        self.held_out: list[tuple[int, float]] = []
        self.known_floor = None if floor is None or isinstance(floor, Town) else float(floor)
        self.failed = ""
        self.share: float | None = None  # a token a second as a part of what the device could do
        self._town = floor if isinstance(floor, Town) else None
        self._thread: threading.Thread | None = None
        self._seen, self._next, self._rested = -1, 0, 0.0

    def floor(self) -> float | None:
        """The least possible loss, in nats a token: as given, of the town as given, or of the town in the recipe."""
        town = self._town
        if town is None and isinstance(self.source, RunElsewhere) and self.known_floor is None:
            recipe = self.source.recipe
            town = Town(recipe.corpus.dialect) if recipe and recipe.corpus.name == "town" else None
        if self.known_floor is None and town is not None and self.source.tokenizer is not None:
            self.known_floor = floor_of(self.source.tokenizer, town.dialect, town.families)
        return self.known_floor

    def maybe(self, *, ended: bool) -> bool:
        """Begin a look if it is time; True when the training has ended and its last model has been looked at."""
        if self._thread is not None and self._thread.is_alive():
            return False
        newest = self.source.newest
        rested = self.source.can_steer or time.monotonic() - self._rested > REST
        if self.failed or newest is None or newest <= self._seen:
            return ended
        if ended or (newest >= self._next and rested):
            self._next = newest + max(1, (self.source.steps or 50 * LOOKS) // LOOKS)
            self._thread = threading.Thread(target=self._look, name="lmlab looks at a model", daemon=True)
            self._thread.start()
        return False

    def _look(self) -> None:
        try:
            self.floor()
            if self.share is None and isinstance(self.source, RunHere):
                state, T = self.source.run.state, getattr(self.source.run.batches, "T", 1)
                self.share = flops_per_token(state.model, int(T)) / peak_of(state.device).flops
            found = self.source.model()
            if found is not None and found[0] > self._seen:
                self._take(*found)
        except Exception as error:
            self.failed = f"The model could not be looked at ({type(error).__name__}: {error})."
        finally:
            self._rested = time.monotonic()

    def _take(self, step: int, model: TextModel) -> None:
        rows = self._rows(model)
        if rows is not None:
            self.held_out.append((step, loss_on(model, rows)))
        text = model.generate(self.prompt, SAMPLE_TOKENS, sampler=Sampler(temperature=0.8), seed=0).text
        self.samples = [*self.samples[-SAMPLES:], (step, text)]
        self._seen = step

    def _rows(self, model: TextModel) -> Tensor | None:
        if self.corpus is None:
            return None
        recipe = self.source.recipe if isinstance(self.source, RunElsewhere) else None
        batches = self.source.run.batches if isinstance(self.source, RunHere) else None
        T = recipe.training.T if recipe else int(getattr(batches, "T", model.max_seq_len or 64))
        return held_out_rows(self.corpus, model.tokenizer, T)
