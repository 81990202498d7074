"""The sentences of FewShot, and one of its prompts as tokens with what each model answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmlab.data.few_shot import FewShotPrompt
from lmlab.text_model import TextModel
from lmlab.training.few_shot import Answered
from lmlab.training.shares import Share
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, percent, spans, visible

LABELS = {"drawn": "as drawn", "shuffled": "shuffled"}
SILENCE = {
    "none": "no head",
    "best": "the best copier",
    "copiers": "all copiers",
    "others": "as many others",
}
ROWS = 5  # options that are drawn
LEARNS, DOES_NOT = 0.5, 0.25  # the gain from eight examples that counts as learning, and as none


@dataclass(frozen=True)
class Option:
    """A possible answer: what the mapping says ("right"), what the examples say ("shown"), or another; each model's
    probability (None where it cannot say it), as a number and in words."""

    text: str
    role: str
    p: tuple[float | None, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """A prompt as tokens, how many examples it holds, and the likeliest options; `best`: each model's answer;
    `cropped`: how many of its first tokens a model cannot see."""

    tokens: tuple[str, ...]
    k: int
    options: tuple[Option, ...]
    best: tuple[str, ...]
    cropped: tuple[int, ...] = ()


def case_of(prompt: FewShotPrompt, models: Sequence[TextModel], log_probs: Sequence[Sequence[float] | None]) -> Asked:
    """The prompt for the page, tokens as the first model reads them; the options that it finds likeliest, and always
    the right one."""
    first = models[0].tokenizer
    try:
        tokens = tuple(visible(first.token_text(i)) for i in first.encode(prompt.text))
    except ValueError:  # a dictionary without this word
        tokens = tuple(visible(word) for word in prompt.text.split())
    rows = [row for row in log_probs if row is not None]
    order = sorted(range(len(prompt.options)), key=lambda i: -rows[0][i] if rows else 0.0)
    must = {i for i in order if prompt.options[i] in (prompt.answer, prompt.shown)}
    rest = [i for i in order if i not in must][: ROWS - len(must)]
    kept = [i for i in order if i in must or i in rest]
    options = []
    for i in kept:
        text = prompt.options[i]
        p = tuple(None if row is None else math.exp(row[i]) for row in log_probs)
        words = tuple("cannot read it" if x is None else percent(x) for x in p)
        role = "shown" if text == prompt.shown else "right" if text == prompt.answer else ""
        options.append(Option(text, role, p, words))
    best = tuple("" if row is None else prompt.options[max(range(len(row)), key=row.__getitem__)] for row in log_probs)
    cropped = tuple(0 if row is None else m.n_cropped(prompt.text) for m, row in zip(models, log_probs, strict=True))
    return Asked(tokens, len(prompt.pairs), tuple(options), best, cropped)


def about_models(kind: str, names: Sequence[str]) -> str:
    """Widget, models, device."""
    return f"{kind} · {', '.join(names)} · cpu"


def said(
    names: Sequence[str], found: Mapping[int, Sequence[Answered]], own: Asked | None, *, asked: str, labels: str,
    silence: str, heads: Sequence[Sequence[tuple[int, int]]], whole: Sequence[Answered] | None, most: int,
) -> Spans:  # fmt: skip
    """The readout: the student's prompt first, then what was measured so far."""
    begin = _own_said(names, own) if own else []
    if most not in found:
        far = f"Measured so far: k = 0 to {max(found)}." if found else "Measuring; the first numbers come soon."
        return spans(*begin, far)
    last, none = found[most], found[0]
    if labels == "shuffled" and any(a.shown for a in last):
        return spans(*begin, *_shuffled_said(names, last, most))
    if silence != "none":
        return spans(*begin, *_silence_said(names, last, silence, heads, whole))
    parts: list[str | Span] = [f"After {most} examples, of {asked}: "]
    for slot, name in enumerate(names):
        parts += [", " if slot else "", model_name(slot, name), " ", *_share(last[slot].right)]
    parts += [" right. With none: ", *_listed([bold(percent(a.right.share)) for a in none])]
    shuffled = " The labels of the examples are shuffled." if labels == "shuffled" else ""
    return spans(*begin, *parts, ".", shuffled)


def _share(share: Share) -> list[str | Span]:
    return [bold(percent(share.share)), f" ({100 * share.low:.0f} to {100 * share.high:.0f})"]


def _listed(parts: Sequence[Span]) -> list[str | Span]:
    out: list[str | Span] = []
    for i, part in enumerate(parts):
        out += [", " if i else "", part]
    return out


def _own_said(names: Sequence[str], own: Asked) -> list[str | Span]:
    parts: list[str | Span] = ["Yours: "]
    for slot, name in enumerate(names):
        parts += [", " if slot else "", model_name(slot, name)]
        if own.best[slot]:
            p = next((o.p[slot] for o in own.options if o.text == own.best[slot]), None)
            parts += [" answers ", mono(own.best[slot]), f", {percent(p)}" if p is not None else ""]
            parts += (
                [f" (the first {count(own.cropped[slot], 'token')} do not fit)"] if any(own.cropped[slot:][:1]) else []
            )
        else:
            parts += [" lacks a word of it"]
    return [*parts, ". "]


def _shuffled_said(names: Sequence[str], last: Sequence[Answered], most: int) -> list[str | Span]:
    parts: list[str | Span] = [f"After {most} examples whose labels are shuffled: "]
    for slot, name in enumerate(names):
        shown = last[slot].shown
        parts += ["; " if slot else "", model_name(slot, name), " says the shuffled label in "]
        parts += [bold(percent(shown.share if shown else 0.0)), ", the right one in "]
        parts += [bold(percent(last[slot].right.share))]
    return [*parts, "."]


def _silence_said(
    names: Sequence[str], last: Sequence[Answered], silence: str, heads: Sequence[Sequence[tuple[int, int]]],
    whole: Sequence[Answered] | None,
) -> list[str | Span]:  # fmt: skip
    what = "control" if silence == "others" else "at what followed the question before"
    parts: list[str | Span] = []
    for slot, name in enumerate(names):
        if not heads[slot]:
            continue
        listed = ", ".join(f"{layer}.{head}" for layer, head in heads[slot])
        which = f"{'head' if len(heads[slot]) == 1 else 'heads'} {listed}"
        role = f" (the {what})" if silence == "others" else f" ({'looks' if len(heads[slot]) == 1 else 'look'} {what})"
        parts += ["; " if parts else "Without ", which if not parts else f"without {which}", role, " "]
        parts += [model_name(slot, name), " is right in ", *_share(last[slot].right)]
        parts += [f" instead of {percent(whole[slot].right.share)}"] if whole else []
    return [*parts, "."] if parts else ["None of these models has a head that copies."]


def facts_of(names: Sequence[str], none: Sequence[Answered], last: Sequence[Answered], most: int) -> Spans:
    """Who learns from the examples, in words that are true on every machine."""
    kinds: dict[str, list[str]] = {"learn": [], "learn a little": [], "do not": []}
    for slot, name in enumerate(names):
        after = last[slot].shown or last[slot].right
        gain = after.share - none[slot].right.share
        kinds["learn" if gain >= LEARNS else "do not" if gain < DOES_NOT else "learn a little"].append(name)
    one = {"learn": "learns", "learn a little": "learns a little", "do not": "does not"}
    told = [f"{_and(who)} {one[kind] if len(who) == 1 else kind}" for kind, who in kinds.items() if who]
    return spans(f"from {most} examples ", ", ".join(told))


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
