"""PolicyTraining: a language model writes answers, is paid for them, and changes; look what it says for the money.

What it is paid and what was wanted stand apart: where the reward rises and the truth falls, the reward is hacked. A
price on the distance from the reference holds the policy back; a run at another price stays in grey, to compare.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import traitlets

from lmlab.data.preferences import Prompt
from lmlab.models.reward import RewardModel
from lmlab.text_model import TextModel
from lmlab.training.policy_trial import PER_PROMPT, RATE, STEPS, TOKENS, B, PolicyPoint, PolicyTrial, Rated
from lmlab.training.rollouts import Reward
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView
from lmlab.widgets._policy_figure import EarlierRun, Points, policy_figure
from lmlab.widgets._rewarded import Rewarded, cut, went
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, spans

LONGEST = 60  # characters of an answer in the sentence
_AGAINST = {
    "fell": "It gets what it is paid for, not what was wanted: the reward is hacked. ",
    "stayed": "It is paid more and is worth no more. ",
}


def moved(points: Points, what: str) -> str:
    """Whether reward or truth "rose", "fell" or "stayed" from the first points to the last; empty where unknown.

    >>> points = [PolicyPoint(step=i, reward=i, truth=None, kl=0, n_tokens=1) for i in range(9)]
    >>> moved(points, "reward"), moved(points, "truth")
    ('rose', '')
    """
    values = [getattr(point, what) for point in points]
    return "" if None in values else went(values)


def training_view(
    points: Points, answers: Sequence[Rated], before: EarlierRun | None, *, steps: int, kl: float, seed: int,
    truth: bool, name: str, n_prompts: int,
) -> FigureView:  # fmt: skip
    """What PolicyTraining shows of a run so far, beside one at another price. Pure."""
    return FigureView(
        question="What does it say for the money?",
        about=f"PolicyTraining · {name} · cpu",
        readout=_said(points, answers, steps, kl, seed),
        foot=spans(
            mono("answers (B,T) → advantages (B,)"),
            f" · {count(n_prompts, 'prompt')}, {PER_PROMPT} answers to each, leave-one-out · "
            "each point is the mean over the answers of one step · KL: log π/π_ref of an answer · seed ",
            str(seed),
        ),
        labels={"kl:value": "free" if kl == 0 else number(kl)},
        table=[
            ["step", "reward", "truth", "KL, nats an answer", "tokens an answer"],
            *([str(p.step), number(p.reward), "–" if p.truth is None else number(p.truth), number(p.kl),
               number(p.n_tokens, 1)] for p in (points[:1] if len(points) < 2 else (points[0], points[-1]))),
        ],
        figure=policy_figure(points, before, steps=steps, revision=f"{kl} {seed} {len(points)}", truth=truth),
        height=345,
    )  # fmt: skip


def _said(points: Points, answers: Sequence[Rated], steps: int, kl: float, seed: int) -> Spans:
    price = f"at a price of β = {number(kl)} a nat" if kl else "with nothing to pay for distance"
    if not points:
        return spans("Press ", bold("Train"), f": {count(steps, 'step')} {price}, seed {seed}.")
    first, now = points[0], points[-1]
    said: list[str | Span] = [f"Step {now.step} of {steps}: ", model_name(0, "the answers"), " earn "]
    said += [bold(number(now.reward)), f" (at first {number(first.reward)})"]
    if now.truth is not None and first.truth is not None:
        said += [" and are worth ", bold(number(now.truth)), f" ({number(first.truth)})"]
    said += [", ", bold(f"{number(now.kl)} nats"), " from the reference. "]
    if moved(points, "reward") == "rose" and moved(points, "truth") in _AGAINST:
        said += [_AGAINST[moved(points, "truth")]]
    if answers:
        best = max(answers, key=lambda one: one.reward)
        said += ["Best paid: ", mono(cut(best.answer, LONGEST)), f", {number(best.reward)}."]
    return spans(*said)


class PolicyTraining(Rewarded):
    """`policy`, a chat model, is trained on `reward`, a RewardModel or a function of (prompt, answer), to `prompts`.

    `truth`, a function of the same two, is what was wanted: it is measured and never paid for. `kl` is the price of a
    nat away from the policy as it was. `train()` starts, `stop()` ends after a step, `wait()` returns when it is over;
    `points` are what was measured, `answers` those of the last step, `policy` the model as it then is. Further names
    (`steps`, `lr`, `batch`, `max_new_tokens`) are those of the training.
    """

    controls = ("start", "kl", "halt", "seed")

    kl = traitlets.Float(0.1, min=0.0, max=1.0).tag(
        sync=True, control=Control("slider", "Price of distance, β", min=0, max=1, step=0.05)
    )

    def __init__(
        self, policy: TextModel, prompts: Sequence[Prompt], reward: Reward | RewardModel, *,
        truth: Callable[[Any, str], float] | None = None, steps: int = STEPS, lr: float = RATE, batch: int = B,
        max_new_tokens: int = TOKENS, question: str = "", **traits: Any,
    ) -> None:  # fmt: skip
        self._before: EarlierRun | None = None
        self._base, self._n_prompts, self._steps, self._truth = policy, len(prompts), steps, truth is not None
        self._settings = functools.partial(
            PolicyTrial, policy, prompts, reward, truth=truth, steps=steps, lr=lr, batch=batch,
            max_new_tokens=max_new_tokens,
        )  # fmt: skip
        self._settings()  # what cannot be trained is refused now
        super().__init__(question=question, **traits)

    def begin(self) -> PolicyTrial:
        """At the present price, from the present seed."""
        return self._settings(kl=self.kl, seed=self.seed)

    def forget(self) -> None:
        """Drop the run; one that was finished stays in grey beside runs at other prices."""
        trial = self._trial
        super().forget()
        if trial is not None and trial.is_over and trial.stream.kl != self.kl:
            self._before = EarlierRun(trial.stream.kl, tuple(trial.points))

    def reset(self) -> None:
        """Back to the state that the cell made, with nothing trained and nothing beside it."""
        super().reset()
        self._before = None
        self.refresh()

    @property
    def points(self) -> tuple[PolicyPoint, ...]:
        """What was measured, a point a step."""
        return tuple(self._trial.points) if self._trial else ()

    def compute(self) -> FigureView:
        return training_view(
            self.points, self.answers, self._before, steps=self._steps, kl=self.kl, seed=self.seed,
            truth=self._truth, name=self._base.name, n_prompts=self._n_prompts,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine: what was asked, and which way reward and truth went."""
        asked = f"{count(self._steps, 'step')}, β = {number(self.kl)}, seed {self.seed}"
        if not self.is_over:
            return spans(asked)
        ways = [(name, moved(self.points, name)) for name in ("reward", "truth")]
        found = ", ".join(f"the {name} {way}" for name, way in ways if way)
        return spans(f"{asked}: {found}" if found else asked)
