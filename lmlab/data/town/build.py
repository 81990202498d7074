"""The words a grammar is written in: lit, seq, alt, bind, pick, fn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import regex

from lmlab.data.town.nodes import (
    Alt,
    Distribution,
    Draw,
    Fn,
    Forget,
    GrammarError,
    Lit,
    Node,
    Ref,
    Say,
    Seq,
    Value,
    Variables,
)

Weights = Mapping[Any, float] | Sequence[Any]
Part = Node | str
_SLOT = regex.compile(r"( ?)\{(\w+)(?:\.(\w+))?\}")


def lit(text: str) -> Node:
    """Fixed text, braces and all."""
    return Lit(text)


def node(part: Part) -> Node:
    """A node as it is; a string as a template, in which {name} or {name.attribute} says a variable."""
    if isinstance(part, Node):
        return part
    parts: list[Node] = []
    end = 0
    for match in _SLOT.finditer(part):
        if match.start() > end:
            parts.append(Lit(part[end : match.start()]))
        parts.append(Say(match[2], match[3], space=bool(match[1])))
        end = match.end()
    if end < len(part) or not parts:
        parts.append(Lit(part[end:]))
    return parts[0] if len(parts) == 1 else Seq(parts)


def seq(*parts: Part) -> Node:
    """One part after another."""
    return Seq([node(part) for part in parts])


def alt(*choices: Part, weights: Sequence[float] | None = None) -> Node:
    """One of the choices; equally likely unless weights are given."""
    return Alt([node(choice) for choice in choices], weights)


def maybe(probability: float, *parts: Part) -> Node:
    """The parts with this probability, else nothing."""
    return alt(seq(*parts), "", weights=(probability, 1 - probability))


def bind(name: str, weights: Weights) -> Node:
    """Draw a value into a variable."""
    distribution = Distribution(weights)
    return Draw(name, lambda _: distribution, distribution.values)


def pick(name: str, depends_on: str | tuple[str, ...], table: Mapping[Any, Weights]) -> Node:
    """Draw a value from the distribution that the table gives for the value of one or several earlier variables."""
    rows = {key: Distribution(weights) for key, weights in table.items()}

    def row(variables: Variables) -> Distribution:
        one = isinstance(depends_on, str)
        key = variables[depends_on] if one else tuple(variables[n] for n in depends_on)  # type: ignore[index]
        if key not in rows:
            raise GrammarError(f"pick({name!r}) has no row for {depends_on} = {key!r}")
        return rows[key]

    return Draw(name, row, dict.fromkeys(v for r in rows.values() for v in r.values))


def pick_other(name: str, values: Sequence[Value], *others: str) -> Node:
    """Draw a value that differs from those of the variables named, all equally likely."""
    domain = tuple(values)

    @cache
    def without(taken: frozenset[Value]) -> Distribution:
        return Distribution([value for value in domain if value not in taken])

    return Draw(name, lambda variables: without(frozenset(variables[o] for o in others)), domain)


def fn(compute: Callable[[Variables], str], vocabulary: Iterable[str]) -> Node:
    """Say a text computed from the variables; `vocabulary` lists all texts that it may say."""
    return Fn(compute, vocabulary)


def forget(*names: str) -> Node:
    """Drop variables that are not needed any more."""
    return Forget(names)


def ref(name: str) -> Node:
    """The rule of that name."""
    return Ref(name)
