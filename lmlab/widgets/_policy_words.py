"""What PolicyGradient says: where the policy stands, how far the best one is, what a baseline does to the estimate."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lmlab.training.exact_policy import Bandit, Baseline, Numbers
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, visible

BASELINE_NAMES: Mapping[Baseline, str] = {
    "none": "none",
    "mean": "batch mean",
    "leave-one-out": "leave-one-out",
    "value": "learned value",
    "optimal": "best number",
}
_LEAVES = {
    "mean": "The batch mean leaves",
    "leave-one-out": "Leave-one-out leaves",
    "value": "A learned value leaves",
    "optimal": "The best number leaves",
}


def small(value: float) -> str:
    """A variance: three digits after the point, small ones to two significant digits.

    >>> small(0.3327), small(0.00123), small(0)
    ('0.333', '0.0012', '0')
    """
    if value < 1e-4:
        return "0" if value <= 1e-12 else "under 0.0001"
    return number(value, 2 if value >= 1 else 3 if value >= 0.01 else 1 - math.floor(math.log10(value)))


def policy_said(bandit: Bandit, words: tuple[str, ...], log_policy: Numbers, at: int) -> list[str | Span]:
    """The policy after some steps, and the best one at this price."""
    earns = number(bandit.expected_reward(log_policy))
    best, price = bandit.optimum, f"β = {number(bandit.beta)}"
    target, far = bandit.expected_reward(bandit.log_optimum), number(bandit.kl(bandit.log_optimum))
    if at == 0:
        said: list[str | Span] = ["Before any step the ", model_name(0, "policy"), " is the reference and earns "]
        said += [bold(earns), " on average"]
    else:
        said = [f"After {count(at, 'step')} the ", model_name(0, "policy"), " earns ", bold(earns), " on average, "]
        said += [bold(f"{number(bandit.kl(log_policy))} nats"), " from the reference"]
    if bandit.beta > 0:
        return [*said, f"; the optimum at {price} earns {number(target)}, {far} nats away. "]
    winner = mono(visible(words[int(best.argmax())]))
    if best.max() > 0.9999:
        return [*said, "; where distance is free, the optimum says ", winner, f" always, {far} nats away. "]
    return [*said, f"; where distance is free, the optimum earns {number(target)}, {far} nats away. "]


def variance_said(
    variances: Mapping[Baseline, float], baseline: Baseline, n: int | None, drawn: int
) -> list[str | Span]:
    """What the chosen baseline does to the variance of the estimate, against none."""
    none, chosen = variances["none"], variances[baseline]
    if none <= 1e-12:
        return ["Every sample says zero: there is nothing to learn here."]
    if n is None:
        said: list[str | Span] = [
            "The gradient is exact, a sum over all tokens; ",
            f"{drawn} samples and no baseline would estimate it",
        ]
        return [*said, " with variance ", bold(small(none)), "."]
    if baseline == "none":
        least = percent(variances["optimal"] / none)
        said = [f"Without a baseline the estimate from {n} samples has variance ", bold(small(none))]
        return [*said, f"; the best number would leave {least} of it."]
    said = [f"{_LEAVES[baseline]} {n} samples a variance of ", bold(small(chosen)), ", ", *_against(chosen / none)]
    return [*said, f", but gradients 1/{n} too short." if baseline == "mean" else "."]


def _against(ratio: float) -> list[str | Span]:
    if 0.95 < ratio < 1.05:
        return ["as much as without a baseline"]
    if ratio < 1:
        return [bold(percent(ratio)), " of that without a baseline"]
    return [bold(f"{number(ratio, 1)} times"), " that without a baseline"]


def foot_of(V: int, lr: float, seed: int, *, sampled: bool) -> Spans:
    """Shapes, step size, and what the outline is."""
    return spans(
        mono("logits (V,) → softmax → π (V,)"),
        f" · V = {V} · gradient ascent, step {lr:g}" + (f", seed {seed}" if sampled else ""),
        " · outline = the optimum, π_ref·e^(r/β) normalized · variance: summed over the V logits",
    )
