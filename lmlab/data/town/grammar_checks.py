"""What is wrong with a grammar, found before anything is drawn from it; every message names the rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lmlab.data.town.nodes import Alt, Draw, Emit, GrammarError, Node, Ref, Say, Seq


def inside(top: Node) -> Iterator[Node]:
    """A rule's own nodes, other rules not entered."""
    work, seen = [top], set()
    while work:
        here = work.pop()
        if id(here) not in seen:
            seen.add(id(here))
            yield here
            work.extend(here.children)


def _resolve(rules: Mapping[str, Node]) -> None:
    for name, body in rules.items():
        for here in inside(body):
            if isinstance(here, Ref):
                if here.name not in rules:
                    known = ", ".join(rules)
                    raise GrammarError(f"rule {name!r} refers to {here.name!r}, which is no rule; rules: {known}")
                here.target = rules[here.name]


def _can_end(body: Node, ending: set[str]) -> bool:
    if isinstance(body, Ref):
        return body.name in ending
    if isinstance(body, Alt):
        return any(_can_end(child, ending) for child in body.possible)
    return all(_can_end(child, ending) for child in body.children)


def _silent(body: Node, silent: set[str]) -> bool:
    """Whether a node may say nothing at all."""
    if isinstance(body, Ref):
        return body.name in silent
    if isinstance(body, Alt):
        return any(_silent(child, silent) for child in body.possible)
    if isinstance(body, Seq):
        return all(_silent(child, silent) for child in body.children)
    return body.may_be_silent if isinstance(body, Emit) else True


def _first_rules(body: Node, silent: set[str]) -> set[str]:
    """The rules that may be entered before this node has said a word."""
    if isinstance(body, Ref):
        return {body.name}
    if isinstance(body, Alt):
        return {rule for child in body.possible for rule in _first_rules(child, silent)}
    found: set[str] = set()
    for child in body.children:
        found |= _first_rules(child, silent)
        if not _silent(child, silent):
            break
    return found


def _grow(rules: Mapping[str, Node], holds: object) -> set[str]:
    """The smallest set of rules closed under `holds(body, set)`."""
    found: set[str] = set()
    while True:
        more = {name for name, body in rules.items() if name not in found and holds(body, found)}  # type: ignore[operator]
        if not more:
            return found
        found |= more


def _check_recursion(rules: Mapping[str, Node]) -> None:
    ending = _grow(rules, _can_end)
    for name in rules:
        if name not in ending:
            raise GrammarError(f"rule {name!r} can never end: every choice in it calls a rule that calls it back")
    silent = _grow(rules, _silent)
    first = {name: _first_rules(body, silent) for name, body in rules.items()}
    for name in rules:
        reached, work = set(), list(first[name])
        while work:
            rule = work.pop()
            if rule not in reached:
                reached.add(rule)
                work.extend(first[rule])
        if name in reached:
            raise GrammarError(f"rule {name!r} can call itself before it has said a word, so it may never begin")


def _check_variables(rules: Mapping[str, Node]) -> None:
    drawn = {here.name for body in rules.values() for here in inside(body) if isinstance(here, Draw)}
    for name, body in rules.items():
        for here in inside(body):
            if isinstance(here, Say) and here.name not in drawn:
                raise GrammarError(f"rule {name!r} says {{{here.name}}}, but no bind or pick ever draws {here.name!r}")


def check_rules(rules: Mapping[str, Node]) -> None:
    """Raise GrammarError for an unknown rule, a rule that never ends or begins, a variable that is never drawn."""
    _resolve(rules)
    _check_recursion(rules)
    _check_variables(rules)
