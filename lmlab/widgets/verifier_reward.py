"""VerifierReward: reinforcement with a verifier, live; then with a broken one, which is paid for nothing true.

What the verifier pays and what is right are measured apart, the second on questions that no training asks. A verifier
that looks an answer up cannot be fooled; one that looks at the form alone is, unless a price on KL holds the model.
"""

from __future__ import annotations

from typing import Any

import traitlets

from lmlab.text_model import TextModel
from lmlab.training.policy_trial import Rated
from lmlab.training.verifier_trial import PER_PROMPT, STEPS, B, VerifierPoint, VerifierTrial
from lmlab.widgets._base import Control
from lmlab.widgets._figure import FigureView
from lmlab.widgets._rewarded import Rewarded, went
from lmlab.widgets._style import Spans, count, mono, number, spans
from lmlab.widgets._verifier_words import VERIFIERS, Points, examined, figure, said


def verifier_view(
    points: Points, answers: tuple[Rated, ...], *, verifier: str, steps: int, kl: float, seed: int, name: str
) -> FigureView:
    """What VerifierReward shows of a run so far. Pure."""
    exams = examined(points)
    return FigureView(
        question="Paid for the right answer, or for what looks like one?",
        about=f"VerifierReward · {name} · cpu",
        readout=said(points, answers, verifier=verifier, steps=steps, kl=kl, seed=seed),
        foot=spans(
            mono("answers (B,T) → advantages (B,)"),
            f" · paid: mean of {B} answers a step, {PER_PROMPT} to a prompt, leave-one-out · right: the exact "
            f"probability of a right recipe, about things that no training asks · the broken verifier pays short "
            f"answers more · seed {seed}",
        ),
        labels={"kl:value": "free" if kl == 0 else number(kl)},
        table=[
            ["step", "right, held out"],
            *([str(step), f"{100 * share:.0f} %"] for step, share in exams[:: len(exams) - 1 or 1]),
        ],
        figure=figure(points, answers, steps=steps, revision=f"{verifier} {kl} {seed} {len(points)}"),
        height=380,
    )


class VerifierReward(Rewarded):
    """`policy`, a chat model such as `lab.load("town-sft")`, learns from a verifier how to give recipes of the town.

    `verifier` is "right", which looks every answer up, or "form", which is broken: anything that reads like a recipe is
    paid, a short one more. `kl` is the price of a nat away from the policy as it was. `train()` starts, `stop()` ends
    after a step, `wait()` returns when it is over; `points` and `answers` are what was measured, `policy` the model as
    it then is. `question` is another heading.
    """

    controls = ("start", "verifier", "kl", "halt", "seed")

    verifier = traitlets.Enum(tuple(VERIFIERS), "right").tag(
        sync=True, control=Control("segments", "Verifier", options=tuple(VERIFIERS.items()))
    )
    kl = traitlets.Float(0.1, min=0.0, max=0.5).tag(
        sync=True, control=Control("slider", "Price of KL, β", min=0, max=0.5, step=0.05)
    )

    def __init__(self, policy: TextModel, *, steps: int = STEPS, question: str = "", **traits: Any) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 400:
            raise ValueError(f"steps is {steps!r}; give a whole number from 1 to 400, such as {STEPS}.")
        if not isinstance(policy, TextModel):
            raise ValueError(f"VerifierReward trains a chat model such as lab.load('town-sft'), not {policy!r:.60}.")
        self._base, self._steps = policy, steps
        VerifierTrial(policy, steps=steps)  # what cannot be trained is refused now
        super().__init__(question=question, **traits)

    @traitlets.observe("verifier")
    def _other_verifier(self, change: Any) -> None:
        self.start_over(change)

    def begin(self) -> VerifierTrial:
        """With the present verifier, at the present price, from the present seed."""
        return VerifierTrial(self._base, verifier=self.verifier, kl=self.kl, steps=self._steps, seed=self.seed)

    @property
    def points(self) -> tuple[VerifierPoint, ...]:
        """What was measured, a point a step."""
        return tuple(self._trial.points) if self._trial else ()

    def compute(self) -> FigureView:
        return verifier_view(
            self.points, self.answers, verifier=self.verifier, steps=self._steps, kl=self.kl, seed=self.seed,
            name=self._base.name,
        )  # fmt: skip

    @property
    def facts(self) -> Spans:
        """What holds on every machine: what was asked, and which way pay and truth went."""
        asked = f"{count(self._steps, 'step')}, verifier {VERIFIERS[self.verifier]}, seed {self.seed}"
        if not self.is_over:
            return spans(asked)
        paid = went([p.paid for p in self.points])
        right = went([share for _, share in examined(self.points)], n=1)
        return spans(f"{asked}: pay {paid}, right answers {right}" if paid and right else asked)
