"""PolicyGradient: one prompt, ten tokens to answer it with, a reward for each. What does training make of the odds?

All of it is exact: the optimum, the gradient, and what every baseline does to the variance of its estimate. The kernel
sends a whole ascent at once, so the page scrubs through it by itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import traitlets

from lmlab.training.exact_policy import BASELINES, Bandit, Baseline, Numbers, ascend, estimator
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._policy_words import BASELINE_NAMES, foot_of, policy_said, small, variance_said
from lmlab.widgets._style import count, number, percent, spans, visible

STEPS, STEP_SIZE = 100, 1.0  # of an ascent, on the logits
DRAWN = 8  # tokens of which variances are told where none is drawn
LEAST, MOST = -2.0, 4.0  # rewards that the picture has room for
WORDS = 10
SAMPLES = {"exact": None, "32": 32, "8": 8, "2": 2}
TASTES = {"given": "as given", "higher": "all 2 higher", "one": "1 for one, else 0", "own": "your own"}

#: A reader who likes good news, and what follows “the stock market crashed and investors” in many a newspaper; ours.
REFERENCE = {" panicked": 0.40, " celebrated": 0.14, " sold": 0.12, " waited": 0.09, " fled": 0.07, " cheered": 0.06,
             " golfed": 0.04, " prayed": 0.03, " danced": 0.03, " yodeled": 0.02}  # fmt: skip
REWARDS = (-1.0, 1.0, -0.2, 0.2, -0.6, 0.7, 0.4, 0.0, 0.6, 0.8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyView(View):
    """``words`` with their rewards, reference and optimum (all V). ``path`` has the policy after each step, (steps + 1,
    V), and ``curves`` expected reward and KL along it, then along the exact ascent, 4 × (steps + 1), all float32.
    ``best`` is the optimum's expected reward and KL; ``variances`` one entry a baseline: name, value, value as text."""

    words: tuple[str, ...]
    rewards: tuple[float, ...]
    reference: tuple[float, ...]
    optimum: tuple[float, ...]
    steps: int
    top: float
    path: bytes
    curves: bytes
    best: tuple[float, float]
    sampled: bool
    variances: tuple[tuple[str, float, str], ...]
    chosen: int
    drawn: int


@lru_cache(32)
def trained(bandit: Bandit, n: int | None, baseline: Baseline, seed: int) -> tuple[Numbers, Numbers]:
    """An ascent from the reference on: log-policies (steps + 1, V), and their expected reward and KL (2, steps + 1)."""
    path = ascend(bandit, steps=STEPS, lr=STEP_SIZE, n=n, baseline=baseline, seed=seed)
    return path, np.array([[f(row) for row in path] for f in (bandit.expected_reward, bandit.kl)])


def policy_view(
    bandit: Bandit, words: tuple[str, ...], *, at: int, n: int | None, baseline: Baseline, seed: int, question: str = ""
) -> PolicyView:
    """What PolicyGradient shows after `at` steps. Pure."""
    path, curve = trained(bandit, n, baseline if n else "none", seed if n else 0)
    _, exact = trained(bandit, None, "none", 0)
    drawn, optimum = n or DRAWN, bandit.optimum
    variances = {name: estimator(bandit, path[at], name, drawn).variance for name in BASELINES}
    policies, now = np.exp(path), np.exp(path[at])
    rows = zip(words, bandit.rewards, bandit.reference, now, optimum, strict=True)
    return PolicyView(
        question=question or "What does a reward do to a distribution?",
        about=f"PolicyGradient · {count(len(words), 'token')} · exact",
        readout=spans(*policy_said(bandit, words, path[at], at), *variance_said(variances, baseline, n, drawn)),
        foot=foot_of(len(words), STEP_SIZE, seed, sampled=n is not None),
        labels={"beta:value": "free" if bandit.beta == 0 else number(bandit.beta)},
        table=[
            ["token", "reward", "reference", f"policy after {count(at, 'step')}", "optimum"],
            *([visible(word), number(r), *map(percent, map(float, odds))] for word, r, *odds in rows),
        ],
        words=tuple(map(visible, words)), rewards=bandit.rewards, reference=bandit.reference,
        optimum=tuple(optimum.tolist()), steps=STEPS,
        top=max(float(policies.max()), float(optimum.max())), path=policies.astype(np.float32).tobytes(),
        curves=np.concatenate([curve, exact]).astype(np.float32).tobytes(),
        best=(bandit.expected_reward(bandit.log_optimum), bandit.kl(bandit.log_optimum)), sampled=n is not None,
        variances=tuple((BASELINE_NAMES[name], value, small(value)) for name, value in variances.items()),
        chosen=BASELINES.index(baseline), drawn=drawn,
    )  # fmt: skip


class PolicyGradient(LabWidget):
    """The odds of ten tokens under a reward: step by step, exactly or from samples, beside the best that there is.

    `reference` gives the tokens with their probabilities (they are made to sum to one), `rewards` a number from −2 to
    2 for each, in that order or by token. `beta` is the price of a nat of KL from the reference, 0 none; `samples` is
    "exact", "32", "8" or "2" drawn tokens a step; `baseline` is taken off their returns. `at` is the step on screen.
    """

    kind = "policy_gradient"
    parts = ("words",)
    controls = ("taste", "beta", "baseline", "samples", "play", "at")
    inputs = ("rewards", "seed")

    taste = traitlets.Enum(tuple(TASTES), "given").tag(
        sync=True, control=Control("select", "Rewards", options=tuple(TASTES.items()))
    )
    beta = traitlets.Float(0.3, min=0.0, max=1.0).tag(
        sync=True, control=Control("slider", "Price of distance, β", min=0, max=1, step=0.05)
    )
    baseline = traitlets.Enum(BASELINES, "none").tag(
        sync=True, control=Control("select", "Baseline", options=tuple(BASELINE_NAMES.items()))
    )
    samples = traitlets.Enum(tuple(SAMPLES), "exact").tag(
        sync=True, control=Control("segments", "Samples a step", options=tuple((s, s) for s in SAMPLES))
    )
    play = traitlets.Unicode().tag(control=Control("button", "▶ Play", main=True))
    at = traitlets.Int(0, min=0, max=STEPS).tag(
        sync=True, control=Control("slider", "Step", min=0, max=STEPS, wide=True)
    )
    rewards: traitlets.List[float] = traitlets.List(traitlets.Float()).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(
        self, reference: Mapping[str, float] | None = None,
        rewards: Sequence[float] | Mapping[str, float] | None = None, *, question: str = "", **traits: Any,
    ) -> None:  # fmt: skip
        self._words, self._reference = _checked(REFERENCE if reference is None else reference)
        if rewards is None:
            rewards = REWARDS if reference is None else [0.0] * (len(self._words) - 1) + [1.0]
        self._given = _rewards(rewards, self._words)
        self._question = question
        taste = traits.get("taste", "given")
        super().__init__(**{"rewards": self._rewards_of(taste), **traits})
        self._first = (list(self.rewards), self.seed)

    def _rewards_of(self, taste: str) -> list[float]:
        """The rewards that a choice of the list stands for; "own" leaves them as they are."""
        top = max(range(len(self._given)), key=lambda i: self._given[i])
        return {
            "given": list(self._given),
            "higher": [r + 2 for r in self._given],
            "one": [float(i == top) for i in range(len(self._given))],
            "own": list(self.rewards) or list(self._given),
        }[taste]

    @traitlets.observe("taste")
    def _other_taste(self, _: Any) -> None:
        if self._ready:
            self.rewards = self._rewards_of(self.taste)

    @traitlets.observe("rewards")
    def _by_hand(self, _: Any) -> None:
        if self._ready and self.rewards != self._rewards_of(self.taste):
            self.taste = "own"

    @property
    def bandit(self) -> Bandit:
        """The task as it stands: reference, rewards and β."""
        if len(self.rewards) != len(self._words) or not all(LEAST <= r <= MOST for r in self.rewards):
            raise ValueError(
                f"rewards is {list(self.rewards)}: give {len(self._words)} numbers from {LEAST:g} to {MOST:g}, "
                "one for each token."
            )
        return Bandit(self._reference, tuple(self.rewards), self.beta)

    @property
    def policy(self) -> dict[str, float]:
        """The policy on screen: each token's probability."""
        n = SAMPLES[self.samples]
        path, _ = trained(self.bandit, n, self.baseline if n else "none", self.seed if n else 0)
        return dict(zip(self._words, np.exp(path[self.at]).tolist(), strict=True))

    def reset(self) -> None:
        """Back to what the cell made."""
        with self.hold_trait_notifications():
            super().reset()
            self.rewards, self.seed = list(self._first[0]), self._first[1]

    def compute(self) -> PolicyView:
        return policy_view(
            self.bandit, self._words, at=self.at, n=SAMPLES[self.samples], baseline=self.baseline, seed=self.seed,
            question=self._question,
        )  # fmt: skip


def _checked(reference: Mapping[str, float]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Words and probabilities that sum to one."""
    total = sum(reference.values())
    if not 2 <= len(reference) <= WORDS or not all(p > 0 for p in reference.values()) or not total < float("inf"):
        raise ValueError(
            f"reference must give 2 to {WORDS} tokens a probability above 0; got {dict(reference)!r:.200}. Leave out "
            "what is impossible: no sample would ever find it."
        )
    return tuple(reference), tuple(p / total for p in reference.values())


def _rewards(rewards: Sequence[float] | Mapping[str, float], words: tuple[str, ...]) -> tuple[float, ...]:
    """One reward a word, from −2 to 2, so that two more still fit the picture."""
    if isinstance(rewards, Mapping):
        if set(rewards) != set(words):
            raise ValueError(f"rewards names {sorted(rewards)}, the reference {sorted(words)}; name the same tokens.")
        rewards = [rewards[word] for word in words]
    if len(rewards) != len(words) or not all(LEAST <= r <= MOST - 2 for r in rewards):
        raise ValueError(
            f"rewards must be {len(words)} numbers from {LEAST:g} to {MOST - 2:g}, one for each token; got "
            f"{list(rewards)!r:.200}."
        )
    return tuple(float(r) for r in rewards)
