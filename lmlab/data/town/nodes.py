"""The nodes that a grammar is made of; `build.py` has the functions that write them.

Each can be said at random (`sample`, fast) or taken apart into its possible next steps (`branch`, exact).
A word is a *pre-token*: the piece that GPT-2's split cuts, leading space included.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate

import regex

from lmlab.tokenizer.split import SPLIT_GPT2

_SPLIT = regex.compile(SPLIT_GPT2)
END = ""  # the "word" that ends a document

Value = Hashable


class GrammarError(ValueError):
    """A grammar that cannot be used; the message names the rule at fault."""

    rule: str | None = None

    def within(self, rule: str) -> GrammarError:
        """The same error with the rule named in front, if none was yet."""
        if self.rule is not None:
            return self
        named = GrammarError(f"rule {rule!r}: {self}")
        named.rule = rule
        return named


@lru_cache(maxsize=65_536)
def split_words(text: str) -> tuple[str, ...]:
    """The pre-tokens of a text, as GPT-2's split cuts it: `split_words("a 12.") == ("a", " 12", ".")`."""
    return tuple(_SPLIT.findall(text))


class Variables(dict[str, Value]):
    """The values drawn so far. Never changed in place, so that it can stand in a set of states."""

    __slots__ = ("_hash",)

    def __hash__(self) -> int:  # type: ignore[override]
        try:
            return self._hash
        except AttributeError:
            self._hash: int = hash(frozenset(self.items()))
            return self._hash

    def __missing__(self, name: str) -> Value:
        raise GrammarError(f"variable {name!r} is used before any bind or pick has drawn it")

    def having(self, name: str, value: Value) -> Variables:
        """A copy in which `name` has `value`."""
        new = Variables(self)
        new[name] = value
        return new


class Node:
    """A piece of a grammar. `children` are the nodes it may put on the stack."""

    children: tuple[Node, ...] = ()
    rule = "?"  # the rule it stands in, for messages

    def sample(self, random: Callable[[], float], variables: Variables, out: list[str]) -> None:
        """Say this node with random choices, appending its text to `out` and drawing into `variables`."""
        raise TypeError(f"{type(self).__name__} is only a base: it says nothing by itself.")

    def branch(self, variables: Variables) -> Iterable[tuple[float, tuple[Node, ...], Variables]]:
        """The possible next steps: (probability, nodes to say, variables after)."""
        raise TypeError(f"{type(self).__name__} is only a base: it says nothing by itself.")


class Emit(Node):
    """A node that says words now."""

    may_be_silent = False

    def text(self, variables: Variables) -> str:
        raise TypeError(f"{type(self).__name__} is only a base: it says nothing by itself.")

    def words(self, variables: Variables) -> tuple[str, ...]:
        return split_words(self.text(variables))

    def sample(self, random: Callable[[], float], variables: Variables, out: list[str]) -> None:
        out.append(self.text(variables))


class Lit(Emit):
    """Fixed text."""

    def __init__(self, text: str) -> None:
        self._text, self._words = text, split_words(text)
        self.may_be_silent = not text

    def text(self, variables: Variables) -> str:
        return self._text

    def words(self, variables: Variables) -> tuple[str, ...]:
        return self._words

    def sample(self, random: Callable[[], float], variables: Variables, out: list[str]) -> None:
        out.append(self._text)


class Say(Emit):
    """The value of a variable (or an attribute of it), with a leading space or without."""

    def __init__(self, name: str, attribute: str | None = None, *, space: bool = False) -> None:
        self.name, self.attribute, self.space = name, attribute, space

    def text_of(self, value: Value) -> str:
        shown = getattr(value, self.attribute) if self.attribute else value
        return f" {shown}" if self.space else str(shown)

    def text(self, variables: Variables) -> str:
        return self.text_of(variables[self.name])


class Fn(Emit):
    """Text computed from the variables: a fact, a sum. `vocabulary` lists every text it may give."""

    def __init__(self, compute: Callable[[Variables], str], vocabulary: Iterable[str]) -> None:
        self._compute, self.vocabulary = compute, tuple(vocabulary)
        self.may_be_silent = "" in self.vocabulary

    def text(self, variables: Variables) -> str:
        return self._compute(variables)


class Seq(Node):
    """One node after another."""

    def __init__(self, parts: Sequence[Node]) -> None:
        self.children = tuple(parts)

    def sample(self, random: Callable[[], float], variables: Variables, out: list[str]) -> None:
        for part in self.children:
            part.sample(random, variables, out)

    def branch(self, variables: Variables) -> Iterable[tuple[float, tuple[Node, ...], Variables]]:
        return ((1.0, self.children, variables),)


class Distribution:
    """Values with their probabilities, ready to draw from."""

    def __init__(self, weights: Mapping[Value, float] | Sequence[Value]) -> None:
        table = dict(weights) if isinstance(weights, Mapping) else dict.fromkeys(weights, 1.0)
        if any(not 0 <= w < float("inf") for w in table.values()):
            raise GrammarError("a weight is negative or not finite; weights are numbers from 0 up")
        table = {value: w for value, w in table.items() if w > 0}
        if not table:
            raise GrammarError("the weights sum to zero, so nothing can be drawn; give one choice a weight above 0")
        total = sum(table.values())
        self.values = tuple(table)
        self.probabilities = tuple(w / total for w in table.values())
        self._cumulative = tuple(accumulate(self.probabilities))[:-1]

    def draw(self, random: Callable[[], float]) -> Value:
        return self.values[bisect_right(self._cumulative, random())]


class Alt(Node):
    """One of several nodes, by weight."""

    def __init__(self, choices: Sequence[Node], weights: Sequence[float] | None = None) -> None:
        if weights is not None and len(weights) != len(choices):
            raise GrammarError(f"{len(choices)} choices but {len(weights)} weights; give one weight a choice")
        self._distribution = Distribution(dict(zip(choices, weights or [1.0] * len(choices), strict=True)))
        self.children = tuple(choices)
        self.possible: tuple[Node, ...] = self._distribution.values  # type: ignore[assignment]

    def sample(self, random: Callable[[], float], variables: Variables, out: list[str]) -> None:
        self._distribution.draw(random).sample(random, variables, out)  # type: ignore[attr-defined]

    def branch(self, variables: Variables) -> Iterable[tuple[float, tuple[Node, ...], Variables]]:
        chosen = zip(self._distribution.probabilities, self.possible, strict=True)
        return [(p, (choice,), variables) for p, choice in chosen]


class Draw(Node):
    """Draw a value into a variable; says nothing. The weights may depend on the variables drawn before."""

    def __init__(self, name: str, weights: Callable[[Variables], Distribution], values: Iterable[Value]) -> None:
        self.name, self._weights, self.values = name, weights, tuple(values)

    def sample(self, random: Callable[[], float], variables: Variables, out: list[str]) -> None:
        variables[self.name] = self._weights(variables).draw(random)

    def branch(self, variables: Variables) -> Iterable[tuple[float, tuple[Node, ...], Variables]]:
        drawn = self._weights(variables)
        pairs = zip(drawn.probabilities, drawn.values, strict=True)
        return [(p, (), variables.having(self.name, value)) for p, value in pairs]


class Forget(Node):
    """Drop variables that nothing later needs, so that more derivations merge."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def sample(self, random: Callable[[], float], variables: Variables, out: list[str]) -> None:
        for name in self.names:
            variables.pop(name, None)

    def branch(self, variables: Variables) -> Iterable[tuple[float, tuple[Node, ...], Variables]]:
        return ((1.0, (), Variables({k: v for k, v in variables.items() if k not in self.names})),)


class Ref(Node):
    """Another rule of the grammar, by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.target: Node | None = None

    def sample(self, random: Callable[[], float], variables: Variables, out: list[str]) -> None:
        if self.target is None:
            raise GrammarError(f"there is no rule named {self.name!r}")
        try:
            self.target.sample(random, variables, out)
        except GrammarError as error:
            raise error.within(self.name) from None

    def branch(self, variables: Variables) -> Iterable[tuple[float, tuple[Node, ...], Variables]]:
        if self.target is None:
            raise GrammarError(f"there is no rule named {self.name!r}")
        return ((1.0, (self.target,), variables),)
