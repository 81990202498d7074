"""What EvaluationError shows: one model's tests, two models on the same questions, a leak; each a pure function."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lmlab.training.evaluation_error import (
    LEAK_B,
    Comparison,
    LeakTrial,
    Right,
    Test,
    compared,
    coverage,
    draws,
    questions_needed,
    repeated_tests,
)
from lmlab.widgets import _evaluation_figure as figures
from lmlab.widgets._figure import FigureView
from lmlab.widgets._style import NARROW, Span, Spans, bold, count, model_name, number, percent, spans

DRAWN, COUNTED = 40, 1_000  # tests that are drawn on the page, and those over which coverage is counted
QUESTION = {
    "one": "How far can a test’s score be from what the model can do?",
    "two": "Which of two models is better?",
    "leaked": "What is a score worth if the model has read the test?",
}
HOW = {
    "wilson": "Wilson 1927: shares that the count does not speak against",
    "naive": "naive: share ± 1.96 estimated standard errors",
    "wilson pairs": "Newcombe 1998: the two models’ Wilson intervals as one, question by question",
    "naive pairs": "naive: ± 1.96 standard errors of the differences, question by question",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationView(FigureView):
    """``show`` is "one", "two" or "leaked". ``share`` (0 to 1) of the whole pool is right, or is the difference of
    two models; ``tests`` are drawn, (value, low, high) each; ``covered`` is the share of a thousand that hold it."""

    show: str
    share: float
    tests: tuple[tuple[float, float, float], ...]
    covered: float


def one_view(name: str, family: str, right: Right, *, n: int, interval: str, seed: int) -> EvaluationView:
    """A model's test of n questions, and others like it. Pure."""
    tests = repeated_tests(right, n, repeats=COUNTED, seed=seed, interval=interval)
    share, covered = float(right.mean()), coverage(tests, float(right.mean()))
    mine = tests[0]
    rows = tuple((t.share, t.low, t.high) for t in tests[:DRAWN])
    ends = f"anything from {percent(max(0, mine.low))} to {percent(min(1, mine.high))}"
    said = spans(
        model_name(0, name), " is right on ", bold(f"{mine.n_right} of {n}"), f": {percent(mine.share)}, and ",
        bold(ends), f" fits as well. On all {len(right):,} questions it is ", bold(percent(share)),
        f". Of {COUNTED:,} such tests, ", *_holds(covered, interval), f" it; 95{NARROW}% is what was promised.",
    )  # fmt: skip
    return EvaluationView(
        question=QUESTION["one"],
        about=f"EvaluationError · {name} · {family}",
        readout=said,
        foot=_foot(len(right), interval),
        table=[["test", "right", "from", "to", "holds"], *(_row(i, t, share) for i, t in enumerate(tests[:DRAWN], 1))],
        figure=figures.tests_figure(rows, share, n=n, pool=len(right)),
        height=figures.HEIGHT,
        show="one",
        share=share,
        tests=rows,
        covered=covered,
    )


def two_view(
    names: Sequence[str], family: str, rights: Sequence[Right], *, n: int, interval: str, seed: int
) -> EvaluationView:
    """The first model's lead over the second on n questions that both answer, and on others like them. Pure."""
    first, second = rights
    drawn = draws(len(first), n, repeats=COUNTED, seed=seed)
    found = [compared(second[places], first[places], interval=interval) for places in drawn]
    lead, mine = compared(second, first).difference, found[0]
    covered = sum(c.paired[0] <= lead <= c.paired[1] for c in found) / COUNTED
    clear = sum(not c.paired[0] <= 0 <= c.paired[1] for c in found) / COUNTED
    verb = " leads " if mine.difference > 0 else " trails " if mine.difference < 0 else " equals "
    by: list[str | Span] = [" by ", bold(_points(abs(mine.difference)))] if mine.difference else []
    said: list[str | Span] = [
        "On the same ", bold(str(n)), " questions ", model_name(0, names[0]), verb, model_name(1, names[1]), *by,
        ", and any lead ", bold(_from_to(mine.paired)), f" fits as well. Of {COUNTED:,} such tests, ",
        bold(percent(clear)), " see who is ahead, and ", *_holds(covered, interval), " the lead on all. ",
    ]  # fmt: skip
    return EvaluationView(
        question=QUESTION["two"],
        about=f"EvaluationError · 2 models · {family}",
        readout=spans(*said, *_needed(lead, questions_needed(second, first))),
        foot=_foot(len(first), f"{interval} pairs"),
        table=[["test", "lead", "from", "to", "apart, from", "to"], *_pairs(found[:DRAWN])],
        figure=figures.leads_figure(found[:DRAWN], lead, n=n, pool=len(first), names=names),
        height=figures.HEIGHT,
        show="two",
        share=lead,
        tests=tuple((c.difference, *c.paired) for c in found[:DRAWN]),
        covered=covered,
    )


def _needed(lead: float, needed: tuple[int, int] | None) -> list[str | Span]:
    if needed is None:
        return ["On the whole pool the two are equal."]
    shared, apart = (bold(f"{n:,}") for n in needed)
    return [f"A lead of {_points(abs(lead))} takes about ", shared, " shared questions, or ", apart, " for each."]


def leak_view(name: str, family: str, trial: LeakTrial, *, interval: str) -> EvaluationView:
    """A copy of the model before and after it has read the test's questions with their answers. Pure."""
    n, first, last = len(trial.leaked), trial.points[0], trial.points[-1]
    rows = tuple((p.leaked, p.fresh, float(p.step)) for p in trial.points)
    said = spans(
        f"After {count(last.step, 'step')} on the test’s own {n} questions a copy of ", model_name(0, name),
        " answers ", bold(percent(last.leaked)), f" of them ({percent(first.leaked)} before) and ",
        bold(percent(last.fresh)), f" of {n} fresh ones ({percent(first.fresh)}). The difference, ",
        bold(_points(last.leaked - last.fresh)), ", is memory: a score on questions that were read measures that.",
    )  # fmt: skip
    return EvaluationView(
        question=QUESTION["leaked"],
        about=f"EvaluationError · {name} · {family} · trained here",
        readout=said,
        foot=spans(
            f"{n} different questions, whole, with answers, {min(LEAK_B, n)} a step · fresh: {n} others of the same "
            f"family, none of them in the leak · bars: {HOW[interval]} · the model itself stays as it was"
        ),
        table=[["step", "leaked, right", "fresh, right"], *_steps(trial)],
        figure=figures.leak_figure(trial.points, n, interval),
        height=figures.HEIGHT,
        show="leaked",
        share=last.leaked - last.fresh,
        tests=rows,
        covered=float(last.leaked > last.fresh),
    )


def _holds(covered: float, interval: str) -> list[str | Span]:
    name = {"wilson": "Wilson"}.get(interval, interval)
    return [bold(number(100 * covered, 1) + NARROW + "%"), f" have a {name} interval that holds"]


def _points(difference: float) -> str:
    return f"{number(100 * difference, 1)} points"


def _from_to(ends: tuple[float, float]) -> str:
    return "from " + " to ".join(number(100 * end, 1) for end in ends)


def _row(i: int, test: Test, share: float) -> list[str]:
    ends = [percent(max(0.0, test.low)), percent(min(1.0, test.high))]
    return [str(i), f"{test.n_right} of {test.n}", *ends, "yes" if test.holds(share) else "no"]


def _pairs(found: Sequence[Comparison]) -> list[list[str]]:
    numbers = ((c.difference, *c.paired, *c.apart) for c in found)
    return [[str(i), *(number(100 * x, 1) for x in row)] for i, row in enumerate(numbers, 1)]


def _steps(trial: LeakTrial) -> list[list[str]]:
    return [[str(p.step), percent(p.leaked), percent(p.fresh)] for p in trial.points]


def _foot(pool: int, interval: str) -> Spans:
    return spans(
        f"the pool: {pool:,} questions, drawn afresh · a test: n of them, with replacement · right: the answer is what "
        f"the model writes greedily · {HOW[interval]} · half the width takes four times the questions"
    )
