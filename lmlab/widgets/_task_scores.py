"""The held-out tasks of every family, asked of every model behind the page's back: the score grows as it looks."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from lmlab.data.town.tasks import TASK_FAMILIES, Task, town_tasks
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel
from lmlab.training.multitask_study import STEPS, TASKS, Pair, mean, mean_and_error, stored_pairs, train_pair
from lmlab.training.shares import Share
from lmlab.training.task_scores import a_character, tasks_log_probs, wins
from lmlab.widgets._base import sentence_of

BY = ("probability", "character")  # the two ways to say which option is ahead
LARGE = 20_000_000  # weights from which on a few tasks at a time are news
LIVE_SEED = 100  # of the first training in the page; those that ship have the first seeds
_NEWS = 0.3  # seconds between two redrawings


class _Behind:
    """Work on a thread of its own that ends after the present step when it is told to, and before Python does."""

    name = ""

    def __init__(self, news: Callable[[], None]) -> None:
        self._news = news
        self.error = ""
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        _BEHIND.add(self)

    def _work(self) -> None:
        raise TypeError(f"{type(self).__name__} does not say what it does.")

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._work, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the present step."""
        self._stopping.set()

    def wait(self, timeout: float = 120.0) -> None:
        """Return when it is over. Raises TimeoutError after `timeout` seconds."""
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise TimeoutError(f"{self.name} was not over within {timeout:g} seconds; it goes on.")


_BEHIND: weakref.WeakSet[_Behind] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """A thread that is inside torch when the interpreter goes away takes the process down with it."""
    for one in list(_BEHIND):
        one.stop()
    for one in list(_BEHIND):
        if one._thread is not None:
            one._thread.join(10)


class TaskScores(_Behind):
    """Counts of right answers, by model and family; `news` is called on the thread that counts.

    One thread, which begins with the family that is looked at (`first`).
    """

    name = "lmlab task scores"

    def __init__(self, models: Sequence[TextModel], n: int, news: Callable[[], None]) -> None:
        super().__init__(news)
        self._models, self.n = models, n
        self.first = TASK_FAMILIES[0]
        self._found: dict[tuple[int, str], list[tuple[bool, bool]]] = {}
        self._lock = threading.Lock()  # guards one model and family from being asked twice

    def start(self) -> None:
        """Begin to count; a second call does nothing."""
        if self._thread is None:
            self._begin()

    def share(self, slot: int, family: str, by: str = "probability") -> Share | None:
        """The share of tasks that a model got right so far, None before the first."""
        found = self._found.get((slot, family), [])
        return Share(sum(one[BY.index(by)] for one in found), len(found)) if found else None

    def complete(self, slot: int, family: str) -> Share:
        """Ask a model what is left of a family, now; the share of all its tasks that it got right."""
        while len(self._found.get((slot, family), ())) < self.n:
            self._ask(slot, family)
        share = self.share(slot, family)
        assert share is not None
        return share

    def _ask(self, slot: int, family: str) -> None:
        with self._lock:
            done = self._found.setdefault((slot, family), [])
            network = self._models[slot].model
            large = isinstance(network, Transformer) and network.n_params > LARGE
            tasks = town_tasks(family, self.n)[len(done) :][: 10 if large else 50]
            scores = tasks_log_probs(self._models[slot], tasks) if tasks else []
            done.extend(_right(row, task) for row, task in zip(scores, tasks, strict=True))

    def _work(self) -> None:
        told = 0.0
        try:
            while (open_ := self._next()) is not None and not self._stopping.is_set():
                self._ask(*open_)
                if time.monotonic() - told > _NEWS:
                    told = time.monotonic()
                    self._news()
        except Exception as error:
            self.error = sentence_of(error, "The score")
        if not self._stopping.is_set():
            self._news()

    def _next(self) -> tuple[int, str] | None:
        families = [self.first, *(f for f in TASK_FAMILIES if f != self.first)]
        left = ((slot, f) for f in families for slot in range(len(self._models)))
        return next((key for key in left if len(self._found.get(key, ())) < self.n), None)


def _right(log_probs: Sequence[float], task: Task) -> tuple[bool, bool]:
    return wins(log_probs, task.right), wins(a_character(log_probs, task.options), task.right)


class Study(_Behind):
    """One model for all against a model a kind: what ships, and what is trained here at the smallest budget."""

    name = "lmlab multitask study"

    def __init__(self, news: Callable[[], None]) -> None:
        super().__init__(news)
        self.stored = stored_pairs()
        self.live: list[Pair] = []
        self.at = 0  # the step that is being trained, 0 while none is

    def start(self) -> None:
        """Train both sides once more, with another seed; does nothing while it trains."""
        if self._thread is None or not self._thread.is_alive():
            self.at, self.error = 1, ""
            self._begin()

    def _work(self) -> None:
        told = 0.0

        def keep_on() -> bool:
            nonlocal told
            self.at += 1
            if time.monotonic() - told > _NEWS:
                told = time.monotonic()
                self._news()
            return not self._stopping.is_set()

        try:
            pair = train_pair(STEPS[0], LIVE_SEED + len(self.live), keep_on)
            self.live += [pair] if pair else []
        except Exception as error:
            self.error = sentence_of(error, "The training")
        self.at = 0
        if not self._stopping.is_set():
            self._news()


def beneath_state(names: Sequence[str], scores: TaskScores, study: Study) -> dict[str, Any]:
    """Scores and losses as the page draws them."""
    rows = [
        {
            "family": family,
            "models": [[_score(scores.share(slot, family, by)) for slot in range(len(names))] for by in BY],
        }
        for family in TASK_FAMILIES
    ]
    return {
        "names": list(names), "n": scores.n, "rows": rows, "error": scores.error or study.error,
        "points": [study_point(steps, study.stored) for steps in STEPS],
        "live": [[mean(pair.one), mean(pair.five)] for pair in study.live],
        "at": study.at, "steps": 2 * STEPS[0] * len(TASKS),
    }  # fmt: skip


def study_point(steps: int, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Of one budget: steps in all, and of both sides the mean loss over seeds with its standard error, and by kind."""
    here = [pair for pair in pairs if pair.steps == steps]
    sides = {"one": [pair.one for pair in here], "five": [pair.five for pair in here]}
    found: dict[str, Any] = {"steps": steps * len(TASKS), "seeds": len(here)}
    for side, losses in sides.items():
        found[side] = list(mean_and_error([mean(one) for one in losses]))
        found[f"{side}_kinds"] = {kind: mean_and_error([one[kind] for one in losses])[0] for kind in TASKS}
    return found


def _score(share: Share | None) -> list[float] | None:
    """Right, asked, and the interval."""
    return [share.hits, share.n, share.low, share.high] if share else None
