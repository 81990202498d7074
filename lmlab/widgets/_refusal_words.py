"""What RefusalMatrix says: of the chosen cell how often it was refused and told, and which ways of asking are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lmlab.training.refusal_rounds import HARMLESS_ROW, Exchange, Round, share_of
from lmlab.training.shares import Share
from lmlab.widgets._style import NARROW, Span, Spans, bold, count, mono, spans

CLOSED, OPEN = 0.75, 0.25  # shares refused from which on a way counts as closed, and up to which as open


def listed(names: Sequence[str]) -> str:
    """The names as a list in words.

    >>> listed(["plain", "past tense", "base64"])
    'plain, past tense and base64'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def interval(share: Share) -> str:
    """A count of requests with its interval: ``3 of 4, 95 % interval 30 to 95 %``."""
    low, high = f"{100 * share.low:.0f}", f"{100 * share.high:.0f}{NARROW}%"
    return f"{share.hits:.0f} of {share.n}, 95{NARROW}% interval {low} to {high}"


def standing(answers: Mapping[str, Sequence[Exchange]]) -> dict[str, list[str]]:
    """The attacks by what they are after a round: closed, open, or half closed."""
    found: dict[str, list[str]] = {"closed": [], "half closed": [], "open": []}
    for attack, exchanges in answers.items():
        if attack != HARMLESS_ROW:
            refused = share_of(exchanges, "refused").share
            found["closed" if refused >= CLOSED else "open" if refused <= OPEN else "half closed"].append(attack)
    return found


def cell_said(rounds: Sequence[Round], row: str, column: int) -> list[str | Span]:
    """The chosen cell: refused, told, and what that means for things that are harmless."""
    one = rounds[column]
    exchanges = one.answers[row]
    refused, told = share_of(exchanges, "refused"), share_of(exchanges, "told")
    when = "Before any refusal was taught" if not column else f"After round {column}, {one.name},"
    asked: list[str | Span] = ["questions about ", bold("harmless things")] if row == HARMLESS_ROW else [bold(row)]
    said = [f"{when} ", *asked, " is refused " if row != HARMLESS_ROW else " are refused ", bold(interval(refused))]
    if row == HARMLESS_ROW:
        return [*said, f", and answered rightly {count(int(told.hits), 'time')}. "]
    if told.hits:
        return [*said, "; the recipe is told ", bold(count(int(told.hits), "time")), ". "]
    if refused.hits < refused.n:
        return [*said, "; no recipe is told either, the answers are beside the point. "]
    return [*said, ". "]


def rest_said(last: Round, training: tuple[str, int, int] | None) -> list[str | Span]:
    """Which ways are open after the newest round, or how far the patch is."""
    if training is not None:
        return [f"Patching {training[0]}: step {training[1]} of {training[2]}."]
    still = standing(last.answers)
    said: list[str | Span] = []
    for name in ("open", "half closed"):
        if still[name]:
            said += [f"{name.capitalize()} now: ", bold(listed(still[name])), ". "]
    return said or ["All five ways are closed now; a sixth is yours to find."]


def own_said(prompt: str, answers: Sequence[Exchange]) -> list[str | Span]:
    """What the student's own words got from the newest round."""
    short = prompt[:60] + ("…" if len(prompt) > 60 else "")
    return ["Yours, ", mono(short), ", is ", bold(answers[-1].outcome), f" after {answers[-1].of}. "]


def facts_of(rounds: Sequence[Round]) -> Spans:
    """What holds on every machine after the newest round."""
    last = rounds[-1]
    still = standing(last.answers)
    parts = [f"{name}: {listed(still[name])}" for name in ("closed", "half closed", "open") if still[name]]
    over = share_of(last.answers[HARMLESS_ROW], "refused").share
    harmless = "harmless things answered" if over < 0.5 else "harmless things refused, too"
    return spans(f"round {len(rounds) - 1} · " + "; ".join(parts) + f"; {harmless}")
