"""A probabilistic grammar with variables: a language whose every probability is known.

A derivation is a state: a stack of nodes still to be said, and the variables drawn so far. Both are immutable,
so one pass over the set of live states gives the exact distribution of the next word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from random import Random

from lmlab.data.town.build import Part, node
from lmlab.data.town.grammar_checks import check_rules, inside
from lmlab.data.town.nodes import END, Emit, GrammarError, Lit, Node, Variables

Stack = tuple  # (), or (node, rest)
State = tuple[Stack, Variables]


@lru_cache(maxsize=65_536)
def _rest_of(words: tuple[str, ...]) -> Lit:
    """The words of an emission still to be said; one object for equal words, so that equal states merge."""
    rest = Lit("")
    rest._words = words
    return rest


def step(states: Mapping[State, float]) -> dict[str, dict[State, float]]:
    """From live states with their masses: for each possible next word (END included) the states after it."""
    found: dict[str, dict[State, float]] = defaultdict(dict)
    work = [(mass, stack, variables) for (stack, variables), mass in states.items()]
    while work:
        mass, stack, variables = work.pop()
        if not stack:
            after = found[END]
            after[(), Variables()] = after.get(((), Variables()), 0.0) + mass
            continue
        top, rest = stack
        try:
            if not isinstance(top, Emit):
                for probability, nodes, then in top.branch(variables):
                    pushed = rest
                    for child in reversed(nodes):
                        pushed = (child, pushed)
                    work.append((mass * probability, pushed, then))
                continue
            words = top.words(variables)
        except GrammarError as error:
            raise error.within(top.rule) from None
        if not words:
            work.append((mass, rest, variables))
            continue
        state = ((_rest_of(words[1:]), rest) if len(words) > 1 else rest, variables)
        after = found[words[0]]
        after[state] = after.get(state, 0.0) + mass
    return found


class Live:
    """All derivations that agree with the words so far, with their probabilities given those words."""

    __slots__ = ("_after", "_states")

    def __init__(self, states: Mapping[State, float]) -> None:
        total = sum(states.values())
        self._states = {state: mass / total for state, mass in states.items()}
        self._after: dict[str, dict[State, float]] | None = None

    def _step(self) -> dict[str, dict[State, float]]:
        if self._after is None:
            self._after = step(self._states)
        return self._after

    def words(self) -> dict[str, float]:
        """The exact probability of every possible next word; END stands for the end of the document."""
        return {word: sum(states.values()) for word, states in self._step().items()}

    def after(self, word: str) -> Live | None:
        """The derivations left after one more word, or None where the word is impossible."""
        states = self._step().get(word)
        return Live(states) if states else None

    def n_states(self) -> int:
        return len(self._states)


class Grammar:
    """Named rules, one of them the start. Raises GrammarError, naming the rule, for rules that cannot work."""

    def __init__(self, rules: Mapping[str, Part], *, start: str = "document") -> None:
        self.rules = {name: node(body) for name, body in rules.items()}
        if start not in self.rules:
            raise GrammarError(f"there is no rule named {start!r} to start from; rules: {', '.join(self.rules)}")
        self.start = start
        check_rules(self.rules)
        for name, body in self.rules.items():
            for inner in inside(body):
                inner.rule = name

    def live(self) -> Live:
        """The state before the first word of a document."""
        return Live({((self.rules[self.start], ()), Variables()): 1.0})

    def sample(self, rng: Random) -> str:
        """One document."""
        out: list[str] = []
        try:
            self.rules[self.start].sample(rng.random, Variables(), out)
        except GrammarError as error:
            raise error.within(self.start) from None
        except RecursionError:
            raise GrammarError(
                f"rule {self.start!r} went on for ever: a rule calls itself too often; lower that choice's weight"
            ) from None
        return "".join(out)

    def nodes(self) -> Iterator[Node]:
        """Every node of every rule, once."""
        seen: set[int] = set()
        work = list(self.rules.values())
        while work:
            top = work.pop()
            if id(top) not in seen:
                seen.add(id(top))
                yield top
                work.extend(top.children)
